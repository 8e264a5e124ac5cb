# SPDX-License-Identifier: BSD-2-Clause
"""A Ferry host for tests: boots it from UEFI, types at its shell, reads its guests' consoles.

    with Host("amd", files={"hello.elf": path}) as host:
        host.run("vm create a kernel=hello.elf memory=8M")
        host.run("vm start a")
        with host.console("a") as guest:
            guest.expect("DONE")
"""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pexpect
import pexpect.fdpexpect

from emulator import BUILD, KINDS, ROOT

# Emulators run at the machine's mercy: these are limits for hangs, not measures of speed.
SCALE = float(os.environ.get("RIG_TIME_SCALE", "1"))
BOOT_LIMIT = {"amd": 90, "intel": 180}
LINUX_LIMIT = {"amd": 120, "intel": 600}
COMMAND_LIMIT = {"amd": 30, "intel": 60}

PROMPT = r"\r\n?(?:\x1b\[[0-9;]*[A-Za-z])*{}> "
LEAVE = "\x1d"  # Ctrl-]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


def plain(text):
    """Console output without terminal escapes, with plain line ends."""
    return _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "")


def wait_until(ready, limit, said=lambda: ""):
    """Asks until ready() is true. After that many seconds the test fails, with what said() returns."""
    end = time.monotonic() + limit
    while not ready():
        assert time.monotonic() < end, said()
        time.sleep(0.3)


def state_in(info):
    """The state that `vm info` says, and its reason."""
    m = re.search(r"^state +(\w+)(?: \(([^)]*)\))?", info, re.M)
    assert m, info
    return m.group(1), " ".join((m.group(2) or "").split())


class Machine:
    """What is known by its serial line. One has a name, the line, and limit(): how long to wait for it."""

    def expect(self, pattern, timeout=None):
        """Waits for a pattern; returns the match."""
        limit = self.limit(timeout)
        try:
            self.line.expect(pattern, timeout=limit)
        except pexpect.TIMEOUT:
            raise pexpect.TIMEOUT(f"{self.name} did not say {pattern!r} within {limit:.0f} s, but last:\n"
                                  + plain(self.line.before)[-300:]) from None
        return self.line.match


class Console:
    """A guest's serial line, through `vm console`."""

    def __init__(self, host, name):
        self.host, self.name = host, name

    def expect(self, pattern, timeout=None):
        """Waits for a pattern; returns the match."""
        return self.host.expect(pattern, timeout)

    def type(self, text):
        self.host.line.send(text)

    def run(self, command, timeout=None):
        """Runs a command in the guest's shell and returns what it printed."""
        # The quotes keep the markers out of the shell's echo of the command, which it also wraps.
        tag = time.monotonic_ns()
        self.type(f"echo be''gin-{tag}; {command}; echo e''nd-{tag} $?\n")
        self.expect(rf"begin-{tag}\r?\n", timeout)
        m = self.expect(rf"end-{tag} (\d+)\r?\n", timeout)
        self.status = int(m.group(1))
        text = plain(self.host.line.before).strip("\n")
        # What is typed before the prompt may be lost: the guest's shell changes its terminal's mode there.
        self.expect("guest# ", timeout)
        return text


class Host(Machine):
    def __init__(self, kind, config="", files=None, name="alpha", **emulator):
        self.kind, self.name = kind, name
        self.prompt = PROMPT.format(name)
        self.config, self.files, self.options = config, dict(files or {}), emulator
        self.folder = self.emulator = self.line = None
        self.transcript = None

    # --- life ---------------------------------------------------------------------------------

    def __enter__(self):
        runs = BUILD / "rig"
        runs.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.kind}-", dir=runs))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self):
        started = time.monotonic()
        volume = self._volume()
        self.transcript = open(self.folder / "console.log", "w", encoding="utf-8", errors="replace")
        self.emulator = KINDS[self.kind](self.folder, volume, **self.options)
        self.line = pexpect.fdpexpect.fdspawn(
            self.emulator.serial, encoding="utf-8", codec_errors="replace", timeout=30)
        self.line.delaybeforesend = None
        self.line.logfile_read = self.transcript
        self.line.expect(self.prompt, timeout=BOOT_LIMIT[self.kind] * SCALE)
        self.boot_text = plain(self.line.before)
        self.boot_seconds = time.monotonic() - started

    def end(self):
        """Cuts its power."""
        self.emulator.end()

    def start_again(self):
        """After end(): what is in ferry.cfg is all that it knows."""
        self.__exit__(None, None, None)
        self.__enter__()

    def __exit__(self, failed, *unused):
        if self.emulator:
            if failed and self.line:
                print(self.testimony())
            self.emulator.end()
        if self.transcript:
            self.transcript.flush()
            self.transcript.close()
        for big in ("volume.img", "vars.fd"):
            with contextlib.suppress(OSError):
                (self.folder / big).unlink()

    def _volume(self):
        listed = [f"file {name}" for name in self.files]
        (self.folder / "ferry.cfg").write_text(
            # The tests' VMs trust each other: they are to share pages.
            "\n".join([f"host {self.name}", "default-group default", *listed, self.config]) + "\n")
        volume = self.folder / "volume.img"
        pairs = {"EFI/BOOT/BOOTX64.EFI": BUILD / "BOOTX64.EFI", "ferry.elf": BUILD / "ferry.elf",
                 "ferry.cfg": self.folder / "ferry.cfg", **self.files}
        target = self.folder / "boot.img"
        subprocess.run([ROOT / "tools/boot-volume", target, *(f"{k}={v}" for k, v in pairs.items())],
                       check=True)
        target.rename(volume)
        if self.kind == "intel":  # the emulator works on its own copy, which has that name
            volume.rename(target)
            return target
        return volume

    def limit(self, timeout=None):
        return (timeout or COMMAND_LIMIT[self.kind]) * SCALE

    # --- the shell ------------------------------------------------------------------------------

    def run(self, command, timeout=None):
        """Types a command and returns what it printed."""
        self.line.send(command + "\r")
        self.expect(self.prompt, timeout)
        text = plain(self.line.before)
        return text.split("\n", 1)[1].strip("\n") if "\n" in text else ""

    @contextlib.contextmanager
    def console(self, vm):
        self.line.send(f"vm console {vm}\r")
        self.expect("Ctrl-] leaves")
        try:
            yield Console(self, vm)
        finally:
            self.line.send(LEAVE)
            self.expect(self.prompt)

    def testimony(self):
        """What it has to say when a test failed: its VMs, their vCPUs, the end of its log."""
        try:
            listed = self.run("vm list")
            told = [f"--- {self.name}", listed]
            for vm in re.findall(r"^ +(\S+) +\w", listed, re.M)[1:]:
                told.append(self.run(f"vm info {vm}").partition("\n\n")[2])
            return "\n".join([*told, *self.run("log").split("\n")[-10:]])
        except (OSError, pexpect.ExceptionPexpect) as e:
            return f"--- {self.name} says nothing: {e}"

    # --- VMs ----------------------------------------------------------------------------------

    def create(self, vm, kernel, **settings):
        """Makes and starts a VM."""
        words = " ".join(f'{k}="{v}"' if " " in str(v) else f"{k}={v}" for k, v in settings.items())
        said = self.run(f"vm create {vm} kernel={kernel} {words}".strip())
        assert "error" not in said.lower(), said
        self.run(f"vm start {vm}")

    def state(self, vm):
        """The state of a VM, as `vm info` says it, with its reason."""
        return state_in(self.run(f"vm info {vm}"))

    def log(self):
        """The log in one line, as the shell breaks it anywhere."""
        return re.sub(r"\s+", " ", self.run("log"))

    def wait_log(self, words, timeout=None):
        wait_until(lambda: words in self.log(), self.limit(timeout),
                   lambda: f"the log does not say: {words}\n{self.run('log')}")

    def stood_still(self):
        """The longest time, in ms, that the host says the machine under it stood still."""
        said = self.log()
        return max(map(int, re.findall(r"timer interrupt came (\d+) ms late", said)), default=0)

    def wait_state(self, vm, wanted, timeout=None):
        end = time.monotonic() + self.limit(timeout)
        while True:
            state, reason = self.state(vm)
            if state == wanted:
                return reason
            assert time.monotonic() < end, f"{vm} is {state} ({reason}), not {wanted}"
            time.sleep(0.3)

    def destroy(self, vm):
        self.run(f"vm destroy {vm}")

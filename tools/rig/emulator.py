# SPDX-License-Identifier: BSD-2-Clause
"""How each kind of host is started: QEMU with SVM and NPT, or Bochs with VMX and EPT.

An emulator is a child of this process, dies with it, and has its serial line on a socket. Nothing here
knows Ferry; host.py does.
"""
import contextlib
import ctypes
import functools
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
OVMF = Path("/usr/share/OVMF")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    """In the child: the kernel ends it when the test that started it ends, however that happens."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, log, cwd=None, env=None):
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        cwd=cwd, env=env, preexec_fn=_die_with_parent)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _relay(emulator, test):
    """Until either end is closed; the other one is then, too."""
    said = b""
    with contextlib.suppress(OSError), emulator, test:
        while True:
            ready, room, _ = select.select([emulator, test], [test] if said else [], [])
            if test in ready:
                typed = test.recv(65536)
                if not typed:
                    return
                emulator.sendall(typed)
            if emulator in ready:
                more = emulator.recv(65536)
                if not more:
                    test.sendall(said)
                    return
                said += more
            if room:
                said = said[test.send(said):]


def unhurried(line):
    """A serial line that always takes what the emulator says, as a real one does, also while no test reads it. (A socket
    that nobody reads is full after 277 bytes that come one by one, and the rest is lost.)"""
    ours, theirs = socket.socketpair()
    threading.Thread(target=_relay, args=(line, theirs), daemon=True).start()
    return ours


def connect(address, process, limit=15):
    """Connects to an emulator's serial socket as soon as it listens."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    end = time.monotonic() + limit
    while True:
        s = socket.socket(family)
        try:
            s.connect(address)
            return unhurried(s)
        except OSError as e:
            s.close()
            if process.poll() is not None:
                raise RuntimeError(f"the emulator ended with status {process.returncode}") from e
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def end(process):
    if process and process.poll() is None:
        process.kill()
    if process:
        process.wait(10)


class Card:
    """The HCA model (tools/hca) of one emulator: a process that starts QEMU with itself as a card."""

    def __init__(self, end=None, port_type="eth", options=(), log_level=2):
        """end: of a wire (wire.py). options: the model's own (build/hca --help)."""
        self.end, self.port_type, self.options, self.log_level = end, port_type, options, log_level
        self.log = self.control = None

    @property
    def mac(self):
        return self.end.mac

    def attach(self, folder, command, memory):
        """The command that starts that QEMU, of that many MiB, with the card."""
        self.log, self.control = folder / "hca.log", folder / "control"
        return [str(BUILD / "hca"), "--port-type", self.port_type, "--log", str(self.log), "--log-level",
                str(self.log_level), "--control", str(self.control), *(self.end.hca() if self.end else []),
                *self.options, "--", *command, "-machine", "memory-backend=ram", "-object",
                f"memory-backend-memfd,id=ram,size={memory}M,share=on"]

    def fault(self, text):
        """Makes one happen now: see build/hca --help."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(text.encode(), str(self.control))

    def refusals(self):
        """What the model did not take from the driver."""
        return [line for line in self.log.read_text().split("\n") if "refused:" in line]


# QEMU's TCG loses writes of CPU 0's SVM state when another vCPU thread loads x87 state (qemu_ignne.c has the details).
REPAIR = {**os.environ, "LD_PRELOAD": str(BUILD / "qemu_ignne.so")}
RACE = """\
This QEMU loses writes of CPU 0's SVM state when another CPU loads x87 state, and cannot be repaired:
    {}
Hosts get one CPU. QEMU_RACE=accept gives them what they ask for, and guests that fail for no reason of Ferry's.
"""


@functools.cache
def qemu_is_repaired():
    """Can the fault be taken out of this QEMU? If not, says so."""
    tried = subprocess.run(["qemu-system-x86_64", "--version"], env=REPAIR, capture_output=True, text=True)
    if tried.returncode:
        print(RACE.format(tried.stderr.strip()), file=sys.stderr, flush=True)
    return not tried.returncode


class Qemu:
    """An AMD host: QEMU's TCG with -cpu max has SVM and NPT."""

    kind = "amd"

    def __init__(self, folder, volume, memory=1024, cpus=2, icount=False, extra=(), nic=None, restarts=False,
                 card=None, repaired=True):
        """nic: an end of a wire (wire.py). restarts: the emulator goes on when the host restarts; else it ends.
        card: a Card, which one CPU alone may use. repaired: without QEMU's race (qemu_ignne.c)."""
        if repaired and not qemu_is_repaired():
            repaired, cpus = False, cpus if os.environ.get("QEMU_RACE") == "accept" else 1
        variables = folder / "vars.fd"
        shutil.copy(OVMF / "OVMF_VARS_4M.fd", variables)
        serial = str(folder / "serial")
        self.process = None
        command = [
            "qemu-system-x86_64", "-accel", "tcg" if icount else "tcg,thread=multi", "-cpu", "max",
            "-m", str(memory), "-smp", str(cpus), "-machine", "q35", "-nodefaults", "-no-user-config",
            "-display", "none", "-action", "reboot=reset" if restarts else "reboot=shutdown",
            "-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
            "-drive", f"if=pflash,format=raw,file={variables}",
            "-drive", f"format=raw,file={volume},snapshot=on",
            "-chardev", f"socket,id=com1,path={serial},server=on,wait=on", "-serial", "chardev:com1",
            *(["-icount", "shift=0,sleep=off"] if icount else []), *(nic.qemu() if nic else []), *extra,
        ]
        if card:
            command = card.attach(folder, command, memory)
        with open(folder / "emulator.log", "w") as log:
            self.process = spawn(command, log, env=REPAIR if repaired else None)
        self.serial = connect(serial, self.process)

    def end(self):
        end(self.process)


BOCHSRC = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, e1000=1, serial=1, parallel=0, extfpuirq=1, gameport=0
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/ovmf/OVMF.fd, address=0xffe00000
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_skylake_x, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
clock: sync=none, time0=local
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{volume}", mode=flat
boot: disk
com1: enabled=1, mode=socket-server, dev=localhost:{port}
log: {folder}/bochs.log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
mouse: enabled=0
pci: enabled=1, chipset=i440fx
{nic}
"""


class Bochs:
    """An Intel host: Bochs's Skylake-X has VMX with EPT, VPID, unrestricted guest and PML."""

    kind = "intel"

    def __init__(self, folder, volume, memory=768, cpus=2, nic=None):
        copy = folder / "volume.img"
        shutil.copy(volume, copy)
        port = free_port()
        (folder / "bochsrc").write_text(BOCHSRC.format(
            cpus=cpus, memory=memory, volume=copy, port=port, folder=folder,
            nic=nic.bochs() if nic else ""))
        (folder / "run.rc").write_text("c\n")
        with open(folder / "emulator.log", "w") as log:
            self.process = spawn(["bochs-bin", "-q", "-f", "bochsrc", "-rc", "run.rc"], log, cwd=folder)
        self.serial = connect(("127.0.0.1", port), self.process)

    def end(self):
        end(self.process)


KINDS = {"amd": Qemu, "intel": Bochs}

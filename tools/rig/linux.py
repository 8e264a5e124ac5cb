# SPDX-License-Identifier: BSD-2-Clause
"""A stock Linux in plain QEMU, without Ferry, on a wire: somebody else's network stack, to judge ours.

    with Linux(nic=wire.end()) as linux:
        linux.run("ip addr add 10.0.0.9/24 dev eth0")
"""
import subprocess
import tempfile
from pathlib import Path

import pexpect.fdpexpect

from emulator import BUILD, connect, end, spawn
from host import LINUX_LIMIT, SCALE, Console, Machine

KERNEL = BUILD / "guests/generic/vmlinuz"
INITRD = BUILD / "guests/initrd.gz"
MODULES = BUILD / "guests/generic"


class Linux(Machine):
    name = "linux"

    def __init__(self, nic=None, modules=("e1000",), files=(), memory=256):
        """modules are loaded in that order; files are put at the root of its file system, or where a dict says."""
        self.nic, self.modules, self.memory = nic, modules, memory
        self.files = files if isinstance(files, dict) else {Path(f).name: Path(f) for f in files}
        self.process = self.line = None

    def __enter__(self):
        runs = BUILD / "rig"
        runs.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="linux-", dir=runs))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        serial = str(self.folder / "serial")
        command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(self.memory), "-nodefaults",
                   "-no-user-config", "-display", "none", "-no-reboot", "-kernel", str(KERNEL), "-initrd",
                   str(self._initrd()), "-append", "console=ttyS0 quiet", *(self.nic.qemu() if self.nic else []),
                   "-chardev", f"socket,id=com1,path={serial},server=on,wait=on", "-serial", "chardev:com1"]
        with open(self.folder / "emulator.log", "w") as log:
            self.process = spawn(self._command(command), log)
        self.serial = connect(serial, self.process)
        self.line = pexpect.fdpexpect.fdspawn(self.serial, encoding="utf-8", codec_errors="replace")
        self.line.delaybeforesend = None
        self.line.logfile_read = open(self.folder / "console.log", "w", encoding="utf-8", errors="replace")
        self.expect("guest# ", LINUX_LIMIT["amd"])
        self.run("ip link set lo up")
        for m in self.modules:
            said = self.run(f"insmod /{m}.ko")
            assert self.console.status == 0, said
        if self.nic:
            self.up("eth0")

    def _command(self, command):
        """What starts it, if that is not QEMU's command as it is."""
        return command

    def up(self, interface):
        # A driver may look at the link every two seconds, and send nothing before.
        self.run(f"ip link set {interface} up; until [ $(cat /sys/class/net/{interface}/carrier) = 1 ]; do sleep 0.1; done")

    def _initrd(self):
        """The usual one, with a second archive behind it: the kernel unpacks both."""
        extra = self.folder / "extra"
        extra.mkdir()
        for name, f in {**{f"{m}.ko": MODULES / f"{m}.ko" for m in self.modules}, **self.files}.items():
            (extra / name).parent.mkdir(parents=True, exist_ok=True)
            (extra / name).write_bytes(f.read_bytes())
            (extra / name).chmod(0o755)
        names = "\n".join(str(p.relative_to(extra)) for p in sorted(extra.rglob("*"))) + "\n"
        archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=extra, input=names.encode(),
                                 check=True, capture_output=True).stdout
        both = self.folder / "initrd"
        first = INITRD.read_bytes()
        both.write_bytes(first + b"\0" * (-len(first) % 4) + archive)
        return both

    def __exit__(self, *unused):
        end(self.process)
        (self.folder / "initrd").unlink(missing_ok=True)

    def limit(self, timeout=None):
        return (timeout or 30) * SCALE

    @property
    def console(self):
        if not hasattr(self, "_console"):
            self._console = Console(self, self.name)
        return self._console

    def run(self, command, timeout=None):
        return self.console.run(command, timeout)

"""A stock Linux in plain QEMU, without Ferry, on a wire: somebody else's network stack, to judge ours.

    with Linux(nic=wire.end()) as linux:
        linux.run("ip addr add 10.0.0.9/24 dev eth0")
"""
import subprocess
import tempfile
from pathlib import Path

import pexpect.fdpexpect

from emulator import BUILD, connect, end, spawn
from host import LINUX_LIMIT, SCALE, Console

KERNEL = BUILD / "guests/generic/vmlinuz"
INITRD = BUILD / "guests/initrd.gz"
MODULES = BUILD / "guests/generic"


class Linux:
    def __init__(self, nic, modules=("e1000",), files=(), memory=256):
        """modules are loaded in that order; files are put at the root of its file system."""
        self.nic, self.modules, self.files, self.memory = nic, modules, files, memory
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
                   str(self._initrd()), "-append", "console=ttyS0 quiet", *self.nic.qemu(),
                   "-chardev", f"socket,id=com1,path={serial},server=on,wait=on", "-serial", "chardev:com1"]
        with open(self.folder / "emulator.log", "w") as log:
            self.process = spawn(command, log)
        self.serial = connect(serial, self.process)
        self.line = pexpect.fdpexpect.fdspawn(self.serial, encoding="utf-8", codec_errors="replace")
        self.line.delaybeforesend = None
        self.line.logfile_read = open(self.folder / "console.log", "w", encoding="utf-8", errors="replace")
        self.line.expect("guest# ", timeout=self.limit(LINUX_LIMIT["amd"]))
        for m in self.modules:
            said = self.run(f"insmod /{m}.ko")
            assert self.console.status == 0, said
        self.run("ip link set lo up; ip link set eth0 up")
        # Its driver looks at the link every two seconds, and sends nothing before.
        self.run("until [ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done")

    def _initrd(self):
        """The usual one, with a second archive behind it: the kernel unpacks both."""
        extra = self.folder / "extra"
        extra.mkdir()
        for f in [*(MODULES / f"{m}.ko" for m in self.modules), *map(Path, self.files)]:
            (extra / f.name).write_bytes(f.read_bytes())
            (extra / f.name).chmod(0o755)
        names = "\n".join(p.name for p in extra.iterdir()) + "\n"
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
            self._console = Console(self, "linux")
        return self._console

    def run(self, command, timeout=None):
        return self.console.run(command, timeout)

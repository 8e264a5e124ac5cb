# SPDX-License-Identifier: BSD-2-Clause
"""A stock Linux with the HCA model (tools/hca) as its card, and Debian's own RDMA tools.

    with HcaLinux(card=wire.end()) as linux:
        linux.run("ibv_devinfo")

The card is on a wire of its own; nic= is another NIC, for what the tools say over TCP. A Ferry host has one by
Host("amd", card=Card(wire.end())).
"""
import re
import subprocess
from pathlib import Path

from emulator import BUILD, Card
from linux import Linux

MODULES = ("ib_core", "ib_uverbs", "mlxfw", "psample", "pci-hyperv-intf", "mlx5_core", "mlx5_ib")
PROVIDER = Path("/usr/lib/x86_64-linux-gnu/libibverbs/libmlx5-rdmav34.so")
DRIVER = Path("/etc/libibverbs.d/mlx5.driver")
TOOLS = ("ibv_devinfo", "ibv_rc_pingpong")
PERFTEST = ("ib_send_bw", "ib_write_bw", "ib_read_bw", "ib_atomic_bw")
QUIET = {"mlx5_core": "prof_sel=0"}  # no cache of keys made ahead


def with_libraries(*programs):
    """Programs and what the loader wants for them, by their places."""
    files = {}
    for program in programs:
        files[str(program).lstrip("/")] = program
        out = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        for library in re.findall(r"(/\S+\.so\S*) \(0x", out):
            files[library.lstrip("/")] = Path(library)
    return files


class HcaLinux(Linux):
    """Its network interface of the card is eth0, or eth1 if it has another NIC. It is not up."""

    def __init__(self, end=None, nic=None, port_type="eth", options=(), tools=TOOLS, modules=MODULES):
        self.card, self.port_type = Card(end, port_type, options), port_type
        files = {**with_libraries(*(Path("/usr/bin") / t for t in tools), PROVIDER), str(DRIVER).lstrip("/"): DRIVER}
        super().__init__(nic, (*(["e1000"] if nic else []), *modules), files, memory=384)

    def _start(self):
        super()._start()
        self.run("export PATH=$PATH:/usr/bin")

    def _command(self, command):
        return self.card.attach(self.folder, [*command, "-machine", "q35"], self.memory)

    def run(self, command, timeout=None):
        m = re.match(r"insmod /(\w+)\.ko$", command)
        if m and m.group(1) in QUIET:
            command += " " + QUIET[m.group(1)]
        return super().run(command, timeout)

    def unload(self):
        """Takes the drivers away; the card has no pages then."""
        said = self.run("rmmod mlx5_ib mlx5_core", timeout=60)
        assert self.console.status == 0, said

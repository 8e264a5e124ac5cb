# SPDX-License-Identifier: BSD-2-Clause
"""The HCA model (tools/hca), judged by Linux's own mlx5 drivers and by Debian's RDMA tools."""
import re
import subprocess
from pathlib import Path

import pytest

from emulator import BUILD
from hca import PERFTEST, TOOLS, HcaLinux, with_libraries
from linux import Linux
from wire import Wire

ADDRESS = "10.1.0.{}"
TCP = "10.2.0.{}"
V2_GID = 3  # of the IPv4 address, RoCE v2
SOAK = pytest.mark.soak


@pytest.fixture
def wires(tmp_path):
    """One between the cards, one for TCP."""
    with Wire(tmp_path / "card", pcap=tmp_path / "card.pcap") as card, Wire(tmp_path / "tcp") as tcp:
        yield card, tcp


def bring_up(linux, number=1):
    """InfiniBand is up when its driver is."""
    if linux.port_type == "eth":
        linux.interface = "eth1" if linux.nic else "eth0"
        linux.up(linux.interface)
        linux.run(f"ip addr add {ADDRESS.format(number)}/24 dev {linux.interface}")
    if linux.nic:
        linux.run(f"ip addr add {TCP.format(number)}/24 dev eth0")


def assert_clean(linux):
    """The driver goes, takes its pages with it, had nothing refused, and the kernel had nothing to warn of."""
    linux.unload()
    log = linux.card.log.read_text()
    assert re.search(r"disabled after \d+ commands; 0 pages kept, 0 refusals", log), linux.card.refusals()
    warned = linux.run("dmesg | grep -E 'WARNING|BUG|(mlx5|infiniband).*(failed|error|timeout|compromised)'")
    assert not warned, warned


@pytest.mark.parametrize("port_type", ["ib", "eth"])
def test_linux_finds_the_port_active(port_type):
    with HcaLinux(port_type=port_type) as linux:
        bring_up(linux)
        said = linux.run("ibv_devinfo -v")
        assert "PORT_ACTIVE" in said, said
        assert f"link_layer:\t\t{'InfiniBand' if port_type == 'ib' else 'Ethernet'}" in said, said
        if port_type == "eth":
            assert "GID[  3]:\t\t::ffff:10.1.0.1, RoCE v2" in said, said
        assert_clean(linux)


def serve(linux, command):
    """Starts a server of libibverbs' or perftest's, and returns when it listens: all do on TCP port 18515."""
    linux.run(f"({command} >/tmp/server 2>&1 &)")
    linux.run("until grep -q ':4853 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.1; done", timeout=60)


def pingpong(server, client, address, gid):
    options = f"-n 100 -c {gid}"
    serve(server, f"ibv_rc_pingpong {options}")
    said = client.run(f"ibv_rc_pingpong {options} {address}", timeout=120)
    assert client.console.status == 0 and "100 iters" in said, said + server.run("cat /tmp/server")


@pytest.mark.parametrize("port_type", ["ib", "eth"])
def test_a_card_reaches_itself(port_type):
    with HcaLinux(port_type=port_type) as linux:
        bring_up(linux)
        pingpong(linux, linux, "127.0.0.1", f"-g {V2_GID}" if port_type == "eth" else "")
        assert_clean(linux)


def connect(a, b):
    """Two Linuxes that know each other."""
    for linux, number, other in ((a, 1, b), (b, 2, a)):
        bring_up(linux, number)
        if linux.port_type == "eth":
            linux.run(f"arp -s {ADDRESS.format(3 - number)} {other.card.mac}")


def test_two_cards_reach_each_other(wires):
    card, tcp = wires
    with HcaLinux(card.end(), tcp.end()) as a, HcaLinux(card.end(), tcp.end()) as b:
        connect(a, b)
        pingpong(a, b, TCP.format(1), f"-g {V2_GID}")
        assert_clean(a)
        assert_clean(b)


OPTIONS = {tool: "" if tool == "ib_atomic_bw" else "-s 20000" for tool in PERFTEST}


def perftest(server, client, tool):
    """A few messages; the client prints a line of figures."""
    command = f"{tool} -F -x {V2_GID} -n 40 {OPTIONS[tool]}"
    serve(server, command)
    said = client.run(f"{command} {TCP.format(1)}", timeout=120)
    assert client.console.status == 0 and re.search(r"^ *\d+ +40 ", said, re.M), said + server.run("cat /tmp/server")


def test_perftest_runs_between_two_cards(wires):
    card, tcp = wires
    with HcaLinux(card.end(), tcp.end(), tools=TOOLS + PERFTEST) as a, \
            HcaLinux(card.end(), tcp.end(), tools=TOOLS + PERFTEST) as b:
        connect(a, b)
        for tool in PERFTEST:
            perftest(a, b, tool)
        assert_clean(a)
        assert_clean(b)


@pytest.mark.soak
def test_two_cards_on_a_bad_wire(wires):
    card, tcp = wires
    with HcaLinux(card.end(), tcp.end(), tools=TOOLS + PERFTEST) as a, \
            HcaLinux(card.end(), tcp.end(), tools=TOOLS + PERFTEST) as b:
        connect(a, b)
        card.loss = card.double = card.reorder = 2
        pingpong(a, b, TCP.format(1), f"-g {V2_GID}")
        for tool in PERFTEST:
            perftest(a, b, tool)
        assert_clean(a)
        assert_clean(b)


RXE = Path("/usr/lib/x86_64-linux-gnu/libibverbs/librxe-rdmav34.so")
RXE_DRIVER = Path("/etc/libibverbs.d/rxe.driver")
RXE_MODULES = ("udp_tunnel", "ip6_udp_tunnel", "ib_core", "ib_uverbs", "crc32_generic", "rdma_rxe", "e1000")


@pytest.mark.soak
def test_a_card_and_rdma_rxe_reach_each_other(wires):
    """All on one wire: the other side has one NIC."""
    wire, _ = wires
    tools = with_libraries(*(Path("/usr/bin") / t for t in TOOLS + PERFTEST), RXE)
    files = {**tools, str(RXE_DRIVER).lstrip("/"): RXE_DRIVER, "rxe": BUILD / "rxe"}
    with HcaLinux(wire.end(), wire.end(), tools=TOOLS + PERFTEST) as a, \
            Linux(wire.end(), RXE_MODULES, files) as b:
        bring_up(a)
        a.run(f"arp -s {ADDRESS.format(2)} {b.nic.mac}")
        b.run(f"export PATH=$PATH:/usr/bin; ip addr add {ADDRESS.format(2)}/24 dev eth0")
        b.run(f"ip addr add {TCP.format(2)}/24 dev eth0; arp -s {ADDRESS.format(1)} {a.card.mac}")
        said = b.run("/rxe setup; ibv_devinfo -v")
        gid = int(re.search(rf"GID\[ *(\d+)\]:\s+::ffff:{ADDRESS.format(2)}", said).group(1))
        serve(a, f"ibv_rc_pingpong -n 100 -c -m 1024 -g {V2_GID}")
        said = b.run(f"ibv_rc_pingpong -n 100 -c -m 1024 -g {gid} {TCP.format(1)}", timeout=120)
        assert b.console.status == 0 and "100 iters" in said, said + a.run("cat /tmp/server")
        for tool in PERFTEST:
            options = f"-F -n 40 {OPTIONS[tool]} {'-o 16' if tool in ('ib_read_bw', 'ib_atomic_bw') else ''}"
            serve(b, f"{tool} -x {gid} {options}")
            said = a.run(f"{tool} -x {V2_GID} {options} {TCP.format(2)}", timeout=120)
            assert a.console.status == 0 and re.search(r"^ *\d+ +40 ", said, re.M), said + b.run("cat /tmp/server")
        assert_clean(a)


# --- faults -----------------------------------------------------------------------------------------------


def test_linux_gives_pages_while_a_command_waits_and_sees_the_link_go(wires):
    with HcaLinux(options=["--fault", "page-request=40@200"]) as linux:
        bring_up(linux)
        assert "asks for 40 pages" in linux.card.log.read_text()
        assert "PORT_ACTIVE" in linux.run("ibv_devinfo")
        linux.card.fault("port-down")
        linux.run("until [ $(cat /sys/class/net/eth0/carrier) = 0 ]; do sleep 0.1; done", timeout=20)
        assert "PORT_DOWN" in linux.run("ibv_devinfo")
        linux.card.fault("port-up")
        linux.up("eth0")
        assert "PORT_ACTIVE" in linux.run("ibv_devinfo")
        assert_clean(linux)


def test_a_host_that_goes_off_leaves_the_card_disabled():
    with HcaLinux() as linux:
        bring_up(linux)
        linux.console.type("reboot -f\n")
        linux.process.wait(60)
        assert "nic_interface: disabled" in linux.card.log.read_text()
        assert not linux.card.refusals(), linux.card.refusals()


@pytest.mark.soak
@pytest.mark.parametrize("fault, said", [("health-stopped", "health compromised"), ("internal-error=7", "synd 0x7")])
def test_linux_notices_a_card_that_fails(fault, said):
    with HcaLinux() as linux:
        bring_up(linux)
        linux.card.fault(fault)
        linux.run(f"until dmesg | grep -q '{said}'; do sleep 0.5; done", timeout=60)


def test_help_has_a_line_to_attach_it_by_hand():
    said = subprocess.run([BUILD / "hca", "--help"], check=True, capture_output=True, text=True).stdout
    assert "-- qemu-system-x86_64" in said and "command-timeout" in said

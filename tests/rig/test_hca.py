"""The HCA model (tools/hca), judged by Linux's own mlx5 drivers and by Debian's RDMA tools."""
import re

import pytest

from hca import PERFTEST, TOOLS, HcaLinux
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
    log = linux.log.read_text()
    assert re.search(r"disabled after \d+ commands; 0 pages kept, 0 refusals", log), linux.refusals()
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


def pingpong(server, client, address, gid):
    options = f"-n 100 -c {gid}"
    server.run(f"(ibv_rc_pingpong {options} >/tmp/server 2>&1 &); sleep 1")
    said = client.run(f"ibv_rc_pingpong {options} {address}", timeout=60)
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

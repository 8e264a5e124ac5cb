# SPDX-License-Identifier: BSD-2-Clause
"""RDMA between a Ferry host and Linux's rdma_rxe, in both directions, judged by a program on libibverbs (tests/rxe)."""
import re
import subprocess

import pytest
from scapy.contrib.roce import BTH
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.utils import PcapReader

from emulator import BUILD
from host import Host
from linux import Linux
from wire import Wire

FERRY, LINUX, OTHER = "10.0.0.1", "10.0.0.9", "10.0.0.10"
MODULES = ("udp_tunnel", "ip6_udp_tunnel", "ib_core", "ib_uverbs", "crc32_generic", "rdma_rxe", "e1000")
CASES = 40  # of the program's matrix
HOST_CASES = CASES + 1  # of `rdma verify`: libibverbs does not post an atomic that is not aligned
ETHER_HEADER = 14
OPCODES = set(range(0x15))  # all of RC but SEND with invalidate
SOAK = pytest.mark.soak


@pytest.fixture
def wire(tmp_path):
    with Wire(tmp_path, pcap=tmp_path / "wire.pcap") as w:
        w.file = tmp_path / "wire.pcap"
        yield w


def rxe_linux(wire):
    return Linux(nic=wire.end(), modules=MODULES, files=[BUILD / "rxe"])


def set_up(linux, address, *neighbours):
    """Neighbours do not change: on a bad line ARP would be judged too."""
    linux.run(f"ip addr add {address}/24 dev eth0")
    for other, end in neighbours:
        linux.run(f"arp -s {other} {end.mac}")
    said = linux.run("/rxe setup")
    assert linux.console.status == 0, said


def wrong_cases(said):
    """The lines of the matrix that are not right."""
    assert re.search(r"\d+ right, \d+ wrong", said), said
    case = r"(?:[A-Z_]{4,}|atomic)(?:, [a-z ]+?)? +\d+ (?!right)"
    return [line for line in said.split("\n") if re.match(case, line)]


def assert_right(said, cases, lost_refusals=False):
    """On a bad wire the one NAK with which Linux refuses may be lost: its queue pair is in error then, and says no more.
    The control has the same. Ferry says it again."""
    wrong = wrong_cases(said)
    if lost_refusals:
        wrong = [w for w in wrong if not re.search(r",.*retr(y|ies)", w)]
    assert not wrong, said
    assert sum(map(int, re.search(r"(\d+) right, (\d+) wrong", said).groups())) == cases, said


def set_faults(wire, faults):
    wire.loss = wire.double = wire.reorder = faults


def tshark(wire, *arguments):
    # RPC over RDMA takes any SEND for its own, and then finds it too short: it is not asked. Nothing else is left out here.
    return subprocess.run(["tshark", "-r", str(wire.file), "--disable-protocol", "rpcordma", "-o",
                           "ip.check_checksum:TRUE", *arguments], check=True, timeout=120, capture_output=True,
                          text=True).stdout


def assert_others_read_the_capture(wire, mac):
    """No packet of either side is malformed, all opcodes are there, and scapy computes the ICRCs of that MAC's.

    tshark guesses at payloads, which are random bytes here: RPC over RDMA is not asked (see above), and where the
    first four bytes look like the header of IP over InfiniBand (an EtherType, then two zeros: RFC 4391) it goes on as
    if they were, and finds the rest wrong. Of such a packet scapy must confirm all that is before it, by the ICRC.
    """
    wire.pcap.file.flush()
    bad = [line.split() for line in
           tshark(wire, "-Y", "udp.port == 4791 && (_ws.malformed || ip.checksum.status == 0)", "-T", "fields",
                  "-e", "frame.number", "-e", "frame.protocols").splitlines()]
    assert not [b for b in bad if "infiniband:ethertype" not in b[1]], bad
    guessed = {int(number) for number, _ in bad}
    assert len(guessed) <= 20, bad
    seen = tshark(wire, "-Y", "infiniband", "-T", "fields", "-e", "infiniband.bth.opcode").split()
    assert {int(o, 0) for o in seen} == OPCODES
    checked = {}
    for number, packet in enumerate(PcapReader(str(wire.file)), 1):
        # scapy is slow: the first 50 of each opcode
        if BTH in packet and (number in guessed or
                              packet.src == mac and checked.setdefault(packet[BTH].opcode, 0) < 50):
            if packet.src == mac:
                checked[packet[BTH].opcode] = checked.get(packet[BTH].opcode, 0) + 1
            frame = bytes(packet)[:ETHER_HEADER + packet[IP].len]  # without padding
            again = Ether(frame)
            again[BTH].icrc = None
            assert bytes(again) == frame
    assert len(checked) > 8, checked


def test_a_host_and_linux_reach_each_others_memory(kind, wire):
    with Host(kind, config=f"address {FERRY}/24", nic=wire.end()) as host, rxe_linux(wire) as linux:
        set_up(linux, LINUX, (FERRY, wire.ends[0]))
        host.run("rdma listen")
        assert_right(linux.run(f"/rxe check {FERRY}", timeout=300), CASES)
        linux.run("(/rxe serve >/tmp/serve 2>&1 &)")
        assert_right(host.run(f"rdma verify {LINUX}", timeout=300), HOST_CASES)
        assert "wrong ICRC" not in host.run("rdma")
        assert_others_read_the_capture(wire, wire.ends[0].mac)


@pytest.mark.parametrize("faults", [1, pytest.param(5, marks=SOAK)])
def test_a_host_reaches_linuxs_memory_on_a_bad_wire(wire, faults):
    with Host("amd", config=f"address {FERRY}/24", nic=wire.end()) as host, rxe_linux(wire) as linux:
        set_up(linux, LINUX, (FERRY, wire.ends[0]))
        linux.run("(/rxe serve >/tmp/serve 2>&1 &)")
        assert host.run(f"rdma ping {LINUX}", timeout=60).count("64 bytes came back") == 4
        set_faults(wire, faults)
        assert_right(host.run(f"rdma verify {LINUX}", timeout=600), HOST_CASES, lost_refusals=True)


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=SOAK)])
def test_what_linux_completes_has_its_data_whatever_was_lost(wire, count):
    """rdma_rxe takes any ACK with the PSN of a READ or atomic for its answer."""
    with Host("amd", config=f"address {FERRY}/24", nic=wire.end()) as host, rxe_linux(wire) as linux:
        set_up(linux, LINUX, (FERRY, wire.ends[0]))
        host.run("rdma listen")
        wire.loss = 10
        said = linux.run(f"/rxe pairs {FERRY} {count}", timeout=900)
        assert "success without its data" not in said
        assert_right(said, 2 * count)


@pytest.mark.soak
@pytest.mark.parametrize("faults", [1, 5])
def test_linux_reaches_a_hosts_memory_on_a_bad_wire(wire, faults):
    """Slow: rdma_rxe waits for its time-out wherever the last packet was lost."""
    with Host("amd", config=f"address {FERRY}/24", nic=wire.end()) as host, rxe_linux(wire) as linux:
        set_up(linux, LINUX, (FERRY, wire.ends[0]))
        host.run("rdma listen")
        set_faults(wire, faults)
        assert_right(linux.run(f"/rxe check {FERRY}", timeout=900), CASES)


@pytest.mark.soak
@pytest.mark.parametrize("faults", [0, 1, 5])
def test_two_linuxes_as_control(wire, faults):
    """What fails here too is not ours: it is printed, and does not count."""
    with rxe_linux(wire) as a, rxe_linux(wire) as b:
        set_up(a, LINUX, (OTHER, wire.ends[1]))
        set_up(b, OTHER, (LINUX, wire.ends[0]))
        b.run("(/rxe serve >/tmp/serve 2>&1 &)")
        set_faults(wire, faults)
        print("\n".join(wrong_cases(a.run(f"/rxe check {OTHER}", timeout=900))) or "nothing fails")

# SPDX-License-Identifier: BSD-2-Clause
"""Hosts on a wire: each other, and a stock Linux whose stack is not ours."""
import random
import re
import struct
import subprocess
import time

import pytest

from host import Host
from linux import Linux
from wire import Wire

A, B, L = "10.0.0.1", "10.0.0.2", "10.0.0.9"


@pytest.fixture
def wire(tmp_path):
    with Wire(tmp_path, pcap=tmp_path / "wire.pcap") as w:
        w.file = tmp_path / "wire.pcap"
        yield w


def pinged(host, address, count):
    """How many echoes came back."""
    said = host.run(f"ping {address} {count}", timeout=30 + 2 * count)
    m = re.search(rf"{count} sent, (\d+) received", said)
    assert m, said
    return int(m.group(1))


def counters(host):
    """The numbers of `net`: what it calls them, to the first of them."""
    return {m[1]: int(m[2]) for m in re.finditer(r"^  (\S.*?) {2,}(\d+)", host.run("net"), re.M)}


def assert_no_frame_is_malformed(wire):
    wire.pcap.file.flush()
    command = ["tshark", "-r", str(wire.file), "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "ARP" in seen and "ICMP" in seen, seen
    bad = subprocess.run(
        [*command, "-Y", "_ws.malformed || ip.checksum.status == 0 || icmp.checksum.status == 0 || _ws.expert"
                         ".severity == error"], check=True, capture_output=True, text=True).stdout
    assert bad == ""


def test_two_hosts_ping_each_other_and_a_capture_of_it_is_well_formed(kind, wire):
    """With an intel host the other is an amd one: two kinds of emulator on one wire."""
    with Host(kind, config=f"address {A}/24", nic=wire.end()) as a, \
            Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        assert re.search(r"8086:100e +Ethernet +e1000", a.run("pci"))
        assert "link up" in a.run("net")
        assert pinged(a, B, 5) == 5
        assert pinged(b, A, 5) == 5
        n = counters(a)
        assert n["echoes answered"] == 5
        assert not n.keys() & {"wrong IPv4 checksum", "cut short", "wrong ICMP checksum", "received with an error"}
        assert "nobody in this network answers" in a.run("ping 10.0.0.77")
        assert "not in this host's network" in a.run("ping 192.0.2.1")
        assert max(map(len, (a.run("net") + "\n" + a.run("pci bars")).split("\n"))) <= 80
        assert_no_frame_is_malformed(wire)


def test_an_idle_host_with_a_nic_halts(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a:
        m = re.search(r"^net +\w+ +\S+ s +(\d+)\.\d", a.run("cpu"), re.M)
        assert m and int(m.group(1)) <= 10


def test_pings_survive_a_wire_that_loses_doubles_and_reorders(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a, \
            Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        assert pinged(b, A, 1) == 1
        wire.loss, wire.double, wire.reorder = 5, 5, 5
        # Of 40 echoes over two ways with 5 % loss each, 36 come back on average.
        assert 28 <= pinged(a, B, 40) <= 40
        assert sum(c["lost"] for c in wire.counters()) > 0
        assert counters(a).get("wrong ICMP checksum", 0) == 0


def test_a_duplicate_address_is_told_on_both_hosts(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a:
        with Host("amd", config=f"address {A}/24", nic=wire.end()) as b:
            for h, other in ((b, "01"), (a, "02")):
                h.wait_log(f"{A} is also used by 52:54:00:fe:00:{other}")
                assert re.search(rf"^conflict +52:54:00:fe:00:{other}", h.run("net"), re.M)


def strange_frames(to, count):
    """Frames as nobody should send them, to that MAC: noise behind headers that are more or less right."""
    source = random.Random(4)
    head = bytes.fromhex(to.replace(":", "") + "020000000099")
    for _ in range(count):
        noise = source.randbytes(source.randrange(1487))
        kind = source.randrange(4)
        if kind == 0:
            yield head + source.randbytes(2) + noise
        elif kind == 1:
            yield head + b"\x08\x06" + noise
        else:  # IPv4 with a right checksum, to the host, of any length, some of it fragments
            length = source.choice([len(noise) + 20, source.randrange(65536)])
            ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, length, 1, source.choice([0, 0, 0x2000]), 64,
                             source.choice([1, 17, 6]), 0, b"\x0a\0\0\x09", b"\x0a\0\0\x01")
            total = sum(struct.unpack(">10H", ip))
            total = (total & 0xffff) + (total >> 16)
            yield head + b"\x08\0" + ip[:10] + struct.pack(">H", ~total & 0xffff) + ip[12:] + noise


def test_a_host_survives_whatever_is_on_the_wire(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a, \
            Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        before = counters(a)["received"]
        for frame in strange_frames(wire.ends[0].mac, 4000):
            wire.inject(wire.ends[0], frame)
        n = counters(a)
        while n["received"] + n.get("missed: no room in the NIC", 0) + n.get("received with an error", 0) \
                < before + 3900:
            time.sleep(0.5)
            now = counters(a)
            assert now != n, n
            n = now
        for what in ("cut short", "fragments", "wrong ICMP checksum", "wrong UDP length", "wrong ARP",
                     "neither ICMP nor UDP", "neither IPv4 nor ARP"):
            assert n.get(what, 0) > 50, (what, n)
        assert pinged(a, B, 3) == 3
        assert pinged(b, A, 3) == 3
        assert "did not yield" not in a.log()


def test_a_stock_linux_and_a_host_ping_each_other(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a, Linux(nic=wire.end()) as linux:
        linux.run(f"ip addr add {L}/24 dev eth0")
        assert pinged(a, L, 5) == 5
        for size in (0, 1, 56, 1472):
            said = linux.run(f"ping -c 3 -s {size} {A}")
            assert "3 packets received" in said, (size, said)
        # Fragments are not put together, which is counted.
        assert "0 packets received" in linux.run(f"ping -c 1 -W 1 -s 3000 {A}")
        assert counters(a)["fragments"] > 0
        linux.run(f"timeout 2 nslookup nobody {A}")
        assert counters(a)["UDP to a closed port"] > 0
        assert_no_frame_is_malformed(wire)

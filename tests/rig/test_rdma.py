# SPDX-License-Identifier: BSD-2-Clause
"""RDMA over the wire: two hosts reach each other's memory, on a good line and on bad ones."""
import re

import pytest

from host import Host
from wire import Wire

A, B = "10.0.0.1", "10.0.0.2"
# Operation, size, count: what a second or two of an emulator can do.
TRANSFERS = [("write", "64K", 20), ("read", "64K", 20), ("send", "16K", 50), ("atomic", 8, 100)]


@pytest.fixture
def wire(tmp_path):
    with Wire(tmp_path) as w:
        yield w


def transfer(host, to, operation, size, count, timeout=120):
    """Does it, and returns how many packets were sent again."""
    said = host.run(f"rdma bw {to} {operation} {size} {count}", timeout)
    m = re.search(rf"\d+ bytes in {count} messages, \S+ s, \S+ MB/s, (\d+) packets resent", said)
    assert m, said
    print(host.kind, operation, size, count, m.group(0))
    return int(m.group(1))


def listen(host):
    assert "listening on UDP port 18515" in host.run("rdma listen")


def test_two_hosts_reach_each_others_memory(kind, wire):
    with Host(kind, config=f"address {A}/24", nic=wire.end()) as a, \
            Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        said = a.run("rdma")
        assert re.search(r"^port +active, path MTU 1024", said, re.M), said
        assert "0000:0000:0000:0000:0000:ffff:0a00:0001" in said
        assert "does it run `rdma listen`?" in " ".join(a.run(f"rdma ping {B}", timeout=60).split())
        for client, server, address in ((a, b, B), (b, a, A)):
            listen(server)
            assert client.run(f"rdma ping {address}", timeout=60).count("64 bytes came back") == 4
            for operation, size, count in TRANSFERS:
                transfer(client, address, operation, size, count if kind == "amd" else count // 5)
            assert "error" not in server.run("rdma listen stop").lower()
        assert not re.search(r"wrong ICRC|lengths disagree", a.run("rdma"))


@pytest.mark.parametrize("faults", [1, pytest.param(5, marks=pytest.mark.soak)])
def test_transfers_survive_a_wire_that_loses_doubles_and_reorders(wire, faults):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a, \
            Host("amd", config=f"address {B}/24", nic=wire.end()) as b:
        listen(b)
        assert a.run(f"rdma ping {B}", timeout=60).count("64 bytes came back") == 4
        wire.loss = wire.double = wire.reorder = faults
        assert sum(transfer(a, B, *t) for t in TRANSFERS) > 0
        said = a.run(f"rdma verify {B}", timeout=300)
        assert re.search(r"\d+ right, 0 wrong", said), said
        assert sum(c["lost"] for c in wire.counters()) > 0


def test_what_cannot_be_done_is_said(wire):
    with Host("amd", config=f"address {A}/24", nic=wire.end()) as a, Host("amd", nic=wire.end()) as b:
        for command, says in (
                ("rdma listen stop", "does not listen"),
                (f"rdma bw {B} jump 1 1", "none of write"),
                (f"rdma bw {B} write 2M 1", "not from 1 to 1M"),
                (f"rdma bw {B} atomic 4 1", "8 bytes"),
                ("rdma ping somebody", "no IPv4 address"),
                ("rdma ping 10.0.0.77", "nobody in this network answers")):
            assert says in " ".join(a.run(command).split()), command
        assert "ferry.cfg needs" in " ".join(b.run("rdma listen").split())

"""VMs move between two hosts and back, over soft-RoCE."""
import re

import pytest

from conftest import guest_files
from host import Host
from wire import Wire

A, B = "10.0.0.1", "10.0.0.2"
KEY = "00112233445566778899aabbccddeeff" * 2
SECRET = "ffeeddccbbaa99887766554433221100" * 2


def config(name, address, peer, peer_address):
    return f"address {address}/24\npeer {peer} {peer_address} {KEY}\nfabric isolated\nsecret default {SECRET}\n"


@pytest.fixture
def pair(kind, tmp_path):
    """Two hosts of one kind that know each other."""
    with Wire(tmp_path) as wire, \
            Host(kind, name="alpha", files=guest_files(), config=config("alpha", A, "beta", B), nic=wire.end()) as a, \
            Host(kind, name="beta", files=guest_files(), config=config("beta", B, "alpha", A), nic=wire.end()) as b:
        a.wait_log("connected to beta", 60)
        yield a, b


def migrate(source, vm, target, timeout=120):
    said = source.run(f"migrate {vm} to {target}", timeout)
    m = re.search(rf"{vm} runs on {target} after ([\d.]+) s; it stood still for ([\d.]+) ms", said)
    assert m, said
    return float(m.group(2))


def test_a_guest_that_writes_all_its_memory_moves_there_and_back(pair):
    a, b = pair
    a.create("mover", "pattern.elf", memory="8M", cmdline="rounds=1000000")
    a.run("vm start mover")
    with a.console("mover") as guest:
        guest.expect(r"round \d+")
    for source, target, name in ((a, b, "beta"), (b, a, "alpha")):
        print(migrate(source, "mover", name), source.run("migrate info mover"))
        assert target.state("mover")[0] == "running"
        with target.console("mover") as guest:
            for _ in range(3):
                guest.expect(r"round \d+")
        assert "no VM named" in source.run("vm info mover")

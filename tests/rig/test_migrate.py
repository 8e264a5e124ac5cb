"""VMs move between two hosts and back, over soft-RoCE."""
import re
import time

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
    """Moves it, and returns the downtime in ms."""
    said = source.run(f"migrate {vm} to {target}", timeout)
    m = re.search(rf"{vm} runs on {target} after ([\d.]+) s; it stood still for ([\d.]+) ms", said)
    assert m, said[-600:]
    return float(m.group(2))


def figures(host, vm):
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"^  (.+?) +(\d+)$", host.run(f"migrate info {vm}"), re.M)}


def start(host, name, **options):
    """A guest that checks its memory at a pace."""
    ticks = 5000000 if host.kind == "amd" else 100000  # 2 ms
    line = " ".join(f"{k}={v}" for k, v in {"ticks": ticks, **options}.items())
    host.create(name, "mover.elf", memory="8M", cmdline=line)
    host.run(f"vm start {name}")
    with host.console(name) as guest:
        guest.expect(r"filled \d+ pages", 60)


def is_well(host, name, rounds=3):
    """It goes on, and has found every byte."""
    with host.console(name) as guest:
        for _ in range(rounds):
            m = guest.expect(r"round \d+ wrong (\d+)\r", 60)
            assert m.group(1) == "0"


def drained(host, limit=60):
    end = time.monotonic() + limit
    while "Nothing is borrowed" not in host.run("borrow"):
        assert time.monotonic() < end, host.run("borrow")
        time.sleep(0.5)


def test_a_vm_moves_there_and_back(pair):
    a, b = pair
    start(a, "mover")
    for source, target, name in ((a, b, "beta"), (b, a, "alpha")):
        migrate(source, "mover", name)
        is_well(target, "mover")
        assert "no VM named" in source.run("vm info mover")
        drained(target)
        assert "Nothing is lent" in source.run("lend")


def test_shared_pages_stay_and_come_when_they_are_written(pair):
    a, b = pair
    start(a, "one", same=4, write=1)
    start(a, "two", same=4, seed=2)
    for _ in range(3):
        a.run("share now", timeout=120)
    a.run("share off")
    b.run("borrow rate 0")
    migrate(a, "one", "beta")
    f = figures(a, "one")
    assert f["pages that stay"] > 600, f
    assert f["pages written"] - f["of these again"] < f["pages with content"] - 600, f
    is_well(b, "one", 5)
    is_well(a, "two")
    said = b.run("borrow")
    m = re.search(r"fetched: (\d+) for writes, (\d+) for reads, (\d+) ahead, (\d+) drained; (\d+) twice", said)
    assert m and int(m[1]) and int(m[2]) and not int(m[4]) and not int(m[5]), said
    assert "remote" in b.run("vm map one")
    migrate(b, "one", "alpha")  # home: what was not written is still there
    f = figures(a, "one")
    assert f["pages at home there"] > 100, f
    is_well(a, "one")
    is_well(a, "two")
    assert "Nothing is lent" in a.run("lend") and "Nothing is borrowed" in b.run("borrow")


def test_a_guest_that_writes_all_its_memory_is_slowed_down_until_it_can_move(pair, kind):
    if kind == "intel":
        pytest.skip("its NIC carries 1 MB/s: that takes minutes")
    a, b = pair
    a.create("mover", "pattern.elf", memory="8M", cmdline="rounds=1000000")
    a.run("vm start mover")
    with a.console("mover") as guest:
        guest.expect(r"round \d+")
    migrate(a, "mover", "beta")
    with b.console("mover") as guest:
        for _ in range(3):
            guest.expect(r"round \d+")
    assert figures(a, "mover")["rounds"] > 2

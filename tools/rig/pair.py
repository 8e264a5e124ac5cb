# SPDX-License-Identifier: BSD-2-Clause
"""Two hosts that know each other, on a wire; and what is done with VMs that move between them."""
import contextlib
import re

from emulator import Card
from host import Host, wait_until
from wire import Wire

ADDRESS = {"alpha": "10.0.0.1", "beta": "10.0.0.2"}
KEY = "00112233445566778899aabbccddeeff" * 2
SECRET = "ffeeddccbbaa99887766554433221100" * 2


def config(name):
    """ferry.cfg of one of the two."""
    other = "beta" if name == "alpha" else "alpha"
    return (f"address {ADDRESS[name]}/24\npeer {other} {ADDRESS[other]} {KEY}\nfabric isolated\n"
            f"rdma-timeout 1000\nsecret default {SECRET}\n")


@contextlib.contextmanager
def pair(kind, folder, files, more=None, cards=False, **options):
    """Yields alpha, beta and the wire; they are connected. more: what their ferry.cfg has besides, by name. cards: each
    has an mlx5 card beside its NIC, on the same wire (host.options["card"])."""
    def one(name, wire):
        beside = {"card": Card(wire.end()), "cpus": 1} if cards else {}
        return Host(kind, name=name, files=files, config=config(name) + (more or {}).get(name, ""), nic=wire.end(),
                    **beside, **options)
    with Wire(folder) as wire, one("alpha", wire) as a, one("beta", wire) as b:
        a.wait_log("connected to beta", 60)
        yield a, b, wire


def start(host, name, memory="8M", **options):
    """A guest that checks its memory at a pace."""
    ticks = 5000000 if host.kind == "amd" else 1000000  # 2 and 20 ms
    line = " ".join(f"{k}={v}" for k, v in {"ticks": ticks, **options}.items())
    host.create(name, "mover.elf", memory=memory, cmdline=line)
    host.run(f"vm start {name}")
    with host.console(name) as guest:
        guest.expect(r"filled \d+ pages", 60)


def is_well(host, name, rounds=3):
    """It goes on, and has found every byte."""
    with host.console(name) as guest:
        for _ in range(rounds):
            m = guest.expect(r"round \d+ wrong (\d+)\r", 60)
            assert m.group(1) == "0"


def connected(host, name, limit=60):
    """Waits until it has a connection to that host."""
    wait_until(lambda: re.search(rf"^ *{name} +\S+ +up ", host.run("peers"), re.M), limit, lambda: host.run("peers"))


def migrate(source, vm, target, timeout=120):
    """Moves it, and returns the downtime in ms."""
    said = source.run(f"migrate {vm} to {target}", timeout)
    m = re.search(rf"{vm} runs on {target} after ([\d.]+) s; it stood still for ([\d.]+) ms", said)
    assert m, said[-600:]
    return float(m.group(2))


def figures(host, vm):
    """What `migrate info` says, as a table."""
    return {m[1].strip(): int(m[2]) for m in re.finditer(r"^  (.+?) +(\d+)$", host.run(f"migrate info {vm}"), re.M)}


def drained(host, limit=60):
    """Waits until nothing is borrowed any more."""
    wait_until(lambda: "Nothing is borrowed" in host.run("borrow"), limit, lambda: host.run("borrow"))

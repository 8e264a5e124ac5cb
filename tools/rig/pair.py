"""Two hosts that know each other, on a wire; and what is done with VMs that move between them."""
import contextlib
import re
import time

from host import Host
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
def pair(kind, folder, files, more=None, **options):
    """Yields alpha, beta and the wire; they are connected. more: what their ferry.cfg has besides, by name."""
    more = more or {}
    with Wire(folder) as wire, \
            Host(kind, name="alpha", files=files, config=config("alpha") + more.get("alpha", ""), nic=wire.end(), **options) as a, \
            Host(kind, name="beta", files=files, config=config("beta") + more.get("beta", ""), nic=wire.end(), **options) as b:
        a.wait_log("connected to beta", 60)
        yield a, b, wire


def connected(host, name, limit=60):
    """Waits until it has a connection to that host."""
    end = time.monotonic() + limit
    while not re.search(rf"^ *{name} +\S+ +up ", host.run("peers"), re.M):
        assert time.monotonic() < end, host.run("peers")
        time.sleep(0.3)


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
    end = time.monotonic() + limit
    while "Nothing is borrowed" not in host.run("borrow"):
        assert time.monotonic() < end, host.run("borrow")
        time.sleep(0.5)

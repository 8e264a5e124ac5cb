# SPDX-License-Identifier: BSD-2-Clause
"""VMs move between two hosts and back, over soft-RoCE."""
import re
import time

import pytest

from conftest import guest_files
from host import LINUX_LIMIT, Host, wait_until
from pair import config, connected, drained, figures, is_well, migrate, pair, start
from wire import Wire


@pytest.fixture
def hosts(kind, tmp_path):
    with pair(kind, tmp_path, guest_files()) as (a, b, _):
        yield a, b


def test_a_vm_moves_there_and_back(hosts):
    a, b = hosts
    start(a, "mover")
    for source, target, name in ((a, b, "beta"), (b, a, "alpha")):
        migrate(source, "mover", name)
        is_well(target, "mover")
        assert "no VM named" in source.run("vm info mover")
        drained(target)
        assert "Nothing is lent" in source.run("lend")


def test_shared_pages_stay_and_come_when_they_are_written(patience, hosts):
    a, b = hosts
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
    assert "if alpha died now, one would be lost" in " ".join(said.split())
    assert "remote" in b.run("vm map one")
    migrate(b, "one", "alpha")  # home: what was not written is still there
    f = figures(a, "one")
    assert f["pages at home there"] > 100, f
    is_well(a, "one")
    is_well(a, "two")
    assert "Nothing is lent" in a.run("lend") and "Nothing is borrowed" in b.run("borrow")


# The count is there at once, and never half written.
CHECKS = ("echo 0 > /n; n=0; p=0; while :; do md5sum -c /sum >/dev/null 2>&1 || echo memory >> /bad; "
          "read t x < /proc/uptime; t=${t%.*}; [ $t -ge $p ] || echo clock >> /bad; p=$t; n=$((n+1)); echo $n > /n.new; "
          "mv /n.new /n; done & true")


def clock(guest):
    """A Linux guest's uptime, and between which moments of this machine it was read."""
    before = time.monotonic()
    uptime = float(guest.run("cut -d' ' -f1 /proc/uptime"))
    return uptime, before, time.monotonic()


@pytest.mark.parametrize("trips", [1, pytest.param(5, marks=pytest.mark.soak)])
def test_linux_keeps_its_memory_and_its_clock_on_round_trips(patience, hosts, kind, trips):
    a, b = hosts
    a.create("linux", "vmlinuz", initrd="initrd.gz", memory="96M", cpus=2, cmdline="console=ttyS0 quiet")
    with a.console("linux") as guest:
        guest.expect("guest# ", LINUX_LIMIT[kind])
        guest.run("dd if=/dev/urandom of=/file bs=1M count=8; md5sum /file > /sum", 60)
        guest.run(CHECKS)
        lines = int(guest.run("dmesg | wc -l"))
        then = clock(guest)
    for source, target, name in ((a, b, "beta"), (b, a, "alpha")) * trips:
        with source.console("linux") as guest:
            before = int(guest.run("cat /n"))
        migrate(source, "linux", name, 300)
        with target.console("linux") as guest:
            wait_until(lambda: int(guest.run("cat /n")) >= before + 2, target.limit(120),
                       lambda: guest.run("ps; cat /n"))
        drained(target, 120)
    with a.console("linux") as guest:
        now = clock(guest)
        assert now[1] - then[2] - 0.5 < now[0] - then[0] < now[2] - then[1] + 0.5, ("its clock went wrong", then, now)
        assert guest.run("cat /bad 2>/dev/null") == ""
        assert guest.run(f"dmesg | tail -n +{lines + 1} | grep -i -E 'unstable|lockup|stall|BUG:|Call Trace'") == ""


def test_by_policy_a_page_that_is_read_becomes_the_vms_own(patience, hosts):
    a, b = hosts
    start(a, "one", same=4)
    start(a, "two", same=4, seed=2)
    for _ in range(3):
        a.run("share now", timeout=120)
    a.run("share off")
    b.run("borrow rate 0")
    assert "neither `on-write` nor `on-access`" in b.run("borrow policy read")
    b.run("borrow policy on-access")
    migrate(a, "one", "beta")
    is_well(b, "one")
    said = b.run("borrow")
    m = re.search(r"fetched: (\d+) for writes, (\d+) for reads", said)
    assert m and int(m[1]) and not int(m[2]), said
    assert "c cached 0 pages" in " ".join(b.run("vm map one").split())


def test_vms_move_at_once_and_in_both_directions(patience, hosts):
    a, b = hosts
    for host, name in ((a, "one"), (a, "two"), (b, "three")):
        start(host, name)
    a.line.send("migrate one to beta\r")
    a.expect("copying")
    a.line.send("\x03")
    a.expect(a.prompt)
    a.line.send("migrate two to beta\r")
    migrate(b, "three", "alpha")
    a.expect("two runs on beta", 60)
    a.expect(a.prompt)
    for host, name in ((b, "one"), (b, "two"), (a, "three")):
        host.wait_state(name, "running", 60)
        is_well(host, name)
    drained(a)
    drained(b)


def test_a_host_that_restarts_hands_over_what_it_lends_and_does_not_start_what_has_moved(tmp_path):
    vm = "vm {}\n    memory 8M\n    kernel mover.elf\n    cmdline same=4 ticks=5000000 {}\n    autostart yes\n"
    more = {"alpha": vm.format("one", "") + vm.format("two", "seed=2")}
    with pair("amd", tmp_path, guest_files(), more, restarts=True) as (a, b, wire):
        a.wait_state("two", "running")
        with a.console("two") as guest:
            guest.expect(r"round \d+", 60)
        for _ in range(3):
            a.run("share now", timeout=120)
        a.run("share off")
        b.run("share off")
        b.run("borrow rate 0")
        migrate(a, "one", "beta")
        assert re.search(r"one +beta +\d+ +[1-9]", a.run("lend"))
        a.line.send("reboot\r")
        a.expect("0 pages left.*This host restarts", 60)
        is_well(b, "one")
        a.expect(a.prompt, 90)
        a.wait_log("VM one does not start: beta has one", 60)
        a.wait_state("two", "running")
        assert a.state("one")[0] == "off"
        assert "beta has one" in a.run("vm start one")
        wire.loss = 100
        assert "aborted" in b.run("migrate one to alpha", 90)
        wire.loss = 0
        is_well(b, "one")
        assert a.state("one")[0] == "off"
        connected(b, "alpha")
        migrate(b, "one", "alpha")  # where one stood, off
        is_well(a, "one")
        assert "no VM named" in b.run("vm info one")


def test_an_idle_linux_that_is_older_than_the_host_it_moves_to_keeps_its_timers(tmp_path):
    with pair("amd", tmp_path, guest_files(), restarts=True) as (a, b, _):
        a.create("linux", "vmlinuz", initrd="initrd.gz", memory="96M", cpus=2, cmdline="console=ttyS0 quiet")
        with a.console("linux") as guest:
            guest.expect("guest# ", LINUX_LIMIT["amd"])
        b.line.send("reboot\r")
        b.expect("This host restarts", 60)
        b.expect(b.prompt, 90)
        connected(b, "alpha")
        migrate(a, "linux", "beta", 300)
        with b.console("linux") as guest:
            then = clock(guest)[0]
            assert "awake" in guest.run("sleep 1; echo awake", 60)
            assert clock(guest)[0] - then >= 1


def test_vms_that_wait_for_a_host_that_is_off_start_one_by_one_as_the_user_says(tmp_path):
    names = [f"v{i}" for i in range(5)]
    vms = "".join(f"vm {n}\n    memory 4M\n    kernel idle.elf\n    autostart yes\n" for n in names)
    with Wire(tmp_path) as wire, \
            Host("amd", name="alpha", files=guest_files(), config=config("alpha") + vms, nic=wire.end()) as a:
        a.wait_log("VM v4 is not started yet: beta does not say whether it has v4", 60)
        for name in names:
            said = a.run(f"migrate resolve {name} --peer-is-off beta")
            assert "error" not in said, said
        for name in names:
            a.wait_state(name, "running", 60)


def test_a_host_asks_nobody_who_is_off_unless_the_user_says_so(tmp_path):
    with pair("amd", tmp_path, guest_files()) as (a, b, _):
        a.run("vm create one kernel=idle.elf memory=8M")
        b.end()
        said = a.run("vm start one")
        assert "beta does not say whether it has one; `migrate resolve one --peer-is-off beta`" in " ".join(said.split())
        assert "is not off: it is connected" in a.run("migrate resolve one --peer-is-off beta")
        a.wait_log("the connection to beta is down", 60)
        a.run("vm start one")
        a.run("migrate resolve one --peer-is-off beta")
        a.run("vm start one")
        a.wait_state("one", "running")


def test_a_guest_that_writes_all_its_memory_is_slowed_down_until_it_can_move(patience, hosts):
    a, b = hosts
    a.create("mover", "pattern.elf", memory="8M", cmdline="rounds=1000000")
    a.run("vm start mover")
    with a.console("mover") as guest:
        guest.expect(r"round \d+")
    migrate(a, "mover", "beta")
    with b.console("mover") as guest:
        for _ in range(3):
            guest.expect(r"round \d+")
    assert figures(a, "mover")["rounds"] > 2

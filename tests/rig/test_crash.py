# SPDX-License-Identifier: BSD-2-Clause
"""Hosts whose power is cut while a VM moves between them, at any moment: at most one of them runs it, with every byte in
its place, or says what was lost; and they go on with each other when both are up again."""
import random
import re
import time

import pexpect
import pytest

from conftest import guest_files
from host import state_in
from pair import drained, is_well, migrate, pair, start

SOAK = pytest.mark.soak
MOMENTS = [0, 1, *(pytest.param(n, marks=SOAK) for n in range(2, 20))]


def wait_quiet(host, vm, limit=60):
    """Until nothing is under way for that VM: it runs here and has all its pages, or this host has no more of it."""
    end = time.monotonic() + limit
    while True:
        moves, info = host.run("migrate list"), host.run(f"vm info {vm}")
        state, reason = state_in(info) if "no VM named" not in info else ("gone", "")
        if vm not in moves and state in ("gone", "running") or state == "failed":
            return state, reason
        assert time.monotonic() < end, (state, reason, moves, host.run("log"))
        time.sleep(0.5)


def end_of_command(host):
    """What the command that is under way says last; one that waits for the other host is left by Ctrl-C."""
    try:
        host.expect(host.prompt, 30)
    except pexpect.TIMEOUT:
        host.line.send("\x03")
        host.expect(host.prompt)
    return host.line.before.strip().split("\n")[-1]


def go_on_with_each_other(survivor, other, name):
    """A VM moves to the host that was off, and takes nothing from the past with it."""
    start(survivor, "later")
    migrate(survivor, "later", name)
    is_well(other, "later")
    drained(other)


@pytest.mark.parametrize("moment", MOMENTS)
def test_power_is_cut_while_a_vm_moves(tmp_path, moment):
    seed = random.Random(moment)
    with pair("amd", tmp_path, guest_files()) as (a, b, _):
        start(a, "one", same=4, write=1)
        start(a, "two", same=4, seed=2)
        for _ in range(2):
            a.run("share now", timeout=120)
        a.line.send("migrate one to beta\r")
        time.sleep(seed.uniform(0, 3))
        victim, other, name = (b, a, "beta") if moment % 2 else (a, b, "alpha")
        victim.end()
        if victim is b:
            print(moment, "the user is told:", end_of_command(a))
        other.wait_log(f"the connection to {name} is down", 60)
        print(moment, other.run("migrate history"), other.run("vm list"))
        victim.start_again()
        other.wait_log(f"connected to {name}, which was restarted", 60)
        assert not re.search(r"^\s*one ", victim.run("vm list"), re.M)  # nobody told it of the VM
        state, reason = wait_quiet(other, "one")
        print(moment, "then:", state, reason)
        if state == "running":
            is_well(other, "one")
        elif state == "failed":
            assert f"{name} was restarted" in reason, reason
        if victim is b:
            is_well(a, "two")
            assert "Nothing is lent" in a.run("lend")
        go_on_with_each_other(other, victim, name)

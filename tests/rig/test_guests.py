# SPDX-License-Identifier: BSD-2-Clause
"""Bare guests: what a machine must do, and what a hostile guest may try. tests/guests has them."""
import re
import time

import pytest

from conftest import guest_files
from host import Host, LINUX_LIMIT, plain, wait_until

# Guests that check themselves and then power off: name, and how the VM is made.
SELF_CHECKING = {
    "hello": {"memory": "4M", "cmdline": "some words"},
    "ports": {"memory": "8M"},
    "msrs": {"memory": "8M"},
    "nomem": {"memory": "64M"},
    "crs": {"memory": "16M"},  # with tcg=1 on amd hosts
    "irqs": {"memory": "8M", "cpus": 2},
    "smp": {"memory": "8M", "cpus": 2},
    "shadow": {"memory": "8M"},
    "ptloop": {"memory": "8M"},
    "dbstorm": {"memory": "8M"},
    "fpu": {"memory": "8M", "cpus": 2},
    "pattern": {"memory": "48M", "cmdline": "rounds=2"},
    "ipistorm": {"memory": "8M", "cpus": 2, "cmdline": "rounds=3000"},
}

# Guests that do what no machine survives: the VM stops, and says why.
STOPPED = {
    "triple": "triple fault",
    "haltoff": "halted with interrupts off",
    "execdevice": "runs code at",
    "ptdevice": "page tables",
    "stackdevice": "stack or descriptor tables",
}


def results(text):
    return re.findall(r"^(PASS|FAIL) (.*)$", plain(text), re.M)


@pytest.mark.parametrize("guest", SELF_CHECKING)
def test_a_guest_finds_the_machine_as_it_should_be(host, kind, make_vm, guest):
    settings = dict(SELF_CHECKING[guest])
    if guest == "crs" and kind == "amd":
        settings["cmdline"] = "tcg=1"  # leaves out what QEMU's CPU does not check itself
    make_vm(guest, f"{guest}.elf", **settings)
    with host.console(guest) as console:
        m = console.expect(r"DONE passed=(\d+) failed=(\d+)", LINUX_LIMIT[kind])
        said = results(host.line.before)
    assert int(m.group(1)) > 0 and int(m.group(2)) == 0, [s for s in said if s[0] == "FAIL"]
    host.wait_state(guest, "off")


def test_debug_exceptions_are_those_of_a_cpu_alone():
    """Under Bochs: QEMU's CPU knows neither INT1 nor DR7.GD."""
    with Host("intel", files=guest_files()) as host:
        host.create("int1", "int1.elf", memory="8M")
        with host.console("int1") as console:
            console.expect(r"DONE passed=4 failed=0", LINUX_LIMIT["intel"])


@pytest.mark.parametrize("guest", STOPPED)
def test_a_guest_that_does_wrong_stops_with_a_reason_and_its_neighbour_goes_on(host, kind, make_vm, guest):
    make_vm("neighbour", "busy.elf", memory="8M")
    make_vm(guest, f"{guest}.elf", memory="8M")
    assert STOPPED[guest] in host.wait_state(guest, "failed", LINUX_LIMIT[kind])
    assert host.state("neighbour")[0] == "running"
    assert STOPPED[guest].split()[0] in host.run("log")


def test_a_vm_that_failed_shows_what_it_was_left_with(host, kind, make_vm):
    """It has loaded an empty IDT at 0; a triple fault at the first instruction after an entry would be the host's."""
    make_vm("triple", "triple.elf", memory="8M")
    host.wait_state("triple", "failed", LINUX_LIMIT[kind])
    said = host.run("vm info triple")
    assert re.search(r"vCPU 0, CS [0-9a-f]+, was left with", said), said
    registers = dict(re.findall(r"\b(\w{2,3}) +([0-9a-f]{16})\b", said.split("was left with")[1]))
    assert int(registers["idt"], 16) == 0 and int(registers["cr3"], 16) > 0, said
    assert "limits: idt 0," in said
    assert int(registers["rip"], 16) == int(host.state("triple")[1].split()[-1], 16)
    assert re.search(r"entered last at [0-9a-f]+", said), said


def test_modules_and_command_line_reach_a_multiboot_guest(host, kind, make_vm):
    make_vm("mods", "hello.elf", memory="8M", module="hello.elf,with words", cmdline="a b c")
    with host.console("mods") as console:
        console.expect("cmdline=hello.elf a b c")
        console.expect(r"module hello.elf.with words: (\d+) bytes")
        console.expect("DONE")


def test_a_guest_resets_itself_in_every_way_a_pc_knows(host, kind, make_vm):
    make_vm("again", "reboot.elf", memory="8M")
    with host.console("again") as console:
        for boot in range(5):
            console.expect(f"boot {boot}")
        console.expect("DONE passed=1")
    host.wait_state("again", "off")


def test_vms_do_not_see_each_others_fpu_state(host, kind, make_vm):
    names = ("f1", "f2", "f3")
    # So many halts under QEMU that two exits in a row fall between STI and HLT: the timer must not be lost then.
    rounds = 20000 if kind == "amd" else 400
    for seed, name in enumerate(names):
        make_vm(name, "fpu.elf", memory="8M", cpus=2, cmdline=f"seed={seed + 7} rounds={rounds}")
    for name in names:
        host.wait_state(name, "off", LINUX_LIMIT[kind])
        with host.console(name) as console:
            console.expect(r"DONE passed=\d+ failed=0")


def test_a_vm_can_be_paused_stopped_started_and_destroyed_at_any_moment(host, kind, make_vm):
    make_vm("toy", "busy.elf", memory="8M", cpus=2)
    for _ in range(5):
        assert "error" not in host.run("vm pause toy")
        assert host.state("toy")[0] == "paused"
        assert "error" not in host.run("vm resume toy")
        assert "error" not in host.run("vm stop toy")
        assert host.state("toy")[0] == "off"
        assert "error" not in host.run("vm start toy")
        assert host.state("toy")[0] == "running"
    assert "only a paused VM" in " ".join(host.run("vm resume toy").split())


def test_nothing_is_left_behind_by_vms_that_are_gone(host, kind):
    def free():
        return int(re.search(r"^free +\d+ +(\d+)", host.run("mem"), re.M).group(1))

    def once():
        host.create("gone", "busy.elf", memory="8M", cpus=2)
        host.destroy("gone")

    once()  # stacks and heap blocks stay with the kernel for the next one
    before = free()
    for _ in range(5):
        once()
    assert free() == before


def test_a_guest_that_resets_itself_all_the_time_is_held_back(host, kind, make_vm):
    """Eight at once, then one a second: each costs the host what a start does, and a line of the log."""
    make_vm("resets", "resets.elf", memory="8M")
    started = time.monotonic()

    def resets():
        m = re.search(r"(\d+) resets?\b", host.run("vm info resets"))
        return int(m.group(1)) if m else 0
    wait_until(lambda: resets() > 8, host.limit(60), lambda: host.run("vm info resets"))
    assert resets() <= 9 + time.monotonic() - started
    assert host.log().count("VM resets: the guest reset it") <= 4
    assert "error" not in host.run("vm stop resets")
    assert host.state("resets")[0] == "off"

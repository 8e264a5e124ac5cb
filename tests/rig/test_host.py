# SPDX-License-Identifier: BSD-2-Clause
"""The host itself: boot, configuration, shell, panic, leaving."""
import re
import signal
import time

import pytest

from conftest import BARE, INITRD
from host import Host

BACKEND = {"amd": "SVM with NPT", "intel": "VMX with EPT"}


def test_the_boot_log_says_what_the_host_is(host, kind):
    assert "2 CPUs" in host.boot_text
    assert BACKEND[kind] in host.boot_text
    assert "warning" not in host.boot_text


def test_the_commands_that_show_the_host_answer_within_80_columns(host, kind):
    for command, word in {"info": BACKEND[kind].split()[0], "cpu": "idle", "mem": "free", "log": "Ferry",
                          "help": "vm create", "help vm create": "memory", "exits": ""}.items():
        text = host.run(command)
        assert word in text, (command, text)
        assert max(map(len, text.split("\n"))) <= 80, (command, text)


def test_a_wrong_command_says_what_is_near_it(host):
    assert "vm list" in host.run("vm lst")
    assert "info" in host.run("inof")
    assert "no VM" in host.run("vm start nobody") or "nobody" in host.run("vm start nobody")


def test_tab_completes_commands_and_names(host, make_vm):
    make_vm("unmistakable", "hello.elf", memory="8M")
    host.line.send("vm inf\tunmis\t\r")
    host.expect("unmistakable")
    host.expect("alpha> ")


def test_a_wrong_line_of_ferry_cfg_is_named_and_the_boot_goes_on(kind):
    config = "adress 10.0.0.1/24\nmemory 5M\nvm a\n  memory lots\n  kernel nowhere\n"
    with Host(kind, config=config, files={}) as h:
        for line, words in ((3, "did you mean address"), (4, "before the first 'vm NAME'"),
                            (6, "memory: expected a size")):
            assert re.search(rf"ferry.cfg line {line}: .*{words}", h.boot_text), h.boot_text
        assert "nowhere" in h.boot_text
        assert " a " in h.run("vm list")
        said = h.run("vm start a")
        assert "no file nowhere" in said


def test_a_vm_that_cannot_fit_is_refused_with_the_numbers(host):
    host.run("vm create huge kernel=hello.elf memory=64G")
    said = host.run("vm start huge")
    assert re.search(r"needs 65792 MiB with its page tables, and the host has \d+ MiB left", " ".join(said.split())), said
    host.destroy("huge")


@pytest.mark.parametrize("how, words", [
    ("panic", ["backtrace:", "\\+0x", "All CPUs are stopped"]),
    ("panic fault", ["page fault in the kernel", "rip ffffffff8", "backtrace:", "\\+0x"]),
    ("panic stack", ["double fault in the kernel", "backtrace:"]),
])
def test_a_panic_prints_what_is_needed_and_stops(kind, how, words):
    if kind == "intel" and how != "panic fault":
        pytest.skip("one kind of panic is enough under Bochs, which boots slowly")
    with Host(kind, files={"busy.elf": BARE / "busy.elf"}) as h:
        h.create("bystander", "busy.elf", memory="8M", cpus=2)
        h.line.send(how + "\r")
        for word in words:
            h.expect(word)


def test_a_cpu_without_virtualisation_is_told_what_it_lacks():
    with Host("amd", files={"hello.elf": BARE / "hello.elf"}, extra=("-cpu", "max,-svm")) as h:
        assert "no AMD-V: CPUID 80000001 ECX lacks SVM (bit 2)" in h.boot_text
        assert "no virtualisation" in h.run("vm create a kernel=hello.elf")


def test_a_host_that_is_held_up_says_that_it_was_not_its_own_doing():
    with Host("amd") as h:
        time.sleep(1)
        h.emulator.process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        h.emulator.process.send_signal(signal.SIGCONT)
        assert h.stood_still() > 400
        assert "did not yield" not in h.run("log")


def with_busy_vms(host):
    """Both CPUs are in guests, and are to leave them."""
    for name in ("b1", "b2"):
        host.create(name, "busy.elf", memory="8M", cpus=2)


def test_poweroff_turns_the_host_off():
    """A machine that goes off ends the emulator; one that resets, by a triple fault too, would start again."""
    with Host("amd", files={"busy.elf": BARE / "busy.elf"}, restarts=True) as h:
        with_busy_vms(h)
        h.line.send("poweroff\r")
        assert h.emulator.process.wait(30) == 0


def test_reboot_restarts_the_host():
    with Host("amd", files={"busy.elf": BARE / "busy.elf"}, restarts=True) as h:
        with_busy_vms(h)
        h.line.send("reboot\r")
        h.expect(h.prompt, 90)
        assert h.emulator.process.poll() is None
        assert "b1" not in h.run("vm list")

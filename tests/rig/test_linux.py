# SPDX-License-Identifier: BSD-2-Clause
"""Stock Debian kernels, unmodified, as guests."""
import functools
import re
import subprocess
import time

import pytest

from conftest import CLOUD, GENERIC, INITRD
from host import LINUX_LIMIT, Host, plain, wait_until

READY = r"ferry-guest-ready cpus=(\d+) up=([\d.]+)"
GUEST_PROMPT = "guest# "

# Lines that say what the emulated CPU itself lacks; the same kernel says them there without Ferry.
OF_THE_CPU = re.compile("RETBleed|Spectre|MDS|TAA|MMIO Stale|L1TF|GDS|SRBDS|RFDS|ITS|VMSCAPE|TSA")


def wait_ready(guest, kind):
    m = guest.expect(READY, LINUX_LIMIT[kind])
    cpus = int(m.group(1))
    guest.expect(GUEST_PROMPT, LINUX_LIMIT[kind])
    return cpus


def warnings(dmesg):
    """The messages of level warning and above, without their times."""
    found = set()
    for line in plain(dmesg).split("\n"):
        m = re.match(r"<(\d+)>\[ *[\d.]+\] (.*)", line.strip())
        if m and int(m.group(1)) & 7 <= 4:
            found.add(re.sub(r"\b(0x)?[0-9a-f]{4,16}\b|\d+", "#", m.group(2)))
    return found


@functools.cache
def microvm_warnings(kernel):
    """What the same kernel says on QEMU's microvm, which is as bare as Ferry's machine.

    It is told the TSC's rate, roughly: on a busy machine it hangs where it cannot measure it.
    """
    out = subprocess.run(
        ["timeout", "120", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "256", "-machine",
         "microvm", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel),
         "-initrd", str(INITRD), "-append", "console=ttyS0 ferry.run=dmesg tsc_early_khz=2400000"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    assert "dmesg-end" in out.stdout, out.stdout[-2000:]
    return warnings(out.stdout)


def test_a_stock_kernel_boots_to_its_shell_and_says_nothing_that_it_does_not_say_in_microvm(
        host, kind, make_vm):
    stood_still = host.stood_still()
    make_vm("one", "vmlinuz", initrd="initrd.gz", memory="96M", cmdline="console=ttyS0")
    with host.console("one") as guest:
        assert wait_ready(guest, kind) == 1
        assert "hypervisor" in guest.run("cat /proc/cpuinfo | grep flags")
        assert guest.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource") in (
            "kvm-clock", "tsc")
        assert "x2apic" in guest.run("dmesg | grep -i x2apic")
        said = warnings(guest.run("dmesg -r | grep '^<[01234]>'"))
    new = {w for w in said - microvm_warnings(CLOUD) if not OF_THE_CPU.search(w)}
    # Linux says this if its timer came more than half a second late. That is no fault of Ferry's if the emulator
    # was held up for so long meanwhile, which the host's log tells apart from a thread that kept the CPU.
    late = {w for w in new if "Long readout interval" in w}
    if late and host.stood_still() > max(stood_still, 400):
        new -= late
    assert not new, (new, host.run("log"))


def cpu_shares(host, vm):
    """What each vCPU's thread has of a CPU now, in percent."""
    return [float(m) for m in re.findall(rf"^ *{vm}/\d+ .* s +([\d.]+) +\d+$", host.run("cpu"), re.M)]


def test_two_vcpus_run_at_the_same_time(host, kind, make_vm):
    make_vm("two", "vmlinuz", initrd="initrd.gz", memory="256M", cpus=2, cmdline="console=ttyS0")
    with host.console("two") as guest:
        assert wait_ready(guest, kind) == 2
        guest.run("for i in 1 2; do (while :; do :; done) & done")
    # Of one fifth of a second, by the host's clock: two threads that took turns would have 100 % together.
    wait_until(lambda: sum(cpu_shares(host, "two")) > 150, host.limit(60), lambda: host.run("cpu"))
    with host.console("two") as guest:
        guest.run("kill %1 %2")
        busy = [int(line.split()[1]) for line in guest.run("grep '^cpu[01]' /proc/stat").split("\n")]
        assert 2 * min(busy) > max(busy) > 0, busy


def test_a_guest_can_reboot_and_power_off(patience, host, kind, make_vm):
    make_vm("re", "vmlinuz", initrd="initrd.gz", memory="128M", cmdline="console=ttyS0")
    with host.console("re") as guest:
        wait_ready(guest, kind)
        guest.type("reboot -f\n")
        wait_ready(guest, kind)
        guest.type("poweroff -f\n")
        guest.expect("(?i)power down", LINUX_LIMIT[kind])
    reason = host.wait_state("re", "off")
    assert "powered it off" in reason


def test_time_stands_still_while_a_vm_is_paused(patience, host, kind, make_vm):
    make_vm("pa", "vmlinuz", initrd="initrd.gz", memory="128M", cmdline="console=ttyS0")
    with host.console("pa") as guest:
        wait_ready(guest, kind)
        guest.run("dmesg -c > /tmp/boot")
        before = float(guest.run("cut -d' ' -f1 /proc/uptime"))
    started = time.monotonic()
    host.run("vm pause pa")
    assert host.state("pa")[0] == "paused"
    time.sleep(5)
    host.run("vm resume pa")
    with host.console("pa") as guest:
        after = float(guest.run("cut -d' ' -f1 /proc/uptime"))
        assert guest.run("dmesg") == ""
    # The emulator's clock may run apart from this machine's; that of QEMU does not.
    if kind == "amd":
        assert after - before < time.monotonic() - started - 4


def test_the_generic_kernel_boots(patience, kind):
    with Host(kind, files={"vmlinuz": GENERIC, "initrd.gz": INITRD}) as h:
        h.create("generic", "vmlinuz", initrd="initrd.gz", memory="256M", cmdline="console=ttyS0")
        with h.console("generic") as guest:
            assert wait_ready(guest, kind) == 1
            assert "-amd64" in guest.run("uname -r")


@pytest.mark.parametrize("fill", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_memory_above_4_gib_is_a_guests_to_use(fill):
    with Host("amd", files={"vmlinuz": CLOUD, "initrd.gz": INITRD}, memory=6144) as h:
        h.create("big", "vmlinuz", initrd="initrd.gz", memory="5G", cpus=2, cmdline="console=ttyS0")
        with h.console("big") as guest:
            assert wait_ready(guest, "amd") == 2
            total = int(guest.run("awk '/MemTotal/ {print $2}' /proc/meminfo"))
            assert total > 4.7 * 1024 * 1024
            if not fill:
                return
            guest.run("mount -t tmpfs -o size=4500M tmpfs /tmp")
            # More than lies below 4 GiB, so that some of it is above.
            guest.run("dd if=/dev/zero of=/tmp/f bs=1M count=3400", timeout=240)
            assert guest.run("stat -c %s /tmp/f") == str(3400 << 20)
        given = int(re.search(r"(\d+) MiB given", h.run("vm info big")).group(1))
        assert given > 3400


def test_a_paste_reaches_the_guest_to_the_last_byte(patience, host, kind, make_vm):
    """At the speed of a socket, which a guest's serial line does not have: the host's waits."""
    make_vm("paste", "vmlinuz", initrd="initrd.gz", memory="128M", cmdline="console=ttyS0 quiet")
    lines = [f"line {n:04d} {'x' * 50}" for n in range(300)]
    with host.console("paste") as guest:
        wait_ready(guest, kind)
        guest.type("stty -echo; cat > /tmp/pasted; stty echo; echo bytes=$(wc -c < /tmp/pasted)\n")
        guest.expect("wc -c")
        guest.type("".join(line + "\n" for line in lines) + "\x04")
        assert int(guest.expect(r"bytes=(\d+)\r?\n", 120).group(1)) == sum(len(line) + 1 for line in lines)

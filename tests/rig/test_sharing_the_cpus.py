# SPDX-License-Identifier: BSD-2-Clause
"""Several VMs on few CPUs: nobody starves, and who does nothing costs nothing."""
import re
import time


def cpu_times(host):
    """CPU seconds of every thread, by name."""
    times = {}
    for line in host.run("cpu").split("\n"):
        m = re.match(r" *(\S+/\d+|\S+) +(?:\S+ +)?(\d+\.\d+) s", line)
        if m:
            times[m.group(1)] = float(m.group(2))
    return times


def test_busy_vms_share_evenly_and_the_shell_still_answers(host, kind, make_vm):
    for name in ("b1", "b2", "b3"):
        make_vm(name, "busy.elf", memory="8M", cpus=2)
    time.sleep(1)
    before = cpu_times(host)
    started = time.monotonic()
    time.sleep(6)
    after = cpu_times(host)
    assert time.monotonic() - started < 6 + host.limit()
    used = [after[f"{n}/{v}"] - before[f"{n}/{v}"] for n in ("b1", "b2", "b3") for v in (0, 1)]
    assert min(used) > 0
    assert max(used) <= 1.5 * min(used) + 0.1, used


def test_an_idle_guest_costs_nothing(host, kind, make_vm):
    make_vm("sleeper", "idle.elf", memory="8M")
    time.sleep(1)
    before = cpu_times(host)["sleeper/0"]
    exits = host.run("exits sleeper")
    time.sleep(4)
    after = cpu_times(host)["sleeper/0"]
    assert after - before <= 0.02
    assert host.run("exits sleeper") == exits

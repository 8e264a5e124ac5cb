# SPDX-License-Identifier: BSD-2-Clause
"""A VM's state is saved, thrown away and loaded again under the guest, which must not notice: `vm reload`."""
import re

import pytest

from host import LINUX_LIMIT
from test_guests import results
from test_linux import wait_ready


def reload(host, name):
    said = host.run(f"vm reload {name}")
    m = re.search(r"goes on from (\d+) bytes of state; it stood still for (\d+) us", said)
    assert m, said
    return int(m.group(1)), int(m.group(2))


def test_a_guest_that_looks_at_everything_finds_it_unchanged(host, kind, make_vm):
    make_vm("re", "reload.elf", memory="8M", cpus=3)
    with host.console("re") as guest:
        guest.expect("READY")
    for _ in range(20):
        reload(host, "re")
    host.run("vm type re part 2")
    with host.console("re") as guest:
        guest.expect("PART 2")
    for _ in range(20):
        reload(host, "re")
    host.run("vm type re end")
    with host.console("re") as guest:
        m = guest.expect(r"DONE passed=(\d+) failed=(\d+)", LINUX_LIMIT[kind])
        said = results(host.line.before)
    assert int(m.group(1)) > 15 and int(m.group(2)) == 0, [s for s in said if s[0] == "FAIL"]


def test_a_paused_vm_stays_paused_and_one_that_is_off_has_no_state(host, kind, make_vm):
    make_vm("toy", "busy.elf", memory="8M", cpus=2)
    host.run("vm pause toy")
    reload(host, "toy")
    assert host.state("toy")[0] == "paused"
    host.run("vm resume toy")
    assert host.state("toy")[0] == "running"
    host.run("vm stop toy")
    assert "only a VM that runs or is paused" in " ".join(host.run("vm reload toy").split())


@pytest.mark.parametrize("cpus", [2])
def test_a_stock_linux_under_load_does_not_notice(patience, host, kind, make_vm, cpus):
    make_vm("li", "vmlinuz", initrd="initrd.gz", memory="128M", cpus=cpus, cmdline="console=ttyS0")
    with host.console("li") as guest:
        wait_ready(guest, kind)
        guest.run("dmesg -c > /tmp/boot")
        guest.run("dd if=/dev/urandom of=/tmp/data bs=1M count=8; sha256sum /tmp/data > /tmp/sum")
        # Files are copied and summed, and a clock is watched that must not go back.
        guest.run("(while :; do cp /tmp/data /tmp/copy; echo $(sha256sum < /tmp/copy) >> /tmp/sums; done) & true")
        guest.run("(l=0; while :; do read t r < /proc/uptime; u=${t%.*}; [ $u -ge $l ] || echo back; l=$u; done) "
                  "> /tmp/clock & true")
    stood = [reload(host, "li")[1] for _ in range(10)]
    with host.console("li") as guest:
        guest.run("while [ $(cat /tmp/sums 2>/dev/null | wc -l) -lt 3 ]; do sleep 1; done", LINUX_LIMIT[kind])
        guest.run("kill %1 %2; sleep 1")
        assert guest.run("cut -d' ' -f1 /tmp/sums | sort | uniq | wc -l") == "1"
        assert guest.run("sha256sum -c /tmp/sum") == "/tmp/data: OK"
        assert guest.run("cat /tmp/clock") == ""
        said = guest.run("dmesg -r | grep '^<[01234]>'")
    assert said == "", said
    assert sorted(stood)[len(stood) // 2] < 200_000, stood

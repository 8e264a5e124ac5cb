# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's race of CPU 0's SVM state (tools/rig/qemu_ignne.c): it shows without the repair, and is gone with it."""
import time

import pexpect
import pytest

from conftest import BARE
from emulator import qemu_is_repaired
from host import Host

ROUNDS = 100000


def outcome(repaired, limit):
    """The state to which a guest comes whose two vCPUs exit and load x87 state, and the reason."""
    with Host("amd", files={"restore.elf": BARE / "restore.elf"}, cpus=2, repaired=repaired) as host:
        try:
            host.create("r", "restore.elf", memory="8M", cpus=2, cmdline=f"rounds={ROUNDS}")
            end = time.monotonic() + host.limit(limit)
            while (state := host.state("r"))[0] == "running" and time.monotonic() < end:
                time.sleep(0.3)
            return state
        except (pexpect.ExceptionPexpect, OSError) as e:
            return "the host is gone", str(e)


def test_a_repaired_qemu_keeps_the_svm_state_of_cpu_0():
    if not qemu_is_repaired():
        pytest.skip("this QEMU cannot be repaired: the start of the run says why")
    assert outcome(True, 300) == ("off", "the guest powered it off")


def test_qemu_as_it_is_loses_svm_state_of_cpu_0():
    """The control: without it, the test above would prove nothing."""
    state, reason = outcome(False, 60)
    if state == "off":
        pytest.skip(f"QEMU's race did not show in {ROUNDS} rounds: it needs two idle cores")
    assert state in ("failed", "running", "the host is gone"), reason

/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers that ran late, and whose fault it was. A CPU that idled or was in a guest when its timer fell due
 * waited for the interrupt: then the machine stood still (firmware, a hypervisor below, an emulator), and
 * its guests missed that time. Else a thread kept the CPU without a yield, which is a fault of Ferry's.
 * Both are logged from LATE_LIMIT on. */
#pragma once
#include "kernel/arch.h"
#include "kernel/timer.h"

#define LATE_LIMIT MSEC(100)

/* Before this CPU idles or enters a guest, and when what ended that has been dealt with. */
static inline void late_wait_begin(struct cpu *c)
{
    c->waits_since = arch_tsc();
}
static inline void late_wait_end(struct cpu *c)
{
    c->waits_since = 0;
}
/* For timer_run: a timer of this CPU was due at `deadline` ns and runs now. No lock is held. */
void late_check(const struct cpu *c, u64 deadline, u64 now);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/late.h"
#include "kernel/log.h"
#include "kernel/thread.h"

void late_check(const struct cpu *c, u64 deadline, u64 now)
{
    u64 since = c->waits_since ? MAX(tsc_to_time(c->waits_since), deadline) : now;

    if (now <= deadline + LATE_LIMIT)
        return;
    if (now > since + LATE_LIMIT)
        log_info("the machine stood still: CPU %u's timer interrupt came %llu ms late", c->index,
                 (unsigned long long)((now - since) / MSEC(1)));
    if (since > deadline + LATE_LIMIT)
        log_warn("CPU %u's timers ran %llu ms late: thread %s did not yield", c->index,
                 (unsigned long long)((since - deadline) / MSEC(1)),
                 c->current ? c->current->name : "none");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A limit of how often something may happen: `burst` times at once, and then once in each period (the generic cell rate
 * algorithm). Zeroed before first use; the caller's lock guards it. */
#pragma once
#include "kernel/types.h"

struct rate {
    u64 next; /* when it would be allowed with a burst of 1 */
};

/* 0: it may happen now, and counts. Else how long it has to wait, in the unit of now and period. */
static inline u64 rate_take(struct rate *r, u64 now, u64 period, u32 burst)
{
    u64 at = MAX(r->next, now), ahead = period * (burst - 1);

    if (at - now > ahead)
        return at - now - ahead;
    r->next = at + period;
    return 0;
}

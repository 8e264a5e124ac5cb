/* SPDX-License-Identifier: BSD-2-Clause */
/* The source's side of a migration: offer, rounds, stop, hand-off. */
#pragma once
#include "kernel/frames.h"
#include "migrate/pages.h"

struct outgoing {
    struct pages pages;
    struct lease *lease;
    bool trusted, preparing;
    u64 state_addr; /* where the target wants the state */
    u32 state_rkey;
    hpa_t state; /* frames of it, once it is saved; or 0 */
    u64 state_size, state_written;
    u32 state_in_flight, marks;
    u64 round_began, round_bytes;
    u64 last_dirty; /* pages at the end of the round before */
    u32 slowed;     /* percent */
    u64 messages_at_stop;
};

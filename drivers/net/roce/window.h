/* SPDX-License-Identifier: BSD-2-Clause */
/* How many packets may be in flight, and how long to wait for an answer. The window grows by what is
 * acknowledged and shrinks by what is lost (additive increase, multiplicative decrease, with a slow
 * start: RFC 5681), less by losses that do not look like congestion; the wait follows the round trips
 * (RFC 6298). Pure logic, time in ns. */
#pragma once
#include "kernel/types.h"

struct window_limits {
    u32 first;      /* packets; 0: WINDOW_FIRST */
    u32 most;       /* packets; 0: WINDOW_MOST */
    u64 wait_least; /* ns before a probe; 0: WINDOW_WAIT_LEAST */
};
#define WINDOW_FIRST      16
#define WINDOW_MOST       256
#define WINDOW_MOST_EVER  (1u << 16)
#define WINDOW_WAIT_LEAST 1000000ull

struct window {
    struct window_limits limits;
    u32 size;                  /* packets */
    u32 threshold;             /* up to here it grows by one for each packet acknowledged */
    u32 credit;                /* packets acknowledged towards the next growth */
    u32 since_loss;            /* packets acknowledged since it shrank */
    u64 round_trip, variation; /* ns, smoothed; round_trip 0: not measured */
    u64 least_round_trip;      /* ns, ever */
    u64 sample_at;             /* when the packet that is timed was sent; 0: none is */
    u32 sample_psn;
};

void window_init(struct window *w, const struct window_limits *limits);
void window_grow(struct window *w, u32 packets);
void window_loss(struct window *w);     /* something was lost, something came through */
void window_collapse(struct window *w); /* nothing comes through */
void window_sample(struct window *w, u64 round_trip);
/* ns to wait for an answer, at most `most`. */
u64 window_wait(const struct window *w, u64 most);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/window.h"

#define UNMEASURED 16 /* times the least wait, before a round trip was measured */

void window_init(struct window *w, const struct window_limits *limits)
{
    *w = (struct window){.limits = *limits};
    if (!w->limits.first)
        w->limits.first = WINDOW_FIRST;
    if (!w->limits.most)
        w->limits.most = WINDOW_MOST;
    if (!w->limits.wait_least)
        w->limits.wait_least = WINDOW_WAIT_LEAST;
    w->limits.first = MIN(w->limits.first, w->limits.most);
    w->size = w->limits.first;
    w->threshold = w->limits.most;
}

/* Too much is on its way where losses come one after the other, or where packets queue up somewhere. */
static bool is_congested(const struct window *w)
{
    return w->since_loss < 2ull * w->size || !w->round_trip ||
           w->round_trip > w->least_round_trip + w->least_round_trip / 2;
}

/* By one packet a window, by two where there is room for certain. */
void window_grow(struct window *w, u32 packets)
{
    w->since_loss += packets;
    if (w->size < w->threshold) {
        w->size = MIN(w->size + packets, w->threshold);
        return;
    }
    w->credit += is_congested(w) ? packets : 2 * packets;
    while (w->credit >= w->size) {
        w->credit -= w->size;
        w->size = MIN(w->size + 1, w->limits.most);
    }
}

/* To seven tenths where that helps, by an eighth where it is the line that loses: it loses at any window. */
void window_loss(struct window *w)
{
    w->size = MAX(is_congested(w) ? w->size * 7 / 10 : w->size * 7 / 8, 1u);
    w->threshold = MAX(w->size, 2u);
    w->since_loss = 0;
    w->credit = 0;
}

void window_collapse(struct window *w)
{
    w->threshold = MAX(w->size / 2, 2u);
    w->size = 1;
    w->since_loss = 0;
    w->credit = 0;
}

void window_sample(struct window *w, u64 round_trip)
{
    u64 apart;

    if (!w->round_trip) {
        w->round_trip = w->least_round_trip = MAX(round_trip, 1ull);
        w->variation = round_trip / 2;
        return;
    }
    apart = round_trip > w->round_trip ? round_trip - w->round_trip : w->round_trip - round_trip;
    w->variation = (3 * w->variation + apart) / 4;
    w->round_trip = MAX((7 * w->round_trip + round_trip) / 8, 1ull);
    w->least_round_trip = MIN(w->least_round_trip, MAX(round_trip, 1ull));
}

/* Half a round trip of patience at least: on an even line variation comes to nothing, and what goes back meets
 * what is still on its way. */
u64 window_wait(const struct window *w, u64 most)
{
    u64 wait = w->round_trip + MAX(4 * w->variation, w->round_trip / 2);

    if (!w->round_trip)
        wait = UNMEASURED * w->limits.wait_least;
    return MIN(MAX(wait, w->limits.wait_least), most);
}

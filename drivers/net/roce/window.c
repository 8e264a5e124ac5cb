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

void window_grow(struct window *w, u32 packets)
{
    if (w->size < w->threshold) {
        w->size = MIN(w->size + packets, w->threshold);
        return;
    }
    w->credit += packets;
    while (w->credit >= w->size) {
        w->credit -= w->size;
        w->size = MIN(w->size + 1, w->limits.most);
    }
}

/* To seven tenths: a lossy line loses at any window, and what was sent after a loss is sent again. */
void window_loss(struct window *w)
{
    w->size = MAX(w->size * 7 / 10, 1u);
    w->threshold = MAX(w->size, 2u);
    w->credit = 0;
}

void window_collapse(struct window *w)
{
    w->threshold = MAX(w->size / 2, 2u);
    w->size = 1;
    w->credit = 0;
}

void window_sample(struct window *w, u64 round_trip)
{
    u64 apart;

    if (!w->round_trip) {
        w->round_trip = MAX(round_trip, 1ull);
        w->variation = round_trip / 2;
        return;
    }
    apart = round_trip > w->round_trip ? round_trip - w->round_trip : w->round_trip - round_trip;
    w->variation = (3 * w->variation + apart) / 4;
    w->round_trip = MAX((7 * w->round_trip + round_trip) / 8, 1ull);
}

u64 window_wait(const struct window *w, u64 most)
{
    u64 wait = w->round_trip + 4 * w->variation;

    if (!w->round_trip)
        wait = UNMEASURED * w->limits.wait_least;
    return MIN(MAX(wait, w->limits.wait_least), most);
}

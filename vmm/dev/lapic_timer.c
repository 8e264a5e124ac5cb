/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's timer (SDM 3A 11.5.4). */
#include "vmm/dev/lapic.h"
#include "vmm/dev/scale.h"

enum { ONE_SHOT, PERIODIC, TSC_DEADLINE };

static u32 timer_mode(u32 lvt)
{
    return lvt >> 17 & 3; /* 3 is reserved: counts like one-shot */
}

static bool counts_tsc(const struct lapic *l)
{
    return timer_mode(l->lvt[LVT_TIMER]) == TSC_DEADLINE;
}

/* Divide configuration bits 3, 1, 0: 0 is 2, 1 is 4, ... 6 is 128, and 7 is 1. Bus ticks a count,
 * which are ns. */
static u64 divisor(const struct lapic *l)
{
    u32 code = (l->timer_divide & 3) | (l->timer_divide & 8) >> 1;

    return 1ull << ((code + 1) & 7);
}

static u64 period_ns(const struct lapic *l)
{
    return MAX(l->timer_initial, 1) * divisor(l);
}

static void timer_fire(struct lapic *l)
{
    u32 lvt = l->lvt[LVT_TIMER];

    if (!(lvt & LVT_MASKED))
        lapic_accept(l, (u8)lvt, false);
}

/* Periods that have passed unseen are one interrupt, as their vector has one bit in the IRR. */
static void count_tick(struct lapic *l, u64 ns)
{
    u64 period = period_ns(l);

    if (ns < l->timer_expires)
        return;
    if (timer_mode(l->lvt[LVT_TIMER]) == PERIODIC)
        l->timer_expires += period * (1 + (ns - l->timer_expires) / period);
    else
        l->timer_expires = VTIME_NEVER;
    timer_fire(l);
}

void lapic_tick(struct lapic *l, const struct vtime *now)
{
    if (l->timer_expires != VTIME_NEVER)
        count_tick(l, now->ns);
    if (l->tsc_deadline && now->tsc >= l->tsc_deadline) {
        l->tsc_deadline = 0;
        timer_fire(l);
    }
}

u64 lapic_next(const struct lapic *l, const struct vtime *now)
{
    if (l->lvt[LVT_TIMER] & LVT_MASKED)
        return VTIME_NEVER;
    if (!l->tsc_deadline)
        return l->timer_expires;
    if (l->tsc_deadline <= now->tsc)
        return now->ns;
    return add_saturated(now->ns, scale_up(l->tsc_deadline - now->tsc, now->tsc_khz, 1000000));
}

u32 lapic_timer_count(const struct lapic *l, const struct vtime *now)
{
    u64 left;

    if (l->timer_expires == VTIME_NEVER || now->ns >= l->timer_expires)
        return 0;
    left = (l->timer_expires - now->ns + divisor(l) - 1) / divisor(l);
    return (u32)MIN(left, l->timer_initial);
}

void lapic_timer_set_count(struct lapic *l, u32 initial, const struct vtime *now)
{
    if (counts_tsc(l))
        return;
    l->timer_initial = initial;
    l->timer_expires = initial ? add_saturated(now->ns, period_ns(l)) : VTIME_NEVER;
}

/* What is left of the count goes on at the new rate. */
void lapic_timer_set_divide(struct lapic *l, u32 divide, const struct vtime *now)
{
    u32 left = lapic_timer_count(l, now);

    l->timer_divide = divide;
    if (l->timer_expires != VTIME_NEVER)
        l->timer_expires = add_saturated(now->ns, left * divisor(l));
}

/* A change between counting and TSC-deadline mode disarms the timer (SDM 3A 11.5.4.1). */
void lapic_timer_set_lvt(struct lapic *l, u32 lvt)
{
    bool was_tsc = counts_tsc(l);

    l->lvt[LVT_TIMER] = lvt;
    if (counts_tsc(l) == was_tsc)
        return;
    l->timer_initial = 0;
    l->timer_expires = VTIME_NEVER;
    l->tsc_deadline = 0;
}

void lapic_timer_set_deadline(struct lapic *l, u64 tsc)
{
    if (counts_tsc(l))
        l->tsc_deadline = tsc;
}

u64 lapic_timer_deadline(const struct lapic *l)
{
    return l->tsc_deadline;
}

bool lapic_timer_is_valid(const struct lapic *saved)
{
    bool runs = saved->timer_expires != VTIME_NEVER;

    if (counts_tsc(saved))
        return !runs && !saved->timer_initial;
    return !saved->tsc_deadline && (!runs || saved->timer_expires <= period_ns(saved));
}

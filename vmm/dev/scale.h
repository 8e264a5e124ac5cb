/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of unit between clocks: value * to / from without overflow on the way (the kernel has no
 * 128-bit division). U64_MAX where the result does not fit; from must not be 0.
 * scale_down(scale_up(x, a, b), b, a) >= x: a timer that is set for scale_up() has expired then. */
#pragma once
#include "kernel/types.h"

#define NS_PER_SECOND 1000000000ull

static inline u64 scale_parts(u64 value, u32 from, u32 to, u64 round)
{
    u64 whole, rest = ((value % from) * to + round) / from;

    if (__builtin_mul_overflow(value / from, (u64)to, &whole) ||
        __builtin_add_overflow(whole, rest, &whole))
        return U64_MAX;
    return whole;
}

static inline u64 scale_down(u64 value, u32 from, u32 to)
{
    return scale_parts(value, from, to, 0);
}

static inline u64 scale_up(u64 value, u32 from, u32 to)
{
    return scale_parts(value, from, to, (u64)from - 1);
}

static inline u64 add_saturated(u64 a, u64 b)
{
    return a > U64_MAX - b ? U64_MAX : a + b;
}

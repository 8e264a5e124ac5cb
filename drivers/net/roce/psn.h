/* SPDX-License-Identifier: BSD-2-Clause */
/* Packet sequence numbers: 24 bits, compared within half of their circle (IBTA volume 1, 9.7.1). */
#pragma once
#include "drivers/net/roce/wire.h"

static inline u32 psn_add(u32 psn, u32 n)
{
    return (psn + n) & WIRE_PSN_MASK;
}
/* How far a lies behind b: negative if it is before it; -2^23 to 2^23 - 1. */
static inline s32 psn_diff(u32 a, u32 b)
{
    return (s32)((a - b) << 8) >> 8;
}
static inline bool psn_before(u32 a, u32 b)
{
    return psn_diff(a, b) < 0;
}
/* first <= psn < end */
static inline bool psn_within(u32 psn, u32 first, u32 end)
{
    return !psn_before(psn, first) && psn_before(psn, end);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* CRC-32 by carry-less multiplication ("Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
 * Intel 2009): 128 bits x, with n bits behind them, are worth x * (x^n mod P), which is short enough to be added
 * to 128 of the bits behind:
 *
 *     a0 a1 a2 a3 | a4 a5 a6 a7 | ...     four lanes of 16 bytes, each folded over the 48 between
 *      \___________^ 512 bits
 *
 * What is left in the end are 16 bytes that have the same CRC as all that was folded. The one file of the kernel
 * that is compiled with vector instructions: tools/make/kernel.mk. */
#include "drivers/net/roce/icrc.h"

#define LANE  16
#define LANES 4

typedef long long lane_t __attribute__((vector_size(LANE)));

/* For the two halves of a lane: x^(n+32) and x^(n-32) mod P, bit-reversed (the paper's k1 to k4). */
static const lane_t over_512 = {0x154442bd4, 0x1c6e41596};
static const lane_t over_128 = {0x1751997d0, 0x0ccaa009e};

static lane_t lane_at(const u8 *data)
{
    lane_t l;

    __builtin_memcpy(&l, data, sizeof(l));
    return l;
}

static lane_t fold(lane_t from, lane_t over, lane_t to)
{
    return __builtin_ia32_pclmulqdq128(from, over, 0x00) ^
           __builtin_ia32_pclmulqdq128(from, over, 0x11) ^ to;
}

u32 icrc_update_clmul(const struct icrc *i, u32 crc, const u8 *data, size_t size)
{
    lane_t a = lane_at(data) ^ (lane_t) { crc }, b = lane_at(data + LANE);
    lane_t c = lane_at(data + 2 * LANE), d = lane_at(data + 3 * LANE);
    u8 left[LANE];

    for (data += LANES * LANE, size -= LANES * LANE; size >= LANES * LANE;
         data += LANES * LANE, size -= LANES * LANE) {
        a = fold(a, over_512, lane_at(data));
        b = fold(b, over_512, lane_at(data + LANE));
        c = fold(c, over_512, lane_at(data + 2 * LANE));
        d = fold(d, over_512, lane_at(data + 3 * LANE));
    }
    a = fold(fold(fold(a, over_128, b), over_128, c), over_128, d);
    for (; size >= LANE; data += LANE, size -= LANE)
        a = fold(a, over_128, lane_at(data));
    __builtin_memcpy(left, &a, sizeof(left));
    return icrc_update_portable(i, icrc_update_portable(i, 0, left, sizeof(left)), data, size);
}

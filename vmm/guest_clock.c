/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/guest_clock.h"

/* The shift brings the rate to between 1 and 2 GHz, where the multiplier uses all of its 32 bits. */
struct clock_rate clock_rate(u32 tsc_khz)
{
    u64 rate = tsc_khz * 1000ull;
    struct clock_rate r = {0};

    for (; rate > 2000000000; rate >>= 1)
        r.shift--;
    for (; rate <= 1000000000; rate <<= 1)
        r.shift++;
    r.mul = (u32)((1000000000ull << 32) / rate);
    return r;
}

u64 clock_read(const struct guest_clock *c, u32 tsc_khz, u64 tsc)
{
    struct clock_rate r = clock_rate(tsc_khz);
    unsigned __int128 ticks =
        tsc > c->tsc ? tsc - c->tsc : 0; /* that of another CPU may be behind */

    ticks = r.shift < 0 ? ticks >> -r.shift : ticks << r.shift;
    return c->ns + (u64)(ticks * r.mul >> 32);
}

static bool lies_in_ram(const struct pmap *p, u64 at, u64 size)
{
    return !(at & 3) && at < BIT(52) && pmap_is_ram(p, GPA(at)) &&
           pmap_is_ram(p, GPA(at + size - 1));
}

bool clock_msr_is_valid(const struct pmap *p, u64 value)
{
    return !(value & CLOCK_ENABLED) ||
           lies_in_ram(p, value & ~CLOCK_ENABLED, sizeof(struct clock_page));
}

bool wall_msr_is_valid(const struct pmap *p, u64 value)
{
    return lies_in_ram(p, value, sizeof(struct wall_page));
}

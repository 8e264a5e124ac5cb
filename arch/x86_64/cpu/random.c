/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPU's random number generator. */
#include "kernel/arch.h"
#include "kernel/string.h"

#define TRIES 10 /* in a row that may fail while it works (SDM 1 7.3.17.1) */

static bool has_rdrand(void)
{
    u32 r[4];

    arch_cpuid(1, 0, r);
    return r[2] & BIT(30);
}

static bool rdrand(u64 *value)
{
    bool good = false;

    for (unsigned i = 0; i < TRIES && !good; i++)
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good) : : "cc");
    return good;
}

bool arch_random(void *out, size_t size)
{
    u8 *at = out;
    u64 value;

    if (!has_rdrand())
        return false;
    for (size_t n; size; at += n, size -= n) {
        if (!rdrand(&value))
            return false;
        n = MIN(size, sizeof(value));
        memcpy(at, &value, n);
    }
    return true;
}

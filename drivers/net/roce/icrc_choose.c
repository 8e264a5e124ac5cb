/* SPDX-License-Identifier: BSD-2-Clause */
/* Which implementation of the ICRC this CPU has instructions for. */
#include "drivers/net/roce/icrc.h"
#include "kernel/arch.h"

/* CPUID 1, ECX (SDM 2A, CPUID) */
#define HAS_PCLMULQDQ BIT(1)
#define HAS_SSE41     BIT(19)

static u32 update(const struct icrc *i, u32 crc, const u8 *data, size_t size)
{
    if (size < ICRC_CLMUL_LEAST)
        return icrc_update_portable(i, crc, data, size);
    arch_fpu_begin();
    crc = icrc_update_clmul(i, crc, data, size);
    arch_fpu_end();
    return crc;
}

void icrc_choose(struct icrc *i)
{
    const u32 needed = HAS_PCLMULQDQ | HAS_SSE41;
    u32 r[4];

    arch_cpuid(1, 0, r);
    i->update = (r[2] & needed) == needed ? update : icrc_update_portable;
}

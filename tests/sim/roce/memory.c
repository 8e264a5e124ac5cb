/* SPDX-License-Identifier: BSD-2-Clause */
/* What soft-RoCE needs of kernel/arch.h, in builds without the fake machine of the unit tests. */
#include <cpuid.h>
#include "kernel/arch.h"

u8 *arch_direct_map;

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

void arch_fpu_begin(void)
{
}

void arch_fpu_end(void)
{
}

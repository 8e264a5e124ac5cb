/* SPDX-License-Identifier: BSD-2-Clause */
/* The FPU state of guests: what a guest left in the registers stays there until its thread loses the CPU. The
 * kernel's own use of them is in fpu_own.c. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/panic.h"
#include "kernel/string.h"

/* x87, SSE, AVX: what vmm/cpuid.c offers to guests (SDM 1 13.1). */
#define FEATURES_OFFERED 7ull

#define MXCSR_MASK_AT      28
#define MXCSR_MASK_DEFAULT 0xffbf /* where FXSAVE says 0 (SDM 1 11.6.6) */

static u64 features;
static u32 area_size, mxcsr_mask;

static void find_mxcsr_mask(void)
{
    static u8 area[512] ALIGNED(16);

    __asm__ volatile("fxsave64 %0" : "=m"(area));
    memcpy(&mxcsr_mask, area + MXCSR_MASK_AT, sizeof(mxcsr_mask));
    if (!mxcsr_mask)
        mxcsr_mask = MXCSR_MASK_DEFAULT;
}

static void features_init(void)
{
    u32 r[4];

    arch_cpuid(1, 0, r);
    if (!(r[2] & BIT(26)))
        panic("this CPU has no XSAVE (CPUID 1 ECX bit 26), which Ferry needs");
    arch_cpuid(0xd, 0, r);
    features = r[0] & FEATURES_OFFERED;
    xcr0_write(features);
    arch_cpuid(0xd, 0, r);
    area_size = r[1]; /* for what XCR0 has now */
    find_mxcsr_mask();
}

void fpu_cpu_init(void)
{
    cr0_write((cr0_read() | CR0_MP | CR0_NE) & ~(CR0_EM | CR0_TS));
    cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
    if (!features)
        features_init();
    xcr0_write(features);
}

u32 arch_fpu_size(void)
{
    return area_size;
}

u64 arch_fpu_features(void)
{
    return features;
}

u32 arch_fpu_mxcsr_mask(void)
{
    return mxcsr_mask;
}

void arch_xcr0_set(u64 xcr0)
{
    xcr0_write(xcr0);
}

u64 arch_xcr0_get(void)
{
    u32 low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (u64)high << 32 | low;
}

/* Standard format (SDM 1 13.4): FCW at 0, MXCSR at 24, then the header with no state present. */
void arch_fpu_init(void *area)
{
    u16 fcw = 0x37f;
    u32 mxcsr = 0x1f80;

    memset(area, 0, area_size);
    memcpy(area, &fcw, sizeof(fcw));
    memcpy((u8 *)area + 24, &mxcsr, sizeof(mxcsr));
}

/* The registers are a guest's while its state comes or goes. */
static void refuse_own_use(void)
{
    if (fpu_own_use())
        panic("a vCPU comes or goes between arch_fpu_begin and arch_fpu_end");
}

void arch_fpu_save(void *area)
{
    refuse_own_use();
    xcr0_write(features);
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"((u32)features), "d"(0) : "memory");
}

void arch_fpu_load(const void *area)
{
    refuse_own_use();
    xcr0_write(features);
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"((u32)features), "d"(0) : "memory");
}

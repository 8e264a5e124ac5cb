/* SPDX-License-Identifier: BSD-2-Clause */
/* How a guest reckons nanoseconds from its TSC, by what kvmclock told it (Linux, Documentation/virt/kvm/x86/msr.rst):
 *
 *     ns = clock.ns + ((tsc - clock.tsc) << shift) * mul >> 32
 *
 * One such clock serves all vCPUs of a VM, so that they agree to the nanosecond; it changes only where the rate does. */
#pragma once
#include "vmm/memory/pmap.h"

struct guest_clock {
    u64 tsc, ns; /* a moment on both; the TSC without what a vCPU added to its own */
};

struct clock_rate {
    u32 mul;
    s8 shift;
};

struct clock_page {
    u32 version; /* odd while it changes */
    u32 padding0;
    u64 tsc_timestamp;
    u64 system_time;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u8 flags;
    u8 padding1[2];
};
ASSERT_SIZE(struct clock_page, 32);

struct wall_page {
    u32 version, seconds, nanoseconds;
};
ASSERT_SIZE(struct wall_page, 12);

#define CLOCK_ENABLED BIT(0) /* of the MSR that says where the page is */

struct clock_rate clock_rate(u32 tsc_khz);
/* What the guest takes that TSC for. */
u64 clock_read(const struct guest_clock *c, u32 tsc_khz, u64 tsc);
/* May the guest write that to the MSR of its clock, of its wall clock? */
bool clock_msr_is_valid(const struct pmap *p, u64 value);
bool wall_msr_is_valid(const struct pmap *p, u64 value);

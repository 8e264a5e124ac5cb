/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads every MSR of the ranges that exist, and writes odd values to those that it does not live on: each answers or
 * raises #GP, and those that Ferry does not list raise #GP. */
#include "tests/guests/lib/guest.h"

struct access {
    u32 msr;
    u64 value;
};

static void read_it(void *arg)
{
    struct access *a = arg;

    a->value = rdmsr(a->msr);
}

static void write_it(void *arg)
{
    struct access *a = arg;

    wrmsr(a->msr, a->value);
}

/* Writing these moves the ground under the guest: EFER, the FS and GS bases, the APIC's base. */
static bool lives_on(u32 msr)
{
    return msr == 0xc0000080 || (msr >= 0xc0000100 && msr <= 0xc0000102) || msr == 0x1b;
}

static u32 present, absent, odd;

static void try_msr(u32 msr)
{
    struct access a = {.msr = msr};
    struct fault f;
    u64 before;

    if (faults(read_it, &a, &f)) {
        absent++;
        odd += f.vector != 13 || f.code;
    } else {
        present++;
    }
    before = a.value;
    for (unsigned i = 0; i < 3 && !lives_on(msr); i++) {
        static const u64 values[] = {~0ull, 0, 0x5a5a5a5a12345678ull};

        a.value = values[i];
        if (faults(write_it, &a, &f))
            odd += f.vector != 13 || f.code;
    }
    a.value = before;
    if (!lives_on(msr))
        faults(write_it, &a, &f);
}

static void gp_expected(u32 msr)
{
    struct access a = {.msr = msr};
    struct fault f = {0};

    check(faults(read_it, &a, &f) && f.vector == 13, "an MSR that is not listed raises #GP", "%x",
          msr);
}

/* SDM 3B 17.17.3: a write to either MSR moves the TSC, and TSC_ADJUST has the sum. */
static void check_tsc_adjust(void)
{
    const u64 step = 1ull << 40;
    u64 adjust, before;
    u32 r[4];

    cpuid(7, 0, r);
    if (!(r[1] & BIT(1))) {
        gp_expected(0x3b);
        return;
    }
    adjust = rdmsr(0x3b);
    before = rdtsc();
    wrmsr(0x3b, adjust + step);
    check(rdtsc() - before >= step && rdtsc() - before < 2 * step, "TSC_ADJUST moves the TSC", "%s",
          "");
    wrmsr(0x10, rdtsc() - step);
    check(rdmsr(0x3b) - adjust < step / 2 || adjust - rdmsr(0x3b) < step / 2,
          "a write to the TSC moves TSC_ADJUST", "%s", "");
    wrmsr(0x3b, adjust);
}

/* Kernels use these without asking CPUID. */
static void check_amd(void)
{
    u32 r[4];
    bool right = true;

    cpuid(0, 0, r);
    if (r[1] != 0x68747541) /* "Auth" */
        return;
    for (u32 msr = 0xc0010000; msr < 0xc0010008; msr++) {
        struct access a = {.msr = msr};
        struct fault f;

        right = right && !faults(write_it, &a, &f) && !faults(read_it, &a, &f) && !a.value;
    }
    check(right, "the performance counters of every AMD CPU take 0 and read 0", "%s", "");
    check(!rdmsr(0xc0010010) && !rdmsr(0xfe), "SYSCFG and MTRRCAP are there, and empty", "%s", "");
}

void guest_main(const char *cmdline)
{
    static const struct {
        u32 from, to;
    } ranges[] = {{0, 0x1fff},
                  {0x40000000, 0x400000ff},
                  {0x4b564d00, 0x4b564dff},
                  {0xc0000000, 0xc0001fff},
                  {0xc0010000, 0xc0011fff}};

    (void)cmdline;
    for (unsigned r = 0; r < COUNT_OF(ranges); r++)
        for (u32 msr = ranges[r].from; msr <= ranges[r].to; msr++)
            try_msr(msr);
    print("present=%u absent=%u\n", present, absent);
    check(!odd, "every refusal is a #GP with code 0", "%u are not", odd);
    check(present > 20 && present < 120, "an allow list is all that is there", "%u MSRs answer",
          present);
    check_tsc_adjust();
    check_amd();
    gp_expected(0x480);
    gp_expected(0xc0010114);
    gp_expected(0xc0010117);
}

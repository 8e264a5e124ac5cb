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
    gp_expected(0x3b);
    gp_expected(0x480);
    gp_expected(0xc0010114);
    gp_expected(0xc0010117);
}

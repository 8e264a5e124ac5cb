/* SPDX-License-Identifier: BSD-2-Clause */
/* Round trips to Ferry and back, by the TSC. Where the emulator's clock counts instructions, these are instructions:
 * Ferry's, and a handful of the loop's own. */
#include "tests/guests/lib/guest.h"

#define ROUNDS 2000

static u64 loop_cost;

static void report(const char *name, u64 ticks, u64 n)
{
    print("BENCH name=%s ticks_per=%llu n=%llu\n", name,
          (unsigned long long)(ticks / n - loop_cost), (unsigned long long)n);
}

static u64 ticks_at;

static void fired(void)
{
    ticks_at = rdtsc();
}

static void bench_faults(const char *name, u64 step, u64 from, u64 count)
{
    u64 start = rdtsc();

    for (u64 i = 0; i < count; i++)
        *(volatile u64 *)(from + i * step) = i;
    report(name, rdtsc() - start, count);
}

#define BENCH(name, statement)                                                                     \
    do {                                                                                           \
        u64 start_ = rdtsc();                                                                      \
        for (u64 i_ = 0; i_ < ROUNDS; i_++)                                                        \
            statement;                                                                             \
        report(name, rdtsc() - start_, ROUNDS);                                                    \
    } while (0)

void guest_main(const char *cmdline)
{
    u32 r[4];
    u64 sum = 0;

    (void)cmdline;
    lapic_enable(true);
    BENCH("warm_up", cpuid(0, 0, r));
    loop_cost = 4;
    BENCH("cpuid", cpuid(0, 0, r));
    BENCH("cpuid_7", cpuid(7, 0, r));
    BENCH("in_uart", in8(PORT_COM1 + 5));
    BENCH("in_none", in8(0x1234));
    BENCH("rdmsr_apic_id", rdmsr(0x802));
    BENCH("wrmsr_eoi", wrmsr(0x80b, 0));
    BENCH("wrmsr_tsc_deadline", wrmsr(0x6e0, 0));
    on_vector(0x40, fired, true);
    lapic_write(0x320, 0x40 | 2u << 17);
    for (unsigned i = 0; i < 200; i++) {
        u64 deadline = rdtsc() + 100000;

        wrmsr(0x6e0, deadline);
        halt();
        sum += ticks_at > deadline ? ticks_at - deadline : 0;
    }
    report("timer_wakes_hlt", sum, 200);
    bench_faults("fault_4k", PAGE_SIZE, MIB(16), 2048);
}

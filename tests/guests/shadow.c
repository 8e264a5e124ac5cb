/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits that fall between STI and the instruction behind it, while a tick is due, lose nothing. The tick is one-shot
 * and nothing else interrupts this guest: one that is lost stays lost. */
#include "tests/guests/lib/guest.h"

#define TICKS 3000
#define LIMIT 4000000000ull /* TSC ticks: far more than any emulator makes a guest wait */

static volatile u32 seen;

static void on_tick(void)
{
    seen++;
}

static bool tick(u64 after)
{
    u32 before = seen;
    u64 start = rdtsc();

    wrmsr(0x6e0, start + after);
    while (seen == before && rdtsc() - start < LIMIT)
        __asm__ volatile("sti; nop; cli");
    return seen != before;
}

void guest_main(const char *cmdline)
{
    unsigned n = 0;

    (void)cmdline;
    lapic_enable(true);
    on_vector(65, on_tick, true);
    lapic_write(0x320, 65 | 2u << 17); /* TSC deadline */
    while (n < TICKS && tick(20000 + n % 64 * 100))
        n++;
    check(n == TICKS, "no tick is lost in an STI shadow", "tick %u did not come", n);
}

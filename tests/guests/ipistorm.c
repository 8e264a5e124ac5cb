/* SPDX-License-Identifier: BSD-2-Clause */
/* Two vCPUs send each other, and themselves, interrupts as fast as they can. */
#include "tests/guests/lib/guest.h"

static volatile u32 taken, stop;

static void on_storm(void)
{
    __atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
}

void guest_other_cpu(unsigned number)
{
    (void)number;
    while (!stop) {
        wrmsr(0x83f, 0x51); /* self IPI */
        lapic_send(0, 0x4052);
        __asm__ volatile("sti; nop; cli");
    }
    for (;;)
        halt();
}

void guest_main(const char *cmdline)
{
    u64 rounds = option("rounds", 1000);

    (void)cmdline;
    on_vector(0x51, on_storm, true);
    on_vector(0x52, on_storm, true);
    lapic_enable(true);
    cpus_start(2);
    for (u64 i = 0; i < rounds; i++) {
        wrmsr(0x83f, 0x51);
        lapic_send(1, 0x4052);
        lapic_send(0, 0x84052); /* all, self included */
        __asm__ volatile("sti; nop; cli");
    }
    stop = 1;
    check(taken > rounds, "interrupts arrive", "%u", taken);
}

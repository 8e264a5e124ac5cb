/* SPDX-License-Identifier: BSD-2-Clause */
/* Two vCPUs that exit and load x87 state as fast as they can: what an emulator of SVM may mix up. */
#include "tests/guests/lib/guest.h"

#define FPU_CONTROL 0x37f
#define MXCSR       0x1f80
#define LOADS       16 /* for each exit */

static struct {
    u16 control, status;
    u8 rest[20];
    u32 mxcsr;
    u8 more[484];
} ALIGNED(16) image = {.control = FPU_CONTROL, .mxcsr = MXCSR};

static volatile u32 rounds_done[2];
static volatile bool stop;

static void exit_and_load(u32 cpu)
{
    u32 r[4];

    cpuid(0, 0, r);
    for (u32 i = 0; i < LOADS; i++)
        __asm__ volatile("fxrstor64 %0" : : "m"(image));
    rounds_done[cpu]++;
}

void guest_other_cpu(unsigned number)
{
    (void)number;
    while (!stop)
        exit_and_load(1);
    for (;;)
        halt();
}

void guest_main(const char *cmdline)
{
    u64 rounds = option("rounds", 20000);

    (void)cmdline;
    check(cpus_start(2) == 2, "both vCPUs start", "they do not");
    for (u64 i = 0; i < rounds; i++)
        exit_and_load(0);
    stop = true;
    check(rounds_done[1] > 0, "the other vCPU ran too", "%u rounds", rounds_done[1]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Hits a data breakpoint in the #DB handler itself, each delivery inside the one before. The host keeps its
 * interrupts, the guest goes on. */
#include "tests/guests/lib/guest.h"

#define STORM 20

static volatile u32 hits;
static volatile u64 watched;

static void on_debug(void)
{
    if (++hits >= STORM)
        __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
    watched = hits; /* traps again behind this store, inside the handler */
}

void guest_main(const char *cmdline)
{
    (void)cmdline;
    on_vector(1, on_debug, false);
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr7"
                     :
                     : "r"(&watched), "r"(0x400ull | 2 | 0xdull << 16));
    for (u32 i = 0; i < 20 && hits < 20; i++)
        watched = i;
    check(hits >= 20, "a data breakpoint is delivered each time", "%u times", hits);
}

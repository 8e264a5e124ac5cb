/* SPDX-License-Identifier: BSD-2-Clause */
/* Halts with interrupts on, and nothing that would wake it: costs the host nothing. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    (void)cmdline;
    print("idle\n");
    for (;;)
        halt();
}

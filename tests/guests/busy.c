/* SPDX-License-Identifier: BSD-2-Clause */
/* Every vCPU loops for ever with interrupts off: neighbours and the shell must get their turn. */
#include "tests/guests/lib/guest.h"

void guest_other_cpu(unsigned number)
{
    (void)number;
    for (;;)
        __asm__ volatile("cli");
}

void guest_main(const char *cmdline)
{
    (void)cmdline;
    lapic_enable(true);
    lapic_send(0, 0xc4500);
    cpus_start(1); /* whoever is there starts */
    print("busy\n");
    guest_other_cpu(0);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Halts with interrupts off: nothing can wake it, so the VM stops and says so. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    (void)cmdline;
    print("halting\n");
    __asm__ volatile("cli; hlt");
    check(false, "the halt ends", "it did");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Takes an exception with its stack in the local APIC's page: the VM stops and says so. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    (void)cmdline;
    print("falling\n");
    __asm__ volatile("mov %0, %%rsp; ud2" : : "r"(GUEST_LAPIC + 0x800));
}

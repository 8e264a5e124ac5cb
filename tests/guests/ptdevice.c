/* SPDX-License-Identifier: BSD-2-Clause */
/* Has a page table in the IOAPIC's page: the VM stops and says so. */
#include "tests/guests/lib/guest.h"

extern u64 pdpt[];

void guest_main(const char *cmdline)
{
    (void)cmdline;
    print("walking\n");
    pdpt[100] = GUEST_IOAPIC | 3;
    check(*(volatile u64 *)(100ull << 30) == 0, "a page table in a device is none",
          "it was walked");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables that lead to themselves, and a device reached through them: an ordinary mapping to the CPU, and Ferry's
 * own walks end. */
#include "tests/guests/lib/guest.h"

extern volatile u64 pml4[];

void guest_main(const char *cmdline)
{
    volatile u64 *self = (volatile u64 *)(0xffff000000000000ull | 511ull << 39 | 511ull << 30 |
                                          511ull << 21 | 511ull << 12);
    volatile u64 *table = (volatile u64 *)ALIGN_UP((u64)guest_end, PAGE_SIZE);

    (void)cmdline;
    pml4[511] = (u64)pml4 | 3;
    check((self[511] & ~0x60ull) == ((u64)pml4 | 3), /* but for A and D */
          "a recursive table reads itself", "%llx", (unsigned long long)self[511]);
    memset((void *)table, 0, PAGE_SIZE);
    table[1] = table[2] = (u64)table | 3; /* every level is this one page */
    table[511] = GUEST_LAPIC | 3;
    pml4[300] = (u64)table | 3;
    /* Twice around, then the local APIC's page. */
    check(*(volatile u32 *)(0xffff000000000000ull | 300ull << 39 | 1ull << 30 | 2ull << 21 |
                            511ull << 12 | 0x30) == *(volatile u32 *)(GUEST_LAPIC + 0x30),
          "a device behind a loop answers", "it does not");
}

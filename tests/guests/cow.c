/* SPDX-License-Identifier: BSD-2-Clause */
/* Has pages that are all the same, and writes one word of each when a key is typed: what a copy on write costs, by the TSC.
 * Before that the host is told to share them. */
#include "tests/guests/lib/guest.h"

#define PAGES 1024
#define FROM  MIB(8)

static u64 write_each(u64 value)
{
    u64 start = rdtsc();

    for (u64 i = 0; i < PAGES; i++)
        *(volatile u64 *)(FROM + i * PAGE_SIZE) = value;
    return rdtsc() - start;
}

void guest_main(const char *cmdline)
{
    u64 first, again;

    (void)cmdline;
    for (u64 n = 0; n < PAGES * PAGE_SIZE / 8; n++)
        ((volatile u64 *)FROM)[n] = n % 512 + 1;
    print("filled\n");
    while (!(in8(PORT_COM1 + 5) & 1))
        ;
    first = write_each(7);
    again = write_each(8);
    print("BENCH name=cow ticks_per=%llu n=%u\n", (unsigned long long)((first - again) / PAGES),
          PAGES);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills its memory with pages that are all the same, makes every page different when a key is typed, and finds that each says
 * what was written when another is. */
#include "tests/guests/lib/guest.h"

static void wait_for_key(void)
{
    while (!(in8(PORT_COM1 + 5) & 1))
        for (volatile int i = 0; i < 100000; i++)
            ;
    (void)in8(PORT_COM1);
}

void guest_main(const char *cmdline)
{
    u64 *from = (u64 *)ALIGN_UP((u64)guest_end, PAGE_SIZE), wrong = 0;
    u64 pages = (0x100000 + multiboot->mem_upper * 1024ull - (u64)from) / PAGE_SIZE;

    (void)cmdline;
    for (u64 n = 0; n < pages * 512; n++)
        from[n] = n % 512 + 1;
    print("filled %llu pages\n", (unsigned long long)pages);
    wait_for_key();
    for (u64 n = 0; n < pages; n++)
        from[n * 512] = ~n;
    print("written\n");
    wait_for_key();
    for (u64 n = 0; n < pages * 512; n++)
        wrong += from[n] != (n % 512 ? n % 512 + 1 : ~(n / 512));
    check(!wrong, "memory keeps what was written", "%llu words differ", (unsigned long long)wrong);
}

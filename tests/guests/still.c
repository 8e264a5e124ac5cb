/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills its memory with pages of a few contents, waits until a key is typed, and finds them again. */
#include "tests/guests/lib/guest.h"

static u64 word(u64 page, u64 i)
{
    return (page % 64 + 1) * 0x9e3779b97f4a7c15ull + i;
}

void guest_main(const char *cmdline)
{
    u64 *from = (u64 *)ALIGN_UP((u64)guest_end, PAGE_SIZE);
    u64 pages = (0x100000 + multiboot->mem_upper * 1024ull - (u64)from) / PAGE_SIZE, wrong = 0;

    (void)cmdline;
    for (u64 n = 0; n < pages * 512; n++)
        from[n] = word(n / 512, n % 512);
    print("filled %llu pages\n", (unsigned long long)pages);
    while (!(in8(PORT_COM1 + 5) & 1))
        for (volatile int i = 0; i < 100000; i++)
            ;
    for (u64 n = 0; n < pages * 512; n++)
        wrong += from[n] != word(n / 512, n % 512);
    check(!wrong, "memory keeps what was written", "%llu words differ", (unsigned long long)wrong);
}

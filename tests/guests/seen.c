/* SPDX-License-Identifier: BSD-2-Clause */
/* One vCPU reads a page that is shared, over and over, while the other writes it and then raises a flag: who has seen the flag must
 * see what was written. The copy is in another frame, so a CPU that still remembers the old one shows what was there before.
 *
 * It waits for a key, so that the host shares the pages first. */
#include "tests/guests/lib/guest.h"

#define PAGES 256

static volatile u64 reading, flag; /* the page, counted from 1 */
static volatile u64 stale, checked;

static volatile u64 *page_at(u64 n)
{
    return (volatile u64 *)(ALIGN_UP((u64)guest_end, PAGE_SIZE) + n * PAGE_SIZE);
}

/* No exit from here: nothing else makes the CPU forget. */
void guest_other_cpu(unsigned number)
{
    u64 sum = 0;

    for (u64 n = 1; number == 1 && n <= PAGES; n++) {
        for (u64 i = 0; flag < n; i++) {
            sum += *page_at(n - 1);
            if (i == 100)
                reading = n;
        }
        stale += *page_at(n - 1) != ~n;
        checked = n;
    }
    (void)sum;
    for (;;)
        __asm__ volatile("hlt");
}

void guest_main(const char *cmdline)
{
    (void)cmdline;
    lapic_enable(true);
    for (u64 n = 0; n < PAGES; n++)
        for (u64 i = 0; i < 512; i++)
            page_at(n)[i] = i + 1;
    print("filled\n");
    while (!(in8(PORT_COM1 + 5) & 1))
        ;
    check(cpus_start(2) == 2, "the other vCPU starts", "it does not");
    for (u64 n = 1; n <= PAGES; n++) {
        while (reading < n)
            ;
        *page_at(n - 1) = ~n;
        flag = n;
        while (checked < n)
            ;
    }
    check(!stale, "what was written is seen", "%llu of %u were not", (unsigned long long)stale,
          PAGES);
}

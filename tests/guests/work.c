/* SPDX-License-Identifier: BSD-2-Clause */
/* Rewrites its memory page by page, for ever, and says how far it gets in each INTERVAL of its clock. With the argument "equal" its
 * pages have 64 contents, which are found to be shared and written again; else each has its own. */
#include "tests/guests/lib/guest.h"
#include "kernel/string.h"

#define INTERVAL 200000000 /* ticks */

static bool has_word(const char *line, const char *word)
{
    while (*line && !str_starts(line, word))
        line++;
    return *line;
}

void guest_main(const char *cmdline)
{
    u64 *from = (u64 *)ALIGN_UP((u64)guest_end, PAGE_SIZE), done = 0, page = 0;
    u64 pages = (0x100000 + multiboot->mem_upper * 1024ull - (u64)from) / PAGE_SIZE;
    u64 contents = has_word(cmdline, "equal") ? 64 : pages, interval = 0, end;

    for (end = rdtsc() + INTERVAL;; done++, page = (page + 1) % pages) {
        u64 seed = (page % contents + 1) * 0x9e3779b97f4a7c15ull;

        for (u64 i = 0; i < 512; i++)
            from[page * 512 + i] = seed + i;
        if (rdtsc() < end)
            continue;
        print("WORK %llu %llu\n", (unsigned long long)interval++, (unsigned long long)done);
        done = 0;
        end += INTERVAL;
    }
}

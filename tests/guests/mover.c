/* SPDX-License-Identifier: BSD-2-Clause */
/* Uses its memory as a program does that is to be moved: finds each page as it left it, and changes some, at a pace. Of
 * option "same" MiB all guests have equal content, which is only read until "write" asks for writes to it, too. */
#include "tests/guests/lib/guest.h"

#define WORDS (PAGE_SIZE / 8)

static u64 random_state = 1;

static u64 random(void)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 33;
}

/* What a page holds that was changed so many times. */
static u64 word(u64 page, u64 changes, u64 i)
{
    return (page * 0x9e3779b97f4a7c15ull) ^ (changes * 0xbf58476d1ce4e5b9ull) ^ i;
}

static void fill(u64 *at, u64 page, u64 changes)
{
    for (u64 i = 0; i < WORDS; i++)
        at[i] = word(page, changes, i);
}

static u64 wrong_in(const u64 *at, u64 page, u64 changes)
{
    u64 wrong = 0;

    for (u64 i = 0; i < WORDS; i++)
        wrong += at[i] != word(page, changes, i);
    return wrong;
}

static void pause_for(u64 ticks)
{
    u64 until = rdtsc() + ticks;

    while (rdtsc() < until)
        __asm__ volatile("pause");
}

void guest_main(const char *cmdline)
{
    u64 *from = (u64 *)ALIGN_UP((u64)guest_end, PAGE_SIZE);
    u64 end = 0x100000 + multiboot->mem_upper * 1024ull;
    u64 pages = (end - (u64)from) / PAGE_SIZE - 16, same = option("same", 0) * 256, wrong = 0;
    u64 ticks = option("ticks", 20000), writes = option("write", 0), seed = option("seed", 1);
    u8 *changes = (u8 *)(end - 16 * PAGE_SIZE); /* of each page */

    (void)cmdline;
    random_state = seed;
    for (u64 p = 0; p < pages; p++)
        fill(from + p * WORDS, p < same ? p : p + seed * 1000000, 0);
    print("filled %llu pages\n", (unsigned long long)pages);
    for (u64 n = 1;; n++) {
        u64 p = random() % pages, what = p < same ? p : p + seed * 1000000;

        bool change = p >= same || (writes && random() % 8 == 0), blind = change && random() % 2;

        if (!blind)
            wrong += wrong_in(from + p * WORDS, what, changes[p]);
        if (change)
            fill(from + p * WORDS, what, ++changes[p]);
        if (n % 200 == 0)
            print("round %llu wrong %llu\n", (unsigned long long)n / 200,
                  (unsigned long long)wrong);
        pause_for(ticks);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills all its memory with a pattern made of each word's address, and finds it again. */
#include "tests/guests/lib/guest.h"

static u64 word(u64 address, u64 round)
{
    return (address + round) * 0x9e3779b97f4a7c15ull;
}

void guest_main(const char *cmdline)
{
    u64 from = ALIGN_UP((u64)guest_end, PAGE_SIZE), end = 0x100000 + multiboot->mem_upper * 1024ull;
    u64 wrong = 0;

    (void)cmdline;
    for (u64 round = 0; round < option("rounds", 1); round++) {
        for (u64 at = from; at < end; at += 8)
            *(u64 *)at = word(at, round);
        for (u64 at = from; at < end; at += 8)
            wrong += *(u64 *)at != word(at, round);
        print("round %llu\n", (unsigned long long)round);
    }
    check(!wrong, "memory keeps what is written", "%llu words differ", (unsigned long long)wrong);
}

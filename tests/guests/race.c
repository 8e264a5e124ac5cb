/* SPDX-License-Identifier: BSD-2-Clause */
/* Two vCPUs write pages that are equal to many others, and find in them what they wrote, while Ferry's scanner merges
 * them under their hands, for `rounds` rounds and on until a key is typed. Each vCPU has every second page; contents are few, and some are zero. */
#include "tests/guests/lib/guest.h"

#define PAGES    512
#define CONTENTS 4

static u8 content_of[PAGES]; /* what each page says; kept outside of the pages */
static volatile u64 wrong[2], rounds_done[2];
static volatile u32 ended;
static volatile bool enough;

static u64 *page_at(unsigned n)
{
    return (u64 *)(ALIGN_UP((u64)guest_end, PAGE_SIZE) + n * PAGE_SIZE);
}

static u64 word(unsigned content, unsigned i)
{
    return content ? content * 0x9e3779b97f4a7c15ull + i : 0;
}

static void write_page(unsigned n, unsigned content)
{
    for (unsigned i = 0; i < 512; i++)
        page_at(n)[i] = word(content, i);
    content_of[n] = (u8)content;
}

static void check_page(unsigned cpu, unsigned n)
{
    for (unsigned i = 0; i < 512; i++)
        wrong[cpu] += page_at(n)[i] != word(content_of[n], i);
}

static void run(unsigned cpu, u64 rounds)
{
    u64 dice = 88172645463325252ull + cpu;

    for (unsigned n = cpu; n < PAGES; n += 2)
        write_page(n, n % CONTENTS);
    for (u64 r = 0; r < rounds || !enough; r++) {
        for (unsigned n = cpu; n < PAGES; n += 2)
            check_page(cpu, n);
        for (unsigned k = 0; k < 16; k++) {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            write_page((unsigned)(dice % (PAGES / 2)) * 2 + cpu, dice >> 32 & (CONTENTS - 1));
        }
        rounds_done[cpu]++;
        if (!cpu && in8(PORT_COM1 + 5) & 1)
            enough = true;
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static u64 rounds;

void guest_other_cpu(unsigned number)
{
    if (number == 1)
        run(1, rounds);
    for (;;)
        halt();
}

void guest_main(const char *cmdline)
{
    (void)cmdline;
    rounds = option("rounds", 50);
    lapic_enable(true);
    check(cpus_start(2) == 2, "the other vCPU starts", "it does not");
    run(0, rounds);
    while (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) < 2)
        __builtin_ia32_pause();
    for (unsigned cpu = 0; cpu < 2; cpu++)
        check(!wrong[cpu], "pages keep what is written while they are merged",
              "vCPU %u read %llu wrong words", cpu, (unsigned long long)wrong[cpu]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What page sharing costs, with the hypervisor's own sources built for the host, for tools/bench:
 *
 *     share-costs skip|hash|merge|fault|copy PAGES   callgrind counts the instructions within measured()
 *     share-costs                                    pages/s beside XXH3 alone; a million collisions of hashes:
 *                                                    NAME VALUE UNIT, one a line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/thread.h"
#include "tests/unit/fake/fake.h"
#include "tests/unit/unit.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/share/hash.h"
#include "vmm/share/scan.h"

extern const struct ptab_format npt_format;
static const struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;
struct config host_config;

#define MEMORY     MIB(160)
#define FIRST      (MIB(2) / PAGE_SIZE) /* page; below it there is a hole */
#define PAGES      16384
#define ROUNDS     7 /* of each the best counts: others share the machine */
#define COLLISIONS 1000000

static struct pmap guest[2];
static struct member *member[2];

static void shoot_down(struct pmap *p)
{
    (void)p;
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "share-costs: %s\n", what);
    exit(1);
}

/* Two VMs of one group. The scanner's thread never runs: its parts are called here. */
static void start(void)
{
    u16 group;

    fake_reset();
    fake_memory(MIB(512));
    thread_init();
    memset(share_members, 0, sizeof(share_members));
    must(!index_create(&share_index, MIB(512) / PAGE_SIZE), "no index");
    must(!share_group_join("bench", &group), "no group");
    for (unsigned i = 0; i < 2; i++) {
        must(!pmap_create(&guest[i], MEMORY, (u16)(i + 1)), "no Pmap");
        guest[i].shoot_down = shoot_down;
        must(!share_attach(&guest[i], group), "not attached");
        member[i] = &share_members[i];
    }
}

static void write_page(unsigned g, u64 page, u64 content)
{
    u64 words[PAGE_SIZE / 8];

    for (u64 i = 0; i < PAGE_SIZE / 8; i++)
        words[i] = content * 0x9e3779b97f4a7c15ull + i;
    must(!guest_mem_write(&guest[g], pmap_gpa(FIRST + page), words, PAGE_SIZE), "no write");
}

/* All its pages count as not written since the last pass. */
static void calm(unsigned g)
{
    for (u64 i = 0; i < pmap_pages(&guest[g]); i++)
        (void)dirty_take(&guest[g], DIRTY_SHARE, i);
}

static void pass(unsigned g, u64 pages)
{
    for (u64 i = FIRST; i < FIRST + pages;)
        i += look_at(member[g], i);
    look_finish();
    member[g]->stats.passes++;
}

/* Guest g's pages have the contents from `content` on. */
static void fill(unsigned g, u64 pages, u64 content)
{
    for (u64 i = 0; i < pages; i++)
        write_page(g, i, content + i);
    calm(g);
}

/* A host with so little memory left puts nothing together to 2 MiB. */
static void be_short_of_memory(void)
{
    while (frames_free() > MIB(24) / PAGE_SIZE)
        must(frame_alloc(0, FRAME_KERNEL, 0).v, "no frame");
}

/* The fake's stacks tell AddressSanitizer of their changes; it is not in this build. */
void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size);

void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size)
{
    (void)save, (void)bottom, (void)size;
}

void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size)
{
    (void)save, (void)bottom, (void)size;
}

/* --- instructions --------------------------------------------------------------------------------- */

void measured(const char *what, u64 pages);

__attribute__((noinline)) void measured(const char *what, u64 pages)
{
    static u8 page[2][PAGE_SIZE];
    struct pmap_waiter waiter = {0};

    if (!strcmp(what, "fault"))
        for (u64 i = 0; i < pages; i++)
            must(!pmap_fault(&guest[1], pmap_gpa(FIRST + i), true, &waiter), "no copy");
    else if (!strcmp(what, "copy"))
        for (u64 i = 0; i < pages; i++) {
            memcpy(page[0], page[1], PAGE_SIZE);
            __asm__ volatile("" : : "r"(page) : "memory");
        }
    else
        pass(1, pages);
}

static void run(const char *what, u64 pages)
{
    start();
    member[0]->stats.passes = member[1]->stats.passes = 1;
    fill(0, pages, 1000);
    fill(1, pages, strcmp(what, "merge") && strcmp(what, "fault") ? MIB(1) : 1000);
    be_short_of_memory();
    pass(0, pages);
    if (!strcmp(what, "skip") || !strcmp(what, "fault"))
        pass(1, pages);
    measured(what, pages);
    if (!strcmp(what, "merge"))
        must(guest[1].count[PAGE_SHARED] == pages, "not all was merged");
    if (!strcmp(what, "fault"))
        must(guest[1].count[PAGE_PRIVATE] == pages, "not all was copied");
}

/* --- speed ---------------------------------------------------------------------------------------- */

static u64 frame_at(u64 page)
{
    unsigned level;

    return ptab_address(ptab_lookup(&guest[1].slat.table, pmap_gpa(FIRST + page).v, &level)).v;
}

/* The same pages, in the same order, without anything around it. */
static double hash_alone(bool xxh3)
{
    double began = seconds();

    for (u64 i = 0; i < PAGES; i++) {
        const void *page = phys_to_virt(HPA(frame_at(i)));

        __asm__ volatile(
            ""
            :
            : "r"(xxh3 ? XXH3_64bits_withSeed(page, PAGE_SIZE, 1) : page_hash(page, 1)));
    }
    return seconds() - began;
}

static double scan_all(void)
{
    double began;

    for (u64 i = FIRST; i < FIRST + PAGES; i++)
        pmap_record(&guest[1], i)->known = 0;
    began = seconds();
    pass(1, PAGES);
    return seconds() - began;
}

#define BEST(best, value)                                                                          \
    do {                                                                                           \
        double value_ = value;                                                                     \
        best = best && best < value_ ? best : value_;                                              \
    } while (0)

static void speed(void)
{
    double scan = 0, xxh3 = 0, xxh64 = 0;

    start();
    fill(1, PAGES, MIB(1));
    be_short_of_memory();
    member[1]->stats.passes = 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        BEST(xxh3, hash_alone(true));
        BEST(xxh64, hash_alone(false));
        BEST(scan, scan_all());
    }
    printf("scan.speed %.2f M_pages/s\n", PAGES / scan / 1e6);
    printf("xxh3 %.2f M_pages/s\n", PAGES / xxh3 / 1e6);
    printf("xxh64 %.2f M_pages/s\n", PAGES / xxh64 / 1e6);
    printf("scan.share %.0f %%\n", 100 * xxh3 / scan);
}

/* --- collisions ----------------------------------------------------------------------------------- */

#define COLLIDING 256 /* pages of each VM */

/* With a hash of 4 bits nearly all that the index names for a page is something else. Each page is written and looked at
 * again and again; what is merged is compared with what was written. */
static void collisions(void)
{
    static u64 wrote[2][COLLIDING];
    u64 dice = 0x1234567, wrong = 0, before;

    start();
    page_hash_mask = 15;
    before = share_counts.undone;
    for (u64 round = 0; share_counts.undone - before < COLLISIONS; round++) {
        for (unsigned g = 0; g < 2; g++) {
            for (u64 i = 0; i < COLLIDING; i++)
                if (!round || unit_random(&dice) % 4 == 0)
                    write_page(g, i, wrote[g][i] = unit_random(&dice) % 512);
            calm(g);
        }
        for (unsigned g = 0; g < 2; g++)
            pass(g, COLLIDING);
        for (unsigned g = 0; g < 2; g++)
            for (u64 i = 0; i < COLLIDING; i++) {
                u64 word;

                must(!guest_mem_read(&guest[g], pmap_gpa(FIRST + i), &word, 8), "no read");
                wrong += word != wrote[g][i] * 0x9e3779b97f4a7c15ull;
            }
    }
    printf("collisions %llu pages\n", (unsigned long long)(share_counts.undone - before));
    printf("collisions.merges %llu pages\n", (unsigned long long)share_counts.merges);
    printf("collisions.wrong %llu pages\n", (unsigned long long)wrong);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        run(argv[1], strtoull(argv[2], NULL, 10));
        return 0;
    }
    speed();
    collisions();
    return 0;
}

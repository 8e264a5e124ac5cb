/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame allocator against a simple model, and where it must refuse. */
#include <string.h>
#include <sys/mman.h>
#undef PROT_READ
#undef PROT_WRITE
#undef PROT_EXEC
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"

#define ALL (MIB(16) / PAGE_SIZE)

static u64 free_frames(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[FRAME_FREE];
}

static u64 largest(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.largest_free;
}

/* 17 MiB, of which the first is left out. */
static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(17));
    assert_int_equal(free_frames(), ALL);
    return 0;
}

static void a_block_is_aligned_to_its_size_and_all_its_own(void **state)
{
    hpa_t taken[FRAME_LARGE_ORDER + 1];

    (void)state;
    for (unsigned order = 0; order <= FRAME_LARGE_ORDER; order++) {
        taken[order] = frame_alloc(order, FRAME_KERNEL, 0);
        assert_int_not_equal(taken[order].v, 0);
        assert_int_equal(taken[order].v % (PAGE_SIZE << order), 0);
        for (unsigned i = 0; i < order; i++)
            assert_true(taken[i].v + (PAGE_SIZE << i) <= taken[order].v ||
                        taken[order].v + (PAGE_SIZE << order) <= taken[i].v);
    }
    for (unsigned order = 0; order <= FRAME_LARGE_ORDER; order++)
        assert_int_equal(frame_put(taken[order]), 0);
    assert_int_equal(free_frames(), ALL);
    assert_int_equal(largest(), 11); /* 8 MiB at 8 MiB: all buddies met again */
}

static void all_of_it_can_be_had_frame_by_frame(void **state)
{
    static hpa_t taken[ALL];

    (void)state;
    for (u64 i = 0; i < ALL; i++) {
        taken[i] = frame_alloc(0, FRAME_GUEST, 1);
        assert_true(taken[i].v >= MIB(1) && taken[i].v < MIB(17));
    }
    assert_int_equal(frame_alloc(0, FRAME_GUEST, 1).v, 0);
    assert_int_equal(frame_alloc(0, FRAME_KERNEL, 0).v, 0);
    assert_int_equal(free_frames(), 0);
    for (u64 i = 0; i < ALL; i++)
        (void)!frame_put(taken[(i * 1031) % ALL]);
    assert_int_equal(free_frames(), ALL);
    assert_int_equal(largest(), 11);
}

static void a_large_block_needs_frames_in_one_piece(void **state)
{
    static hpa_t taken[ALL];

    (void)state;
    for (u64 i = 0; i < ALL; i++)
        taken[i] = frame_alloc(0, FRAME_GUEST, 1);
    for (u64 i = 0; i < ALL; i++)
        if (taken[i].v / PAGE_SIZE % 2)
            (void)!frame_put(taken[i]);
    assert_int_equal(free_frames(), ALL / 2);
    assert_int_equal(frame_alloc(1, FRAME_GUEST, 1).v, 0);
    assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_GUEST, 1).v, 0);
    assert_int_not_equal(frame_alloc(0, FRAME_GUEST, 1).v, 0);
}

static void ferrys_own_frames_come_cleared(void **state)
{
    static const enum frame_kind own[] = {FRAME_KERNEL, FRAME_PAGE_TABLE};
    static const u8 zero[4 * PAGE_SIZE];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        hpa_t f = frame_alloc(2, FRAME_GUEST, 1);

        memset(phys_to_virt(f), 0xa5, sizeof(zero));
        (void)!frame_put(f);
        assert_int_equal(frame_alloc(2, own[i], 0).v, f.v);
        assert_memory_equal(phys_to_virt(f), zero, sizeof(zero));
        (void)!frame_put(f);
    }
}

static void a_block_is_freed_with_its_last_user(void **state)
{
    hpa_t f = frame_alloc(3, FRAME_GUEST, 5);

    (void)state;
    assert_int_equal(frame_users(f), 1);
    frame_get(f);
    frame_get(HPA(f.v + 5 * PAGE_SIZE)); /* any frame of it stands for the block */
    assert_int_equal(frame_users(HPA(f.v + 7 * PAGE_SIZE + 123)), 3);
    assert_int_equal(frames_owned(5), 8);
    assert_int_equal(frame_put(f), 2);
    assert_int_equal(frame_put(HPA(f.v + 3 * PAGE_SIZE)), 1);
    assert_int_equal(free_frames(), ALL - 8);
    assert_int_equal(frame_put(f), 0);
    assert_int_equal(free_frames(), ALL);
    assert_int_equal(frames_owned(5), 0);
}

static void a_split_block_is_frames_of_their_own(void **state)
{
    hpa_t f = frame_alloc(FRAME_LARGE_ORDER, FRAME_GUEST, 2);

    (void)state;
    frame_get(f);
    frame_split(HPA(f.v + 77 * PAGE_SIZE));
    for (unsigned i = 0; i < 512; i++) {
        hpa_t one = HPA(f.v + i * PAGE_SIZE);

        assert_int_equal(frame_users(one), 2);
        assert_int_equal(frame_info(one)->owner, 2);
        assert_int_equal(frame_info(one)->kind, FRAME_GUEST);
    }
    assert_int_equal(frames_owned(2), 512);
    for (unsigned i = 0; i < 512; i++) {
        assert_int_equal(frame_put(HPA(f.v + i * PAGE_SIZE)), 1);
        assert_int_equal(frame_put(HPA(f.v + i * PAGE_SIZE)), 0);
        assert_int_equal(frames_owned(2), 511 - i);
    }
    assert_int_equal(largest(), 11);
}

static void freeing_twice_stops_the_host(void **state)
{
    hpa_t one = frame_alloc(0, FRAME_KERNEL, 0), block = frame_alloc(4, FRAME_GUEST, 1);

    (void)state;
    (void)!frame_put(one);
    assert_panics((void)!frame_put(one), "is freed twice");
    (void)!frame_put(block);
    assert_panics((void)!frame_put(HPA(block.v + PAGE_SIZE)), "is freed twice");
    assert_panics((void)!frame_put(HPA(0)), "belongs to no block");
    assert_panics((void)!frame_put(HPA(MIB(17))), "belongs to no block");
    assert_panics(frame_get(HPA(U64_MAX)), "belongs to no block");
    assert_panics(frame_split(HPA(PAGE_SIZE)), "belongs to no block");
}

static void kinds_and_owners_are_counted(void **state)
{
    struct frame_stats s;
    hpa_t a = frame_alloc(2, FRAME_KERNEL, 0), b = frame_alloc(9, FRAME_GUEST, 3),
          c = frame_alloc(0, FRAME_PAGE_TABLE, 3);

    (void)state;
    frames_stats(&s);
    assert_int_equal(s.count[FRAME_KERNEL], 4);
    assert_int_equal(s.count[FRAME_GUEST], 512);
    assert_int_equal(s.count[FRAME_PAGE_TABLE], 1);
    assert_int_equal(s.ram, ALL);
    assert_int_equal(frames_owned(3), 513);
    assert_int_equal(frames_owned(60000), 0);
    (void)!frame_put(a), (void)!frame_put(b), (void)!frame_put(c);
    frames_stats(&s);
    assert_int_equal(s.count[FRAME_FREE], ALL);
}

/* --- against a model ----------------------------------------------------------------------------- */

struct held {
    u64 first;
    u32 users;
    u8 order;
    u16 owner;
};

static struct held held[600];
static unsigned held_count;
static u8 in_use[MIB(17) / PAGE_SIZE];

static void model_take(u64 first, unsigned order, bool take)
{
    for (u64 i = 0; i < 1ull << order; i++) {
        assert_int_equal(in_use[first + i], !take);
        in_use[first + i] = take;
    }
}

static void step_alloc(u64 *seed)
{
    struct held h = {
        .order = (u8)(unit_random(seed) % 11), .users = 1, .owner = (u16)(unit_random(seed) % 4)};
    hpa_t f;

    if (held_count == COUNT_OF(held))
        return;
    f = frame_alloc(h.order, FRAME_GUEST, h.owner);
    if (!f.v)
        return;
    h.first = f.v / PAGE_SIZE;
    assert_int_equal(h.first % (1u << h.order), 0);
    model_take(h.first, h.order, true);
    held[held_count++] = h;
}

static void step_put(u64 *seed)
{
    struct held *h = &held[unit_random(seed) % held_count];
    u64 within = unit_random(seed) % (1u << h->order);

    assert_int_equal(frame_put(HPA((h->first + within) * PAGE_SIZE)), --h->users);
    if (h->users)
        return;
    model_take(h->first, h->order, false);
    *h = held[--held_count];
}

static void step_split(u64 *seed)
{
    unsigned n = (unsigned)(unit_random(seed) % held_count);
    struct held h = held[n];

    if (held_count + (1u << h.order) > COUNT_OF(held))
        return;
    frame_split(HPA(h.first * PAGE_SIZE));
    held[n].order = 0;
    for (u64 i = 1; i < 1ull << h.order; i++)
        held[held_count++] =
            (struct held){.first = h.first + i, .users = h.users, .owner = h.owner};
}

static void assert_totals(void)
{
    u64 used = 0, owned[4] = {0};

    for (unsigned i = 0; i < held_count; i++) {
        used += 1ull << held[i].order;
        owned[held[i].owner] += 1ull << held[i].order;
    }
    assert_int_equal(free_frames(), ALL - used);
    for (u16 i = 0; i < 4; i++)
        assert_int_equal(frames_owned(i), owned[i]);
}

static void it_agrees_with_a_simple_model(void **state)
{
    u64 seed = 0x1234567;

    (void)state;
    held_count = 0;
    memset(in_use, 0, sizeof(in_use));
    for (unsigned i = 0; i < 60000; i++) {
        unsigned what = (unsigned)(unit_random(&seed) % 16);

        if (!held_count || what < 7)
            step_alloc(&seed);
        else if (what < 13)
            step_put(&seed);
        else if (what < 14)
            step_split(&seed);
        else {
            struct held *h = &held[unit_random(&seed) % held_count];

            frame_get(HPA(h->first * PAGE_SIZE));
            h->users++;
        }
        if (i % 64 == 0)
            assert_totals();
    }
    while (held_count)
        step_put(&seed);
    assert_int_equal(free_frames(), ALL);
    assert_int_equal(largest(), 11);
}

/* --- where memory lies ----------------------------------------------------------------------------- */

static void pieces_of_a_tebibyte_are_found_at_their_places(void **state)
{
    u64 count = GIB(1024) / PAGE_SIZE;
    struct frame *array =
        mmap(NULL, count * sizeof(*array), 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    unsigned gibibytes = 0;
    u64 top = 0;
    hpa_t f;

    (void)state;
    assert_true(array != MAP_FAILED);
    frames_init_array(array, count);
    frames_add(GIB(1), GIB(1));
    frames_add(GIB(512) + PAGE_SIZE, MIB(64));
    frames_add(GIB(1023), GIB(1));
    frames_add(GIB(1024), GIB(1)); /* beyond the array: left out */
    assert_int_equal(free_frames(), (GIB(2) + MIB(64)) / PAGE_SIZE);
    assert_int_equal(largest(), FRAME_MAX_ORDER);
    while ((f = frame_alloc(FRAME_MAX_ORDER, FRAME_GUEST, 1)).v) {
        assert_true(f.v == GIB(1) || f.v == GIB(1023));
        top = MAX(top, f.v);
        gibibytes++;
    }
    assert_int_equal(gibibytes, 2);
    while ((f = frame_alloc(0, FRAME_GUEST, 1)).v)
        assert_true(f.v >= GIB(512) + PAGE_SIZE && f.v < GIB(512) + PAGE_SIZE + MIB(64));
    assert_int_equal(free_frames(), 0);
    assert_int_equal(frame_put(HPA(GIB(1024) - PAGE_SIZE)), 0);
    assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_GUEST, 1).v, top);
    munmap(array, count * sizeof(*array));
}

static void ranges_are_cut_to_whole_frames(void **state)
{
    static struct frame array[64];

    (void)state;
    memset(array, 0, sizeof(array));
    frames_init_array(array, COUNT_OF(array));
    frames_add(0, 3 * PAGE_SIZE); /* frame 0 stays out: it means "none" */
    assert_int_equal(free_frames(), 2);
    frames_add(10 * PAGE_SIZE + 1, 2 * PAGE_SIZE);
    assert_int_equal(free_frames(), 3);
    frames_add(60 * PAGE_SIZE, 100 * PAGE_SIZE);
    assert_int_equal(free_frames(), 7);
    for (unsigned i = 0; i < 7; i++)
        assert_int_not_equal(frame_alloc(0, FRAME_KERNEL, 0).v, 0);
    assert_int_equal(frame_alloc(0, FRAME_KERNEL, 0).v, 0);
}

static void start_up_places_the_array_and_counts_the_rest(void **state)
{
    static struct boot_info boot;
    struct frame_stats s;

    (void)state;
    boot = (struct boot_info){.region_count = 5,
                              .region = {{MIB(1), MIB(3), BOOT_FREE, 0},
                                         {MIB(4), MIB(1), BOOT_LOADER, 0},
                                         {MIB(5), MIB(1), BOOT_FIRMWARE, 0},
                                         {MIB(6), MIB(10), BOOT_FREE, 0},
                                         {MIB(16), MIB(500), BOOT_OTHER, 0}}};
    frames_init(&boot);
    frames_stats(&s);
    assert_int_equal(s.count[FRAME_KERNEL],
                     24); /* 24 bytes for each of the 4,096 frames below 16 MiB */
    assert_int_equal(s.count[FRAME_FREE], MIB(13) / PAGE_SIZE - 24);
    assert_int_equal(s.count[FRAME_BOOT], 256);
    assert_int_equal(s.ram, MIB(14) / PAGE_SIZE);
    assert_int_equal(frame_info(HPA(MIB(16) - PAGE_SIZE))->kind, FRAME_KERNEL);
    assert_panics(frame_get(HPA(MIB(5))), "belongs to no block");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_block_is_aligned_to_its_size_and_all_its_own),
        TEST(all_of_it_can_be_had_frame_by_frame),
        TEST(a_large_block_needs_frames_in_one_piece),
        TEST(ferrys_own_frames_come_cleared),
        TEST(a_block_is_freed_with_its_last_user),
        TEST(a_split_block_is_frames_of_their_own),
        TEST(freeing_twice_stops_the_host),
        TEST(kinds_and_owners_are_counted),
        TEST(it_agrees_with_a_simple_model),
        TEST(pieces_of_a_tebibyte_are_found_at_their_places),
        TEST(ranges_are_cut_to_whole_frames),
        TEST(start_up_places_the_array_and_counts_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

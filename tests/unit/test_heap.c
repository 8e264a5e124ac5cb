/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"

static u64 free_frames(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[FRAME_FREE];
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(9));
    return 0;
}

static bool is_zero(const u8 *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i])
            return false;
    return true;
}

static void all_sizes_are_aligned_zeroed_and_writable(void **state)
{
    (void)state;
    for (size_t size = 0; size < 20000; size += size < 5000 ? 7 : 1111) {
        u8 *p = heap_alloc(size);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % (size >= PAGE_SIZE ? PAGE_SIZE : 16), 0);
        assert_true(is_zero(p, size));
        memset(p, 0xff, size);
        heap_free(p);
        p = heap_alloc(size); /* most likely the same */
        assert_true(is_zero(p, size));
        memset(p, 0xff, size);
        heap_free(p);
    }
}

static void freeing_nothing_is_harmless(void **state)
{
    (void)state;
    heap_free(NULL);
}

static void large_memory_goes_back_to_the_frames(void **state)
{
    u64 before = free_frames();
    void *p = heap_alloc(MIB(1));

    (void)state;
    assert_int_equal(free_frames(), before - 256);
    heap_free(p);
    assert_int_equal(free_frames(), before);
}

static void without_memory_there_is_none(void **state)
{
    static void *taken[4096];
    unsigned count = 0;

    (void)state;
    assert_null(heap_alloc(MIB(16)));
    while ((taken[count] = heap_alloc(PAGE_SIZE)))
        count++;
    assert_int_equal(count, MIB(8) / PAGE_SIZE);
    assert_null(heap_alloc(PAGE_SIZE));
    heap_free(taken[--count]);
    assert_non_null(heap_alloc(1500)); /* a frame of small blocks */
    while (count)
        heap_free(taken[--count]);
}

static void what_grows_keeps_what_it_holds(void **state)
{
    u8 *p = heap_grow(NULL, 0, 100);

    (void)state;
    memset(p, 7, 100);
    p = heap_grow(p, 100, 5000);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(p[i], i < 100 ? 7 : 0);
    assert_null(heap_grow(p, 5000, MIB(16)));
    assert_int_equal(p[0], 7);
    heap_free(p);
}

struct piece {
    u8 *p;
    size_t size;
    u8 fill;
};

static void assert_filled(const struct piece *x)
{
    for (size_t i = 0; i < x->size; i++)
        assert_int_equal(x->p[i], x->fill);
}

static void pieces_do_not_touch_each_other(void **state)
{
    static struct piece pieces[300];
    u64 seed = 42;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct piece *x = &pieces[unit_random(&seed) % COUNT_OF(pieces)];

        if (x->p) {
            assert_filled(x);
            heap_free(x->p);
        }
        x->size = (size_t)(unit_random(&seed) % (i % 10 ? 300 : 6000));
        x->fill = (u8)i;
        x->p = heap_alloc(x->size);
        assert_non_null(x->p);
        assert_true(is_zero(x->p, x->size));
        memset(x->p, x->fill, x->size);
    }
    for (unsigned i = 0; i < COUNT_OF(pieces); i++)
        if (pieces[i].p)
            assert_filled(&pieces[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(all_sizes_are_aligned_zeroed_and_writable),
        TEST(freeing_nothing_is_harmless),
        TEST(large_memory_goes_back_to_the_frames),
        TEST(without_memory_there_is_none),
        TEST(what_grows_keeps_what_it_holds),
        TEST(pieces_do_not_touch_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

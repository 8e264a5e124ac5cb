/* SPDX-License-Identifier: BSD-2-Clause */
/* The page-table walker with each of its three entry formats. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/ptab.h"

extern const struct ptab_format ept_format, npt_format, host_format;
static const struct ptab_format *const formats[] = {&ept_format, &npt_format, &host_format};

#define RWX    (PROT_READ | PROT_WRITE | PROT_EXEC)
#define FAR    0x7f8040201000ull /* an entry other than the first in each table */
#define FAR_2M ALIGN_DOWN(FAR, LARGE_SIZE)
#define FAR_1G ALIGN_DOWN(FAR, GIB(1))
#define FRAMES (MIB(8) / PAGE_SIZE)

static struct ptab t;
static hpa_t kept[FRAMES];
static unsigned kept_count;

static u64 count_of(enum frame_kind kind)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[kind];
}

/* For each format: nine MiB, of which eight are for frames. */
static void begin(const struct ptab_format *format)
{
    fake_memory(MIB(9));
    kept_count = 0;
    assert_int_equal(ptab_create(&t, format), OK);
}

static void end(void)
{
    ptab_destroy(&t);
    assert_int_equal(t.tables, 0);
    assert_int_equal(count_of(FRAME_PAGE_TABLE), 0);
}

#define FOR_EACH_FORMAT                                                                            \
    for (unsigned f = 0; f < COUNT_OF(formats) && (begin(formats[f]), true); f++, end())

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* Takes all frames but that many. */
static void leave_frames(unsigned count)
{
    while (kept_count < FRAMES && (kept[kept_count] = frame_alloc(0, FRAME_KERNEL, 0)).v)
        kept_count++;
    for (; count; count--)
        (void)!frame_put(kept[--kept_count]);
}

static void give_frames_back(void)
{
    while (kept_count)
        (void)!frame_put(kept[--kept_count]);
}

static void assert_maps(u64 address, unsigned level, u64 to, u32 prot)
{
    unsigned at = 99;
    u64 e = ptab_lookup(&t, address, &at);

    assert_int_not_equal(e, 0);
    assert_int_equal(at, level);
    assert_int_equal(ptab_address(e).v, to);
    assert_int_equal(t.format->prot(e), prot);
}

static void assert_unmapped(u64 address)
{
    unsigned level;

    assert_int_equal(ptab_lookup(&t, address, &level), 0);
}

static void an_empty_table_maps_nothing(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        unsigned level;

        assert_unmapped(0);
        assert_unmapped(0xfffffffff000);
        assert_int_equal(ptab_clear(&t, FAR, &level), 0);
        assert_false(ptab_has_table(&t, FAR, 1));
        assert_int_equal(t.tables, 1);
    }
}

static void a_leaf_maps_its_page_and_no_other(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(ptab_map(&t, FAR, 1, HPA(0x123456000), RWX, MEMORY_WB), OK);
        assert_maps(FAR, 1, 0x123456000, RWX);
        assert_maps(FAR + 4095, 1, 0x123456000, RWX);
        assert_unmapped(FAR - 1);
        assert_unmapped(FAR + PAGE_SIZE);
        assert_unmapped(FAR ^ GIB(1));
        assert_int_equal(t.tables, 4);
    }
}

static void each_level_has_its_leaf(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(
            ptab_map(&t, FAR_2M, 2, HPA(LARGE_SIZE * 7), PROT_READ | PROT_EXEC, MEMORY_WB), OK);
        assert_maps(FAR_2M + LARGE_MASK, 2, LARGE_SIZE * 7, PROT_READ | PROT_EXEC);
        assert_int_equal(ptab_map(&t, GIB(5), 3, HPA(GIB(2)), PROT_READ | PROT_WRITE, MEMORY_UC),
                         OK);
        assert_maps(GIB(6) - 1, 3, GIB(2), PROT_READ | PROT_WRITE);
        assert_unmapped(GIB(6));
        assert_int_equal(t.tables, 1 + 2 + 1);
    }
}

static void rights_come_back_as_they_were_given(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        for (u32 prot = PROT_READ; prot <= RWX; prot++) {
            if (!(prot & PROT_READ))
                continue;
            assert_int_equal(ptab_map(&t, prot * PAGE_SIZE, 1, HPA(0xabc000), prot, MEMORY_WB), OK);
            assert_maps(prot * PAGE_SIZE, 1, 0xabc000, prot);
        }
    }
}

static void preparing_changes_nothing_that_a_walk_sees(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(ptab_prepare(&t, FAR, 1), OK);
        assert_unmapped(FAR);
        assert_int_equal(ptab_commit(&t, FAR, 1, HPA(0x5000), RWX, MEMORY_WB), 0);
        assert_maps(FAR, 1, 0x5000, RWX);
        assert_int_equal(ptab_prepare(&t, FAR, 1), OK);
        assert_maps(FAR, 1, 0x5000, RWX);
    }
}

static void committing_returns_what_was_there(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        u64 old;

        assert_int_equal(ptab_map(&t, FAR, 1, HPA(0x5000), PROT_READ, MEMORY_WB), OK);
        old = ptab_commit(&t, FAR, 1, HPA(0x6000), RWX, MEMORY_WB);
        assert_int_equal(ptab_address(old).v, 0x5000);
        assert_int_equal(t.format->prot(old), PROT_READ);
        assert_maps(FAR, 1, 0x6000, RWX);
    }
}

static void a_larger_leaf_is_in_the_way(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(ptab_map(&t, FAR_2M, 2, HPA(LARGE_SIZE), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_map(&t, FAR, 1, HPA(0x5000), RWX, MEMORY_WB), E_EXIST);
        assert_maps(FAR, 2, LARGE_SIZE, RWX);
        assert_int_equal(ptab_prepare(&t, FAR_2M, 2), OK);
    }
}

static void clearing_takes_the_leaf_that_covers_the_address(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        unsigned level;

        assert_int_equal(ptab_map(&t, FAR_2M, 2, HPA(LARGE_SIZE), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_map(&t, FAR_1G - PAGE_SIZE, 1, HPA(0x7000), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_address(ptab_clear(&t, FAR, &level)).v, LARGE_SIZE);
        assert_int_equal(level, 2);
        assert_unmapped(FAR);
        assert_maps(FAR_1G - PAGE_SIZE, 1, 0x7000, RWX);
        assert_int_equal(ptab_address(ptab_clear(&t, FAR_1G - 1, &level)).v, 0x7000);
        assert_int_equal(level, 1);
        assert_int_equal(ptab_clear(&t, FAR_1G - 1, &level), 0);
    }
}

static void a_table_is_told_from_a_leaf(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(ptab_map(&t, 0, 1, HPA(0x1000), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_map(&t, LARGE_SIZE, 2, HPA(LARGE_SIZE), RWX, MEMORY_WB), OK);
        assert_true(ptab_has_table(&t, 0, 2));
        assert_true(ptab_has_table(&t, LARGE_SIZE, 3));
        assert_false(ptab_has_table(&t, LARGE_SIZE, 2));
        assert_false(ptab_has_table(&t, 2 * LARGE_SIZE, 2));
        assert_false(ptab_has_table(&t, GIB(600), 2));
    }
}

static unsigned met;

static void meet(void *ctx, u64 address, unsigned level, u64 *entry)
{
    (void)ctx, (void)address, (void)level, (void)entry;
    met++;
}

static unsigned used_leaves(void)
{
    met = 0;
    ptab_each_used_leaf(&t, 0, GIB(2), meet, NULL);
    return met;
}

/* As the CPU does when it walks through the table of that 2 MiB. */
static void use(u64 address)
{
    u64 *table = phys_to_virt(t.root);

    for (unsigned level = 4; level > 2; level--)
        table = phys_to_virt(ptab_address(table[address >> (3 + 9 * level) & 511]));
    table[address >> 21 & 511] |= t.format->accessed;
}

static void tables_that_the_cpu_has_not_used_are_left_out(void **state)
{
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        begin(f ? &npt_format : &ept_format);
        for (u64 i = 0; i < 3; i++)
            assert_int_equal(
                ptab_map(&t, i * MIB(2) + i * PAGE_SIZE, 1, HPA(MIB(4)), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_map(&t, GIB(1), 2, HPA(MIB(4)), RWX, MEMORY_WB), OK);
        assert_int_equal(used_leaves(), 1); /* a large leaf has no table */
        use(MIB(2));
        assert_int_equal(used_leaves(), 2);
        assert_int_equal(used_leaves(), 2); /* it may have been cached until a moment ago */
        assert_int_equal(used_leaves(), 1);
        assert_int_equal(ptab_split(&t, GIB(1)), OK);
        assert_int_equal(used_leaves(), 512);
        use(0);
        use(MIB(4));
        assert_int_equal(used_leaves(), 514);
        assert_int_equal(used_leaves(), 2);
        assert_int_equal(used_leaves(), 0);
        end();
    }
}

static void a_split_leaf_maps_the_same(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(
            ptab_map(&t, FAR_2M, 2, HPA(LARGE_SIZE * 3), PROT_READ | PROT_WRITE, MEMORY_WB), OK);
        assert_int_equal(ptab_split(&t, FAR + 5), OK);
        for (unsigned i = 0; i < 512; i++)
            assert_maps(FAR_2M + i * PAGE_SIZE, 1, LARGE_SIZE * 3 + i * PAGE_SIZE,
                        PROT_READ | PROT_WRITE);
        assert_unmapped(FAR_2M + LARGE_SIZE);
        assert_int_equal(t.tables, 4);
        assert_int_equal(ptab_split(&t, FAR), E_NOENT); /* it is split already */
        assert_int_equal(ptab_split(&t, 0), E_NOENT);
        assert_int_equal(ptab_map(&t, GIB(5), 3, HPA(GIB(2)), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_split(&t, GIB(5)), E_NOENT);
    }
}

/* --- without memory ------------------------------------------------------------------------------ */

static void no_mapping_is_half_made_when_memory_ends(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        enum err e = E_NOMEM;

        assert_int_equal(ptab_map(&t, 0, 1, HPA(0x5000), RWX, MEMORY_WB), OK);
        for (unsigned left = 0; e; left++) {
            struct ptab other;
            u64 tables = count_of(FRAME_PAGE_TABLE);

            assert_int_equal(ptab_create(&other, t.format), OK);
            leave_frames(left);
            e = ptab_map(&other, FAR, 1, HPA(0x6000), RWX, MEMORY_WB);
            assert_int_equal(e, left < 3 ? E_NOMEM : OK);
            assert_int_equal(other.tables, 1 + left);
            give_frames_back();
            if (e) { /* it goes on from there */
                unsigned level;

                assert_int_equal(ptab_lookup(&other, FAR, &level), 0);
                assert_int_equal(ptab_map(&other, FAR, 1, HPA(0x6000), RWX, MEMORY_WB), OK);
            }
            assert_int_equal(other.tables, 4);
            ptab_destroy(&other);
            assert_int_equal(count_of(FRAME_PAGE_TABLE), tables);
        }
        assert_maps(0, 1, 0x5000, RWX);
    }
}

static void a_split_without_memory_leaves_the_large_leaf(void **state)
{
    (void)state;
    FOR_EACH_FORMAT
    {
        assert_int_equal(ptab_map(&t, FAR_2M, 2, HPA(LARGE_SIZE), RWX, MEMORY_WB), OK);
        leave_frames(0);
        assert_int_equal(ptab_split(&t, FAR), E_NOMEM);
        assert_maps(FAR, 2, LARGE_SIZE, RWX);
        give_frames_back();
        assert_int_equal(ptab_split(&t, FAR), OK);
    }
}

static void a_table_that_could_not_be_made_can_be_destroyed(void **state)
{
    struct ptab none;

    (void)state;
    FOR_EACH_FORMAT
    {
        leave_frames(0);
        assert_int_equal(ptab_create(&none, t.format), E_NOMEM);
        ptab_destroy(&none);
        give_frames_back();
    }
}

/* --- against a model ----------------------------------------------------------------------------- */

#define PAGES 4096 /* 16 MiB, eight large pages, across a GiB boundary */
#define BASE  (GIB(3) - MIB(8))

static u64 model[PAGES]; /* frame and rights, 0: none */
static u8 model_level[PAGES];

static void model_map(u64 page, unsigned level, u64 to, u32 prot)
{
    u64 count = level == 2 ? 512 : 1;

    for (u64 i = 0; i < count; i++) {
        model[page + i] = (to + i * PAGE_SIZE) | prot;
        model_level[page + i] = (u8)level;
    }
}

static void step(u64 *seed)
{
    u64 page = unit_random(seed) % PAGES, large = ALIGN_DOWN(page, 512ull),
        to = unit_random(seed) % 1024 * LARGE_SIZE;
    u32 prot =
        (u32)(PROT_READ | (unit_random(seed) & PROT_WRITE) | (unit_random(seed) & PROT_EXEC));
    unsigned level, what = (unsigned)(unit_random(seed) % 8);

    if (what < 4) {
        enum err e = ptab_map(&t, BASE + page * PAGE_SIZE, 1, HPA(to), prot, MEMORY_WB);

        assert_int_equal(e, model[page] && model_level[page] == 2 ? E_EXIST : OK);
        if (!e)
            model_map(page, 1, to, prot);
    } else if (what == 4 && !ptab_has_table(&t, BASE + large * PAGE_SIZE, 2)) {
        assert_int_equal(ptab_map(&t, BASE + large * PAGE_SIZE, 2, HPA(to), prot, MEMORY_WB), OK);
        model_map(large, 2, to, prot);
    } else if (what == 5) {
        enum err e = ptab_split(&t, BASE + page * PAGE_SIZE);

        assert_int_equal(e, model[page] && model_level[page] == 2 ? OK : E_NOENT);
        for (u64 i = 0; i < 512 && !e; i++)
            model_level[large + i] = 1;
    } else if (what > 5) {
        u64 e = ptab_clear(&t, BASE + page * PAGE_SIZE, &level);

        assert_int_equal(e != 0, model[page] != 0);
        if (e)
            assert_int_equal(level, model_level[page]);
        for (u64 i = 0; e && i < (level == 2 ? 512 : 1); i++)
            model[(level == 2 ? large : page) + i] = 0;
    }
}

static void it_agrees_with_a_simple_model(void **state)
{
    u64 seed = 4711;

    (void)state;
    FOR_EACH_FORMAT
    {
        memset(model, 0, sizeof(model));
        for (unsigned i = 0; i < 6000; i++) {
            step(&seed);
            if (i % 500)
                continue;
            for (u64 page = 0; page < PAGES; page++) {
                u64 large = ALIGN_DOWN(page, 512ull);

                if (model[page] && model_level[page] == 2)
                    assert_maps(BASE + page * PAGE_SIZE, 2, model[large] & ~PAGE_MASK,
                                (u32)(model[page] & 7));
                else if (model[page])
                    assert_maps(BASE + page * PAGE_SIZE, 1, model[page] & ~PAGE_MASK,
                                (u32)(model[page] & 7));
                else
                    assert_unmapped(BASE + page * PAGE_SIZE);
            }
        }
    }
}

static void frames_of_pages_in_a_row_are_told_at_once(void **state)
{
    hpa_t frame[4];

    (void)state;
    FOR_EACH_FORMAT
    {
        ptab_frames(&t, 0, 4, frame);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(frame[i].v, 0);
        assert_int_equal(ptab_map(&t, 0x1000, 1, HPA(0x7000), RWX, MEMORY_WB), OK);
        assert_int_equal(ptab_map(&t, 0x3000, 1, HPA(0x5000), PROT_READ, MEMORY_WB), OK);
        ptab_frames(&t, 0, 4, frame);
        assert_int_equal(frame[0].v, 0);
        assert_int_equal(frame[1].v, 0x7000);
        assert_int_equal(frame[2].v, 0);
        assert_int_equal(frame[3].v, 0x5000);
        assert_int_equal(ptab_map(&t, LARGE_SIZE, 2, HPA(3 * LARGE_SIZE), RWX, MEMORY_WB), OK);
        ptab_frames(&t, LARGE_SIZE + 0x8000, 4, frame);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(frame[i].v, 3 * LARGE_SIZE + 0x8000 + i * PAGE_SIZE);
    }
}

/* --- the bits, as the manuals have them ------------------------------------------------------------ */

static void ept_entries_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(ept_format.leaf(HPA(0x1000), RWX, MEMORY_WB, 1), 0x1037);
    assert_int_equal(ept_format.leaf(HPA(0x200000), PROT_READ, MEMORY_WB, 2), 0x2000b1);
    assert_int_equal(ept_format.leaf(HPA(0x1000), PROT_READ | PROT_WRITE, MEMORY_UC, 1), 0x1003);
    assert_int_equal(ept_format.table, 7);
}

static void npt_and_host_entries_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_int_equal(npt_format.leaf(HPA(0x1000), RWX, MEMORY_WB, 1), 0x1007);
    assert_int_equal(npt_format.leaf(HPA(0x200000), PROT_READ, MEMORY_WB, 2), 0x8000000000200085);
    assert_int_equal(npt_format.leaf(HPA(0x1000), PROT_READ | PROT_EXEC, MEMORY_UC, 1), 0x1015);
    assert_int_equal(npt_format.table, 7);
    assert_int_equal(host_format.leaf(HPA(0x1000), RWX, MEMORY_WB, 1), 0x1063);
    assert_int_equal(host_format.leaf(HPA(0x200000), PROT_READ, MEMORY_UC, 2), 0x80000000002000f1);
    assert_int_equal(host_format.table, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_table_maps_nothing),
        TEST(a_leaf_maps_its_page_and_no_other),
        TEST(each_level_has_its_leaf),
        TEST(rights_come_back_as_they_were_given),
        TEST(preparing_changes_nothing_that_a_walk_sees),
        TEST(committing_returns_what_was_there),
        TEST(a_larger_leaf_is_in_the_way),
        TEST(clearing_takes_the_leaf_that_covers_the_address),
        TEST(a_table_is_told_from_a_leaf),
        TEST(tables_that_the_cpu_has_not_used_are_left_out),
        TEST(a_split_leaf_maps_the_same),
        TEST(no_mapping_is_half_made_when_memory_ends),
        TEST(a_split_without_memory_leaves_the_large_leaf),
        TEST(a_table_that_could_not_be_made_can_be_destroyed),
        TEST(it_agrees_with_a_simple_model),
        TEST(frames_of_pages_in_a_row_are_told_at_once),
        TEST(ept_entries_are_those_of_the_manual),
        TEST(npt_and_host_entries_are_those_of_the_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The reverse map: which pages show a shared frame, against a model that remembers what was done. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/thread.h"
#include "vmm/memory/pmap.h"

extern const struct ptab_format npt_format;
static const struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;

#define MEMORY MIB(4)
#define RX     (PROT_READ | PROT_EXEC)
#define VMS    3
#define PAGES  40 /* of each VM */
#define FRAMES 5

static struct pmap pmap[VMS];
static hpa_t frame[FRAMES];

static void shoot_down(struct pmap *p)
{
    (void)p;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(24));
    thread_init();
    for (unsigned v = 0; v < VMS; v++) {
        assert_int_equal(pmap_create(&pmap[v], MEMORY, (u16)(v + 1)), OK);
        pmap[v].shoot_down = shoot_down;
    }
    for (unsigned f = 0; f < FRAMES; f++)
        frame[f] = frame_alloc(0, FRAME_SHARED, 1); /* its user here is the test */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VMS; v++)
        pmap_destroy(&pmap[v]);
    return 0;
}

static void change(struct pmap *p, u64 index, enum page_state to, hpa_t frame_to)
{
    struct pmap_change c = {.gpa = pmap_gpa(index), .to = to, .frame = frame_to, .prot = RX};

    lock_acquire(&p->lock);
    assert_int_equal(pmap_prepare(p, &c), OK);
    pmap_commit(p, &c);
    lock_release(&p->lock);
}

static void show(unsigned v, u64 index, unsigned f)
{
    frame_get(frame[f]);
    change(&pmap[v], index, PAGE_SHARED, frame[f]);
}

static void hide(unsigned v, u64 index, unsigned f)
{
    change(&pmap[v], index, PAGE_EMPTY, pmap[v].zero_frame);
    (void)!frame_put(frame[f]);
}

/* --- what is found ------------------------------------------------------------------------------ */

/* By VM and page: how often rmap_each named it. */
static unsigned named[VMS][MEMORY / PAGE_SIZE];

static bool note(void *limit, struct pmap *p, u64 index)
{
    named[p - pmap][index]++;
    return !limit || --*(unsigned *)limit;
}

static unsigned look(unsigned f, unsigned *limit)
{
    unsigned n = 0;

    memset(named, 0, sizeof(named));
    rmap_each(frame[f], note, limit);
    for (unsigned v = 0; v < VMS; v++)
        for (unsigned i = 0; i < MEMORY / PAGE_SIZE; i++)
            n += named[v][i];
    return n;
}

static void every_page_that_shows_a_frame_is_found(void **state)
{
    (void)state;
    assert_int_equal(look(0, NULL), 0);
    show(0, 7, 0);
    show(2, 0, 0);
    show(2, 1, 0);
    show(1, 7, 1);
    assert_int_equal(look(0, NULL), 3);
    assert_true(named[0][7] && named[2][0] && named[2][1]);
    assert_int_equal(rmap_count(frame[0]), 3);
    hide(2, 0, 0);
    assert_int_equal(look(0, NULL), 2);
    assert_false(named[2][0]);
}

static void a_search_can_end_early(void **state)
{
    unsigned limit = 2;

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        show(0, i, 0);
    assert_int_equal(look(0, &limit), 2);
}

static void a_page_that_is_mapped_again_is_there_once(void **state)
{
    (void)state;
    show(0, 7, 0);
    show(1, 7, 0);
    change(&pmap[0], 7, PAGE_SHARED, frame[0]);
    assert_int_equal(look(0, NULL), 2);
    frame_get(frame[1]);
    change(&pmap[0], 7, PAGE_SHARED, frame[1]); /* to another frame */
    (void)!frame_put(frame[0]);
    assert_int_equal(look(0, NULL), 1);
    assert_int_equal(look(1, NULL), 1);
}

static void users_outside_a_vm_are_other_vms_and_who_shows_no_page(void **state)
{
    (void)state;
    show(0, 7, 0);
    show(0, 8, 0);
    assert_true(rmap_used_outside(frame[0], &pmap[0])); /* the test has a user of it */
    (void)!frame_put(frame[0]);
    assert_false(rmap_used_outside(frame[0], &pmap[0]));
    assert_true(rmap_used_outside(frame[0], &pmap[1]));
    show(1, 1, 0);
    assert_true(rmap_used_outside(frame[0], &pmap[0]));
    hide(1, 1, 0);
    assert_false(rmap_used_outside(frame[0], &pmap[0]));
    frame_get(frame[0]);
}

static void a_vm_that_ends_is_in_no_list(void **state)
{
    (void)state;
    show(0, 7, 0);
    show(1, 7, 0);
    show(0, 9, 0);
    pmap_destroy(&pmap[0]);
    assert_int_equal(look(0, NULL), 1);
    assert_int_equal(named[1][7], 1);
    assert_int_equal(pmap_create(&pmap[0], MEMORY, 1), OK);
}

static void a_vm_that_is_too_large_for_the_numbers_is_refused(void **state)
{
    struct pmap large = {.memory = GIB(4096)}, rest = {.memory = GIB(4096 - VMS - 1)};

    (void)state;
    assert_int_equal(rmap_register(&large), E_NOMEM);
    assert_int_equal(rmap_register(&rest), OK);
    assert_int_equal(rmap_register(&large), E_NOMEM);
    rmap_unregister(&rest);
    rmap_unregister(&large); /* harmless */
}

/* --- against a model ------------------------------------------------------------------------------- */

static int shown[VMS][PAGES]; /* which frame each page shows, -1: none */

static void check(unsigned f)
{
    unsigned want = 0, of_first = 0;

    for (unsigned v = 0; v < VMS; v++)
        for (unsigned i = 0; i < PAGES; i++) {
            want += shown[v][i] == (int)f;
            of_first += !v && shown[v][i] == (int)f;
        }
    assert_int_equal(look(f, NULL), want);
    for (unsigned v = 0; v < VMS; v++)
        for (unsigned i = 0; i < PAGES; i++)
            assert_int_equal(named[v][i], shown[v][i] == (int)f);
    assert_int_equal(rmap_count(frame[f]), want);
    assert_int_equal(frame_users(frame[f]), want + 1);
    (void)!frame_put(frame[f]);
    if (want)
        assert_int_equal(rmap_used_outside(frame[f], &pmap[0]), want != of_first);
    else
        frame[f] = frame_alloc(0, FRAME_SHARED, 1);
    if (want)
        frame_get(frame[f]);
}

/* One page shows another frame, or none, or becomes the VM's own by a write. */
static void step(u64 *dice)
{
    unsigned v = (unsigned)(unit_random(dice) % VMS), i = (unsigned)(unit_random(dice) % PAGES);
    unsigned f = (unsigned)(unit_random(dice) % FRAMES);
    struct pmap_waiter waiter = {0};

    if (shown[v][i] < 0) {
        if (pmap_state(&pmap[v], i) == PAGE_EMPTY) {
            show(v, i, f);
            shown[v][i] = (int)f;
        } else {
            unsigned level;
            u64 entry = ptab_lookup(&pmap[v].slat.table, pmap_gpa(i).v, &level);

            change(&pmap[v], i, PAGE_EMPTY, pmap[v].zero_frame);
            (void)!frame_put(ptab_address(entry));
        }
        return;
    }
    if (unit_random(dice) % 2)
        hide(v, i, (unsigned)shown[v][i]);
    else
        assert_int_equal(pmap_fault(&pmap[v], pmap_gpa(i), true, &waiter), OK);
    shown[v][i] = -1;
}

static void it_agrees_with_a_simple_model(void **state)
{
    u64 dice = 0x1234567;

    (void)state;
    memset(shown, -1, sizeof(shown));
    for (unsigned n = 0; n < 20000; n++) {
        step(&dice);
        if (n % 16 == 0)
            check((unsigned)(unit_random(&dice) % FRAMES));
    }
    for (unsigned f = 0; f < FRAMES; f++)
        check(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_page_that_shows_a_frame_is_found),
        TEST(a_search_can_end_early),
        TEST(a_page_that_is_mapped_again_is_there_once),
        TEST(users_outside_a_vm_are_other_vms_and_who_shows_no_page),
        TEST(a_vm_that_ends_is_in_no_list),
        TEST(a_vm_that_is_too_large_for_the_numbers_is_refused),
        TEST(it_agrees_with_a_simple_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

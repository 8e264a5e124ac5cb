/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/memory/dirty.c: harvests of one VM by two threads, and of a large one. */
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/thread.h"
#include "vmm/memory/guest_mem.h"

extern const struct ptab_format npt_format;
static const struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;

#define MEMORY GIB(1)

static struct pmap pmap;
static unsigned shoot_downs, at_once, worst, looks;
static bool ended;

/* Another thread gets the CPU while this one waits for the CPUs. */
static void shoot_down(struct pmap *p)
{
    assert_int_equal(p->lock.taken, 0);
    shoot_downs++;
    at_once++;
    worst = MAX(worst, at_once);
    thread_yield();
    at_once--;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(64));
    thread_init();
    assert_int_equal(pmap_create(&pmap, MEMORY, 1), OK);
    assert_int_equal(dirty_attach(&pmap, DIRTY_SHARE), OK);
    pmap.shoot_down = shoot_down;
    shoot_downs = at_once = worst = looks = 0;
    ended = false;
    return 0;
}

static void spawn(void (*entry)(void *))
{
    struct thread *t;

    assert_int_equal(thread_create(&t, "other", entry, NULL), OK);
    thread_put(t);
}

static void harvest(void *unused)
{
    (void)unused;
    dirty_harvest(&pmap);
    ended = true;
}

static void two_threads_harvest_one_after_the_other(void **state)
{
    (void)state;
    spawn(harvest);
    dirty_harvest(&pmap);
    while (!ended)
        thread_yield();
    assert_int_equal(shoot_downs, 2);
    assert_int_equal(worst, 1);
}

/* Runs in the middle of the other's harvest, which must have let go of the lock. */
static void look(void *unused)
{
    (void)unused;
    looks += pmap.harvesting && !shoot_downs;
    assert_int_equal(pmap.lock.taken, 0);
    ended = true;
}

static void others_run_between_the_pieces_of_a_large_harvest(void **state)
{
    u64 value = 1;

    (void)state;
    for (u64 at = 0; at < MEMORY; at += MIB(64))
        assert_int_equal(guest_mem_write(&pmap, GPA(at), &value, sizeof(value)), OK);
    spawn(look);
    cpu_this()->resched = true;
    dirty_harvest(&pmap);
    assert_true(ended);
    assert_int_equal(looks, 1);
    for (u64 at = 0; at < MEMORY; at += MIB(64))
        assert_true(dirty_is_set(&pmap, DIRTY_SHARE, at / PAGE_SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(two_threads_harvest_one_after_the_other, setup),
        cmocka_unit_test_setup(others_run_between_the_pieces_of_a_large_harvest, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUs remember of guests' memory and must forget: the backends' logic over a model of a TLB. Each test has a part
 * that leaves one thing out, and sees the guest read what is no longer its own. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "fake/guest.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/thread.h"

extern const struct ptab_format npt_format;
static const struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;

#define MEMORY MIB(4)
#define PAGE   0x5000ull
#define OLD    0x1111ull
#define NEW    0x2222ull

static struct fake_guest guest, other[4];

static void start(enum fake_tlb_kind kind, enum fake_tlb_fault fault)
{
    fake_reset();
    fake_memory(MIB(24));
    thread_init();
    fake_tlb_reset(kind, fault);
    fake_guest_make(&guest, MEMORY, 1);
    for (unsigned i = 0; i < COUNT_OF(other); i++)
        fake_guest_make(&other[i], MEMORY, (u16)(i + 2));
    fake_guest_write(&guest, PAGE, OLD);
}

static const enum fake_tlb_kind kinds[] = {FAKE_EPT, FAKE_ASID, FAKE_ASID_FLUSH};
#define FOR_EACH_KIND(k) for (unsigned k = 0; k < COUNT_OF(kinds); k++)

/* The page shows another frame, which says NEW, as after a copy for another vCPU's write. */
static void replace(struct fake_guest *g)
{
    hpa_t frame = frame_alloc(0, FRAME_GUEST, g->pmap.owner);
    struct pmap_change c = {.gpa = GPA(PAGE),
                            .to = PAGE_PRIVATE,
                            .frame = frame,
                            .prot = PROT_READ | PROT_WRITE | PROT_EXEC};

    *(u64 *)phys_to_virt(frame) = NEW;
    lock_acquire(&g->pmap.lock);
    pmap_commit(&g->pmap, &c);
    lock_release(&g->pmap.lock);
    pmap_shoot_down(&g->pmap);
}

static u64 after_a_change(enum fake_tlb_kind kind, enum fake_tlb_fault fault)
{
    start(kind, fault);
    replace(&guest);
    return fake_guest_read(&guest, PAGE);
}

static void what_changed_is_seen_after_a_shoot_down(void **state)
{
    (void)state;
    FOR_EACH_KIND(k)
    {
        assert_int_equal(after_a_change(kinds[k], FAKE_TLB_FINE), NEW);
        assert_int_equal(after_a_change(kinds[k], FAKE_NO_FLUSH), OLD);
    }
}

/* It reaches the new generation on CPU 1; CPU 0 has not forgotten for that. */
static u64 after_a_trip(enum fake_tlb_kind kind, enum fake_tlb_fault fault)
{
    start(kind, fault);
    fake_guest_move(&guest, 1);
    assert_int_equal(fake_guest_read(&guest, PAGE), OLD);
    replace(&guest);
    assert_int_equal(fake_guest_read(&guest, PAGE), NEW);
    fake_guest_move(&guest, 0);
    return fake_guest_read(&guest, PAGE);
}

static void a_vcpu_that_comes_back_to_a_cpu_meets_nothing_from_before(void **state)
{
    (void)state;
    FOR_EACH_KIND(k) assert_int_equal(after_a_trip(kinds[k], FAKE_TLB_FINE), NEW);
    assert_int_equal(after_a_trip(FAKE_EPT, FAKE_NO_ARRIVAL), OLD);
}

/* More guests on one CPU than it has ASIDs: the last gets the first one's. */
static u64 after_others(enum fake_tlb_kind kind, enum fake_tlb_fault fault)
{
    start(kind, fault);
    for (unsigned i = 0; i < COUNT_OF(other); i++)
        fake_guest_write(&other[i], PAGE, NEW + i);
    for (unsigned i = 0; i < COUNT_OF(other); i++)
        if (fake_guest_read(&other[i], PAGE) != NEW + i)
            return fake_guest_read(&other[i], PAGE);
    return fake_guest_read(&guest, PAGE);
}

static void guests_that_have_one_number_after_another_do_not_see_each_other(void **state)
{
    (void)state;
    FOR_EACH_KIND(k) assert_int_equal(after_others(kinds[k], FAKE_TLB_FINE), OLD);
    assert_int_not_equal(after_others(FAKE_ASID, FAKE_NO_ROLLOVER), OLD);
}

/* A guest that stays keeps what its CPU remembers: flushing costs. */
static void nothing_is_flushed_without_need(void **state)
{
    struct asid_pool pool = {.generation = 1, .next = 1, .count = 3};
    struct asid a = {0};

    (void)state;
    start(FAKE_EPT, FAKE_TLB_FINE);
    assert_int_equal(tlb_stale(&guest.vcpu), 0);
    assert_false(tlb_arrive(&guest.vcpu, 0));
    assert_int_equal(asid_prepare(&pool, &a, true, false), ASID_KEEP); /* a new number */
    assert_int_equal(a.number, 1);
    assert_int_equal(asid_prepare(&pool, &a, false, false), ASID_KEEP);
    assert_int_equal(a.number, 1);
    assert_int_equal(asid_prepare(&pool, &a, true, true), ASID_FLUSH_ONE);
    assert_int_equal(a.number, 1);
    assert_int_equal(asid_prepare(&pool, &a, true, false), ASID_KEEP);
    assert_int_equal(a.number, 2);
    assert_int_equal(asid_prepare(&pool, &a, true, false), ASID_FLUSH_ALL); /* there is no third */
    assert_int_equal(a.number, 1);
    assert_int_equal(pool.generation, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_is_seen_after_a_shoot_down),
        cmocka_unit_test(a_vcpu_that_comes_back_to_a_cpu_meets_nothing_from_before),
        cmocka_unit_test(guests_that_have_one_number_after_another_do_not_see_each_other),
        cmocka_unit_test(nothing_is_flushed_without_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

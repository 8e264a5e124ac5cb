/* SPDX-License-Identifier: BSD-2-Clause */
/* One merge, with a guest that writes at every moment at which it could go wrong. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "fake/guest.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/thread.h"
#include "vmm/share/merge.h"

extern const struct ptab_format npt_format;
static struct ptab_format format; /* npt_format, with a guest that writes while an entry is made */
static const struct hvm_ops ops = {.slat_format = &format};
const struct hvm_ops *hvm = &ops;

#define MEMORY  MIB(4)
#define PAGE    0x5000ull
#define CONTENT 0x9e3779b97f4a7c15ull

static struct fake_guest a, b;
static struct fake_guest *victim; /* whose write comes at a bad moment */

static u64 word(u64 i, u64 content)
{
    return content ? content + i : 0;
}

static void fill(struct fake_guest *g, u64 content)
{
    for (u64 i = 0; i < 512; i++)
        fake_guest_write(g, PAGE + i * 8, word(i, content));
}

static void assert_has(struct fake_guest *g, u64 content)
{
    for (u64 i = 0; i < 512; i++)
        assert_int_equal(fake_guest_read(g, PAGE + i * 8), word(i, content));
}

static enum page_state state_of(struct fake_guest *g)
{
    return pmap_state(&g->pmap, pmap_index(GPA(PAGE)));
}

static u64 entry_of(struct fake_guest *g)
{
    unsigned level;

    return ptab_lookup(&g->pmap.slat.table, PAGE, &level);
}

static u64 frame_of(struct fake_guest *g)
{
    return ptab_address(entry_of(g)).v;
}

/* Both have the page with that content, and have not written it lately. */
static void start(u64 content)
{
    struct fake_guest *both[] = {&a, &b};

    fake_reset();
    fake_memory(MIB(16));
    thread_init();
    format = npt_format;
    fake_tlb_reset(FAKE_EPT, FAKE_TLB_FINE);
    for (unsigned i = 0; i < 2; i++) {
        fake_guest_make(both[i], MEMORY, (u16)(i + 1));
        both[i]->pmap.group = 1;
        fill(both[i], content);
        dirty_harvest(&both[i]->pmap);
    }
}

static struct merge merge_page(void)
{
    u64 index = pmap_index(GPA(PAGE));

    return (struct merge){
        .kind = MERGE_PAGE, .pmap = &a.pmap, .page = index, .other = &b.pmap, .other_page = index};
}

static bool run(void)
{
    struct merge m = merge_page();

    merge_run(&m, 1);
    return m.done;
}

static void equal_pages_are_merged(void **state)
{
    (void)state;
    start(CONTENT);
    assert_true(run());
    assert_int_equal(frame_of(&a), frame_of(&b));
    assert_has(&a, CONTENT);
    assert_has(&b, CONTENT);
}

static void different_pages_are_not(void **state)
{
    (void)state;
    for (u64 i = 0; i < 512; i += 511) { /* first word, last word */
        start(CONTENT);
        fake_guest_write(&b, PAGE + i * 8, 1);
        dirty_harvest(&b.pmap);
        assert_false(run());
        assert_int_not_equal(frame_of(&a), frame_of(&b));
        assert_int_equal(state_of(&b), PAGE_PRIVATE);
        assert_has(&a, CONTENT);
    }
}

static void a_page_that_was_written_lately_is_not_protected(void **state)
{
    (void)state;
    start(CONTENT);
    fake_guest_write(&a, PAGE, word(0, CONTENT));
    assert_false(run());
    assert_int_equal(npt_format.prot(entry_of(&a)) & PROT_WRITE, PROT_WRITE);
}

/* --- writes ------------------------------------------------------------------------------------- */

/* The page says the same afterwards, and is writable in what the vCPU remembers. */
static void write_same(struct fake_guest *g)
{
    g->after = NULL;
    fake_guest_write(g, PAGE, word(0, CONTENT));
}

/* Through what it remembers, if that still lets it, once the pages show one frame. */
static void write_when_shared(struct fake_guest *g)
{
    if (state_of(g) != PAGE_SHARED || !fake_guest_may_write(g, PAGE))
        return;
    g->late = NULL;
    fake_guest_write(g, PAGE, 0xdead);
}

static void assert_kept(struct fake_guest *other)
{
    u64 now = fake_guest_read(victim, PAGE);

    assert_true(now == 0xdead || now == word(0, CONTENT));
    assert_int_equal(now == 0xdead, !victim->late); /* it was written if it got the chance */
    fake_guest_write(victim, PAGE, 0xbeef);
    assert_int_equal(fake_guest_read(victim, PAGE), 0xbeef);
    assert_has(other, CONTENT);
}

static void a_write_between_protection_and_comparison_undoes_the_merge(void **state)
{
    struct fake_guest *both[] = {&a, &b};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(CONTENT);
        victim = both[i];
        victim->after = write_same;
        victim->late = write_when_shared;
        assert_false(run());
        assert_null(victim->after);
        assert_int_equal(state_of(&a), PAGE_PRIVATE);
        assert_int_equal(state_of(&b), PAGE_PRIVATE);
        assert_kept(both[!i]);
    }
}

static u64 protected_frame;

/* The CPU sets the dirty bit after Ferry has found it clear, and before the entry is replaced: from here on the vCPU
 * remembers that it may write. */
static u64 racing_leaf(hpa_t to, u32 prot, enum memory_type type, unsigned level)
{
    if (to.v == protected_frame && !(prot & PROT_WRITE)) {
        protected_frame = 0;
        fake_guest_write(victim, PAGE, word(0, CONTENT));
    }
    return npt_format.leaf(to, prot, type, level);
}

static void a_write_while_the_page_is_being_protected_is_not_overtaken(void **state)
{
    struct fake_guest *both[] = {&a, &b};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(CONTENT);
        victim = both[i];
        protected_frame = frame_of(victim);
        format.leaf = racing_leaf;
        victim->late = write_when_shared;
        (void)run();
        assert_int_equal(protected_frame, 0);
        assert_kept(both[!i]);
    }
}

static void write_another(struct fake_guest *g)
{
    g->late = NULL;
    fake_guest_write(g, PAGE, 0xdead);
}

static void a_write_before_the_cpu_has_let_go_undoes_the_merge(void **state)
{
    struct fake_guest *both[] = {&a, &b};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start(CONTENT);
        victim = both[i];
        protected_frame = frame_of(victim);
        format.leaf = racing_leaf;
        victim->late = write_another;
        assert_false(run());
        assert_int_equal(fake_guest_read(victim, PAGE), 0xdead);
        assert_has(both[!i], CONTENT);
    }
}

static void read_once(struct fake_guest *g)
{
    g->after = NULL;
    assert_int_equal(fake_guest_read(g, PAGE), word(0, CONTENT));
}

static void the_old_frame_is_not_seen_when_another_has_it(void **state)
{
    hpa_t frame;

    (void)state;
    start(CONTENT);
    a.after = b.after = read_once; /* both remember the frame that they had, as not writable */
    assert_true(run());
    assert_true(!a.after && !b.after);
    while ((frame = frame_alloc(0, FRAME_KERNEL, 0)).v)
        memset(phys_to_virt(frame), 0xee, PAGE_SIZE);
    assert_has(&a, CONTENT);
    assert_has(&b, CONTENT);
}

static void a_page_that_is_no_longer_zero_keeps_its_frame(void **state)
{
    struct merge m = {.kind = MERGE_ZERO, .pmap = &a.pmap, .page = pmap_index(GPA(PAGE))};

    (void)state;
    start(0);
    victim = &a;
    protected_frame = frame_of(&a);
    format.leaf = racing_leaf; /* says something */
    merge_run(&m, 1);
    assert_false(m.done);
    assert_int_equal(fake_guest_read(&a, PAGE), word(0, CONTENT));
    start(0);
    merge_run(&m, 1);
    assert_true(m.done);
    assert_int_equal(state_of(&a), PAGE_EMPTY);
    assert_has(&a, 0);
}

static bool waited;

/* The other VM takes a frame of its own, so that the frame has one user, while a vCPU still reads what the page had before:
 * that user's write must wait, or that vCPU would not see it. */
static void take_the_last(struct fake_guest *g)
{
    struct pmap_waiter waiter = {0};

    if (state_of(g) != PAGE_SHARED || state_of(&b) != PAGE_SHARED)
        return;
    g->late = NULL;
    fake_guest_write(&b, PAGE, 7);
    waited = pmap_fault(&g->pmap, GPA(PAGE), true, &waiter) == E_AGAIN;
    assert_int_equal(npt_format.prot(entry_of(g)) & PROT_WRITE, 0);
    pmap_cancel_wait(&g->pmap, &waiter);
}

static void the_last_user_of_a_frame_does_not_write_it_before_the_cpus_have_let_go(void **state)
{
    (void)state;
    start(CONTENT);
    waited = false;
    a.late = take_the_last;
    assert_true(run());
    assert_true(waited);
    fake_guest_write(&a, PAGE, 8);
    assert_int_equal(fake_guest_read(&a, PAGE), 8);
    assert_int_equal(fake_guest_read(&b, PAGE), 7);
}

static void both_ends_in_one_vm_and_many_in_a_batch(void **state)
{
    struct merge m[4];

    (void)state;
    start(CONTENT);
    for (unsigned n = 1; n < 5; n++)
        for (u64 i = 0; i < 512; i++)
            fake_guest_write(&a, PAGE + n * PAGE_SIZE + i * 8, word(i, CONTENT));
    dirty_harvest(&a.pmap);
    for (unsigned n = 0; n < 4; n++) {
        m[n] = merge_page();
        m[n].page += n + 1;
        m[n].other = n % 2 ? &a.pmap : &b.pmap;
    }
    merge_run(m, 4);
    for (unsigned n = 0; n < 4; n++)
        assert_true(m[n].done);
    assert_int_equal(frame_users(HPA(frame_of(&a))), 3);
    assert_int_equal(frame_users(HPA(frame_of(&b))), 3);
    assert_int_equal(rmap_count(HPA(frame_of(&b))), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_pages_are_merged),
        cmocka_unit_test(different_pages_are_not),
        cmocka_unit_test(a_page_that_was_written_lately_is_not_protected),
        cmocka_unit_test(a_write_between_protection_and_comparison_undoes_the_merge),
        cmocka_unit_test(a_write_while_the_page_is_being_protected_is_not_overtaken),
        cmocka_unit_test(a_write_before_the_cpu_has_let_go_undoes_the_merge),
        cmocka_unit_test(the_old_frame_is_not_seen_when_another_has_it),
        cmocka_unit_test(a_page_that_is_no_longer_zero_keeps_its_frame),
        cmocka_unit_test(the_last_user_of_a_frame_does_not_write_it_before_the_cpus_have_let_go),
        cmocka_unit_test(both_ends_in_one_vm_and_many_in_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

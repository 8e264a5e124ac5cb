/* SPDX-License-Identifier: BSD-2-Clause */
/* Page sharing, with guests whose vCPUs remember translations until they are shot down. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "fake/guest.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/thread.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/share/group.h"
#include "vmm/share/hash.h"
#include "vmm/share/index.h"
#include "vmm/share/share.h"

extern const struct ptab_format npt_format;
static struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;

#define MEMORY MIB(8)
#define BASE   MIB(2)

static enum fake_tlb_kind tlb = FAKE_EPT;
static struct fake_guest a, b;
static struct why why;

struct config host_config = {.secret_count = 3,
                             .secret = {{.group = "cluster", .key = {1, 2}},
                                        {.group = "same", .key = {1, 2}},
                                        {.group = "other", .key = {1, 3}}}};

static u16 group(const char *name)
{
    u16 number;

    assert_int_equal(share_group_join(name, &number), OK);
    return number;
}

static void make(struct fake_guest *g, u16 owner, const char *of)
{
    fake_guest_make(g, MEMORY, owner);
    assert_int_equal(share_attach(&g->pmap, group(of)), OK);
}

static void start(u64 memory)
{
    fake_reset();
    fake_memory(memory);
    thread_init();
    fake_tlb_reset(tlb, FAKE_TLB_FINE);
    assert_int_equal(share_start(memory / PAGE_SIZE), OK);
    share_set(true);
    make(&a, 1, "one");
    make(&b, 2, "one");
}

/* With so little memory that nothing is put together. */
static int setup(void **state)
{
    (void)state;
    start(MIB(32));
    return 0;
}

static bool yes(void)
{
    return true;
}

/* On CPUs whose TLBs have ASIDs. */
static int setup_asid(void **state)
{
    tlb = FAKE_ASID;
    return setup(state);
}

static int setup_asid_flush(void **state)
{
    tlb = FAKE_ASID_FLUSH;
    return setup(state);
}

/* On CPUs that log what they mark dirty. */
static int setup_logged(void **state)
{
    ops.logs_dirty = yes;
    return setup(state);
}

static int teardown(void **state)
{
    (void)state;
    ops.logs_dirty = NULL;
    tlb = FAKE_EPT;
    a.late = b.late = a.after = b.after = NULL;
    share_detach(&a.pmap);
    share_detach(&b.pmap);
    return 0;
}

/* The same on a host with that much. */
static void again(u64 memory)
{
    bool (*logs)(void) = ops.logs_dirty;

    teardown(NULL);
    ops.logs_dirty = logs;
    start(memory);
}

static u64 page_at(unsigned n)
{
    return BASE + n * PAGE_SIZE;
}

/* Every word of the page says `content`, mixed with its place. */
static void fill(struct fake_guest *g, unsigned page, u64 content)
{
    for (u64 i = 0; i < 512; i++)
        fake_guest_write(g, page_at(page) + i * 8,
                         content ? content * 0x9e3779b97f4a7c15ull + i : 0);
}

static bool has(struct fake_guest *g, unsigned page, u64 content)
{
    for (u64 i = 0; i < 512; i++)
        if (fake_guest_read(g, page_at(page) + i * 8) !=
            (content ? content * 0x9e3779b97f4a7c15ull + i : 0))
            return false;
    return true;
}

/* Passes over all VMs: a page that has just been written is left alone in the first. */
static void passes(unsigned n)
{
    while (n--)
        assert_int_equal(share_now(&why), OK);
}

static enum page_state state_of(struct fake_guest *g, unsigned page)
{
    return pmap_state(&g->pmap, pmap_index(GPA(page_at(page))));
}

static u64 frame_of(struct fake_guest *g, unsigned page)
{
    unsigned level;

    return ptab_address(ptab_lookup(&g->pmap.slat.table, page_at(page), &level)).v;
}

static u64 shared_frames(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[FRAME_SHARED];
}

/* --- what is shared ---------------------------------------------------------------------------- */

static void equal_pages_of_two_vms_show_one_frame(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&b, 3, 5);
    fill(&b, 4, 6);
    passes(2);
    assert_int_equal(state_of(&a, 0), PAGE_SHARED);
    assert_int_equal(state_of(&b, 3), PAGE_SHARED);
    assert_int_equal(state_of(&b, 4), PAGE_PRIVATE);
    assert_int_equal(frame_of(&a, 0), frame_of(&b, 3));
    assert_int_equal(shared_frames(), 1);
    assert_true(has(&a, 0, 5) && has(&b, 3, 5) && has(&b, 4, 6));
}

static void many_equal_pages_of_one_vm_show_one_frame(void **state)
{
    u64 before;

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        fill(&a, i, 7);
    before = frames_free();
    passes(2);
    assert_int_equal(shared_frames(), 1);
    assert_int_equal(frame_users(HPA(frame_of(&a, 0))), 100);
    assert_int_equal(frames_free() - before, 99);
}

static void a_write_breaks_sharing_for_the_writer_alone(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    passes(2);
    fill(&a, 0, 9);
    assert_true(has(&a, 0, 9));
    assert_true(has(&b, 0, 5));
    assert_int_equal(state_of(&a, 0), PAGE_PRIVATE);
    assert_int_equal(shared_frames(), 1);
    fill(&b, 0, 8); /* the last user has the frame to itself */
    assert_int_equal(shared_frames(), 0);
    assert_true(has(&b, 0, 8));
}

static void zero_pages_give_their_frames_back(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&a, 0, 0);
    passes(2);
    assert_int_equal(state_of(&a, 0), PAGE_EMPTY);
    assert_int_equal(a.pmap.frames, 0);
    assert_true(has(&a, 0, 0));
    fill(&a, 0, 4);
    assert_true(has(&a, 0, 4));
}

static void a_page_that_was_written_lately_is_left_alone(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    for (unsigned i = 0; i < 5; i++) {
        passes(1);
        fake_guest_write(&a, page_at(0), fake_guest_read(&a, page_at(0)));
    }
    assert_int_equal(state_of(&a, 0), PAGE_PRIVATE);
    passes(2);
    assert_int_equal(state_of(&a, 0), PAGE_SHARED);
}

static void trust_groups_share_nothing(void **state)
{
    (void)state;
    share_detach(&b.pmap);
    assert_int_equal(share_attach(&b.pmap, group("two")), OK);
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    passes(3);
    assert_int_equal(state_of(&a, 0), PAGE_PRIVATE);
    assert_int_equal(state_of(&b, 0), PAGE_PRIVATE);
}

static void a_vm_that_ends_gives_back_its_users_and_the_other_keeps_its_bytes(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    passes(2);
    share_detach(&a.pmap);
    pmap_destroy(&a.pmap);
    assert_true(has(&b, 0, 5));
    assert_int_equal(frame_users(HPA(frame_of(&b, 0))), 1);
    make(&a, 1, "one");
    passes(1);
    assert_true(has(&b, 0, 5));
}

/* --- groups, and pages by their hash -------------------------------------------------------------- */

static void hosts_with_one_secret_come_to_one_hash(void **state)
{
    u16 cluster = group("cluster");

    (void)state;
    assert_int_equal(share_key(cluster), share_key(group("same")));
    assert_int_not_equal(share_key(cluster), share_key(group("other")));
    assert_int_not_equal(share_key(cluster), share_key(group("one")));
    assert_int_not_equal(share_key(group("one")), share_key(group("two")));
    assert_int_equal(group("cluster"), cluster);
}

static bool there_is(const char *name, struct share_group_info *info)
{
    for (unsigned i = 0; share_group_at(i, info); i++)
        if (!strcmp(info->name, name))
            return true;
    return false;
}

static void a_group_ends_with_its_last_vm_unless_other_hosts_know_its_secret(void **state)
{
    struct share_group_info info;
    u16 first = group("brief"), second = group("brief"), cluster = group("same");

    (void)state;
    assert_int_equal(first, second);
    share_group_leave(first);
    assert_true(there_is("brief", &info));
    assert_int_equal(info.vms, 1);
    assert_false(info.has_secret);
    share_group_leave(second);
    assert_false(there_is("brief", &info));
    assert_int_not_equal(group("brief"), first); /* a frame may still have the old number */
    share_group_leave(cluster);
    assert_true(there_is("same", &info));
    assert_true(info.has_secret);
    assert_int_equal(group("same"), cluster);
    share_group_leave(0);
}

static void vms_without_a_group_are_alone_and_use_nothing_up(void **state)
{
    u64 before = frames_free(), key = 0;

    (void)state;
    for (unsigned i = 0; i < 70000; i++) { /* more than there are numbers */
        u16 a_number = group(""), b_number = group("");

        assert_true(a_number && b_number);
        assert_int_not_equal(a_number, b_number);
        assert_int_not_equal(share_key(a_number), key);
        key = share_key(a_number);
        share_group_leave(a_number);
        share_group_leave(b_number);
    }
    assert_in_range(before - frames_free(), 0, 2);
}

static void a_vm_without_a_group_shares_within_itself_alone(void **state)
{
    (void)state;
    pmap_destroy(&b.pmap);
    share_detach(&a.pmap);
    share_detach(&b.pmap);
    assert_int_equal(share_attach(&a.pmap, group("")), OK);
    make(&b, 2, "");
    for (unsigned page = 0; page < 2; page++) {
        fill(&a, page, 5);
        fill(&b, page, 5);
    }
    passes(3);
    assert_int_equal(frame_of(&a, 0), frame_of(&a, 1));
    assert_int_equal(frame_of(&b, 0), frame_of(&b, 1));
    assert_int_not_equal(frame_of(&a, 0), frame_of(&b, 0));
}

static void no_two_vms_see_one_frame_of_zeros(void **state)
{
    (void)state;
    fill(&a, 0, 0);
    fill(&b, 0, 0);
    (void)fake_guest_read(&a, page_at(1));
    (void)fake_guest_read(&b, page_at(1));
    passes(3);
    assert_int_equal(pmap_state(&a.pmap, pmap_index(GPA(page_at(0)))), PAGE_EMPTY);
    assert_int_equal(frame_of(&a, 0), frame_of(&a, 1));
    assert_int_not_equal(frame_of(&a, 0), frame_of(&b, 0));
    assert_int_not_equal(frame_of(&a, 1), frame_of(&b, 1));
}

static u64 hash_of(struct fake_guest *g, unsigned page, const char *of)
{
    return page_hash(phys_to_virt(HPA(frame_of(g, page))), share_key(group(of)));
}

static void a_page_is_found_by_its_hash_and_keeps_its_bytes_for_who_asked(void **state)
{
    u64 hash[3];
    hpa_t found[3];

    (void)state;
    fill(&a, 0, 5);
    fill(&a, 1, 6);
    fill(&b, 1, 6);
    passes(2);
    hash[0] = hash_of(&a, 0, "one");
    hash[1] = hash_of(&a, 1, "one");
    hash[2] = hash[0] + 1;
    share_find(group("one"), hash, found, 3);
    assert_int_equal(found[0].v, frame_of(&a, 0));
    assert_int_equal(found[1].v, frame_of(&b, 1));
    assert_int_equal(found[2].v, 0);
    assert_int_equal(state_of(&a, 0), PAGE_SHARED);
    assert_int_equal(frame_users(found[0]), 2);
    assert_int_equal(frame_users(found[1]), 3);
    assert_true(rmap_used_outside(found[0], &a.pmap));
    fill(&a, 0, 9);
    assert_int_not_equal(frame_of(&a, 0), found[0].v);
    assert_int_equal(page_hash(phys_to_virt(found[0]), share_key(group("one"))), hash[0]);
    assert_int_equal(frame_put(found[0]), 0);
    assert_int_equal(frame_put(found[1]), 2);
}

static void a_shared_frame_remembers_its_hash_until_it_is_one_vms_again(void **state)
{
    hpa_t frame;
    u64 hash;

    (void)state;
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    passes(2);
    frame = HPA(frame_of(&a, 0));
    hash = hash_of(&a, 0, "one");
    assert_int_equal(frame_pages(frame)->hash, hash);
    frame_pages(frame)->hash = 0;
    assert_int_equal(share_hash(group("one"), frame), hash);
    assert_int_equal(frame_pages(frame)->hash, hash);
    fill(&a, 0, 6);
    fill(&b, 0, 7); /* in place: it is the last */
    assert_int_equal(frame_of(&b, 0), frame.v);
    assert_int_equal(frame_pages(frame)->hash, 0);
}

static void nothing_is_found_for_another_group_or_of_what_has_changed(void **state)
{
    u64 hash;
    hpa_t found;

    (void)state;
    fill(&a, 0, 5);
    passes(2);
    hash = hash_of(&a, 0, "one");
    share_find(group("two"), &hash, &found, 1);
    assert_int_equal(found.v, 0);
    fill(&a, 0, 6);
    share_find(group("one"), &hash, &found, 1);
    assert_int_equal(found.v, 0);
    passes(2);
    share_find(group("one"), &hash, &found, 1); /* what the index has is out of date */
    assert_int_equal(found.v, 0);
    fill(&a, 0, 7);
    assert_true(has(&a, 0, 7));
}

/* --- large mappings ------------------------------------------------------------------------------ */

static unsigned level_of(struct fake_guest *g)
{
    unsigned level;

    return ptab_lookup(&g->pmap.slat.table, BASE, &level) ? level : 0;
}

static struct share_stats counts(void)
{
    struct share_stats s;

    share_get_stats(&s);
    return s;
}

/* 2 MiB of guest a become one mapping: nothing in them is like anything else. */
static void make_large(void)
{
    again(MIB(64));
    share_set(false); /* no pass but those that are asked for */
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        fill(&a, i, i + 1000);
    passes(2);
    assert_int_equal(level_of(&a), 1);
    passes(1);
    assert_int_equal(level_of(&a), 2);
}

static void two_mib_are_put_together_once_each_page_was_tried(void **state)
{
    u64 splits = counts().splits;

    (void)state;
    make_large();
    passes(5);
    assert_int_equal(level_of(&a), 2);
    assert_int_equal(counts().splits, splits);
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        assert_true(has(&a, i, i + 1000));
}

static void what_is_written_all_the_time_is_put_together_too(void **state)
{
    (void)state;
    again(MIB(64));
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned i = 0; i < PMAP_LARGE; i++)
            fake_guest_write(&a, page_at(i), n);
        passes(1);
    }
    assert_int_equal(level_of(&a), 2);
}

static void a_large_mapping_that_is_not_written_is_hashed_once_in_16_passes(void **state)
{
    u64 before;

    (void)state;
    make_large();
    passes(2);
    before = counts().hashed;
    passes(16);
    assert_int_equal(counts().hashed - before, PMAP_LARGE);
}

static void a_large_mapping_is_split_where_sharing_pays(void **state)
{
    (void)state;
    make_large();
    for (unsigned i = 0; i < SHARE_SPLIT; i++)
        fill(&b, i, i + 1000);
    passes(3); /* written; seen; shared */
    assert_int_equal(level_of(&a), 1);
    for (unsigned i = 0; i < SHARE_SPLIT; i++)
        assert_int_equal(frame_of(&a, i), frame_of(&b, i));
    passes(20);
    assert_int_equal(level_of(&a), 1); /* it is not put together again */
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        assert_true(has(&a, i, i + 1000));
}

/* To put together and to split again, with one allocation that fails: both guests keep every byte, and it comes to the
 * same in the end. */
static bool splits_with_a_failure_at(u64 number)
{
    bool failed;

    make_large();
    for (unsigned i = 0; i < SHARE_SPLIT; i++)
        fill(&b, i, i + 1000);
    fake_fail_at(number);
    for (unsigned i = 0; i < 3; i++)
        (void)!share_now(&why);
    failed = fake_has_failed();
    fake_fail_at(0);
    passes(20); /* a large mapping that is not written is tried again after 16 */
    for (unsigned i = 0; i < SHARE_SPLIT; i++)
        assert_int_equal(frame_of(&a, i), frame_of(&b, i));
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        assert_true(has(&a, i, i + 1000));
    return failed;
}

static void sharing_goes_on_where_memory_runs_out_at_any_point(void **state)
{
    u64 n = 1;

    (void)state;
    while (splits_with_a_failure_at(n))
        n++;
    assert_true(n > 1);
}

static void a_vm_without_memory_has_no_passes(void **state)
{
    struct share_vm_stats s;

    (void)state;
    fill(&a, 0, 5);
    thread_sleep(SEC(10));
    share_get_vm_stats(&a.pmap, &s);
    assert_in_range(s.passes, 3, SEC(10) / SHARE_PASS); /* no more often than that, too */
    share_get_vm_stats(&b.pmap, &s);
    assert_int_equal(s.passes, 0);
    assert_int_equal(b.shoot_downs, 0);
}

/* --- writes at the worst moment ------------------------------------------------------------------ */

static void write_late(struct fake_guest *g)
{
    g->late = NULL;
    fake_guest_write(g, page_at(0) + 8, 0xdead);
}

static void a_write_at_the_moment_of_a_shoot_down_is_kept(void **state)
{
    (void)state;
    fill(&a, 0, 5);
    fill(&b, 0, 5);
    passes(1);
    fake_guest_write(&a, page_at(0) + 8,
                     5 * 0x9e3779b97f4a7c15ull + 1); /* remembered as writable */
    passes(1);
    a.late = write_late;
    passes(1);
    assert_null(a.late);
    assert_int_equal(fake_guest_read(&a, page_at(0) + 8), 0xdead);
    assert_true(has(&b, 0, 5));
}

/* What each page should say, by an oracle that knows nothing of sharing. */
#define PAGES 48
static u64 oracle[2][PAGES];
static u64 dice;
static struct fake_guest *const guests[2] = {&a, &b};

static void write_somewhere(unsigned g)
{
    if (unit_random(&dice) % 8 == 0)
        fake_guest_move(guests[g], (u32)(unit_random(&dice) % FAKE_TLB_CPUS));
    unsigned page = (unsigned)(unit_random(&dice) % PAGES);

    if (!fake_guest_may_write(guests[g], page_at(page)))
        return;
    oracle[g][page] = unit_random(&dice) % 4;
    fill(guests[g], page, oracle[g][page]);
}

static void check(unsigned g, unsigned page)
{
    if (!has(guests[g], page, oracle[g][page]))
        fail_msg("guest %u, page %u is not %llu", g, page, (unsigned long long)oracle[g][page]);
}

static void check_all(void)
{
    for (unsigned g = 0; g < 2; g++)
        for (unsigned page = 0; page < PAGES; page++)
            check(g, page);
}

/* Through what the vCPU remembers. A shoot-down from within does not come here again. */
static void go_on(struct fake_guest *g)
{
    void (*late)(struct fake_guest *) = g->late, (*after)(struct fake_guest *) = g->after;

    g->late = g->after = NULL;
    for (unsigned i = 0; i < 8; i++)
        if (unit_random(&dice) % 4)
            check(g == &b, (unsigned)(unit_random(&dice) % PAGES));
        else
            write_somewhere(g == &b);
    g->late = late;
    g->after = after;
}

static void read_on(struct fake_guest *g)
{
    for (unsigned i = 0; i < PAGES; i++)
        check(g == &b, i);
}

static void run_guests(unsigned rounds)
{
    dice = 0x1234567;
    for (unsigned g = 0; g < 2; g++)
        for (unsigned page = 0; page < PAGES; page++)
            fill(guests[g], page, oracle[g][page] = page % 4);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 4; i++)
            write_somewhere(i % 2);
        a.late = b.late = go_on;
        a.after = b.after = read_on;
        passes(1);
        a.late = b.late = a.after = b.after = NULL;
        check_all();
    }
    passes(2);
    assert_true(shared_frames() > 0);
    check_all();
}

static void guests_that_run_while_they_are_shot_down_keep_every_byte(void **state)
{
    (void)state;
    run_guests(100);
}

static void hashes_that_collide_merge_nothing_wrong(void **state)
{
    (void)state;
    page_hash_mask = 1;
    run_guests(100);
    page_hash_mask = U64_MAX;
}

/* --- what was written ---------------------------------------------------------------------------- */

static void harvest(struct fake_guest *g)
{
    dirty_harvest(&g->pmap);
}

static bool was_written(struct fake_guest *g, unsigned page)
{
    return dirty_take(&g->pmap, DIRTY_SHARE, pmap_index(GPA(page_at(page))));
}

/* A random few of the pages of guest a between any two harvests, and none but those. */
static void a_harvest_sees_every_write(void **state)
{
    (void)state;
    share_set(false);
    for (unsigned i = 0; i < PAGES; i++)
        fill(&a, i, i + 1);
    harvest(&a);
    for (unsigned i = 0; i < PAGES; i++)
        (void)was_written(&a, i);
    for (unsigned round = 0; round < 100; round++) {
        bool wrote[PAGES] = {false};

        for (unsigned n = 0; n < PAGES / 2; n++) {
            unsigned page = (unsigned)(unit_random(&dice) % PAGES);

            wrote[page] = true;
            fake_guest_write(&a, page_at(page), n);
        }
        harvest(&a);
        for (unsigned i = 0; i < PAGES; i++)
            assert_int_equal(was_written(&a, i), wrote[i]);
    }
}

static void write_behind(struct fake_guest *g)
{
    g->late = NULL;
    fake_guest_write(g, page_at(2), 77);
}

/* Behind the harvest of its page, and before the flush: by way of a table that the CPU remembers as used. */
static void a_write_between_a_harvest_and_its_flush_is_seen_by_the_next(void **state)
{
    bool first;

    (void)state;
    share_set(false);
    fill(&a, 2, 1);
    harvest(&a);
    harvest(&a);
    (void)was_written(&a, 2);
    (void)fake_guest_read(&a, page_at(2));
    a.late = write_behind;
    harvest(&a);
    first = was_written(&a, 2);
    harvest(&a);
    assert_true(was_written(&a, 2) != first);
    harvest(&a);
    assert_false(was_written(&a, 2));
}

static void a_log_that_overflows_loses_no_write(void **state)
{
    (void)state;
    share_set(false);
    for (unsigned i = 0; i < PAGES; i++)
        fill(&a, i, i + 1);
    harvest(&a);
    for (unsigned i = 0; i < PAGES; i++)
        (void)was_written(&a, i);
    a.pmap.slat.log->count = DIRTY_LOG_SIZE - 3;
    fill(&a, 7, 1000);
    for (unsigned i = 20; i < 30; i++)
        fill(&a, i, 1000);
    harvest(&a);
    for (unsigned i = 0; i < PAGES; i++)
        assert_int_equal(was_written(&a, i), i == 7 || (i >= 20 && i < 30));
}

/* The CPU has logged one page of 512, and marks none of them again once they are small. */
static void pages_of_a_split_mapping_are_harvested(void **state)
{
    (void)state;
    make_large();
    harvest(&a);
    fake_guest_write(&a, page_at(3), 1);
    assert_int_equal(pmap_split(&a.pmap, GPA(BASE)), OK);
    harvest(&a);
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        assert_true(was_written(&a, i));
    harvest(&a);
    fake_guest_write(&a, page_at(9), 1);
    harvest(&a);
    for (unsigned i = 0; i < PMAP_LARGE; i++)
        assert_int_equal(was_written(&a, i), i == 9);
}

/* --- the index --------------------------------------------------------------------------------- */

static void the_index_finds_what_was_put_in_last(void **state)
{
    struct index_hit page = {.kind = INDEX_PAGE, .vm = 255, .page = BIT(30) - 1}, hit;
    struct index_hit frame = {.kind = INDEX_FRAME, .frame = BIT(38) - 1};
    struct index x;
    unsigned way = 0;

    (void)state;
    assert_int_equal(index_create(&x, 1024), OK);
    assert_false(index_find(&x, 77, &way, &hit));
    index_put(&x, 77, INDEX_WAYS, &page);
    way = 0;
    assert_true(index_find(&x, 77, &way, &hit));
    assert_int_equal(hit.vm, 255);
    assert_int_equal(hit.page, BIT(30) - 1);
    index_put(&x, 77, way, &frame);
    way = 0;
    assert_true(index_find(&x, 77, &way, &hit));
    assert_int_equal(hit.kind, INDEX_FRAME);
    assert_int_equal(hit.frame, BIT(38) - 1);
    index_destroy(&x);
}

static void pages_do_not_displace_shared_frames(void **state)
{
    struct index_hit hit;
    struct index x;
    unsigned way = 0;

    (void)state;
    assert_int_equal(index_create(&x, 8), OK); /* one bucket */
    for (u64 i = 1; i <= INDEX_WAYS; i++)
        index_put(&x, i << 40, INDEX_WAYS,
                  &(struct index_hit){.kind = i == 3 ? INDEX_FRAME : INDEX_PAGE, .frame = 9});
    for (u64 i = 100; i < 200; i++)
        index_put(&x, i << 40, INDEX_WAYS, &(struct index_hit){.kind = INDEX_PAGE, .page = i});
    assert_true(index_find(&x, 3ull << 40, &way, &hit));
    assert_int_equal(hit.frame, 9);
    index_destroy(&x);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WITH(what, name)                                                                           \
    {                                                                                              \
#name " (" #what ")", name, setup_##what, teardown, NULL                                   \
    }
    const struct CMUnitTest tests[] = {
        TEST(equal_pages_of_two_vms_show_one_frame),
        TEST(many_equal_pages_of_one_vm_show_one_frame),
        TEST(a_write_breaks_sharing_for_the_writer_alone),
        TEST(zero_pages_give_their_frames_back),
        TEST(a_page_that_was_written_lately_is_left_alone),
        TEST(trust_groups_share_nothing),
        TEST(a_vm_that_ends_gives_back_its_users_and_the_other_keeps_its_bytes),
        TEST(hosts_with_one_secret_come_to_one_hash),
        TEST(a_page_is_found_by_its_hash_and_keeps_its_bytes_for_who_asked),
        TEST(a_shared_frame_remembers_its_hash_until_it_is_one_vms_again),
        TEST(nothing_is_found_for_another_group_or_of_what_has_changed),
        TEST(two_mib_are_put_together_once_each_page_was_tried),
        TEST(what_is_written_all_the_time_is_put_together_too),
        TEST(a_large_mapping_that_is_not_written_is_hashed_once_in_16_passes),
        TEST(a_large_mapping_is_split_where_sharing_pays),
        TEST(sharing_goes_on_where_memory_runs_out_at_any_point),
        TEST(a_vm_without_memory_has_no_passes),
        TEST(a_write_at_the_moment_of_a_shoot_down_is_kept),
        TEST(guests_that_run_while_they_are_shot_down_keep_every_byte),
        TEST(hashes_that_collide_merge_nothing_wrong),
        WITH(logged, equal_pages_of_two_vms_show_one_frame),
        WITH(logged, a_page_that_was_written_lately_is_left_alone),
        WITH(logged, a_large_mapping_is_split_where_sharing_pays),
        WITH(logged, a_write_at_the_moment_of_a_shoot_down_is_kept),
        WITH(logged, guests_that_run_while_they_are_shot_down_keep_every_byte),
        WITH(asid, guests_that_run_while_they_are_shot_down_keep_every_byte),
        WITH(asid_flush, guests_that_run_while_they_are_shot_down_keep_every_byte),
        WITH(logged, a_harvest_sees_every_write),
        WITH(logged, a_write_between_a_harvest_and_its_flush_is_seen_by_the_next),
        TEST(a_harvest_sees_every_write),
        TEST(a_write_between_a_harvest_and_its_flush_is_seen_by_the_next),
        WITH(logged, a_log_that_overflows_loses_no_write),
        WITH(logged, pages_of_a_split_mapping_are_harvested),
        TEST(a_group_ends_with_its_last_vm_unless_other_hosts_know_its_secret),
        TEST(vms_without_a_group_are_alone_and_use_nothing_up),
        TEST(a_vm_without_a_group_shares_within_itself_alone),
        TEST(no_two_vms_see_one_frame_of_zeros),
        TEST(the_index_finds_what_was_put_in_last),
        TEST(pages_do_not_displace_shared_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

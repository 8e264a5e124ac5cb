/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's memory: first touch, copy on write, pages in flight, memory that runs out. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/thread.h"
#include "vmm/layout.h"
#include "vmm/memory/guest_mem.h"

extern const struct ptab_format npt_format;
static const struct hvm_ops ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &ops;

#define MEMORY MIB(8)
#define RX     (PROT_READ | PROT_EXEC)
#define RWX    (PROT_READ | PROT_WRITE | PROT_EXEC)

static struct pmap pmap;
static struct pmap_waiter waiter;
static unsigned shoot_downs;
static u64 users_at_shoot_down;
static hpa_t watched;

static void (*at_shoot_down)(void);
static struct pmap_waiter writer;

static void shoot_down(struct pmap *p)
{
    assert_ptr_equal(p, &pmap);
    assert_int_equal(p->lock.taken, 0);
    shoot_downs++;
    if (at_shoot_down)
        at_shoot_down();
    if (watched.v)
        users_at_shoot_down = frame_users(watched);
}

static void make(u64 host)
{
    fake_reset();
    fake_memory(host);
    thread_init();
    assert_int_equal(pmap_create(&pmap, MEMORY, 7), OK);
    pmap.shoot_down = shoot_down;
    shoot_downs = 0;
    at_shoot_down = NULL;
    watched = HPA(0);
    waiter = (struct pmap_waiter){0};
}

/* With so little free memory that no large page is made. */
static int setup(void **state)
{
    (void)state;
    make(MIB(24));
    return 0;
}

static u64 entry(u64 gpa)
{
    unsigned level;

    return ptab_lookup(&pmap.slat.table, gpa, &level);
}

static u32 prot(u64 gpa)
{
    u64 e = entry(gpa);

    return e ? npt_format.prot(e) : 0;
}

static enum err fault(u64 gpa, bool write)
{
    return pmap_fault(&pmap, GPA(gpa), write, &waiter);
}

static enum page_state state_of(u64 gpa)
{
    return pmap_state(&pmap, pmap_index(GPA(gpa)));
}

static void change(u64 gpa, enum page_state to, hpa_t frame, u32 rights)
{
    struct pmap_change c = {.gpa = GPA(gpa), .to = to, .frame = frame, .prot = rights};

    assert_int_equal(pmap_prepare(&pmap, &c), OK);
    pmap_commit(&pmap, &c);
}

/* Two pages that show one frame full of that byte; returns it. */
static hpa_t share(u64 a, u64 b, int byte)
{
    hpa_t frame = pmap_frame_alloc(&pmap, false);

    memset(phys_to_virt(frame), byte, PAGE_SIZE);
    frame_get(frame);
    change(a, PAGE_SHARED, frame, RX);
    change(b, PAGE_SHARED, frame, RX);
    return frame;
}

/* --- first touch ------------------------------------------------------------------------------ */

static void a_page_that_is_read_shows_zeros_and_costs_no_frame(void **state)
{
    u8 bytes[16] = {1};

    (void)state;
    assert_int_equal(fault(0x5000, false), OK);
    assert_int_equal(prot(0x5000), RX);
    assert_int_equal(state_of(0x5000), PAGE_EMPTY);
    assert_int_equal(pmap.frames, 0);
    assert_int_equal(guest_mem_read(&pmap, GPA(0x5ff8), bytes, 16), OK);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(pmap.frames, 0);
}

static void the_first_write_gives_a_zeroed_frame(void **state)
{
    (void)state;
    assert_int_equal(fault(0x5000, false), OK);
    assert_int_equal(fault(0x5008, true), OK);
    assert_int_equal(prot(0x5000), RWX);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
    assert_int_equal(pmap.frames, 1);
    assert_int_equal(shoot_downs, 1); /* others may still see the frame of zeros */
    assert_int_equal(*(u64 *)phys_to_virt(ptab_address(entry(0x5000))), 0);
    assert_int_equal(fault(0x6000, true), OK);
    assert_int_equal(shoot_downs, 1); /* nothing was mapped there */
}

static void where_no_ram_is_there_is_no_page(void **state)
{
    (void)state;
    assert_int_equal(fault(GUEST_HOLE_BASE, true), E_RANGE);
    assert_int_equal(fault(MEMORY, true), E_RANGE);
    assert_int_equal(fault(GUEST_LAPIC, false), E_RANGE);
    assert_int_equal(guest_mem_touch(&pmap, GPA(GUEST_HOLE_BASE)), E_RANGE);
}

static void pages_are_numbered_without_the_hole_below_4_gib(void **state)
{
    (void)state;
    assert_int_equal(pmap_index(GPA(GUEST_HIGH_BASE)), GUEST_LOW_LIMIT / PAGE_SIZE);
    for (u64 i = 0; i < 2; i++) {
        u64 index = GUEST_LOW_LIMIT / PAGE_SIZE - 1 + i;

        assert_int_equal(pmap_index(pmap_gpa(index)), index);
    }
}

/* --- copy on write ---------------------------------------------------------------------------- */

static void a_write_to_a_shared_page_copies_for_the_writer_alone(void **state)
{
    hpa_t frame = share(0x5000, 0x6000, 0xab);
    u8 byte = 1, seen;

    (void)state;
    watched = frame;
    assert_int_equal(guest_mem_write(&pmap, GPA(0x5010), &byte, 1), OK);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
    assert_int_equal(prot(0x6000), RX);
    assert_int_equal(guest_mem_read(&pmap, GPA(0x5011), &seen, 1), OK);
    assert_int_equal(seen, 0xab);
    assert_int_equal(guest_mem_read(&pmap, GPA(0x6010), &seen, 1), OK);
    assert_int_equal(seen, 0xab);
    assert_int_equal(pmap.copied, 1);
}

static void the_old_frame_keeps_its_user_until_no_cpu_can_see_it(void **state)
{
    hpa_t frame = share(0x5000, 0x6000, 0xab);

    (void)state;
    watched = frame;
    assert_int_equal(fault(0x5000, true), OK);
    assert_int_equal(shoot_downs, 1);
    assert_int_equal(users_at_shoot_down, 2);
    assert_int_equal(frame_users(frame), 1);
}

static void the_last_user_keeps_the_frame(void **state)
{
    hpa_t frame = share(0x5000, 0x6000, 0xab);

    (void)state;
    assert_int_equal(fault(0x5000, true), OK);
    assert_int_equal(fault(0x6000, true), OK);
    assert_int_equal(ptab_address(entry(0x6000)).v, frame.v);
    assert_int_equal(prot(0x6000), RWX);
    assert_int_equal(pmap.copied, 1);
    assert_int_equal(shoot_downs, 1); /* rights were only added */
}

static void a_read_of_a_shared_page_changes_nothing(void **state)
{
    (void)state;
    share(0x5000, 0x6000, 0xab);
    assert_int_equal(fault(0x5000, false), OK);
    assert_int_equal(state_of(0x5000), PAGE_SHARED);
    assert_int_equal(pmap.copied, 0);
}

static void a_prohibited_change_is_a_panic_with_its_reason(void **state)
{
    (void)state;
    assert_int_equal(fault(0x5000, true), OK);
    assert_panics(change(0x5000, PAGE_REMOTE, HPA(0), 0), "only copy");
}

/* --- break before make -------------------------------------------------------------------------- */

static u64 changing;      /* the address of a page whose frame is being changed */
static u64 remembered;    /* the frame that another vCPU still reads there */
static unsigned observed; /* shoot-downs at which somebody looked */
static struct pmap_waiter other;

/* What a third vCPU can do now: nothing that the second one would not see. */
static void look_at_the_page(void)
{
    enum err e;

    observed++;
    if (entry(changing) && ptab_address(entry(changing)).v == remembered)
        return;
    assert_int_equal(prot(changing) & PROT_WRITE, 0);
    e = other.waiting ? E_AGAIN : pmap_fault(&pmap, GPA(changing), true, &other);
    assert_int_equal(e, E_AGAIN);
    assert_int_equal(prot(changing) & PROT_WRITE, 0);
}

static void watch(u64 gpa)
{
    changing = gpa;
    remembered = ptab_address(entry(gpa)).v;
    observed = 0;
    other = (struct pmap_waiter){0};
    at_shoot_down = look_at_the_page;
}

static void assert_came_after_all(void)
{
    at_shoot_down = NULL;
    assert_true(observed);
    assert_false(other.waiting);
    assert_int_equal(other.result, OK);
    assert_int_equal(prot(changing), RWX);
    assert_int_equal(state_of(changing), PAGE_PRIVATE);
    assert_false(pmap_record(&pmap, pmap_index(GPA(changing)))->busy);
    assert_true(list_empty(&pmap.breaks));
}

static void nobody_writes_a_first_page_before_everybody_has_left_the_zeros(void **state)
{
    (void)state;
    assert_int_equal(fault(0x5000, false), OK);
    watch(0x5000);
    assert_int_equal(fault(0x5000, true), OK);
    assert_came_after_all();
}

static void nobody_writes_a_copy_before_everybody_has_left_what_was_copied(void **state)
{
    (void)state;
    share(0x5000, 0x6000, 0xab);
    watch(0x5000);
    assert_int_equal(fault(0x5000, true), OK);
    assert_came_after_all();
}

static void clear_all(void)
{
    at_shoot_down = NULL;
    pmap_clear(&pmap);
    assert_int_equal(fault(0x5000, false), OK);
}

static void memory_can_go_while_a_page_is_copied(void **state)
{
    (void)state;
    share(0x5000, 0x6000, 0xab);
    at_shoot_down = clear_all;
    assert_int_equal(fault(0x5000, true), OK);
    assert_int_equal(state_of(0x5000), PAGE_EMPTY);
    assert_int_equal(prot(0x5000), RX);
    assert_false(pmap_record(&pmap, pmap_index(GPA(0x5000)))->busy);
    assert_int_equal(frames_owned(7), 1); /* the record's */
    pmap_clear(&pmap);
    assert_int_equal(frames_owned(7), 0);
}

/* --- large mappings ----------------------------------------------------------------------------- */

/* The guest writes every page of the 2 MiB at 2 MiB; each then says which one it is. */
static void fill_2_mib(void)
{
    for (u64 i = 0; i < PMAP_LARGE; i++)
        assert_int_equal(guest_mem_write(&pmap, GPA(MIB(2) + i * PAGE_SIZE + 8), &i, sizeof(i)),
                         OK);
}

static void assert_filled(void)
{
    for (u64 i = 0; i < PMAP_LARGE; i++) {
        u64 seen[2];

        assert_int_equal(guest_mem_read(&pmap, GPA(MIB(2) + i * PAGE_SIZE), seen, 16), OK);
        assert_int_equal(seen[0], 0);
        assert_int_equal(seen[1], i);
    }
}

static unsigned level_at(u64 gpa)
{
    unsigned level;

    return ptab_lookup(&pmap.slat.table, gpa, &level) ? level : 0;
}

static void two_mib_that_are_full_become_one_mapping_with_the_same_bytes(void **state)
{
    u64 before, tables;

    (void)state;
    make(MIB(64));
    fill_2_mib();
    assert_int_equal(level_at(MIB(2)), 1);
    before = frames_free();
    tables = pmap.slat.table.tables;
    assert_int_equal(pmap_promote(&pmap, 512), OK);
    assert_int_equal(level_at(MIB(4) - PAGE_SIZE), 2);
    assert_int_equal(prot(MIB(2)), RWX);
    assert_int_equal(shoot_downs, 2); /* nobody writes; nobody uses the old mappings */
    assert_int_equal(pmap.slat.table.tables, tables - 1);
    assert_int_equal(frames_free(), before + 1);
    assert_int_equal(pmap.frames, 512);
    assert_filled();
    assert_int_equal(pmap_promote(&pmap, 512), E_STATE); /* it is */
    lock_acquire(&pmap.lock);
    assert_int_equal(pmap_split(&pmap, GPA(MIB(2))), OK);
    lock_release(&pmap.lock);
    assert_filled();
    pmap_clear(&pmap);
    assert_int_equal(frames_owned(7), 0);
}

static void two_mib_with_a_gap_stay_small(void **state)
{
    (void)state;
    make(MIB(64));
    fill_2_mib();
    change(MIB(2) + 0x7000, PAGE_EMPTY, pmap.zero_frame, RX);
    assert_int_equal(pmap_promote(&pmap, 512), E_STATE);
    assert_int_equal(pmap_promote(&pmap, 1024), E_STATE); /* never touched */
    assert_int_equal(level_at(MIB(2)), 1);
    assert_int_equal(shoot_downs, 0);
}

static void a_host_without_plenty_puts_nothing_together(void **state)
{
    (void)state;
    fill_2_mib();
    assert_int_equal(pmap_promote(&pmap, 512), E_NOMEM);
    assert_int_equal(prot(MIB(2)), RWX);
}

static void write_during_it(void)
{
    u8 seen;

    at_shoot_down = NULL;
    assert_int_equal(pmap_fault(&pmap, GPA(MIB(2) + 0x5000), true, &writer), E_AGAIN);
    assert_int_equal(guest_mem_read(&pmap, GPA(MIB(2) + 0x5008), &seen, 1), OK);
    assert_int_equal(seen, 5);
}

static void who_writes_while_pages_are_put_together_waits_and_is_woken(void **state)
{
    (void)state;
    make(MIB(64));
    fill_2_mib();
    writer = (struct pmap_waiter){0};
    at_shoot_down = write_during_it;
    assert_int_equal(pmap_promote(&pmap, 512), OK);
    assert_null(at_shoot_down);
    assert_false(writer.waiting);
    assert_int_equal(writer.result, OK);
    assert_int_equal(fault(MIB(2) + 0x5000, true), OK);
    assert_filled();
}

static void
nobody_writes_pages_that_are_put_together_before_everybody_has_left_the_small_ones(void **state)
{
    (void)state;
    make(MIB(64));
    fill_2_mib();
    watch(MIB(2) + 0x5000);
    assert_int_equal(pmap_promote(&pmap, 512), OK);
    assert_int_equal(observed, 2);
    assert_came_after_all();
    assert_filled();
}

static void begin_to_move(void)
{
    at_shoot_down = NULL;
    assert_int_equal(dirty_attach(&pmap, DIRTY_MOVE), OK);
}

static void pages_of_a_vm_that_moves_are_not_put_together(void **state)
{
    (void)state;
    make(MIB(64));
    fill_2_mib();
    at_shoot_down = begin_to_move; /* while they are being copied */
    assert_int_equal(pmap_promote(&pmap, 512), E_STATE);
    assert_int_equal(level_at(MIB(2)), 1);
    assert_int_equal(fault(MIB(2), true), OK);
    assert_int_equal(prot(MIB(2)), RWX);
    assert_int_equal(pmap_promote(&pmap, 512), E_STATE);
    dirty_detach(&pmap, DIRTY_MOVE);
    assert_int_equal(pmap_promote(&pmap, 512), OK);
    assert_filled();
}

static void split_and_read(void)
{
    if (shoot_downs < 2)
        return;
    at_shoot_down = NULL;
    lock_acquire(&pmap.lock);
    assert_int_equal(pmap_split(&pmap, GPA(MIB(2))), E_AGAIN);
    lock_release(&pmap.lock);
    assert_int_equal(pmap_fault(&pmap, GPA(MIB(2)), false, &writer), E_AGAIN);
}

static void between_small_and_large_even_a_read_waits_for_the_shoot_down(void **state)
{
    (void)state;
    make(MIB(64));
    fill_2_mib();
    writer = (struct pmap_waiter){0};
    at_shoot_down = split_and_read;
    assert_int_equal(pmap_promote(&pmap, 512), OK);
    assert_null(at_shoot_down);
    assert_false(writer.waiting);
    assert_filled();
}

static unsigned power_off_at;

static void power_off(void)
{
    if (shoot_downs < power_off_at)
        return;
    at_shoot_down = NULL;
    pmap_clear(&pmap);
    assert_int_equal(fault(MIB(2), true), OK); /* and it starts again */
}

static void memory_can_go_while_pages_are_put_together(void **state)
{
    (void)state;
    for (power_off_at = 1; power_off_at <= 2; power_off_at++) {
        make(MIB(64));
        fill_2_mib();
        at_shoot_down = power_off;
        assert_int_equal(pmap_promote(&pmap, 512), E_STATE);
        assert_null(at_shoot_down);
        assert_int_equal(pmap.frames, 1);
        pmap_clear(&pmap);
        assert_int_equal(frames_owned(7), 0);
    }
}

/* --- pages in flight -------------------------------------------------------------------------- */

static struct fill *in_flight[PMAP_FILLS + 1];
static unsigned started;

static enum err start(struct fill *fill)
{
    assert_int_equal(pmap.lock.taken, 0);
    in_flight[started++] = fill;
    return OK;
}
static void left(struct pmap *p, u32 slot)
{
    (void)p, (void)slot;
}
static const struct backing slow = {.name = "slow", .fill = start, .left = left};

static void make_remote(u64 gpa, unsigned pages)
{
    started = 0;
    pmap.remote = &slow;
    for (unsigned i = 0; i < pages; i++)
        change(gpa + i * PAGE_SIZE, PAGE_REMOTE, HPA(0), 0);
}

static void arrive(struct fill *fill, int byte)
{
    memset(phys_to_virt(fill->frame), byte, PAGE_SIZE);
    pmap_fill_done(fill, OK);
}

static void a_second_fault_on_a_page_in_flight_joins_the_first(void **state)
{
    struct pmap_waiter second = {0};

    (void)state;
    make_remote(0x5000, 1);
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    assert_int_equal(pmap_fault(&pmap, GPA(0x5008), false, &second), E_AGAIN);
    assert_int_equal(started, 1);
    assert_int_equal(pmap.joined, 1);
    arrive(in_flight[0], 0x77);
    assert_false(waiter.waiting || second.waiting);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
    assert_int_equal(fault(0x5000, true), OK);
    assert_int_equal(*(u8 *)phys_to_virt(ptab_address(entry(0x5000))), 0x77);
}

static u8 read_by_thread;

static void reader(void *unused)
{
    (void)unused;
    assert_int_equal(guest_mem_read(&pmap, GPA(0x5000), &read_by_thread, 1), OK);
}

static void ferrys_own_access_sleeps_until_the_page_has_come_while_others_run(void **state)
{
    struct thread *t;

    (void)state;
    make_remote(0x5000, 1);
    read_by_thread = 0;
    assert_int_equal(thread_create(&t, "reader", reader, NULL), OK);
    thread_sleep(MSEC(5));
    assert_int_equal(started, 1);
    assert_int_equal(t->state, THREAD_BLOCKED);
    assert_int_equal(fault(0x7000, true), OK); /* another page does not wait */
    arrive(in_flight[0], 0x31);
    thread_sleep(MSEC(1));
    assert_int_equal(read_by_thread, 0x31);
}

static void
a_page_that_cannot_be_had_says_so_to_all_who_wait_and_can_be_asked_for_again(void **state)
{
    (void)state;
    make_remote(0x5000, 1);
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    pmap_fill_done(in_flight[0], E_TIMEOUT);
    assert_false(waiter.waiting);
    assert_int_equal(waiter.result, E_TIMEOUT);
    assert_int_equal(state_of(0x5000), PAGE_REMOTE);
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    arrive(in_flight[1], 1);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
}

static void one_fault_more_than_can_be_in_flight_waits_for_room(void **state)
{
    struct pmap_waiter w[PMAP_FILLS + 1] = {0};

    (void)state;
    make_remote(0x10000, PMAP_FILLS + 1);
    for (unsigned i = 0; i <= PMAP_FILLS; i++)
        assert_int_equal(pmap_fault(&pmap, GPA(0x10000 + i * PAGE_SIZE), true, &w[i]), E_AGAIN);
    assert_int_equal(started, PMAP_FILLS);
    arrive(in_flight[3], 1);
    assert_false(w[3].waiting);
    assert_false(w[PMAP_FILLS].waiting);
    assert_true(w[4].waiting);
    assert_int_equal(state_of(0x10000 + PMAP_FILLS * PAGE_SIZE), PAGE_REMOTE);
    for (unsigned i = 0; i < PMAP_FILLS; i++)
        if (i != 3)
            arrive(in_flight[i], 1);
}

static void memory_can_go_while_a_page_is_in_flight(void **state)
{
    u64 before = frames_free();

    (void)state;
    make_remote(0x5000, 1);
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    pmap_clear(&pmap);
    assert_false(waiter.waiting);
    assert_int_equal(waiter.result, E_STATE);
    arrive(in_flight[0], 1);
    assert_int_equal(state_of(0x5000), PAGE_EMPTY);
    assert_int_equal(pmap.frames, 0);
    assert_true(frames_free() + pmap.slat.table.tables >= before);
    pmap_destroy(&pmap);
}

static void who_stops_waiting_is_not_woken(void **state)
{
    (void)state;
    make_remote(0x5000, 1);
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    pmap_cancel_wait(&pmap, &waiter);
    pmap_cancel_wait(&pmap, &waiter);
    arrive(in_flight[0], 1);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
}

static enum err held_result;

static void held_reader(void *unused)
{
    (void)unused;
    held_result = guest_mem_read(&pmap, GPA(0x5000), &read_by_thread, 1);
}

static void while_a_vm_is_held_nobody_sleeps_on_a_page_and_nothing_has_happened(void **state)
{
    struct thread *t;

    (void)state;
    make_remote(0x5000, 2);
    held_result = OK;
    assert_int_equal(thread_create(&t, "reader", held_reader, NULL), OK);
    thread_sleep(MSEC(5));
    assert_int_equal(fault(0x5000, true), E_AGAIN);
    pmap_hold(&pmap, true);
    thread_sleep(MSEC(1));
    assert_int_equal(held_result, E_STATE);
    assert_false(waiter.waiting);
    assert_int_equal(waiter.result, E_STATE);
    assert_int_equal(fault(0x5000, false), E_STATE); /* on its way */
    assert_int_equal(fault(0x6000, true), E_STATE);  /* not asked for */
    assert_int_equal(started, 1);
    assert_int_equal(fault(0x7000, true), OK); /* what needs no sleep goes on */
    arrive(in_flight[0], 1);
    assert_int_equal(state_of(0x5000), PAGE_PRIVATE);
    pmap_hold(&pmap, false);
    assert_int_equal(fault(0x6000, true), E_AGAIN);
    arrive(in_flight[1], 1);
}

/* --- memory that runs out --------------------------------------------------------------------- */

static void without_a_frame_the_fault_says_so_and_nothing_has_changed(void **state)
{
    hpa_t frame = share(0x5000, 0x6000, 0xab), taken[8192], f;
    unsigned n = 0;

    (void)state;
    while ((f = pmap_frame_alloc(&pmap, false)).v)
        taken[n++] = f;
    assert_true(frames_free() > 0); /* the host keeps some */
    assert_int_equal(fault(0x5000, true), E_NOMEM);
    assert_int_equal(state_of(0x5000), PAGE_SHARED);
    assert_int_equal(ptab_address(entry(0x5000)).v, frame.v);
    assert_int_equal(fault(0x9000, true), E_NOMEM);
    frame_put(taken[--n]);
    assert_int_equal(fault(0x5000, true), OK);
    while (n)
        frame_put(taken[--n]);
}

static void clearing_gives_back_every_frame(void **state)
{
    u64 before = frames_free();

    (void)state;
    for (u64 at = 0; at < GUEST_HOLE_BASE; at += PAGE_SIZE)
        assert_int_equal(fault(at, at & PAGE_SIZE), OK);
    share(0x200000, 0x300000, 3);
    pmap_destroy(&pmap);
    assert_int_equal(pmap.frames, 0);
    for (unsigned s = 0; s < PAGE_STATE_COUNT; s++)
        assert_int_equal(pmap.count[s], 0);
    assert_true(frames_free() > before); /* the root is gone, too */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_page_that_is_read_shows_zeros_and_costs_no_frame),
        TEST(the_first_write_gives_a_zeroed_frame),
        TEST(nobody_writes_a_first_page_before_everybody_has_left_the_zeros),
        TEST(nobody_writes_a_copy_before_everybody_has_left_what_was_copied),
        TEST(memory_can_go_while_a_page_is_copied),
        TEST(nobody_writes_pages_that_are_put_together_before_everybody_has_left_the_small_ones),
        TEST(pages_of_a_vm_that_moves_are_not_put_together),
        TEST(between_small_and_large_even_a_read_waits_for_the_shoot_down),
        TEST(two_mib_that_are_full_become_one_mapping_with_the_same_bytes),
        TEST(two_mib_with_a_gap_stay_small),
        TEST(a_host_without_plenty_puts_nothing_together),
        TEST(who_writes_while_pages_are_put_together_waits_and_is_woken),
        TEST(memory_can_go_while_pages_are_put_together),
        TEST(where_no_ram_is_there_is_no_page),
        TEST(pages_are_numbered_without_the_hole_below_4_gib),
        TEST(a_write_to_a_shared_page_copies_for_the_writer_alone),
        TEST(the_old_frame_keeps_its_user_until_no_cpu_can_see_it),
        TEST(the_last_user_keeps_the_frame),
        TEST(a_read_of_a_shared_page_changes_nothing),
        TEST(a_prohibited_change_is_a_panic_with_its_reason),
        TEST(a_second_fault_on_a_page_in_flight_joins_the_first),
        TEST(ferrys_own_access_sleeps_until_the_page_has_come_while_others_run),
        TEST(a_page_that_cannot_be_had_says_so_to_all_who_wait_and_can_be_asked_for_again),
        TEST(one_fault_more_than_can_be_in_flight_waits_for_room),
        TEST(memory_can_go_while_a_page_is_in_flight),
        TEST(who_stops_waiting_is_not_woken),
        TEST(while_a_vm_is_held_nobody_sleeps_on_a_page_and_nothing_has_happened),
        TEST(without_a_frame_the_fault_says_so_and_nothing_has_changed),
        TEST(clearing_gives_back_every_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

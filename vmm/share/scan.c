/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread that looks for equal pages goes round the VMs. */
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "vmm/share/scan.h"

#define TURN      64      /* pages of one VM before it is the next one's turn */
#define PIECE     128     /* pages before others may have the CPU */
#define SLICE     MSEC(5) /* or so long: a shoot-down waits for other CPUs */
#define BACK_OFF  32      /* the rate never falls below this part of what is set */
#define TICK      MSEC(10)
#define NOW_LIMIT SEC(600)

struct member share_members[SHARE_MEMBERS];
struct share_stats share_counts = {.on = true, .rate = SHARE_RATE, .rate_now = SHARE_RATE};
struct index share_index;

static struct lock share_lock; /* of `entered` */
static bool entered;           /* somebody is between share_enter and share_leave */
static unsigned last;          /* whose turn it was */
static struct thread *thread;
static bool hurry;                        /* share_now waits */
static u64 passes_in_round, found_before; /* merges until this round began */

void share_enter(void)
{
    for (;;) {
        bool mine;

        lock_acquire(&share_lock);
        mine = !entered;
        entered = true;
        lock_release(&share_lock);
        if (mine)
            return;
        thread_sleep(MSEC(1));
    }
}

void share_leave(void)
{
    __atomic_store_n(&entered, false, __ATOMIC_RELEASE);
}

/* --- going round ------------------------------------------------------------------------------ */

static bool is_there(const struct member *m)
{
    return m->pmap;
}

/* Of its own: one that is off has none. */
static bool has_memory(const struct member *m)
{
    return m->pmap && m->pmap->count[PAGE_PRIVATE];
}

static unsigned count_members(bool (*that)(const struct member *m))
{
    unsigned n = 0;

    for (unsigned i = 0; i < SHARE_MEMBERS; i++)
        n += that(&share_members[i]);
    return n;
}

/* A round in which nothing was found halves the rate; one in which something was brings it back. */
static void end_round(void)
{
    u64 found = share_counts.merges + share_counts.zeros, least = share_counts.rate / BACK_OFF;

    share_counts.rounds++;
    share_counts.rate_now =
        found != found_before ? share_counts.rate : MAX(share_counts.rate_now / 2, MAX(least, 1));
    found_before = found;
    passes_in_round = 0;
}

static void end_pass(struct member *m)
{
    m->cursor = 0;
    m->stats.passes++;
    if (++passes_in_round >= count_members(has_memory))
        end_round();
}

static void begin_pass(struct member *m)
{
    m->due = time_now() + SHARE_PASS;
    dirty_harvest(m->pmap);
}

static u64 turn_of(struct member *m, u64 budget)
{
    u64 end = pmap_pages(m->pmap), before = share_counts.looked;

    if (!m->cursor)
        begin_pass(m);
    while (share_counts.looked - before < budget && m->cursor < end)
        m->cursor += look_at(m, m->cursor);
    if (m->cursor >= end)
        end_pass(m);
    return MAX(share_counts.looked - before, 1);
}

/* Is there anything to do for it now? In a hurry: has it not had its pass? */
static bool is_its_turn(const struct member *m)
{
    if (!m->pmap)
        return false;
    if (hurry)
        return m->stats.passes < m->wanted;
    return has_memory(m) && (m->cursor || time_now() >= m->due);
}

static struct member *next_member(void)
{
    for (unsigned i = 1; i <= SHARE_MEMBERS; i++) {
        struct member *m = &share_members[(last + i) % SHARE_MEMBERS];

        if (is_its_turn(m)) {
            last = (unsigned)(m - share_members);
            return m;
        }
    }
    return NULL;
}

/* Returns for how many pages there was something to do. */
static u64 work(u64 budget)
{
    u64 start = time_now(), done = 0;
    struct member *m;

    share_enter();
    while (done < budget && time_now() - start < SLICE && (m = next_member()))
        done += turn_of(m, MIN(budget - done, TURN));
    look_finish();
    if (hurry && !next_member())
        hurry = false;
    share_leave();
    share_counts.busy_ns += time_now() - start;
    return done;
}

/* What the rate allows for one tick; if that takes longer, the next follows at once. */
static void tick(void)
{
    u64 end = time_now() + TICK, left = MAX(share_counts.rate_now * TICK / SEC(1), 1);
    u64 piece = 1, done = 0;

    for (; piece && left && share_counts.on && !hurry; left -= MIN(left, piece)) {
        piece = work(MIN(left, PIECE));
        done += piece;
        thread_yield();
    }
    if (!done)
        thread_sleep(SHARE_PASS); /* no pass is due */
    else if (time_now() < end)
        thread_sleep(end - time_now());
}

static void share_thread(void *unused)
{
    (void)unused;
    for (;;) {
        if (!count_members(is_there) || !(share_counts.on || hurry)) {
            hurry = false;
            thread_block();
        } else if (hurry) {
            work(PIECE);
            thread_yield();
        } else {
            tick();
        }
    }
}

/* --- who calls -------------------------------------------------------------------------------- */

enum err share_attach(struct pmap *p, u16 group)
{
    enum err e = dirty_attach(p, DIRTY_SHARE);
    struct member *m = share_members;

    if (e)
        return e;
    p->group = group;
    p->hash_key = share_key(group);
    share_enter();
    while (m < share_members + SHARE_MEMBERS && m->pmap)
        m++;
    if (m < share_members + SHARE_MEMBERS)
        *m = (struct member){.pmap = p};
    share_leave();
    if (m == share_members + SHARE_MEMBERS) {
        dirty_detach(p, DIRTY_SHARE);
        return E_NOMEM;
    }
    share_counts.rate_now = share_counts.rate;
    if (thread)
        thread_wake(thread);
    return OK;
}

static struct member *member_of(const struct pmap *p)
{
    for (unsigned i = 0; i < SHARE_MEMBERS; i++)
        if (share_members[i].pmap == p)
            return &share_members[i];
    return NULL;
}

void share_detach(struct pmap *p)
{
    struct member *m;

    share_enter();
    m = member_of(p);
    if (m)
        m->pmap = NULL;
    share_leave();
    dirty_detach(p, DIRTY_SHARE);
}

void share_set(bool on)
{
    share_counts.on = on;
    share_counts.rate_now = share_counts.rate;
    if (thread)
        thread_wake(thread);
}

void share_set_rate(u64 pages_per_second)
{
    share_counts.rate = share_counts.rate_now = pages_per_second;
}

enum err share_now(struct why *why)
{
    u64 end = time_now() + NOW_LIMIT;

    if (!thread || !count_members(is_there))
        return why_set(why, E_STATE, "there is no VM whose pages could be shared");
    share_enter();
    for (unsigned i = 0; i < SHARE_MEMBERS; i++)
        share_members[i].wanted = share_members[i].stats.passes + (share_members[i].cursor ? 2 : 1);
    hurry = true;
    share_leave();
    thread_wake(thread);
    while (__atomic_load_n(&hurry, __ATOMIC_RELAXED)) {
        if (time_now() > end)
            return why_set(why, E_TIMEOUT, "the pass is not done after 10 minutes; it goes on");
        thread_sleep(MSEC(10));
    }
    return OK;
}

void share_get_stats(struct share_stats *s)
{
    *s = share_counts;
}

void share_get_vm_stats(const struct pmap *p, struct share_vm_stats *s)
{
    const struct member *m = member_of(p);

    *s = m ? m->stats : (struct share_vm_stats){0};
}

enum err share_start(u64 pages)
{
    enum err e = index_create(&share_index, pages);

    return e ? e : thread_create(&thread, "share", share_thread, NULL);
}

static void share_init(const struct boot_info *boot)
{
    struct frame_stats f;

    (void)boot;
    frames_stats(&f);
    if (share_start(f.ram))
        log_error("no memory for page sharing: it is off");
}
INIT_STEP(3, share_init);

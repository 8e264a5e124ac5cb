/* SPDX-License-Identifier: BSD-2-Clause */
/* What a migration costs, for tools/bench; agents and memory as in the simulator, nothing fails.
 *
 *     migrate-costs                   ratios and counts: NAME VALUE UNIT, one a line
 *     migrate-costs move PERCENT      moves a VM that shares so much with another one: callgrind counts within source() and
 *                                     target(); prints how many pages went how, in how many WRITEs
 *     migrate-costs stop MIB          the stop phase of a VM of that size, always with the same pages dirty: within
 *                                     stopped() and collect_stopped()
 *     migrate-costs fault read|write  remote faults of a guest: within faulted() and served() */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/timer.h"
#include "migrate/outgoing.h"
#include "world.h"

#define FIRST  256 /* pages; above the hole */
#define PAGES  4000
#define DIRTY  1000
#define STRIDE 30

static struct world w;
static u64 pages;

static void must(bool what, const char *text)
{
    if (what)
        return;
    fprintf(stderr, "%s\n", text);
    exit(1);
}

/* --- the two sides ------------------------------------------------------------------------------------ */

u64 source(struct agent *a);
u64 target(struct agent *a);
u64 stopped(struct agent *a);

__attribute__((noinline)) u64 source(struct agent *a)
{
    __asm__ volatile("");
    return agent_poll(a);
}

__attribute__((noinline)) u64 target(struct agent *a)
{
    __asm__ volatile("");
    return agent_poll(a);
}

__attribute__((noinline)) u64 stopped(struct agent *a)
{
    __asm__ volatile("");
    return agent_poll(a);
}

/* The last round begins in a poll that ended another: what it collects counts as of the stop. */
void __real_dirty_harvest(struct pmap *p);
void __wrap_dirty_harvest(struct pmap *p);
u64 collect_stopped(struct pmap *p);

__attribute__((noinline)) u64 collect_stopped(struct pmap *p)
{
    __real_dirty_harvest(p);
    return dirty_count(p, DIRTY_MOVE);
}

void __wrap_dirty_harvest(struct pmap *p)
{
    if (w.host[0].agent->out[0].phase == MOVE_STOPPED)
        (void)collect_stopped(p);
    else
        __real_dirty_harvest(p);
}

static u64 poll(struct host *h)
{
    if (h->number)
        return target(h->agent);
    return h->agent->out[0].phase == MOVE_STOPPED ? stopped(h->agent) : source(h->agent);
}

/* --- the scene ------------------------------------------------------------------------------------------ */

static bool connected(struct world *world)
{
    return world->host[0].agent->peer[0].state == PEER_UP &&
           world->host[1].agent->peer[0].state == PEER_UP;
}

static bool has_moved(struct world *world)
{
    return world->host[0].agent->out[0].phase >= MOVE_DONE && !world->host[0].agent->out[0].out;
}

static bool nothing_is_borrowed(struct world *world)
{
    return !world->host[1].agent->borrow[0].used;
}

static void begin(u64 vm_pages)
{
    pages = vm_pages;
    world_create(&w, 1);
    w.no_collisions = true;
    w.guest_next = w.guest_every = U64_MAX / 2;
    must(world_run(&w, connected, SEC(5)), "the hosts do not meet");
}

/* A VM on host 0 of which so many percent of the pages show frames that another VM shows, too. */
static struct vm *share_some(u32 percent)
{
    struct vm *one = world_vm(&w, 0, "one", pages), *two = world_vm(&w, 0, "two", pages);

    for (u64 i = FIRST; i < FIRST + PAGES; i++) {
        bool both = i % 10 < percent / 10;

        world_fill(one, i, both ? 1 + i : 1000000 + i);
        world_fill(two, i, both ? 1 + i : 2000000 + i);
        if (both)
            must(world_merge(one, i, two, i), "equal pages are not merged");
    }
    return one;
}

static const struct move_figures *move(void)
{
    struct move *m;
    struct why why;

    world_poll = poll;
    must(!agent_move_to(w.host[0].agent, "one", w.host[1].name, &m, &why), "it cannot move");
    w.host[0].woken = true;
    must(world_run(&w, has_moved, SEC(100)) && m->phase == MOVE_DONE, "it does not move");
    world_poll = NULL;
    return &m->figures;
}

/* --- figures ------------------------------------------------------------------------------------------------ */

static void print(const char *name, u32 percent, double value, const char *unit)
{
    printf("s%u.%s %.3f %s\n", percent, name, value, unit);
}

static void moved(u32 percent)
{
    const struct move_figures *f;

    begin(FIRST + PAGES);
    share_some(percent);
    f = move();
    print("payload", percent, (double)f->pages_written / (double)f->nonzero_pages, "of-nonzero");
    print("resent", percent, (double)f->pages_resent / (double)f->nonzero_pages, "of-nonzero");
    print("description", percent, (double)f->description_bytes / (double)f->nonzero_pages,
          "bytes/page");
    print("stop.messages", percent, (double)f->stop_messages, "messages");
    world_destroy(&w);
}

/* The target has the same content in VMs of its own, and trusts the MACs. */
static void taken_over(void)
{
    const struct borrow_figures *b;
    struct vm *three, *four;

    begin(FIRST + PAGES);
    share_some(100);
    three = world_vm(&w, 1, "three", pages);
    four = world_vm(&w, 1, "four", pages);
    for (u64 i = FIRST; i < FIRST + PAGES; i++) {
        world_fill(three, i, 1 + i);
        world_fill(four, i, 1 + i);
        must(world_merge(three, i, four, i), "equal pages are not merged");
    }
    w.host[1].agent->trusts = true;
    print("trusted.payload", 100, (double)move()->pages_written, "pages");
    w.host[1].agent->drain_rate = 1000000;
    w.host[1].woken = true;
    must(world_run(&w, nothing_is_borrowed, SEC(100)), "it is not drained");
    b = &w.host[1].agent->in[0].borrowed;
    print("trusted.fetched", 100,
          (double)(b->fetched_read + b->fetched_write + b->prefetched + b->drained), "pages");
    world_destroy(&w);
}

/* --- for callgrind -------------------------------------------------------------------------------------------- */

static void count_move(u32 percent)
{
    const struct move_figures *f;
    struct fabric_writes writes;

    begin(FIRST + PAGES);
    share_some(percent);
    f = move();
    writes = fabric_writes(w.fabric, 0);
    printf("written %llu pages\ndeferred %llu pages\n", (unsigned long long)f->pages_written,
           (unsigned long long)f->pages_deferred);
    printf("writes %llu requests\ndoorbells %llu times\ncompletions %llu entries\n",
           (unsigned long long)writes.posted, (unsigned long long)writes.doorbells,
           (unsigned long long)writes.completions);
}

static void write_some(struct world *world)
{
    const struct move *m = &world->host[0].agent->out[0];
    struct vm *one;

    if (m->phase != MOVE_COPYING || m->out->preparing)
        return;
    world_on_event = NULL;
    one = world_find(world, 0, "one");
    for (u64 i = 0; i < DIRTY; i++)
        world_fill(one, FIRST + i * STRIDE, 7 + i);
}

/* All of it is mapped, and these pages are its own. */
static void count_stop(u64 mib)
{
    const struct move_figures *f;
    struct vm *one;

    begin(mib << 8);
    one = world_vm(&w, 0, "one", pages);
    for (u64 i = 0; i < pages; i++)
        if (world_is_ram(one, i))
            must(world_touch(one, i, false), "a page is not there");
    for (u64 i = 0; i < DIRTY; i++)
        world_fill(one, FIRST + i * STRIDE, 3 + i);
    world_on_event = write_some;
    f = move();
    printf("stop.pages %llu pages\n", (unsigned long long)f->stop_pages);
}

static struct vm *borrower;
static bool writes;
bool faulted(u64 page);
u64 served(struct agent *a);

/* Up to the comparison of what is read there. */
__attribute__((noinline)) bool faulted(u64 page)
{
    return world_touch(borrower, page, writes);
}

__attribute__((noinline)) u64 served(struct agent *a)
{
    __asm__ volatile("");
    return agent_poll(a);
}

static u64 poll_served(struct host *h)
{
    return h->number ? served(h->agent) : agent_poll(h->agent);
}

static bool is_here(struct world *world)
{
    (void)world;
    return pmap_state(&borrower->pmap, pages) != PAGE_REMOTE;
}

static void count_faults(bool write)
{
    const struct borrow *b;
    u64 count = 0;

    writes = write;
    begin(FIRST + PAGES);
    share_some(100);
    (void)move();
    b = w.host[1].agent->borrow;
    borrower = world_find(&w, 1, "one");
    world_poll = poll_served;
    for (pages = FIRST; pages < FIRST + PAGES; pages += 2, count++) { /* no sweep */
        must(!faulted(pages), "a page is here already");
        must(world_run(&w, is_here, SEC(1)), "a page does not come");
    }
    printf("faults %llu pages\nreads %llu pages\nblocking %llu pages\n", (unsigned long long)count,
           (unsigned long long)(b->figures.fetched_read + b->figures.fetched_write +
                                b->figures.prefetched),
           (unsigned long long)b->figures.blocking);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "move"))
        count_move((u32)atoi(argv[2]));
    else if (argc == 3 && !strcmp(argv[1], "stop"))
        count_stop((u64)atoi(argv[2]));
    else if (argc == 3 && !strcmp(argv[1], "fault"))
        count_faults(!strcmp(argv[2], "write"));
    else {
        moved(50);
        moved(80);
        taken_over();
    }
    return 0;
}

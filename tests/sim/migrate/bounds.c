/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer with the right key that asks for more than there is: the work and the memory that it costs have a bound. */
#include "bounds.h"
#include "kernel/frames.h"
#include "kernel/timer.h"
#include "world.h"

#define PAGES     64
#define QUESTIONS 20000
#define RUNS      1017 /* as many as a message has */

static struct world w;

static void expect(bool what, const char *text)
{
    if (!what)
        world_broken("%s", text);
}

static void create(u64 seed)
{
    world_hosts = 2;
    world_create(&w, seed);
    fabric_lose(w.fabric, 0);
    w.guest_next = w.guest_every = U64_MAX / 2;
    expect(world_run(&w, world_is_connected, SEC(10)), "the hosts do not meet");
}

static u64 kernel_frames(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[FRAME_KERNEL];
}

static void a_peer_that_takes_no_answers_loses_its_link(u64 seed)
{
    struct message_holder m = {.h.type = MESSAGE_ASK_HOLDER, .name = "one"};
    struct peer *p;
    u64 before;

    create(seed);
    p = world_peer(&w, 1, 0);
    before = kernel_frames();
    for (u32 i = 0; i < QUESTIONS && !p->link->failed; i++)
        agent_message(p, p->link, &m.h);
    expect(p->link->failed, "20,000 questions whose answers nobody takes break no link");
    expect(!strcmp(p->link->why, "it does not take the answers to its messages"), p->link->why);
    expect(kernel_frames() - before < MIB(8) / PAGE_SIZE, "the answers cost more than 8 MiB");
    expect(world_run(&w, world_is_connected, SEC(30)), "the hosts do not meet again");
}

static bool is_on_b(struct world *world)
{
    const struct vm *vm = world_find(world, 1, "one");

    return vm && vm->running && !world_find(world, 0, "one");
}

/* VM one borrows of host A what VM two has, too. */
static void borrow_pages(u64 seed)
{
    struct vm *one, *two;
    struct move *m;
    struct why why;

    create(seed);
    one = world_vm(&w, 0, "one", PAGES);
    two = world_vm(&w, 0, "two", PAGES);
    for (u64 i = 0; i + 4 < PAGES; i++) {
        world_fill(one, i, i + 1);
        world_fill(two, i, i + 1);
        (void)world_merge(one, i, two, i);
    }
    expect(!agent_move_to(w.host[0].agent, "one", "hostb", &m, &why), why.text);
    w.host[0].woken = true;
    expect(world_run(&w, is_on_b, SEC(10)), "VM one does not get to host B");
}

/* 1,017 runs of all pages, or of 2^32 of them. */
static void runs_that_name_a_page_twice_are_refused(u64 seed)
{
    static u64 room[1024];
    struct message_runs *m = (void *)room;
    struct peer *lender, *borrower;
    u64 refused;

    borrow_pages(seed);
    lender = world_peer(&w, 1, 0);
    borrower = world_peer(&w, 0, 1);
    m->l.epoch = w.host[1].agent->borrow[0].epoch;
    for (u32 i = 0; i < 2; i++) {
        m->l.count = RUNS;
        for (u32 k = 0; k < RUNS; k++)
            m->run[k] = (struct message_run_of){0, i ? ~0u : PAGES};
        refused = lender->refused + borrower->refused;
        m->l.h.type = MESSAGE_USED;
        agent_message(lender, lender->link, &m->l.h);
        m->l.h.type = MESSAGE_RETURN;
        agent_message(borrower, borrower->link, &m->l.h);
        expect(lender->refused + borrower->refused == refused + 2, "such runs are taken");
    }
}

static void (*const scenarios[])(u64 seed) = {
    a_peer_that_takes_no_answers_loses_its_link,
    runs_that_name_a_page_twice_are_refused,
};

void bounds_run(u64 n)
{
    scenarios[n % COUNT_OF(scenarios)](1 + n);
    world_destroy(&w);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* One host wants to start a VM that others have and move, in orders of events that chance seldom finds. */
#include "claims.h"
#include "kernel/timer.h"
#include "world.h"

static struct world w;

static void expect(bool what, const char *text)
{
    if (!what)
        world_broken("%s", text);
}

static bool is_up(u32 host, u32 other)
{
    return world_peer(&w, host, other)->state == PEER_UP &&
           world_peer(&w, other, host)->state == PEER_UP;
}

static bool all_but_a_and_c(struct world *world)
{
    (void)world;
    return is_up(0, 1) && is_up(1, 2);
}

static bool all_meet(struct world *world)
{
    return world_is_connected(world);
}

static bool b_meets_c(struct world *world)
{
    (void)world;
    return is_up(1, 2);
}

static bool is_on_b(struct world *world)
{
    const struct vm *vm = world_find(world, 1, "one");

    return vm && vm->running && !world_find(world, 0, "one");
}

static bool c_is_answered(struct world *world)
{
    return !world->host[2].wants;
}

static void create(u64 seed)
{
    world_hosts = 3;
    world_create(&w, seed);
    fabric_lose(w.fabric, 0);
    w.guest_next = w.guest_every = U64_MAX / 2;
}

static void move_to_b(void)
{
    struct move *m;
    struct why why;

    if (agent_move_to(w.host[0].agent, "one", "hostb", &m, &why))
        world_broken("%s", why.text);
    w.host[0].woken = true;
    expect(world_run(&w, is_on_b, SEC(10)), "VM one does not move");
}

/* VM one is on A, which host C does not reach; so C waits, with a denial of B. Meanwhile it moves to B. */
static void move_behind_c(u64 seed)
{
    create(seed);
    fabric_cut(w.fabric, 0, 2, true);
    expect(world_run(&w, all_but_a_and_c, SEC(20)), "the hosts do not meet");
    (void)world_vm(&w, 0, "one", 64);
    w.host[2].wants = 1;
    (void)world_run(&w, NULL, SEC(1 + seed % 20));
    move_to_b();
}

static void a_denial_does_not_outlive_its_round(u64 seed)
{
    move_behind_c(seed);
    fabric_cut(w.fabric, 0, 2, false);
    expect(world_run(&w, c_is_answered, SEC(60)) && !w.host[2].started,
           "host C is not told that host B has it");
}

static void the_operators_word_about_one_peer_is_no_word_about_another(u64 seed)
{
    struct why why;

    move_behind_c(seed);
    world_kill(&w, 0);
    expect(!agent_peer_is_off(w.host[2].agent, "one", "hosta", &why), why.text);
    expect(world_run(&w, c_is_answered, SEC(60)) && !w.host[2].started,
           "host C is not told that host B has it");
}

/* A was off when the operator said so; it comes back, and C asks it before it starts what A has got since. */
static void the_operators_word_does_not_last(u64 seed)
{
    struct why why;

    create(seed);
    world_kill(&w, 0);
    expect(world_run(&w, b_meets_c, SEC(20)), "the hosts do not meet");
    fabric_cut(w.fabric, 1, 2, true);
    (void)world_run(&w, NULL, SEC(30));
    (void)world_vm(&w, 1, "one", 64);
    w.host[2].wants = 1;
    (void)world_run(&w, NULL, SEC(1));
    expect(!agent_peer_is_off(w.host[2].agent, "one", "hosta", &why), why.text);
    (void)world_run(&w, NULL, SEC(70 + seed % 20));
    world_find(&w, 1, "one")->running =
        false; /* as if it had moved to A, and then A were cut off */
    world_boot(&w, 0);
    w.host[0].started = 1;
    fabric_cut(w.fabric, 0, 2, true);
    w.host[1].vm[0] = NULL;
    fabric_cut(w.fabric, 1, 2, false);
    (void)world_run(&w, NULL, SEC(60));
    expect(!w.host[2].started, "host C starts what host A has");
}

static bool c_waits(struct world *world)
{
    return world->host[2].agent->claims;
}

/* A host that waits to start a VM does not keep others from moving it, and one that asks just now does for two seconds. */
static void who_denies_takes_no_offer_for_a_while(u64 seed)
{
    struct why why;
    struct move *m;

    create(seed);
    expect(world_run(&w, all_meet, SEC(20)), "the hosts do not meet");
    (void)world_vm(&w, 0, "one", 64);
    w.host[2].wants = 1;
    expect(world_run(&w, c_waits, SEC(1)), "host C does not ask");
    (void)world_run(&w, NULL, USEC(seed % 40));
    expect(!agent_move_to(w.host[0].agent, "one", "hostb", &m, &why), why.text);
    w.host[0].woken = true;
    expect(world_run(&w, c_is_answered, SEC(10)) && !w.host[2].started, "host C starts it");
    (void)world_run(&w, NULL, SEC(3));
    if (world_find(&w, 0, "one"))
        move_to_b();
}

static bool anybody_meets_b(struct world *world)
{
    (void)world;
    return world_peer(&w, 1, 0)->state == PEER_UP || world_peer(&w, 1, 2)->state == PEER_UP;
}

/* It may have denied something just before, and would take it now. */
static void who_was_just_booted_meets_nobody_for_a_while(u64 seed)
{
    create(seed);
    fabric_cut(w.fabric, 0, 1, true);
    fabric_cut(w.fabric, 1, 2, true);
    (void)world_run(&w, NULL, SEC(30));
    fabric_cut(w.fabric, 0, 1, false);
    fabric_cut(w.fabric, 1, 2, false);
    world_kill(&w, 1);
    world_boot(&w, 1);
    expect(!world_run(&w, anybody_meets_b, MSEC(1900)), "host B meets others at once");
    expect(world_run(&w, all_meet, SEC(10)), "the hosts do not meet");
}

/* Asks again and again, as one does at a shell. */
static bool may_start_on_a(u64 ns)
{
    u64 end_at = time_now() + ns;
    struct why why;

    for (; time_now() < end_at; (void)world_run(&w, NULL, MSEC(100))) {
        w.host[0].woken = true;
        if (agent_may_start(w.host[0].agent, "one", &why) == OK)
            return true;
    }
    return false;
}

static void a_claim_ends_when_its_vm_runs(u64 seed)
{
    create(seed);
    expect(world_run(&w, all_meet, SEC(20)), "the hosts do not meet");
    expect(may_start_on_a(SEC(5)), "VM one does not start");
    (void)world_vm(&w, 0, "one", 64);
    move_to_b();
    expect(!may_start_on_a(SEC(15)), "VM one may be started beside itself");
}

static bool b_is_in_doubt(struct world *world)
{
    return world->host[1].agent->in[0].phase == MOVE_FINAL;
}

static void cut_in_doubt(struct world *world)
{
    if (!b_is_in_doubt(world))
        return;
    fabric_cut(world->fabric, 0, 1, true);
    world_on_event = NULL;
}

/* VM one shares its pages with VM two, and is on its way to B when A dies, which has them. */
static void lose_in_doubt(u64 seed)
{
    struct vm *one, *two;
    struct move *m;
    struct why why;

    create(seed);
    expect(world_run(&w, all_meet, SEC(20)), "the hosts do not meet");
    one = world_vm(&w, 0, "one", 64);
    two = world_vm(&w, 0, "two", 64);
    for (u64 i = 0; i < 32; i++) {
        world_fill(one, i, i + 1);
        world_fill(two, i, i + 1);
        (void)world_merge(one, i, two, i);
    }
    expect(!agent_move_to(w.host[0].agent, "one", "hostb", &m, &why), why.text);
    w.host[0].woken = true;
    world_on_event = cut_in_doubt;
    expect(world_run(&w, b_is_in_doubt, SEC(10)), "VM one does not get to host B");
    world_kill(&w, 0);
    fabric_cut(w.fabric, 0, 1, false);
    world_boot(&w, 0);
    expect(world_run(&w, all_meet, SEC(60)), "the hosts do not meet again");
}

static void a_vm_that_was_lost_in_doubt_leaves_nothing_behind(u64 seed)
{
    const struct agent *b;
    struct vm *lost;

    lose_in_doubt(seed);
    lost = world_find(&w, 1, "one");
    expect(lost && lost->lost[0], "nobody says that VM one is lost");
    pmap_clear(&lost->pmap); /* the user destroys it */
    w.host[1].woken = true;
    (void)world_run(&w, NULL, SEC(10));
    b = w.host[1].agent;
    expect(!b->borrows && !b->borrow[0].used, "host B keeps the record of what it borrowed");
}

static void (*const scenarios[])(u64 seed) = {
    a_denial_does_not_outlive_its_round,
    the_operators_word_about_one_peer_is_no_word_about_another,
    the_operators_word_does_not_last,
    who_denies_takes_no_offer_for_a_while,
    who_was_just_booted_meets_nobody_for_a_while,
    a_claim_ends_when_its_vm_runs,
    a_vm_that_was_lost_in_doubt_leaves_nothing_behind,
};

void claims_run(u64 n)
{
    scenarios[n % COUNT_OF(scenarios)](1 + n);
    world_destroy(&w);
}

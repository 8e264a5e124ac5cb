/* SPDX-License-Identifier: BSD-2-Clause */
/* Migration between hosts that fail, in the simulator.
 *
 *     migrate FIRST SEEDS [-v]     random runs: faults at random moments
 *     migrate --sweep              what a guest that reads its pages in a row has to wait for
 *     migrate --used               what the guest used last is drained first
 *     migrate --large              three trips of a larger VM, without faults
 *     migrate --boots              hosts that boot together, with the same VMs in their ferry.cfg
 *     migrate --claims             one host wants to start a VM that the others have, and move
 *     migrate --single             each fault at each event of one migration
 *     migrate --damaged            the VM's state is changed at the target, at each event of the hand-off
 *     migrate --pairs              each pair of faults at the events of the hand-off
 *
 * Each run moves VM one from host A to host B, lets it be used there, and fetches what was left behind. In some, the others
 * move at the same time. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#undef PROT_READ /* kernel/ptab.h has its own */
#undef PROT_WRITE
#undef PROT_EXEC
#include "kernel/frames.h"
#include "kernel/string.h"
#include "kernel/timer.h"
#include "migrate/incoming.h"
#include "migrate/outgoing.h"
#include "bounds.h"
#include "claims.h"
#include "world.h"

#define PAGES      64
#define LARGE      2048
#define FAULTS     4
#define BATCH      200 /* runs of one process: a fake machine has so many contexts */
#define WORKERS    16
#define BRIEF      4 /* pages */
#define QUIET_LATE MSEC(1)
#define LIMIT      20 /* seconds of the CPU's, for a run */

enum fault_kind {
    CUT,
    CUT_LONG,
    KILL_A,
    KILL_B,
    CANCEL,
    RECALL,
    CHANGED,
    TWICE,
    TWO_HOSTS_KINDS, /* those above need no third host */
    CUT_AC = TWO_HOSTS_KINDS,
    CUT_BC,
    KILL_C,
    WANTED,
    FAULT_KINDS,
    DAMAGED = FAULT_KINDS
};
static const char *const fault_name[] = {"the link is cut for 300 ms",
                                         "the link is cut for 9 s",
                                         "host A is killed, and back after 3 s",
                                         "host B is killed, and back after 3 s",
                                         "the migration is cancelled",
                                         "host A recalls what it lends",
                                         "a message arrives changed",
                                         "a message arrives twice",
                                         "host C does not reach host A for 9 s",
                                         "host C does not reach host B for 9 s",
                                         "host C is killed, and back after 3 s",
                                         "the last host is told to start all VMs",
                                         "the VM's state is changed at the target"};

struct fault {
    enum fault_kind kind;
    u64 event;
    u64 heal_at;
    bool done;
};

struct plan {
    u64 seed;
    u32 hosts; /* 0: three */
    struct fault fault[FAULTS];
    unsigned faults;
    bool pull, large;
    bool all;        /* VMs move, not only the first */
    u32 lose, twice; /* of 100 hellos */
    unsigned trips;
};

static struct world w;
static struct plan plan;
static bool trace;
static u64 committed_events[2]; /* the hand-off's first and last, of a run without faults */
static bool state_refused;      /* by the target, in the last run */

/* A host whose power is gone frees nothing. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void tell_plan(void)
{
    for (unsigned i = 0; i < plan.faults; i++)
        fprintf(stderr, "  from event %llu on %s\n", (unsigned long long)plan.fault[i].event,
                fault_name[plan.fault[i].kind]);
}

static void hangs(int unused)
{
    (void)unused;
    world_broken("it does not end");
}

static void expect(bool what, const char *text)
{
    if (!what)
        world_broken("%s", text);
}

/* --- what is there --------------------------------------------------------------------------------------- */

static bool connected(struct world *world)
{
    return world_is_connected(world);
}

static bool runs_on(const char *name, u32 host)
{
    struct vm *vm = world_find(&w, host, name);

    return vm && vm->running && !vm->stopped;
}

static bool is_over(struct world *world)
{
    (void)world;
    for (u32 i = 0; i < world_hosts; i++) {
        const struct agent *a = w.host[i].agent;

        for (unsigned k = 0; w.host[i].alive && k < AGENT_MOVES; k++)
            if (a->out[k].out || a->in[k].in ||
                (a->out[k].phase != MOVE_FREE && a->out[k].phase < MOVE_DONE))
                return false;
    }
    return true;
}

static void populate(void)
{
    u64 pages = plan.large ? LARGE : PAGES, distinct = 10000;
    struct vm *one = world_vm(&w, 0, "one", pages), *two = world_vm(&w, 0, "two", pages);
    struct vm *three = world_vm(&w, 1, "three", PAGES);
    u64 shared_by[4] = {0}; /* a page of those that are equal within VM one */

    for (u64 i = 0; i < pages; i++) {
        u32 kind = fabric_below(w.fabric, 5);

        if (kind == 0 || !world_is_ram(one, i))
            continue; /* never touched */
        world_fill(one, i,
                   kind == 1   ? 0
                   : kind == 2 ? i % (pages / 8) + 1
                   : kind == 3 ? 1000 + i % 4
                               : distinct++);
        if (kind == 2)
            world_fill(two, i, i % (pages / 8) + 1);
        if (kind == 2 && plan.large)
            (void)world_merge(one, i, two, i);
        if (kind == 3 && plan.large && shared_by[i % 4])
            (void)world_merge(one, i, one, shared_by[i % 4]);
        if (kind == 3)
            shared_by[i % 4] = i;
    }
    if (!plan.large)
        world_merge_equal(one, two);
    for (u64 i = 0; i < 8; i++) /* host B has some of it already */
        world_fill(three, i, i / 2 + 1);
    world_merge_equal(three, three);
    w.host[1].agent->trusts = fabric_below(w.fabric, 2);
    if (plan.large || !fabric_below(w.fabric, 3)) /* READs are under way all the time */
        for (u32 i = 0; i < world_hosts; i++)
            w.host[i].agent->drain_rate = plan.large ? 400000 : 100000;
    if (fabric_below(w.fabric, 2)) /* as many rounds as there may be */
        for (u32 i = 0; i < world_hosts; i++)
            w.host[i].agent->downtime_ns = 0;
}

/* --- faults ------------------------------------------------------------------------------------------------ */

/* As somebody could who has the rkey of its room, or bad memory. */
static void damage_state(const struct agent *target)
{
    for (unsigned k = 0; k < AGENT_MOVES; k++)
        if (target->in[k].in)
            *(u8 *)phys_to_virt(target->in[k].in->state_frames) ^= 1;
}

static const struct {
    u32 a, b;
    u64 ns;
} cuts[FAULT_KINDS] = {[CUT] = {0, 1, MSEC(300)},
                       [CUT_LONG] = {0, 1, SEC(9)},
                       [CUT_AC] = {0, 2, SEC(9)},
                       [CUT_BC] = {1, 2, SEC(9)}};

static u32 killed_by(enum fault_kind kind)
{
    return kind == KILL_A ? 0 : kind == KILL_B ? 1 : 2;
}

static void strike(struct fault *f)
{
    u32 host = killed_by(f->kind);
    struct why why;

    f->done = true;
    if (trace)
        printf("%9llu us  event %llu: %s\n", (unsigned long long)(time_now() / 1000),
               (unsigned long long)w.events, fault_name[f->kind]);
    switch (f->kind) {
    case CUT:
    case CUT_LONG:
    case CUT_AC:
    case CUT_BC:
        fabric_cut(w.fabric, cuts[f->kind].a, cuts[f->kind].b, true);
        f->heal_at = time_now() + cuts[f->kind].ns;
        break;
    case KILL_A:
    case KILL_B:
    case KILL_C:
        if (!w.host[host].alive)
            break;
        world_kill(&w, host);
        f->heal_at = time_now() + SEC(3);
        break;
    case WANTED: w.host[world_hosts - 1].wants = 7 & ~w.host[world_hosts - 1].started; break;
    case CANCEL:
        for (u32 i = 0; i < world_hosts; i++)
            if (w.host[i].alive && agent_cancel(w.host[i].agent, "one", &why) == OK)
                w.host[i].woken = true;
        if (plan.pull) /* but then it is wanted at once */
            for (u32 i = 0; i < 2; i++)
                if (w.host[i].alive)
                    (void)!agent_move_from(w.host[i].agent, "one", w.host[!i].name, &why);
        break;
    case RECALL:
        if (w.host[0].alive)
            agent_recall(w.host[0].agent);
        break;
    case CHANGED: fabric_forge(w.fabric, FORGERY_CHANGED); break;
    case TWICE: fabric_forge(w.fabric, FORGERY_TWICE); break;
    case DAMAGED: damage_state(w.host[1].agent); break;
    default: break;
    }
}

/* Every VM is in all hosts' ferry.cfg. */
static void reboot(u32 host)
{
    world_boot(&w, host);
    w.host[host].wants = 7;
}

static void heal(struct fault *f)
{
    f->heal_at = 0;
    if (cuts[f->kind].ns)
        fabric_cut(w.fabric, cuts[f->kind].a, cuts[f->kind].b, false);
    else
        reboot(killed_by(f->kind));
    if (trace)
        printf("%9llu us  it is over that %s\n", (unsigned long long)(time_now() / 1000),
               fault_name[f->kind]);
}

static void on_tick(struct world *world)
{
    world->tick_at = U64_MAX;
    for (unsigned i = 0; i < plan.faults; i++) {
        struct fault *f = &plan.fault[i];

        if (f->heal_at && f->heal_at <= time_now())
            heal(f);
        if (f->heal_at)
            world->tick_at = MIN(world->tick_at, f->heal_at);
    }
}

static bool is_healed(struct world *world)
{
    return world->tick_at == U64_MAX;
}

static void on_event(struct world *world)
{
    for (unsigned i = 0; i < plan.faults; i++) {
        struct fault *f = &plan.fault[i];

        if (!f->done && world->events >= f->event) {
            strike(f);
            world->guest_every = QUIET_LATE;
            on_tick(world);
        }
    }
    if (world->host[0].alive && !committed_events[0] &&
        world->host[0].agent->out[0].phase == MOVE_STOPPED)
        committed_events[0] = world->events;
    if (world->host[0].alive && committed_events[0] && !committed_events[1] &&
        world->host[0].agent->out[0].phase == MOVE_DONE)
        committed_events[1] = world->events;
}

/* --- one run ------------------------------------------------------------------------------------------------- */

static bool struck(enum fault_kind kind)
{
    for (unsigned i = 0; i < plan.faults; i++)
        if (plan.fault[i].done && plan.fault[i].kind == kind)
            return true;
    return false;
}

/* Of the first two hosts, from where it is to the other one, if it runs and they are connected. */
static bool order(const char *name)
{
    u32 from = !runs_on(name, 0);
    struct agent *source = w.host[from].agent, *target = w.host[!from].agent;
    struct move *m;
    struct why why;

    if (!runs_on(name, from) || !connected(&w))
        return false;
    if (plan.pull && world_find(&w, !from, name)) /* it is on its way: an earlier wish */
        return true;
    if (plan.pull ? agent_move_from(target, name, w.host[from].name, &why)
                  : agent_move_to(source, name, w.host[!from].name, &m, &why))
        world_broken("%s", why.text);
    if (plan.pull && !fabric_below(w.fabric, 4)) /* somebody is impatient */
        (void)!agent_move_from(target, name, w.host[from].name, &why);
    w.host[0].woken = w.host[1].woken = true;
    return true;
}

static bool order_trip(void)
{
    bool any = order("one");

    if (plan.all) {
        any |= order("two");
        any |= order("three");
    }
    if (any && plan.pull) /* the wish has come, also if it is late */
        (void)world_run(&w, NULL, MSEC(1));
    return any;
}

/* Where a VM is now, and that it is what it must be. */
static void judge_vm(const struct oracle *o)
{
    bool a = runs_on(o->name, 0), b = runs_on(o->name, 1);

    if (a || b) {
        if (o->lost)
            world_broken("VM %s runs, and was said to be lost", o->name);
        world_check_memory(world_find(&w, b, o->name));
        return;
    }
    if (!o->lost && !o->owner_died)
        world_broken("VM %s runs nowhere, and nobody says that it is lost", o->name);
    if (!struck(KILL_A) && !struck(KILL_B))
        world_broken("VM %s is lost, and no host was", o->name);
}

static void judge(void)
{
    if (w.host[1].alive)
        for (unsigned k = 0; k < AGENT_MOVES; k++)
            state_refused |= str_starts(w.host[1].agent->in[k].text, "its state is not");
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (w.oracle[i].exists)
            judge_vm(&w.oracle[i]);
}

/* Without a fault they are where they were sent. */
static void judge_places(void)
{
    expect(runs_on("one", plan.trips % 2), "nothing failed, and the VM is not where it was sent");
    if (plan.all)
        expect(runs_on("two", plan.trips % 2) && runs_on("three", !(plan.trips % 2)),
               "nothing failed, and the other VMs are not where they were sent");
}

static void judge_vm_left(const struct vm *vm)
{
    if (vm->claimed)
        world_broken("VM %s is still claimed", vm->oracle->name);
    if (vm->held)
        world_broken("VM %s is still kept from sharing pages", vm->oracle->name);
    if (vm->slow)
        world_broken("VM %s is still slowed down", vm->oracle->name);
}

static u64 refusals(const struct agent *a)
{
    u64 refused = 0;

    for (u32 i = 0; i < a->peers; i++)
        refused += a->peer[i].refused;
    return refused;
}

/* Nothing that a user does breaks a link. */
static void judge_links(void)
{
    if (plan.lose) /* hellos that come late begin links anew */
        return;
    for (unsigned i = 0; i < plan.faults; i++)
        if (plan.fault[i].kind != CANCEL && plan.fault[i].kind != RECALL &&
            plan.fault[i].kind != WANTED)
            return;
    for (u32 i = 0; i < world_hosts; i++)
        for (u32 k = 0; k < world_hosts; k++)
            if (i != k && world_peer(&w, i, k)->links > 1)
                world_broken("the link of %s and %s broke, and nothing failed", w.host[i].name,
                             w.host[k].name);
}

/* What must be gone when the VM is where it is to stay, and drained. */
static void judge_leftovers(void)
{
    for (u32 i = 0; i < world_hosts; i++) {
        const struct agent *a = w.host[i].agent;

        if (fabric_forged(w.fabric, i) && !refusals(a))
            world_broken("%s has believed what was forged", w.host[i].name);
        for (unsigned k = 0; k < AGENT_LEASES; k++)
            if (a->lease[k].used)
                world_broken("%s still lends %llu frames", w.host[i].name,
                             (unsigned long long)a->lease[k].left);
        for (unsigned k = 0; k < AGENT_BORROWS; k++)
            if (a->borrow[k].used && !a->borrow[k].lost)
                world_broken("%s still borrows %llu frames", w.host[i].name,
                             (unsigned long long)a->borrow[k].left);
        for (unsigned k = 0; k < WORLD_VMS; k++)
            if (w.host[i].vm[k] && !w.host[i].vm[k]->lost[0])
                judge_vm_left(w.host[i].vm[k]);
    }
}

/* Between two trips: sometimes as long as slots wait to be returned, so that they are due when the VM is on its way. Of a
 * large VM not all is drained then. */
static u64 pause_length(void)
{
    if (plan.large)
        return fabric_below(w.fabric, USEC(500));
    return plan.seed % 4 ? MSEC(2) : MSEC(49) + fabric_below(w.fabric, MSEC(2));
}

static void one_run(void)
{
    memset(committed_events, 0, sizeof(committed_events));
    state_refused = false;
    world_hosts = plan.hosts ? plan.hosts : 3;
    world_create(&w, plan.seed);
    w.trace = trace;
    w.guest_every = plan.large && plan.seed % 4 == 0 ? 200 : USEC(5);
    w.poll_takes = plan.large ? USEC(10) : 0;
    w.lose = plan.lose;
    w.twice = plan.twice;
    expect(world_run(&w, connected, plan.lose ? SEC(60) : SEC(5)), "the hosts do not meet");
    populate();
    w.events = 0;
    world_on_event = on_event;
    world_on_tick = on_tick;
    for (unsigned i = 0; i < plan.trips && order_trip(); i++) {
        expect(world_run(&w, is_over, SEC(60)), "the migration does not end");
        judge();
        (void)world_run(&w, NULL, pause_length());
    }
    world_on_event = NULL;
    (void)world_run(&w, is_healed, SEC(20));
    w.guest_every = QUIET_LATE;
    for (u32 i = 0; i < world_hosts; i++)
        w.host[i].agent->drain_rate = plan.seed % 2 ? 0 : 1000000;
    (void)world_run(&w, NULL, SEC(10)); /* what broke is noticed */
    expect(world_run(&w, connected, plan.lose ? SEC(60) : SEC(20)), "the hosts do not meet again");
    for (u32 i = 0; i < world_hosts && plan.seed % 2; i++)
        agent_recall(w.host[i].agent);
    (void)world_run(&w, NULL, SEC(3));
    judge();
    judge_links();
    judge_leftovers();
    world_check_quiet(&w);
    if (!plan.faults)
        judge_places();
    world_destroy(&w);
}

/* --- many runs --------------------------------------------------------------------------------------------------- */

static pid_t worker[WORKERS]; /* a process each, or 0 */
static u64 *begun; /* by each, in memory that they share: the run that it is at, from 1 on */

static void run_batch(u64 *at, u64 first, u64 end, void (*fn)(u64 n))
{
    const struct itimerval limit = {.it_value.tv_sec = LIMIT};

    world_on_break = tell_plan;
    signal(SIGVTALRM, hangs);
    for (u64 n = first; n < end; n++) {
        *at = n + 1;
        setitimer(ITIMER_VIRTUAL, &limit, NULL); /* other work on this machine does not count */
        fn(n);
    }
    exit(0);
}

static void end_workers(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (worker[i] > 0)
            kill(worker[i], SIGKILL);
}

/* Waits until one has ended, and returns its place, or -1 if a run of it failed. */
static int await_worker(void)
{
    int status, i = 0;
    pid_t pid = waitpid(-1, &status, 0);

    while (worker[i] != pid)
        i++;
    worker[i] = 0;
    if (!status)
        return i;
    if (WIFSIGNALED(status))
        fprintf(stderr, "it crashed: %s\n", strsignal(WTERMSIG(status)));
    printf("run %llu failed\n", (unsigned long long)begun[i]);
    end_workers();
    return -1;
}

static void show_progress(u64 runs, u64 count)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "%llu of %llu runs\r", (unsigned long long)runs, (unsigned long long)count);
}

/* Runs fn for all numbers below count, some in each process, a process on each CPU. Returns the exit status. */
static int in_batches(u64 count, void (*fn)(u64 n))
{
    int most = (int)MIN(MAX(sysconf(_SC_NPROCESSORS_ONLN), 1), WORKERS), running = 0;
    u64 next = 0;

    begun = mmap(NULL, WORKERS * sizeof(*begun), 3 /* read, write */, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    while (next < count || running) {
        int place = running;

        if (running == most || next >= count) {
            place = await_worker();
            if (place < 0)
                return 1;
            running--;
            show_progress(MIN(next, count) - (u64)running * BATCH, count);
        }
        if (next >= count)
            continue;
        worker[place] = fork();
        if (worker[place] < 0) {
            perror("no process for the next runs");
            end_workers();
            return 1;
        }
        if (!worker[place])
            run_batch(&begun[place], next, MIN(next + BATCH, count), fn);
        running++;
        next += BATCH;
    }
    printf("%llu runs passed\n", (unsigned long long)count);
    return 0;
}

static u64 first_seed, events_in_all;

static u64 mix(u64 x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* Faults that the seed says. */
static void random_run(u64 n)
{
    u64 r = mix((first_seed + n) * 0x9e3779b97f4a7c15ull);

    plan = (struct plan){.seed = first_seed + n,
                         .hosts = 2 + (u32)(r >> 23 & 3),
                         .faults = (unsigned)(r % 4),
                         .pull = r >> 8 & 1,
                         .trips = (unsigned)(1 + r / 512 % 3)};
    plan.all = plan.trips < 3 && r >> 13 & 1; /* a host takes four VMs a minute */
    if (r / 2048 % 4 == 0) {
        plan.lose = 10;
        plan.twice = 20;
    }
    for (unsigned i = 0; i < plan.faults; i++) {
        u64 x = mix(r + i);
        u32 kinds = plan.hosts > 2 ? FAULT_KINDS : TWO_HOSTS_KINDS;

        plan.fault[i] = (struct fault){.kind = (enum fault_kind)(x % kinds),
                                       .event = x / 8 % (300 * plan.trips)};
    }
    one_run();
}

static void single_run(u64 n)
{
    plan = (struct plan){.seed = 1, .faults = 1, .trips = 1};
    plan.fault[0] =
        (struct fault){.kind = (enum fault_kind)(n % FAULT_KINDS), .event = n / FAULT_KINDS};
    one_run();
}

static u64 handoff_first, handoff_events;

static void damaged_run(u64 n)
{
    static unsigned refused;

    plan = (struct plan){.seed = 1, .faults = 1, .trips = 1};
    plan.fault[0] = (struct fault){.kind = DAMAGED, .event = handoff_first + n};
    one_run();
    refused += state_refused;
    expect(n + 1 < handoff_events || refused, "a damaged state was never refused");
}

static void pair_run(u64 n)
{
    plan = (struct plan){.seed = 1, .faults = 2, .trips = 1};
    plan.fault[0] = (struct fault){.kind = (enum fault_kind)(n % FAULT_KINDS),
                                   .event = handoff_first + n / FAULT_KINDS % handoff_events};
    n /= FAULT_KINDS * handoff_events;
    plan.fault[1] = (struct fault){.kind = (enum fault_kind)(n % FAULT_KINDS),
                                   .event = plan.fault[0].event + n / FAULT_KINDS};
    one_run();
}

static void measure(void)
{
    plan = (struct plan){.seed = 1, .trips = 1};
    one_run();
    events_in_all = w.events;
    if (committed_events[1] < committed_events[0])
        committed_events[1] = committed_events[0];
}

static void measure_handoff(void)
{
    measure();
    handoff_first = committed_events[0];
    handoff_events = committed_events[1] - committed_events[0] + 2;
}

static struct vm *sweeper;
static u64 swept;

static bool is_swept(struct world *world)
{
    (void)world;
    return world_touch(sweeper, swept, false);
}

/* Reads pages in a row, at a pace; returns how many had to be waited for. */
static u64 sweep(u64 first, u64 count)
{
    const struct borrow *b = sweeper->pmap.lender;
    u64 before = b->figures.blocking;

    for (swept = first; swept < first + count; swept++) {
        expect(world_run(&w, is_swept, SEC(1)), "a page does not come");
        (void)world_run(&w, NULL, USEC(100));
    }
    return b->figures.blocking - before;
}

/* Two VMs that are equal, one of which goes to the other host; nobody uses any memory but the scenario. */
static void move_equal(u64 n, void (*meanwhile)(void))
{
    struct vm *two;

    plan = (struct plan){.seed = 1 + n, .trips = 1};
    world_create(&w, plan.seed);
    w.trace = trace;
    fabric_lose(w.fabric, 0);
    w.guest_next = w.guest_every = U64_MAX / 2;
    expect(world_run(&w, connected, SEC(5)), "the hosts do not meet");
    sweeper = world_vm(&w, 0, "one", PAGES);
    two = world_vm(&w, 0, "two", PAGES);
    for (u64 i = 0; i < PAGES; i++) {
        world_fill(sweeper, i, i + 1);
        world_fill(two, i, i + 1);
    }
    world_merge_equal(sweeper, two);
    expect(order("one"), "the VM cannot move");
    if (meanwhile)
        meanwhile();
    expect(world_run(&w, is_over, SEC(5)), "the VM does not arrive");
    sweeper = world_find(&w, 1, "one");
}

static bool is_prepared(struct world *world)
{
    return world->host[0].agent->out[0].phase >= MOVE_COPYING &&
           !world->host[0].agent->out[0].out->preparing;
}

#define USED 5
static u64 used_page(u64 i)
{
    return (plan.seed * 7 + i * 11) % PAGES;
}

static void use_some(void)
{
    expect(world_run(&w, is_prepared, SEC(1)), "the VM does not move");
    memset(sweeper->tlb, 0, sizeof(sweeper->tlb));
    for (u64 i = 0; i < USED; i++)
        expect(world_touch(sweeper, used_page(i), false), "a page of its own is not there");
}

static bool some_are_drained(struct world *world)
{
    const struct borrow *b = sweeper->pmap.lender;

    (void)world;
    return b->figures.drained == USED;
}

static void used_run(u64 n)
{
    move_equal(n, use_some);
    (void)world_run(&w, NULL, MSEC(1));
    w.host[1].agent->drain_rate = 1000;
    w.host[1].woken = true;
    expect(world_run(&w, some_are_drained, SEC(1)), "nothing is drained");
    (void)world_run(&w, NULL, USEC(100)); /* until the last one is there */
    for (u64 i = 0; i < USED; i++)
        expect(pmap_state(&sweeper->pmap, used_page(i)) != PAGE_REMOTE,
               "what was used last is drained later");
    world_destroy(&w);
}

/* Who reads on where he stopped is served ahead, also behind one who read further up. */
static void sweep_run(u64 n)
{
    const struct borrow *b;
    u64 blocking;

    move_equal(n, NULL);
    blocking = sweep(PAGES / 2, BRIEF);
    b = sweeper->pmap.lender;
    expect(b->figures.prefetched <= BRIEF + 16, "a brief sweep has too many pages fetched ahead");
    blocking += sweep(PAGES / 2 + BRIEF, PAGES / 2 - BRIEF);
    expect(blocking <= PAGES / 2 / 16 + 1, "a sweep waits for too many pages");
    expect(sweep(0, PAGES / 2) <= PAGES / 2 / 16 + 1,
           "a sweep further down waits for too many pages");
    world_destroy(&w);
}

static void large_run(u64 n)
{
    plan = (struct plan){.seed = 1 + n, .large = true, .pull = n & 1, .trips = 3};
    one_run();
}

static bool are_started(struct world *world)
{
    u32 wants = 0;

    for (u32 i = 0; i < world_hosts; i++)
        wants |= world->host[i].wants;
    return !wants;
}

static void expect_started_once(void)
{
    for (unsigned i = 0; i < 3; i++) {
        u32 hosts = 0;

        for (u32 k = 0; k < world_hosts; k++)
            hosts += w.host[k].started >> i & 1;
        expect(hosts == 1, "a VM is started nowhere");
    }
}

static void plan_boots(u64 n, u64 r)
{
    static const enum fault_kind kinds[] = {KILL_A, KILL_B, CUT_LONG, KILL_C, CUT_AC, CUT_BC};

    plan = (struct plan){
        .seed = 1 + n, .hosts = 2 + (u32)(r >> 4 & 1), .lose = r & 1 ? 10 : 0, .trips = 1};
    for (unsigned i = 0; i < (r >> 1 & 3); i++) {
        u64 x = mix(r + i);

        plan.fault[plan.faults++] = (struct fault){
            .kind = kinds[x % (plan.hosts > 2 ? COUNT_OF(kinds) : 3)], .event = x / 64 % 90};
    }
}

/* All hosts want to start the same VMs, now or some time after they met; some may be killed in between, or cut off. */
static void boots_run(u64 n)
{
    u64 r = mix(n);

    plan_boots(n, r);
    world_hosts = plan.hosts;
    world_create(&w, plan.seed);
    w.trace = trace;
    w.lose = plan.lose;
    w.guest_next = U64_MAX;
    snprintf(w.oracle[0].name, VM_NAME, "one");
    snprintf(w.oracle[1].name, VM_NAME, "two");
    snprintf(w.oracle[2].name, VM_NAME, "three");
    if (r & 8)
        expect(world_run(&w, connected, SEC(60)), "the hosts do not meet");
    world_on_event = on_event;
    world_on_tick = on_tick;
    for (u32 i = 0; i < world_hosts; i++) {
        w.host[i].wants = 7;
        w.host[i].wants_next = time_now() + USEC(r >> (16 + 16 * i) & 63);
    }
    expect(world_run(&w, are_started, SEC(90)) && world_run(&w, is_healed, SEC(60)) &&
               world_run(&w, are_started, SEC(90)),
           "a VM waits for ever to be started");
    expect_started_once();
    world_on_event = NULL;
    world_destroy(&w);
}

/* --plan SEED [KIND EVENT]...: one run again. */
static void planned_run(int argc, char **argv)
{
    trace = true;
    world_on_break = tell_plan;
    plan = (struct plan){.seed = strtoull(argv[0], NULL, 0), .trips = 1};
    for (int i = 1; i + 1 < argc && plan.faults < FAULTS; i += 2)
        plan.fault[plan.faults++] =
            (struct fault){.kind = (enum fault_kind)(atoi(argv[i]) % COUNT_OF(fault_name)),
                           .event = strtoull(argv[i + 1], NULL, 0)};
    one_run();
}

int main(int argc, char **argv)
{
    trace = argc > 3 || getenv("TRACE");
    if (argc > 2 && !strcmp(argv[1], "--plan")) {
        planned_run(argc - 2, argv + 2);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "--sweep"))
        return in_batches(20, sweep_run);
    if (argc > 1 && !strcmp(argv[1], "--used"))
        return in_batches(20, used_run);
    if (argc > 1 && !strcmp(argv[1], "--large"))
        return in_batches(20, large_run);
    if (argc > 1 && !strcmp(argv[1], "--boots"))
        return in_batches(500, boots_run);
    if (argc > 1 && !strcmp(argv[1], "--claims"))
        return in_batches(40, claims_run);
    if (argc > 1 && !strcmp(argv[1], "--bounds"))
        return in_batches(2, bounds_run);
    if (argc > 1 && !strcmp(argv[1], "--single")) {
        measure();
        return in_batches((MIN(events_in_all, 400) + 1) * FAULT_KINDS, single_run);
    }
    if (argc > 1 && !strcmp(argv[1], "--damaged")) {
        measure_handoff();
        return in_batches(handoff_events, damaged_run);
    }
    if (argc > 1 && !strcmp(argv[1], "--pairs")) {
        measure_handoff();
        return in_batches(handoff_events * FAULT_KINDS * handoff_events * FAULT_KINDS, pair_run);
    }
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    return in_batches(argc > 2 ? strtoull(argv[2], NULL, 0) : 100, random_run);
}

/* Migration in the simulator.   sim [FIRST [SEEDS [-v]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/timer.h"
#include "world.h"

#define PAGES 64

/* A host whose power is gone frees nothing. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct world w;

static bool connected(struct world *world)
{
    for (u32 i = 0; i < WORLD_HOSTS; i++)
        if (world->host[i].agent->peer[0].state != PEER_UP)
            return false;
    return true;
}

static bool moved_to(u32 host)
{
    struct vm *vm = world_find(&w, host, "one");

    return vm && vm->running && !world_find(&w, !host, "one");
}
static bool at_b(struct world *world)
{
    (void)world;
    return moved_to(1);
}
static bool at_a(struct world *world)
{
    (void)world;
    return moved_to(0);
}

static void populate(void)
{
    struct vm *one = world_vm(&w, 0, "one", PAGES), *two = world_vm(&w, 0, "two", PAGES);
    u64 distinct = 1000;

    for (u64 i = 0; i < PAGES; i++) {
        u32 kind = fabric_below(w.fabric, 5);

        if (kind == 0)
            continue; /* never touched */
        world_fill(one, i,
                   kind == 1   ? 0
                   : kind == 2 ? i % 8 + 1
                   : kind == 3 ? 100 + i % 4
                               : distinct++);
        if (kind == 2)
            world_fill(two, i, i % 8 + 1);
    }
    for (u64 i = 0; i < PAGES; i++)
        for (u64 k = 0; k < PAGES; k++) {
            if (!memcmp(one->oracle->memory + i * PAGE_SIZE, two->oracle->memory + k * PAGE_SIZE,
                        PAGE_SIZE))
                (void)world_merge(one, i, two, k);
            if (i < k && !memcmp(one->oracle->memory + i * PAGE_SIZE,
                                 one->oracle->memory + k * PAGE_SIZE, PAGE_SIZE))
                (void)world_merge(one, k, one, i);
        }
}

static void expect(bool what, const char *text)
{
    if (!what)
        world_broken("%s", text);
}

static void move(u32 from, u32 to)
{
    struct move *m;
    struct why why;
    char name[8] = "hosta";

    name[4] = (char)('a' + to);
    if (agent_move_to(w.host[from].agent, "one", name, &m, &why))
        world_broken("%s", why.text);
    w.host[from].woken = true;
}

static void one_run(u64 seed, bool trace)
{
    world_create(&w, seed);
    w.trace = trace;
    expect(world_run(&w, connected, SEC(5)), "the hosts do not meet");
    populate();
    move(0, 1);
    expect(world_run(&w, at_b, SEC(20)), "the VM does not arrive");
    world_check_memory(world_find(&w, 1, "one"));
    world_run(&w, NULL, MSEC(2));
    world_check_memory(world_find(&w, 1, "one"));
    move(1, 0);
    expect(world_run(&w, at_a, SEC(20)), "the VM does not come home");
    world_check_memory(world_find(&w, 0, "one"));
    move(0, 1);
    expect(world_run(&w, at_b, SEC(20)), "the VM does not arrive again");
    w.host[1].agent->drain_rate = 1000000;
    w.quiet_guests = true;
    world_run(&w, NULL, SEC(1));
    world_check_memory(world_find(&w, 1, "one"));
    expect(!world_find(&w, 1, "one")->pmap.count[PAGE_REMOTE], "it is not drained");
    expect(!world_find(&w, 1, "one")->pmap.count[PAGE_CACHED], "it is not drained");
    for (unsigned i = 0; i < AGENT_LEASES; i++)
        expect(!w.host[0].agent->lease[i].used, "a lease is left");
    if (trace) {
        const struct fabric_figures *f = fabric_figures(w.fabric);
        printf("writes %llu (%llu bytes) reads %llu sends %llu events %llu\n",
               (unsigned long long)f->writes, (unsigned long long)f->write_bytes,
               (unsigned long long)f->reads, (unsigned long long)f->sends,
               (unsigned long long)w.events);
    }
    world_destroy(&w);
}

int main(int argc, char **argv)
{
    u64 first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1,
        count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

    for (u64 seed = first; seed < first + count; seed++)
        one_run(seed, argc > 3);
    printf("%llu seeds passed\n", (unsigned long long)count);
    return 0;
}

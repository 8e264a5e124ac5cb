/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that has the key, and says what it likes: any message, with any content, in any phase of a migration to or from the
 * host that hears it. That host must not fall over; its own VM is as it was; what comes to it ends; and every user of its
 * frames is known then.
 *
 * The hosts are those of the simulator, both honest; the lies come in between, so they reach what only comes after much that
 * is true. An input says which host hears them, and is a list of steps: time passes, a marker comes, memory is read or written
 * through a key that is good, or a message comes, of which each word is a byte of the input. */
#include <stdlib.h>
#include <string.h>
#include "kernel/arch.h"
#include "kernel/heap.c" /* to begin with an empty heap for each input */
#include "kernel/timer.h"
#include "migrate/incoming.h"
#include "tests/sim/migrate/world.h"
#include "tests/unit/fake/fake.h"

#define PAGES 32
#define STEPS 40

static struct world w;
static u32 victim;

/* A host that is killed frees nothing. Else each input would run twice, to see whether that is so. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:quarantine_size_mb=8";
}

/* --- hosts --------------------------------------------------------------------------------------------------- */

static bool connected(struct world *world)
{
    for (u32 i = 0; i < world_hosts; i++)
        if (world->host[i].agent->peer[0].state != PEER_UP)
            return false;
    return true;
}

static bool is_over(struct world *world)
{
    const struct agent *a = world->host[victim].agent;

    for (unsigned k = 0; k < AGENT_MOVES; k++)
        if (a->out[k].out || a->in[k].in ||
            (a->out[k].phase != MOVE_FREE && a->out[k].phase < MOVE_DONE))
            return false;
    return true;
}

static void expect(bool what, const char *text)
{
    if (!what)
        world_broken("%s", text);
}

static void broken(void)
{
    abort();
}

/* The first threads stay in a memory of their own. */
static void make_world(void)
{
    world_memory = MIB(24);
    world_on_break = broken;
    world_create(&w, 1);
    fabric_lose(w.fabric, 0);
    fake_memory(world_memory);
}

static struct vm *own_vm(void)
{
    return world_find(&w, victim, victim ? "three" : "two");
}

static void populate(void)
{
    struct vm *one = world_vm(&w, 0, "one", PAGES), *two = world_vm(&w, 0, "two", PAGES),
              *three = world_vm(&w, 1, "three", PAGES);

    one->oracle->unknown = true;
    for (u64 i = 0; i < PAGES; i++) {
        world_fill(one, i, i % 4 == 0 ? 0 : i % 4 == 1 ? 1 + i % 8 : i % 4 == 2 ? 100 : 1000 + i);
        if (i % 4 == 1) {
            world_fill(two, i, 1 + i % 8);
            (void)world_merge(one, i, two, i);
        } else if (i % 4 == 2 && i > 2) {
            (void)world_merge(one, i, one, 2);
        }
    }
    for (u64 i = 1; i < 4; i++) {
        world_fill(three, i, i < 3 ? 1 : 200);
        world_fill(two, i + 1, i < 3 ? 300 : 301);
    }
    (void)world_merge(three, 1, three, 2);
    (void)world_merge(two, 2, two, 3);
}

static void begin(bool moves)
{
    struct move *m;
    struct why why;

    if (!w.fabric)
        make_world();
    memset(free_blocks, 0, sizeof(free_blocks));
    world_restart(&w);
    w.guest_next = U64_MAX;
    expect(world_run(&w, connected, SEC(10)), "the hosts do not meet");
    populate();
    w.guest_next = 0;
    w.guest_every = USEC(20);
    for (u32 i = 0; i < world_hosts; i++)
        w.host[i].agent->drain_rate = 10000;
    if (moves && agent_move_to(w.host[0].agent, "one", w.host[1].name, &m, &why))
        world_broken("%s", why.text);
    w.host[0].woken = true;
}

/* --- lies ---------------------------------------------------------------------------------------------------- */

/* Small numbers as they are; the others are where limits are. */
static u32 word(u8 b)
{
    static const u32 limits[] = {255,  256,  257,     511,     512,        513,        1023, 4095,
                                 4096, 8191, BIT(20), BIT(29), 0x7fffffff, 0x80000000, ~1u,  ~0u};

    return b < 240 ? b : limits[b - 240];
}

/* Of a migration, or of nothing; `which` says of which. */
static struct epoch epoch_of(const struct agent *a, u8 which)
{
    const struct move *m = which & 1 ? &a->out[which / 4 % 4] : &a->in[which / 4 % 4];

    return which & 2 ? (struct epoch){which & 0x80 ? a->incarnation : 3, which / 4 % 16} : m->epoch;
}

/* VM one, or one that nobody knows; in an offer that can be taken. */
static void tell_name(struct message_list *l, u8 type, u8 choice)
{
    struct message_offer *o = (void *)l;
    u64 pages = PAGES;

    if (choice & 0x40)
        return;
    if (type == MESSAGE_PULL)
        strcpy(((struct message_pull *)l)->name, "one");
    else if (type == MESSAGE_ASK_HOLDER || type == MESSAGE_HOLDER)
        strcpy(((struct message_holder *)l)->name, "two");
    else if (type == MESSAGE_OFFER) {
        strcpy(o->name, "one");
        if (l->count == 8) {
            o->memory = PAGES * PAGE_SIZE;
            o->state_size = 10000;
            memcpy(o->description, &pages, 8);
        }
    }
}

/* A state that can be loaded, as far as that can be seen. */
static void tell_state(struct peer *p, struct message_final *f)
{
    struct move *m = agent_find_move(p->agent->in, p, &f->epoch);
    struct key key = peer_state_key(p, &f->epoch);

    if (!m || m->phase != MOVE_COPYING || m->in->state_size < 10000)
        return;
    f->state_size = 10000;
    memset(phys_to_virt(m->in->state_frames), 0x5a, f->state_size);
    f->state_mac = mac_of(&key, phys_to_virt(m->in->state_frames), f->state_size, NULL, 0);
}

/* Its type, its epoch, how many elements, and a byte for each word. Returns how much of the input it took. */
static size_t tell(const u8 *data, size_t size)
{
    static u32 m[MESSAGE_SIZE / 4] ALIGNED(8);
    struct message_list *l = (void *)m;
    struct peer *p = &w.host[victim].agent->peer[0];
    u8 type = data[0] % MESSAGE_TYPES;
    bool list = message_size(type, 1) != message_size(type, 0);
    u32 head = sizeof(struct message_header) / 4, length = (u32)message_size(type, data[2] % 12),
        words = (length + 3) / 4 - head;
    struct why why;

    if (p->state != PEER_UP)
        return size;
    memset(m, 0, length + 8);
    for (u32 i = 0; i < words && 3 + i < size; i++)
        m[head + i] = word(data[3 + i]);
    if (type > MESSAGE_PULL_REFUSED && type < MESSAGE_ASK_HOLDER)
        l->epoch = epoch_of(p->agent, data[1]);
    if (type == MESSAGE_HOME)
        ((struct message_home *)m)->lease = epoch_of(p->agent, data[1] >> 4 | 1);
    if (list)
        l->count = data[2] % 12;
    tell_name(l, type, data[1]);
    if (type == MESSAGE_FINAL && !(data[1] & 0x40))
        tell_state(p, (void *)m);
    message_seal(&l->h, type, length, p->link->receive_sequence + 1, &p->link->receive_key);
    if (message_check(m, length, p->link->receive_sequence + 1, &p->link->receive_key, &why))
        world_broken("%s", why.text);
    agent_message(p, p->link, &l->h);
    w.host[victim].woken = true;
    return MIN(3 + words, size);
}

/* One step. Returns how much of the input it took. */
static size_t step(const u8 *data, size_t size)
{
    struct peer *p = &w.host[victim].agent->peer[0];

    if (data[0] == 0xff) {
        (void)fabric_reach(w.fabric, victim, data[1] & 0x7f, data[2], data[1] & 0x80);
        return 3;
    }
    if (data[0] & 0x80) {
        (void)world_run(&w, NULL, USEC(1) << data[0] % 12);
        return 1;
    }
    if (data[0] & 0x40) {
        if (p->state == PEER_UP)
            incoming_marker(p, p->link, data[0] & 0x3f);
        w.host[victim].woken = true;
        return 1;
    }
    return tell(data, size);
}

/* --- a run ----------------------------------------------------------------------------------------------------- */

/* What is over by now, is; and the rest when the liar is a new boot. */
static void end(void)
{
    struct agent *a = w.host[victim].agent;
    struct why why;

    w.guest_next = U64_MAX;
    (void)agent_cancel(a, "one", &why);
    w.host[victim].woken = true;
    (void)world_run(&w, is_over, MSEC(1));
    world_kill(&w, !victim);
    world_boot(&w, !victim);
    expect(world_run(&w, is_over, SEC(60)), "a migration does not end");
    for (unsigned k = 0; k < AGENT_MOVES; k++)
        expect(a->in[k].phase == MOVE_FREE || a->in[k].phase >= MOVE_DONE,
               "what came is in no state that it can stay in");
    (void)world_run(&w, NULL, MSEC(10));
    world_check_memory(own_vm());
    world_check_quiet(&w);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 2)
        return 0;
    victim = data[0] & 1;
    begin(!(data[0] & 2));
    data++, size--;
    for (unsigned i = 0; i < STEPS && size > 4; i++) {
        size_t taken = step(data, size);

        data += taken;
        size -= taken;
    }
    end();
    return 0;
}

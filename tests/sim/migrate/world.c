/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/thread.h"
#include "migrate/incoming.h"
#include "tests/unit/fake/fake.h"
#include "vmm/share/group.h"
#include "vmm/share/hash.h"
#include "vmm/share/merge.h"

#define MEMORY     GIB(1) /* at most */
#define GROUP      1
#define PORT_DELAY USEC(20)

extern const struct ptab_format npt_format;
static const struct hvm_ops hvm_ops = {.slat_format = &npt_format};
const struct hvm_ops *hvm = &hvm_ops;
struct config host_config;

struct datagram {
    struct datagram *next;
    u32 from, to;
    u64 at;
    u8 data[sizeof(struct hello)];
};

u64 world_memory = MEMORY;
u32 world_hosts = 2;
void (*world_on_event)(struct world *w);
void (*world_on_tick)(struct world *w);
void (*world_on_break)(void);
static struct world *the_world;
static u16 last_vm_id;

NORETURN void world_broken(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "seed %llu, event %llu, %llu us: ", (unsigned long long)the_world->seed,
            (unsigned long long)the_world->events, (unsigned long long)(time_now() / 1000));
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    if (world_on_break)
        world_on_break();
    exit(1);
}

/* --- a VM -------------------------------------------------------------------------------------------------- */

static void shoot_down(struct pmap *p)
{
    struct vm *vm = CONTAINER_OF(p, struct vm, pmap);

    memset(vm->tlb, 0, sizeof(vm->tlb));
}

static struct vm *make_vm(struct host *h, struct oracle *o)
{
    for (unsigned i = 0; i < WORLD_VMS; i++) {
        struct vm *vm;

        if (h->vm[i])
            continue;
        vm = calloc(1, sizeof(*vm));
        if (pmap_create(&vm->pmap, o->pages * PAGE_SIZE, ++last_vm_id))
            world_broken("no memory for a VM");
        vm->pmap.shoot_down = shoot_down;
        vm->pmap.group = GROUP;
        vm->host = h;
        vm->oracle = o;
        h->vm[i] = vm;
        return vm;
    }
    world_broken("too many VMs");
}

static struct oracle *find_oracle(struct world *w, const char *name)
{
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (w->oracle[i].exists && !strcmp(w->oracle[i].name, name))
            return &w->oracle[i];
    return NULL;
}

struct vm *world_find(struct world *w, u32 host, const char *name)
{
    for (unsigned i = 0; i < WORLD_VMS; i++) {
        struct vm *vm = w->host[host].vm[i];

        if (vm && !strcmp(vm->oracle->name, name))
            return vm;
    }
    return NULL;
}

struct peer *world_peer(struct world *w, u32 host, u32 other)
{
    return agent_peer(w->host[host].agent, w->host[other].name);
}

bool world_is_connected(struct world *w)
{
    for (u32 i = 0; i < world_hosts; i++)
        for (u32 k = 0; k < world_hosts; k++)
            if (!w->host[i].alive ||
                (i != k && (!w->host[k].alive || world_peer(w, i, k)->state != PEER_UP)))
                return false;
    return true;
}

struct vm *world_vm(struct world *w, u32 host, const char *name, u64 pages)
{
    struct oracle *o = w->oracle;
    struct vm *vm;

    while (o->exists)
        o++;
    snprintf(o->name, sizeof(o->name), "%s", name);
    o->memory = calloc(pages, PAGE_SIZE);
    o->stopped_memory = calloc(pages, PAGE_SIZE);
    o->pages = pages;
    o->exists = true;
    vm = make_vm(&w->host[host], o);
    vm->running = true;
    return vm;
}

static void set_bit(struct pmap *p, u64 gpa, unsigned level, u64 bit)
{
    u64 *table = phys_to_virt(p->slat.table.root);

    for (unsigned l = 4; l > level; l--) {
        u64 *e = &table[gpa >> (3 + 9 * l) & 511];

        *e |= p->slat.table.format->accessed;
        table = phys_to_virt(ptab_address(*e));
    }
    table[gpa >> (3 + 9 * level) & 511] |= bit;
}

/* As the CPU does: walks, faults, sets the dirty bit; NULL: the page is on its way. */
static u8 *translate(struct vm *vm, u64 page, bool write)
{
    struct pmap *p = &vm->pmap;
    const struct ptab_format *format = p->slat.table.format;
    u64 gpa = pmap_gpa(page).v, slot = page % VM_TLB, e;
    unsigned level;

    if (vm->tlb[slot].at && vm->tlb[slot].index == page &&
        (!write || (vm->tlb[slot].writable && vm->tlb[slot].dirty)))
        return vm->tlb[slot].at;
    while (!(e = ptab_lookup(&p->slat.table, gpa, &level)) ||
           (write && !(format->prot(e) & PROT_WRITE))) {
        enum err err = pmap_fault(p, GPA(gpa), write, &vm->waiter);

        if (err == E_AGAIN)
            return NULL;
        if (err && vm->lost[0])
            return NULL;
        if (err)
            world_broken("VM %s: a fault at page %llu fails: %s", vm->oracle->name,
                         (unsigned long long)page, err_name(err));
    }
    if (write)
        set_bit(p, gpa, level, format->dirty);
    set_bit(p, gpa, level, format->accessed);
    vm->tlb[slot].index = page;
    vm->tlb[slot].at = phys_to_virt(ptab_frame_at(e, level, gpa));
    vm->tlb[slot].writable = format->prot(e) & PROT_WRITE;
    vm->tlb[slot].dirty = write;
    return vm->tlb[slot].at;
}

bool world_is_ram(const struct vm *vm, u64 page)
{
    return pmap_is_ram(&vm->pmap, pmap_gpa(page));
}

void world_fill(struct vm *vm, u64 page, u64 pattern)
{
    u64 *at = (void *)translate(vm, page, true),
        *o = (void *)(vm->oracle->memory + page * PAGE_SIZE);

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        at[i] = o[i] = pattern ? pattern * 0x9e3779b97f4a7c15ull + i : 0;
}

static void differs(const struct vm *vm, u64 page, const u64 *is)
{
    const u64 *must = (const void *)(vm->oracle->memory + page * PAGE_SIZE);
    unsigned count = 0, first = 0;

    for (unsigned i = PAGE_SIZE / 8; i--;)
        if (is[i] != must[i]) {
            first = i;
            count++;
        }
    if (getenv("WHERE"))
        fprintf(stderr, "at %p\n", (const void *)&is[first]);
    world_broken(
        "VM %s on %s page %llu (%s): %u words are not what it wrote; word %u is %llx, not %llx",
        vm->oracle->name, vm->host->name, (unsigned long long)page,
        page_state_name[pmap_state(&vm->pmap, page)], count, first, (unsigned long long)is[first],
        (unsigned long long)must[first]);
}

bool world_touch(struct vm *vm, u64 page, bool write)
{
    const u8 *at = vm->waiter.waiting ? NULL : translate(vm, page, write);

    if (at && memcmp(at, vm->oracle->memory + page * PAGE_SIZE, PAGE_SIZE) != 0)
        differs(vm, page, (const void *)at);
    return at;
}

bool world_merge(struct vm *a, u64 page_a, struct vm *b, u64 page_b)
{
    struct merge m = {.kind = MERGE_PAGE,
                      .pmap = &a->pmap,
                      .page = page_a,
                      .other = &b->pmap,
                      .other_page = page_b};

    dirty_harvest(&a->pmap);
    dirty_harvest(&b->pmap);
    m.hash = page_hash(a->oracle->memory + page_a * PAGE_SIZE,
                       share_key(a->pmap.group)); /* the scanner has it */
    merge_run(&m, 1);
    return m.done;
}

static bool equal(const struct vm *a, u64 page_a, const struct vm *b, u64 page_b)
{
    return !memcmp(a->oracle->memory + page_a * PAGE_SIZE, b->oracle->memory + page_b * PAGE_SIZE,
                   PAGE_SIZE);
}

void world_merge_equal(struct vm *one, struct vm *two)
{
    for (u64 i = 0; i < one->oracle->pages; i++) {
        for (u64 k = 0; k < two->oracle->pages; k++)
            if ((one != two || i != k) && equal(one, i, two, k))
                (void)world_merge(one, i, two, k);
        for (u64 k = i + 1; k < one->oracle->pages; k++)
            if (equal(one, i, one, k))
                (void)world_merge(one, k, one, i);
    }
}

void world_access(struct vm *vm)
{
    struct world *w = vm->host->world;
    struct oracle *o = vm->oracle;
    u64 page, word, value, expected;
    bool write;
    u64 *at;

    if (vm->waiter.waiting)
        return;
    page = fabric_below(w->fabric, (u32)o->pages);
    word = fabric_below(w->fabric, PAGE_SIZE / 8);
    write = fabric_below(w->fabric, 100) < w->write_share;
    at = world_is_ram(vm, page) ? (void *)translate(vm, page, write) : NULL;
    if (!at)
        return;
    memcpy(&expected, o->memory + page * PAGE_SIZE + word * 8, 8);
    if (at[word] != expected && !o->unknown)
        world_broken("VM %s on %s reads %llx at page %llu word %llu, and wrote %llx", o->name,
                     vm->host->name, (unsigned long long)at[word], (unsigned long long)page,
                     (unsigned long long)word, (unsigned long long)expected);
    if (!write)
        return;
    if (fabric_below(w->fabric, 16)) {
        value = fabric_random(w->fabric);
        at[word] = value;
        memcpy(o->memory + page * PAGE_SIZE + word * 8, &value, 8);
    } else { /* a guest clears pages, too */
        memset(at, 0, PAGE_SIZE);
        memset(o->memory + page * PAGE_SIZE, 0, PAGE_SIZE);
    }
    o->counter = ++vm->counter;
}

/* --- what an agent asks for -------------------------------------------------------------------------------- */

static struct host *host_of(void *ctx)
{
    return ctx;
}

static void datagram(void *ctx, ip4_t to, const void *data, u32 size)
{
    struct host *h = host_of(ctx);
    struct world *w = h->world;
    unsigned copies =
        fabric_below(w->fabric, 100) < w->lose ? 0 : 1 + (fabric_below(w->fabric, 100) < w->twice);

    for (; copies; copies--) {
        struct datagram *d = calloc(1, sizeof(*d));

        d->from = h->number;
        d->to = to.v - 1;
        d->at = time_now() + PORT_DELAY + fabric_below(w->fabric, 50000);
        if (copies > 1) /* one that comes twice may come very late */
            d->at += fabric_below(w->fabric, SEC(3));
        memcpy(d->data, data, MIN(size, sizeof(d->data)));
        d->next = w->flying;
        w->flying = d;
    }
}

static bool random_bytes(void *ctx, void *out, u32 size)
{
    u8 *at = out;

    for (u32 i = 0; i < size; i++)
        at[i] = (u8)fabric_random(host_of(ctx)->world->fabric);
    return true;
}

static void wake(void *ctx)
{
    host_of(ctx)->woken = true;
}

static struct vm *find(void *ctx, const char *name)
{
    struct host *h = host_of(ctx);

    return world_find(h->world, h->number, name);
}

static struct vm *claim(void *ctx, const char *name, struct why *why)
{
    struct vm *vm = find(ctx, name);

    if (!vm)
        (void)why_set(why, E_NOENT, "there is no VM named %s", name);
    else if (vm->claimed)
        world_broken("VM %s is claimed twice", name);
    else
        vm->claimed = true;
    return vm;
}

static void unclaim(struct vm *vm)
{
    if (!vm->claimed)
        world_broken("VM %s is not claimed", vm->oracle->name);
    vm->claimed = false;
}

static struct pmap *pmap(struct vm *vm)
{
    return &vm->pmap;
}

static bool may_leave(struct vm *vm, char *text, u32 size)
{
    if (vm->running && !vm->stopped && !vm->lost[0])
        return true;
    snprintf(text, size, "it does not run");
    return false;
}

static u32 describe(struct vm *vm, void *to, u32 size)
{
    (void)size;
    memcpy(to, &vm->oracle->pages, 8);
    return 8;
}

static u32 bit_of(const struct world *w, const char *name)
{
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (!strcmp(w->oracle[i].name, name))
            return 1u << i;
    return 0;
}

/* A VM that is to be started here stands there, off, under its name. */
static struct vm *make(void *ctx, const char *name, u64 memory, const void *description, u32 size,
                       char *text, u32 text_size)
{
    struct host *h = host_of(ctx);
    struct oracle *o = find_oracle(h->world, name);
    struct vm *vm;

    (void)description;
    if (size != 8 || !o || memory != o->pages * PAGE_SIZE || find(ctx, name) ||
        h->wants & bit_of(h->world, name)) {
        snprintf(text, text_size, "it cannot come");
        return NULL;
    }
    vm = make_vm(h, o);
    vm->claimed = true;
    return vm;
}

static enum err stop(struct vm *vm, struct why *why)
{
    struct oracle *o = vm->oracle;

    (void)why;
    for (unsigned i = 0; i < 4 && vm->host->world->guest_next < U64_MAX / 2; i++)
        world_access(vm); /* it goes on until it stands */
    pmap_cancel_wait(&vm->pmap, &vm->waiter);
    vm->stopped = true;
    memcpy(o->stopped_memory, o->memory, o->pages * PAGE_SIZE);
    o->stopped_counter = o->counter;
    return OK;
}

static hpa_t shared_frame(struct vm *vm, u64 page)
{
    unsigned level;
    u64 e = ptab_lookup(&vm->pmap.slat.table, pmap_gpa(page).v, &level);

    return e && pmap_state(&vm->pmap, page) == PAGE_SHARED ? ptab_address(e) : HPA(0);
}

/* Sometimes it gives a frame that only has the hash, which must not matter. */
static void find_equal(void *ctx, u16 group, const u64 *hash, hpa_t *frame, u32 count)
{
    struct host *h = host_of(ctx);

    for (u32 i = 0; i < count; i++) {
        frame[i] = HPA(0);
        for (unsigned k = 0; k < WORLD_VMS && !frame[i].v; k++)
            for (u64 p = 0; h->vm[k] && p < h->vm[k]->oracle->pages && !frame[i].v; p++) {
                hpa_t at = shared_frame(h->vm[k], p);

                if (at.v &&
                    (page_hash(phys_to_virt(at), share_key(group)) == hash[i] ||
                     (!h->world->no_collisions && !fabric_below(h->world->fabric, 50))) &&
                    frame_get_if(at, FRAME_SHARED, group))
                    frame[i] = at;
            }
    }
}

static void go_on(struct vm *vm)
{
    vm->stopped = false;
}

static void hold_merging(struct vm *vm, bool hold)
{
    if (vm->held == hold)
        world_broken("VM %s is %s twice", vm->oracle->name,
                     hold ? "kept from sharing" : "let share");
    vm->held = hold;
}

static void slow_down(struct vm *vm, u32 percent)
{
    vm->slow = percent;
}

#define STATE_SIZE 10000
static u64 state_size(struct vm *vm)
{
    (void)vm;
    return STATE_SIZE;
}

static enum err save(struct vm *vm, void *to, u64 *size)
{
    memset(to, 0x5a, STATE_SIZE);
    memcpy(to, &vm->counter, 8);
    *size = STATE_SIZE;
    return OK;
}

static enum err load(struct vm *vm, const void *from, u64 size, u64 stood_ns, struct why *why)
{
    (void)stood_ns;
    if (size != STATE_SIZE || ((const u8 *)from)[STATE_SIZE - 1] != 0x5a)
        return why_set(why, E_FORMAT, "not a state");
    memcpy(&vm->counter, from, 8);
    vm->loaded = true;
    return OK;
}

static void not_its_own(void *ctx, hpa_t frame)
{
    const struct vm *vm = ctx;
    const struct frame *f = frame_info(frame);

    if (f->kind == FRAME_GUEST && f->owner == vm->pmap.owner)
        world_broken("VM %s runs while another host can write its memory", vm->oracle->name);
}

static void run(struct vm *vm)
{
    struct oracle *o = vm->oracle;

    fabric_each_writable(vm->host->world->fabric, vm->host->number, not_its_own, vm);
    if (!vm->loaded)
        world_broken("VM %s runs without its state", o->name);
    if (vm->counter != o->counter && o->runner_died) {
        memcpy(o->memory, o->stopped_memory, o->pages * PAGE_SIZE);
        o->counter = o->stopped_counter;
    }
    if (vm->counter != o->counter && !o->unknown)
        world_broken("VM %s runs with an old state: %llu, not %llu", o->name,
                     (unsigned long long)vm->counter, (unsigned long long)o->counter);
    o->runner_died = false;
    vm->running = true;
}

/* It is all here and never ran: then another host has it, or has had it run since, and died. */
static void check_end(const struct vm *vm)
{
    const struct host *h = vm->host;
    bool elsewhere = false;

    for (u32 i = 0; i < world_hosts; i++)
        elsewhere |= i != h->number && world_find(h->world, i, vm->oracle->name);
    if (vm->loaded && !vm->running && !vm->oracle->runner_died && !vm->oracle->unknown &&
        !elsewhere)
        world_broken("%s gives up VM %s, which nobody else has", h->name, vm->oracle->name);
}

static void end(struct vm *vm)
{
    struct host *h = vm->host;

    check_end(vm);
    pmap_cancel_wait(&vm->pmap, &vm->waiter);
    vm->running = false;
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (h->vm[i] == vm)
            h->vm[i] = NULL;
    pmap_destroy(&vm->pmap);
    free(vm);
}

static void lost(struct vm *vm, const char *reason)
{
    snprintf(vm->lost, sizeof(vm->lost), "%s", reason);
    vm->running = false;
    vm->oracle->lost = true;
    vm->claimed = false;
}

static void say(void *ctx, const char *text)
{
    struct host *h = host_of(ctx);

    if (h->world->trace)
        printf("%9llu us  %s: %s\n", (unsigned long long)(time_now() / 1000), h->name, text);
}

static bool holds(void *ctx, const char *name)
{
    struct host *h = host_of(ctx);
    const struct vm *vm = world_find(h->world, h->number, name);

    return (vm && !vm->lost[0]) || h->started & bit_of(h->world, name);
}

static bool starts(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return false; /* what is allowed to start runs at once */
}

static const struct agent_ops agent_ops = {
    .datagram = datagram,
    .random = random_bytes,
    .wake = wake,
    .find = find,
    .holds = holds,
    .starts = starts,
    .claim = claim,
    .unclaim = unclaim,
    .pmap = pmap,
    .may_leave = may_leave,
    .describe = describe,
    .make = make,
    .stop = stop,
    .find_equal = find_equal,
    .go_on = go_on,
    .hold_merging = hold_merging,
    .slow_down = slow_down,
    .state_size = state_size,
    .save = save,
    .load = load,
    .run = run,
    .end = end,
    .lost = lost,
    .say = say,
};

/* --- hosts ---------------------------------------------------------------------------------------------------- */

void world_boot(struct world *w, u32 host)
{
    struct host *h = &w->host[host];
    static const u8 key[KEY_SIZE] = {1, 2, 3};
    struct why why;

    memset(h, 0, sizeof(*h));
    h->world = w;
    h->number = host;
    h->alive = true;
    snprintf(h->name, sizeof(h->name), "host%c", 'a' + (int)host);
    h->agent = calloc(1, sizeof(*h->agent));
    if (agent_create(h->agent, h->name, fabric_boot(w->fabric, host), &agent_ops, h, &why))
        world_broken("%s", why.text);
    h->agent->drain_rate = 0;
    for (u32 i = 0; i < world_hosts; i++) {
        char name[8];

        snprintf(name, sizeof(name), "host%c", 'a' + (int)i);
        if (i != host && agent_add_peer(h->agent, name, (ip4_t){i + 1}, key, &why))
            world_broken("%s", why.text);
    }
}

/* Its power is gone. What it had is forgotten, not freed. */
void world_kill(struct world *w, u32 host)
{
    struct host *h = &w->host[host];

    fabric_kill(w->fabric, host);
    w->killed = true;
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (h->vm[i]) {
            h->vm[i]->oracle->owner_died = true;
            h->vm[i]->oracle->runner_died |= h->vm[i]->running && !h->vm[i]->stopped;
        }
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (h->vm[i]) {
            rmap_unregister(&h->vm[i]->pmap);
            free(h->vm[i]);
            h->vm[i] = NULL;
        }
    h->alive = false;
    h->started = 0;
    free(h->agent);
    h->agent = NULL;
}

/* Nobody writes to the frames of a VM that runs, and what is read is lent. */
static void touches(u32 host, hpa_t frame, bool write)
{
    const struct frame *f = frame_info(frame);
    struct host *h = &the_world->host[host];

    if (!write && f->kind != FRAME_SHARED)
        world_broken("a frame of %s is read that is not shared", h->name);
    for (unsigned i = 0; write && i < WORLD_VMS; i++)
        if (h->vm[i] && h->vm[i]->running && f->kind == FRAME_GUEST &&
            f->owner == h->vm[i]->pmap.owner)
            world_broken("a frame of VM %s is written while it runs", h->vm[i]->oracle->name);
    if (f->kind == FRAME_FREE)
        world_broken("a free frame of %s is touched", h->name);
}

/* They have been up for a while: nothing that was said before binds them. */
static void boot_all(struct world *w)
{
    for (u32 i = 0; i < world_hosts; i++)
        world_boot(w, i);
    fake_advance(SEC(2));
}

void world_create(struct world *w, u64 seed)
{
    memset(w, 0, sizeof(*w));
    the_world = w;
    w->seed = seed;
    fake_reset();
    fake_memory(world_memory);
    thread_init();
    w->fabric = fabric_create(seed, 5000, 3000);
    fabric_lose(w->fabric, 3);
    w->write_share = 50;
    w->tick_at = U64_MAX;
    fabric_touches = touches;
    w->guest_every = 2000;
    boot_all(w);
}

static void forget(struct world *w)
{
    for (struct datagram *d = w->flying, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    w->flying = NULL;
    for (unsigned i = 0; i < WORLD_VMS; i++) {
        free(w->oracle[i].memory);
        free(w->oracle[i].stopped_memory);
    }
    memset(w->oracle, 0, sizeof(w->oracle));
}

void world_destroy(struct world *w)
{
    forget(w);
    fabric_destroy(w->fabric);
}

void world_restart(struct world *w)
{
    for (u32 i = 0; i < world_hosts; i++)
        if (w->host[i].alive)
            world_kill(w, i);
    forget(w);
    w->killed = false;
    fake_memory_again();
    boot_all(w);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static bool deliver_datagrams(struct world *w)
{
    bool any = false;

    for (struct datagram **at = &w->flying, *d; (d = *at);) {
        struct host *h = &w->host[d->to % world_hosts];

        if (d->at > time_now()) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        if (h->alive && !fabric_is_cut(w->fabric, d->from, d->to))
            agent_datagram(h->agent, (ip4_t){d->from + 1}, d->data, sizeof(d->data));
        free(d);
        h->woken = any = true;
        at = &w->flying;
    }
    return any;
}

u64 (*world_poll)(struct host *h);

/* What a host does about VMs of its ferry.cfg after a boot. */
static void autostart(struct world *w, struct host *h)
{
    struct why why;

    if (!h->wants || time_now() < h->wants_next)
        return;
    h->wants_next = time_now() + MSEC(50);
    for (unsigned i = 0; i < WORLD_VMS; i++) {
        enum err e;

        if (!(h->wants >> i & 1))
            continue;
        e = agent_may_start(h->agent, w->oracle[i].name, &why);
        if (!e)
            h->started |= 1u << i;
        if (e != E_AGAIN)
            h->wants &= ~(1u << i);
        h->woken = true;
    }
}

static void poll_hosts(struct world *w)
{
    for (u32 i = 0; i < world_hosts; i++) {
        struct host *h = &w->host[i];

        if (h->alive)
            autostart(w, h);
        if (!h->alive || (!h->woken && h->next > time_now()))
            continue;
        h->woken = false;
        h->next = world_poll ? world_poll(h) : agent_poll(h->agent);
        w->events++;
        world_check(w);
        if (world_on_event)
            world_on_event(w);
    }
}

/* The scanner finds two equal pages, maybe of one VM. */
static void run_scanner(struct world *w)
{
    const struct host *h = &w->host[fabric_below(w->fabric, world_hosts)];
    struct vm *a = h->vm[fabric_below(w->fabric, WORLD_VMS)],
              *b = h->vm[fabric_below(w->fabric, WORLD_VMS)];
    u64 first, page;

    if (!a || !b || a->held || b->held || !a->running || !b->running)
        return;
    page = fabric_below(w->fabric, (u32)a->oracle->pages);
    first = fabric_below(w->fabric, (u32)b->oracle->pages);
    for (u64 i = 0; i < b->oracle->pages; i++) {
        u64 other = (first + i) % b->oracle->pages;

        if ((a == b && other == page) || !equal(a, page, b, other))
            continue;
        (void)world_merge(a, page, b, other);
        return;
    }
}

static void run_guests(struct world *w)
{
    if (time_now() < w->guest_next)
        return;
    w->guest_next = time_now() + w->guest_every;
    for (u32 i = 0; i < world_hosts; i++)
        for (unsigned k = 0; k < WORLD_VMS; k++) {
            struct vm *vm = w->host[i].vm[k];

            if (vm && vm->running && !vm->stopped && fabric_below(w->fabric, 100) >= vm->slow)
                world_access(vm);
        }
    if (!fabric_below(w->fabric, 8))
        run_scanner(w);
}

static u64 next_event(struct world *w)
{
    u64 next = fabric_next(w->fabric);

    next = MIN(next, w->tick_at);
    next = MIN(next, w->guest_next);
    for (const struct datagram *d = w->flying; d; d = d->next)
        next = MIN(next, d->at);
    for (u32 i = 0; i < world_hosts; i++)
        if (w->host[i].alive) {
            next = MIN(next, w->host[i].woken ? 0 : w->host[i].next);
            next = MIN(next, w->host[i].wants ? w->host[i].wants_next : U64_MAX);
        }
    return next;
}

bool world_run(struct world *w, bool (*done)(struct world *w), u64 ns)
{
    u64 end_at = time_now() + ns;

    while (time_now() < end_at) {
        u64 next;

        if (time_now() >= w->tick_at)
            world_on_tick(w);
        fabric_run(w->fabric);
        deliver_datagrams(w);
        poll_hosts(w);
        run_guests(w);
        if (done && done(w)) /* before time passes */
            return true;
        next = MIN(next_event(w), end_at);
        if (next > time_now())
            fake_advance(next - time_now());
        else
            fake_advance(MAX(w->poll_takes, 100)); /* time passes whatever happens */
    }
    return !done || done(w);
}

/* --- rules --------------------------------------------------------------------------------------------------------- */

static u32 lent_at[MEMORY / PAGE_SIZE],
    check_number; /* the check in which a frame was found lent */

static void note_lent(const struct host *h)
{
    for (unsigned i = 0; i < AGENT_LEASES; i++) {
        const struct lease *l = &h->agent->lease[i];

        for (u32 k = 0; l->used && k < l->chunks; k++)
            for (u32 n = 0; n < l->chunk[k]->count && !l->chunk[k]->released; n++)
                lent_at[l->chunk[k]->frame[n].v / PAGE_SIZE] = check_number;
    }
}

static void is_lent(void *ctx, hpa_t frame)
{
    const struct host *h = ctx;

    if (lent_at[frame.v / PAGE_SIZE] != check_number || frame_info(frame)->kind != FRAME_SHARED)
        world_broken("another host can read a frame of %s that is not lent", h->name);
}

/* A VM that runs, or is stopped to go on here. */
static bool is_owner(const struct host *h, const struct frame *f)
{
    for (unsigned i = 0; i < WORLD_VMS; i++)
        if (h->vm[i] && h->vm[i]->running && f->owner == h->vm[i]->pmap.owner)
            return true;
    return false;
}

static bool is_state_room(const struct host *h, hpa_t frame)
{
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        const struct incoming *in = h->agent->in[i].in;

        if (in && frame.v - in->state_frames.v < PAGE_SIZE << in->state_order)
            return true;
    }
    return false;
}

static void is_granted(void *ctx, hpa_t frame)
{
    const struct host *h = ctx;
    const struct frame *f = frame_info(frame);

    if (f->kind == FRAME_GUEST ? is_owner(h, f)
                               : f->kind != FRAME_SHARED && !is_state_room(h, frame))
        world_broken("another host can write a frame of %s that is not granted", h->name);
}

/* What other hosts can reach of a host's memory. */
static void check_keys(const struct world *w, struct host *h)
{
    check_number++;
    note_lent(h);
    fabric_each_readable(w->fabric, h->number, is_lent, h);
    fabric_each_writable(w->fabric, h->number, is_granted, h);
}

void world_check(struct world *w)
{
    for (u32 i = 0; i < world_hosts; i++)
        if (w->host[i].alive)
            check_keys(w, &w->host[i]);
    for (unsigned i = 0; i < WORLD_VMS; i++) {
        unsigned runners = 0;

        for (u32 h = 0; h < world_hosts; h++) {
            runners += w->host[h].started >> i & 1;
            for (unsigned k = 0; k < WORLD_VMS; k++) {
                struct vm *vm = w->host[h].vm[k];

                runners += vm && vm->oracle == &w->oracle[i] && vm->running && !vm->stopped;
            }
        }
        if (runners > 1 && !w->oracle[i].unknown)
            world_broken("VM %s runs on %u hosts", w->oracle[i].name, runners);
    }
}

static struct host *host_named(struct world *w, const char *name)
{
    u32 i = 0;

    while (strcmp(w->host[i].name, name))
        i++;
    return &w->host[i];
}

/* What a page holds that is here, without touching it. */
static const u8 *content(struct vm *vm, u64 page)
{
    unsigned level;
    u64 e = ptab_lookup(&vm->pmap.slat.table, pmap_gpa(page).v, &level);

    switch (pmap_state(&vm->pmap, page)) {
    case PAGE_EMPTY: return phys_to_virt(vm->pmap.zero_frame);
    case PAGE_REMOTE: {
        const struct borrow *b = vm->pmap.lender;
        u32 slot = (u32)pmap_record(&vm->pmap, page)->slot;
        struct host *lender = host_named(vm->host->world, b->peer->name);

        for (unsigned i = 0; lender->alive && i < AGENT_LEASES; i++) {
            struct lease *l = &lender->agent->lease[i];

            if (l->used && epoch_equal(&l->epoch, &b->epoch) && lease_frame(l, slot).v)
                return phys_to_virt(lease_frame(l, slot));
        }
        return NULL;
    }
    default:
        if (!e)
            world_broken("VM %s page %llu is %s and not mapped", vm->oracle->name,
                         (unsigned long long)page, page_state_name[pmap_state(&vm->pmap, page)]);
        return phys_to_virt(ptab_frame_at(e, level, pmap_gpa(page).v));
    }
}

static bool lender_is_alive(const struct vm *vm)
{
    const struct borrow *b = vm->pmap.lender;

    return host_named(vm->host->world, b->peer->name)->alive;
}

void world_check_memory(struct vm *vm)
{
    for (u64 i = 0; i < vm->oracle->pages; i++) {
        const u8 *at = content(vm, i);

        if (!at && !vm->oracle->lost && lender_is_alive(vm))
            world_broken("VM %s page %llu: the lender does not have it", vm->oracle->name,
                         (unsigned long long)i);
        if (at && memcmp(at, vm->oracle->memory + i * PAGE_SIZE, PAGE_SIZE))
            differs(vm, i, (const void *)at);
    }
}

/* --- users of frames ------------------------------------------------------------------------------------------------ */

static u32 expected[MEMORY / PAGE_SIZE];
static u64 distinct;

static void expect_user(hpa_t frame)
{
    if (frame.v && !expected[frame.v / PAGE_SIZE]++)
        distinct++;
}

static void check_users(hpa_t frame, const char *where, const char *name)
{
    if (frame.v && frame_users(frame) != expected[frame.v / PAGE_SIZE])
        world_broken("a frame of %s %s has %u users, and %u are known", where, name,
                     frame_users(frame), expected[frame.v / PAGE_SIZE]);
}

static hpa_t frame_of(const struct vm *vm, u64 page)
{
    enum page_state state = pmap_state(&vm->pmap, page);
    unsigned level;
    u64 e = ptab_lookup(&vm->pmap.slat.table, pmap_gpa(page).v, &level);

    return state == PAGE_PRIVATE || state == PAGE_SHARED || state == PAGE_CACHED ? ptab_address(e)
                                                                                 : HPA(0);
}

/* Calls fn for every user of a frame of a host's that there should be. */
static void each_frame(const struct host *h,
                       void (*fn)(hpa_t frame, const char *where, const char *name))
{
    for (unsigned i = 0; i < WORLD_VMS; i++)
        for (u64 page = 0; h->vm[i] && page < h->vm[i]->oracle->pages; page++)
            fn(frame_of(h->vm[i], page), "VM", h->vm[i]->oracle->name);
    for (unsigned i = 0; i < WORLD_VMS; i++)
        for (unsigned k = 0; h->vm[i] && k < PMAP_FILLS; k++)
            if (h->vm[i]->pmap.fill[k].backing)
                fn(h->vm[i]->pmap.fill[k].frame, "a fill of", h->vm[i]->oracle->name);
    for (unsigned i = 0; i < AGENT_LEASES; i++) {
        const struct lease *l = &h->agent->lease[i];

        for (u32 k = 0; l->used && k < l->chunks; k++)
            for (u32 n = 0; n < l->chunk[k]->count && !l->chunk[k]->released; n++)
                fn(l->chunk[k]->frame[n], "a lease to", l->peer->name);
    }
    for (unsigned i = 0; i < AGENT_BORROWS; i++) {
        const struct borrow *b = &h->agent->borrow[i];

        for (u32 n = 0; b->used && n < b->chunks * BORROW_CHUNK; n++) {
            const struct slot *s = &b->chunk[n / BORROW_CHUNK]->slot[n % BORROW_CHUNK];

            fn(s->copy, "a copy of", b->name);
            fn(s->guess, "a guess of", b->name);
            if (s->state == SLOT_FETCHING) /* the link's */
                fn(s->copy, "a copy of", b->name);
        }
    }
}

static void expect_one(hpa_t frame, const char *where, const char *name)
{
    (void)where, (void)name;
    expect_user(frame);
}

static void check_lease(const struct host *h, const struct lease *l, u32 *keys)
{
    u64 left = 0;

    for (u32 slot = 0; slot < l->chunks * LEASE_CHUNK; slot++)
        left += lease_frame(l, slot).v != 0;
    if (left != l->left)
        world_broken("%s lends %llu frames to %s, and counts %llu", h->name,
                     (unsigned long long)left, l->peer->name, (unsigned long long)l->left);
    for (u32 i = 0; i < l->chunks; i++)
        *keys += l->chunk[i]->mr != NULL;
}

/* A slot's users are the pages that name it. */
static void check_borrow(const struct host *h, const struct borrow *b)
{
    u32 users[BORROW_CHUNK] = {0};
    u64 left = 0;

    for (u64 page = 0; b->vm && b->left && page < pmap_pages(b->pmap); page++) {
        enum page_state state = pmap_state(b->pmap, page);
        u32 slot = state == PAGE_REMOTE || state == PAGE_CACHED ? pmap_record(b->pmap, page)->slot
                                                                : BORROW_CHUNK;

        if (slot < BORROW_CHUNK) /* a VM of the simulator has no more slots */
            users[slot]++;
    }
    for (u32 k = 0; b->vm && b->chunks && k < b->chunk[0]->count; k++) {
        const struct slot *s = &b->chunk[0]->slot[k];

        left += users[k] != 0;
        if (s->users != users[k])
            world_broken("slot %u of %s on %s has %u users, and %u pages name it", k, b->name,
                         h->name, s->users, users[k]);
    }
    if (b->vm && left != b->left)
        world_broken("%s borrows %llu frames for %s, and counts %llu", h->name,
                     (unsigned long long)left, b->name, (unsigned long long)b->left);
}

static u64 frames_of_vms(void)
{
    struct frame_stats stats;

    frames_stats(&stats);
    return stats.count[FRAME_GUEST] + stats.count[FRAME_SHARED];
}

void world_check_quiet(struct world *w)
{
    u64 there;

    memset(expected, 0, world_memory / PAGE_SIZE * sizeof(expected[0]));
    distinct = 0;
    for (u32 i = 0; i < world_hosts; i++)
        if (w->host[i].alive)
            each_frame(&w->host[i], expect_one);
    for (u32 i = 0; i < world_hosts; i++) {
        struct host *h = &w->host[i];
        u32 keys = 0;

        if (!h->alive)
            continue;
        each_frame(h, check_users);
        for (unsigned k = 0; k < AGENT_LEASES; k++)
            if (h->agent->lease[k].used)
                check_lease(h, &h->agent->lease[k], &keys);
        for (unsigned k = 0; k < AGENT_BORROWS; k++)
            if (h->agent->borrow[k].used)
                check_borrow(h, &h->agent->borrow[k]);
        if (fabric_keys(w->fabric, i) != keys)
            world_broken("%s has %u keys, and leases have %u", h->name, fabric_keys(w->fabric, i),
                         keys);
    }
    there = frames_of_vms();
    if (!w->killed && there != distinct)
        world_broken("%llu frames of VMs are not free, and %llu are in use",
                     (unsigned long long)there, (unsigned long long)distinct);
}

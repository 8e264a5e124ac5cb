/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent in the hypervisor: its thread, datagrams, and VMs as it wants them. */
#include "migrate/host.h"
#include "drivers/net/ip/ip.h"
#include "drivers/net/rdma/host.h"
#include "kernel/arch.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "migrate/stand_in.h"
#include "vmm/share/share.h"
#include "vmm/state/state.h"
#include "vmm/vm.h"

#define LETTERS 16  /* datagrams that wait for the thread */
#define TSC_PPM 500 /* that two hosts' TSC rates may differ */

struct letter {
    ip4_t from;
    u32 size;
    u8 data[sizeof(struct hello)];
};

struct call {
    enum err (*fn)(struct agent *a, void *ctx, struct why *why);
    void *ctx;
    struct why *why;
    enum err result;
    struct thread *caller;
    struct call *next;
    bool done;
};

static struct {
    struct agent *agent;
    struct thread *thread;
    struct why missing;
    struct lock lock; /* letters, calls */
    struct letter letter[LETTERS];
    u32 written, read;
    struct call *calls;
} host;

/* What another host must know to make a VM. */
struct description {
    u32 tsc_khz, reserved;
    struct config_vm config;
    struct cpuid_policy cpuid;
};
_Static_assert(sizeof(struct description) + sizeof(struct message_offer) <= MESSAGE_SIZE,
               "a description fits into an offer");

/* --- the network ----------------------------------------------------------------------------------------- */

static void datagram(void *ctx, ip4_t to, const void *data, u32 size)
{
    (void)ctx;
    if (udp_send(ip_host(), to, HELLO_PORT, HELLO_PORT, data, size))
        log_debug("migrate: a hello could not be sent");
}

static bool random_bytes(void *ctx, void *out, u32 size)
{
    (void)ctx;
    return arch_random(out, size);
}

static void wake(void *ctx)
{
    (void)ctx;
    if (host.thread)
        thread_wake(host.thread);
}

/* On the NIC's thread. */
static void on_datagram(void *ctx, const struct udp_datagram *d)
{
    struct letter *l;

    (void)ctx;
    if (d->data_size > sizeof(l->data))
        return;
    lock_acquire(&host.lock);
    if (host.written - host.read < LETTERS) {
        l = &host.letter[host.written++ % LETTERS];
        l->from = d->ip.source;
        l->size = d->data_size;
        memcpy(l->data, d->ip.frame + d->data_at, l->size);
    }
    lock_release(&host.lock);
    wake(NULL);
}

static bool next_letter(struct letter *l)
{
    bool any;

    lock_acquire(&host.lock);
    any = host.read != host.written;
    if (any)
        *l = host.letter[host.read++ % LETTERS];
    lock_release(&host.lock);
    return any;
}

/* --- VMs ----------------------------------------------------------------------------------------------------- */

static struct vm *find(void *ctx, const char *name)
{
    (void)ctx;
    return vm_find(name);
}

static bool holds(void *ctx, const char *name)
{
    enum vm_state state;

    (void)ctx;
    return vm_query(name, NULL, &state) && state != VM_OFF && state != VM_FAILED;
}

static bool starts(void *ctx, const char *name)
{
    const struct vm *vm = vm_find(name);

    (void)ctx;
    return vm && vm->starting;
}

static struct vm *claim(void *ctx, const char *name, struct why *why)
{
    struct vm *vm;

    (void)ctx;
    return vm_claim(&vm, name, why) ? NULL : vm;
}

static struct pmap *pmap(struct vm *vm)
{
    return &vm->pmap;
}

static bool may_leave(struct vm *vm, char *text, u32 size)
{
    if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
        return true;
    str_format(text, size, "%s is %s: only a VM that runs or is paused can move", vm->config.name,
               vm_state_name[vm->state]);
    return false;
}

static u32 describe(struct vm *vm, void *to, u32 size)
{
    struct description *d = to;

    if (size < sizeof(*d))
        return 0;
    d->tsc_khz = arch_tsc_khz();
    d->reserved = 0;
    d->config = vm->config;
    d->cpuid = vm->cpuid;
    return sizeof(*d);
}

/* Every reason, one behind the other. */
struct reasons {
    char *text;
    u32 size, used;
};

static void add_reason(struct reasons *r, const char *format, ...) PRINTF_LIKE(2, 3);
static void add_reason(struct reasons *r, const char *format, ...)
{
    char one[160];
    va_list args;

    va_start(args, format);
    str_vformat(one, sizeof(one), format, args);
    va_end(args);
    str_format(r->text + r->used, r->size - r->used, "%s%s", r->used ? "; " : "", one);
    r->used = (u32)strlen(r->text);
}

static void cpu_lacks(void *ctx, const char *what)
{
    add_reason(ctx, "its CPU lacks %s", what);
}

static void check_tsc(struct reasons *r, u32 theirs)
{
    u32 ours = arch_tsc_khz();
    u64 differ = theirs > ours ? theirs - ours : ours - theirs;

    if (!theirs || differ * 1000000 / ours > TSC_PPM)
        add_reason(r, "its TSC runs at %u.%03u MHz and the source's at %u.%03u", ours / 1000,
                   ours % 1000, theirs / 1000, theirs % 1000);
}

/* It came from the network: texts end, numbers are in their ranges. */
static bool is_sound(const struct description *d, const char *name, u64 memory)
{
    const struct config_vm *c = &d->config;

    if (c->memory != memory || memory < MIB(4) || memory > GIB(1024) || memory & PAGE_MASK ||
        !c->vcpus || c->vcpus > VM_MAX_VCPUS || c->module_count > CONFIG_MAX_MODULES ||
        strncmp(c->name, name, CONFIG_NAME) != 0 || d->cpuid.count > CPUID_MAX_LEAVES ||
        d->cpuid.vcpus != c->vcpus)
        return false;
    if (c->name[CONFIG_NAME - 1] || c->group[CONFIG_NAME - 1] || c->kernel[CONFIG_PATH - 1] ||
        c->initrd[CONFIG_PATH - 1] || c->cmdline[CONFIG_CMDLINE - 1])
        return false;
    for (u32 i = 0; i < CONFIG_MAX_MODULES; i++)
        if (c->module[i][CONFIG_PATH + CONFIG_CMDLINE - 1])
            return false;
    return c->name[0];
}

/* Adds a reason where there is a VM of that name that is another, or is not off. */
static void check_name(struct reasons *r, const struct config_vm *c)
{
    struct config_vm own;
    enum vm_state state;

    if (!vm_query(c->name, &own, &state))
        return;
    if (state != VM_OFF)
        add_reason(r, "there is a VM named %s already", c->name);
    else if (!config_same_vm(&own, c))
        add_reason(r, "there is another VM named %s, which is off; `vm destroy %s` removes it",
                   c->name, c->name);
}

static struct vm *make(void *ctx, const char *name, u64 memory, const void *description, u32 size,
                       char *text, u32 text_size)
{
    const struct description *d = description;
    struct reasons r = {.text = text, .size = text_size};
    struct why why = {""};
    struct vm *vm;

    (void)ctx;
    if (size != sizeof(*d) || !is_sound(d, name, memory)) {
        add_reason(&r, "its description is not sound: both hosts need the same Ferry");
        return NULL;
    }
    check_name(&r, &d->config);
    check_tsc(&r, d->tsc_khz);
    (void)!vm_cpuid_compatible(&d->cpuid, cpu_lacks, &r);
    if (r.used)
        return NULL;
    if (stand_in_make_way(&d->config, &why) ||
        vm_create_incoming(&vm, &d->config, &d->cpuid, &why)) {
        add_reason(&r, "%s", why.text);
        stand_in_end(name, true);
        return NULL;
    }
    return vm;
}

static void hold_merging(struct vm *vm, bool hold)
{
    if (hold)
        share_detach(&vm->pmap);
    else if (share_attach(&vm->pmap, vm->pmap.group))
        log_warn("VM %s: no memory to look for equal pages in it", vm->config.name);
}

static void find_equal(void *ctx, u16 group, const u64 *hash, hpa_t *frame, u32 count)
{
    (void)ctx;
    share_find(group, hash, frame, count);
    thread_yield(); /* a message may name hundreds */
}

static void slow_down(struct vm *vm, u32 percent)
{
    __atomic_store_n(&vm->slowed, percent, __ATOMIC_RELAXED);
}

static u64 state_size(struct vm *vm)
{
    return vm_state_size(vm);
}

static void arrive(struct vm *vm)
{
    stand_in_end(vm->config.name, false);
    vm_arrive(vm);
}

static void end(struct vm *vm)
{
    char name[CONFIG_NAME];

    str_copy(name, sizeof(name), vm->config.name);
    vm_depart(vm);
    stand_in_end(name, true);
}

/* It may be held for a hand-off that does not come about any more. */
static void lost(struct vm *vm, const char *reason)
{
    stand_in_end(vm->config.name, false);
    vm_fail(vm, "%s", reason);
    vm_unclaim(vm);
}

static void say(void *ctx, const char *text)
{
    (void)ctx;
    log_info("migrate: %s", text);
}

static const struct agent_ops ops = {
    .datagram = datagram,
    .random = random_bytes,
    .wake = wake,
    .find = find,
    .holds = holds,
    .starts = starts,
    .claim = claim,
    .unclaim = vm_unclaim,
    .pmap = pmap,
    .may_leave = may_leave,
    .describe = describe,
    .make = make,
    .stop = vm_hold,
    .find_equal = find_equal,
    .go_on = vm_release,
    .hold_merging = hold_merging,
    .slow_down = slow_down,
    .state_size = state_size,
    .save = vm_state_save,
    .load = vm_state_load,
    .run = arrive,
    .end = end,
    .lost = lost,
    .say = say,
};

/* --- the thread ------------------------------------------------------------------------------------------------- */

static struct call *next_call(void)
{
    struct call *c;

    lock_acquire(&host.lock);
    c = host.calls;
    if (c)
        host.calls = c->next;
    lock_release(&host.lock);
    return c;
}

static void run_calls(void)
{
    struct call *c;

    while ((c = next_call())) {
        struct thread *caller = c->caller;

        c->result = c->fn(host.agent, c->ctx, c->why);
        __atomic_store_n(&c->done, true, __ATOMIC_RELEASE); /* it is the caller's again */
        thread_wake(caller);
    }
}

static void agent_thread(void *unused)
{
    struct letter l;
    u64 next;

    (void)unused;
    for (;;) {
        while (next_letter(&l))
            agent_datagram(host.agent, l.from, l.data, l.size);
        run_calls();
        next = agent_poll(host.agent);
        if (next > time_now())
            thread_sleep_until(next);
        else
            thread_yield();
    }
}

struct agent *agent_host(struct why *why)
{
    if (!host.thread)
        (void)why_set(why, E_STATE, "%s", host.missing.text);
    return host.thread ? host.agent : NULL;
}

enum err agent_call(enum err (*fn)(struct agent *a, void *ctx, struct why *why), void *ctx,
                    struct why *why)
{
    struct call c = {.fn = fn, .ctx = ctx, .why = why, .caller = thread_current()};

    if (!agent_host(why))
        return E_STATE;
    lock_acquire(&host.lock);
    c.next = host.calls;
    host.calls = &c;
    lock_release(&host.lock);
    thread_wake(host.thread);
    while (!__atomic_load_n(&c.done, __ATOMIC_ACQUIRE))
        thread_block();
    return c.result;
}

/* --- start-up ------------------------------------------------------------------------------------------------------ */

static enum err add_peers(struct agent *a, struct why *why)
{
    enum err e = OK;

    for (u32 i = 0; i < host_config.peer_count && !e; i++) {
        const struct config_peer *p = &host_config.peer[i];
        const u8 *b = p->address;

        e = agent_add_peer(a, p->name, IP4(b[0], b[1], b[2], b[3]), p->key, why);
    }
    return e;
}

/* Without a device it still knows the peers, whom it cannot reach, and what that means for VMs. */
static enum err start(struct verbs_device *device, struct why *why)
{
    struct agent *a = heap_alloc(sizeof(*a));
    enum err e;

    if (!a)
        return why_set(why, E_NOMEM, "no memory for the agent");
    e = agent_create(a, host_config.host, device, &ops, NULL, why);
    if (!e)
        e = add_peers(a, why);
    if (!e && device && udp_bind(ip_host(), HELLO_PORT, on_datagram, NULL))
        e = why_set(why, E_EXIST, "UDP port %u is taken", HELLO_PORT);
    host.agent = a;
    return e ? e : thread_create(&host.thread, "migrate", agent_thread, NULL);
}

static enum err ask(struct agent *a, void *ctx, struct why *why)
{
    return agent_may_start(a, ctx, why);
}

static enum err may_start(const char *name, struct why *why)
{
    return agent_call(ask, (void *)name, why);
}

static void agent_start(const struct boot_info *boot)
{
    struct why no_device = {""};
    struct verbs_device *device = rdma_host();

    (void)boot;
    if (!host_config.peer_count) {
        (void)why_set(&host.missing, E_NOENT, "ferry.cfg names no peer that VMs could move to");
        return;
    }
    if (!device)
        (void)rdma_host_missing(&no_device);
    if (start(device, &host.missing)) {
        log_warn("migrate: %s", host.missing.text);
        return;
    }
    vm_may_start = may_start;
    for (u32 i = 0; i < host.agent->peers; i++)
        str_copy(host.agent->peer[i].why, sizeof(host.agent->peer[i].why), no_device.text);
    if (!device)
        log_warn("migrate: no peer can be reached: %s", no_device.text);
    else if (!host_config.fabric_isolated)
        log_warn("migrate: RDMA does not authenticate what it carries; say `fabric isolated` in "
                 "ferry.cfg if nobody but the hosts reaches its network");
}
INIT_STEP(5, agent_start); /* behind the network's steps, and before the shell's of that level */

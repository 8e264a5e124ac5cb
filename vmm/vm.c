/* SPDX-License-Identifier: BSD-2-Clause */
/* The life of a VM: made, started, paused, stopped, destroyed. */
#include "vmm/vm.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "vmm/share/group.h"
#include "vmm/share/share.h"

/* How long a vCPU may take to leave its guest. */
#define PARK_LIMIT SEC(10)
/* Host memory that no VM gets: for page tables, stacks and what comes with new VMs. */
#define HOST_RESERVE (MIB(8) / PAGE_SIZE)
/* A starved VM goes on when so much is free for each that has just gone on, and for itself. */
#define FEED_FRAMES (MIB(5) / PAGE_SIZE)
#define FEED_TIME   SEC(1)
/* How often the log tells of a guest that resets itself. */
#define RESET_LINE  SEC(60)
#define RESET_LINES 4
/* How long a CPU may take to leave its guest when it is interrupted; an emulated one can stand still for a while. */
#define SHOOT_DOWN_LIMIT SEC(10)
#define NUDGE_AFTER      MSEC(5)

const char *const vm_state_name[VM_STATE_COUNT] = {
    [VM_OFF] = "off",       [VM_RUNNING] = "running",     [VM_PAUSED] = "paused",
    [VM_FAILED] = "failed", [VM_RESETTING] = "resetting", [VM_INCOMING] = "incoming",
    [VM_MOVING] = "moving", [VM_DYING] = "dying",
};

enum err (*vm_may_start)(const char *name, struct why *why);

static struct list vms = {&vms, &vms};
static struct lock vms_lock;
static u16 last_id;

/* --- the list of VMs --------------------------------------------------------------------------- */

/* The list's lock is held. */
static struct vm *find(const char *name)
{
    struct vm *vm;

    LIST_FOR_EACH(vm, &vms, link)
    {
        if (str_equal(vm->config.name, name))
            return vm;
    }
    return NULL;
}

struct vm *vm_find(const char *name)
{
    struct vm *vm;

    lock_acquire(&vms_lock);
    vm = find(name);
    lock_release(&vms_lock);
    return vm;
}

bool vm_query(const char *name, struct config_vm *config, enum vm_state *state)
{
    const struct vm *vm;

    lock_acquire(&vms_lock);
    vm = find(name);
    if (vm)
        *state = vm->state;
    if (vm && config)
        *config = vm->config;
    lock_release(&vms_lock);
    return vm;
}

struct vm *vm_at(unsigned index)
{
    struct vm *vm, *found = NULL;

    lock_acquire(&vms_lock);
    LIST_FOR_EACH(vm, &vms, link)
    {
        if (!found && !index--)
            found = vm;
    }
    lock_release(&vms_lock);
    return found;
}

enum err vm_claim(struct vm **out, const char *name, struct why *why)
{
    struct vm *vm;
    bool was = false;

    lock_acquire(&vms_lock);
    vm = find(name);
    if (vm) {
        was = vm->claimed;
        vm->claimed = true;
    }
    lock_release(&vms_lock);
    if (!vm)
        return why_set(why, E_NOENT, "there is no VM named '%.31s'", name);
    if (was)
        return why_set(why, E_STATE, "%s is being moved already", name);
    *out = vm;
    return OK;
}

void vm_unclaim(struct vm *vm)
{
    lock_acquire(&vms_lock);
    vm->claimed = false;
    lock_release(&vms_lock);
}

/* --- state changes ----------------------------------------------------------------------------- */

void vm_kick_all(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vcpu_kick(&vm->vcpu[i]);
}

void vm_leave_running(struct vm *vm, enum vm_state state)
{
    if (vm->state == VM_RUNNING)
        vm_time_stop(vm);
    vm->state = state;
    pmap_hold(&vm->pmap, true);
}

/* Ends a VM's run with a sentence, if it runs. */
static bool stop_with(struct vm *vm, enum vm_state state, bool starved, const char *text)
{
    bool first;

    lock_acquire(&vm->lock);
    first = vm->state == VM_RUNNING || vm->state == VM_RESETTING ||
            (state == VM_FAILED &&
             (vm->state == VM_PAUSED || vm->state == VM_MOVING || vm->state == VM_INCOMING));
    if (first) {
        vm_leave_running(vm, state);
        vm->starved = starved;
        str_copy(vm->reason, sizeof(vm->reason), text);
    }
    lock_release(&vm->lock);
    if (first) {
        log_warn("VM %s is %s: %s", vm->config.name, vm_state_name[state], text);
        vm_kick_all(vm);
    }
    return first;
}

/* What a person needs to tell whose fault it was, if nobody asks `vm info` in time. */
static void log_vcpu(struct vm *vm)
{
    struct hvm_state s;

    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *v = &vm->vcpu[i];

        if (v->thread != thread_current())
            continue;
        hvm->get_state(&v->hvm, &s);
        log_warn("VM %s: vCPU %u was at %llx, CR3 %llx; it was entered at %llx", vm->config.name, i,
                 (unsigned long long)s.rip, (unsigned long long)s.mode.cr3,
                 (unsigned long long)v->entered_at);
    }
}

void vm_fail(struct vm *vm, const char *format, ...)
{
    char text[sizeof(vm->reason)];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    if (stop_with(vm, VM_FAILED, false, text))
        log_vcpu(vm);
}

/* --- memory that runs out -------------------------------------------------------------------- */

void vm_starve(struct vm *vm, gpa_t gpa)
{
    char text[sizeof(vm->reason)];

    str_format(text, sizeof(text),
               "the host has no memory left for its page at %llx; it goes on when another VM is "
               "stopped or memory is shared again",
               (unsigned long long)gpa.v);
    if (stop_with(vm, VM_PAUSED, true, text))
        vm->starved_at = time_now();
}

/* Whoever has waited longest. The list's lock is held. */
static struct vm *find_starved(u64 *recently_fed)
{
    struct vm *vm, *first = NULL;

    *recently_fed = 0;
    LIST_FOR_EACH(vm, &vms, link)
    {
        *recently_fed += vm->fed_at && time_now() - vm->fed_at < FEED_TIME;
        if (vm->state == VM_PAUSED && vm->starved && (!first || vm->starved_at < first->starved_at))
            first = vm;
    }
    return first;
}

static void feed_later(struct timer *t)
{
    (void)t;
    vm_feed();
}

void vm_feed(void)
{
    static struct timer again = {.fn = feed_later};
    struct vm *vm;
    u64 fed;

    lock_acquire(&vms_lock);
    while ((vm = find_starved(&fed)) && frames_free() >= (fed + 1) * FEED_FRAMES) {
        log_info("VM %s goes on: there is memory again", vm->config.name);
        vm->fed_at = time_now();
        vm_run(vm, VM_PAUSED);
    }
    timer_arm(&again, vm ? time_now() + FEED_TIME : U64_MAX);
    lock_release(&vms_lock);
}

void vm_release_memory(struct vm *vm)
{
    pmap_clear(&vm->pmap);
    vm_feed();
}

/* Has each vCPU leave its guest, or flush what its CPU remembers, unless it does so by itself before it enters. */
static void shoot_down(struct pmap *p)
{
    struct vm *vm = CONTAINER_OF(p, struct vm, pmap);
    u64 generation = __atomic_load_n(&p->slat.generation, __ATOMIC_SEQ_CST);
    u64 end = time_now() + SHOOT_DOWN_LIMIT, nudge;

    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *v = &vm->vcpu[i];
        u32 cpu = __atomic_load_n(&v->hvm.cpu, __ATOMIC_RELAXED);

        if (vcpu_is_flushed(v, generation))
            continue;
        arch_kick(cpu);
        nudge = time_now() + NUDGE_AFTER;
        while (!vcpu_is_flushed(v, generation)) {
            if (time_now() > nudge) {
                arch_nudge(cpu);
                nudge = time_now() + NUDGE_AFTER;
            }
            if (time_now() > end)
                panic("CPU %u does not leave its guest within 10 s", cpu);
            arch_relax();
        }
    }
}

static void on_power(struct vm *vm, enum power_event event)
{
    vm_leave_running(vm, event == POWER_OFF ? VM_OFF : VM_RESETTING);
    str_copy(vm->reason, sizeof(vm->reason),
             event == POWER_OFF ? "the guest powered it off" : "the guest reset it");
}

/* A guest may reset itself all the time, and is not to wash everything else out of the log. */
static void log_power(struct vm *vm, enum power_event event)
{
    u64 resets = vm->resets + 1 - vm->resets_said;

    if (event == POWER_OFF) {
        log_info("VM %s: %s", vm->config.name, vm->reason);
        return;
    }
    if (rate_take(&vm->reset_line, time_now(), RESET_LINE, RESET_LINES))
        return;
    vm->resets_said = vm->resets + 1;
    if (resets == 1)
        log_info("VM %s: %s", vm->config.name, vm->reason);
    else
        log_info("VM %s: the guest reset it, %llu times since this was last said", vm->config.name,
                 (unsigned long long)resets);
}

void vm_unlock_devices(struct vm *vm)
{
    struct irqchip *chip = &vm->platform.devices.irqchip;
    enum power_event event = POWER_NONE;
    u64 kick = chip->kick;

    chip->kick = 0;
    if (vm->state == VM_RUNNING) /* else it is acted on when the VM goes on */
        event = platform_take_power(&vm->platform);
    if (event != POWER_NONE)
        on_power(vm, event);
    lock_release(&vm->lock);
    if (event != POWER_NONE) {
        log_power(vm, event);
        vm_kick_all(vm);
        return;
    }
    for (u32 i = 0; kick >> i; i++)
        if (kick >> i & 1)
            vcpu_kick(&vm->vcpu[i]);
}

void vm_log_once(struct vm *vm, const char *what, u64 key)
{
    lock_acquire(&vm->lock);
    for (u32 i = 0; i < vm->odd_count; i++)
        if (vm->odd[i].what == what && vm->odd[i].key == key) {
            lock_release(&vm->lock);
            return;
        }
    if (vm->odd_count < VM_MAX_ODD)
        vm->odd[vm->odd_count++] = (struct vm_odd){what, key};
    else
        key = U64_MAX;
    lock_release(&vm->lock);
    if (key != U64_MAX)
        log_debug("VM %s: %s: %llx", vm->config.name, what, (unsigned long long)key);
}

enum err vm_wait_parked(struct vm *vm, struct why *why)
{
    u64 end = time_now() + PARK_LIMIT;

    while (!vm_all_parked(vm)) {
        if (time_now() > end)
            return why_set(why, E_TIMEOUT, "a vCPU of %s does not stop within 10 s; see `log`",
                           vm->config.name);
        thread_sleep(MSEC(1));
    }
    return OK;
}

/* --- commands ---------------------------------------------------------------------------------- */

/* Frames that VMs may still ask for: what they were promised and have not touched. Shared pages are not counted: what
 * sharing saves can be used, and a VM that lacks it when sharing breaks waits (vm_starve). */
static u64 frames_promised(void)
{
    struct vm *vm;
    u64 promised = 0;

    lock_acquire(&vms_lock);
    LIST_FOR_EACH(vm, &vms, link)
    {
        if (vm->state != VM_OFF && vm->state != VM_FAILED)
            promised += pmap_promised(&vm->pmap);
    }
    lock_release(&vms_lock);
    return promised;
}

enum err vm_admit(const struct vm *vm, struct why *why)
{
    u64 pages = vm->config.memory / PAGE_SIZE, need = pages + pmap_tables_most(pages);
    u64 promised = frames_promised(), has;
    struct frame_stats s;

    frames_stats(&s);
    has = s.count[FRAME_FREE];
    has = has > promised + HOST_RESERVE ? has - promised - HOST_RESERVE : 0;
    if (need <= has)
        return OK;
    return why_set(
        why, E_NOMEM,
        "%s needs %llu MiB with its page tables, and the host has %llu MiB left (%llu MiB free, "
        "%llu MiB promised to running VMs); stop another VM or give this one less",
        vm->config.name, (unsigned long long)(need >> 8), (unsigned long long)(has >> 8),
        (unsigned long long)(s.count[FRAME_FREE] >> 8), (unsigned long long)(promised >> 8));
}

static void host_cpuid(void *ctx, u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
    u32 r[4];

    (void)ctx;
    arch_cpuid(leaf, subleaf, r);
    *out = (struct cpuid_regs){r[0], r[1], r[2], r[3]};
}

static enum err find_cpuid(struct cpuid_policy *p, u32 vcpus, struct why *why)
{
    struct cpuid_host host = {.cpuid = host_cpuid};
    struct cpuid_config config = {.vcpus = vcpus, .invariant_tsc = arch_tsc_invariant()};

    return cpuid_build(p, &host, &config, why);
}

enum err vm_cpuid_compatible(const struct cpuid_policy *cpuid,
                             void (*missing)(void *ctx, const char *what), void *ctx)
{
    struct cpuid_policy own;
    struct why why;

    if (find_cpuid(&own, cpuid->vcpus, &why)) {
        missing(ctx, why.text);
        return E_UNSUPPORTED;
    }
    return cpuid_compare(cpuid, &own, missing, ctx) ? E_UNSUPPORTED : OK;
}

/* Everything behind the name; what fails is undone by vm_make. */
static enum err build(struct vm *vm, const struct cpuid_policy *cpuid, struct why *why)
{
    struct uart_sink sink = {vm_console_put, &vm->console};
    enum err e = OK;

    vm->wall_clock = arch_wall_clock_at_boot() + time_now() / SEC(1);
    platform_init(&vm->platform, vm->config.vcpus, vm->wall_clock, &sink);
    if (cpuid)
        vm->cpuid = *cpuid;
    else
        e = find_cpuid(&vm->cpuid, vm->config.vcpus, why);
    if (e)
        return e;
    e = pmap_create(&vm->pmap, vm->config.memory, vm->id);
    vm->pmap.shoot_down = shoot_down;
    if (!e)
        e = share_group_join(vm->config.group, &vm->pmap.group);
    if (!e)
        e = share_attach(&vm->pmap, vm->pmap.group);
    for (u32 i = 0; i < vm->config.vcpus && !e; i++)
        e = vcpu_create(vm, i);
    return e ? why_set(why, e, "no memory for %s's page tables and vCPUs", vm->config.name) : OK;
}

/* Enters it into the list; false: there is one of that name. */
static bool list_enter(struct vm *vm)
{
    bool free;

    lock_acquire(&vms_lock);
    free = !find(vm->config.name);
    if (free)
        list_append(&vms, &vm->link);
    lock_release(&vms_lock);
    return free;
}

void vm_unlink(struct vm *vm)
{
    lock_acquire(&vms_lock);
    list_remove(&vm->link);
    lock_release(&vms_lock);
}

/* Whoever comes later with a pointer to it finds it dying. */
enum err vm_unlink_idle(struct vm *vm, struct why *why)
{
    enum err e = OK;

    lock_acquire(&vms_lock);
    lock_acquire(&vm->lock);
    if (vm->state == VM_DYING)
        e = why_set(why, E_STATE, "%s is being destroyed already", vm->config.name);
    else if (vm->claimed)
        e = why_set(why, E_STATE, "%s is being moved from host to host", vm->config.name);
    else if (vm->starting)
        e = why_set(why, E_STATE, "%s is being started; try again when it runs", vm->config.name);
    if (!e) {
        list_remove(&vm->link);
        vm_leave_running(vm, VM_DYING);
    }
    lock_release(&vm->lock);
    lock_release(&vms_lock);
    return e;
}

static u16 next_id(void)
{
    u16 id;

    lock_acquire(&vms_lock);
    id = ++last_id;
    lock_release(&vms_lock);
    return id;
}

static enum err name_taken(const char *name, struct why *why)
{
    return why_set(why, E_EXIST, "there is a VM named %s already", name);
}

enum err vm_make(struct vm **out, const struct config_vm *config, enum vm_state state,
                 const struct cpuid_policy *cpuid, struct why *why)
{
    struct vm *vm;
    enum err e;

    if (!hvm)
        return why_set(why, E_UNSUPPORTED, "this host has no virtualisation: see `log`");
    if (vm_find(config->name))
        return name_taken(config->name, why);
    vm = heap_alloc(sizeof(*vm));
    if (!vm)
        return why_set(why, E_NOMEM, "no memory for another VM: %llu KiB are needed in one piece",
                       (unsigned long long)sizeof(*vm) >> 10);
    vm->config = *config;
    vm->id = next_id();
    vm->state = state;
    vm->claimed = state == VM_INCOMING;
    e = build(vm, cpuid, why);
    if (!e && state == VM_INCOMING)
        e = vm_admit(vm, why);
    if (!e && !list_enter(vm))
        e = name_taken(config->name, why);
    if (e) {
        vm_tear_down(vm);
        vm_free(vm);
        return e;
    }
    *out = vm;
    return OK;
}

enum err vm_create(struct vm **vm, const struct config_vm *config, struct why *why)
{
    return vm_make(vm, config, VM_OFF, NULL, why);
}

void vm_run(struct vm *vm, enum vm_state from)
{
    lock_acquire(&vm->lock);
    if (vm->state == from) {
        vm_time_go(vm);
        pmap_hold(&vm->pmap, false);
        vm->state = VM_RUNNING;
        vm->starved = false;
        vm->reason[0] = '\0';
    }
    lock_release(&vm->lock);
    vm_kick_all(vm);
}

static void time_zero(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vm->vcpu[i].tsc_adjust = 0;
    vm->clock = (struct guest_clock){0};
    vm_set_time(vm, 0, 0);
}

enum err vm_boot(struct vm *vm, struct why *why)
{
    struct hvm_state boot, idle;
    enum err e;

    platform_reset(&vm->platform);
    pmap_clear(&vm->pmap);
    vcpu_reset_state(&idle);
    boot = idle;
    e = vm_load(vm, &boot, why);
    if (e)
        return e;
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *v = &vm->vcpu[i];

        v->activity = i ? VCPU_WAIT_SIPI : VCPU_ACTIVE;
        v->kvmclock = 0;
        v->clock_due = v->wall_due = false;
        hvm->set_state(&v->hvm, i ? &idle : &boot);
        arch_fpu_init(v->hvm.fpu);
    }
    time_zero(vm);
    return OK;
}

/* Refuses what the user asks for while the VM is on its way from host to host, or at its end. */
static enum err refuse_in_transit(const struct vm *vm, struct why *why)
{
    if (vm->state == VM_INCOMING || vm->state == VM_MOVING)
        return why_set(why, E_STATE, "%s is %s: only its migration can change that",
                       vm->config.name, vm_state_name[vm->state]);
    if (vm->state == VM_DYING)
        return why_set(why, E_STATE, "%s is being destroyed", vm->config.name);
    return OK;
}

/* The user and autostart may both want to. */
static bool enter_start(struct vm *vm)
{
    bool was;

    lock_acquire(&vm->lock);
    was = vm->starting;
    vm->starting = true;
    lock_release(&vm->lock);
    return !was;
}

static enum err start_once(struct vm *vm, struct why *why)
{
    enum err e = refuse_in_transit(vm, why);

    if (e)
        return e;
    if (vm->state != VM_OFF && vm->state != VM_FAILED)
        return why_set(why, E_STATE, "%s is %s; `vm stop %s` turns it off first", vm->config.name,
                       vm_state_name[vm->state], vm->config.name);
    e = vm_may_start ? vm_may_start(vm->config.name, why) : OK;
    if (!e)
        e = vm_wait_parked(vm, why);
    if (e)
        return e;
    pmap_clear(&vm->pmap); /* what a failed VM left, for whoever wanted to look at it */
    e = vm_admit(vm, why);
    if (!e)
        e = vm_boot(vm, why);
    if (!e)
        vm_run(vm, vm->state);
    return e;
}

enum err vm_start(struct vm *vm, struct why *why)
{
    enum err e;

    if (!enter_start(vm))
        return why_set(why, E_STATE, "%s is being started already", vm->config.name);
    e = start_once(vm, why);
    vm->starting = false;
    return e;
}

enum err vm_pause(struct vm *vm, struct why *why)
{
    bool was_running;

    lock_acquire(&vm->lock);
    was_running = vm->state == VM_RUNNING;
    if (was_running)
        vm_leave_running(vm, VM_PAUSED);
    lock_release(&vm->lock);
    if (!was_running)
        return why_set(why, E_STATE, "%s is %s: only a running VM can be paused", vm->config.name,
                       vm_state_name[vm->state]);
    vm_kick_all(vm);
    return vm_wait_parked(vm, why);
}

enum err vm_resume(struct vm *vm, struct why *why)
{
    if (vm->state != VM_PAUSED)
        return why_set(why, E_STATE, "%s is %s: only a paused VM can be resumed", vm->config.name,
                       vm_state_name[vm->state]);
    vm_run(vm, VM_PAUSED);
    return OK;
}

enum err vm_stop(struct vm *vm, struct why *why)
{
    lock_acquire(&vm->lock);
    if (vm->state == VM_OFF) {
        lock_release(&vm->lock);
        return why_set(why, E_STATE, "%s is off already", vm->config.name);
    }
    if (refuse_in_transit(vm, why)) {
        lock_release(&vm->lock);
        return E_STATE;
    }
    vm_leave_running(vm, VM_OFF);
    vm->reason[0] = '\0';
    lock_release(&vm->lock);
    vm_kick_all(vm);
    return vm_wait_parked(vm, why);
}

/* --- for a panic -------------------------------------------------------------------------------- */

static void describe(char *text, size_t size)
{
    struct hvm_vcpu *hv = cpu_this()->vcpu;
    struct vcpu *v = hv ? CONTAINER_OF(hv, struct vcpu, hvm) : NULL;

    if (v)
        str_format(text, size, "vCPU %u of VM %s, guest rip %llx", v->index, v->vm->config.name,
                   (unsigned long long)v->hvm.rip);
}

static void vm_init(const struct boot_info *boot)
{
    (void)boot;
    panic_describe_vm = describe;
    share_freed = vm_feed;
}
INIT_STEP(3, vm_init);

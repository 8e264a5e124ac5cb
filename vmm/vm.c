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
/* A starved VM goes on when so much is free. */
#define FEED_FRAMES (MIB(5) / PAGE_SIZE)
/* How long a CPU may take to leave its guest when it is interrupted; an emulated one can stand still for a while. */
#define SHOOT_DOWN_LIMIT SEC(10)
#define NUDGE_AFTER      MSEC(5)

const char *const vm_state_name[VM_STATE_COUNT] = {
    [VM_OFF] = "off",       [VM_RUNNING] = "running",     [VM_PAUSED] = "paused",
    [VM_FAILED] = "failed", [VM_RESETTING] = "resetting", [VM_DYING] = "dying",
};

static struct list vms = {&vms, &vms};
static struct lock vms_lock;
static u16 last_id;

/* --- the list of VMs --------------------------------------------------------------------------- */

struct vm *vm_find(const char *name)
{
    struct vm *vm;

    LIST_FOR_EACH(vm, &vms, link)
    {
        if (str_equal(vm->config.name, name))
            return vm;
    }
    return NULL;
}

struct vm *vm_at(unsigned index)
{
    struct vm *vm;

    LIST_FOR_EACH(vm, &vms, link)
    {
        if (!index--)
            return vm;
    }
    return NULL;
}

/* --- time ------------------------------------------------------------------------------------ */

struct vtime vcpu_time(const struct vcpu *v)
{
    const struct vm *vm = v->vm;
    bool runs = vm->state == VM_RUNNING;

    return (struct vtime){
        .ns = (runs ? time_now() : vm->stopped_ns) - vm->ns_offset,
        .tsc = (runs ? arch_tsc() : vm->stopped_tsc) + vm->tsc_offset + v->tsc_adjust,
        .tsc_khz = arch_tsc_khz(),
    };
}

static void time_stop(struct vm *vm)
{
    vm->stopped_ns = time_now();
    vm->stopped_tsc = arch_tsc();
}

static void time_go(struct vm *vm)
{
    vm->ns_offset += time_now() - vm->stopped_ns;
    vm->tsc_offset -= arch_tsc() - vm->stopped_tsc;
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vm->vcpu[i].hvm.tsc_offset = vm->tsc_offset + vm->vcpu[i].tsc_adjust;
}

static void time_zero(struct vm *vm)
{
    time_stop(vm);
    vm->ns_offset = vm->stopped_ns;
    vm->tsc_offset = -vm->stopped_tsc;
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vm->vcpu[i].tsc_adjust = 0;
}

/* --- state changes ----------------------------------------------------------------------------- */

static void kick_all(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vcpu_kick(&vm->vcpu[i]);
}

/* From running to a state in which no vCPU runs; the lock is held. */
static void leave_running(struct vm *vm, enum vm_state state)
{
    if (vm->state == VM_RUNNING)
        time_stop(vm);
    vm->state = state;
}

/* Ends a VM's run with a sentence, if it runs. */
static bool stop_with(struct vm *vm, enum vm_state state, bool starved, const char *text)
{
    bool first;

    lock_acquire(&vm->lock);
    first = vm->state == VM_RUNNING || vm->state == VM_RESETTING;
    if (first) {
        leave_running(vm, state);
        vm->starved = starved;
        str_copy(vm->reason, sizeof(vm->reason), text);
    }
    lock_release(&vm->lock);
    if (first) {
        log_warn("VM %s is %s: %s", vm->config.name, vm_state_name[state], text);
        kick_all(vm);
    }
    return first;
}

void vm_fail(struct vm *vm, const char *format, ...)
{
    char text[sizeof(vm->reason)];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    stop_with(vm, VM_FAILED, false, text);
}

/* --- memory that runs out -------------------------------------------------------------------- */

void vm_starve(struct vm *vm, gpa_t gpa)
{
    char text[sizeof(vm->reason)];

    str_format(text, sizeof(text),
               "the host has no memory left for its page at %llx; it goes on when another VM is "
               "stopped or memory is shared again",
               (unsigned long long)gpa.v);
    stop_with(vm, VM_PAUSED, true, text);
}

void vm_feed(void)
{
    struct vm *vm;

    lock_acquire(&vms_lock);
    LIST_FOR_EACH(vm, &vms, link)
    {
        if (vm->state != VM_PAUSED || !vm->starved || frames_free() < FEED_FRAMES)
            continue;
        log_info("VM %s goes on: there is memory again", vm->config.name);
        vm_run(vm, VM_PAUSED);
    }
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
    if (vm->state != VM_RUNNING)
        return;
    leave_running(vm, event == POWER_OFF ? VM_OFF : VM_RESETTING);
    str_copy(vm->reason, sizeof(vm->reason),
             event == POWER_OFF ? "the guest powered it off" : "the guest reset it");
}

void vm_unlock_devices(struct vm *vm)
{
    struct irqchip *chip = &vm->platform.devices.irqchip;
    enum power_event event = platform_take_power(&vm->platform);
    u64 kick = chip->kick;

    chip->kick = 0;
    if (event != POWER_NONE)
        on_power(vm, event);
    lock_release(&vm->lock);
    if (event != POWER_NONE) {
        log_info("VM %s: %s", vm->config.name, vm->reason);
        kick_all(vm);
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

bool vm_all_parked(const struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        if (!__atomic_load_n(&vm->vcpu[i].parked, __ATOMIC_ACQUIRE))
            return false;
    return true;
}

/* Waits until every vCPU has left its guest. */
static enum err wait_parked(struct vm *vm, struct why *why)
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

    LIST_FOR_EACH(vm, &vms, link)
    {
        if (vm->state == VM_RUNNING || vm->state == VM_PAUSED)
            promised += pmap_promised(&vm->pmap);
    }
    return promised;
}

static enum err admit(const struct vm *vm, struct why *why)
{
    u64 need = vm->config.memory / PAGE_SIZE, promised = frames_promised(), has;
    struct frame_stats s;

    frames_stats(&s);
    has = s.count[FRAME_FREE];
    has = has > promised + HOST_RESERVE ? has - promised - HOST_RESERVE : 0;
    if (need <= has)
        return OK;
    return why_set(
        why, E_NOMEM,
        "%s needs %llu MiB and the host has %llu MiB left (%llu MiB free, %llu MiB promised to "
        "running VMs); stop another VM or give this one less",
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

/* Everything behind the name; what fails is undone by vm_free. */
static enum err build(struct vm *vm, struct why *why)
{
    struct cpuid_host host = {.cpuid = host_cpuid};
    struct cpuid_config cpuid = {.vcpus = vm->config.vcpus, .invariant_tsc = arch_tsc_invariant()};
    struct uart_sink sink = {vm_console_put, &vm->console};
    u16 group;
    enum err e;

    vm->wall_clock = arch_wall_clock_at_boot() + time_now() / SEC(1);
    platform_init(&vm->platform, vm->config.vcpus, vm->wall_clock, &sink);
    e = cpuid_build(&vm->cpuid, &host, &cpuid, why);
    if (e)
        return e;
    e = pmap_create(&vm->pmap, vm->config.memory, vm->id);
    vm->pmap.shoot_down = shoot_down;
    if (!e && share_group(vm->config.group, &group))
        return why_set(why, E_NOMEM, "there are %u trust groups already, and %s would be one more",
                       SHARE_GROUPS, vm->config.group);
    if (!e)
        e = share_attach(&vm->pmap, group);
    for (u32 i = 0; i < vm->config.vcpus && !e; i++)
        e = vcpu_create(vm, i);
    return e ? why_set(why, e, "no memory for %s's page tables and vCPUs", vm->config.name) : OK;
}

static void end_threads(struct vm *vm)
{
    u32 left;

    do {
        lock_acquire(&vm->lock);
        leave_running(vm, VM_DYING);
        kick_all(vm); /* under the lock, as threads end under it */
        left = vm->threads;
        lock_release(&vm->lock);
        if (left)
            thread_sleep(MSEC(1));
    } while (left);
}

static void vm_free(struct vm *vm)
{
    end_threads(vm);
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vcpu_destroy(&vm->vcpu[i]);
    share_detach(&vm->pmap);
    pmap_destroy(&vm->pmap);
    heap_free(vm);
}

enum err vm_create(struct vm **out, const struct config_vm *config, struct why *why)
{
    struct vm *vm;
    enum err e;

    if (!hvm)
        return why_set(why, E_UNSUPPORTED, "this host has no virtualisation: see `log`");
    if (vm_find(config->name))
        return why_set(why, E_EXIST, "there is a VM named %s already", config->name);
    vm = heap_alloc(sizeof(*vm));
    if (!vm)
        return why_set(why, E_NOMEM, "no memory for another VM: %llu KiB are needed in one piece",
                       (unsigned long long)sizeof(*vm) >> 10);
    vm->config = *config;
    vm->id = ++last_id;
    vm->state = VM_OFF;
    e = build(vm, why);
    if (e) {
        vm_free(vm);
        return e;
    }
    lock_acquire(&vms_lock);
    list_append(&vms, &vm->link);
    lock_release(&vms_lock);
    *out = vm;
    return OK;
}

void vm_run(struct vm *vm, enum vm_state from)
{
    lock_acquire(&vm->lock);
    if (vm->state == from) {
        time_go(vm);
        vm->state = VM_RUNNING;
        vm->starved = false;
        vm->reason[0] = '\0';
    }
    lock_release(&vm->lock);
    kick_all(vm);
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
        hvm->set_state(&v->hvm, i ? &idle : &boot);
        arch_fpu_init(v->hvm.fpu);
    }
    time_zero(vm);
    return OK;
}

enum err vm_start(struct vm *vm, struct why *why)
{
    enum err e;

    if (vm->state != VM_OFF && vm->state != VM_FAILED)
        return why_set(why, E_STATE, "%s is %s; `vm stop %s` turns it off first", vm->config.name,
                       vm_state_name[vm->state], vm->config.name);
    e = wait_parked(vm, why);
    if (e)
        return e;
    pmap_clear(&vm->pmap); /* what a failed VM left, for whoever wanted to look at it */
    e = admit(vm, why);
    if (!e)
        e = vm_boot(vm, why);
    if (!e)
        vm_run(vm, vm->state);
    return e;
}

enum err vm_pause(struct vm *vm, struct why *why)
{
    bool was_running;

    lock_acquire(&vm->lock);
    was_running = vm->state == VM_RUNNING;
    if (was_running)
        leave_running(vm, VM_PAUSED);
    lock_release(&vm->lock);
    if (!was_running)
        return why_set(why, E_STATE, "%s is %s: only a running VM can be paused", vm->config.name,
                       vm_state_name[vm->state]);
    kick_all(vm);
    return wait_parked(vm, why);
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
    leave_running(vm, VM_OFF);
    vm->reason[0] = '\0';
    lock_release(&vm->lock);
    kick_all(vm);
    return wait_parked(vm, why);
}

void vm_destroy(struct vm *vm)
{
    lock_acquire(&vms_lock);
    list_remove(&vm->link);
    lock_release(&vms_lock);
    vm_free(vm);
    vm_feed();
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

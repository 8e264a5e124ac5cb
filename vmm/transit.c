/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM between two hosts: held for a hand-off, and made to receive one. */
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "vmm/vm.h"

/* How long a reset that is under way may hold up a hand-off. */
#define RESET_LIMIT SEC(10)

/* --- held at the source --------------------------------------------------------------------------- */

static bool try_hold(struct vm *vm)
{
    bool held;

    lock_acquire(&vm->lock);
    held = vm->state == VM_RUNNING || vm->state == VM_PAUSED;
    if (held) {
        vm->held_in = vm->state;
        vm_leave_running(vm, VM_MOVING);
        str_copy(vm->reason, sizeof(vm->reason), "it stands still until its state is handed over");
    }
    lock_release(&vm->lock);
    return held;
}

/* Lets it go on in the state that it was held in, its clocks having gone on. */
static void go_on(struct vm *vm, enum vm_state from)
{
    lock_acquire(&vm->lock);
    if (vm->state == from) {
        pmap_hold(&vm->pmap, vm->held_in != VM_RUNNING);
        vm->state = vm->held_in;
        vm->starved &= vm->state != VM_RUNNING;
        vm->reason[0] = '\0';
    }
    lock_release(&vm->lock);
    vm_kick_all(vm);
}

void vm_release(struct vm *vm)
{
    go_on(vm, VM_MOVING);
}

enum err vm_hold(struct vm *vm, struct why *why)
{
    u64 end = time_now() + RESET_LIMIT;
    enum err e;

    while (vm->state == VM_RESETTING && time_now() < end)
        thread_sleep(MSEC(1));
    if (!try_hold(vm))
        return why_set(why, E_STATE, "%s is %s: only a VM that runs or is paused can move",
                       vm->config.name, vm_state_name[vm->state]);
    vm_kick_all(vm);
    e = vm_wait_parked(vm, why);
    if (!e && vm->state != VM_MOVING)
        e = why_set(why, E_STATE, "%s is %s: %s", vm->config.name, vm_state_name[vm->state],
                    vm->reason);
    if (e)
        vm_release(vm);
    return e;
}

enum err vm_renew(struct vm *vm)
{
    struct uart_sink sink = vm->platform.console;
    enum err e = OK;

    for (u32 i = 0; i < vm->config.vcpus && !e; i++) {
        struct vcpu *v = &vm->vcpu[i];

        v->activity = VCPU_ACTIVE;
        v->tsc_adjust = v->kvmclock = 0;
        v->clock_due = v->wall_due = false;
        e = vcpu_renew(v);
    }
    lock_acquire(&vm->lock);
    platform_init(&vm->platform, vm->config.vcpus, 0, &sink);
    vm->console.input_head = vm->console.input_tail = 0;
    vm->clock = (struct guest_clock){0};
    vm->wall_clock = vm->resets = 0;
    vm_set_time(vm, 0, 0);
    lock_release(&vm->lock);
    return e;
}

/* --- made at the target --------------------------------------------------------------------------- */

static void first_missing(void *ctx, const char *what)
{
    struct why *why = ctx;

    if (!why->text[0])
        str_copy(why->text, sizeof(why->text), what);
}

enum err vm_create_incoming(struct vm **vm, const struct config_vm *config,
                            const struct cpuid_policy *cpuid, struct why *why)
{
    struct why missing = {""};
    enum err e;

    if (cpuid->vcpus != config->vcpus)
        return why_set(why, E_FORMAT, "%s has %u vCPUs, and its CPUID table is for %u",
                       config->name, config->vcpus, cpuid->vcpus);
    if (vm_cpuid_compatible(cpuid, first_missing, &missing))
        return why_set(why, E_UNSUPPORTED, "this host cannot give %s %s", config->name,
                       missing.text);
    e = vm_make(vm, config, VM_INCOMING, cpuid, why);
    if (!e)
        str_copy((*vm)->reason, sizeof((*vm)->reason), "it is on its way here");
    return e;
}

void vm_arrive(struct vm *vm)
{
    go_on(vm, VM_INCOMING);
}

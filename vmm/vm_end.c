/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a VM, and who may still hold a pointer to it.
 *
 * A VM is taken from the list, then its threads end, then all that it has is given back but the struct itself and its
 * vCPUs' threads, which cannot run any more: both are freed when the shell begins its next command. So:
 *
 *     the shell                 a VM that it has found is good until its command is done
 *     who has claimed it        until he unclaims it: it is not destroyed
 *     its own threads, timers   until end_threads has seen the last of them
 *     any other thread          while vms_lock is held (vm_feed, vm_query); longer than that it claims
 *
 * A pointer that outlives the VM's end finds VM_DYING, in which nothing can be done to it, and may kick it. */
#include "kernel/heap.h"
#include "kernel/init.h"
#include "kernel/lock.h"
#include "kernel/shell.h"
#include "vmm/share/group.h"
#include "vmm/share/share.h"
#include "vmm/vm.h"

static struct list ended = {&ended, &ended};
static struct lock ended_lock;

static void end_threads(struct vm *vm)
{
    u32 left;

    do {
        lock_acquire(&vm->lock);
        vm_leave_running(vm, VM_DYING);
        left = vm->threads;
        lock_release(&vm->lock);
        vm_kick_all(vm);
        if (left)
            thread_sleep(MSEC(1));
    } while (left);
}

void vm_tear_down(struct vm *vm)
{
    end_threads(vm);
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vcpu_destroy(&vm->vcpu[i]);
    share_detach(&vm->pmap);
    share_group_leave(vm->pmap.group);
    pmap_destroy(&vm->pmap);
}

void vm_free(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        if (vm->vcpu[i].thread)
            thread_put(vm->vcpu[i].thread);
    heap_free(vm);
}

/* It is in no list any more. */
static void end(struct vm *vm)
{
    vm_tear_down(vm);
    lock_acquire(&ended_lock);
    list_append(&ended, &vm->link);
    lock_release(&ended_lock);
    vm_feed();
}

void vm_depart(struct vm *vm)
{
    vm_unlink(vm);
    end(vm);
}

enum err vm_destroy(struct vm *vm, struct why *why)
{
    enum err e = vm_unlink_idle(vm, why);

    if (!e)
        end(vm);
    return e;
}

static struct vm *take_ended(void)
{
    struct vm *vm = NULL;

    lock_acquire(&ended_lock);
    if (!list_empty(&ended)) {
        vm = CONTAINER_OF(ended.next, struct vm, link);
        list_remove(&vm->link);
    }
    lock_release(&ended_lock);
    return vm;
}

void vm_free_ended(void)
{
    struct vm *vm;

    while ((vm = take_ended()))
        vm_free(vm);
}

static void end_init(const struct boot_info *boot)
{
    static struct shell_hooks hooks = {.begin = vm_free_ended};

    (void)boot;
    shell_add_hooks(&hooks);
}
INIT_STEP(4, end_init);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/shell/shell_vm.h"
#include "kernel/string.h"

static const char *next_name(void *ctx, unsigned index)
{
    struct vm *vm = vm_at(index);

    (void)ctx;
    return vm ? vm->config.name : NULL;
}

enum err shell_find_vm(struct vm **vm, const char *name, struct why *why)
{
    char near[CONFIG_NAME + 24];

    *vm = vm_find(name);
    if (*vm)
        return OK;
    return why_set(why, E_NOENT, "there is no VM named '%.31s'%s%s", name,
                   shell_near(near, sizeof(near), name, next_name, NULL),
                   vm_at(0) ? "; `vm list` lists them" : "; `vm create` makes one");
}

void shell_complete_vm(struct shell_completion *c)
{
    struct vm *vm;

    for (unsigned i = 0; (vm = vm_at(i)); i++)
        shell_offer(c, "", vm->config.name);
}

u64 shell_vm_uptime(struct vm *vm)
{
    u64 ns = 0;

    lock_acquire(&vm->lock);
    if (vm->state != VM_OFF)
        ns = vcpu_time(&vm->vcpu[0]).ns;
    lock_release(&vm->lock);
    return ns;
}

/* A thread unsets its vCPU's pointer under the lock when it ends. */
u64 shell_vm_cpu_time(struct vm *vm)
{
    u64 now = time_now(), sum = 0;

    lock_acquire(&vm->lock);
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        const struct thread *t = vm->vcpu[i].thread;
        u64 started = t ? t->started : 0;

        sum += t ? t->cpu_time : 0;
        if (t && t->state == THREAD_RUNNING && now > started)
            sum += now - started;
    }
    lock_release(&vm->lock);
    return sum;
}

struct shell_thread shell_vcpu_thread(struct vcpu *v)
{
    struct shell_thread t = {0};

    lock_acquire(&v->vm->lock);
    if (v->thread)
        t = (struct shell_thread){v->thread->cpu_time, v->thread->last_cpu};
    lock_release(&v->vm->lock);
    return t;
}

u64 shell_vcpu_exits(const struct vcpu *v)
{
    u64 sum = 0;

    for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++)
        sum += v->exit_count[kind];
    return sum;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest time: host time and TSC with an offset each, and standing still while the VM does not run. */
#include "vmm/vm.h"

struct vtime vcpu_time(const struct vcpu *v)
{
    const struct vm *vm = v->vm;
    bool runs = vm->state == VM_RUNNING;
    u64 tsc = runs ? arch_tsc() : vm->stopped_tsc;

    return (struct vtime){
        .ns = (runs ? tsc_to_time(tsc) : vm->stopped_ns) - vm->ns_offset,
        .tsc = tsc + vm->tsc_offset + v->tsc_adjust,
        .tsc_khz = arch_tsc_khz(),
    };
}

u64 vm_host_time(const struct vm *vm, u64 guest_ns)
{
    u64 host = guest_ns + vm->ns_offset;

    if (guest_ns == VTIME_NEVER)
        return U64_MAX;
    if ((s64)vm->ns_offset < 0) /* the guest is older than the host */
        return host < guest_ns ? host : 0;
    return host < guest_ns ? U64_MAX : host;
}

void vm_time_stop(struct vm *vm)
{
    vm->stopped_tsc = arch_tsc();
    vm->stopped_ns = tsc_to_time(vm->stopped_tsc);
}

static void tell_vcpus(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        vm->vcpu[i].hvm.tsc_offset = vm->tsc_offset + vm->vcpu[i].tsc_adjust;
}

void vm_time_go(struct vm *vm)
{
    u64 tsc = arch_tsc();

    vm->ns_offset += tsc_to_time(tsc) - vm->stopped_ns;
    vm->tsc_offset -= tsc - vm->stopped_tsc;
    tell_vcpus(vm);
}

void vm_set_time(struct vm *vm, u64 ns, u64 tsc)
{
    vm_time_stop(vm);
    vm->ns_offset = vm->stopped_ns - ns;
    vm->tsc_offset = tsc - vm->stopped_tsc;
    tell_vcpus(vm);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock that the guest reads without an exit, in KVM's layout: guest_clock.h. It runs at the calibrated rate, and
 * stands still while the VM does. */
#include "kernel/arch.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/vm.h"

#define CLOCK_TSC_STABLE BIT(0) /* flags: all vCPUs' clocks agree */

static enum err write_clock(struct vcpu *v)
{
    const struct guest_clock *clock = &v->vm->clock;
    struct clock_rate rate = clock_rate(arch_tsc_khz());
    struct clock_page page = {
        .flags = CLOCK_TSC_STABLE,
        .tsc_timestamp = clock->tsc + v->tsc_adjust,
        .system_time = clock->ns,
        .tsc_to_system_mul = rate.mul,
        .tsc_shift = rate.shift,
    };
    gpa_t at = GPA(v->kvmclock & ~CLOCK_ENABLED);
    u32 version;
    enum err e;

    if (!(v->kvmclock & CLOCK_ENABLED))
        return OK;
    e = guest_mem_read(&v->vm->pmap, at, &version, sizeof(version));
    page.version = (version | 1) + 1;
    return e ? e : guest_mem_write(&v->vm->pmap, at, &page, sizeof(page));
}

static enum err write_wall(struct vcpu *v)
{
    struct wall_page page = {.version = 2, .seconds = (u32)v->vm->wall_clock};

    return guest_mem_write(&v->vm->pmap, GPA(v->wall_at), &page, sizeof(page));
}

/* A page that cannot be had now is written when the VM goes on. */
enum err kvmclock_update(struct vcpu *v)
{
    enum err e = v->clock_due ? vcpu_memory(v, GPA(v->kvmclock), write_clock(v)) : OK;

    v->clock_due &= e != OK;
    if (!e && v->wall_due)
        e = vcpu_memory(v, GPA(v->wall_at), write_wall(v));
    v->wall_due &= e != OK;
    return e;
}

bool kvmclock_set(struct vcpu *v, u64 value)
{
    if (!clock_msr_is_valid(&v->vm->pmap, value))
        return false;
    v->kvmclock = value;
    kvmclock_due(v);
    return true;
}

bool kvmclock_set_wall(struct vcpu *v, u64 value)
{
    if (!wall_msr_is_valid(&v->vm->pmap, value))
        return false;
    v->wall_at = value;
    v->wall_due = true;
    v->kicked = 1;
    return true;
}

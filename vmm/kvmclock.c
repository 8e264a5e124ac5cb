/* The clock that the guest reads without an exit, in KVM's layout: guest_clock.h. It runs at the calibrated rate, and
 * stands still while the VM does. */
#include "kernel/arch.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/vm.h"

struct wall_page {
    u32 version, seconds, nanoseconds;
};
ASSERT_SIZE(struct wall_page, 12);

#define CLOCK_TSC_STABLE BIT(0) /* flags: all vCPUs' clocks agree */

enum err kvmclock_update(struct vcpu *v)
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
    u32 version = 0;
    enum err e = OK;

    if (v->kvmclock & CLOCK_ENABLED)
        e = guest_mem_read(&v->vm->pmap, at, &version, sizeof(version));
    page.version = (version | 1) + 1;
    if (!e && v->kvmclock & CLOCK_ENABLED)
        e = guest_mem_write(&v->vm->pmap, at, &page, sizeof(page));
    v->clock_due &= e != OK;
    return vcpu_memory(v, at, e);
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
    struct wall_page page = {.version = 2, .seconds = (u32)v->vm->wall_clock};

    return !(value & 3) && !guest_mem_write(&v->vm->pmap, GPA(value), &page, sizeof(page));
}

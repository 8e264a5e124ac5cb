/* The clock that the guest reads without an exit, in KVM's layout (Linux, Documentation/virt/kvm/x86/msr.rst):
 * nanoseconds = system_time + ((tsc - tsc_timestamp) << shift) * mul >> 32. It runs at the calibrated rate,
 * and stands still while the VM does. */
#include "kernel/arch.h"
#include "kernel/string.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/vm.h"

struct clock_page {
    u32 version; /* odd while it changes */
    u32 padding0;
    u64 tsc_timestamp;
    u64 system_time;
    u32 tsc_to_system_mul;
    s8 tsc_shift;
    u8 flags;
    u8 padding1[2];
};
ASSERT_SIZE(struct clock_page, 32);

struct wall_page {
    u32 version, seconds, nanoseconds;
};
ASSERT_SIZE(struct wall_page, 12);

#define CLOCK_ENABLED    BIT(0)
#define CLOCK_TSC_STABLE BIT(0) /* flags: all vCPUs' clocks agree */

/* The shift brings the rate to between 1 and 2 GHz, where the multiplier uses all of its 32 bits. */
static void set_rate(struct clock_page *c, u32 tsc_khz)
{
    u64 rate = tsc_khz * 1000ull;

    while (rate > 2000000000) {
        rate >>= 1;
        c->tsc_shift--;
    }
    while (rate <= 1000000000) {
        rate <<= 1;
        c->tsc_shift++;
    }
    c->tsc_to_system_mul = (u32)((1000000000ull << 32) / rate);
}

void kvmclock_update(struct vcpu *v)
{
    struct vtime now = vcpu_time(v);
    struct clock_page page = {.flags = CLOCK_TSC_STABLE};
    gpa_t at = GPA(v->kvmclock & ~CLOCK_ENABLED);
    u32 version = 0;

    if (!(v->kvmclock & CLOCK_ENABLED) ||
        guest_mem_read(&v->vm->pmap, at, &version, sizeof(version)))
        return;
    page.version = (version | 1) + 1;
    page.tsc_timestamp = now.tsc;
    page.system_time = now.ns;
    set_rate(&page, now.tsc_khz);
    if (guest_mem_write(&v->vm->pmap, at, &page, sizeof(page)))
        v->kvmclock = 0;
}

bool kvmclock_set(struct vcpu *v, u64 value)
{
    u64 at = value & ~CLOCK_ENABLED;

    if (value & CLOCK_ENABLED &&
        (at & 3 || !pmap_is_ram(&v->vm->pmap, GPA(at)) ||
         !pmap_is_ram(&v->vm->pmap, GPA(at + sizeof(struct clock_page) - 1))))
        return false;
    v->kvmclock = value;
    kvmclock_update(v);
    return true;
}

bool kvmclock_set_wall(struct vcpu *v, u64 value)
{
    struct wall_page page = {.version = 2, .seconds = (u32)v->vm->wall_clock};

    return !(value & 3) && !guest_mem_write(&v->vm->pmap, GPA(value), &page, sizeof(page));
}

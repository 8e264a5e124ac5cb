/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's own use of the SSE registers. Interrupts are off in the kernel, so what must outlive it is only
 * what a guest left there: the state of the vCPU that is loaded on this CPU, if there is one. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/xmm.h"
#include "kernel/panic.h"

static struct own_use {
    bool on, keeps;
    struct xmm guests;
} own_use[MAX_CPUS];

bool fpu_own_use(void)
{
    return own_use[cpu_this()->index].on;
}

void arch_fpu_begin(void)
{
    struct cpu *c = cpu_this();
    struct own_use *own = &own_use[c->index];

    if (own->on)
        panic("arch_fpu_begin within another on CPU %u", c->index);
    own->on = true;
    own->keeps = c->vcpu;
    if (own->keeps)
        xmm_save(&own->guests);
}

void arch_fpu_end(void)
{
    struct own_use *own = &own_use[cpu_this()->index];

    if (!own->on)
        panic("arch_fpu_end without arch_fpu_begin on CPU %u", cpu_this()->index);
    if (own->keeps)
        xmm_load(&own->guests);
    own->on = false;
}

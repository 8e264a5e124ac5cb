/* SPDX-License-Identifier: BSD-2-Clause */
/* Spin locks. Interrupts are off in the kernel, and a thread gives up its CPU only where it says
 * so, which it must not do while it holds one.
 *
 * Order, outermost first: vm list, vm, share, pmap, ip, RDMA device, NIC, timers, frames, heap, log; the scheduler's is
 * innermost and taken by thread_wake, which may be called under any of them. */
#pragma once
#include "kernel/arch.h"

struct lock {
    u32 taken;
};

static inline void lock_acquire(struct lock *l)
{
    while (__atomic_exchange_n(&l->taken, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&l->taken, __ATOMIC_RELAXED))
            arch_relax();
}
static inline void lock_release(struct lock *l)
{
    __atomic_store_n(&l->taken, 0, __ATOMIC_RELEASE);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/tlb.h"

bool tlb_arrive(struct hvm_vcpu *v, u32 cpu)
{
    if (v->cpu == cpu)
        return false;
    v->cpu = cpu;
    v->slat_generation = 0;
    return true;
}

u64 tlb_stale(const struct hvm_vcpu *v)
{
    u64 generation = __atomic_load_n(&v->slat->generation, __ATOMIC_ACQUIRE);

    return v->slat_generation == generation ? 0 : generation;
}

void tlb_reached(struct hvm_vcpu *v, u64 generation)
{
    __atomic_store_n(&v->slat_generation, generation, __ATOMIC_RELEASE);
}

enum asid_flush asid_prepare(struct asid_pool *pool, struct asid *asid, bool stale,
                             bool can_flush_one)
{
    enum asid_flush flush = ASID_KEEP;

    if (asid->generation == pool->generation && (!stale || can_flush_one))
        return stale ? ASID_FLUSH_ONE : ASID_KEEP;
    if (pool->next == pool->count) {
        pool->generation++;
        pool->next = 1;
        flush = ASID_FLUSH_ALL;
    }
    *asid = (struct asid){.generation = pool->generation, .number = pool->next++};
    return flush;
}

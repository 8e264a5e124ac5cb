/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory regions: a key is its slot's number and, in the low byte, how often the slot was used. Slots are taken in
 * turn, so a key comes back after a million others. */
#include "drivers/net/roce/device_internal.h"

static u32 free_slot(struct roce_device *d)
{
    for (u32 i = 0; i < ROCE_MAX_MR; i++) {
        u32 slot = d->mr_next++ & (ROCE_MAX_MR - 1);

        if (slot && !d->mr[slot]) /* slot 0 would make key 0, which stands for no key */
            return slot;
    }
    return 0;
}

enum err roce_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                     struct why *why)
{
    struct roce_device *d = roce_of(pd->device);
    u64 first = init->offset >> PAGE_SHIFT, offset = init->offset & PAGE_MASK;
    u64 count = (offset + init->length + PAGE_MASK) >> PAGE_SHIFT;
    u32 slot = free_slot(d);
    struct roce_mr *m;

    if (!slot)
        return why_set(why, E_NOMEM, "all %u memory regions are in use", ROCE_MAX_MR - 1);
    m = d->port.alloc(sizeof(*m) + count * sizeof(m->frames[0]));
    if (!m)
        return why_set(why, E_NOMEM, "no memory for a list of %llu frames",
                       (unsigned long long)count);
    memcpy(m->frames, init->frames + first, count * sizeof(m->frames[0]));
    m->offset = offset;
    m->base.lkey = m->base.rkey = slot << 8 | ++d->mr_generation[slot];
    d->mr[slot] = m;
    d->mrs++;
    *mr = &m->base;
    return OK;
}

/* Every access looks its key up, and none is under way while the lock is held: done at once, told later. */
void roce_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    struct roce_device *d = roce_of(mr->pd->device);
    struct roce_mr *m = CONTAINER_OF(mr, struct roce_mr, base);

    d->mr[mr->lkey >> 8] = NULL;
    d->mrs--;
    d->port.free(m);
    roce_done(d, done);
}

/* The host's memory is contiguous where it is mapped. Remote rights are asked for by peers alone. */
static enum rc_memory translate_dma(const struct rc_range *range, struct rc_piece *piece)
{
    if (range->access & ~(u32)ACCESS_LOCAL_WRITE)
        return RC_MEMORY_KEY;
    *piece = (struct rc_piece){phys_to_virt(HPA(range->addr)), range->size};
    return RC_MEMORY_OK;
}

enum rc_memory roce_translate(struct roce_device *d, const struct verbs_pd *pd,
                              const struct rc_range *range, struct rc_piece *piece)
{
    u32 slot = range->key >> 8;
    const struct roce_mr *m = slot < ROCE_MAX_MR ? d->mr[slot] : NULL;
    u64 at, in_page;

    if (range->key == ROCE_DMA_LKEY)
        return translate_dma(range, piece);
    if (!m || m->base.lkey != range->key)
        return RC_MEMORY_KEY;
    if (m->base.pd != pd)
        return RC_MEMORY_DOMAIN;
    if (range->access & ~m->base.access)
        return RC_MEMORY_RIGHTS;
    at = range->addr - m->base.iova;
    if (range->addr < m->base.iova || at > m->base.length || range->size > m->base.length - at)
        return RC_MEMORY_RANGE;
    if (!range->size) { /* of nothing, anywhere in the region: its end has no frame */
        *piece = (struct rc_piece){0};
        return RC_MEMORY_OK;
    }
    at += m->offset;
    in_page = at & PAGE_MASK;
    piece->at = (u8 *)phys_to_virt(m->frames[at >> PAGE_SHIFT]) + in_page;
    piece->size = (u32)MIN(PAGE_SIZE - in_page, range->size);
    return RC_MEMORY_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages by their hash, for who is told of a page by another host. */
#include "kernel/frames.h"
#include "vmm/share/hash.h"
#include "vmm/share/scan.h"

/* The frame that the index names, with a user for the caller, or 0. */
static hpa_t take(u16 group, const struct index_hit *hit)
{
    struct pmap *p;
    hpa_t frame = HPA(hit->frame * PAGE_SIZE);

    if (hit->kind == INDEX_FRAME)
        return frame_get_if(frame, FRAME_SHARED, group) ? frame : HPA(0);
    p = share_members[hit->vm].pmap;
    if (!p || p->group != group || hit->page >= pmap_pages(p))
        return HPA(0);
    return merge_offer(p, hit->page);
}

static hpa_t find(u16 group, u64 hash)
{
    struct index_hit hit;

    for (unsigned way = 0; index_find(&share_index, hash, &way, &hit); way++) {
        hpa_t frame = take(group, &hit);

        if (frame.v && share_hash(group, frame) == hash)
            return frame;
        if (frame.v)
            frame_put(frame);
    }
    return HPA(0);
}

void share_find(u16 group, const u64 *hash, hpa_t *frame, unsigned count)
{
    share_enter();
    for (unsigned i = 0; i < count; i++)
        frame[i] = find(group, hash[i]);
    share_leave();
}

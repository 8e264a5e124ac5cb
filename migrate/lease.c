/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/lease.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "migrate/agent.h"

hpa_t *lease_room(struct lease *l, u32 *first)
{
    struct lease_chunk *c = l->filling;

    if (!c || c->count + LEASE_SOME > LEASE_CHUNK) {
        c = l->filling = l->chunks < LEASE_CHUNKS ? heap_alloc(sizeof(*c)) : NULL;
        if (!c)
            return NULL;
        l->chunk[l->chunks++] = c;
    }
    *first = (l->chunks - 1) * LEASE_CHUNK + c->count;
    return &c->frame[c->count];
}

void lease_add(struct lease *l, u32 count)
{
    struct lease_chunk *c = l->filling;

    frames_get(&c->frame[c->count], count);
    c->count += count;
    c->left += count;
    l->slots += count;
    l->left += count;
}

enum err lease_open(struct lease *l, struct message_chunk *m, bool *opened, struct why *why)
{
    *opened = false;
    for (u32 i = 0; i < l->chunks; i++) {
        struct lease_chunk *c = l->chunk[i];
        struct verbs_mr_init init = {.frames = c->frame,
                                     .frame_count = c->count,
                                     .length = (u64)c->count * PAGE_SIZE,
                                     .iova = (u64)i * LEASE_CHUNK * PAGE_SIZE,
                                     .access = ACCESS_REMOTE_READ};
        enum err e;

        if (c->mr || c->closing || !c->count)
            continue;
        l->filling = NULL;
        e = verbs_reg_mr(l->peer->pd, &init, &c->mr, why);
        if (e)
            return e;
        m->addr = init.iova;
        m->first_slot = i * LEASE_CHUNK;
        m->count = c->count;
        m->rkey = c->mr->rkey;
        *opened = true;
        return OK;
    }
    return OK;
}

hpa_t lease_frame(const struct lease *l, u32 slot)
{
    const struct lease_chunk *c =
        slot / LEASE_CHUNK < l->chunks ? l->chunk[slot / LEASE_CHUNK] : NULL;

    return c && slot % LEASE_CHUNK < c->count ? c->frame[slot % LEASE_CHUNK] : HPA(0);
}

static void close_chunk(struct lease_chunk *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->end.over = !c->mr;
    if (c->mr)
        verbs_invalidate_mr(c->mr, verbs_end_begin(&c->end));
    c->mr = NULL;
}

bool lease_return(struct lease *l, u32 first, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u32 slot = first + i;
        struct lease_chunk *c =
            slot >= first && slot / LEASE_CHUNK < l->chunks ? l->chunk[slot / LEASE_CHUNK] : NULL;
        hpa_t frame = lease_frame(l, slot);

        if (!c || slot % LEASE_CHUNK >= c->count || (!c->mr && !c->closing))
            return false;
        if (!frame.v)
            continue; /* is back already */
        c->frame[slot % LEASE_CHUNK] = HPA(0);
        frame_put(frame);
        l->left--;
        if (!--c->left && c->mr)
            close_chunk(c);
    }
    return true;
}

void lease_void(struct lease *l)
{
    l->voided = true;
    l->filling = NULL;
    for (u32 i = 0; i < l->chunks; i++)
        close_chunk(l->chunk[i]);
}

static void free_chunk(struct lease *l, struct lease_chunk *c)
{
    for (u32 k = 0; k < c->count; k++)
        if (c->frame[k].v) {
            frame_put(c->frame[k]);
            l->left--;
        }
    heap_free(c);
}

bool lease_poll(struct lease *l)
{
    bool ending = false;

    if (!l->used || (!l->voided && (!l->lent || l->left)))
        return false;
    for (u32 i = 0; i < l->chunks; i++) {
        close_chunk(l->chunk[i]);
        ending |= !verbs_end_is_over(&l->chunk[i]->end);
    }
    if (ending)
        return true;
    for (u32 i = 0; i < l->chunks; i++)
        free_chunk(l, l->chunk[i]);
    l->chunks = 0;
    l->filling = NULL;
    l->used = false;
    l->peer->agent->leases--;
    return false;
}

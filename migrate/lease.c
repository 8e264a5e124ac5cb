/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/lease.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "migrate/agent.h"

static struct lease_chunk *add_chunk(struct lease *l)
{
    u32 room = l->room ? l->room * 2 : 16;
    struct lease_chunk *c, **more;

    if (l->chunks == l->room) {
        more = heap_grow(l->chunk, l->room * sizeof(void *), room * sizeof(void *));
        if (!more)
            return NULL;
        l->chunk = more;
        l->room = room;
    }
    c = heap_alloc(sizeof(*c));
    if (c)
        l->chunk[l->chunks++] = c;
    return c;
}

hpa_t *lease_room(struct lease *l, u32 *first)
{
    struct lease_chunk *c = l->filling;

    if (!c || c->count + LEASE_SOME > LEASE_CHUNK)
        c = l->filling = add_chunk(l);
    if (!c)
        return NULL;
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

static struct lease_chunk *find_chunk(const struct lease *l, u32 slot)
{
    struct lease_chunk *c = slot / LEASE_CHUNK < l->chunks ? l->chunk[slot / LEASE_CHUNK] : NULL;

    return c && slot % LEASE_CHUNK < c->count ? c : NULL;
}

static bool is_returned(const struct lease_chunk *c, u32 k)
{
    return c->returned[k / 64] >> (k % 64) & 1;
}

hpa_t lease_frame(const struct lease *l, u32 slot)
{
    const struct lease_chunk *c = find_chunk(l, slot);

    return c && !is_returned(c, slot % LEASE_CHUNK) ? c->frame[slot % LEASE_CHUNK] : HPA(0);
}

static void close_chunk(struct lease *l, struct lease_chunk *c)
{
    if (c->closing)
        return;
    c->closing = true;
    l->ending++;
    c->end.over = !c->mr;
    if (c->mr)
        verbs_invalidate_mr(c->mr, verbs_end_begin(&c->end));
    c->mr = NULL;
}

static bool return_slot(struct lease *l, u32 slot)
{
    struct lease_chunk *c = find_chunk(l, slot);
    u32 k = slot % LEASE_CHUNK;

    if (!c || (!c->mr && !c->closing))
        return false;
    if (is_returned(c, k))
        return true;
    c->returned[k / 64] |= BIT(k % 64);
    l->left--;
    if (!--c->left)
        close_chunk(l, c);
    return true;
}

bool lease_return(struct lease *l, u32 first, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (first + i < first || !return_slot(l, first + i))
            return false;
        if (i % LEASE_CHUNK == LEASE_CHUNK - 1)
            thread_yield(); /* a lender of gigabytes has much to do here */
    }
    return true;
}

void lease_void(struct lease *l)
{
    l->voided = true;
    l->filling = NULL;
    for (u32 i = 0; i < l->chunks; i++)
        close_chunk(l, l->chunk[i]);
}

/* Nobody can read its frames any more. */
static void release_chunk(struct lease *l, struct lease_chunk *c)
{
    for (u32 k = 0; k < c->count; k++) {
        frame_put(c->frame[k]);
        l->left -= !is_returned(c, k);
    }
    memset(c->returned, 0xff, sizeof(c->returned));
    c->left = 0;
    c->released = true;
    l->ending--;
}

static void release_ended(struct lease *l)
{
    for (u32 i = 0; l->ending && i < l->chunks; i++) {
        struct lease_chunk *c = l->chunk[i];

        if (c->closing && !c->released && verbs_end_is_over(&c->end))
            release_chunk(l, c);
    }
}

static void free_lease(struct lease *l)
{
    for (u32 i = 0; i < l->chunks; i++)
        heap_free(l->chunk[i]);
    heap_free(l->chunk);
    l->chunk = NULL;
    l->chunks = l->room = 0;
    l->filling = NULL;
    l->used = false;
    l->peer->agent->leases--;
}

bool lease_poll(struct lease *l)
{
    if (!l->used)
        return false;
    if (l->lent && !l->left && !l->voided)
        lease_void(l);
    release_ended(l);
    if (l->voided && !l->ending)
        free_lease(l);
    return l->ending;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/pages.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "migrate/agent.h"
#include "vmm/layout.h"
#include "vmm/share/group.h"
#include "vmm/share/hash.h"

#define PREPARE_STEP 2048 /* pages that are made small before others have their turn */
#define STEP         4 /* times DIRTY_SOME pages that are looked at before others have their turn */

_Static_assert(LEASE_SOME >= DIRTY_SOME, "slots for all that are looked at at once");

/* How a page went: the kind in the upper 3 bits, a number below. */
enum sent { SENT_NONE, SENT_GRANT, SENT_LEADER, SENT_ALIAS, SENT_DEFER, SENT_HOME };

static u32 sent_as(enum sent kind, u32 n)
{
    return (u32)kind << 29 | n;
}
static enum sent sent_kind(u32 sent)
{
    return sent >> 29;
}
static u32 sent_n(u32 sent)
{
    return sent & (u32)(BIT(29) - 1);
}

/* --- shared frames ---------------------------------------------------------------------------------- */

static enum err ways_create(struct pages *g, u64 most)
{
    u64 size = 1;

    while (size < (most + DIRTY_SOME) * 2)
        size *= 2;
    g->way = heap_alloc(size * sizeof(g->way[0]));
    g->way_mask = size - 1;
    return g->way ? OK : E_NOMEM;
}

/* For those that are looked at at once. */
static bool has_room_for_ways(const struct pages *g)
{
    return (g->ways + DIRTY_SOME) * 4 <= g->way_mask * 3;
}

/* How the frame went; a new one where it is met the first time. */
static struct pages_way *way_of(struct pages *g, hpa_t frame)
{
    u32 n = (u32)(frame.v / PAGE_SIZE);
    u64 at = n * 0x9e3779b97f4a7c15ull >> 20;
    struct pages_way *way;

    while ((way = &g->way[at & g->way_mask])->frame != n) {
        if (!way->frame) {
            way->frame = n;
            g->ways++;
            break;
        }
        at++;
    }
    return way;
}

/* Does a page lead the others that show the frame? */
static bool is_led(const struct pages *g, const struct pages_way *way)
{
    return sent_kind(way->sent) == SENT_LEADER && g->sent[way->leader] == way->sent;
}

/* --- making ------------------------------------------------------------------------------------------- */

enum err pages_create(struct pages *g, struct move *m, struct lease *lease)
{
    struct pmap *p = m->pmap;
    u64 pages = pmap_pages(p);

    *g = (struct pages){.move = m, .lease = lease};
    g->room = (u32)(pages / (PAGES_GRANT - DIRTY_SOME) * 2 + 256);
    g->sent = heap_alloc(pages * sizeof(g->sent[0]));
    g->grant = heap_alloc(g->room * sizeof(g->grant[0]));
    if (!g->sent || !g->grant || ways_create(g, p->count[PAGE_SHARED]))
        return E_NOMEM;
    g->attached = dirty_attach(p, DIRTY_MOVE) == OK;
    return g->attached ? OK : E_NOMEM;
}

static void drop_wanted(const struct pages_wanted *w)
{
    if (w->leads.v)
        frame_put(w->leads);
}

void pages_detach(struct pages *g)
{
    if (g->attached)
        dirty_detach(g->move->pmap, DIRTY_MOVE);
    g->attached = false;
}

void pages_destroy(struct pages *g)
{
    if (!g->move)
        return;
    pages_detach(g);
    for (u32 i = g->write_grant; i < g->grants; i++) {
        for (u32 k = i == g->write_grant ? g->write_at : 0; k < g->grant[i].count; k++)
            drop_wanted(&g->grant[i].page[k]);
        heap_free(g->grant[i].page);
    }
    for (u32 i = 0; i < g->wanted; i++)
        drop_wanted(&g->want[i]);
    for (u32 i = 0; i < g->write.frames; i++)
        frame_put(g->write.frame[i]);
    heap_free(g->grant);
    heap_free(g->mac);
    heap_free(g->sent);
    heap_free(g->way);
    g->move = NULL;
}

/* --- looking at pages ----------------------------------------------------------------------------------- */

/* A page as it is now; the lock is held. */
static hpa_t frame_now(const struct pmap *p, u64 index, enum page_state *state)
{
    hpa_t frame;

    ptab_frames(&p->slat.table, pmap_gpa(index).v, 1, &frame);
    *state = pmap_state(p, index);
    return *state == PAGE_EMPTY ? HPA(0) : frame;
}

enum err pages_prepare(struct pages *g, bool *done)
{
    struct pmap *p = g->move->pmap;
    u64 begin = g->cursor, end = MIN(begin + PREPARE_STEP, pmap_pages(p));
    enum err e = OK;

    lock_acquire(&p->lock);
    for (; g->cursor < end && !e; g->cursor += PMAP_LARGE)
        if (pmap_record(p, g->cursor))
            e = pmap_split(p, pmap_gpa(g->cursor));
    for (u64 i = begin; i < end; i += 64)
        (void)dirty_take_used(p, i);
    lock_release(&p->lock);
    if (e == E_AGAIN) { /* pages are being put together there, for the time of a shoot-down */
        g->cursor -= PMAP_LARGE;
        *done = false;
        return OK;
    }
    *done = end == pmap_pages(p);
    if (*done)
        pmap_shoot_down(p); /* CPUs must note writes in the small entries */
    return e;
}

/* It goes into the grant that is asked for next. Before that has come, and it was written there, no other round begins. */
static void want(struct pages *g, u64 index, hpa_t leads)
{
    if (leads.v)
        frame_get(leads);
    g->sent[index] =
        sent_as(leads.v ? SENT_LEADER : SENT_GRANT, g->grants * PAGES_GRANT + g->wanted);
    g->want[g->wanted++] = (struct pages_wanted){(u32)index, leads};
    g->wants++;
}

static void to_zero(struct pages *g, u64 index)
{
    if (g->sent[index] == sent_as(SENT_NONE, 0))
        return; /* the target has zeros there */
    g->sent[index] = sent_as(SENT_NONE, 0);
    message_add_run(g->zero.run, &g->zero.count, (u32)index);
}

/* Adds a page to the WRITE in the making, or begins another; the frame's user is the WRITE's. */
static enum err flush_write(struct pages *g);
static enum err add_write(struct pages *g, u32 grant, u32 at, hpa_t frame)
{
    enum err e = OK;

    if (g->write.frames && (g->write.grant != grant || g->write.first + g->write.frames != at ||
                            g->write.frames == LINK_FRAMES))
        e = flush_write(g);
    if (e)
        return e;
    if (!g->write.frames) {
        g->write.grant = grant;
        g->write.first = at;
    }
    g->write.frame[g->write.frames++] = frame;
    return OK;
}

static enum err write_page(struct pages *g, u64 index, hpa_t frame)
{
    u32 n = sent_n(g->sent[index]);
    enum err e;

    frame_get(frame);
    e = add_write(g, n / PAGES_GRANT, n % PAGES_GRANT, frame);
    if (e)
        frame_put(frame);
    return e;
}

/* Pages of which every user is in the VM: the first one that is met leads. What the target's frame gets then is the shared
 * frame's, also when the leader is written before its grant comes. */
static enum err to_alias(struct pages *g, u64 index, hpa_t frame, struct pages_way *way)
{
    u32 sent;

    if (!is_led(g, way)) {
        want(g, index, frame);
        way->leader = (u32)index;
        way->sent = g->sent[index];
        return OK;
    }
    if (way->leader == index)
        return write_page(g, index, frame);
    sent = sent_as(SENT_ALIAS, way->leader);
    if (g->sent[index] == sent)
        return OK;
    g->sent[index] = sent;
    g->move->figures.pages_alias++;
    g->alias.alias[g->alias.count++] = (struct message_alias_of){(u32)index, way->leader};
    return OK;
}

static enum err to_grant(struct pages *g, u64 index, hpa_t frame)
{
    enum err e;

    if (sent_kind(g->sent[index]) != SENT_GRANT) {
        want(g, index, HPA(0));
        return OK;
    }
    e = write_page(g, index, frame);
    g->move->figures.pages_resent += !e;
    return e;
}

static enum err to_home(struct pages *g, u64 index)
{
    struct pmap *p = g->move->pmap;
    const struct borrow *b = p->lender;
    u32 slot = (u32)pmap_record(p, index)->slot, sent = sent_as(SENT_HOME, slot);

    if (g->sent[index] == sent)
        return OK;
    g->sent[index] = sent;
    g->move->figures.pages_home++;
    g->home.lease = b->epoch;
    g->home.page[g->home.count++] = (struct message_home_of){(u32)index, slot};
    return OK;
}

static enum err to_slot(struct pages *g, u64 index, hpa_t frame, struct pages_way *way)
{
    u32 slot;
    hpa_t *room;

    if (sent_kind(way->sent) != SENT_DEFER) {
        room = lease_room(g->lease, &slot);
        if (!room)
            return E_NOMEM;
        *room = frame;
        lease_add(g->lease, 1);
        way->sent = sent_as(SENT_DEFER, slot);
    }
    g->sent[index] = way->sent;
    g->move->figures.pages_deferred++;
    g->defer.unknown |= !frame_pages(frame)->hash;
    g->defer.page[g->defer.count++] = (struct message_defer_of){
        .page = (u32)index, .slot = sent_n(way->sent), .digest = frame_pages(frame)->hash};
    return OK;
}

/* Nobody can write a frame that is lent: where its page shows it still, all is said. */
static bool is_deferred(const struct pages *g, u32 sent, hpa_t frame)
{
    return sent_kind(sent) == SENT_DEFER && lease_frame(g->lease, sent_n(sent)).v == frame.v;
}

/* Where a frame has users outside the VM it stays here, and once it is lent. */
static enum err to_shared(struct pages *g, u64 index, hpa_t frame)
{
    struct pages_way *way;

    if (is_deferred(g, g->sent[index], frame))
        return OK;
    way = way_of(g, frame);
    if (sent_kind(way->sent) == SENT_DEFER ||
        (!is_led(g, way) && rmap_used_outside(frame, g->move->pmap)))
        return to_slot(g, index, frame, way);
    return to_alias(g, index, frame, way);
}

/* For the first round: pages whose frame one other page shows, which is of another VM, and whose hash is known. They get a slot
 * each, and nobody will ask for the frame's way. Where VMs share, these are the most, so their way is short. *marks is then
 * of the others. */
static NOINLINE enum err look_at_pairs(struct pages *g, const struct page record[],
                                       const hpa_t frame[], u64 *marks)
{
    const u64 own = g->move->pmap->first_page, pages = pmap_pages(g->move->pmap);
    struct message_defer_of *to = g->defer.page + g->defer.count;
    u32 *sent = g->sent + g->cursor, first = (u32)g->cursor, first_slot, slot;
    hpa_t *room = lease_room(g->lease, &first_slot);
    u64 others = 0;

    if (!room)
        return E_NOMEM;
    slot = first_slot;
    for (u64 left = *marks; left; left &= left - 1) {
        u64 i = (u64)__builtin_ctzll(left);
        const struct page page = record[i];
        const struct frame_pages *of = frame_pages(frame[i]);

        if (UNLIKELY(page.state != PAGE_SHARED || of->count != 2 || !of->hash ||
                     (page.next | page.prev) - own < pages)) { /* of the two one is 0 */
            others |= BIT(i);
            continue;
        }
        *room++ = frame[i];
        to->digest = of->hash;
        to->slot = slot;
        to++->page = first + (u32)i;
        sent[i] = sent_as(SENT_DEFER, slot++);
    }
    lease_add(g->lease, slot - first_slot);
    g->defer.count += slot - first_slot;
    g->move->figures.pages_deferred += slot - first_slot;
    *marks = others;
    return OK;
}

/* Another page, by its state and what it is mapped to; the lock is held. E_AGAIN: no room for a WRITE now. */
static enum err look_at(struct pages *g, u64 index, enum page_state state, hpa_t frame)
{
    switch (state) {
    case PAGE_PRIVATE:
        if (frame.v && !page_is_zero(phys_to_virt(frame)))
            return to_grant(g, index, frame);
        break;
    case PAGE_SHARED: return to_shared(g, index, frame);
    case PAGE_REMOTE:
    case PAGE_CACHED: return to_home(g, index);
    default: break;
    }
    to_zero(g, index);
    return OK;
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static void *begin_message(struct pages *g)
{
    struct message_list *l = link_room(g->move->peer->link);

    l->epoch = g->move->epoch;
    return l;
}

static void end_message(struct pages *g, enum message_type type, u32 size)
{
    g->move->figures.description_bytes += size;
    link_send(g->move->peer->link, type, size);
}

static enum err ask_grant(struct pages *g)
{
    struct message_runs *m;
    struct pages_grant *grant = &g->grant[g->grants];

    if (g->grants == g->room)
        return E_NOMEM;
    *grant = (struct pages_grant){.count = g->wanted};
    grant->page = heap_alloc(g->wanted * sizeof(grant->page[0]));
    if (!grant->page)
        return E_NOMEM;
    memcpy(grant->page, g->want, g->wanted * sizeof(grant->page[0]));
    m = begin_message(g);
    m->l.grant = g->grants++;
    for (u32 i = 0; i < g->wanted; i++)
        message_add_run(m->run, &m->l.count, g->want[i].index);
    g->wanted = 0;
    g->asked++;
    end_message(g, MESSAGE_ASK_GRANT, (u32)(sizeof(*m) + m->l.count * sizeof(m->run[0])));
    return OK;
}

/* A message of elements: those that were collected, which begin behind `fixed` bytes of it. */
static void send_list(struct pages *g, enum message_type type, void *message, u32 fixed,
                      const void *from, u32 *count, u32 element)
{
    struct message_list *l = message;

    l->count = *count;
    memcpy((u8 *)message + fixed, from, *count * element);
    end_message(g, type, fixed + *count * element);
    *count = 0;
}

static void send_home(struct pages *g)
{
    struct message_home *m = begin_message(g);

    m->lease = g->home.lease;
    send_list(g, MESSAGE_HOME, m, sizeof(*m), g->home.page, &g->home.count,
              sizeof(g->home.page[0]));
}

/* The slots' keys go before the pages that are in them. */
static enum err send_defer(struct pages *g, struct why *why)
{
    bool opened = true;

    while (opened) {
        struct message_chunk *c = begin_message(g);
        enum err e = lease_open(g->lease, c, &opened, why);

        if (e)
            return e;
        if (opened)
            end_message(g, MESSAGE_CHUNK, sizeof(*c));
    }
    send_list(g, MESSAGE_DEFER, begin_message(g), sizeof(struct message_defer), g->defer.page,
              &g->defer.count, sizeof(g->defer.page[0]));
    return OK;
}

/* Of a list with that much room: is it to be sent? At once so many pages are looked at as DIRTY_SOME. */
static bool is_due(u32 count, u32 room, bool all)
{
    return count && (all || count > room - DIRTY_SOME);
}

/* Sends what is full, or all of it. E_AGAIN: no room for messages now. An alias goes behind the grant that its leader
 * waits for. */
static enum err flush_messages(struct pages *g, bool all, struct why *why)
{
    const struct peer *p = g->move->peer;
    bool aliases = is_due(g->alias.count, COUNT_OF(g->alias.alias), all);
    enum err e = OK;

    if (is_due(g->wanted, PAGES_GRANT, all || aliases)) {
        if (!peer_has_room(p) || g->asked == PAGES_ASKS)
            return E_AGAIN;
        e = ask_grant(g);
    }
    if (!e && is_due(g->zero.count, COUNT_OF(g->zero.run), all)) {
        if (!peer_has_room(p))
            return E_AGAIN;
        send_list(g, MESSAGE_ZERO, begin_message(g), sizeof(struct message_runs), g->zero.run,
                  &g->zero.count, sizeof(g->zero.run[0]));
    }
    if (!e && aliases) {
        if (!peer_has_room(p))
            return E_AGAIN;
        send_list(g, MESSAGE_ALIAS, begin_message(g), sizeof(struct message_alias), g->alias.alias,
                  &g->alias.count, sizeof(g->alias.alias[0]));
    }
    if (!e && is_due(g->home.count, COUNT_OF(g->home.page), all)) {
        if (!peer_has_room(p))
            return E_AGAIN;
        send_home(g);
    }
    if (!e && is_due(g->defer.count, COUNT_OF(g->defer.page), all)) {
        if (!peer_has_room(p))
            return E_AGAIN;
        e = send_defer(g, why);
    }
    return e;
}

/* --- writing ------------------------------------------------------------------------------------------------ */

static void written(void *owner, u64 tag, bool good)
{
    struct pages *g = owner;

    (void)tag;
    g->in_flight--;
    g->broken |= !good;
}

static enum err flush_write(struct pages *g)
{
    const struct pages_grant *grant = &g->grant[g->write.grant];
    struct link_work work = {.done = written, .owner = g, .frames = g->write.frames};
    u32 size = g->write.frames * (u32)PAGE_SIZE;
    enum err e;

    if (!g->write.frames)
        return OK;
    memcpy(work.frame, g->write.frame, sizeof(work.frame));
    /* A page always goes the same way: what is written to it later arrives later. */
    e = link_write(g->move->peer->link, g->write.grant % LINK_DATA_QPS, &work,
                   grant->addr + (u64)g->write.first * PAGE_SIZE, grant->rkey, size);
    if (e)
        return e;
    g->in_flight++;
    g->move->figures.pages_written += g->write.frames;
    g->written_bytes += size;
    g->write.frames = 0;
    return OK;
}

/* The first time for a page whose grant has come: as it is now; of a leader, what it leads. */
static enum err write_granted(struct pages *g, u32 grant, u32 at)
{
    struct pmap *p = g->move->pmap;
    struct pages_wanted *w = &g->grant[grant].page[at];
    enum page_state state;
    enum err e = OK;
    hpa_t frame;

    lock_acquire(&p->lock);
    frame = w->leads.v ? w->leads : frame_now(p, w->index, &state);
    if (frame.v)
        e = write_page(g, w->index, frame);
    lock_release(&p->lock);
    if (!e && w->leads.v)
        frame_put(w->leads); /* the WRITE has one of its own */
    return e;
}

/* Grants come in any order, and are written in that of their numbers. */
static enum err write_grants(struct pages *g)
{
    while (g->write_grant < g->grants && g->grant[g->write_grant].given) {
        struct pages_grant *grant = &g->grant[g->write_grant];

        for (; g->write_at < grant->count; g->write_at++) {
            enum err e = write_granted(g, g->write_grant, g->write_at);

            if (e)
                return e;
        }
        heap_free(grant->page);
        grant->page = NULL;
        g->write_grant++;
        g->write_at = 0;
    }
    return OK;
}

/* Of 64 pages: those that stayed and were used. */
static u64 used_that_stay(struct pages *g, u64 index)
{
    u64 pages = dirty_take_used(g->move->pmap, index), used = 0;

    for (; pages; pages &= pages - 1) {
        u32 k = (u32)__builtin_ctzll(pages);

        if (index + k < pmap_pages(g->move->pmap) && sent_kind(g->sent[index + k]) == SENT_DEFER)
            used |= BIT(k);
    }
    return used;
}

void pages_tell_used(struct pages *g)
{
    struct pmap *p = g->move->pmap;
    u64 pages = pmap_pages(p);

    for (u64 i = 0; i < pages && peer_has_room(g->move->peer);) {
        struct message_runs *m = begin_message(g);

        lock_acquire(&p->lock);
        for (; i < pages && m->l.count + 64 < MESSAGE_ROOM / sizeof(m->run[0]); i += 64)
            for (u64 used = used_that_stay(g, i); used; used &= used - 1)
                message_add_run(m->run, &m->l.count, (u32)i + (u32)__builtin_ctzll(used));
        lock_release(&p->lock);
        if (m->l.count)
            link_send(g->move->peer->link, MESSAGE_USED,
                      (u32)(sizeof(*m) + m->l.count * sizeof(m->run[0])));
    }
}

bool pages_granted(struct pages *g, const struct message_grant *m)
{
    struct pages_grant *grant = m->grant < g->grants ? &g->grant[m->grant] : NULL;

    if (!grant || grant->given)
        return false;
    grant->given = true;
    grant->addr = m->addr;
    grant->rkey = m->rkey;
    g->asked--;
    return true;
}

/* --- a round -------------------------------------------------------------------------------------------------- */

void pages_begin_round(struct pages *g)
{
    g->cursor = 0;
    g->walking = true;
}

/* The next pages that are marked; *any: there are some. Those that could not be sent stay marked, and are the next; those in
 * front of them are not looked at again in this round. */
static enum err look_at_some(struct pages *g, bool *any)
{
    struct pmap *p = g->move->pmap;
    hpa_t frame[DIRTY_SOME];
    const struct page *record = NULL;
    enum err e = OK;
    u64 marks;

    if (!has_room_for_ways(g))
        return E_NOMEM;
    lock_acquire(&p->lock);
    marks = dirty_take_some(p, DIRTY_MOVE, &g->cursor);
    *any = marks;
    if (marks) {
        record = pmap_record(p, g->cursor);
        ptab_frames(&p->slat.table, pmap_gpa(g->cursor).v, DIRTY_SOME, frame);
    }
    if (record && g->move->figures.round == 1)
        e = look_at_pairs(g, record, frame, &marks);
    while (marks && !e) {
        u32 i = (u32)__builtin_ctzll(marks);

        e = look_at(g, g->cursor + i, record ? record[i].state : PAGE_EMPTY, frame[i]);
        if (!e)
            marks &= marks - 1;
    }
    if (marks)
        dirty_put_back(p, DIRTY_MOVE, g->cursor, marks);
    g->cursor += marks ? (u64)__builtin_ctzll(marks) : DIRTY_SOME;
    lock_release(&p->lock);
    return e;
}

static enum err room_for_macs(struct pages *g)
{
    u32 room = g->lease->chunks * LEASE_CHUNK;
    void *more;

    if (room <= g->macs)
        return OK;
    room = MAX(room, g->macs * 2);
    more = heap_grow(g->mac, g->macs * sizeof(g->mac[0]), room * sizeof(g->mac[0]));
    if (!more)
        return E_NOMEM;
    g->mac = more;
    g->macs = room;
    return OK;
}

/* The MAC of what a slot holds. It is made once; slots are met in the order of their numbers. */
static enum err mac_of_slot(struct pages *g, u32 slot, u64 *to)
{
    struct mac mac;

    if (room_for_macs(g))
        return E_NOMEM;
    if (slot >= g->maced) {
        mac =
            mac_of(&g->content_key, phys_to_virt(lease_frame(g->lease, slot)), PAGE_SIZE, NULL, 0);
        memcpy(&g->mac[slot], mac.b, sizeof(g->mac[0]));
        g->maced = slot + 1;
    }
    *to = g->mac[slot];
    return OK;
}

/* What is not known yet of the pages that stay, without the lock: a frame that is lent is immutable. */
static enum err describe(struct pages *g)
{
    struct message_defer_of *d = g->defer.page, *end = d + g->defer.count;
    enum err e = OK;

    for (; d < end && (g->defer.unknown || g->trusted) && !e; d++) {
        if (!d->digest)
            d->digest = share_hash(g->move->pmap->group, lease_frame(g->lease, d->slot));
        if (g->trusted)
            e = mac_of_slot(g, d->slot, &d->mac);
    }
    g->defer.unknown = false;
    return e;
}

/* What there was at the beginning: how it went in the first round. */
static void count_pages(struct pages *g)
{
    struct move_figures *f = &g->move->figures;

    f->shared_pages = f->pages_deferred;
    f->nonzero_pages = g->wants + f->pages_alias + f->pages_deferred + f->pages_home;
}

static enum err walk(struct pages *g, struct why *why)
{
    enum err e = OK;

    for (unsigned i = 0; i < STEP && g->walking && !e; i++) {
        e = flush_messages(g, false, why);
        if (!e)
            e = look_at_some(g, &g->walking);
        if (!e || e == E_AGAIN)
            e = describe(g) ? E_NOMEM : e;
    }
    if (!g->walking && g->move->figures.round == 1)
        count_pages(g);
    return e;
}

enum err pages_step(struct pages *g, bool *done, struct why *why)
{
    enum err e = write_grants(g);

    *done = false;
    if (!e)
        e = walk(g, why);
    if (!e && !g->walking)
        e = flush_messages(g, true, why);
    if (!e && !g->walking)
        e = flush_write(g);
    *done = !e && !g->walking && !g->asked && g->write_grant == g->grants && !g->write.frames &&
            !g->in_flight;
    if (e == E_NOMEM && why && !why->text[0])
        return why_set(why, e, "no memory for the records of the migration");
    return e == E_STATE ? E_AGAIN
                        : e; /* the link has failed: who looks after it ends the migration */
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/borrow.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "migrate/agent.h"
#include "vmm/share/hash.h"

#define SWEEP        16     /* pages that are fetched ahead of faults in a row */
#define STEP         64     /* pages looked at before others have their turn */
#define STUCK_AFTER  SEC(2) /* a fetch takes that long: say so */
#define RETRY        MSEC(20)
#define RETURN_WAIT  MSEC(50) /* until there are more slots to return */
#define CHUNKS_LEAST 4096
#define NO_PAGE      UINT32_MAX

/* The slot of a page. */
static struct slot *slot_of(const struct borrow *b, u32 slot)
{
    return &b->chunk[slot / BORROW_CHUNK]->slot[slot % BORROW_CHUNK];
}

/* A slot that the lender names, or NULL. */
static struct slot *find_slot(const struct borrow *b, u32 slot)
{
    bool known = slot / BORROW_CHUNK < b->chunks &&
                 slot % BORROW_CHUNK < b->chunk[slot / BORROW_CHUNK]->count;

    return known ? slot_of(b, slot) : NULL;
}

static void wake_agent(const struct borrow *b)
{
    b->peer->agent->ops->wake(b->peer->agent->ctx);
}

/* --- slots; the lock is held ------------------------------------------------------------------------ */

static void mark_return(struct borrow *b, u32 slot)
{
    struct borrow_chunk *c = b->chunk[slot / BORROW_CHUNK];
    u32 k = slot % BORROW_CHUNK;

    c->slot[k].state = SLOT_RETURNED;
    c->to_return[k / 64] |= BIT(k % 64);
    c->returns++;
    if (!b->to_return++)
        b->return_next = time_now() + RETURN_WAIT;
}

static void unmark_return(struct borrow *b, u32 slot)
{
    struct borrow_chunk *c = b->chunk[slot / BORROW_CHUNK];
    u32 k = slot % BORROW_CHUNK;

    c->slot[k].state = SLOT_LENT;
    c->to_return[k / 64] &= ~BIT(k % 64);
    c->returns--;
    b->to_return--;
}

/* There are many, or they are old, or they are the last. */
static bool returns_are_due(const struct borrow *b, u64 now)
{
    return b->to_return && (b->to_return >= BORROW_RETURNS || !b->left || now >= b->return_next);
}

/* --- making --------------------------------------------------------------------------------------- */

void borrow_begin(struct borrow *b, struct peer *peer, const struct epoch *epoch, struct vm *vm,
                  struct pmap *pmap, const char *name)
{
    *b = (struct borrow){.used = true,
                         .peer = peer,
                         .epoch = *epoch,
                         .vm = vm,
                         .pmap = pmap,
                         .group = pmap->group,
                         .last_fault = U64_MAX - 1};
    str_copy(b->name, sizeof(b->name), name);
    list_init(&b->waiting);
    peer->agent->borrows++;
    pmap->remote = &borrow_backing;
    pmap->lender = b;
    pmap->cache_reads = peer->agent->cache_reads;
}

static bool has_room(struct borrow *b)
{
    u32 room = b->room ? b->room * 2 : 16;
    struct borrow_chunk **more;

    if (b->chunks < b->room)
        return true;
    more = heap_grow(b->chunk, b->room * sizeof(void *), room * sizeof(void *));
    if (!more)
        return false;
    b->chunk = more;
    b->room = room;
    return true;
}

/* A page may stay in another slot in each round, and the last chunk of a round is not full. */
static bool are_too_many(const struct borrow *b)
{
    return b->chunks >= MAX(CHUNKS_LEAST, pmap_pages(b->pmap) * 8 / BORROW_CHUNK);
}

enum err borrow_add_chunk(struct borrow *b, const struct message_chunk *m)
{
    struct borrow_chunk *c;

    if (m->first_slot != b->chunks * BORROW_CHUNK || are_too_many(b) || !m->count ||
        m->count > BORROW_CHUNK)
        return E_RANGE;
    c = has_room(b) ? heap_alloc(sizeof(*c)) : NULL;
    if (!c)
        return E_NOMEM;
    c->addr = m->addr;
    c->rkey = m->rkey;
    c->count = m->count;
    for (u32 i = 0; i < c->count; i++)
        c->slot[i].page = NO_PAGE;
    lock_acquire(&b->lock);
    b->chunk[b->chunks++] = c;
    lock_release(&b->lock);
    return OK;
}

bool borrow_use(struct borrow *b, u32 slot, u32 page)
{
    struct slot *s = find_slot(b, slot);

    if (!s)
        return false;
    lock_acquire(&b->lock);
    if (s->state == SLOT_RETURNED) /* described again before the hand-off: nothing was sent yet */
        unmark_return(b, slot);
    if (!s->users++) {
        b->slots++;
        b->left++;
    }
    s->page = page;
    lock_release(&b->lock);
    return true;
}

static void drop(hpa_t *frame)
{
    if (frame->v)
        frame_put(*frame);
    *frame = HPA(0);
}

/* No page needs it. */
static void finish_slot(struct borrow *b, u32 slot)
{
    struct slot *s = slot_of(b, slot);

    drop(&s->copy);
    drop(&s->guess);
    mark_return(b, slot);
}

static void slot_left(struct pmap *p, u32 slot)
{
    struct borrow *b = p->lender;
    struct slot *s = slot_of(b, slot);
    bool last, tell;

    lock_acquire(&b->lock);
    last = !--s->users;
    b->left -= last;
    if (last && s->state != SLOT_FETCHING) /* else when the READ is over */
        finish_slot(b, slot);
    /* Since there was one the agent has the time when they are old. */
    tell = last && b->active && (b->to_return == 1 || b->to_return >= BORROW_RETURNS || !b->left);
    lock_release(&b->lock);
    if (tell)
        wake_agent(b);
}

/* --- fetching ----------------------------------------------------------------------------------------- */

static void fetched(void *owner, u64 tag, bool good);

/* Posts the READ of a slot into a frame of which the slot has a user; the lock is held. The state is FETCHING then, or as it
 * was. */
static enum err fetch(struct borrow *b, u32 slot, hpa_t frame)
{
    struct borrow_chunk *c = b->chunk[slot / BORROW_CHUNK];
    struct slot *s = &c->slot[slot % BORROW_CHUNK];
    struct link_work work = {
        .done = fetched, .owner = b, .tag = slot, .frame[0] = frame, .frames = 1};
    struct peer *p = b->peer;
    enum err e = E_STATE;

    frame_get(frame); /* the link's */
    lock_acquire(&p->lock);
    if (p->state == PEER_UP && !b->lost)
        e = link_read(p->link, slot % LINK_DATA_QPS, &work,
                      c->addr + (u64)(slot % BORROW_CHUNK) * PAGE_SIZE, c->rkey);
    lock_release(&p->lock);
    if (e) {
        frame_put(frame);
        return e;
    }
    s->state = SLOT_FETCHING;
    s->copy = frame;
    b->fetching++;
    return OK;
}

/* For a fault: into the fill's own frame, which the page has for itself if no other one needs the slot. If it cannot be
 * posted now, the agent tries again. */
static void fetch_for(struct borrow *b, struct fill *fill)
{
    struct slot *s = slot_of(b, fill->slot);
    bool shared = fill->cached && s->users > 1;

    if (s->state != SLOT_LENT || (shared && !frame_claim(fill->frame, FRAME_SHARED, b->group)))
        return;
    frame_get(fill->frame); /* the slot's */
    if (fetch(b, fill->slot, fill->frame)) {
        frame_put(fill->frame);
        if (shared)
            (void)frame_claim(fill->frame, FRAME_GUEST, b->pmap->owner);
        return;
    }
    if (fill->cached)
        b->figures.fetched_read++;
    else
        b->figures.fetched_write++;
    fill->cached = shared;
}

/* Gives a fill what the slot's copy has. */
static void serve(struct fill *fill, hpa_t copy)
{
    if (fill->frame.v == copy.v)
        return;
    if (fill->cached) {
        frame_put(fill->frame);
        frame_get(copy);
        fill->frame = copy;
    } else {
        memcpy(phys_to_virt(fill->frame), phys_to_virt(copy), PAGE_SIZE);
    }
}

/* A fault behind the last one, or behind what was fetched ahead of it, is a sweep: the next pages are fetched ahead. */
static void note_fault(struct borrow *b, u64 index)
{
    u64 next = index + 1;

    b->figures.faults++;
    if (index == b->last_fault + 1 || (b->prefetch_end && index == b->prefetch_end)) {
        if (b->prefetch < next || b->prefetch > next + SWEEP) /* the last sweep was elsewhere */
            b->prefetch = next;
        b->prefetch_end = MIN(next + SWEEP, pmap_pages(b->pmap));
    }
    b->last_fault = index;
}

static enum err borrow_fill(struct fill *fill)
{
    struct borrow *b = fill->pmap->lender;
    struct slot *s = slot_of(b, fill->slot);
    bool here, posted;

    lock_acquire(&b->lock);
    if (b->lost) {
        lock_release(&b->lock);
        return E_IO;
    }
    note_fault(b, fill->index);
    here = s->state == SLOT_HELD;
    if (here) {
        serve(fill, s->copy);
        b->figures.from_copy++;
    } else {
        b->figures.blocking++;
        list_append(&b->waiting, &fill->link);
        fetch_for(b, fill);
    }
    posted = s->state == SLOT_FETCHING && b->prefetch >= b->prefetch_end;
    lock_release(&b->lock);
    if (here)
        pmap_fill_done(fill, OK);
    else if (!posted)
        wake_agent(b);
    return OK;
}

const struct backing borrow_backing = {.name = "remote", .fill = borrow_fill, .left = slot_left};

static struct fill *take_waiting(struct borrow *b, u32 slot)
{
    struct fill *fill;

    LIST_FOR_EACH(fill, &b->waiting, link)
    {
        if (fill->slot != slot)
            continue;
        list_remove(&fill->link);
        return fill;
    }
    return NULL;
}

/* The page that the READ was for is about to have its frame for itself: the others need a copy of their own. The lock is
 * held. */
static void keep_copy(struct borrow *b, struct slot *s)
{
    hpa_t mine = s->copy, copy = HPA(0);

    if (s->users > 1)
        copy = pmap_frame_alloc(b->pmap, false);
    if (copy.v) {
        memcpy(phys_to_virt(copy), phys_to_virt(mine), PAGE_SIZE);
        (void)frame_claim(copy, FRAME_SHARED, b->group);
    }
    s->copy = copy;
    s->state = copy.v ? SLOT_HELD : SLOT_LENT;
    b->figures.fetched_twice += s->users > 1 && !copy.v;
    frame_put(mine);
}

/* A fill that waited for the slot and has now what was read, or NULL. */
static struct fill *serve_waiting(struct borrow *b, struct slot *s, u32 slot)
{
    struct fill *fill;

    lock_acquire(&b->lock);
    fill = s->state == SLOT_HELD ? take_waiting(b, slot) : NULL;
    if (fill && !fill->cached && fill->frame.v == s->copy.v)
        keep_copy(b, s);
    else if (fill)
        serve(fill, s->copy);
    lock_release(&b->lock);
    return fill;
}

static void settle_page(struct borrow *b, u32 page);

static bool is_waited_for(struct borrow *b, hpa_t frame)
{
    const struct fill *fill;
    bool found = false;

    LIST_FOR_EACH(fill, &b->waiting, link)
    {
        found |= fill->frame.v == frame.v;
    }
    return found;
}

/* What was read is compared with what is here: if it is the same, the frame that is here is shown. The lock is held. */
static void take_over(struct borrow *b, struct slot *s)
{
    if (s->guess.v && !is_waited_for(b, s->copy) &&
        page_equal(phys_to_virt(s->guess), phys_to_virt(s->copy))) {
        drop(&s->copy);
        s->copy = s->guess;
        s->guess = HPA(0);
        b->figures.taken_over++;
    }
    drop(&s->guess);
}

/* A READ is over; the agent's thread. */
static void fetched(void *owner, u64 tag, bool good)
{
    struct borrow *b = owner;
    u32 slot = (u32)tag, page;
    struct slot *s = slot_of(b, slot);
    struct fill *fill;

    lock_acquire(&b->lock);
    b->fetching--;
    page = s->page;
    s->state = good ? SLOT_HELD : SLOT_LENT;
    if (!good)
        drop(&s->copy);
    if (!s->users)
        finish_slot(b, slot);
    else if (good)
        take_over(b, s);
    lock_release(&b->lock);
    while (good && s->users && (fill = serve_waiting(b, s, slot)))
        pmap_fill_done(fill, OK);
    if (good && s->users && page != NO_PAGE)
        settle_page(b, page);
}

/* --- pages that come without a fault ------------------------------------------------------------------ */

/* The slot's copy becomes the page's own if no other page needs it, else they share it. Locks: the Pmap's, and ours. */
static struct pmap_change change_for(struct borrow *b, struct slot *s, u64 index)
{
    struct pmap_change c = {
        .gpa = pmap_gpa(index), .to = PAGE_SHARED, .frame = s->copy, .prot = SHOWN_PROT};
    bool shows = pmap_state(b->pmap, index) == PAGE_CACHED;

    if (s->users == 1 && frame_users(s->copy) == 1u + shows) {
        if (shows) /* the page's user stays */
            frame_put(s->copy);
        if (frame_claim(c.frame, FRAME_GUEST, b->pmap->owner)) {
            c.to = PAGE_PRIVATE;
            c.prot = GUEST_PROT;
        }
        s->copy = HPA(0);
        return c;
    }
    if (!shows)
        frame_get(s->copy);
    return c;
}

/* Gives a REMOTE or CACHED page the copy that is here, for good. */
static void settle_page(struct borrow *b, u32 index)
{
    struct pmap *p = b->pmap;
    struct pmap_change c = {.gpa = pmap_gpa(index)};
    const struct page *page;
    struct slot *s;
    bool here;

    lock_acquire(&p->lock);
    page = pmap_record(p, index);
    if (page && !page->busy && (page->state == PAGE_REMOTE || page->state == PAGE_CACHED) &&
        pmap_prepare(p, &c) == OK) {
        s = slot_of(b, page->slot);
        lock_acquire(&b->lock);
        here = s->state == SLOT_HELD;
        if (here)
            c = change_for(b, s, index);
        lock_release(&b->lock);
        if (here)
            pmap_commit(p, &c);
    }
    lock_release(&p->lock);
}

/* Fetches a page's slot ahead of need. E_AGAIN: not now. */
static enum err fetch_ahead(struct borrow *b, u64 index, u64 *count)
{
    struct pmap *p = b->pmap;
    enum err e = OK;
    bool settle = false;
    const struct page *page;

    lock_acquire(&p->lock);
    page = pmap_record(p, index);
    if (page && !page->busy && (page->state == PAGE_REMOTE || page->state == PAGE_CACHED)) {
        u32 slot = page->slot;
        struct slot *s = slot_of(b, slot);

        lock_acquire(&b->lock);
        settle = s->state == SLOT_HELD;
        if (s->state == SLOT_LENT) {
            hpa_t frame = b->fetching < BORROW_IN_FLIGHT ? pmap_frame_alloc(p, false) : HPA(0);

            e = frame.v && frame_claim(frame, FRAME_SHARED, b->group) ? fetch(b, slot, frame)
                                                                      : E_AGAIN;
            if (e && frame.v)
                frame_put(frame);
            s->page = (u32)index;
            *count += !e;
        }
        lock_release(&b->lock);
    }
    lock_release(&p->lock);
    if (settle)
        settle_page(b, (u32)index);
    return e;
}

static void prefetch(struct borrow *b)
{
    while (b->prefetch < b->prefetch_end &&
           fetch_ahead(b, b->prefetch, &b->figures.prefetched) == OK)
        b->prefetch++;
}

bool borrow_prefer(struct borrow *b, const struct message_runs *m)
{
    u64 pages;

    if (!b->left)
        return true;
    pages = pmap_pages(b->pmap);
    if (!message_runs_fit(m, pages, pages))
        return false;
    if (!b->used_last)
        b->used_last = heap_alloc(ALIGN_UP(pages, 64) / 8);
    for (u32 k = 0; b->used_last && k < m->l.count; k++)
        for (u64 i = m->run[k].first, n = 0; n < m->run[k].count; i++, n++)
            b->used_last[i / 64] |= BIT(i % 64);
    b->used_next = 0;
    return true;
}

/* The page to be drained next: one of those that were used, or any. */
static u64 drain_page(struct borrow *b)
{
    u64 pages = pmap_pages(b->pmap);

    for (; b->used_last && b->used_next < pages; b->used_next++)
        if (b->used_last[b->used_next / 64] >> (b->used_next % 64) & 1)
            return b->used_next;
    heap_free(b->used_last);
    b->used_last = NULL;
    return b->cursor;
}

/* It is on its way. */
static void drain_on(struct borrow *b)
{
    if (b->used_last)
        b->used_next++;
    else
        b->cursor = (b->cursor + 1) % pmap_pages(b->pmap);
}

/* Fetches what nobody asks for, at the agent's rate; at any when it was recalled. Returns when next. */
static u64 drain(struct borrow *b, u64 now)
{
    u64 rate = b->peer->agent->drain_rate, before = b->figures.drained;

    if ((!rate && !b->recalled) || !b->left)
        return U64_MAX;
    if (now < b->drain_next)
        return b->drain_next;
    for (unsigned i = 0; i < STEP * 16; i++) {
        if (fetch_ahead(b, drain_page(b), &b->figures.drained))
            return now + RETRY;
        drain_on(b);
        if (rate && !b->recalled && b->figures.drained != before) {
            b->drain_next = MAX(b->drain_next + SEC(1) / rate, now - MSEC(50));
            return b->drain_next;
        }
    }
    return b->figures.drained != before ? now : now + MSEC(1); /* all are on their way */
}

/* --- returning -------------------------------------------------------------------------------------------- */

static void collect(struct borrow *b, u32 at, struct message_runs *m)
{
    struct borrow_chunk *c = b->chunk[at];

    for (u32 w = 0; w < COUNT_OF(c->to_return); w++)
        while (c->to_return[w] && m->l.count < MESSAGE_ROOM / sizeof(m->run[0])) {
            u32 k = w * 64 + (u32)__builtin_ctzll(c->to_return[w]);

            c->to_return[w] &= c->to_return[w] - 1;
            c->returns--;
            b->to_return--;
            b->figures.returned++;
            message_add_run(m->run, &m->l.count, at * BORROW_CHUNK + k);
        }
}

/* Is the VM on its way to the lender? What is sent about its pages names slots, and waits until it fills a message: a slot
 * that was returned before that would not be known any more. */
static bool goes_home(const struct borrow *b)
{
    const struct move *m = agent_leaving(b->peer->agent, b->vm);

    return m && m->peer == b->peer;
}

static void send_returns(struct borrow *b, u64 now)
{
    struct message_runs *m;

    if (!returns_are_due(b, now) || !peer_has_room(b->peer) || goes_home(b))
        return;
    m = link_room(b->peer->link);
    m->l.epoch = b->epoch;
    lock_acquire(&b->lock);
    for (u32 i = 0; i < b->chunks; i++)
        if (b->chunk[i]->returns)
            collect(b, i, m);
    lock_release(&b->lock);
    link_send(b->peer->link, MESSAGE_RETURN, (u32)(sizeof(*m) + m->l.count * sizeof(m->run[0])));
}

/* --- the agent's turn --------------------------------------------------------------------------------------- */

void borrow_activate(struct borrow *b)
{
    lock_acquire(&b->lock);
    for (u32 i = 0; i < b->chunks; i++) /* described, and described otherwise later */
        for (u32 k = 0; k < b->chunk[i]->count; k++)
            if (!b->chunk[i]->slot[k].users && b->chunk[i]->slot[k].state != SLOT_RETURNED)
                finish_slot(b, i * BORROW_CHUNK + k);
    lock_release(&b->lock);
    b->active = true;
}

bool borrow_has_guess(struct borrow *b, u32 slot)
{
    const struct slot *s = find_slot(b, slot);

    return s && (s->guess.v || s->copy.v);
}

bool borrow_guess(struct borrow *b, u32 slot, hpa_t frame, bool sure)
{
    struct slot *s = find_slot(b, slot);

    if (!s || s->state != SLOT_LENT || borrow_has_guess(b, slot))
        return false;
    if (sure) {
        s->copy = frame;
        s->state = SLOT_HELD;
        b->figures.taken_over++;
    } else {
        s->guess = frame;
    }
    return true;
}

hpa_t borrow_sure(struct borrow *b, u32 slot)
{
    const struct slot *s = find_slot(b, slot);

    if (!s || s->state != SLOT_HELD)
        return HPA(0);
    frame_get(s->copy);
    return s->copy;
}

void borrow_link_up(struct borrow *b)
{
    lock_acquire(&b->lock);
    for (u32 i = 0; i < b->chunks; i++)
        for (u32 k = 0; k < b->chunk[i]->count; k++)
            if (b->chunk[i]->slot[k].state == SLOT_RETURNED &&
                !(b->chunk[i]->to_return[k / 64] >> (k % 64) & 1))
                mark_return(b, i * BORROW_CHUNK + k);
    lock_release(&b->lock);
}

/* Posts what could not be posted; says when the lender does not answer. */
static void help_waiting(struct borrow *b, u64 now)
{
    bool any;
    struct fill *fill;

    lock_acquire(&b->lock);
    LIST_FOR_EACH(fill, &b->waiting, link)
    {
        fetch_for(b, fill);
    }
    any = !list_empty(&b->waiting);
    lock_release(&b->lock);
    if (!any) {
        if (b->stuck_said)
            agent_say(b->peer->agent, "VM %s goes on: %s answers again", b->name, b->peer->name);
        b->stuck_since = 0;
        b->stuck_said = false;
    } else if (!b->stuck_since) {
        b->stuck_since = now;
    } else if (!b->stuck_said && now - b->stuck_since > STUCK_AFTER) {
        b->stuck_said = true;
        agent_say(b->peer->agent,
                  "VM %s waits for a page that %s lends, which does not answer; it goes on when "
                  "%s is back",
                  b->name, b->peer->name, b->peer->name);
    }
}

/* Takes a fill that waits, of those whose page is gone or of all. */
static struct fill *take_fill(struct borrow *b, bool dropped)
{
    struct fill *fill, *found = NULL;

    lock_acquire(&b->lock);
    LIST_FOR_EACH(fill, &b->waiting, link)
    {
        if (!found && (!dropped || fill->dropped))
            found = fill;
    }
    if (found)
        list_remove(&found->link);
    lock_release(&b->lock);
    return found;
}

/* A READ that is under way for one has users of its own of the frame. */
void borrow_abandon(struct borrow *b, enum err why)
{
    struct fill *fill;

    while ((fill = take_fill(b, false)))
        pmap_fill_done(fill, why);
}

static void abandon_dropped(struct borrow *b)
{
    struct fill *fill;

    while ((fill = take_fill(b, true)))
        pmap_fill_done(fill, E_STATE);
}

u64 borrow_poll(struct borrow *b)
{
    u64 next = U64_MAX, now;

    if (!b->active || b->lost)
        return U64_MAX;
    now = time_now();
    if (!list_empty(&b->waiting) ||
        b->stuck_since) { /* who adds to it and cannot help himself wakes us */
        abandon_dropped(b);
        help_waiting(b, now);
    }
    if (!b->left) /* the VM may be gone */
        b->prefetch = b->prefetch_end;
    if (b->peer->state == PEER_UP) {
        if (b->left) {
            prefetch(b);
            next = drain(b, now);
        }
        send_returns(b, now);
        if (b->to_return)
            next = MIN(next, b->return_next > now ? b->return_next : now + RETRY);
    }
    if (!list_empty(&b->waiting) || b->prefetch < b->prefetch_end)
        next = MIN(next, now + RETRY);
    return next;
}

void borrow_lose(struct borrow *b)
{
    lock_acquire(&b->lock);
    b->lost = true;
    lock_release(&b->lock);
    borrow_abandon(b, E_IO);
}

bool borrow_is_over(struct borrow *b)
{
    return !b->left && !b->fetching && (b->over || b->lost || !b->chunks);
}

void borrow_free(struct borrow *b)
{
    for (u32 i = 0; i < b->chunks; i++) {
        for (u32 k = 0; k < b->chunk[i]->count; k++) {
            drop(&b->chunk[i]->slot[k].copy);
            drop(&b->chunk[i]->slot[k].guess);
        }
        heap_free(b->chunk[i]);
    }
    heap_free(b->chunk);
    b->chunk = NULL;
    b->chunks = b->room = 0;
    heap_free(b->used_last);
    b->used = false;
    b->peer->agent->borrows--;
}

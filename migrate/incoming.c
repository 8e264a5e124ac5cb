/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/incoming.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "migrate/agent.h"

#define STATE_MOST  MIB(4)
#define NO_GROUP    0       /* whose frames nobody takes for equal ones */
#define LOOK_MOST   32      /* frames that are looked for at once */
#define SOURCE_ENDS SEC(5)  /* to end its WRITEs */
#define PATIENCE    SEC(60) /* after which a source has heard what became of it */

static const struct agent_ops *ops_of(const struct move *m)
{
    return m->peer->agent->ops;
}

/* --- keys ------------------------------------------------------------------------------------------------ */

static void close_grant(struct grant *g)
{
    g->end.over = !g->mr;
    if (g->mr)
        verbs_invalidate_mr(g->mr, verbs_end_begin(&g->end));
    g->mr = NULL;
}

static void close_keys(struct incoming *in)
{
    if (in->closing)
        return;
    in->closing = true;
    for (u32 i = 0; i < in->grants; i++)
        close_grant(in->grant[i]);
    close_grant(&in->state);
}

/* A WRITE through a key that is closed would end the link, with all else that uses it. So the source has its time to end
 * first: it says ABORT when its last WRITE is over. */
static void close_aborted(struct move *m)
{
    struct incoming *in = m->in;

    if (in->source_ended || m->peer->state != PEER_UP || time_now() >= in->close_at)
        close_keys(in);
}

/* Frames may be given back, and the VM may run, when nobody can write to them any more. */
static bool keys_are_closed(const struct incoming *in)
{
    for (u32 i = 0; i < in->grants; i++)
        if (!verbs_end_is_over(&in->grant[i]->end))
            return false;
    return verbs_end_is_over(&in->state.end);
}

static void release_held(struct incoming *in)
{
    for (u64 i = 0; i < in->holds; i++)
        frame_put(in->held[i]);
    in->holds = 0;
}

/* After the keys are closed. */
static void release(struct move *m)
{
    struct incoming *in = m->in;

    release_held(in);
    for (u32 i = 0; i < in->grants; i++)
        heap_free(in->grant[i]);
    heap_free(in->grant);
    heap_free(in->held);
    heap_free(in->alias);
    if (in->state_frames.v)
        frame_put(in->state_frames);
    heap_free(in);
    m->in = NULL;
    m->peer->agent->moving--;
}

/* Room for one frame more in a list that grows. */
static bool has_room(hpa_t **list, u64 count, u64 *room)
{
    u64 wanted = *room ? *room * 2 : 512;
    hpa_t *more;

    if (count < *room)
        return true;
    more = heap_grow(*list, count * sizeof(*more), wanted * sizeof(*more));
    if (!more)
        return false;
    *list = more;
    *room = wanted;
    return true;
}

/* --- pages -------------------------------------------------------------------------------------------------- */

/* Takes from a page what it has, and gives it that; the Pmap's lock is held. Nothing fails once the page has lost it. */
static enum err set_page(struct move *m, u64 index, const struct pmap_change *c)
{
    struct incoming *in = m->in;
    struct pmap *p = m->pmap;
    struct pmap_change none = {.gpa = c->gpa, .to = PAGE_EMPTY};
    enum page_state before = pmap_state(p, index);
    enum err e = has_room(&in->held, in->holds, &in->holds_room) ? pmap_prepare(p, c) : E_NOMEM;
    u64 entry;

    if (e)
        return e;
    if (before != PAGE_EMPTY) {
        entry = pmap_commit(p, &none);
        if (entry)
            in->held[in->holds++] = ptab_address(entry);
    }
    if (c->to != PAGE_EMPTY)
        pmap_commit(p, c);
    return OK;
}

static enum err give_frame(struct move *m, u64 index, hpa_t *frame)
{
    struct pmap *p = m->pmap;
    struct pmap_change c = {.gpa = pmap_gpa(index), .to = PAGE_PRIVATE, .prot = GUEST_PROT};
    enum err e = OK;

    c.frame = pmap_frame_alloc(p, false);
    if (!c.frame.v)
        return E_NOMEM;
    memset(phys_to_virt(c.frame), 0, PAGE_SIZE);
    lock_acquire(&p->lock);
    e = set_page(m, index, &c);
    lock_release(&p->lock);
    if (e)
        frame_put(c.frame);
    *frame = c.frame;
    return e;
}

static enum err check_runs(const struct move *m, const struct message_runs *r, u64 most)
{
    return message_runs_fit(r, pmap_pages(m->pmap), most) ? OK : E_RANGE;
}

/* --- grants --------------------------------------------------------------------------------------------------- */

static enum err room_for_grant(struct incoming *in)
{
    u32 room = in->room ? in->room * 2 : 64;
    struct grant **more;

    if (in->grants < in->room)
        return OK;
    more = heap_grow(in->grant, in->grants * sizeof(struct grant *), room * sizeof(struct grant *));
    if (!more)
        return E_NOMEM;
    in->grant = more;
    in->room = room;
    return OK;
}

static enum err open_grant(struct move *m, const hpa_t *frame, u32 count, struct why *why)
{
    struct incoming *in = m->in;
    struct verbs_mr_init init = {.frames = frame,
                                 .frame_count = count,
                                 .length = (u64)count * PAGE_SIZE,
                                 .iova = (u64)in->grants * GRANT_MOST * PAGE_SIZE,
                                 .access = ACCESS_LOCAL_WRITE | ACCESS_REMOTE_WRITE};
    struct grant *g = room_for_grant(in) ? NULL : heap_alloc(sizeof(*g));
    enum err e;

    if (!g)
        return why_set(why, E_NOMEM, "no memory for the record of a grant");
    e = verbs_reg_mr(m->peer->pd, &init, &g->mr, why);
    if (e) {
        heap_free(g);
        return e;
    }
    in->grant[in->grants++] = g;
    return OK;
}

static enum err answer_ask(struct move *m, const struct message_runs *ask, struct why *why)
{
    struct incoming *in = m->in;
    hpa_t frame[GRANT_MOST];
    struct message_grant *answer;
    u32 count = 0;
    enum err e = check_runs(m, ask, GRANT_MOST);

    if (e || ask->l.grant != in->grants)
        return why_set(why, E_RANGE, "the source asks for pages that there are not");
    for (u32 i = 0; i < ask->l.count && !e; i++)
        for (u32 k = 0; k < ask->run[i].count && !e; k++)
            e = give_frame(m, ask->run[i].first + k, &frame[count++]);
    if (e)
        return why_set(why, e, "%s has no memory left for %s", m->peer->agent->name, m->name);
    e = open_grant(m, frame, count, why);
    if (e)
        return e;
    answer = link_room(m->peer->link);
    answer->epoch = m->epoch;
    answer->addr = (u64)ask->l.grant * GRANT_MOST * PAGE_SIZE;
    answer->rkey = in->grant[ask->l.grant]->mr->rkey;
    answer->grant = ask->l.grant;
    link_send(m->peer->link, MESSAGE_GRANT, sizeof(*answer));
    thread_yield(); /* that were 2 MiB to clear, and there may be more such */
    return OK;
}

/* --- descriptions ----------------------------------------------------------------------------------------------- */

#define ZERO_PIECE 512u /* pages under one hold of the lock */

static enum err zero_pages(struct move *m, u64 first, u64 end)
{
    struct pmap *p = m->pmap;
    enum err e = OK;

    lock_acquire(&p->lock);
    for (u64 i = first; i < end && !e; i++) {
        struct pmap_change c = {.gpa = pmap_gpa(i), .to = PAGE_EMPTY};

        if (pmap_state(p, i) != PAGE_EMPTY)
            e = set_page(m, i, &c);
    }
    lock_release(&p->lock);
    return e;
}

static enum err take_zero(struct move *m, const struct message_runs *r, struct why *why)
{
    enum err e = check_runs(m, r, pmap_pages(m->pmap));

    for (u32 i = 0; i < r->l.count && !e; i++)
        for (u64 at = r->run[i].first, end = at + r->run[i].count; at < end && !e;
             at += ZERO_PIECE) {
            e = zero_pages(m, at, MIN(at + ZERO_PIECE, end));
            if (at + ZERO_PIECE < end)
                thread_yield();
        }
    return e ? why_set(why, e, "the source names pages that there are not") : OK;
}

static enum err take_one_alias(struct move *m, const struct message_alias_of *a)
{
    struct pmap *p = m->pmap;
    struct pmap_change c = {.gpa = pmap_gpa(a->as), .to = PAGE_SHARED, .prot = SHOWN_PROT};
    enum page_state state = pmap_state(p, a->as);
    unsigned level;
    u64 entry = ptab_lookup(&p->slat.table, c.gpa.v, &level);
    enum err e;

    if ((state != PAGE_PRIVATE && state != PAGE_SHARED) || !entry || a->page == a->as)
        return E_RANGE;
    c.frame = ptab_address(entry);
    if (state == PAGE_PRIVATE) {
        if (!has_room(&m->in->alias, m->in->aliases, &m->in->alias_room))
            return E_NOMEM;
        if (!frame_claim(c.frame, FRAME_SHARED, NO_GROUP))
            return E_STATE;
        m->in->alias[m->in->aliases++] = c.frame;
        pmap_commit(p, &c);
    }
    c.gpa = pmap_gpa(a->page);
    e = set_page(m, a->page, &c);
    if (!e)
        frame_get(c.frame);
    return e;
}

static enum err take_alias(struct move *m, const struct message_alias *a, struct why *why)
{
    struct pmap *p = m->pmap;
    enum err e = OK;

    lock_acquire(&p->lock);
    for (u32 i = 0; i < a->l.count && !e; i++) {
        const struct message_alias_of *one = &a->alias[i];

        e = one->page < pmap_pages(p) && one->as < pmap_pages(p) ? take_one_alias(m, one) : E_RANGE;
    }
    lock_release(&p->lock);
    m->figures.pages_alias += a->l.count;
    return e ? why_set(why, e, "the source describes pages that there are not") : OK;
}

/* The frame comes with a user. */
static void take_guess(struct move *m, const struct key *key, u64 mac, u32 slot, hpa_t frame)
{
    bool sure = false;
    struct mac ours;

    if (!frame.v)
        return;
    if (m->peer->agent->trusts && mac) {
        ours = mac_of(key, phys_to_virt(frame), PAGE_SIZE, NULL, 0);
        sure = !memcmp(ours.b, &mac, sizeof(mac));
    }
    if (!borrow_guess(m->in->borrow, slot, frame, sure))
        frame_put(frame);
}

/* Is what the source describes here already? Its digest is a hint; a MAC, if the user trusts it, is enough. */
static void look_for_equal(struct move *m, const struct message_defer *d)
{
    struct agent *a = m->peer->agent;
    struct key key = peer_content_key(m->peer);
    u64 hash[LOOK_MOST], mac[LOOK_MOST];
    u32 slot[LOOK_MOST], count = 0;
    hpa_t frame[LOOK_MOST];

    for (u32 at = 0; at < d->l.count; at++) {
        const struct message_defer_of *one = &d->page[at];

        if (!borrow_has_guess(m->in->borrow, one->slot) &&
            (!count || slot[count - 1] != one->slot)) {
            hash[count] = one->digest;
            mac[count] = one->mac;
            slot[count++] = one->slot;
        }
        if (count < LOOK_MOST && at + 1 < d->l.count)
            continue;
        a->ops->find_equal(a->ctx, m->pmap->group, hash, frame, count);
        for (u32 i = 0; i < count; i++)
            take_guess(m, &key, mac[i], slot[i], frame[i]);
        count = 0;
    }
}

static enum err take_one_defer(struct move *m, const struct message_defer_of *d)
{
    struct pmap_change c = {.gpa = pmap_gpa(d->page),
                            .to = PAGE_SHARED,
                            .prot = SHOWN_PROT,
                            .frame = borrow_sure(m->in->borrow, d->slot)};
    enum err e;

    if (c.frame.v) {
        e = set_page(m, d->page, &c);
        if (e)
            frame_put(c.frame);
        m->figures.pages_taken_over += !e;
        return e;
    }
    c = (struct pmap_change){.gpa = c.gpa, .to = PAGE_REMOTE, .slot = d->slot};
    return borrow_use(m->in->borrow, d->slot, d->page) ? set_page(m, d->page, &c) : E_RANGE;
}

static enum err take_defer(struct move *m, const struct message_defer *d, struct why *why)
{
    struct pmap *p = m->pmap;
    enum err e = OK;

    look_for_equal(m, d);
    lock_acquire(&p->lock);
    for (u32 i = 0; i < d->l.count && !e; i++)
        e = d->page[i].page < pmap_pages(p) ? take_one_defer(m, &d->page[i]) : E_RANGE;
    lock_release(&p->lock);
    m->figures.pages_deferred += d->l.count;
    return e ? why_set(why, e, "the source describes pages or slots that there are not") : OK;
}

/* The VM comes home: its page shows the frame that never left. */
static enum err take_one_home(struct move *m, const struct lease *l,
                              const struct message_home_of *h)
{
    struct pmap_change c = {.to = PAGE_SHARED, .prot = SHOWN_PROT};
    enum err e;

    if (h->page >= pmap_pages(m->pmap))
        return E_RANGE;
    c.gpa = pmap_gpa(h->page);
    c.frame = lease_frame(l, h->slot);
    if (!c.frame.v)
        return E_RANGE;
    e = set_page(m, h->page, &c);
    if (!e)
        frame_get(c.frame);
    return e;
}

static enum err take_home(struct move *m, const struct message_home *h, struct why *why)
{
    const struct lease *l = agent_find_lease(m->peer, &h->lease);
    enum err e = l && !l->voided ? OK : E_NOENT;

    lock_acquire(&m->pmap->lock);
    for (u32 i = 0; i < h->l.count && !e; i++)
        e = take_one_home(m, l, &h->page[i]);
    lock_release(&m->pmap->lock);
    m->figures.pages_home += h->l.count;
    return e ? why_set(why, e, "the source names frames that it was not lent") : OK;
}

/* --- begin ------------------------------------------------------------------------------------------------------------ */

static struct move *free_move(struct agent *a)
{
    struct move *best = NULL;

    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        struct move *m = &a->in[i];

        if (m->phase == MOVE_FREE)
            return m;
        if (!m->in && m->phase >= MOVE_DONE && time_now() - m->figures.ended > PATIENCE &&
            (!best || m->figures.ended < best->figures.ended))
            best = m;
    }
    for (unsigned i = 0; i < AGENT_MOVES && !best; i++) /* whose source must have heard that */
        if (!a->in[i].in && a->in[i].phase == MOVE_ABORTED)
            best = &a->in[i];
    return best;
}

static struct borrow *free_borrow(struct agent *a)
{
    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (!a->borrow[i].used)
            return &a->borrow[i];
    return NULL;
}

static enum err make_state_room(struct move *m, u64 size, struct why *why)
{
    struct incoming *in = m->in;
    struct verbs_mr_init init = {.access = ACCESS_LOCAL_WRITE | ACCESS_REMOTE_WRITE};
    hpa_t *frame;
    enum err e;

    if (!size || size > STATE_MOST)
        return why_set(why, E_RANGE, "a state of %llu bytes: at most 4 MiB",
                       (unsigned long long)size);
    while (PAGE_SIZE << in->state_order < size)
        in->state_order++;
    init.frame_count = 1u << in->state_order;
    in->state_frames = frame_alloc(in->state_order, FRAME_KERNEL, 0);
    frame = heap_alloc(init.frame_count * sizeof(*frame));
    if (!in->state_frames.v || !frame) {
        heap_free(frame);
        return why_set(why, E_NOMEM, "no memory for the VM's state");
    }
    for (u64 i = 0; i < init.frame_count; i++)
        frame[i] = HPA(in->state_frames.v + i * PAGE_SIZE);
    init.frames = frame;
    init.length = init.frame_count * PAGE_SIZE;
    init.iova = BIT(62);
    in->state_size = size;
    e = verbs_reg_mr(m->peer->pd, &init, &in->state.mr, why);
    heap_free(frame);
    return e;
}

static void refuse(struct peer *p, const struct epoch *e, const char *text)
{
    peer_send_text(p, MESSAGE_REFUSE, e, text);
}

static void accept(struct move *m)
{
    struct message_accept *a = link_room(m->peer->link);

    a->epoch = m->epoch;
    a->state_addr = BIT(62);
    a->state_rkey = m->in->state.mr->rkey;
    a->trusts = m->peer->agent->trusts;
    link_send(m->peer->link, MESSAGE_ACCEPT, sizeof(*a));
}

/* Everything behind the VM; what fails is undone by incoming_abort. */
static enum err prepare(struct move *m, const struct message_offer *o, struct why *why)
{
    struct agent *a = m->peer->agent;

    borrow_begin(m->in->borrow, m->peer, &m->epoch, m->vm, m->pmap, m->name);
    a->ops->hold_merging(m->vm, true);
    return make_state_room(m, o->state_size, why);
}

void incoming_offer(struct peer *p, const struct message_offer *o)
{
    struct agent *a = p->agent;
    struct move *m = free_move(a);
    struct borrow *b = free_borrow(a);
    char text[AGENT_TEXT] = "", name[AGENT_NAME];
    struct incoming *in = m && b ? heap_alloc(sizeof(*in)) : NULL;
    struct why why = {""};
    struct vm *vm = NULL;

    if (!in) {
        refuse(p, &o->l.epoch, "it has no room for another migration now");
        return;
    }
    memcpy(name, o->name, sizeof(name));
    name[sizeof(name) - 1] = '\0';
    if (holder_may_come(p, name, text, sizeof(text)))
        vm = a->ops->make(a->ctx, name, o->memory, o->description, o->l.count, text, sizeof(text));
    if (!vm) {
        heap_free(in);
        refuse(p, &o->l.epoch, text);
        return;
    }
    in->borrow = b;
    a->moving++;
    *m = (struct move){.phase = MOVE_COPYING,
                       .epoch = o->l.epoch,
                       .peer = p,
                       .vm = vm,
                       .pmap = a->ops->pmap(vm),
                       .in = in};
    str_copy(m->name, sizeof(m->name), name);
    m->figures.began = time_now();
    if (prepare(m, o, &why))
        incoming_abort(m, why.text);
    else
        accept(m);
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

void incoming_abort(struct move *m, const char *text)
{
    if (m->phase == MOVE_FREE || m->phase >= MOVE_COMMITTED)
        return;
    str_copy(m->text, sizeof(m->text), text);
    m->phase = MOVE_ABORTED;
    m->figures.ended = time_now();
    m->in->close_at = time_now() + SOURCE_ENDS;
    close_aborted(m);
    peer_send_text(m->peer, MESSAGE_ABORT, &m->epoch, m->text);
    agent_say(m->peer->agent, "%s does not come: %s", m->name, m->text);
}

/* All is here, and nobody can change it any more. */
static void validate(struct move *m)
{
    struct incoming *in = m->in;
    struct key key = peer_state_key(m->peer, &m->epoch);
    struct why why = {""};
    struct mac mac;
    const void *state = phys_to_virt(in->state_frames);

    if (in->final.state_size > in->state_size) {
        incoming_abort(m, "its state is longer than was said");
        return;
    }
    mac = mac_of(&key, state, in->final.state_size, NULL, 0);
    if (!mac_matches(&mac, &in->final.state_mac)) {
        incoming_abort(m, "its state is not what the source sent");
        return;
    }
    if (ops_of(m)->load(m->vm, state, in->final.state_size, in->final.stood_ns, &why)) {
        incoming_abort(m, why.text);
        return;
    }
    for (u64 i = 0; i < in->aliases; i++)
        frame_set_group(in->alias[i], m->pmap->group);
    release_held(in);
    m->phase = MOVE_FINAL;
    peer_send_plain(m->peer, MESSAGE_READY, &m->epoch);
}

static void run(struct move *m, u64 stood_ns)
{
    struct agent *a = m->peer->agent;
    struct borrow *b = m->in->borrow;

    m->phase = MOVE_DONE;
    m->figures.ended = time_now();
    m->figures.downtime = stood_ns;
    a->ops->hold_merging(m->vm, false);
    release(m);
    borrow_activate(b);
    a->ops->run(m->vm);
    if (!b->left) { /* else the claim is the borrow's */
        b->vm = NULL;
        agent_unclaim(a, m->vm);
    }
    agent_say(a, "%s runs here; it came from %s", m->name, m->peer->name);
}

/* The source has lost its memory of it: the VM is nobody's but ours. */
static void run_alone(struct move *m)
{
    struct agent *a = m->peer->agent;
    struct borrow *b = m->in->borrow;

    if (m->pmap->count[PAGE_REMOTE]) {
        str_format(m->text, sizeof(m->text),
                   "%s was restarted during the hand-off: %llu pages of %s are lost with it",
                   m->peer->name, (unsigned long long)m->pmap->count[PAGE_REMOTE], m->name);
        m->phase = MOVE_LOST;
        m->figures.ended = time_now();
        release(m);
        b->lost = true;
        a->ops->lost(m->vm, m->text);
        agent_forget(a, m->vm);
        return;
    }
    agent_say(a, "%s was restarted and does not have %s any more: it runs here", m->peer->name,
              m->name);
    run(m, 0);
}

/* --- events ------------------------------------------------------------------------------------------------------------------ */

static enum err take(struct move *m, const struct message_header *h, struct why *why)
{
    switch (h->type) {
    case MESSAGE_ASK_GRANT: return answer_ask(m, (const void *)h, why);
    case MESSAGE_ZERO: return take_zero(m, (const void *)h, why);
    case MESSAGE_ALIAS: return take_alias(m, (const void *)h, why);
    case MESSAGE_DEFER: return take_defer(m, (const void *)h, why);
    case MESSAGE_HOME: return take_home(m, (const void *)h, why);
    case MESSAGE_CHUNK:
        return borrow_add_chunk(m->in->borrow, (const void *)h)
                   ? why_set(why, E_RANGE, "the source lends slots out of order")
                   : OK;
    case MESSAGE_FINAL:
        m->in->final = *(const struct message_final *)h;
        m->in->has_final = true;
        return OK;
    default: return why_set(why, E_STATE, "a %s is not due now", message_name(h->type));
    }
}

/* What the source says of a migration that is not over. */
static void take_message(struct move *m, const struct message_header *h)
{
    char said[AGENT_TEXT];
    struct why why = {""};

    if (h->type == MESSAGE_ABORT || h->type == MESSAGE_DENY)
        m->in->source_ended = true;
    if (h->type == MESSAGE_ABORT) {
        message_read_text((const void *)h, said, sizeof(said));
        incoming_abort(m, said);
    } else if (h->type == MESSAGE_DENY) {
        incoming_abort(m, "the source has ended the migration");
    } else if (h->type == MESSAGE_RUN) {
        if (m->phase == MOVE_FINAL)
            run(m, ((const struct message_go *)h)->stood_ns);
    } else if (m->phase == MOVE_COPYING && !m->in->has_final) {
        if (take(m, h, &why))
            incoming_abort(m, why.text);
    }
}

void incoming_message(struct move *m, const struct message_header *h)
{
    if (m->in)
        take_message(m, h);
    if (h->type == MESSAGE_RUN && m->phase == MOVE_DONE)
        peer_send_plain(m->peer, MESSAGE_RUNNING, &m->epoch);
}

void incoming_marker(void *ctx, struct link *l, u32 value)
{
    const struct peer *p = ctx;
    struct agent *a = p->agent;

    (void)l;
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        struct move *m = &a->in[i];

        if (m->phase == MOVE_COPYING && m->peer == p && (u32)m->epoch.n == value)
            m->in->markers++;
    }
}

u64 incoming_poll(struct move *m)
{
    struct agent *a = m->peer->agent;

    if (m->cancel && m->phase < MOVE_FINAL)
        incoming_abort(m, "it was cancelled");
    switch (m->phase) {
    case MOVE_COPYING:
        if (m->in->has_final && m->in->markers >= LINK_DATA_QPS) {
            m->phase = MOVE_CLOSING;
            close_keys(m->in);
            return 0;
        }
        return U64_MAX; /* a round may be long; a source that is gone takes its link with it */
    case MOVE_CLOSING:
        if (keys_are_closed(m->in))
            validate(m);
        return time_now() + MSEC(1);
    case MOVE_ABORTED:
        if (m->in)
            close_aborted(m);
        if (m->in && m->in->closing && keys_are_closed(m->in)) {
            struct borrow *b = m->in->borrow;

            struct vm *vm = m->vm;

            agent_forget(a, vm);
            a->ops->end(vm);
            borrow_free(b);
            release(m);
        }
        return m->in ? time_now() + MSEC(1) : U64_MAX;
    default: return U64_MAX;
    }
}

/* Before READY nothing is lost; after it, only the source knows, and the VM waits. */
void incoming_link_down(struct move *m)
{
    if (m->in && m->phase == MOVE_ABORTED)
        close_keys(m->in);
    else if (m->phase == MOVE_COPYING || m->phase == MOVE_CLOSING)
        incoming_abort(m, "the connection to the source broke");
    else if (m->phase == MOVE_FINAL)
        agent_say(m->peer->agent,
                  "%s waits to hear from %s which of the two hosts runs it; if %s is off for good, "
                  "`migrate resolve %s --peer-is-off %s`",
                  m->name, m->peer->name, m->peer->name, m->name, m->peer->name);
}

void incoming_link_up(struct move *m, bool same_incarnation)
{
    if (m->phase != MOVE_FINAL)
        return;
    if (same_incarnation)
        peer_send_plain(m->peer, MESSAGE_READY, &m->epoch);
    else
        run_alone(m);
}

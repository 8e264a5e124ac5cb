/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/outgoing.h"
#include "kernel/arch.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "migrate/agent.h"

#define ROUNDS_MOST 30
#define PATIENCE    SEC(30) /* for the target's next word before COMMIT */
#define REPEAT      MSEC(500)
#define SLOW_STEP   20
#define SLOW_MOST   80
#define RATE_GUESS  MIB(20) /* bytes a second, before anything was measured */

static const struct agent_ops *ops_of(const struct move *m)
{
    return m->peer->agent->ops;
}

/* --- begin and end ------------------------------------------------------------------------------------ */

static struct lease *free_lease(struct agent *a)
{
    for (unsigned i = 0; i < AGENT_LEASES; i++)
        if (!a->lease[i].used)
            return &a->lease[i];
    return NULL;
}

static struct move *free_move(struct agent *a)
{
    struct move *best = NULL;

    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        struct move *m = &a->out[i];

        if (m->phase == MOVE_FREE)
            return m;
        if (!m->out && m->phase >= MOVE_DONE && (!best || m->figures.ended < best->figures.ended))
            best = m;
    }
    return best;
}

static enum err send_offer(struct move *m, struct why *why)
{
    struct agent *a = m->peer->agent;
    struct message_offer *o = link_room(m->peer->link);
    u32 size = a->ops->describe(m->vm, o->description, MESSAGE_SIZE - sizeof(*o));

    if (!size)
        return why_set(why, E_RANGE, "the description of %s does not fit into a message", m->name);
    o->l.epoch = m->epoch;
    o->l.count = size;
    str_copy(o->name, sizeof(o->name), m->name);
    o->memory = m->pmap->memory;
    o->state_size = a->ops->state_size(m->vm);
    link_send(m->peer->link, MESSAGE_OFFER, (u32)sizeof(*o) + size);
    return OK;
}

/* Frees what it took; the VM is as it was before, or is gone. */
static void release(struct move *m)
{
    struct outgoing *o = m->out;
    struct vm *vm =
        m->phase == MOVE_ABORTED ? m->vm : NULL; /* NULL too if it has been lost since */

    pages_destroy(&o->pages);
    if (vm && o->slowed)
        ops_of(m)->slow_down(vm, 0);
    if (vm)
        ops_of(m)->hold_merging(vm, false);
    if (o->state.v)
        frame_put(o->state);
    heap_free(o);
    m->out = NULL;
    m->peer->agent->moving--;
    m->figures.ended = time_now();
    if (vm)
        agent_unclaim(m->peer->agent, vm);
}

/* Frames that are behind a key, or still on their way, are let go when that is over: by the lease, and by the link. The
 * pages' records must stay until then. */
static bool in_flight(const struct move *m)
{
    return m->out && (m->out->pages.in_flight || m->out->state_in_flight);
}

/* The target closes its keys when it hears that: no WRITE may be on its way any more. */
static void say_aborted(struct move *m)
{
    if (in_flight(m))
        return;
    peer_send_text(m->peer, MESSAGE_ABORT, &m->epoch, m->text);
    m->abort_said = true;
}

void outgoing_abort(struct move *m, const char *text)
{
    if (m->phase == MOVE_FREE || m->phase >= MOVE_COMMITTED)
        return;
    str_copy(m->text, sizeof(m->text), text);
    if (m->vm && (m->phase == MOVE_STOPPED || m->phase == MOVE_FINAL))
        ops_of(m)->go_on(m->vm);
    m->phase = MOVE_ABORTED;
    m->figures.ended = time_now();
    if (m->out && m->out->lease)
        lease_void(m->out->lease);
    say_aborted(m);
    agent_say(m->peer->agent, "%s stays here: %s", m->name, m->text);
}

/* The VM is claimed. */
static enum err begin(struct agent *a, struct vm *vm, const char *name, struct peer *p,
                      struct move **move, struct why *why)
{
    struct move *m = free_move(a);
    struct lease *l = free_lease(a);
    char text[AGENT_TEXT] = "";
    struct outgoing *o;
    enum err e;

    if (!m)
        return why_set(why, E_NOMEM, "%u VMs leave at once: wait for one to end", AGENT_MOVES);
    if (!l)
        return why_set(why, E_NOMEM, "%u leases are the most: wait for one to end", AGENT_LEASES);
    if (agent_leaving(a, vm))
        return why_set(why, E_STATE, "%s moves already: see `migrate list`", name);
    if (!a->ops->may_leave(vm, text, sizeof(text)))
        return why_set(why, E_STATE, "%s", text);
    o = heap_alloc(sizeof(*o));
    if (!o)
        return why_set(why, E_NOMEM, "no memory for a migration: %llu KiB in one piece",
                       (unsigned long long)sizeof(*o) >> 10);
    *m = (struct move){.phase = MOVE_OFFERED,
                       .epoch = {a->incarnation, ++a->last_n},
                       .peer = p,
                       .vm = vm,
                       .pmap = a->ops->pmap(vm),
                       .outgoing = true,
                       .out = o,
                       .next = time_now() + PATIENCE};
    str_copy(m->name, sizeof(m->name), name);
    m->figures.began = time_now();
    *l = (struct lease){.used = true, .epoch = m->epoch, .peer = p};
    a->moving++;
    a->leases++;
    str_copy(l->vm, sizeof(l->vm), name);
    o->lease = l;
    a->ops->hold_merging(vm, true);
    e = send_offer(m, why);
    if (e) {
        lease_void(l);
        a->ops->hold_merging(vm, false);
        release(m);
        m->phase = MOVE_FREE;
        return e;
    }
    *move = m;
    return OK;
}

enum err outgoing_begin(struct agent *a, const char *name, struct peer *p, struct move **move,
                        struct why *why)
{
    struct vm *vm = agent_claim(a, name, why);
    enum err e = vm ? begin(a, vm, name, p, move, why) : E_NOENT;

    if (e && vm)
        agent_unclaim(a, vm);
    else if (vm)
        holder_runs(a, name);
    return e;
}

void outgoing_pull(struct peer *p, const struct message_pull *pull)
{
    struct agent *a = p->agent;
    struct epoch none = {0, 0};
    char name[AGENT_NAME];
    struct move *m;
    struct why why = {""};

    memcpy(name, pull->name, sizeof(name));
    name[sizeof(name) - 1] = '\0';
    if (outgoing_begin(a, name, p, &m, &why))
        peer_send_text(p, MESSAGE_PULL_REFUSED, &none, why.text);
}

/* --- rounds ----------------------------------------------------------------------------------------------- */

static void begin_round(struct move *m)
{
    struct outgoing *o = m->out;

    m->figures.round++;
    o->round_began = time_now();
    o->round_bytes = o->pages.written_bytes;
    pages_begin_round(&o->pages);
}

static void begin_copying(struct move *m)
{
    struct outgoing *o = m->out;
    enum err e = pages_create(&o->pages, m, o->lease);

    o->pages.trusted = o->trusted;
    o->pages.content_key = peer_content_key(m->peer);
    if (e) {
        outgoing_abort(m, "no memory for the records of the migration");
        return;
    }
    m->phase = MOVE_COPYING;
    o->preparing = true;
}

static void prepare(struct move *m)
{
    bool done;

    if (pages_prepare(&m->out->pages, &done))
        outgoing_abort(m, "no memory to split its large pages");
    else if (done) {
        m->out->preparing = false;
        dirty_harvest(m->pmap); /* all pages go now: what was written before does not go again */
        begin_round(m);
    }
}

static void measure(struct move *m)
{
    const struct outgoing *o = m->out;
    u64 bytes = o->pages.written_bytes - o->round_bytes, ns = time_now() - o->round_began;

    if (bytes >= MIB(1) && ns)
        m->figures.rate = bytes * MSEC(1) / MAX(ns / 1000, 1);
}

static u64 expected_downtime(const struct move *m, u64 dirty)
{
    u64 rate = m->figures.rate ? m->figures.rate : RATE_GUESS;

    return dirty * PAGE_SIZE * 1000 / MAX(rate / MSEC(1), 1);
}

static void stop(struct move *m)
{
    struct why why = {""};

    if (ops_of(m)->stop(m->vm, &why)) {
        outgoing_abort(m, why.text);
        return;
    }
    m->figures.stopped = time_now();
    m->phase = MOVE_STOPPED;
    m->out->messages_at_stop = m->peer->link->messages_sent;
    dirty_harvest(m->pmap);
    m->figures.stop_pages = dirty_count(m->pmap, DIRTY_MOVE);
    begin_round(m);
}

/* The guest writes faster than the link carries: it gets less of the CPU, a step more each round. */
static void slow_down(struct move *m)
{
    struct outgoing *o = m->out;

    if (o->slowed >= SLOW_MOST)
        return;
    o->slowed += SLOW_STEP;
    ops_of(m)->slow_down(m->vm, o->slowed);
    agent_say(m->peer->agent,
              "%s writes faster than the link to %s carries: it is slowed down by %u %%", m->name,
              m->peer->name, o->slowed);
}

static void round_over(struct move *m)
{
    struct outgoing *o = m->out;
    u64 dirty;

    measure(m);
    dirty_harvest(m->pmap);
    dirty = dirty_count(m->pmap, DIRTY_MOVE);
    m->figures.downtime = expected_downtime(m, dirty);
    if (m->figures.downtime <= m->peer->agent->downtime_ns || m->figures.round >= ROUNDS_MOST) {
        stop(m);
        return;
    }
    if (m->figures.round > 2 && dirty * 4 > o->last_dirty * 3)
        slow_down(m);
    o->last_dirty = dirty;
    begin_round(m);
}

/* --- the last things -------------------------------------------------------------------------------------------- */

static void state_written(void *owner, u64 tag, bool good)
{
    struct outgoing *o = owner;

    (void)tag;
    o->state_in_flight--;
    o->pages.broken |= !good;
}

static enum err save_state(struct move *m, struct why *why)
{
    struct outgoing *o = m->out;
    u32 order = 0;

    o->state_size = ops_of(m)->state_size(m->vm);
    while (PAGE_SIZE << order < o->state_size)
        order++;
    o->state = frame_alloc(order, FRAME_KERNEL, 0);
    if (!o->state.v)
        return why_set(why, E_NOMEM, "no %llu KiB in one piece for the VM's state",
                       (unsigned long long)(PAGE_SIZE << order) >> 10);
    return ops_of(m)->save(m->vm, phys_to_virt(o->state), &o->state_size);
}

/* Queue 0 carries it. False: not all is posted yet. */
static bool write_state(struct move *m)
{
    struct outgoing *o = m->out;
    struct link_work work = {.done = state_written, .owner = o};

    while (o->state_written < o->state_size) {
        u64 left = o->state_size - o->state_written;

        work.frames = 0;
        for (u64 at = 0; at < MIN(left, LINK_FRAMES * PAGE_SIZE); at += PAGE_SIZE)
            work.frame[work.frames++] = HPA(o->state.v + o->state_written + at);
        for (u32 i = 0; i < work.frames; i++)
            frame_get(work.frame[i]);
        if (link_write(m->peer->link, 0, &work, o->state_addr + o->state_written, o->state_rkey,
                       (u32)MIN(left, LINK_FRAMES * PAGE_SIZE))) {
            for (u32 i = 0; i < work.frames; i++)
                frame_put(work.frame[i]);
            return false;
        }
        o->state_in_flight++;
        o->state_written += MIN(left, LINK_FRAMES * PAGE_SIZE);
    }
    return true;
}

static bool post_marks(struct move *m)
{
    struct outgoing *o = m->out;

    while (o->marks < LINK_DATA_QPS) {
        if (link_mark(m->peer->link, o->marks, (u32)m->epoch.n))
            return false;
        o->marks++;
    }
    return true;
}

static void send_final(struct move *m)
{
    struct outgoing *o = m->out;
    struct message_final *f = link_room(m->peer->link);
    struct key key = peer_state_key(m->peer, &m->epoch);

    f->epoch = m->epoch;
    f->state_size = o->state_size;
    f->state_mac = mac_of(&key, phys_to_virt(o->state), o->state_size, NULL, 0);
    f->stood_ns = time_now() - m->figures.stopped;
    link_send(m->peer->link, MESSAGE_FINAL, sizeof(*f));
    m->phase = MOVE_FINAL;
    m->next = time_now() + PATIENCE;
}

/* The last pages are there: the state follows, then the markers. */
static void finish_stop(struct move *m)
{
    struct outgoing *o = m->out;
    struct why why = {""};

    if (!o->state.v && save_state(m, &why))
        outgoing_abort(m, why.text[0] ? why.text : "its state cannot be saved");
    else if (write_state(m) && post_marks(m))
        send_final(m);
}

static void send_run(struct move *m)
{
    struct message_go *go;

    m->next = time_now() + REPEAT;
    if (m->peer->state != PEER_UP)
        return;
    go = link_room(m->peer->link);
    go->epoch = m->epoch;
    go->stood_ns = time_now() - m->figures.stopped;
    link_send(m->peer->link, MESSAGE_RUN, sizeof(*go));
}

/* From here on the VM never runs here again, whatever happens. */
static void commit(struct move *m)
{
    m->phase = MOVE_COMMITTED;
    m->figures.stop_messages = m->peer->link->messages_sent - m->out->messages_at_stop + 1;
    send_run(m);
}

static void handed_over(struct move *m)
{
    struct agent *a = m->peer->agent;
    struct vm *vm = m->vm;

    m->figures.ended = time_now();
    m->figures.downtime = m->figures.ended - m->figures.stopped;
    m->phase = MOVE_DONE;
    m->out->lease->lent = true;
    if (vm)
        pages_tell_used(&m->out->pages);
    agent_forget(a, vm);
    a->ops->end(vm);
    agent_say(a, "%s runs on %s", m->name, m->peer->name);
}

/* --- events ------------------------------------------------------------------------------------------------------- */

void outgoing_message(struct move *m, const struct message_header *h)
{
    const struct message_accept *accept = (const void *)h;
    char said[AGENT_TEXT];

    if (m->phase != MOVE_COMMITTED)
        m->next = time_now() + PATIENCE;
    switch (h->type) {
    case MESSAGE_ACCEPT:
        if (m->phase != MOVE_OFFERED)
            break;
        m->out->state_addr = accept->state_addr;
        m->out->state_rkey = accept->state_rkey;
        m->out->trusted = accept->trusts;
        begin_copying(m);
        break;
    case MESSAGE_REFUSE:
    case MESSAGE_ABORT:
        message_read_text((const void *)h, said, sizeof(said));
        outgoing_abort(m, said);
        break;
    case MESSAGE_GRANT:
        if (m->phase == MOVE_COPYING || m->phase == MOVE_STOPPED)
            if (!pages_granted(&m->out->pages, (const void *)h))
                outgoing_abort(m, "the target granted what was not asked for");
        break;
    case MESSAGE_READY:
        if (m->phase == MOVE_FINAL)
            commit(m);
        break;
    case MESSAGE_RUNNING:
        if (m->phase == MOVE_COMMITTED)
            handed_over(m);
        break;
    }
}

static u64 poll_rounds(struct move *m)
{
    struct why why = {""};
    bool done = false;
    enum err e;

    if (m->out->preparing) {
        prepare(m);
        return time_now();
    }
    e = pages_step(&m->out->pages, &done, &why);
    if (e == E_AGAIN || m->out->pages.broken)
        return time_now() + MSEC(1); /* or when something is completed */
    if (e)
        outgoing_abort(m, why.text);
    else if (done && m->phase == MOVE_COPYING)
        round_over(m);
    else if (done)
        finish_stop(m);
    return time_now() + (m->out && m->out->pages.walking ? 0 : MSEC(1));
}

static u64 poll_end(struct move *m)
{
    if (m->phase == MOVE_ABORTED && !m->abort_said)
        say_aborted(m);
    if (m->out && !in_flight(m))
        release(m);
    return m->out ? time_now() + MSEC(1) : U64_MAX;
}

u64 outgoing_poll(struct move *m)
{
    if (m->cancel && m->phase < MOVE_COMMITTED)
        outgoing_abort(m, "it was cancelled");
    switch (m->phase) {
    case MOVE_COPYING:
    case MOVE_STOPPED: return poll_rounds(m);
    case MOVE_OFFERED:
    case MOVE_FINAL:
        if (time_now() >= m->next)
            outgoing_abort(m, "the target did not answer within 30 s");
        return m->next;
    case MOVE_COMMITTED:
        if (time_now() >= m->next)
            send_run(m);
        return m->next;
    case MOVE_DONE:
    case MOVE_ABORTED:
    case MOVE_LOST: return poll_end(m);
    default: return U64_MAX;
    }
}

void outgoing_link_down(struct move *m)
{
    if (m->phase != MOVE_FREE && m->phase < MOVE_COMMITTED)
        outgoing_abort(m, "the connection to the target broke");
}

/* The target may not have heard that it may run, or what became of a migration that ended here. */
void outgoing_link_up(struct move *m)
{
    if (m->phase == MOVE_COMMITTED)
        send_run(m);
}

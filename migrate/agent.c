/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/agent.h"
#include "kernel/arch.h"
#include "kernel/string.h"
#include "migrate/incoming.h"
#include "migrate/outgoing.h"

const char *const move_phase_name[MOVE_PHASES] = {
    [MOVE_FREE] = "none",
    [MOVE_OFFERED] = "offered",
    [MOVE_COPYING] = "copying",
    [MOVE_STOPPED] = "stopped",
    [MOVE_CLOSING] = "closing",
    [MOVE_FINAL] = "handing over",
    [MOVE_COMMITTED] = "handing over",
    [MOVE_DONE] = "done",
    [MOVE_ABORTED] = "aborted",
    [MOVE_LOST] = "lost",
};

/* --- making ---------------------------------------------------------------------------------------------- */

enum err agent_create(struct agent *a, const char *name, struct verbs_device *device,
                      const struct agent_ops *ops, void *ctx, struct why *why)
{
    *a = (struct agent){.ops = ops,
                        .ctx = ctx,
                        .device = device,
                        .downtime_ns = AGENT_DOWNTIME,
                        .drain_rate = AGENT_DRAIN_RATE,
                        .cache_reads = true};
    str_copy(a->name, sizeof(a->name), name);
    a->created = time_now();
    list_init(&a->ending);
    if (!ops->random(ctx, &a->incarnation, sizeof(a->incarnation)) ||
        !ops->random(ctx, &a->cookie_key, sizeof(a->cookie_key)))
        return why_set(why, E_UNSUPPORTED,
                       "the CPU has no RDRAND, and nonces must be random: VMs stay on this host");
    a->incarnation |= 1; /* 0 is nobody */
    return OK;
}

enum err agent_add_peer(struct agent *a, const char *name, ip4_t address, const u8 key[KEY_SIZE],
                        struct why *why)
{
    struct peer *p = &a->peer[a->peers];

    if (a->peers == CONFIG_MAX_PEERS || agent_peer(a, name) || str_equal(a->name, name))
        return why_set(why, E_EXIST, "peer %s: that name is taken, or there are %u peers", name,
                       CONFIG_MAX_PEERS);
    *p = (struct peer){.agent = a, .address = address, .begins = strcmp(a->name, name) < 0};
    str_copy(p->name, sizeof(p->name), name);
    memcpy(p->key.b, key, KEY_SIZE);
    a->peers++;
    return OK;
}

/* --- VMs that must stay -------------------------------------------------------------------------------------- */

struct move *agent_leaving(struct agent *a, const struct vm *vm)
{
    for (unsigned i = 0; vm && i < AGENT_MOVES; i++)
        if (a->out[i].out && a->out[i].vm == vm)
            return &a->out[i];
    return NULL;
}

static bool is_needed(struct agent *a, const struct vm *vm)
{
    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && a->borrow[i].vm == vm)
            return true;
    return agent_leaving(a, vm);
}

struct vm *agent_claim(struct agent *a, const char *name, struct why *why)
{
    struct vm *vm = a->ops->find(a->ctx, name);

    return vm && is_needed(a, vm) ? vm : a->ops->claim(a->ctx, name, why);
}

void agent_unclaim(struct agent *a, struct vm *vm)
{
    if (!is_needed(a, vm))
        a->ops->unclaim(vm);
}

void agent_forget(struct agent *a, const struct vm *vm)
{
    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && a->borrow[i].vm == vm) {
            borrow_abandon(&a->borrow[i], E_STATE);
            a->borrow[i].vm = NULL;
        }
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        if (a->out[i].vm == vm) {
            if (a->out[i].out)
                pages_detach(&a->out[i].out->pages);
            a->out[i].vm = NULL;
            outgoing_abort(&a->out[i], "it is lost");
        }
        if (a->in[i].vm == vm)
            a->in[i].vm = NULL;
    }
}

void agent_say(struct agent *a, const char *format, ...)
{
    char text[AGENT_TEXT];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    a->ops->say(a->ctx, text);
}

/* --- events ------------------------------------------------------------------------------------------------ */

struct move *agent_find_move(struct move *moves, const struct peer *p, const struct epoch *e)
{
    for (unsigned i = 0; i < AGENT_MOVES; i++)
        if (moves[i].phase != MOVE_FREE && moves[i].peer == p && epoch_equal(&moves[i].epoch, e))
            return &moves[i];
    return NULL;
}

struct lease *agent_find_lease(const struct peer *p, const struct epoch *e)
{
    struct agent *a = p->agent;

    for (unsigned i = 0; i < AGENT_LEASES; i++)
        if (a->lease[i].used && a->lease[i].peer == p && epoch_equal(&a->lease[i].epoch, e))
            return &a->lease[i];
    return NULL;
}

/* Slots may be returned twice: the borrower repeats what may have been lost with a link. */
static void returned(struct peer *p, const struct message_runs *r)
{
    struct lease *l = agent_find_lease(p, &r->l.epoch);
    bool good = !l || message_runs_fit(r, lease_slots(l), lease_slots(l));

    for (u32 k = 0; l && good && k < r->l.count; k++)
        good = lease_return(l, r->run[k].first, r->run[k].count);
    if (!good) {
        p->refused++;
        return;
    }
    if (!l || !l->left)
        peer_send_plain(p, MESSAGE_LEASE_OVER, &r->l.epoch);
}

static struct borrow *find_borrow(struct peer *p, const struct epoch *e)
{
    struct agent *a = p->agent;

    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && a->borrow[i].peer == p && epoch_equal(&a->borrow[i].epoch, e))
            return &a->borrow[i];
    return NULL;
}

static void about_borrow(struct peer *p, const struct message_plain *m)
{
    struct borrow *b = find_borrow(p, &m->epoch);

    if (b && m->h.type == MESSAGE_RECALL)
        b->recalled = true;
    else if (b && m->h.type == MESSAGE_USED)
        p->refused += !borrow_prefer(b, (const void *)m);
    else if (b && !b->left)
        b->over = true;
}

/* Those that the source sends; those that the target sends. */
static const bool to_target[MESSAGE_TYPES] = {
    [MESSAGE_ASK_GRANT] = true, [MESSAGE_ZERO] = true,  [MESSAGE_ALIAS] = true,
    [MESSAGE_CHUNK] = true,     [MESSAGE_DEFER] = true, [MESSAGE_HOME] = true,
    [MESSAGE_FINAL] = true,     [MESSAGE_RUN] = true,   [MESSAGE_DENY] = true,
};
static const bool to_source[MESSAGE_TYPES] = {
    [MESSAGE_ACCEPT] = true, [MESSAGE_REFUSE] = true,  [MESSAGE_GRANT] = true,
    [MESSAGE_READY] = true,  [MESSAGE_RUNNING] = true,
};

static void move_message(struct peer *p, const struct message_header *h)
{
    struct agent *a = p->agent;
    const struct epoch *e = &((const struct message_plain *)h)->epoch;
    struct move *out = agent_find_move(a->out, p, e), *in = agent_find_move(a->in, p, e);
    bool either = h->type == MESSAGE_ABORT;

    if (out && (either || to_source[h->type]))
        outgoing_message(out, h);
    else if (in && (either || to_target[h->type]))
        incoming_message(in, h);
    /* The target is in doubt, and the source knows of no hand-off that was committed. */
    if (h->type == MESSAGE_READY && (!out || out->phase == MOVE_ABORTED))
        peer_send_plain(p, MESSAGE_DENY, e);
}

void agent_message(void *ctx, struct link *l, const struct message_header *h)
{
    struct peer *p = ctx;
    char said[AGENT_TEXT];

    (void)l;
    switch (h->type) {
    case MESSAGE_PING: break;
    case MESSAGE_PULL: outgoing_pull(p, (const void *)h); break;
    case MESSAGE_PULL_REFUSED:
        message_read_text((const void *)h, said, sizeof(said));
        agent_say(p->agent, "%s does not give it: %s", p->name, said);
        break;
    case MESSAGE_OFFER: incoming_offer(p, (const void *)h); break;
    case MESSAGE_RETURN: returned(p, (const void *)h); break;
    case MESSAGE_USED:
    case MESSAGE_RECALL:
    case MESSAGE_LEASE_OVER: about_borrow(p, (const void *)h); break;
    case MESSAGE_ASK_HOLDER:
    case MESSAGE_HOLDER: holder_message(p, (const void *)h); break;
    default: move_message(p, h); break;
    }
}

static void lose_vm(struct agent *a, struct vm *vm, const char *text)
{
    agent_forget(a, vm);
    a->ops->lost(vm, text);
}

/* The VM is told why before its vCPUs find that their pages do not come. */
static void lose_borrow(struct agent *a, struct borrow *b)
{
    char text[AGENT_TEXT];

    if (b->lost)
        return;
    str_format(text, sizeof(text), "%s was restarted and has lost %llu pages that it lent to %s",
               b->peer->name, (unsigned long long)b->left, b->name);
    if (b->left && b->vm)
        lose_vm(a, b->vm, text);
    borrow_lose(b);
}

/* The peer has lost all that it knew. */
static void peer_is_new(struct peer *p)
{
    struct agent *a = p->agent;

    for (unsigned i = 0; i < AGENT_LEASES; i++)
        if (a->lease[i].used && a->lease[i].peer == p)
            lease_void(&a->lease[i]);
    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && a->borrow[i].peer == p && a->borrow[i].active)
            lose_borrow(a, &a->borrow[i]);
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        struct move *m = &a->out[i];

        if (m->phase != MOVE_COMMITTED || m->peer != p)
            continue;
        str_format(m->text, sizeof(m->text),
                   "%s was restarted after %s had been handed over to it: the VM is lost", p->name,
                   m->name);
        m->phase = MOVE_LOST;
        m->figures.ended = time_now();
        if (m->vm)
            lose_vm(a, m->vm, m->text);
    }
}

void agent_link_up(struct peer *p, bool same_incarnation)
{
    struct agent *a = p->agent;

    if (!same_incarnation)
        peer_is_new(p);
    holder_link_up(p);
    for (unsigned i = 0; i < AGENT_BORROWS; i++)
        if (a->borrow[i].used && a->borrow[i].peer == p)
            borrow_link_up(&a->borrow[i]);
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        if (a->out[i].phase != MOVE_FREE && a->out[i].peer == p)
            outgoing_link_up(&a->out[i]);
        if (a->in[i].phase != MOVE_FREE && a->in[i].peer == p)
            incoming_link_up(&a->in[i], same_incarnation);
    }
}

void agent_link_down(struct peer *p)
{
    struct agent *a = p->agent;

    holder_link_down(p);
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        if (a->out[i].phase != MOVE_FREE && a->out[i].peer == p)
            outgoing_link_down(&a->out[i]);
        if (a->in[i].phase != MOVE_FREE && a->in[i].peer == p)
            incoming_link_down(&a->in[i]);
    }
}

/* --- what is due ---------------------------------------------------------------------------------------------- */

static bool end_links(struct agent *a)
{
    struct link *l;

    LIST_FOR_EACH(l, &a->ending, list)
    {
        (void)link_is_over(l);
    }
    return !list_empty(&a->ending);
}

static u64 poll_leases(struct agent *a)
{
    bool ending = false;

    for (unsigned i = 0; a->leases && i < AGENT_LEASES; i++)
        ending |= lease_poll(&a->lease[i]);
    return ending ? time_now() + MSEC(1) : U64_MAX;
}

static u64 poll_borrows(struct agent *a)
{
    u64 next = U64_MAX, at;
    u32 left = a->borrows;

    for (unsigned i = 0; left && i < AGENT_BORROWS; i++) {
        struct borrow *b = &a->borrow[i];
        struct move *m;

        if (!b->used)
            continue;
        left--;
        at = borrow_poll(b);
        next = MIN(next, at);
        if ((!b->active && !b->lost) || !borrow_is_over(b))
            continue;
        m = agent_find_move(a->in, b->peer, &b->epoch);
        if (m)
            m->borrowed = b->figures;
        borrow_free(b);
        if (b->vm)
            agent_unclaim(a, b->vm);
    }
    return next;
}

/* WRITEs that wait are theirs. */
static u64 poll_moves(struct agent *a)
{
    u64 next = U64_MAX, at;

    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        if (a->out[i].out) {
            at = outgoing_poll(&a->out[i]);
            next = MIN(next, at);
        }
        if (a->in[i].in) {
            at = incoming_poll(&a->in[i]);
            next = MIN(next, at);
        }
    }
    for (u32 i = 0; i < a->peers; i++)
        if (a->peer[i].link)
            link_flush(a->peer[i].link);
    return next;
}

u64 agent_poll(struct agent *a)
{
    u64 next = U64_MAX, at;

    if (a->device)
        (void)verbs_progress(a->device);
    if (time_now() < holder_meets_from(a))
        return holder_meets_from(a);
    for (u32 i = 0; i < a->peers; i++) {
        at = peer_poll(&a->peer[i]);
        next = MIN(next, at);
    }
    if (a->moving) {
        at = poll_moves(a);
        next = MIN(next, at);
    }
    at = poll_borrows(a);
    next = MIN(next, at);
    at = poll_leases(a);
    next = MIN(next, at);
    if (a->claims) {
        at = holder_poll(a);
        next = MIN(next, at);
    }
    if (end_links(a))
        next = MIN(next, time_now() + MSEC(1));
    return next;
}

/* --- commands --------------------------------------------------------------------------------------------------- */

static enum err find_peer(struct agent *a, const char *host, struct peer **p, struct why *why)
{
    *p = agent_peer(a, host);
    if (!*p)
        return why_set(why, E_NOENT, "ferry.cfg has no peer named %s", host);
    if ((*p)->state != PEER_UP)
        return why_set(why, E_STATE, "there is no connection to %s: %s", host,
                       (*p)->why[0] ? (*p)->why : "it did not answer yet");
    return OK;
}

struct move *agent_active_move(struct agent *a, const char *vm)
{
    for (unsigned i = 0; i < AGENT_MOVES; i++) {
        struct move *m[] = {&a->out[i], &a->in[i]};

        for (unsigned k = 0; k < 2; k++)
            if (m[k]->phase != MOVE_FREE && m[k]->phase < MOVE_DONE &&
                (!vm || str_equal(m[k]->name, vm)))
                return m[k];
    }
    return NULL;
}

enum err agent_move_to(struct agent *a, const char *name, const char *host, struct move **move,
                       struct why *why)
{
    struct peer *p;
    enum err e = find_peer(a, host, &p, why);

    if (e)
        return e;
    if (agent_active_move(a, name))
        return why_set(why, E_STATE, "%s moves already: see `migrate list`", name);
    return outgoing_begin(a, name, p, move, why);
}

enum err agent_move_from(struct agent *a, const char *vm, const char *host, struct why *why)
{
    struct message_pull *m;
    struct peer *p;
    enum err e = find_peer(a, host, &p, why);

    if (e)
        return e;
    if (agent_active_move(a, vm))
        return why_set(why, E_STATE, "%s moves already: see `migrate list`", vm);
    if (a->ops->holds(a->ctx, vm))
        return why_set(why, E_EXIST, "there is a VM named %s here already", vm);
    m = link_room(p->link);
    str_copy(m->name, sizeof(m->name), vm);
    link_send(p->link, MESSAGE_PULL, sizeof(*m));
    return OK;
}

enum err agent_cancel(struct agent *a, const char *vm, struct why *why)
{
    struct move *m = agent_active_move(a, vm);

    if (!m)
        return why_set(why, E_NOENT, "%s does not move", vm);
    if (m->phase >= MOVE_FINAL && (m->phase == MOVE_COMMITTED || !m->outgoing))
        return why_set(why, E_STATE, "%s is being handed over: too late to cancel", vm);
    m->cancel = true;
    return OK;
}

enum err agent_peer_is_off(struct agent *a, const char *vm, const char *host, struct why *why)
{
    struct move *m = agent_active_move(a, vm);
    struct peer *p = agent_peer(a, host);

    if (!p)
        return why_set(why, E_NOENT, "ferry.cfg has no peer named %s", host);
    if (p->state == PEER_UP)
        return why_set(why, E_STATE, "%s is not off: it is connected", host);
    if (m && !m->outgoing && m->phase == MOVE_FINAL && m->peer == p)
        incoming_link_up(m, false);
    else if (!holder_peer_is_off(p, vm))
        return why_set(why, E_STATE, "%s does not wait for %s", vm, host);
    return OK;
}

void agent_recall(struct agent *a)
{
    for (unsigned i = 0; i < AGENT_LEASES; i++) {
        struct lease *l = &a->lease[i];

        if (l->used && l->lent && !l->voided && l->left && l->peer->state == PEER_UP) {
            l->recalled = true;
            peer_send_plain(l->peer, MESSAGE_RECALL, &l->epoch);
        }
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Who holds a VM. A host that was restarted does not know what became of its VMs: before it starts one, every peer has
 * said that it does not hold that VM, or the operator that the peer is off.
 *
 * Only the answers of one round count, and a round lives for ROUND. When all have denied, one more round follows at once,
 * whose denials bind who gives them: for BINDS it takes no offer of that VM and does not start it itself. So while that
 * round lives, the VM cannot move from a peer that has not been asked yet to one that has denied already, and when all have
 * denied again, nobody has it and nobody can get it. From that moment on the claim is granted, and whoever asks is told that
 * the VM is here. A host that has just booted does not know what it is bound by, and meets nobody for that long. (The
 * first rounds do not bind: a host that waits for a peer that is down must not keep the others from moving the VM.)
 *
 * Of two hosts that ask each other at the same time, the one gives way whose name is greater, unless the other has
 * given way before. */
#include "kernel/string.h"
#include "migrate/agent.h"

#define ROUND      SEC(1)
#define BINDS      (2 * ROUND)
#define STAYS      SEC(10) /* a claim that nobody asks for, or that is granted and not used */
#define WORD_HOLDS SEC(60) /* the operator's, that a peer is off */

static struct claim *find_claim(struct agent *a, const char *vm)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++)
        if (a->claim[i].name[0] && str_equal(a->claim[i].name, vm))
            return &a->claim[i];
    return NULL;
}

static void end_claim(struct agent *a, struct claim *c)
{
    c->name[0] = '\0';
    a->claims--;
}

static struct claim *new_claim(struct agent *a, const char *vm)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++)
        if (!a->claim[i].name[0]) {
            a->claim[i] = (struct claim){.until = time_now() + STAYS};
            a->claims++;
            str_copy(a->claim[i].name, sizeof(a->claim[i].name), vm);
            return &a->claim[i];
        }
    return NULL;
}

/* --- what binds this host -------------------------------------------------------------------------------------- */

static const struct denial *find_denial(const struct peer *p, const char *vm)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++)
        if (time_now() < p->denial[i].until && str_equal(p->denial[i].vm, vm))
            return &p->denial[i];
    return NULL;
}

/* False: it has asked for more VMs than a host may start at a time, and must ask again. */
static bool deny(struct peer *p, const char *vm)
{
    struct denial *d = (struct denial *)find_denial(p, vm);

    for (unsigned i = 0; !d && i < AGENT_CLAIMS; i++)
        if (time_now() >= p->denial[i].until)
            d = &p->denial[i];
    if (!d)
        return false;
    str_copy(d->vm, sizeof(d->vm), vm);
    d->until = time_now() + BINDS;
    return true;
}

/* The peer, other than that one, to which it was said that the VM is not here. */
static const struct peer *bound_to(const struct agent *a, const char *vm, const struct peer *but)
{
    for (u32 i = 0; i < a->peers; i++)
        if (&a->peer[i] != but && find_denial(&a->peer[i], vm))
            return &a->peer[i];
    return NULL;
}

u64 holder_meets_from(const struct agent *a)
{
    return a->created + BINDS;
}

bool holder_may_come(struct peer *from, const char *vm, char *text, u32 size)
{
    struct agent *a = from->agent;
    const struct peer *other = bound_to(a, vm, from);

    if (find_claim(a, vm))
        str_format(text, size, "%s is about to be started on %s", vm, a->name);
    else if (other)
        str_format(text, size,
                   "%s has asked %s just now whether it may start %s: try again in %u s",
                   other->name, a->name, vm, (unsigned)(BINDS / SEC(1)));
    else
        return true;
    return false;
}

/* --- what this host wants -------------------------------------------------------------------------------------- */

static bool is_off(const struct claim *c, u32 peer)
{
    return time_now() < c->off_until[peer];
}

/* The first that has not denied in this round; or NULL. */
static const struct peer *awaited(const struct agent *a, const struct claim *c)
{
    for (u32 i = 0; i < a->peers; i++)
        if (!(c->denied & BIT(i)) && !is_off(c, i))
            return &a->peer[i];
    return NULL;
}

/* Have all denied? Then the next round binds them, and if this one did, the VM is this host's. */
static void try_grant(struct agent *a, struct claim *c)
{
    if (c->complete || c->holder || time_now() >= c->asked + ROUND || awaited(a, c) ||
        bound_to(a, c->name, NULL))
        return;
    c->complete = true;
    c->next = 0;
    if (!c->binds)
        return;
    c->granted = true;
    c->until = time_now() + STAYS;
}

static enum err refuse(struct agent *a, struct claim *c, struct why *why)
{
    const struct peer *p = &a->peer[c->holder - 1];
    enum err e = why_set(why, E_EXIST, "%s has %s; `migrate %s from %s` brings it here", p->name,
                         c->name, c->name, p->name);

    end_claim(a, c);
    return e;
}

static enum err wait_longer(const struct agent *a, const struct claim *c, struct why *why)
{
    const struct peer *p = awaited(a, c);

    if (p && c->rival == (u32)(p - a->peer) + 1)
        return why_set(why, E_AGAIN, "%s is about to start %s itself", p->name, c->name);
    if (p)
        return why_set(why, E_AGAIN,
                       "%s does not say whether it has %s; `migrate resolve %s --peer-is-off %s` "
                       "if it is off",
                       p->name, c->name, c->name, p->name);
    return why_set(why, E_AGAIN, "another host has asked for %s, too", c->name);
}

enum err agent_may_start(struct agent *a, const char *vm, struct why *why)
{
    struct claim *c = find_claim(a, vm);

    if (a->ops->holds(a->ctx, vm)) {
        if (c)
            end_claim(a, c);
        return why_set(why, E_EXIST, "%s is here already", vm);
    }
    if (!a->peers)
        return OK;
    if (!c)
        c = new_claim(a, vm);
    if (!c)
        return why_set(why, E_AGAIN, "too many VMs wait to be started");
    c->until = time_now() + STAYS;
    if (c->holder)
        return refuse(a, c, why);
    return c->granted ? OK : wait_longer(a, c, why);
}

bool holder_peer_is_off(struct peer *p, const char *vm)
{
    struct claim *c = find_claim(p->agent, vm);

    if (!c)
        return false;
    c->off_until[p - p->agent->peer] = c->until = time_now() + WORD_HOLDS;
    try_grant(p->agent, c);
    return true;
}

void holder_runs(struct agent *a, const char *vm)
{
    struct claim *c = find_claim(a, vm);

    if (c)
        end_claim(a, c);
}

/* --- what others ask --------------------------------------------------------------------------------------- */

static void send_answer(struct peer *p, const char *vm, u64 round, enum holder_answer held)
{
    struct message_holder *m = link_room(p->link);

    str_copy(m->name, sizeof(m->name), vm);
    m->round = round;
    m->held = held;
    link_send(p->link, MESSAGE_HOLDER, sizeof(*m));
}

static void answer(struct peer *p, const char *vm, const struct message_holder *ask)
{
    struct agent *a = p->agent;
    const struct claim *c = find_claim(a, vm);
    enum holder_answer held = HOLDER_DENIES;

    if ((c && c->granted) || a->ops->holds(a->ctx, vm))
        held = HOLDER_HAS_IT;
    else if (c && (c->denied & BIT(p - a->peer) || strcmp(a->name, p->name) < 0))
        held = HOLDER_ASKS_TOO;
    if (held != HOLDER_DENIES || !ask->binds || deny(p, vm))
        send_answer(p, vm, ask->round, held);
}

static void take_answer(struct peer *p, struct claim *c, u32 held)
{
    struct agent *a = p->agent;
    u32 number = (u32)(p - a->peer);

    if (held == HOLDER_HAS_IT)
        c->holder = number + 1;
    else if (held == HOLDER_ASKS_TOO)
        c->rival = number + 1;
    else if (held == HOLDER_DENIES)
        c->denied |= BIT(number);
    try_grant(a, c);
}

void holder_message(struct peer *p, const struct message_holder *m)
{
    char name[AGENT_NAME];
    struct claim *c;

    str_copy(name, sizeof(name), m->name);
    if (m->h.type == MESSAGE_ASK_HOLDER) {
        answer(p, name, m);
        return;
    }
    c = find_claim(p->agent, name);
    if (c && !c->granted && c->round == m->round)
        take_answer(p, c, m->held);
}

/* --- rounds ------------------------------------------------------------------------------------------------ */

void holder_link_up(struct peer *p)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++) {
        p->agent->claim[i].next = 0;
        p->agent->claim[i].off_until[p - p->agent->peer] = 0;
    }
}

void holder_link_down(struct peer *p)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++)
        p->agent->claim[i].denied &= ~BIT(p - p->agent->peer);
}

static void ask(struct peer *p, const struct claim *c)
{
    struct message_holder *m = link_room(p->link);

    str_copy(m->name, sizeof(m->name), c->name);
    m->round = c->round;
    m->binds = c->binds;
    link_send(p->link, MESSAGE_ASK_HOLDER, sizeof(*m));
}

static void begin_round(struct agent *a, struct claim *c)
{
    u64 now = time_now();

    c->binds = c->complete;
    c->complete = false;
    c->round = ++a->last_round;
    c->asked = now;
    c->next = now + ROUND;
    c->denied = 0;
    c->rival = 0;
    for (u32 i = 0; i < a->peers; i++)
        if (peer_has_room(&a->peer[i]))
            ask(&a->peer[i], c);
    try_grant(a, c);
}

/* It is granted, until the VM speaks for itself. */
static void poll_granted(struct agent *a, struct claim *c)
{
    u64 now = time_now();

    if (a->ops->starts(a->ctx, c->name))
        c->until = now + STAYS;
    c->next = MIN(c->until, now + ROUND);
    if (a->ops->holds(a->ctx, c->name))
        end_claim(a, c);
}

u64 holder_poll(struct agent *a)
{
    u64 now = time_now(), next = U64_MAX;

    for (unsigned i = 0; i < AGENT_CLAIMS; i++) {
        struct claim *c = &a->claim[i];

        if (!c->name[0])
            continue;
        if (c->granted)
            poll_granted(a, c);
        if (c->name[0] && now >= c->until)
            end_claim(a, c);
        else if (c->name[0] && !c->granted && now >= c->next)
            begin_round(a, c);
        if (c->name[0])
            next = MIN(next, c->next);
    }
    return next;
}

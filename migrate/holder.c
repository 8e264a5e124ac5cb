/* Who holds a VM. A host that was restarted does not know what became of its VMs: before it starts one, every peer has
 * said that it does not hold that VM, or the operator that the peer is off.
 *
 * Of two hosts that ask each other at the same time, the one gives way whose name is greater, unless the other has
 * given way before. What a peer said stays true when it is restarted: it must ask, too. */
#include "kernel/string.h"
#include "migrate/agent.h"

#define ASK_PERIOD SEC(1)
#define STAYS      SEC(10) /* a claim, until the VM runs and speaks for itself */

static u64 all_peers(const struct agent *a)
{
    return BIT(a->peers) - 1;
}

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

static enum err refuse(struct agent *a, struct claim *c, struct why *why)
{
    const struct peer *p = &a->peer[c->holder - 1];
    enum err e = why_set(why, E_EXIST, "%s has %s; `migrate %s from %s` brings it here", p->name,
                         c->name, c->name, p->name);

    end_claim(a, c);
    return e;
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
    if (c->denied == all_peers(a))
        return OK;
    for (u32 i = 0; i < a->peers; i++)
        if (!(c->denied & BIT(i)))
            return why_set(why, E_AGAIN,
                           "%s does not say whether it has %s; `migrate resolve %s --peer-is-off "
                           "%s` if it is off",
                           a->peer[i].name, vm, vm, a->peer[i].name);
    return OK;
}

bool holder_peer_is_off(struct peer *p, const char *vm)
{
    struct claim *c = find_claim(p->agent, vm);

    if (c)
        c->denied |= BIT(p - p->agent->peer);
    return c;
}

/* --- what others ask --------------------------------------------------------------------------------------- */

static bool holds(struct agent *a, const struct peer *asks, const char *vm)
{
    const struct claim *c = find_claim(a, vm);

    if (c && (c->denied & BIT(asks - a->peer) || strcmp(a->name, asks->name) < 0))
        return true;
    return a->ops->holds(a->ctx, vm);
}

static void send_about(struct peer *p, enum message_type type, const char *vm, bool held)
{
    struct message_holder *m = link_room(p->link);

    str_copy(m->name, sizeof(m->name), vm);
    m->held = held;
    link_send(p->link, type, sizeof(*m));
}

void holder_message(struct peer *p, const struct message_holder *m)
{
    struct agent *a = p->agent;
    char name[AGENT_NAME];
    struct claim *c;

    str_copy(name, sizeof(name), m->name);
    if (m->h.type == MESSAGE_ASK_HOLDER) {
        send_about(p, MESSAGE_HOLDER, name, holds(a, p, name));
        return;
    }
    c = find_claim(a, name);
    if (!c)
        return;
    if (m->held)
        c->holder = (u32)(p - a->peer) + 1;
    else
        c->denied |= BIT(p - a->peer);
}

void holder_link_up(struct agent *a)
{
    for (unsigned i = 0; i < AGENT_CLAIMS; i++)
        a->claim[i].next = 0;
}

u64 holder_poll(struct agent *a)
{
    u64 now = time_now(), next = U64_MAX;

    for (unsigned i = 0; i < AGENT_CLAIMS; i++) {
        struct claim *c = &a->claim[i];

        if (!c->name[0])
            continue;
        if (now >= c->until)
            end_claim(a, c);
        else if (now >= c->next) {
            c->next = now + ASK_PERIOD;
            for (u32 k = 0; k < a->peers; k++)
                if (!(c->denied & BIT(k)) && peer_has_room(&a->peer[k]))
                    send_about(&a->peer[k], MESSAGE_ASK_HOLDER, c->name, false);
        }
        if (c->name[0])
            next = MIN(next, c->next);
    }
    return next;
}

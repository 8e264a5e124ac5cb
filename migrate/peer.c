/* SPDX-License-Identifier: BSD-2-Clause */
/* Other hosts: the hello, and the link that comes of it. */
#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "migrate/agent.h"

#define ASK_AGAIN   MSEC(1000)
#define OPEN_AGAIN  MSEC(500)
#define OPEN_LIMIT  SEC(5)
#define PING_PERIOD MSEC(500)
#define SILENCE     SEC(15) /* after which the link is given up; broken ones are noticed sooner */

struct peer *agent_peer(struct agent *a, const char *name)
{
    for (u32 i = 0; i < a->peers; i++)
        if (str_equal(a->peer[i].name, name))
            return &a->peer[i];
    return NULL;
}

/* --- the link ------------------------------------------------------------------------------------------ */

static void notify(struct verbs_cq *cq, void *ctx)
{
    struct agent *a = ctx;

    (void)cq;
    a->ops->wake(a->ctx);
}

static void drop_link(struct peer *p, const char *why)
{
    bool was_up = p->state == PEER_UP;
    struct link *l = p->link;

    str_copy(p->why, sizeof(p->why), why);
    lock_acquire(&p->lock);
    p->state = PEER_DOWN;
    p->link = NULL;
    lock_release(&p->lock);
    p->next = time_now() + ASK_AGAIN;
    if (l) {
        link_end(l);
        list_append(&p->agent->ending, &l->list);
    }
    if (was_up) {
        agent_say(p->agent, "the connection to %s is down: %s", p->name, why);
        agent_link_down(p);
    }
}

/* Makes this end of a link. */
static enum err make_link(struct peer *p, struct hello_end *mine, struct why *why)
{
    struct agent *a = p->agent;
    u32 psn[LINK_QPS];
    enum err e;

    if (!a->ops->random(a->ctx, psn, sizeof(psn)))
        return why_set(why, E_IO, "the CPU gives no random numbers");
    e = p->pd ? OK : verbs_alloc_pd(a->device, &p->pd, why);
    if (!e)
        e = link_create(&p->link, p->pd, notify, a, why);
    return e ? e : link_describe(p->link, psn, mine, why);
}

static enum err connect(struct peer *p, const struct hello_end *theirs, struct why *why)
{
    unsigned me = !p->begins;

    if (!p->link)
        return why_set(why, E_AGAIN, "this end is not made yet");
    p->link->send_key = hello_control_key(&p->session, &p->key, me);
    p->link->receive_key = hello_control_key(&p->session, &p->key, !me);
    return link_connect(p->link, theirs, why);
}

static void up(struct peer *p)
{
    u64 incarnation = p->session.incarnation[p->begins];
    bool same = p->incarnation == incarnation, met = p->incarnation;

    p->state = PEER_UP;
    p->incarnation = incarnation;
    p->links++;
    p->ping_next = 0;
    p->why[0] = '\0';
    verbs_req_notify_cq(p->link->cq);
    agent_say(p->agent, "connected to %s%s", p->name, met && !same ? ", which was restarted" : "");
    agent_link_up(p, same || !met);
}

/* --- datagrams --------------------------------------------------------------------------------------------- */

static void send(struct peer *p, const struct hello *h)
{
    p->agent->ops->datagram(p->agent->ctx, p->address, h, sizeof(*h));
}

static void ask(struct peer *p)
{
    struct agent *a = p->agent;
    struct hello h;

    p->session = (struct hello_session){.incarnation[0] = a->incarnation};
    str_copy(p->session.name[0], CONFIG_NAME, a->name);
    str_copy(p->session.name[1], CONFIG_NAME, p->name);
    p->next = time_now() + ASK_AGAIN;
    if (!a->ops->random(a->ctx, &p->session.nonce[0], sizeof(p->session.nonce[0])))
        return;
    hello_fill(&h, HELLO_ASK, &p->session);
    send(p, &h);
    p->state = PEER_ASKED;
}

static void give_cookie(struct peer *p, ip4_t from, const struct hello *asked)
{
    struct agent *a = p->agent;
    struct hello h;

    hello_fill(&h, HELLO_COOKIE, &asked->session);
    h.session.incarnation[1] = a->incarnation;
    h.session.nonce[1] =
        hello_nonce_for(&a->cookie_key, from, &asked->session, hello_slot(time_now()));
    h.cookie = hello_cookie_for(&a->cookie_key, from, &h.session);
    send(p, &h);
}

static bool is_answer(const struct peer *p, const struct hello *h)
{
    return !memcmp(&h->session.nonce[0], &p->session.nonce[0], sizeof(h->session.nonce[0])) &&
           h->session.incarnation[0] == p->session.incarnation[0];
}

static void open(struct peer *p, const struct hello *cookie)
{
    struct why why;

    if (p->state != PEER_ASKED || !is_answer(p, cookie))
        return;
    p->session = cookie->session;
    hello_fill(&p->opened, HELLO_OPEN, &p->session);
    p->opened.cookie = cookie->cookie;
    if (make_link(p, &p->opened.end, &why)) {
        drop_link(p, why.text);
        return;
    }
    hello_seal(&p->opened, &p->key);
    p->state = PEER_OPENED;
    p->next = time_now() + OPEN_AGAIN;
    p->ping_next = time_now() + OPEN_LIMIT;
    send(p, &p->opened);
}

/* Somebody who has the key opens a session. If it is the one that is there, the answer was lost. */
static void answer_open(struct peer *p, ip4_t from, const struct hello *h)
{
    struct agent *a = p->agent;
    struct hello_end mine;
    struct why why;

    if (p->state == PEER_UP && !memcmp(&h->session, &p->session, sizeof(h->session))) {
        send(p, &p->opened);
        return;
    }
    if (!hello_is_fresh(&a->cookie_key, from, h, time_now()) || !hello_is_authentic(h, &p->key) ||
        h->session.incarnation[1] != a->incarnation ||
        !hello_is_first(&p->seen, &h->session, time_now())) {
        p->refused++;
        return;
    }
    if (p->link)
        drop_link(p, "it connects anew");
    p->session = h->session;
    if (make_link(p, &mine, &why) || connect(p, &h->end, &why)) {
        drop_link(p, why.text);
        return;
    }
    hello_fill(&p->opened, HELLO_ACCEPT, &p->session);
    p->opened.cookie = h->cookie;
    p->opened.end = mine;
    hello_seal(&p->opened, &p->key);
    send(p, &p->opened);
    up(p);
}

static void accepted(struct peer *p, const struct hello *h)
{
    struct why why;
    enum err e;

    if (p->state != PEER_OPENED || memcmp(&h->session, &p->session, sizeof(h->session)) != 0)
        return;
    if (!hello_is_authentic(h, &p->key)) {
        p->refused++;
        return;
    }
    e = connect(p, &h->end, &why);
    if (!e)
        up(p);
    else if (e != E_AGAIN)
        drop_link(p, why.text);
}

void agent_datagram(struct agent *a, ip4_t from, const void *data, u32 size)
{
    struct peer *p = NULL;
    struct hello h;
    bool asks = false;

    if (time_now() < holder_meets_from(a))
        return;
    if (hello_read(&h, data, size)) {
        asks = h.kind == HELLO_ASK || h.kind == HELLO_OPEN;
        p = agent_peer(a, h.session.name[!asks]);
    }
    if (!p || p->address.v != from.v || p->begins == asks ||
        !str_equal(h.session.name[asks], a->name)) {
        a->strangers++;
        return;
    }
    switch (h.kind) {
    case HELLO_ASK: give_cookie(p, from, &h); break;
    case HELLO_COOKIE: open(p, &h); break;
    case HELLO_OPEN: answer_open(p, from, &h); break;
    case HELLO_ACCEPT: accepted(p, &h); break;
    }
}

struct key peer_state_key(const struct peer *p, const struct epoch *e)
{
    return key_derive(p->key.b, sizeof(p->key.b), e, sizeof(*e), "ferry state");
}

struct key peer_content_key(const struct peer *p)
{
    return key_derive(p->key.b, sizeof(p->key.b), NULL, 0, "ferry page content");
}

/* --- messages ------------------------------------------------------------------------------------------------ */

bool peer_has_room(const struct peer *p)
{
    return p->state == PEER_UP && link_has_room(p->link);
}

void peer_send_plain(struct peer *p, enum message_type type, const struct epoch *e)
{
    struct message_plain *m;

    if (p->state != PEER_UP)
        return;
    m = link_room(p->link);
    m->epoch = *e;
    link_send(p->link, type, sizeof(*m));
}

void peer_send_text(struct peer *p, enum message_type type, const struct epoch *e, const char *text)
{
    struct message_text *m;

    if (p->state != PEER_UP)
        return;
    m = link_room(p->link);
    m->l.epoch = *e;
    m->l.count = (u32)strlen(text);
    memcpy(m->text, text, m->l.count);
    link_send(p->link, type, (u32)sizeof(*m) + m->l.count);
}

static void ping(struct peer *p, u64 now)
{
    struct message_ping *m;

    if (now < p->ping_next)
        return;
    p->ping_next = now + PING_PERIOD;
    if (!link_has_room(p->link))
        return;
    m = link_room(p->link);
    m->sent = now;
    link_send(p->link, MESSAGE_PING, sizeof(*m));
}

static u64 poll_up(struct peer *p, u64 now)
{
    struct link_events events = {.ctx = p, .message = agent_message, .marker = incoming_marker};
    bool more = link_poll(p->link, &events);

    if (!more) { /* what comes from here on wakes the agent */
        verbs_req_notify_cq(p->link->cq);
        more = link_poll(p->link, &events);
    }
    if (p->link->failed || now > p->link->heard + SILENCE) {
        char text[sizeof(p->why)];

        str_copy(text, sizeof(text), p->link->failed ? p->link->why : "nothing was heard for 15 s");
        p->refused += p->link->refused;
        drop_link(p, text);
        return p->next;
    }
    ping(p, now);
    return more ? now : p->ping_next;
}

u64 peer_poll(struct peer *p)
{
    u64 now = time_now();

    switch (p->state) {
    case PEER_UP: return poll_up(p, now);
    case PEER_OPENED:
        if (now >= p->ping_next) {
            drop_link(p, "it does not answer");
        } else if (now >= p->next) {
            p->next = now + OPEN_AGAIN;
            send(p, &p->opened);
        }
        return p->next;
    default:
        if (!p->begins || !p->agent->device)
            return U64_MAX;
        if (now >= p->next)
            ask(p);
        return p->next;
    }
}

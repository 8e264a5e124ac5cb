/* SPDX-License-Identifier: BSD-2-Clause */
/* States of a queue pair (IBTA volume 1, 10.3.1): a table of what may follow what, and of what must not with
 * the reason. */
#include "drivers/net/roce/rc_internal.h"

struct transition {
    bool allowed;
    enum err (*prepare)(const struct rc *rc, const struct rc_attr *attr, struct why *why);
    void (*commit)(struct rc *rc, const struct rc_attr *attr);
    const char *prohibited; /* why */
};

const char *rc_state_name(enum rc_state s)
{
    static const char *const names[RC_STATES] = {
        [RC_RESET] = "RESET", [RC_INIT] = "INIT", [RC_RTR] = "RTR",
        [RC_RTS] = "RTS",     [RC_SQD] = "SQD",   [RC_ERROR] = "ERR",
    };

    return (unsigned)s < RC_STATES ? names[s] : "unknown";
}

/* --- to INIT, RTR, RTS -------------------------------------------------------------------------- */

static enum err prepare_init(const struct rc *rc, const struct rc_attr *attr, struct why *why)
{
    (void)rc;
    if (attr->access & ~(u32)ACCESS_ALL)
        return why_set(why, E_INVAL, "access 0x%x: bits above 0x%x mean nothing", attr->access,
                       ACCESS_ALL);
    return OK;
}

static void commit_init(struct rc *rc, const struct rc_attr *attr)
{
    rc->attr.access = attr->access;
}

static bool is_mtu(u32 mtu)
{
    return mtu >= 256 && mtu <= WIRE_MTU_MOST && !(mtu & (mtu - 1));
}

static enum err prepare_rtr(const struct rc *rc, const struct rc_attr *attr, struct why *why)
{
    (void)rc;
    if (!is_mtu(attr->path_mtu))
        return why_set(why, E_INVAL, "path MTU %u: 256, 512, 1024, 2048 or 4096 is needed",
                       attr->path_mtu);
    if (attr->dest_qpn > WIRE_QPN_MASK || attr->rq_psn > WIRE_PSN_MASK)
        return why_set(why, E_RANGE, "QPN 0x%x, PSN 0x%x: both have 24 bits", attr->dest_qpn,
                       attr->rq_psn);
    if (attr->max_dest_rd_atomic > RC_MAX_RD_ATOMIC)
        return why_set(why, E_RANGE, "max_dest_rd_atomic %u: at most %u are kept",
                       attr->max_dest_rd_atomic, RC_MAX_RD_ATOMIC);
    if (attr->min_rnr_timer > 31)
        return why_set(why, E_RANGE, "min_rnr_timer %u: codes end at 31", attr->min_rnr_timer);
    if (attr->path.dscp > 63 || !attr->path.ttl)
        return why_set(why, E_RANGE, "DSCP %u, TTL %u: DSCP ends at 63, and TTL 0 goes nowhere",
                       attr->path.dscp, attr->path.ttl);
    return OK;
}

static void commit_rtr(struct rc *rc, const struct rc_attr *attr)
{
    rc->attr.path = attr->path;
    rc->attr.dest_qpn = attr->dest_qpn;
    rc->attr.rq_psn = attr->rq_psn;
    rc->attr.path_mtu = attr->path_mtu;
    rc->attr.max_dest_rd_atomic = attr->max_dest_rd_atomic;
    rc->attr.min_rnr_timer = attr->min_rnr_timer;
    rc->mtu_shift = (u8)__builtin_ctz(attr->path_mtu);
    rc->res.expected = attr->rq_psn;
    rc->res.ack_psn = psn_add(attr->rq_psn, WIRE_PSN_MASK);
}

static enum err prepare_rts(const struct rc *rc, const struct rc_attr *attr, struct why *why)
{
    (void)rc;
    if (attr->sq_psn > WIRE_PSN_MASK)
        return why_set(why, E_RANGE, "PSN 0x%x: it has 24 bits", attr->sq_psn);
    if (attr->timeout > 31 || attr->retry_cnt > 7 || attr->rnr_retry > 7)
        return why_set(why, E_RANGE, "timeout %u, retries %u, RNR retries %u: they end at 31, 7, 7",
                       attr->timeout, attr->retry_cnt, attr->rnr_retry);
    if (attr->max_rd_atomic > RC_MAX_RD_ATOMIC)
        return why_set(why, E_RANGE, "max_rd_atomic %u: at most %u are kept", attr->max_rd_atomic,
                       RC_MAX_RD_ATOMIC);
    if (attr->window.first > WINDOW_MOST_EVER || attr->window.most > WINDOW_MOST_EVER)
        return why_set(why, E_RANGE, "window of %u to %u packets: it ends at %u",
                       attr->window.first, attr->window.most, WINDOW_MOST_EVER);
    return OK;
}

static void commit_rts(struct rc *rc, const struct rc_attr *attr)
{
    struct rc_requester *req = &rc->req;

    rc->attr.sq_psn = attr->sq_psn;
    rc->attr.timeout = attr->timeout;
    rc->attr.retry_cnt = attr->retry_cnt;
    rc->attr.rnr_retry = attr->rnr_retry;
    rc->attr.max_rd_atomic = attr->max_rd_atomic;
    rc->attr.window = attr->window;
    window_init(&rc->window, &attr->window);
    req->unacked = req->next = req->recover = attr->sq_psn;
    req->rnr_left = attr->rnr_retry;
}

/* --- to RESET, ERR ------------------------------------------------------------------------------ */

static enum err prepare_nothing(const struct rc *rc, const struct rc_attr *attr, struct why *why)
{
    (void)rc;
    (void)attr;
    (void)why;
    return OK;
}

static void commit_reset(struct rc *rc, const struct rc_attr *attr)
{
    (void)attr;
    rc->attr = (struct rc_attr){0};
    rc->req = (struct rc_requester){0};
    rc->res = (struct rc_responder){0};
    rc->window = (struct window){0};
}

/* Nothing is answered any more, but for what rc.c says again. */
static void forget_answers(struct rc *rc)
{
    rc->res.pending_count = 0;
    rc->res.nak = 0;
    rc->res.ack_due = false;
    rc->res.repeats = 0;
}

static void commit_error(struct rc *rc, const struct rc_attr *attr)
{
    (void)attr;
    forget_answers(rc);
    rc_flush(rc);
}

#define TO_INIT                                                                                    \
    {                                                                                              \
        .allowed = true, .prepare = prepare_init, .commit = commit_init                            \
    }
#define TO_RTR                                                                                     \
    {                                                                                              \
        .allowed = true, .prepare = prepare_rtr, .commit = commit_rtr                              \
    }
#define TO_RTS                                                                                     \
    {                                                                                              \
        .allowed = true, .prepare = prepare_rts, .commit = commit_rts                              \
    }
#define TO_RESET                                                                                   \
    {                                                                                              \
        .allowed = true, .prepare = prepare_nothing, .commit = commit_reset                        \
    }
#define TO_ERROR                                                                                   \
    {                                                                                              \
        .allowed = true, .prepare = prepare_nothing, .commit = commit_error                        \
    }
#define NOT(why)                                                                                   \
    {                                                                                              \
        .prohibited = (why)                                                                        \
    }

#define SKIPS  NOT("states follow each other: RESET, INIT, RTR, RTS; each sets what the next needs")
#define BACK   NOT("a queue pair goes back only through RESET, which forgets its work")
#define NO_SQD NOT("draining is not implemented: stop posting, and poll until all is done")
#define SAME   NOT("it is in that state, and its attributes cannot be changed there")
#define BROKEN NOT("after an error the peer's state is unknown: only RESET leads out")

static const struct transition transitions[RC_STATES][RC_STATES] = {
    [RC_RESET] = {[RC_RESET] = TO_RESET,
                  [RC_INIT] = TO_INIT,
                  [RC_RTR] = SKIPS,
                  [RC_RTS] = SKIPS,
                  [RC_SQD] = NO_SQD,
                  [RC_ERROR] = TO_ERROR},
    [RC_INIT] = {[RC_RESET] = TO_RESET,
                 [RC_INIT] = TO_INIT,
                 [RC_RTR] = TO_RTR,
                 [RC_RTS] = SKIPS,
                 [RC_SQD] = NO_SQD,
                 [RC_ERROR] = TO_ERROR},
    [RC_RTR] = {[RC_RESET] = TO_RESET,
                [RC_INIT] = BACK,
                [RC_RTR] = SAME,
                [RC_RTS] = TO_RTS,
                [RC_SQD] = NO_SQD,
                [RC_ERROR] = TO_ERROR},
    [RC_RTS] = {[RC_RESET] = TO_RESET,
                [RC_INIT] = BACK,
                [RC_RTR] = BACK,
                [RC_RTS] = SAME,
                [RC_SQD] = NO_SQD,
                [RC_ERROR] = TO_ERROR},
    [RC_SQD] = {[RC_RESET] = TO_RESET,
                [RC_INIT] = BACK,
                [RC_RTR] = BACK,
                [RC_RTS] = NO_SQD,
                [RC_SQD] = SAME,
                [RC_ERROR] = TO_ERROR},
    [RC_ERROR] = {[RC_RESET] = TO_RESET,
                  [RC_INIT] = BROKEN,
                  [RC_RTR] = BROKEN,
                  [RC_RTS] = BROKEN,
                  [RC_SQD] = BROKEN,
                  [RC_ERROR] = TO_ERROR},
};

enum err rc_modify(struct rc *rc, enum rc_state to, const struct rc_attr *attr, struct why *why)
{
    static const struct rc_attr nothing;
    const struct transition *t;
    enum err e;

    if ((unsigned)to >= RC_STATES)
        return why_set(why, E_INVAL, "state %u: there are %u", to, RC_STATES);
    t = &transitions[rc->state][to];
    if (!t->allowed)
        return why_set(why, E_STATE, "%s to %s: %s", rc_state_name(rc->state), rc_state_name(to),
                       t->prohibited);
    if (!attr)
        attr = &nothing;
    if ((e = t->prepare(rc, attr, why)) != OK)
        return e;
    rc->state = to;
    t->commit(rc, attr);
    return OK;
}

/* --- errors ------------------------------------------------------------------------------------- */

/* 10.3.1: in order, each once. As many as the owner's queues hold. */
void rc_flush(struct rc *rc)
{
    static const struct rc_received flushed = {.status = WC_WR_FLUSH_ERR, .opcode = WC_RECV};
    struct rc_recv *recv = rc->res.recv;
    struct rc_wr *wr;

    rc->res.recv = NULL;
    for (; recv || (recv = rc->ops->recv_next(rc->owner)); recv = NULL)
        rc->ops->recv_done(rc->owner, recv, &flushed);
    while ((wr = rc->ops->send_at(rc->owner, rc->req.oldest))) {
        rc->req.oldest++;
        rc->ops->send_done(rc->owner, wr, WC_WR_FLUSH_ERR);
    }
}

void rc_fail(struct rc *rc, enum wc_status status)
{
    struct rc_wr *wr = rc->ops->send_at(rc->owner, rc->req.oldest);

    rc->state = RC_ERROR;
    forget_answers(rc);
    if (wr && status != WC_WR_FLUSH_ERR) {
        rc->req.oldest++;
        rc->ops->send_done(rc->owner, wr, status);
    }
    rc_flush(rc);
    rc->ops->failed(rc->owner, status);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Queue pairs: a number is its slot in the low bits, and above them how many were made before; numbers go up by
 * one, so one comes back after 16 million others. */
#include "drivers/net/roce/device_internal.h"

#define HOP_LIMIT 64

static enum rc_state to_rc(enum verbs_qp_state state)
{
    static const enum rc_state states[] = {
        [QPS_RESET] = RC_RESET, [QPS_INIT] = RC_INIT, [QPS_RTR] = RC_RTR,
        [QPS_RTS] = RC_RTS,     [QPS_SQD] = RC_SQD,   [QPS_ERR] = RC_ERROR,
    };

    return (unsigned)state < COUNT_OF(states) ? states[state] : RC_STATES;
}

/* 0 and 1 are not ordinary queue pairs' (IBTA volume 1, 3.5.9). */
static u32 new_number(struct roce_device *d)
{
    for (u32 i = 0; i < ROCE_MAX_QP + 2; i++) {
        u32 qpn = d->qpn_next++ & WIRE_QPN_MASK;

        if (qpn > 1 && !d->qp[qpn & (ROCE_MAX_QP - 1)])
            return qpn;
    }
    return 0;
}

static struct roce_qp *alloc_qp(struct roce_device *d, const struct verbs_qp_init *init)
{
    size_t send = init->max_send_wr * sizeof(struct rc_wr);
    struct roce_qp *qp;

    qp = d->port.alloc(sizeof(*qp) + send + init->max_recv_wr * sizeof(struct rc_recv));
    if (!qp)
        return NULL;
    qp->send = (void *)(qp + 1);
    qp->recv = (void *)((u8 *)qp->send + send);
    return qp;
}

enum err roce_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                        struct verbs_qp **out, struct why *why)
{
    struct roce_device *d = roce_of(pd->device);
    u32 qpn = new_number(d);
    struct roce_qp *qp;

    if (!qpn)
        return why_set(why, E_NOMEM, "all %u queue pairs are in use", ROCE_MAX_QP);
    qp = alloc_qp(d, init);
    if (!qp)
        return why_set(why, E_NOMEM, "no memory for queues of %u and %u", init->max_send_wr,
                       init->max_recv_wr);
    qp->base.qp_num = qpn;
    qp->deadline = RC_TIMER_NEVER;
    list_init(&qp->active);
    rc_init(&qp->rc, &roce_rc_ops, qp, &d->icrc, qpn);
    d->qp[qpn & (ROCE_MAX_QP - 1)] = qp;
    d->qps++;
    *out = &qp->base;
    return OK;
}

static struct rc_attr rc_attr_of(const struct roce_qp *qp, const struct verbs_qp_attr *a)
{
    const struct roce_port *port = &roce_of(qp->base.pd->device)->port;
    struct rc_attr r = {
        .access = a->qp_access_flags,
        .path = {.src_ip = port->ip,
                 .dst_ip = a->dest_ip,
                 .udp_port = roce_flow_port(qp->base.qp_num, a->dest_qp_num),
                 .ttl = a->hop_limit ? a->hop_limit : HOP_LIMIT,
                 .dscp = a->traffic_class >> 2},
        .dest_qpn = a->dest_qp_num,
        .rq_psn = a->rq_psn,
        .path_mtu = a->path_mtu,
        .max_dest_rd_atomic = a->max_dest_rd_atomic,
        .min_rnr_timer = a->min_rnr_timer,
        .sq_psn = a->sq_psn,
        .timeout = a->timeout,
        .retry_cnt = a->retry_cnt,
        .rnr_retry = a->rnr_retry,
        .max_rd_atomic = a->max_rd_atomic,
        .window = port->window,
    };

    memcpy(r.path.src_mac, port->mac, sizeof(port->mac));
    memcpy(r.path.dst_mac, a->dest_mac, sizeof(a->dest_mac));
    return r;
}

static void forget_work(struct roce_qp *qp)
{
    roce_cq_clean(qp->base.send_cq, &qp->base);
    roce_cq_clean(qp->base.recv_cq, &qp->base);
    qp->send_posted = qp->send_free = qp->send_done = 0;
    qp->recv_posted = qp->recv_taken = qp->recv_free = qp->recv_done = 0;
    qp->deadline = RC_TIMER_NEVER;
}

enum err roce_modify_qp(struct verbs_qp *base, enum verbs_qp_state state,
                        const struct verbs_qp_attr *attr, struct why *why)
{
    static const struct verbs_qp_attr nothing;
    struct roce_qp *qp = roce_qp_of(base);
    struct roce_device *d = roce_qp_device(qp);
    struct rc_attr r = rc_attr_of(qp, attr ? attr : &nothing);
    enum err e;

    if (state == QPS_RTR && r.path_mtu > d->path_mtu)
        return why_set(why, E_RANGE, "path MTU %u: frames of %s carry %u", r.path_mtu, d->base.name,
                       d->path_mtu);
    e = rc_modify(&qp->rc, to_rc(state), &r, why);
    if (e == OK && state == QPS_RESET)
        forget_work(qp);
    if (e == OK)
        roce_activate(d, qp);
    return e;
}

enum verbs_qp_state roce_query_qp(struct verbs_qp *qp)
{
    static const enum verbs_qp_state states[RC_STATES] = {
        [RC_RESET] = QPS_RESET, [RC_INIT] = QPS_INIT, [RC_RTR] = QPS_RTR,
        [RC_RTS] = QPS_RTS,     [RC_SQD] = QPS_SQD,   [RC_ERROR] = QPS_ERR,
    };

    return states[roce_qp_of(qp)->rc.state];
}

/* Memory is touched only under the lock: done at once, told later. */
void roce_destroy_qp(struct verbs_qp *base, struct verbs_done *done)
{
    struct roce_qp *qp = roce_qp_of(base);
    struct roce_device *d = roce_qp_device(qp);

    forget_work(qp);
    list_remove(&qp->active);
    d->qp[base->qp_num & (ROCE_MAX_QP - 1)] = NULL;
    d->qps--;
    for (unsigned i = 0; i < RC_COUNTERS; i++)
        d->counters.rc[i] += qp->rc.count[i];
    d->port.free(qp);
    roce_done(d, done);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/device_internal.h"

#define RUN_FRAMES  16 /* of one queue pair before the next has its turn */
#define POLL_FRAMES 64

/* --- objects ------------------------------------------------------------------------------------ */

static void query_port(struct verbs_device *device, struct verbs_port *port)
{
    struct roce_device *d = roce_of(device);
    be32_t ip = be32(d->port.ip);

    *port = (struct verbs_port){.active = true, .active_mtu = d->path_mtu, .ip = d->port.ip};
    memcpy(port->mac, d->port.mac, sizeof(port->mac));
    port->gid[10] = port->gid[11] = 0xff;
    memcpy(port->gid + 12, &ip, sizeof(ip));
}

static enum err alloc_pd(struct verbs_device *device, struct verbs_pd **pd, struct why *why)
{
    struct roce_device *d = roce_of(device);

    if (d->pds == ROCE_MAX_PD)
        return why_set(why, E_NOMEM, "all %u protection domains are in use", ROCE_MAX_PD);
    *pd = d->port.alloc(sizeof(**pd));
    if (!*pd)
        return why_set(why, E_NOMEM, "no memory for a protection domain");
    (*pd)->local_dma_lkey = ROCE_DMA_LKEY;
    d->pds++;
    return OK;
}

static void dealloc_pd(struct verbs_pd *pd)
{
    struct roce_device *d = roce_of(pd->device);

    d->pds--;
    d->port.free(pd);
}

/* --- running ------------------------------------------------------------------------------------ */

void roce_activate(struct roce_device *d, struct roce_qp *qp)
{
    if (list_empty(&qp->active))
        list_append(&d->active, &qp->active);
}

void roce_done(struct roce_device *d, struct verbs_done *done)
{
    list_append(&d->done, &done->link);
    if (d->port.kick)
        d->port.kick(d->port.nic);
}

static struct verbs_done *next_done(struct verbs_device *device)
{
    struct roce_device *d = roce_of(device);
    struct verbs_done *done;

    if (list_empty(&d->done))
        return NULL;
    done = CONTAINER_OF(d->done.next, struct verbs_done, link);
    list_remove(&done->link);
    return done;
}

/* Activates the queue pairs whose time has come, and finds the next deadline. */
static void look_at_clock(struct roce_device *d)
{
    u64 now = d->port.now();

    if (now < d->deadline)
        return;
    d->deadline = RC_TIMER_NEVER;
    for (u32 i = 0; i < ROCE_MAX_QP; i++) {
        struct roce_qp *qp = d->qp[i];

        if (!qp)
            continue;
        if (qp->deadline <= now)
            roce_activate(d, qp);
        else
            d->deadline = MIN(d->deadline, qp->deadline);
    }
}

/* The engine asks for its timer only when it changes: one that was due is asked for again. */
static bool run(struct roce_device *d, struct roce_qp *qp)
{
    bool more = rc_run(&qp->rc, RUN_FRAMES);

    d->deadline = MIN(d->deadline, qp->deadline);
    return more;
}

static bool progress(struct verbs_device *device)
{
    struct roce_device *d = roce_of(device);

    look_at_clock(d);
    for (u32 n = 0; n < POLL_FRAMES / RUN_FRAMES && !list_empty(&d->active); n++) {
        struct roce_qp *qp = CONTAINER_OF(d->active.next, struct roce_qp, active);

        list_remove(&qp->active);
        if (run(d, qp))
            roce_activate(d, qp);
    }
    return !list_empty(&d->active);
}

bool roce_poll(struct verbs_device *device)
{
    return verbs_progress(device);
}

u64 roce_deadline(struct verbs_device *device)
{
    u64 at;

    lock_acquire(&device->lock);
    at = roce_of(device)->deadline;
    lock_release(&device->lock);
    return at;
}

static bool is_busy(struct roce_device *d)
{
    if (!list_empty(&d->active) || !list_empty(&d->done))
        return true;
    for (u32 i = 0; i < ROCE_MAX_QP; i++)
        if (d->qp[i] && !rc_is_idle(&d->qp[i]->rc))
            return true;
    return false;
}

bool roce_is_busy(struct verbs_device *device)
{
    bool busy;

    lock_acquire(&device->lock);
    busy = is_busy(roce_of(device));
    lock_release(&device->lock);
    return busy;
}

static enum roce_drop receive(struct roce_device *d, const u8 *frame, u32 size)
{
    struct roce_packet p;
    enum roce_drop drop = roce_packet_parse(&p, &d->icrc, frame, size);
    struct roce_qp *qp;

    if (drop != ROCE_OK)
        return drop;
    qp = d->qp[p.qpn & (ROCE_MAX_QP - 1)];
    if (!qp || qp->base.qp_num != p.qpn)
        return ROCE_DROP_QPN;
    drop = rc_receive(&qp->rc, &p);
    if (drop == ROCE_OK)
        roce_activate(d, qp);
    return drop;
}

enum roce_drop roce_receive(struct verbs_device *device, const u8 *frame, u32 size)
{
    struct roce_device *d = roce_of(device);
    enum roce_drop drop;

    lock_acquire(&device->lock);
    drop = receive(d, frame, size);
    d->counters.dropped[drop]++;
    lock_release(&device->lock);
    return drop;
}

void roce_counters(struct verbs_device *device, struct roce_counters *c)
{
    struct roce_device *d = roce_of(device);

    lock_acquire(&device->lock);
    *c = d->counters;
    for (u32 i = 0; i < ROCE_MAX_QP; i++)
        for (unsigned k = 0; d->qp[i] && k < RC_COUNTERS; k++)
            c->rc[k] += d->qp[i]->rc.count[k];
    lock_release(&device->lock);
}

/* --- the device --------------------------------------------------------------------------------- */

static void show(struct verbs_device *device)
{
    struct roce_device *d = roce_of(device);

    if (d->port.show)
        d->port.show(device);
}

static u64 resent(struct verbs_device *device)
{
    struct roce_counters c;

    roce_counters(device, &c);
    return c.rc[RC_COUNT_RESENT];
}

static const struct verbs_ops roce_ops = {
    .show = show,
    .resent = resent,
    .query_port = query_port,
    .progress = progress,
    .next_done = next_done,
    .alloc_pd = alloc_pd,
    .dealloc_pd = dealloc_pd,
    .reg_mr = roce_reg_mr,
    .invalidate_mr = roce_invalidate_mr,
    .create_cq = roce_create_cq,
    .destroy_cq = roce_destroy_cq,
    .poll_cq = roce_poll_cq,
    .req_notify_cq = roce_req_notify_cq,
    .create_qp = roce_create_qp,
    .modify_qp = roce_modify_qp,
    .query_qp = roce_query_qp,
    .destroy_qp = roce_destroy_qp,
    .post_send = roce_post_send,
    .post_recv = roce_post_recv,
    .doorbell = roce_doorbell,
};

static const struct verbs_limits roce_limits = {
    .max_pd = ROCE_MAX_PD,
    .max_mr = ROCE_MAX_MR - 1,
    .max_cq = ROCE_MAX_CQ,
    .max_qp = ROCE_MAX_QP,
    .max_cqe = ROCE_MAX_CQE,
    .max_qp_wr = ROCE_MAX_WR,
    .max_sge = RC_MAX_SGE,
    .max_rd_atomic = RC_MAX_RD_ATOMIC,
    .max_msg = RC_MAX_MESSAGE,
    .max_mr_size = 1ull << 46,
};

/* The largest path MTU whose frames fit; 0: none. */
static u32 path_mtu(u32 ethernet_mtu)
{
    u32 around = (u32)(WIRE_FRAME_MOST - WIRE_MTU_MOST - sizeof(struct wire_ether));

    for (u32 mtu = WIRE_MTU_MOST; mtu >= 256; mtu /= 2)
        if (mtu + around <= ethernet_mtu)
            return mtu;
    return 0;
}

enum err roce_device_create(const struct roce_port *port, struct verbs_device **device,
                            struct why *why)
{
    u32 mtu = path_mtu(port->mtu);
    struct roce_device *d;

    if (!mtu)
        return why_set(why, E_UNSUPPORTED,
                       "%s has an MTU of %u: the smallest RoCE packets need 328", port->name,
                       port->mtu);
    d = port->alloc(sizeof(*d));
    if (!d)
        return why_set(why, E_NOMEM, "no memory for a soft-RoCE device (%zu bytes)", sizeof(*d));
    d->base = (struct verbs_device){.ops = &roce_ops, .name = port->name, .limits = roce_limits};
    d->port = *port;
    d->path_mtu = mtu;
    d->qpn_next = port->first_qpn;
    d->mr_next = port->first_mr;
    d->deadline = RC_TIMER_NEVER;
    list_init(&d->active);
    list_init(&d->done);
    icrc_init(&d->icrc);
    *device = &d->base;
    return OK;
}

enum err roce_device_destroy(struct verbs_device *device, struct why *why)
{
    struct roce_device *d = roce_of(device);

    if (d->pds || d->cqs || d->mrs || d->qps || !list_empty(&d->done))
        return why_set(why, E_STATE,
                       "%u domains, %u regions, %u completion queues, %u queue pairs are "
                       "in use",
                       d->pds, d->mrs, d->cqs, d->qps);
    d->port.free(d);
    return OK;
}

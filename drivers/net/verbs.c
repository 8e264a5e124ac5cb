/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/verbs.h"
#include "kernel/string.h"

/* --- device ------------------------------------------------------------------------------------- */

enum err verbs_query_port(struct verbs_device *device, struct verbs_port *port)
{
    lock_acquire(&device->lock);
    device->ops->query_port(device, port);
    lock_release(&device->lock);
    return port->active_mtu ? OK : E_UNSUPPORTED;
}

u32 verbs_gid_ip(const u8 gid[16])
{
    static const u8 mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(gid, mapped, sizeof(mapped)) != 0)
        return 0;
    return (u32)gid[12] << 24 | (u32)gid[13] << 16 | (u32)gid[14] << 8 | gid[15];
}

static void note_end(struct verbs_done *done)
{
    __atomic_store_n(&CONTAINER_OF(done, struct verbs_end, done)->over, true, __ATOMIC_RELEASE);
}

struct verbs_done *verbs_end_begin(struct verbs_end *end)
{
    *end = (struct verbs_end){.done.fn = note_end};
    return &end->done;
}

bool verbs_end_is_over(const struct verbs_end *end)
{
    return __atomic_load_n(&end->over, __ATOMIC_ACQUIRE);
}

bool verbs_progress(struct verbs_device *device)
{
    struct verbs_done *done;
    bool more;

    lock_acquire(&device->lock);
    more = device->ops->progress(device);
    while ((done = device->ops->next_done(device))) {
        lock_release(&device->lock);
        done->fn(done);
        lock_acquire(&device->lock);
    }
    lock_release(&device->lock);
    return more;
}

/* --- protection domains ------------------------------------------------------------------------- */

enum err verbs_alloc_pd(struct verbs_device *device, struct verbs_pd **pd, struct why *why)
{
    enum err e;

    lock_acquire(&device->lock);
    e = device->ops->alloc_pd(device, pd, why);
    if (e == OK)
        **pd = (struct verbs_pd){.device = device, .local_dma_lkey = (*pd)->local_dma_lkey};
    lock_release(&device->lock);
    return e;
}

enum err verbs_dealloc_pd(struct verbs_pd *pd, struct why *why)
{
    struct verbs_device *device = pd->device;
    enum err e = OK;

    lock_acquire(&device->lock);
    if (pd->mrs || pd->qps)
        e = why_set(why, E_STATE,
                    "%u memory regions and %u queue pairs are in this domain: end them", pd->mrs,
                    pd->qps);
    else
        device->ops->dealloc_pd(pd);
    lock_release(&device->lock);
    return e;
}

/* --- memory regions ----------------------------------------------------------------------------- */

static enum err check_mr(const struct verbs_device *device, const struct verbs_mr_init *init,
                         struct why *why)
{
    const u32 changing = ACCESS_REMOTE_WRITE | ACCESS_REMOTE_ATOMIC;

    if (init->access & ~(u32)ACCESS_ALL)
        return why_set(why, E_INVAL, "access 0x%x: bits above 0x%x mean nothing", init->access,
                       ACCESS_ALL);
    if (init->access & changing && !(init->access & ACCESS_LOCAL_WRITE))
        return why_set(why, E_INVAL, "remote writing and atomics need ACCESS_LOCAL_WRITE too");
    if (!init->length || init->length > device->limits.max_mr_size)
        return why_set(why, E_RANGE, "length %llu: 1 to %llu bytes",
                       (unsigned long long)init->length,
                       (unsigned long long)device->limits.max_mr_size);
    if (init->frame_count > device->limits.max_mr_size >> PAGE_SHIFT ||
        init->offset >= init->frame_count << PAGE_SHIFT ||
        init->length > (init->frame_count << PAGE_SHIFT) - init->offset)
        return why_set(why, E_RANGE, "%llu frames do not have %llu bytes from %llu on",
                       (unsigned long long)init->frame_count, (unsigned long long)init->length,
                       (unsigned long long)init->offset);
    if ((init->iova ^ init->offset) & PAGE_MASK)
        return why_set(why, E_INVAL, "iova and offset differ modulo %llu", PAGE_SIZE);
    if (init->iova + init->length < init->iova)
        return why_set(why, E_RANGE, "iova and length run over 2^64");
    return OK;
}

enum err verbs_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                      struct why *why)
{
    enum err e = check_mr(pd->device, init, why);

    if (e != OK)
        return e;
    lock_acquire(&pd->device->lock);
    pd->mrs++; /* from now on: the lock may be given up meanwhile */
    e = pd->device->ops->reg_mr(pd, init, mr, why);
    if (e == OK) {
        (*mr)->pd = pd;
        (*mr)->iova = init->iova;
        (*mr)->length = init->length;
        (*mr)->access = init->access;
    } else {
        pd->mrs--;
    }
    lock_release(&pd->device->lock);
    return e;
}

void verbs_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    struct verbs_pd *pd = mr->pd;

    lock_acquire(&pd->device->lock);
    pd->mrs--;
    pd->device->ops->invalidate_mr(mr, done);
    lock_release(&pd->device->lock);
}

/* --- completion queues -------------------------------------------------------------------------- */

enum err verbs_create_cq(struct verbs_device *device, u32 cqe,
                         void (*notify)(struct verbs_cq *, void *), void *ctx, struct verbs_cq **cq,
                         struct why *why)
{
    enum err e;

    if (!cqe || cqe > device->limits.max_cqe)
        return why_set(why, E_RANGE, "%u entries: a completion queue has 1 to %u", cqe,
                       device->limits.max_cqe);
    lock_acquire(&device->lock);
    e = device->ops->create_cq(device, cqe, cq, why);
    if (e == OK)
        **cq = (struct verbs_cq){.device = device, .cqe = cqe, .notify = notify, .ctx = ctx};
    lock_release(&device->lock);
    return e;
}

enum err verbs_destroy_cq(struct verbs_cq *cq, struct why *why)
{
    struct verbs_device *device = cq->device;
    enum err e = OK;

    lock_acquire(&device->lock);
    if (cq->promised)
        e = why_set(why, E_STATE, "queues with %u entries report to this one: destroy their pairs",
                    cq->promised);
    else
        device->ops->destroy_cq(cq);
    lock_release(&device->lock);
    return e;
}

u32 verbs_poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count)
{
    u32 n;

    lock_acquire(&cq->device->lock);
    n = cq->device->ops->poll_cq(cq, wc, count);
    lock_release(&cq->device->lock);
    return n;
}

void verbs_req_notify_cq(struct verbs_cq *cq)
{
    lock_acquire(&cq->device->lock);
    cq->device->ops->req_notify_cq(cq);
    lock_release(&cq->device->lock);
}

/* --- queue pairs -------------------------------------------------------------------------------- */

static enum err check_room(const struct verbs_cq *cq, u32 wanted, struct why *why)
{
    if (wanted > cq->cqe - cq->promised)
        return why_set(why, E_NOMEM,
                       "the completion queue has %u entries, %u of them promised: %u more "
                       "could overrun it",
                       cq->cqe, cq->promised, wanted);
    return OK;
}

static enum err check_qp(const struct verbs_pd *pd, const struct verbs_qp_init *init,
                         struct why *why)
{
    const struct verbs_limits *most = &pd->device->limits;
    enum err e;

    if (!init->send_cq || !init->recv_cq || init->send_cq->device != pd->device ||
        init->recv_cq->device != pd->device)
        return why_set(why, E_INVAL, "both completion queues must be of the domain's device");
    if (!init->max_send_wr || init->max_send_wr > most->max_qp_wr || !init->max_recv_wr ||
        init->max_recv_wr > most->max_qp_wr)
        return why_set(why, E_RANGE, "queues of %u and %u: each has 1 to %u entries",
                       init->max_send_wr, init->max_recv_wr, most->max_qp_wr);
    if (!init->max_sge || init->max_sge > most->max_sge)
        return why_set(why, E_RANGE, "%u SGEs: 1 to %u", init->max_sge, most->max_sge);
    if (init->send_cq == init->recv_cq)
        return check_room(init->send_cq, init->max_send_wr + init->max_recv_wr, why);
    e = check_room(init->send_cq, init->max_send_wr, why);
    return e == OK ? check_room(init->recv_cq, init->max_recv_wr, why) : e;
}

static void promise(struct verbs_pd *pd, const struct verbs_qp_init *init)
{
    init->send_cq->promised += init->max_send_wr;
    init->recv_cq->promised += init->max_recv_wr;
    pd->qps++;
}

static void unpromise(struct verbs_pd *pd, const struct verbs_qp_init *init)
{
    init->send_cq->promised -= init->max_send_wr;
    init->recv_cq->promised -= init->max_recv_wr;
    pd->qps--;
}

static void fill_qp(struct verbs_qp *qp, struct verbs_pd *pd, const struct verbs_qp_init *init)
{
    qp->pd = pd;
    qp->send_cq = init->send_cq;
    qp->recv_cq = init->recv_cq;
    qp->max_send_wr = init->max_send_wr;
    qp->max_recv_wr = init->max_recv_wr;
    qp->max_sge = init->max_sge;
    qp->ctx = init->ctx;
}

enum err verbs_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                         struct verbs_qp **qp, struct why *why)
{
    enum err e;

    lock_acquire(&pd->device->lock);
    e = check_qp(pd, init, why);
    if (e == OK) {
        promise(pd, init); /* from now on: the lock may be given up meanwhile */
        e = pd->device->ops->create_qp(pd, init, qp, why);
        if (e == OK)
            fill_qp(*qp, pd, init);
        else
            unpromise(pd, init);
    }
    lock_release(&pd->device->lock);
    return e;
}

enum err verbs_modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                         const struct verbs_qp_attr *attr, struct why *why)
{
    struct verbs_device *device = qp->pd->device;
    enum err e;

    if (!attr && state != QPS_RESET && state != QPS_ERR)
        return why_set(why, E_INVAL, "attributes are needed but for RESET and ERR");
    lock_acquire(&device->lock);
    e = device->ops->modify_qp(qp, state, attr, why);
    lock_release(&device->lock);
    return e;
}

enum verbs_qp_state verbs_query_qp(struct verbs_qp *qp)
{
    struct verbs_device *device = qp->pd->device;
    enum verbs_qp_state state;

    lock_acquire(&device->lock);
    state = device->ops->query_qp(qp);
    lock_release(&device->lock);
    return state;
}

void verbs_destroy_qp(struct verbs_qp *qp, struct verbs_done *done)
{
    struct verbs_device *device = qp->pd->device;

    lock_acquire(&device->lock);
    qp->send_cq->promised -= qp->max_send_wr;
    qp->recv_cq->promised -= qp->max_recv_wr;
    qp->pd->qps--;
    device->ops->destroy_qp(qp, done);
    lock_release(&device->lock);
}

/* --- work --------------------------------------------------------------------------------------- */

static enum err check_sges(const struct verbs_qp *qp, const struct verbs_sge *sge, u32 count,
                           u32 most, struct why *why)
{
    u64 length = 0;

    if (count > qp->max_sge)
        return why_set(why, E_RANGE, "%u SGEs: this queue pair has %u", count, qp->max_sge);
    for (u32 i = 0; i < count; i++)
        length += sge[i].length;
    if (length > most)
        return why_set(why, E_RANGE, "a message of %llu bytes: at most %u",
                       (unsigned long long)length, most);
    return OK;
}

static enum err check_send(const struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 most,
                           struct why *why)
{
    bool atomic = wr->opcode == WR_ATOMIC_CMP_AND_SWP || wr->opcode == WR_ATOMIC_FETCH_AND_ADD;

    if ((unsigned)wr->opcode > WR_ATOMIC_FETCH_AND_ADD)
        return why_set(why, E_UNSUPPORTED, "work request opcode %u is not offered", wr->opcode);
    if (wr->send_flags & ~(u32)(SEND_FENCE | SEND_SIGNALED | SEND_SOLICITED))
        return why_set(why, E_UNSUPPORTED, "send flags 0x%x: fence, signaled and solicited only",
                       wr->send_flags);
    if (atomic && (wr->num_sge != 1 || wr->sg_list[0].length != sizeof(u64)))
        return why_set(why, E_INVAL, "an atomic needs one SGE of 8 bytes");
    return check_sges(qp, wr->sg_list, wr->num_sge, most, why);
}

/* *good: how many may be posted; the error is about the next one. */
static enum err check_sends(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count,
                            u32 *good, struct why *why)
{
    const struct verbs_device *device = qp->pd->device;
    enum verbs_qp_state state = device->ops->query_qp(qp);
    enum err e;

    *good = 0;
    if (state != QPS_RTS && state != QPS_ERR)
        return why_set(why, E_STATE, "sending needs the state RTS");
    for (u32 i = 0; i < count; *good = ++i) {
        e = check_send(qp, &wr[i], device->limits.max_msg, why);
        if (e)
            return e;
    }
    return OK;
}

static enum err check_recvs(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count,
                            u32 *good, struct why *why)
{
    enum err e;

    *good = 0;
    if (qp->pd->device->ops->query_qp(qp) == QPS_RESET)
        return why_set(why, E_STATE, "receiving needs the state INIT or a later one");
    for (u32 i = 0; i < count; *good = ++i) {
        e = check_sges(qp, wr[i].sg_list, wr[i].num_sge, UINT32_MAX, why);
        if (e)
            return e;
    }
    return OK;
}

static enum err refuse_full(const char *which, u32 size, struct why *why)
{
    return why_set(why, E_NOMEM, "the %s queue of %u is full: poll its completions", which, size);
}

/* The device has taken so many. */
static void end_post(struct verbs_qp *qp, u32 taken, u32 *posted)
{
    struct verbs_device *device = qp->pd->device;

    if (taken)
        device->ops->doorbell(qp);
    lock_release(&device->lock);
    if (posted)
        *posted = taken;
}

enum err verbs_post_send(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count,
                         u32 *posted, struct why *why)
{
    struct verbs_device *device = qp->pd->device;
    u32 good, taken;
    enum err e;

    lock_acquire(&device->lock);
    e = check_sends(qp, wr, count, &good, why);
    taken = device->ops->post_send(qp, wr, good);
    if (taken < good)
        e = refuse_full("send", qp->max_send_wr, why);
    end_post(qp, taken, posted);
    return e;
}

enum err verbs_post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count,
                         u32 *posted, struct why *why)
{
    struct verbs_device *device = qp->pd->device;
    u32 good, taken;
    enum err e;

    lock_acquire(&device->lock);
    e = check_recvs(qp, wr, count, &good, why);
    taken = device->ops->post_recv(qp, wr, good);
    if (taken < good)
        e = refuse_full("receive", qp->max_recv_wr, why);
    end_post(qp, taken, posted);
    return e;
}

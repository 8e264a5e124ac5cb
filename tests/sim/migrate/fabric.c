/* SPDX-License-Identifier: BSD-2-Clause */
#include "fabric.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/arch.h"
#include "kernel/timer.h"

#define MRS     2048
#define QPS     64
#define TIMEOUT SEC(2)
#define RNR     MSEC(1)
#define LATE    USEC(500)

struct fmr {
    struct verbs_mr base;
    hpa_t *frame;
    u64 offset;
};

struct fcq {
    struct verbs_cq base;
    struct fcq *next; /* of the device */
    struct verbs_wc *wc;
    u32 head, tail;
    bool wanted;
};

struct fwr {
    struct verbs_send_wr wr;
    struct verbs_sge sge[16];
    u64 execute_at, complete_at, since;
    bool executed;
    enum wc_status status;
    u8 *data; /* of SEND, as it was when it was posted; of READ, on its way */
    u32 length;
};

struct frecv {
    u64 wr_id;
    struct verbs_sge sge;
};

struct fqp {
    struct verbs_qp base;
    struct fdevice *device;
    enum verbs_qp_state state;
    u32 dest_ip, dest_qpn, rq_psn, sq_psn;
    u32 access;
    struct fwr *send;
    u32 send_head, send_tail;
    bool writes; /* posted since the last doorbell */
    struct frecv *recv;
    u32 recv_head, recv_tail;
};

struct fdone {
    struct verbs_done *done;
    struct fmr *mr; /* whose key is good until then; or NULL */
    u64 at;
    struct fdone *next;
};

struct fdevice {
    struct verbs_device base;
    struct fabric *fabric;
    u32 host;
    struct fmr *mr[MRS];
    u32 mrs; /* behind the last one that there was */
    struct fqp *qp[QPS];
    u32 qps; /* behind the last one that there was */
    u32 next_key, next_qpn;
    struct fdone *done;
    struct fcq *cq;
    u32 forged;
    struct fabric_writes writes;
};

struct fabric {
    u64 random, delay, jitter;
    u32 lose;
    struct fdevice *host[FABRIC_HOSTS];
    bool cut[FABRIC_HOSTS][FABRIC_HOSTS];
    enum fabric_forgery forgery;
    u64 boots;
};

void (*fabric_touches)(u32 host, hpa_t frame, bool write);

/* --- chance ---------------------------------------------------------------------------------------------- */

u64 fabric_random(struct fabric *f)
{
    u64 x = f->random += 0x9e3779b97f4a7c15ull;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

u32 fabric_below(struct fabric *f, u32 n)
{
    return (u32)(fabric_random(f) % n);
}

static u64 delay(struct fabric *f)
{
    return f->delay + (f->jitter ? fabric_random(f) % f->jitter : 0);
}

static struct fdevice *of(struct verbs_device *d)
{
    return CONTAINER_OF(d, struct fdevice, base);
}

static struct fqp *qp_of(struct verbs_qp *qp)
{
    return CONTAINER_OF(qp, struct fqp, base);
}

/* --- objects ----------------------------------------------------------------------------------------------- */

static void query_port(struct verbs_device *device, struct verbs_port *port)
{
    const struct fdevice *d = of(device);

    *port = (struct verbs_port){.active = true, .active_mtu = 4096, .ip = d->host + 1};
    port->gid[10] = port->gid[11] = 0xff;
    port->gid[15] = (u8)(d->host + 1);
}

static void done_later(struct fdevice *d, struct verbs_done *done, struct fmr *mr)
{
    struct fdone *e = malloc(sizeof(*e));

    *e = (struct fdone){done, mr, time_now() + delay(d->fabric), d->done};
    if (fabric_below(d->fabric, 100) < d->fabric->lose)
        e->at += fabric_below(d->fabric, LATE);
    d->done = e;
}

static void free_mr(struct fdevice *d, struct fmr *m)
{
    d->mr[m->base.lkey & (MRS - 1)] = NULL;
    free(m->frame);
    free(m);
}

static bool progress(struct verbs_device *device)
{
    (void)device;
    return false;
}

static struct verbs_done *take_done(struct fdevice *d, u64 now)
{
    for (struct fdone **at = &d->done, *e; (e = *at); at = &e->next) {
        struct verbs_done *done = e->done;

        if (e->at > now)
            continue;
        *at = e->next;
        if (e->mr)
            free_mr(d, e->mr);
        free(e);
        return done;
    }
    return NULL;
}

static struct verbs_done *next_done(struct verbs_device *device)
{
    return take_done(of(device), time_now());
}

static enum err alloc_pd(struct verbs_device *device, struct verbs_pd **pd, struct why *why)
{
    (void)device, (void)why;
    *pd = calloc(1, sizeof(**pd));
    (*pd)->local_dma_lkey = UINT32_MAX;
    return OK;
}

static void dealloc_pd(struct verbs_pd *pd)
{
    free(pd);
}

static enum err reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                       struct why *why)
{
    struct fdevice *d = of(pd->device);

    for (u32 i = 0; i < MRS; i++) {
        struct fmr *m;

        if (d->mr[i])
            continue;
        m = calloc(1, sizeof(*m));
        m->frame = malloc(init->frame_count * sizeof(hpa_t));
        memcpy(m->frame, init->frames, init->frame_count * sizeof(hpa_t));
        m->offset = init->offset;
        m->base.lkey = m->base.rkey = ++d->next_key << 12 | i;
        d->mr[i] = m;
        d->mrs = MAX(d->mrs, i + 1);
        *mr = &m->base;
        return OK;
    }
    return why_set(why, E_NOMEM, "no region is free");
}

static void invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    done_later(of(mr->pd->device), done, CONTAINER_OF(mr, struct fmr, base));
}

static enum err create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq,
                          struct why *why)
{
    struct fcq *c = calloc(1, sizeof(*c));

    (void)why;
    c->wc = calloc(cqe, sizeof(c->wc[0]));
    c->next = of(device)->cq;
    of(device)->cq = c;
    *cq = &c->base;
    return OK;
}

static void free_cq(struct fdevice *d, struct fcq *c)
{
    struct fcq **at = &d->cq;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c->wc);
    free(c);
}

static void destroy_cq(struct verbs_cq *cq)
{
    free_cq(of(cq->device), CONTAINER_OF(cq, struct fcq, base));
}

static u32 poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count)
{
    struct fcq *c = CONTAINER_OF(cq, struct fcq, base);
    u32 n = 0;

    while (n < count && c->tail != c->head)
        wc[n++] = c->wc[c->tail++ % cq->cqe];
    return n;
}

static void req_notify_cq(struct verbs_cq *cq)
{
    CONTAINER_OF(cq, struct fcq, base)->wanted = true;
}

static void add_wc(struct verbs_cq *cq, const struct verbs_wc *wc)
{
    struct fcq *c = CONTAINER_OF(cq, struct fcq, base);

    c->wc[c->head++ % cq->cqe] = *wc;
    if (c->wanted && cq->notify) {
        c->wanted = false;
        cq->notify(cq, cq->ctx);
    }
}

static enum err create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                          struct verbs_qp **qp, struct why *why)
{
    struct fdevice *d = of(pd->device);

    for (u32 i = 0; i < QPS; i++) {
        struct fqp *q;

        if (d->qp[i])
            continue;
        q = calloc(1, sizeof(*q));
        q->device = d;
        q->send = calloc(init->max_send_wr, sizeof(q->send[0]));
        q->recv = calloc(init->max_recv_wr, sizeof(q->recv[0]));
        q->base.qp_num = ++d->next_qpn << 6 | i;
        d->qp[i] = q;
        d->qps = MAX(d->qps, i + 1);
        *qp = &q->base;
        return OK;
    }
    return why_set(why, E_NOMEM, "no queue pair is free");
}

static void flush(struct fqp *q)
{
    for (; q->send_tail != q->send_head; q->send_tail++) {
        struct fwr *w = &q->send[q->send_tail % q->base.max_send_wr];
        struct verbs_wc wc = {.wr_id = w->wr.wr_id,
                              .status = WC_WR_FLUSH_ERR,
                              .qp_num = q->base.qp_num,
                              .qp = &q->base};

        free(w->data);
        w->data = NULL;
        add_wc(q->base.send_cq, &wc);
    }
    for (; q->recv_tail != q->recv_head; q->recv_tail++) {
        struct verbs_wc wc = {.wr_id = q->recv[q->recv_tail % q->base.max_recv_wr].wr_id,
                              .status = WC_WR_FLUSH_ERR,
                              .opcode = WC_RECV,
                              .qp_num = q->base.qp_num,
                              .qp = &q->base};

        add_wc(q->base.recv_cq, &wc);
    }
}

static enum err modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                          const struct verbs_qp_attr *attr, struct why *why)
{
    struct fqp *q = qp_of(qp);

    (void)why;
    q->state = state;
    switch (state) {
    case QPS_INIT: q->access = attr->qp_access_flags; break;
    case QPS_RTR:
        q->dest_ip = attr->dest_ip & 0xff;
        q->dest_qpn = attr->dest_qp_num;
        q->rq_psn = attr->rq_psn;
        break;
    case QPS_RTS: q->sq_psn = attr->sq_psn; break;
    case QPS_ERR: flush(q); break;
    default: break;
    }
    return OK;
}

static enum verbs_qp_state query_qp(struct verbs_qp *qp)
{
    return qp_of(qp)->state;
}

static void free_qp(struct fqp *q)
{
    for (u32 i = 0; i < q->base.max_send_wr; i++)
        free(q->send[i].data);
    q->device->qp[q->base.qp_num & (QPS - 1)] = NULL;
    free(q->send);
    free(q->recv);
    free(q);
}

static void destroy_qp(struct verbs_qp *qp, struct verbs_done *done)
{
    struct fqp *q = qp_of(qp);
    struct fcq *c[2] = {CONTAINER_OF(qp->send_cq, struct fcq, base),
                        CONTAINER_OF(qp->recv_cq, struct fcq, base)};

    for (unsigned k = 0; k < 2; k++) { /* its completions are gone */
        u32 kept = c[k]->tail;

        for (u32 i = c[k]->tail; i != c[k]->head; i++)
            if (c[k]->wc[i % c[k]->base.cqe].qp != qp)
                c[k]->wc[kept++ % c[k]->base.cqe] = c[k]->wc[i % c[k]->base.cqe];
        c[k]->head = kept;
    }
    done_later(q->device, done, NULL);
    free_qp(q);
}

/* --- work ------------------------------------------------------------------------------------------------------ */

static u8 *local(const struct verbs_sge *sge)
{
    return phys_to_virt(HPA(sge->addr)); /* the local DMA key is all that Ferry uses */
}

static void post_one_send(struct fqp *q, const struct verbs_send_wr *wr)
{
    u32 most = q->base.max_send_wr;
    struct fwr *w = &q->send[q->send_head % most], *before;
    struct fabric *f = q->device->fabric;

    *w = (struct fwr){.wr = *wr, .since = time_now()};
    for (u32 i = 0; i < wr->num_sge; i++) {
        w->sge[i] = wr->sg_list[i];
        w->length += wr->sg_list[i].length;
    }
    w->execute_at = time_now() + delay(f);
    if (fabric_below(f, 100) < f->lose) /* a packet, which is sent again */
        w->execute_at += fabric_below(f, LATE);
    before = &q->send[(q->send_head - 1) % most];
    if (q->send_head != q->send_tail && w->execute_at < before->execute_at)
        w->execute_at = before->execute_at;
    q->send_head++;
    if (wr->opcode == WR_RDMA_WRITE) {
        q->writes = true;
        q->device->writes.posted++;
    }
}

static u32 post_send(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count)
{
    struct fqp *q = qp_of(qp);
    u32 room = MIN(count, q->send_tail + qp->max_send_wr - q->send_head);

    for (u32 i = 0; i < room; i++)
        post_one_send(q, &wr[i]);
    if (q->state == QPS_ERR)
        flush(q);
    return room;
}

static void post_one_recv(struct fqp *q, const struct verbs_recv_wr *wr)
{
    struct frecv *r = &q->recv[q->recv_head++ % q->base.max_recv_wr];

    *r = (struct frecv){.wr_id = wr->wr_id};
    if (wr->num_sge)
        r->sge = wr->sg_list[0];
}

static u32 post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count)
{
    struct fqp *q = qp_of(qp);
    u32 room = MIN(count, q->recv_tail + qp->max_recv_wr - q->recv_head);

    for (u32 i = 0; i < room; i++)
        post_one_recv(q, &wr[i]);
    if (q->state == QPS_ERR)
        flush(q);
    return room;
}

static void doorbell(struct verbs_qp *qp)
{
    struct fqp *q = qp_of(qp);

    q->device->writes.doorbells += q->writes;
    q->writes = false;
}

static const struct verbs_ops ops = {
    .query_port = query_port,
    .progress = progress,
    .next_done = next_done,
    .alloc_pd = alloc_pd,
    .dealloc_pd = dealloc_pd,
    .reg_mr = reg_mr,
    .invalidate_mr = invalidate_mr,
    .create_cq = create_cq,
    .destroy_cq = destroy_cq,
    .poll_cq = poll_cq,
    .req_notify_cq = req_notify_cq,
    .create_qp = create_qp,
    .modify_qp = modify_qp,
    .query_qp = query_qp,
    .destroy_qp = destroy_qp,
    .post_send = post_send,
    .post_recv = post_recv,
    .doorbell = doorbell,
};

/* --- the wire ----------------------------------------------------------------------------------------------------- */

/* The other end, if packets reach it and it is connected to this one. */
static struct fqp *other_end(const struct fqp *q)
{
    struct fabric *f = q->device->fabric;
    u32 to = q->dest_ip - 1;
    struct fdevice *d = to < FABRIC_HOSTS ? f->host[to] : NULL;
    struct fqp *r;

    if (!d || f->cut[q->device->host][to])
        return NULL;
    r = d->qp[q->dest_qpn & (QPS - 1)];
    if (!r || r->base.qp_num != q->dest_qpn || r->dest_qpn != q->base.qp_num ||
        (r->state != QPS_RTR && r->state != QPS_RTS) || r->rq_psn != q->sq_psn)
        return NULL;
    return r;
}

static u8 *remote(struct fqp *r, u64 addr, u32 rkey, u32 right, u32 *room)
{
    struct fmr *m = r->device->mr[rkey & (MRS - 1)];
    u64 at;

    if (!m || m->base.rkey != rkey || m->base.pd != r->base.pd || !(m->base.access & right) ||
        !(r->access & right) || addr < m->base.iova || addr - m->base.iova >= m->base.length)
        return NULL;
    at = addr - m->base.iova + m->offset;
    *room = (u32)MIN(PAGE_SIZE - (at & PAGE_MASK), m->base.length - (addr - m->base.iova));
    if (fabric_touches)
        fabric_touches(r->device->host, m->frame[at >> PAGE_SHIFT], right == ACCESS_REMOTE_WRITE);
    return (u8 *)phys_to_virt(m->frame[at >> PAGE_SHIFT]) + (at & PAGE_MASK);
}

/* The whole, or its first `size` bytes. */
static bool copy(struct fqp *r, struct fwr *w, u32 size, bool write)
{
    u64 addr = w->wr.remote_addr;

    for (u32 i = 0; i < w->wr.num_sge && size; i++)
        for (u32 done = 0; done < w->sge[i].length && size;) {
            u32 room = 0;
            u8 *to = remote(r, addr, w->wr.rkey, write ? ACCESS_REMOTE_WRITE : ACCESS_REMOTE_READ,
                            &room);
            u32 part = MIN(w->sge[i].length - done, MIN(room, size));

            if (!to)
                return false;
            if (write)
                memcpy(to, local(&w->sge[i]) + done, part);
            else
                memcpy(local(&w->sge[i]) + done, to, part);
            done += part;
            size -= part;
            addr += part;
        }
    return true;
}

static void end_recv(struct fqp *r, enum wc_opcode opcode, u32 length, u32 imm)
{
    struct frecv *v = &r->recv[r->recv_tail++ % r->base.max_recv_wr];
    struct verbs_wc wc = {.wr_id = v->wr_id,
                          .opcode = opcode,
                          .byte_len = length,
                          .imm = imm,
                          .qp_num = r->base.qp_num,
                          .qp = &r->base};

    add_wc(r->base.recv_cq, &wc);
}

/* A message arrives; or, if somebody meddles, another one, or the same twice. */
static void deliver(struct fqp *r, struct fwr *w)
{
    struct fabric *f = r->device->fabric;
    unsigned copies = f->forgery == FORGERY_TWICE ? 2 : 1;

    for (; copies && r->recv_tail != r->recv_head; copies--) {
        u8 *first = local(&r->recv[r->recv_tail % r->base.max_recv_wr].sge), *to = first;

        for (u32 i = 0; i < w->wr.num_sge; i++) {
            memcpy(to, local(&w->sge[i]), w->sge[i].length);
            to += w->sge[i].length;
        }
        if (f->forgery == FORGERY_CHANGED)
            first[fabric_below(f, w->length)] ^= (u8)(1u << fabric_below(f, 8));
        end_recv(r, WC_RECV, w->length, 0);
        r->device->forged += f->forgery == FORGERY_CHANGED || (f->forgery && copies == 1);
    }
    f->forgery = FORGERY_NONE;
}

/* False: not yet. */
static bool execute(struct fqp *q, struct fqp *r, struct fwr *w)
{
    bool wants_recv = w->wr.opcode == WR_SEND || w->wr.opcode == WR_RDMA_WRITE_WITH_IMM;
    bool good = true;

    if (wants_recv && r->recv_tail == r->recv_head) {
        w->execute_at = time_now() + RNR;
        return false;
    }
    switch (w->wr.opcode) {
    case WR_SEND: deliver(r, w); break;
    case WR_RDMA_WRITE: good = copy(r, w, w->length, true); break;
    case WR_RDMA_WRITE_WITH_IMM: end_recv(r, WC_RECV_RDMA_WITH_IMM, 0, w->wr.imm); break;
    case WR_RDMA_READ: good = copy(r, w, w->length, false); break;
    default: abort();
    }
    w->executed = true;
    w->status = good ? WC_SUCCESS : WC_REM_ACCESS_ERR;
    w->complete_at = time_now() + delay(q->device->fabric);
    if (!good) {
        r->state = QPS_ERR;
        flush(r);
    }
    return true;
}

static void complete(struct fqp *q, enum wc_status status)
{
    struct fwr *w = &q->send[q->send_tail++ % q->base.max_send_wr];
    struct verbs_wc wc = {
        .wr_id = w->wr.wr_id, .status = status, .qp_num = q->base.qp_num, .qp = &q->base};

    if (w->wr.send_flags & SEND_SIGNALED || status != WC_SUCCESS) {
        add_wc(q->base.send_cq, &wc);
        q->device->writes.completions += w->wr.opcode == WR_RDMA_WRITE;
    }
    if (status != WC_SUCCESS) {
        q->state = QPS_ERR;
        flush(q);
    }
}

/* A part of a WRITE may be there when its line is cut. */
static void cut_off(struct fqp *q, struct fwr *w)
{
    struct fabric *f = q->device->fabric;
    u32 to = q->dest_ip - 1;
    bool was = f->cut[q->device->host][to];
    struct fqp *r;

    if (w->wr.opcode != WR_RDMA_WRITE || !w->length || !was || fabric_below(f, 2))
        return;
    f->cut[q->device->host][to] = false;
    r = other_end(q);
    if (r)
        (void)copy(r, w, fabric_below(f, w->length), true);
    f->cut[q->device->host][to] = true;
}

/* The first requests of a queue pair that are due. true: something happened. */
static bool run_qp(struct fqp *q)
{
    u64 now = time_now();
    bool any = false;

    if (q->state != QPS_RTS)
        return false;
    for (u32 i = q->send_tail; i != q->send_head; i++) {
        struct fwr *w = &q->send[i % q->base.max_send_wr];
        struct fqp *r;

        if (w->executed)
            continue;
        if (w->execute_at > now)
            break;
        r = other_end(q);
        if (!r) {
            if (!w->complete_at) { /* the time-out begins */
                cut_off(q, w);
                w->complete_at = now + TIMEOUT;
                any = true;
            }
            break;
        }
        w->complete_at = 0;
        if (!execute(q, r, w))
            break;
        any = true;
    }
    while (q->state == QPS_RTS && q->send_tail != q->send_head) {
        struct fwr *w = &q->send[q->send_tail % q->base.max_send_wr];

        if (!w->complete_at || w->complete_at > now)
            break;
        /* The answer does not come through either. */
        if (w->executed && w->status == WC_SUCCESS && !other_end(q)) {
            w->executed = true;
            w->status = WC_RETRY_EXC_ERR;
            w->complete_at = now + TIMEOUT;
            any = true;
            break;
        }
        complete(q, w->executed ? w->status : WC_RETRY_EXC_ERR);
        any = true;
    }
    return any;
}

void fabric_run(struct fabric *f)
{
    bool any;

    do {
        any = false;
        for (u32 h = 0; h < FABRIC_HOSTS; h++)
            for (u32 i = 0; f->host[h] && i < f->host[h]->qps; i++)
                if (f->host[h]->qp[i])
                    any |= run_qp(f->host[h]->qp[i]);
    } while (any);
}

static u64 next_of(const struct fqp *q, u64 next)
{
    bool waiting = false;

    if (q->state != QPS_RTS)
        return next;
    for (u32 i = q->send_tail; i != q->send_head; i++) {
        const struct fwr *w = &q->send[i % q->base.max_send_wr];

        if (w->complete_at && i == q->send_tail) /* in order */
            next = MIN(next, w->complete_at);
        if (!w->executed && !waiting) {
            if (!w->complete_at)
                next = MIN(next, w->execute_at);
            waiting = true;
        }
    }
    return next;
}

u64 fabric_next(const struct fabric *f)
{
    u64 next = U64_MAX;

    for (u32 h = 0; h < FABRIC_HOSTS; h++) {
        if (!f->host[h])
            continue;
        for (u32 i = 0; i < f->host[h]->qps; i++)
            if (f->host[h]->qp[i])
                next = next_of(f->host[h]->qp[i], next);
        for (const struct fdone *e = f->host[h]->done; e; e = e->next)
            next = MIN(next, e->at);
    }
    return next;
}

/* --- hosts ------------------------------------------------------------------------------------------------------------ */

struct fabric *fabric_create(u64 seed, u64 delay_ns, u64 jitter_ns)
{
    struct fabric *f = calloc(1, sizeof(*f));

    f->random = seed * 0x2545f4914f6cdd1dull + 1;
    f->delay = delay_ns;
    f->jitter = jitter_ns;
    return f;
}

struct verbs_device *fabric_boot(struct fabric *f, u32 host)
{
    struct fdevice *d = calloc(1, sizeof(*d));

    d->fabric = f;
    d->host = host;
    d->next_key = (u32)(++f->boots * 100000);
    d->next_qpn = (u32)(f->boots * 1000);
    d->base = (struct verbs_device){.ops = &ops,
                                    .name = "fabric",
                                    .limits = {.max_pd = 64,
                                               .max_mr = MRS,
                                               .max_cq = 64,
                                               .max_qp = QPS,
                                               .max_cqe = 4096,
                                               .max_qp_wr = 1024,
                                               .max_sge = 16,
                                               .max_rd_atomic = 16,
                                               .max_msg = 1u << 30,
                                               .max_mr_size = GIB(1)}};
    f->host[host] = d;
    return &d->base;
}

/* Its agent is gone without a goodbye. Domains stay allocated. */
void fabric_kill(struct fabric *f, u32 host)
{
    struct fdevice *d = f->host[host];

    f->host[host] = NULL;
    while (take_done(d, U64_MAX))
        ;
    for (u32 i = 0; i < MRS; i++)
        if (d->mr[i])
            free_mr(d, d->mr[i]);
    for (u32 i = 0; i < QPS; i++)
        if (d->qp[i])
            free_qp(d->qp[i]);
    while (d->cq)
        free_cq(d, d->cq);
    free(d);
}

void fabric_cut(struct fabric *f, u32 a, u32 b, bool cut)
{
    f->cut[a][b] = f->cut[b][a] = cut;
}

bool fabric_is_cut(const struct fabric *f, u32 a, u32 b)
{
    return f->cut[a][b];
}

void fabric_lose(struct fabric *f, u32 percent)
{
    f->lose = percent;
}

static void each_reachable(const struct fdevice *d, u32 right, void (*fn)(void *ctx, hpa_t frame),
                           void *ctx)
{
    for (u32 i = 0; i < d->mrs; i++) {
        const struct fmr *m = d->mr[i];

        for (u64 k = 0; m && m->base.access & right && k < m->base.length / PAGE_SIZE; k++)
            fn(ctx, m->frame[k]);
    }
}

void fabric_each_writable(const struct fabric *f, u32 host, void (*fn)(void *ctx, hpa_t frame),
                          void *ctx)
{
    each_reachable(f->host[host], ACCESS_REMOTE_WRITE, fn, ctx);
}

void fabric_each_readable(const struct fabric *f, u32 host, void (*fn)(void *ctx, hpa_t frame),
                          void *ctx)
{
    each_reachable(f->host[host], ACCESS_REMOTE_READ, fn, ctx);
}

bool fabric_reach(struct fabric *f, u32 host, u32 n, u32 page, bool write)
{
    struct fdevice *d = f->host[host];
    u32 right = write ? ACCESS_REMOTE_WRITE : ACCESS_REMOTE_READ;

    for (u32 i = 0; i < d->mrs; i++) {
        struct fmr *m = d->mr[i];
        hpa_t frame;

        if (!m || !(m->base.access & right) || n--)
            continue;
        frame = m->frame[page % (m->base.length / PAGE_SIZE)];
        fabric_touches(host, frame, write);
        if (write)
            *(u64 *)phys_to_virt(frame) = fabric_random(f);
        return true;
    }
    return false;
}

void fabric_forge(struct fabric *f, enum fabric_forgery forgery)
{
    f->forgery = forgery;
}

u32 fabric_forged(const struct fabric *f, u32 host)
{
    return f->host[host]->forged;
}

struct fabric_writes fabric_writes(const struct fabric *f, u32 host)
{
    return f->host[host]->writes;
}

u32 fabric_keys(const struct fabric *f, u32 host)
{
    u32 keys = 0;

    for (u32 i = 0; i < MRS; i++)
        keys += f->host[host]->mr[i] != NULL;
    return keys;
}

void fabric_destroy(struct fabric *f)
{
    free(f);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/device_internal.h"

static struct roce_cq *of(struct verbs_cq *cq)
{
    return CONTAINER_OF(cq, struct roce_cq, base);
}

enum err roce_create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq, struct why *why)
{
    struct roce_device *d = roce_of(device);
    struct roce_cq *c;

    if (d->cqs == ROCE_MAX_CQ)
        return why_set(why, E_NOMEM, "all %u completion queues are in use", ROCE_MAX_CQ);
    c = d->port.alloc(sizeof(*c) + cqe * sizeof(c->ring[0]));
    if (!c)
        return why_set(why, E_NOMEM, "no memory for a completion queue of %u", cqe);
    d->cqs++;
    *cq = &c->base;
    return OK;
}

void roce_destroy_cq(struct verbs_cq *cq)
{
    struct roce_device *d = roce_of(cq->device);

    d->cqs--;
    d->port.free(of(cq));
}

/* Cannot overrun: a slot of a queue makes one entry, and is free again when that was polled (verbs_create_qp). */
void roce_cq_add(struct verbs_cq *cq, const struct roce_cqe *cqe)
{
    struct roce_cq *c = of(cq);

    c->ring[c->head++ % cq->cqe] = *cqe;
    if (!c->wanted)
        return;
    c->wanted = false;
    if (cq->notify)
        cq->notify(cq, cq->ctx);
}

static void free_slots(const struct roce_cqe *e)
{
    struct roce_qp *qp = roce_qp_of(e->wc.qp);

    if (e->is_recv)
        qp->recv_free = e->slot_end;
    else
        qp->send_free = e->slot_end;
}

u32 roce_poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count)
{
    struct roce_cq *c = of(cq);
    u32 n = 0;

    while (n < count && c->tail != c->head) {
        const struct roce_cqe *e = &c->ring[c->tail++ % cq->cqe];

        free_slots(e);
        wc[n++] = e->wc;
    }
    return n;
}

void roce_req_notify_cq(struct verbs_cq *cq)
{
    of(cq)->wanted = true;
}

/* Keeps the others in their order, and closes the gaps, so that the promise of room holds. */
void roce_cq_clean(struct verbs_cq *cq, const struct verbs_qp *qp)
{
    struct roce_cq *c = of(cq);
    u32 to = c->tail;

    for (u32 i = c->tail; i != c->head; i++) {
        const struct roce_cqe *e = &c->ring[i % cq->cqe];

        if (e->wc.qp != qp)
            c->ring[to++ % cq->cqe] = *e;
    }
    c->head = to;
}

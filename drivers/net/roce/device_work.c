/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues of a soft-RoCE queue pair: what is posted, and what the engine makes of it. */
#include "drivers/net/roce/device_internal.h"

/* --- posting ------------------------------------------------------------------------------------ */

static void copy_sges(struct rc_sge *to, const struct verbs_sge *from, u32 count, u32 *length)
{
    *length = 0;
    for (u32 i = 0; i < count; i++) {
        to[i] = (struct rc_sge){from[i].addr, from[i].length, from[i].lkey};
        *length += from[i].length;
    }
}

static void fill_send(struct rc_wr *slot, const struct verbs_send_wr *wr)
{
    slot->wr_id = wr->wr_id;
    slot->opcode = (u8)wr->opcode;
    slot->flags = (u8)wr->send_flags;
    slot->sge_count = (u8)wr->num_sge;
    slot->imm = wr->imm;
    slot->rkey = wr->rkey;
    slot->remote_addr = wr->remote_addr;
    slot->compare_add = wr->compare_add;
    slot->swap = wr->swap;
    copy_sges(slot->sge, wr->sg_list, wr->num_sge, &slot->length);
}

u32 roce_post_send(struct verbs_qp *base, const struct verbs_send_wr *wr, u32 count)
{
    struct roce_qp *qp = roce_qp_of(base);
    u32 most = base->max_send_wr, room = MIN(count, qp->send_free + most - qp->send_posted);

    for (u32 i = 0; i < room; i++)
        fill_send(&qp->send[qp->send_posted++ % most], &wr[i]);
    return room;
}

static void fill_recv(struct rc_recv *slot, const struct verbs_recv_wr *wr)
{
    slot->wr_id = wr->wr_id;
    slot->sge_count = (u8)wr->num_sge;
    copy_sges(slot->sge, wr->sg_list, wr->num_sge, &slot->length);
}

u32 roce_post_recv(struct verbs_qp *base, const struct verbs_recv_wr *wr, u32 count)
{
    struct roce_qp *qp = roce_qp_of(base);
    u32 most = base->max_recv_wr, room = MIN(count, qp->recv_free + most - qp->recv_posted);

    for (u32 i = 0; i < room; i++)
        fill_recv(&qp->recv[qp->recv_posted++ % most], &wr[i]);
    return room;
}

void roce_doorbell(struct verbs_qp *base)
{
    struct roce_qp *qp = roce_qp_of(base);
    struct roce_device *d = roce_qp_device(qp);

    roce_activate(d, qp);
    if (d->port.kick)
        d->port.kick(d->port.nic);
}

/* --- what the engine asks for (rc.h) ------------------------------------------------------------ */

static struct rc_wr *send_at(void *owner, u32 index)
{
    struct roce_qp *qp = owner;

    return (s32)(qp->send_posted - index) > 0 ? &qp->send[index % qp->base.max_send_wr] : NULL;
}

static void send_done(void *owner, struct rc_wr *wr, enum wc_status status)
{
    static const u8 opcodes[WR_OPCODE_COUNT] = {
        [WR_RDMA_WRITE] = WC_RDMA_WRITE,
        [WR_RDMA_WRITE_WITH_IMM] = WC_RDMA_WRITE,
        [WR_SEND] = WC_SEND,
        [WR_SEND_WITH_IMM] = WC_SEND,
        [WR_RDMA_READ] = WC_RDMA_READ,
        [WR_ATOMIC_CMP_AND_SWP] = WC_COMP_SWAP,
        [WR_ATOMIC_FETCH_AND_ADD] = WC_FETCH_ADD,
    };
    struct roce_qp *qp = owner;

    qp->send_done++;
    if (status == WC_SUCCESS && !(wr->flags & SEND_SIGNALED))
        return;
    roce_cq_add(qp->base.send_cq, &(struct roce_cqe){.wc = {.wr_id = wr->wr_id,
                                                            .status = status,
                                                            .opcode = opcodes[wr->opcode],
                                                            .byte_len = wr->length,
                                                            .qp_num = qp->base.qp_num,
                                                            .qp = &qp->base},
                                                     .slot_end = qp->send_done});
}

static struct rc_recv *recv_next(void *owner)
{
    struct roce_qp *qp = owner;

    if (qp->recv_taken == qp->recv_posted)
        return NULL;
    return &qp->recv[qp->recv_taken++ % qp->base.max_recv_wr];
}

static void recv_done(void *owner, struct rc_recv *recv, const struct rc_received *what)
{
    struct roce_qp *qp = owner;

    qp->recv_done++;
    roce_cq_add(qp->base.recv_cq, &(struct roce_cqe){.wc = {.wr_id = recv->wr_id,
                                                            .status = what->status,
                                                            .opcode = what->opcode,
                                                            .wc_flags = what->flags,
                                                            .byte_len = what->length,
                                                            .imm = what->imm,
                                                            .qp_num = qp->base.qp_num,
                                                            .qp = &qp->base},
                                                     .slot_end = qp->recv_done,
                                                     .is_recv = true});
}

static enum rc_memory translate(void *owner, const struct rc_range *range, struct rc_piece *piece)
{
    struct roce_qp *qp = owner;

    return roce_translate(roce_qp_device(qp), qp->base.pd, range, piece);
}

/* Keys are ended by their owner alone. */
static enum rc_memory invalidate(void *owner, u32 key)
{
    (void)owner;
    (void)key;
    return RC_MEMORY_RIGHTS;
}

static u8 *frame_begin(void *owner, u32 size)
{
    const struct roce_port *port = &roce_qp_device(owner)->port;

    return port->frame_begin(port->nic, size);
}

static void frame_send(void *owner, u32 size)
{
    const struct roce_port *port = &roce_qp_device(owner)->port;

    port->frame_send(port->nic, size);
}

static u64 now(void *owner)
{
    return roce_qp_device(owner)->port.now();
}

static void set_timer(void *owner, u64 at)
{
    struct roce_qp *qp = owner;
    struct roce_device *d = roce_qp_device(qp);

    qp->deadline = at;
    d->deadline = MIN(d->deadline, at);
}

/* Its work tells, by the status of its completions. */
static void failed(void *owner, enum wc_status status)
{
    (void)owner;
    (void)status;
}

const struct rc_ops roce_rc_ops = {
    .send_at = send_at,
    .send_done = send_done,
    .recv_next = recv_next,
    .recv_done = recv_done,
    .translate = translate,
    .invalidate = invalidate,
    .frame_begin = frame_begin,
    .frame_send = frame_send,
    .now = now,
    .set_timer = set_timer,
    .failed = failed,
};

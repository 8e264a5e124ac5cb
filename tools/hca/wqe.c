/* SPDX-License-Identifier: BSD-2-Clause */
/* Work queue elements (mlx5dv.h): read from the queues, checked, and handed to the engine or executed here; then
 * completions, in order. */
#include "tools/hca/hca.h"

#define KEPT(qp) (1u << (qp)->log_sq) /* works that a send queue can owe */

/* --- reading the send queue --------------------------------------------------------------------------- */

u32 wqe_posted(struct hca *h, struct qp *qp)
{
    return hca_record(h, qp->record + MLX_DBR_SQ, "SQ's doorbell record") & 0xffff;
}

static u32 basic_blocks(u32 ds)
{
    return (ds * MLX_DS + MLX_WQEBB - 1) / MLX_WQEBB;
}

/* A whole WQE, which may go round the end of the queue. */
static bool read_wqe(struct hca *h, struct qp *qp, u8 *wqe, u32 *ds)
{
    u32 mask = (1u << qp->log_sq) - 1;

    *ds = 1;
    for (u32 i = 0; i < basic_blocks(*ds); i++) {
        u64 at = qp->sq_offset + ((u64)((qp->sq_head + i) & mask)) * MLX_WQEBB;
        const u8 *block = buffer_at(h, &qp->buffer, at, MLX_WQEBB, "WQE");

        if (!block)
            return false;
        memcpy(wqe + i * MLX_WQEBB, block, MLX_WQEBB);
        if (!i)
            *ds = (u32)mlx_get(wqe, ctrl_ds);
        if (basic_blocks(*ds) > HCA_MAX_WQE / MLX_WQEBB)
            return true; /* check refuses it */
    }
    return true;
}

static bool has_reserved(const struct layout *layout, const u8 *segment, u32 size)
{
    struct part part = {layout, 0};
    u32 bits;

    return layout_reserved(&part, 1, segment, size, &bits) != size;
}

static const char *check(struct hca *h, struct qp *qp, const u8 *wqe, u32 ds)
{
    u32 left = (u16)(wqe_posted(h, qp) - qp->sq_head);

    if (!ds || basic_blocks(ds) > HCA_MAX_WQE / MLX_WQEBB)
        return "ds";
    if (basic_blocks(ds) > left)
        return "ds: the WQE ends behind what the doorbell record says";
    if (mlx_get(wqe, ctrl_wqe_index) != qp->sq_head)
        return "wqe_index";
    if (mlx_get(wqe, ctrl_qpn) != qp->o.number)
        return "qpn";
    if (mlx_get(wqe, ctrl_fm) > MLX_FM_SMALL_AND_FENCE)
        return "fm";
    if (mlx_get(wqe, ctrl_signature) || has_reserved(&layout_ctrl, wqe, MLX_DS))
        return "signature or reserved bits of the control segment";
    if (mlx_get(wqe, ctrl_opcode) == MLX_WQE_UMR && ds > 2 + MLX_UMR_CTRL_SIZE / MLX_DS &&
        has_reserved(&layout_umr, wqe + MLX_DS, MLX_UMR_CTRL_SIZE))
        return "reserved bits of the UMR control segment";
    return NULL;
}

/* --- segments ------------------------------------------------------------------------------------------- */

static enum mlx_cqe_syndrome wrong(struct hca *h, const struct qp *qp, const char *what,
                                   enum mlx_cqe_syndrome e)
{
    hca_refuse(h, MLX_BAD_PARAM, "WQE 0x%x of QP 0x%x: %s", qp->sq_head, qp->o.number, what);
    return e;
}

static enum mlx_cqe_syndrome add_inline(struct hca *h, const struct qp *qp, struct send *s,
                                        const u8 *seg, u32 room, u32 *used)
{
    u32 size = (u32)mlx_get(seg, data_byte_count) & 0x3ff;

    *used = (u32)ALIGN_UP(4 + size, MLX_DS);
    if (mlx_get(seg, data_byte_count) > 0x3ff || *used > room)
        return wrong(h, qp, "inline byte_count is beyond the WQE", MLX_SYNDROME_LOCAL_LENGTH);
    memcpy(s->data + s->wr.length, seg + 4, size);
    s->wr.sge[s->wr.sge_count++] =
        (struct rc_sge){(u64)(uintptr_t)(s->data + s->wr.length), size, HCA_INLINE_LKEY};
    s->wr.length += size;
    return 0;
}

static enum mlx_cqe_syndrome add_data(struct hca *h, const struct qp *qp, struct send *s,
                                      const u8 *seg, u32 room, u32 *used)
{
    u32 size = (u32)mlx_get(seg, data_byte_count);

    if (s->wr.sge_count == RC_MAX_SGE)
        return wrong(h, qp, "more than 8 data segments", MLX_SYNDROME_LOCAL_QP_OP);
    if (mlx_get(seg, data_inline))
        return add_inline(h, qp, s, seg, room, used);
    *used = MLX_DS;
    if (!size)
        return wrong(h, qp, "byte_count 0 means 2 GiB", MLX_SYNDROME_LOCAL_LENGTH);
    if ((u32)mlx_get(seg, data_lkey) == HCA_INLINE_LKEY)
        return wrong(h, qp, "lkey", MLX_SYNDROME_LOCAL_PROT);
    s->wr.sge[s->wr.sge_count++] =
        (struct rc_sge){mlx_get(seg, data_addr), size, (u32)mlx_get(seg, data_lkey)};
    if (size > RC_MAX_MESSAGE - s->wr.length)
        return wrong(h, qp, "more than 1 GiB", MLX_SYNDROME_LOCAL_LENGTH);
    s->wr.length += size;
    return 0;
}

struct form {
    u8 wr; /* enum wr_opcode */
    bool valid, raddr, atomic, in_line;
};
static const struct form forms[] = {
    [MLX_WQE_SEND] = {WR_SEND, true, false, false, true},
    [MLX_WQE_SEND_IMM] = {WR_SEND_WITH_IMM, true, false, false, true},
    [MLX_WQE_SEND_INVAL] = {WR_SEND_WITH_INV, true, false, false, true},
    [MLX_WQE_RDMA_WRITE] = {WR_RDMA_WRITE, true, true, false, true},
    [MLX_WQE_RDMA_WRITE_IMM] = {WR_RDMA_WRITE_WITH_IMM, true, true, false, true},
    [MLX_WQE_RDMA_READ] = {WR_RDMA_READ, true, true, false, false},
    [MLX_WQE_ATOMIC_CS] = {WR_ATOMIC_CMP_AND_SWP, true, true, true, false},
    [MLX_WQE_ATOMIC_FA] = {WR_ATOMIC_FETCH_AND_ADD, true, true, true, false},
};

static enum mlx_cqe_syndrome parse_data(struct hca *h, const struct qp *qp, struct send *s,
                                        const struct form *f, const u8 *wqe, u32 at, u32 end)
{
    for (u32 used; at < end; at += used) {
        enum mlx_cqe_syndrome e;

        if (mlx_get(wqe + at, data_inline) && !f->in_line)
            return wrong(h, qp, "inline data where data comes in", MLX_SYNDROME_LOCAL_QP_OP);
        if ((e = add_data(h, qp, s, wqe + at, end - at, &used)))
            return e;
    }
    if (f->atomic && s->wr.length != 8)
        return wrong(h, qp, "an atomic has 8 bytes", MLX_SYNDROME_LOCAL_LENGTH);
    return 0;
}

static void parse_atomic(struct send *s, const u8 *seg)
{
    u64 swap_add = mlx_get(seg, atomic_swap_add);

    if (s->wr.opcode == WR_ATOMIC_CMP_AND_SWP) {
        s->wr.swap = swap_add;
        s->wr.compare_add = mlx_get(seg, atomic_compare);
    } else {
        s->wr.compare_add = swap_add;
    }
}

static u8 flags_of(const u8 *wqe)
{
    u64 fm = mlx_get(wqe, ctrl_fm);

    return (u8)((mlx_get(wqe, ctrl_ce) == MLX_CE_ALWAYS ? SEND_SIGNALED : 0) |
                (mlx_get(wqe, ctrl_se) ? SEND_SOLICITED : 0) |
                (fm >= MLX_FM_FENCE ? SEND_FENCE : 0));
}

/* Into the engine's form. */
static enum mlx_cqe_syndrome parse(struct hca *h, const struct qp *qp, struct send *s,
                                   const u8 *wqe, u32 ds)
{
    u32 opcode = (u32)mlx_get(wqe, ctrl_opcode), at = MLX_DS, end = ds * MLX_DS;
    const struct form *f = opcode < COUNT_OF(forms) ? &forms[opcode] : NULL;

    if (!f || !f->valid || mlx_get(wqe, ctrl_opc_mod))
        return wrong(h, qp, "opcode or opc_mod", MLX_SYNDROME_LOCAL_QP_OP);
    s->wr.opcode = f->wr;
    s->wr.flags = flags_of(wqe);
    s->wr.imm = (u32)mlx_get(wqe, ctrl_imm);
    if (end < at + (f->raddr ? MLX_DS : 0u) + (f->atomic ? MLX_DS : 0u))
        return wrong(h, qp, "ds: segments are missing", MLX_SYNDROME_LOCAL_QP_OP);
    if (f->raddr) {
        s->wr.remote_addr = mlx_get(wqe + at, raddr_va);
        s->wr.rkey = (u32)mlx_get(wqe + at, raddr_rkey);
        if (mlx_get(wqe + at, MLX_AT(0xc, 31, 0)))
            return wrong(h, qp, "reserved word of the remote address segment",
                         MLX_SYNDROME_LOCAL_QP_OP);
        at += MLX_DS;
    }
    if (f->atomic) {
        if (mlx_get(h->cap[MLX_CAP_ATOMIC], atomic_cap_req_8B_endianness_mode) != 1)
            return wrong(h, qp, "an atomic, and req_8B_endianness_mode is not 1",
                         MLX_SYNDROME_LOCAL_QP_OP);
        parse_atomic(s, wqe + at);
        at += MLX_DS;
    }
    return parse_data(h, qp, s, f, wqe, at, end);
}

/* --- taking work ------------------------------------------------------------------------------------------ */

static bool is_local(u32 opcode, const struct qp *qp)
{
    return opcode == MLX_WQE_NOP || opcode == MLX_WQE_UMR || qp->is_sq;
}

/* Work that is done here starts when all before it has been sent; with a fence, when that is done. */
static bool may_start(const struct qp *qp, const u8 *wqe)
{
    if (mlx_get(wqe, ctrl_fm))
        return qp->retired == qp->made;
    return qp->rc.req.current == qp->sent;
}

static struct work *make_work(struct qp *qp, const u8 *wqe, u32 ds)
{
    struct work *w = &qp->work[qp->made++ & (KEPT(qp) - 1)];

    *w = (struct work){.opcode = (u8)mlx_get(wqe, ctrl_opcode),
                       .ce = (u8)mlx_get(wqe, ctrl_ce),
                       .wqe_index = qp->sq_head};
    qp->sq_head = (u16)(qp->sq_head + basic_blocks(ds));
    return w;
}

static enum mlx_cqe_syndrome run_here(struct hca *h, struct qp *qp, const u8 *wqe, u32 ds)
{
    if (mlx_get(wqe, ctrl_opcode) != MLX_WQE_UMR)
        return 0; /* NOP; and Ethernet's frames, which go nowhere */
    return umr_execute(h, qp, wqe, ds);
}

/* Work that cannot be done fails the queue pair when all before it is done; the engine does so with work that it does
 * not know. */
static void start(struct hca *h, struct qp *qp, const u8 *wqe, u32 ds)
{
    u32 number = qp->made;
    struct send *s;
    struct work *w;
    enum mlx_cqe_syndrome e;

    if (is_local(mlx_get(wqe, ctrl_opcode) & 0xff, qp)) {
        e = run_here(h, qp, wqe, ds);
        make_work(qp, wqe, ds);
        wqe_done(h, qp, number, e);
        if (e)
            qp_fail(h, qp, MLX_EVENT_WQ_CATAS);
        return;
    }
    s = &qp->send[qp->sent & (KEPT(qp) - 1)];
    s->wr = (struct rc_wr){.wr_id = number};
    e = parse(h, qp, s, wqe, ds);
    w = make_work(qp, wqe, ds);
    w->error = e;
    w->length = s->wr.length;
    if (e)
        s->wr.opcode = WR_OPCODE_COUNT;
    qp->sent++;
}

static bool takes_work(const struct qp *qp)
{
    u8 state = qp_state(qp);

    return qp->has_sq && !qp->must_fail && (state == MLX_QP_RTS || state == MLX_QP_ERR);
}

void wqe_fetch(struct hca *h, struct qp *qp)
{
    u8 wqe[HCA_MAX_WQE];
    const char *bad;
    u32 ds;

    if (!takes_work(qp) || qp_state(qp) == MLX_QP_ERR)
        return;
    while (takes_work(qp) && qp->sq_head != (u16)wqe_posted(h, qp) &&
           qp->made - qp->retired < KEPT(qp)) {
        if (!read_wqe(h, qp, wqe, &ds)) {
            qp_fail(h, qp, MLX_EVENT_WQ_CATAS);
            return;
        }
        if ((bad = check(h, qp, wqe, ds))) {
            wrong(h, qp, bad, 0);
            qp_fail(h, qp, MLX_EVENT_WQ_CATAS);
            return;
        }
        if (is_local(mlx_get(wqe, ctrl_opcode) & 0xff, qp) && !may_start(qp, wqe))
            return;
        hca_log(h, LOG_DATA, "QP 0x%x WQE 0x%x: opcode 0x%llx ds %u", qp->o.number, qp->sq_head,
                (unsigned long long)mlx_get(wqe, ctrl_opcode), ds);
        start(h, qp, wqe, ds);
    }
}

/* --- completions -------------------------------------------------------------------------------------------- */

static void complete(struct hca *h, struct qp *qp, const struct work *w)
{
    u8 cqe[MLX_CQE_SIZE] = {0};

    if (!w->error && w->ce != MLX_CE_ALWAYS)
        return;
    mlx_set(cqe, cqe_srqn_user_index, qp->user_index);
    mlx_set(cqe, cqe_send_wqe_opcode, w->opcode);
    mlx_set(cqe, cqe_qpn, qp->o.number);
    mlx_set(cqe, cqe_wqe_counter, w->wqe_index);
    if (w->error)
        mlx_set(cqe, cqe_syndrome, w->error);
    else
        mlx_set(cqe, cqe_byte_cnt, w->length);
    cq_post(h, qp->send_cq, cqe, w->error ? MLX_CQE_REQ_ERR : MLX_CQE_REQ, false);
}

void wqe_done(struct hca *h, struct qp *qp, u32 number, enum mlx_cqe_syndrome error)
{
    struct work *w = &qp->work[number & (KEPT(qp) - 1)];

    w->done = true;
    if (error && !(error == MLX_SYNDROME_LOCAL_QP_OP && w->error))
        w->error = error;
    for (; qp->retired != qp->made && qp->work[qp->retired & (KEPT(qp) - 1)].done; qp->retired++)
        complete(h, qp, &qp->work[qp->retired & (KEPT(qp) - 1)]);
}

/* What was not taken yet is looked at only to count it. */
void wqe_flush(struct hca *h, struct qp *qp)
{
    u8 wqe[HCA_MAX_WQE];
    u32 ds;

    while (takes_work(qp) && qp->sq_head != (u16)wqe_posted(h, qp) &&
           qp->made - qp->retired < KEPT(qp)) {
        u32 number = qp->made;

        if (!read_wqe(h, qp, wqe, &ds) || check(h, qp, wqe, ds))
            return;
        make_work(qp, wqe, ds);
        wqe_done(h, qp, number, MLX_SYNDROME_FLUSHED);
    }
}

/* --- the receive queue ---------------------------------------------------------------------------------------- */

static void parse_receive(struct rc_recv *r, const u8 *wqe, u32 segments)
{
    for (u32 i = 0; i < segments && r->sge_count < RC_MAX_SGE; i++) {
        const u8 *seg = wqe + i * MLX_DS;
        u32 size = (u32)mlx_get(seg, data_byte_count), lkey = (u32)mlx_get(seg, data_lkey);

        if (!size && lkey == MLX_INVALID_LKEY)
            return;
        if (lkey == HCA_INLINE_LKEY)
            lkey = MLX_INVALID_LKEY;
        r->sge[r->sge_count++] = (struct rc_sge){mlx_get(seg, data_addr), size, lkey};
        r->length += size;
    }
}

struct rc_recv *wqe_receive(struct hca *h, struct qp *qp)
{
    u32 posted, index = qp->rq_head & ((1u << qp->log_rq) - 1), stride;
    struct rc_recv *r;
    const u8 *wqe;

    if (!qp->has_rq)
        return NULL;
    posted = hca_record(h, qp->record + MLX_DBR_RQ, "RQ's doorbell record") & 0xffff;
    if (posted == (qp->rq_head & 0xffff))
        return NULL;
    if (((posted - qp->rq_head) & 0xffff) > 1u << qp->log_rq) {
        hca_refuse(h, MLX_BAD_PARAM, "RQ of QP 0x%x: the record says 0x%x, and 0x%x is next",
                   qp->o.number, posted, qp->rq_head & 0xffff);
        return NULL;
    }
    stride = 16u << qp->log_rq_stride;
    wqe = buffer_at(h, &qp->buffer, (u64)index * stride, stride, "receive WQE");
    if (!wqe)
        return NULL;
    r = &qp->recv[index];
    *r = (struct rc_recv){.wr_id = qp->rq_head++ & 0xffff};
    parse_receive(r, wqe, stride / MLX_DS);
    return r;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Queue pairs (mlx5_ifc.h: qpc, ads): made, taken through their states, rung. RC's are the engine's; others go through
 * the same states, and execute only what needs no peer. */
#include <stdlib.h>
#include "tools/hca/commands.h"

/* --- states --------------------------------------------------------------------------------------------- */

#define ANY_STATE 0xff
#define ACCESS    (MLX_OPT_RRE | MLX_OPT_RAE | MLX_OPT_RWE)

struct transition {
    u16 opcode;
    u8 from, to; /* enum mlx_qp_state */
    u32 optional;
    const u32 *fields; /* that it takes into the context; 0 ends them */
    bool takes_path;
};

static const u32 init_fields[] = {qpc_pm_state,    qpc_rre,   qpc_rwe, qpc_rae,
                                  qpc_atomic_mode, qpc_q_key, 0};
static const u32 rtr_fields[] = {
    qpc_mtu, qpc_remote_qpn, qpc_next_rcv_psn, qpc_log_rra_max, qpc_min_rnr_nak, qpc_log_msg_max,
    0};
static const u32 rts_fields[] = {qpc_next_send_psn, qpc_log_sra_max,      qpc_retry_count,
                                 qpc_rnr_retry,     qpc_log_ack_req_freq, 0};
static const u32 no_fields[] = {0};

static const struct transition transitions[] = {
    {MLX_RST2INIT_QP, MLX_QP_RST, MLX_QP_INIT, 0, init_fields, true},
    {MLX_INIT2INIT_QP, MLX_QP_INIT, MLX_QP_INIT,
     ACCESS | MLX_OPT_PKEY_INDEX | MLX_OPT_Q_KEY | MLX_OPT_PRI_PORT, init_fields, false},
    {MLX_INIT2RTR_QP, MLX_QP_INIT, MLX_QP_RTR, ACCESS | MLX_OPT_PKEY_INDEX | MLX_OPT_Q_KEY,
     rtr_fields, true},
    {MLX_RTR2RTS_QP, MLX_QP_RTR, MLX_QP_RTS,
     ACCESS | MLX_OPT_PM_STATE | MLX_OPT_RNR_TIMEOUT | MLX_OPT_Q_KEY, rts_fields, false},
    {MLX_RTS2RTS_QP, MLX_QP_RTS, MLX_QP_RTS,
     ACCESS | MLX_OPT_PM_STATE | MLX_OPT_RNR_TIMEOUT | MLX_OPT_Q_KEY, no_fields, false},
    {MLX_2ERR_QP, ANY_STATE, MLX_QP_ERR, 0, NULL, false},
    {MLX_2RST_QP, ANY_STATE, MLX_QP_RST, 0, NULL, false},
};

static const char *const state_names[] = {"RST", "INIT", "RTR", "RTS", "SQER", "SQD", "ERR"};

u8 qp_state(const struct qp *qp)
{
    static const u8 states[RC_STATES] = {
        [RC_RESET] = MLX_QP_RST, [RC_INIT] = MLX_QP_INIT, [RC_RTR] = MLX_QP_RTR,
        [RC_RTS] = MLX_QP_RTS,   [RC_SQD] = MLX_QP_SQD,   [RC_ERROR] = MLX_QP_ERR,
    };

    return qp->service == MLX_ST_RC && !qp->is_sq ? states[qp->rc.state] : qp->state;
}

void qp_fail(struct hca *h, struct qp *qp, enum mlx_event event)
{
    u8 eqe[MLX_EQE_SIZE] = {0};

    if (qp->must_fail || qp_state(qp) == MLX_QP_ERR)
        return;
    mlx_set(eqe, eqe_qpn, qp->o.number);
    eq_event(h, event, 0, eqe);
    qp->must_fail = true;
    qp_activate(qp);
}

void qp_fail_now(struct hca *h, struct qp *qp)
{
    qp->must_fail = false;
    qp->state = MLX_QP_ERR;
    if (qp->service == MLX_ST_RC && !qp->is_sq)
        (void)!rc_modify(&qp->rc, RC_ERROR, NULL, NULL);
    wqe_flush(h, qp);
}

enum rc_memory qp_translate(struct qp *qp, const struct rc_range *range, struct rc_piece *piece)
{
    if (range->key == HCA_RESD_LKEY && !mlx_get(qp->context, qpc_rlky))
        return RC_MEMORY_KEY;
    return mkey_translate(qp->hca, qp->pd, qp->o.number, range, piece);
}

/* --- doorbells -------------------------------------------------------------------------------------------- */

void qp_doorbell(struct hca *h, u32 uar, const u8 bytes[8])
{
    u32 qpn = (u32)mlx_get(bytes, ctrl_qpn), index = (u32)mlx_get(bytes, ctrl_wqe_index);
    struct qp *qp = object_get(h, OBJ_QP, qpn);

    if (!qp)
        qp = object_get(h, OBJ_SQ, qpn);
    if (!qp || qp->uar != uar) {
        hca_refuse(h, MLX_BAD_RES, "send doorbell at UAR 0x%x: QP 0x%x is not there", uar, qpn);
        return;
    }
    if ((u16)(wqe_posted(h, qp) - index - 1) > 1u << qp->log_sq) {
        hca_refuse(h, MLX_BAD_PARAM, "send doorbell of QP 0x%x: WQE 0x%x, and the record says 0x%x",
                   qpn, index, wqe_posted(h, qp));
        qp_fail(h, qp, MLX_EVENT_WQ_CATAS);
        return;
    }
    qp_activate(qp);
}

/* --- transitions -------------------------------------------------------------------------------------------- */

static u32 access_of(const u8 *qpc)
{
    return (mlx_get(qpc, qpc_rre) ? ACCESS_REMOTE_READ : 0) |
           (mlx_get(qpc, qpc_rwe) ? ACCESS_REMOTE_WRITE : 0) |
           (mlx_get(qpc, qpc_rae) ? ACCESS_REMOTE_ATOMIC : 0);
}

static enum mlx_status attr_of(struct hca *h, const struct qp *qp, const struct transition *t,
                               const u8 *qpc, struct rc_attr *a)
{
    const u8 *ads = qpc + MLX_QPC_PRIMARY;
    u32 mtu = (u32)mlx_get(qpc, qpc_mtu);

    *a = (struct rc_attr){
        .access = access_of(qpc),
        .dest_qpn = (u32)mlx_get(qpc, qpc_remote_qpn),
        .rq_psn = (u32)mlx_get(qpc, qpc_next_rcv_psn),
        .path_mtu = 128u << mtu,
        .max_dest_rd_atomic = (u8)(1u << mlx_get(qpc, qpc_log_rra_max)),
        .min_rnr_timer = (u8)mlx_get(qpc, qpc_min_rnr_nak),
        .sq_psn = (u32)mlx_get(qpc, qpc_next_send_psn),
        .timeout = (u8)mlx_get(ads, ads_ack_timeout),
        .retry_cnt = (u8)mlx_get(qpc, qpc_retry_count),
        .rnr_retry = (u8)mlx_get(qpc, qpc_rnr_retry),
        .max_rd_atomic = (u8)(1u << mlx_get(qpc, qpc_log_sra_max)),
    };
    if (t->to == MLX_QP_INIT && mlx_get(qpc, qpc_rae) && !mlx_get(qpc, qpc_atomic_mode))
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.rae is set, and atomic_mode is 0");
    if (t->to != MLX_QP_RTR)
        return MLX_OK;
    if (mtu < MLX_MTU_256 || mtu > MLX_MTU_4096)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.mtu %u: 1 to 5", mtu);
    if (h->options.port_type == MLX_PORT_ETHERNET &&
        a->path_mtu + WIRE_FRAME_MOST - WIRE_MTU_MOST > h->mtu)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.mtu %u: the port's frames (PMTU) have %u bytes",
                          mtu, h->mtu);
    return engine_path(h, qp, ads, a->dest_qpn, &a->path);
}

static enum mlx_status engine(struct hca *h, struct qp *qp, const struct transition *t,
                              const u8 *qpc)
{
    static const u8 states[] = {[MLX_QP_RST] = RC_RESET,
                                [MLX_QP_INIT] = RC_INIT,
                                [MLX_QP_RTR] = RC_RTR,
                                [MLX_QP_RTS] = RC_RTS,
                                [MLX_QP_ERR] = RC_ERROR};
    struct rc_attr a = {0};
    struct why why = {0};
    enum mlx_status s;

    if (t->fields && (s = attr_of(h, qp, t, qpc, &a)) != MLX_OK)
        return s;
    if (t->opcode == MLX_RTS2RTS_QP)
        return MLX_OK;
    if (rc_modify(&qp->rc, states[t->to], &a, &why) != OK)
        return hca_refuse(h, MLX_BAD_PARAM, "%s", why.text);
    return MLX_OK;
}

/* Rights may be changed beside the transition, where its mask says so. */
static void take_optional(struct qp *qp, u32 mask, const u8 *qpc)
{
    static const struct {
        u32 mask, field;
    } fields[] = {{MLX_OPT_RRE, qpc_rre},
                  {MLX_OPT_RWE, qpc_rwe},
                  {MLX_OPT_RAE, qpc_rae},
                  {MLX_OPT_RAE, qpc_atomic_mode},
                  {MLX_OPT_RNR_TIMEOUT, qpc_min_rnr_nak},
                  {MLX_OPT_PM_STATE, qpc_pm_state},
                  {MLX_OPT_Q_KEY, qpc_q_key}};

    for (u32 i = 0; i < COUNT_OF(fields); i++)
        if (mask & fields[i].mask)
            mlx_set(qp->context, fields[i].field, mlx_get(qpc, fields[i].field));
    if (mask & ACCESS)
        qp->rc.attr.access = access_of(qp->context);
    if (mask & MLX_OPT_RNR_TIMEOUT)
        qp->rc.attr.min_rnr_timer = (u8)mlx_get(qpc, qpc_min_rnr_nak);
}

static void forget_work(struct qp *qp)
{
    qp->sq_head = 0;
    qp->made = qp->retired = qp->sent = 0;
    qp->rq_head = 0;
    qp->must_fail = false;
    qp->deadline = RC_TIMER_NEVER;
}

static void take_fields(struct qp *qp, const struct transition *t, const u8 *qpc)
{
    for (u32 i = 0; t->fields[i]; i++)
        mlx_set(qp->context, t->fields[i], mlx_get(qpc, t->fields[i]));
    if (t->takes_path)
        memcpy(qp->context + MLX_QPC_PRIMARY, qpc + MLX_QPC_PRIMARY,
               MLX_QPC_SECONDARY - MLX_QPC_PRIMARY);
    if (t->to == MLX_QP_RTS)
        mlx_set(qp->context + MLX_QPC_PRIMARY, ads_ack_timeout,
                mlx_get(qpc + MLX_QPC_PRIMARY, ads_ack_timeout));
}

static enum mlx_status check_transition(struct hca *h, const struct qp *qp,
                                        const struct transition *t, u32 mask)
{
    u8 state = qp_state(qp);

    if (t->from != ANY_STATE && t->from != state)
        return hca_refuse(h, MLX_BAD_QP_STATE, "QP 0x%x is in %s, not in %s", qp->o.number,
                          state_names[state], state_names[t->from]);
    if (mask & ~t->optional)
        return hca_refuse(h, MLX_BAD_PARAM, "opt_param_mask 0x%x: this transition has no 0x%x",
                          mask, mask & ~t->optional);
    return MLX_OK;
}

enum mlx_status command_modify_qp(struct hca *h, struct command *c)
{
    const u8 *qpc = c->in + MLX_QPC;
    const struct transition *t = transitions;
    u32 mask;
    struct qp *qp;
    enum mlx_status s = object_find(h, OBJ_QP, c->number, &qp, "qpn");

    if (s != MLX_OK)
        return s;
    while (t->opcode != c->row->opcode)
        t++;
    mask = t->fields ? (u32)mlx_get(c->in, qp_in_opt_param_mask) : 0;
    s = check_transition(h, qp, t, mask);
    if (s == MLX_OK && qp->service == MLX_ST_RC)
        s = engine(h, qp, t, qpc);
    if (s != MLX_OK)
        return s;
    qp->state = t->to;
    if (t->to == MLX_QP_RST)
        forget_work(qp);
    if (t->fields) {
        take_fields(qp, t, qpc);
        take_optional(qp, mask, qpc);
    }
    qp_activate(qp);
    return MLX_OK;
}

enum mlx_status command_query_qp(struct hca *h, struct command *c)
{
    u8 *qpc = c->out + MLX_QPC;
    struct qp *qp;
    enum mlx_status s = object_find(h, OBJ_QP, c->number, &qp, "qpn");

    if (s != MLX_OK)
        return s;
    memcpy(qpc, qp->context, sizeof(qp->context));
    mlx_set(qpc, qpc_state, qp_state(qp));
    mlx_set(qpc, qpc_hw_sq_wqebb_counter, qp->sq_head);
    mlx_set(qpc, qpc_hw_rq_counter, qp->rq_head);
    if (qp->service == MLX_ST_RC) {
        mlx_set(qpc, qpc_next_send_psn, qp->rc.req.next);
        mlx_set(qpc, qpc_last_acked_psn, qp->rc.req.unacked);
        mlx_set(qpc, qpc_next_rcv_psn, qp->rc.res.expected);
    }
    return MLX_OK;
}

/* --- making one ----------------------------------------------------------------------------------------------- */

static enum mlx_status check_service(struct hca *h, const u8 *qpc)
{
    u32 st = (u32)mlx_get(qpc, qpc_st), rq = (u32)mlx_get(qpc, qpc_rq_type);

    if (st != MLX_ST_RC && st != MLX_ST_UD && st != MLX_ST_QP0 && st != MLX_ST_QP1 &&
        st != MLX_ST_REG_UMR)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.st 0x%x: RC, UD, QP0, QP1, REG_UMR are known here",
                          st);
    if (rq != MLX_RQ_NORMAL && rq != MLX_RQ_NONE)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.rq_type %u: 0 and 3 are known here", rq);
    if (mlx_get(qpc, qpc_state))
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.state is not RST");
    if (mlx_get(qpc, qpc_pm_state) != MLX_PM_STATE_MIGRATED)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.pm_state is not MIGRATED (3)");
    if (mlx_get(qpc, qpc_wq_signature))
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.wq_signature: there are none here");
    if (mlx_get(qpc, qpc_cs_req) || mlx_get(qpc, qpc_cs_res))
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.cs_req, cs_res: sctr_data_cqe is 0");
    if (mlx_get(qpc, qpc_log_sq_size) > HCA_LOG_QP_SZ ||
        mlx_get(qpc, qpc_log_rq_size) > HCA_LOG_QP_SZ)
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.log_sq_size, log_rq_size: at most %u",
                          HCA_LOG_QP_SZ);
    return MLX_OK;
}

static enum mlx_status check_objects(struct hca *h, const u8 *qpc)
{
    u64 record = mlx_get(qpc, qpc_dbr_addr);
    struct object *o;
    enum mlx_status s;

    if (mlx_get(qpc, qpc_st) != MLX_ST_REG_UMR &&
        (s = object_find(h, OBJ_PD, (u32)mlx_get(qpc, qpc_pd), &o, "qpc.pd")) != MLX_OK)
        return s;
    if ((s = object_find(h, OBJ_UAR, (u32)mlx_get(qpc, qpc_uar_page), &o, "qpc.uar_page")) !=
            MLX_OK ||
        (s = object_find(h, OBJ_CQ, (u32)mlx_get(qpc, qpc_cqn_snd), &o, "qpc.cqn_snd")) != MLX_OK)
        return s;
    if (mlx_get(qpc, qpc_rq_type) != MLX_RQ_NONE &&
        (s = object_find(h, OBJ_CQ, (u32)mlx_get(qpc, qpc_cqn_rcv), &o, "qpc.cqn_rcv")) != MLX_OK)
        return s;
    if (record % MLX_DBR_SIZE || !hca_dma(h, record, MLX_DBR_SIZE, "qpc.dbr_addr"))
        return hca_refuse(h, MLX_BAD_PARAM, "qpc.dbr_addr 0x%llx: not 8 aligned bytes of memory",
                          (unsigned long long)record);
    return MLX_OK;
}

static void fill(struct hca *h, struct qp *qp, const u8 *qpc)
{
    memcpy(qp->context, qpc, sizeof(qp->context));
    qp->hca = h;
    qp->service = (u8)mlx_get(qpc, qpc_st);
    qp->has_sq = !mlx_get(qpc, qpc_no_sq);
    qp->has_rq = mlx_get(qpc, qpc_rq_type) == MLX_RQ_NORMAL;
    qp->log_sq = (u32)mlx_get(qpc, qpc_log_sq_size);
    qp->log_rq = (u32)mlx_get(qpc, qpc_log_rq_size);
    qp->log_rq_stride = (u32)mlx_get(qpc, qpc_log_rq_stride);
    qp->sq_offset = qp->has_rq ? (16ull << qp->log_rq_stride) << qp->log_rq : 0;
    qp->record = mlx_get(qpc, qpc_dbr_addr);
    qp->uar = (u32)mlx_get(qpc, qpc_uar_page);
    qp->pd = qp->service == MLX_ST_REG_UMR ? HCA_ANY_PD : (u32)mlx_get(qpc, qpc_pd);
    qp->user_index = (u32)mlx_get(qpc, qpc_user_index);
    qp->send_cq = object_get(h, OBJ_CQ, (u32)mlx_get(qpc, qpc_cqn_snd));
    qp->recv_cq = object_get(h, OBJ_CQ, (u32)mlx_get(qpc, qpc_cqn_rcv));
    qp->work = calloc(1u << qp->log_sq, sizeof(qp->work[0]));
    qp->send = calloc(1u << qp->log_sq, sizeof(qp->send[0]));
    qp->recv = calloc(1u << qp->log_rq, sizeof(qp->recv[0]));
    qp->deadline = RC_TIMER_NEVER;
    list_init(&qp->active);
    rc_init(&qp->rc, &engine_ops, qp, &h->icrc, qp->o.number);
}

enum mlx_status command_create_qp(struct hca *h, struct command *c)
{
    const u8 *qpc = c->in + MLX_QPC;
    enum mlx_status s = check_service(h, qpc);
    struct qp *qp;

    if (s == MLX_OK)
        s = check_objects(h, qpc);
    if (s != MLX_OK)
        return s;
    qp = object_make(h, OBJ_QP, sizeof(*qp));
    if (!qp)
        return MLX_NO_RES;
    fill(h, qp, qpc);
    s = buffer_make(h, &qp->buffer, c->in + MLX_PAS, command_pas(c),
                    (u32)mlx_get(qpc, qpc_log_page_size), (u32)mlx_get(qpc, qpc_page_offset),
                    qp->sq_offset + (qp->has_sq ? (u64)MLX_WQEBB << qp->log_sq : 0), "QP");
    if (s != MLX_OK) {
        qp_free(qp);
        object_end(h, &qp->o);
        return s;
    }
    object_use(&qp->o, object_get(h, OBJ_PD, qp->pd));
    object_use(&qp->o, &qp->send_cq->o);
    object_use(&qp->o, qp->recv_cq ? &qp->recv_cq->o : NULL);
    mlx_set(c->out, object_number, qp->o.number);
    return MLX_OK;
}

void qp_free(struct qp *qp)
{
    if (qp->active.next)
        list_remove(&qp->active);
    buffer_free(&qp->buffer);
    free(qp->work);
    free(qp->send);
    free(qp->recv);
}

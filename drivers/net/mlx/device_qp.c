/* SPDX-License-Identifier: BSD-2-Clause */
/* Queue pairs by commands: made, taken from state to state, ended (manual, CREATE_QP and the transitions; mlx5_ifc.h: qpc,
 * ads); their work: wq.c. */
#include "drivers/net/mlx/device.h"

#define HOP_LIMIT 64
#define ACK_FREQ  8 /* log of the packets after which an ACK is asked for; as Linux has it */
#define NO_INDEX  0xffffffu /* user_index of a kernel's queue pairs; as Linux has it */
#define ATOMIC_IB 1         /* atomic_mode: as the InfiniBand specification has it */

static enum err command_qp(struct mlx *m, struct mlx_pair *p, const struct mlx_shape *s, u32 pd,
                           enum mlx_service service, struct why *why)
{
    u8 in[MLX_PAS + 8] = {0}, out[16], *qpc = in + MLX_QPC;
    enum err e;

    mlx_set(in, in_opcode, MLX_CREATE_QP);
    mlx_set(qpc, qpc_st, service);
    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_pd, pd);
    mlx_set(qpc, qpc_log_msg_max, m->caps.log_max_msg);
    mlx_set(qpc, qpc_log_sq_size, s->log_sq);
    mlx_set(qpc, qpc_log_rq_size, s->log_rq);
    mlx_set(qpc, qpc_log_rq_stride, s->log_rq_stride);
    mlx_set(qpc, qpc_rlky, 1);
    mlx_set(qpc, qpc_uar_page, m->uar);
    mlx_set(qpc, qpc_user_index, m->caps.cqe_version ? NO_INDEX : 0);
    mlx_set(qpc, qpc_log_page_size, p->queues.order);
    mlx_set(qpc, qpc_cqn_snd, completions_of(p->q.base.send_cq)->o.number);
    mlx_set(qpc, qpc_cqn_rcv, completions_of(p->q.base.recv_cq)->o.number);
    mlx_set(qpc, qpc_dbr_addr, p->record.at.v);
    mlx_set(qpc, qpc_rq_type, s->recv_wr ? MLX_RQ_NORMAL : MLX_RQ_NONE);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), p->queues.at.v);
    e = mlx_device_command(m, in, sizeof(in), out, why);
    if (e)
        return e;
    mlx_object_add(m, &p->o, MLX_KIND_QP, (u32)mlx_get(out, object_number));
    mlx_qp_enter(&m->qps, &p->q, p->o.number);
    return OK;
}

void mlx_free_qp(struct mlx_pair *p)
{
    mlx_memory_give_back(&p->queues);
    mlx_memory_give_back(&p->record);
    heap_free(p->work);
    heap_free(p);
}

static enum err take_queues(struct mlx *m, struct mlx_pair *p, const struct mlx_shape *s,
                            struct why *why)
{
    p->work = heap_alloc(s->work_size);
    if (!p->work || mlx_memory_take(&p->queues, s->size) ||
        mlx_memory_take(&p->record, MLX_DBR_SIZE))
        return mlx_no_memory(m, "queue pair", why);
    mlx_qp_init(&p->q, &(struct mlx_qp_parts){.shape = *s,
                                              .queues = p->queues.p,
                                              .work = p->work,
                                              .record = p->record.p,
                                              .uar = mlx_uar(m),
                                              .dma_lkey = m->resd_lkey});
    return OK;
}

static enum err shape(struct mlx *m, struct mlx_shape *s, const struct verbs_qp_init *init,
                      struct why *why)
{
    enum err e = mlx_shape(s, init->max_send_wr, mlx_wqe_most(init->max_sge), init->max_recv_wr,
                           init->max_sge, why);

    if (!e && MAX(s->log_sq, s->log_rq) > m->caps.log_max_qp_sz)
        return why_set(why, E_RANGE, "%s: queues of 2^%u blocks and 2^%u receives: at most 2^%u",
                       m->name, s->log_sq, s->log_rq, m->caps.log_max_qp_sz);
    return e;
}

enum err mlx_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init, struct verbs_qp **qp,
                       struct why *why)
{
    struct mlx *m = mlx_of(pd->device);
    struct mlx_pair *p;
    struct mlx_shape s;
    u32 number;
    enum err e = shape(m, &s, init, why);

    if (!e)
        e = mlx_domain_number(m, pd, &number, why);
    if (e)
        return e;
    p = heap_alloc(sizeof(*p));
    if (!p)
        return mlx_no_memory(m, "queue pair", why);
    p->q.base.pd = pd;
    p->q.base.send_cq = init->send_cq;
    p->q.base.recv_cq = init->recv_cq;
    e = take_queues(m, p, &s, why);
    if (!e)
        e = command_qp(m, p, &s, number, MLX_ST_RC, why);
    if (e)
        mlx_free_qp(p);
    else
        *qp = &p->q.base;
    return e;
}

/* --- transitions ------------------------------------------------------------------------------------------------- */

static void set_rights(u8 *qpc, u32 access)
{
    mlx_set(qpc, qpc_rre, !!(access & ACCESS_REMOTE_READ));
    mlx_set(qpc, qpc_rwe, !!(access & ACCESS_REMOTE_WRITE));
    mlx_set(qpc, qpc_rae, !!(access & ACCESS_REMOTE_ATOMIC));
    mlx_set(qpc, qpc_atomic_mode, access & ACCESS_REMOTE_ATOMIC ? ATOMIC_IB : 0);
}

static enum err to_init(struct mlx *m, u8 *qpc, const struct verbs_qp_attr *a, struct why *why)
{
    if (a->qp_access_flags & ACCESS_REMOTE_ATOMIC && !m->caps.atomic)
        return why_set(why, E_UNSUPPORTED, "%s has no atomics of 8 bytes", m->name);
    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_log_ack_req_freq, ACK_FREQ);
    mlx_set(qpc + MLX_QPC_PRIMARY, ads_vhca_port_num, 1);
    set_rights(qpc, a->qp_access_flags);
    return OK;
}

/* IBTA annex A17: 0xC000 and above; from both numbers, so that flows of one pair of hosts take several ways. */
static u16 source_port(const struct mlx *m, u32 qpn, u32 remote)
{
    u64 v = (u64)qpn * remote;
    u32 hash = (u32)(v ^ v >> 20 ^ v >> 40), most = m->caps.sport_most, least = m->caps.sport_least;

    if (!m->caps.sw_udp_sport || most < least)
        return 0;
    return (u16)(least + hash % (most - least + 1));
}

static void fill_path(const struct mlx *m, const struct mlx_pair *p, u8 *ads,
                      const struct verbs_qp_attr *a)
{
    const u8 *mac = a->dest_mac;

    mlx_set(ads, ads_src_addr_index, 0);
    mlx_set(ads, ads_hop_limit, a->hop_limit ? a->hop_limit : HOP_LIMIT);
    mlx_set(ads, ads_rgid_rip_8, 0xffffull << 32 | a->dest_ip);
    mlx_set(ads, ads_dscp, a->traffic_class >> 2);
    mlx_set(ads, ads_udp_sport, source_port(m, p->o.number, a->dest_qp_num));
    mlx_set(ads, ads_vhca_port_num, 1);
    mlx_set(ads, ads_rmac_47_32, (u64)mac[0] << 8 | mac[1]);
    mlx_set(ads, ads_rmac_31_0, (u64)mac[2] << 24 | (u64)mac[3] << 16 | (u64)mac[4] << 8 | mac[5]);
}

static enum err check_path(struct mlx *m, const struct verbs_qp_attr *a, struct why *why)
{
    u32 mtu = a->path_mtu;

    if (mtu < 256 || mtu > mlx_path_mtu(m->mtu) || mtu & (mtu - 1))
        return why_set(why, E_RANGE, "path MTU %u: frames of %s carry %u", mtu, m->name,
                       mlx_path_mtu(m->mtu));
    if (a->max_dest_rd_atomic > 1u << m->caps.log_max_ra_res_qp)
        return why_set(why, E_RANGE, "max_dest_rd_atomic %u: %s has %u", a->max_dest_rd_atomic,
                       m->name, 1u << m->caps.log_max_ra_res_qp);
    return OK;
}

static enum err to_rtr(struct mlx *m, struct mlx_pair *p, u8 *qpc, const struct verbs_qp_attr *a,
                       struct why *why)
{
    enum err e = check_path(m, a, why);

    if (e)
        return e;
    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_mtu, mlx_log2(a->path_mtu) - 7);
    mlx_set(qpc, qpc_log_msg_max, m->caps.log_max_msg);
    mlx_set(qpc, qpc_remote_qpn, a->dest_qp_num);
    mlx_set(qpc, qpc_log_ack_req_freq, ACK_FREQ);
    mlx_set(qpc, qpc_log_rra_max, mlx_log2(a->max_dest_rd_atomic));
    mlx_set(qpc, qpc_min_rnr_nak, a->min_rnr_timer);
    mlx_set(qpc, qpc_next_rcv_psn, a->rq_psn);
    fill_path(m, p, qpc + MLX_QPC_PRIMARY, a);
    return OK;
}

static enum err to_rts(struct mlx *m, u8 *qpc, const struct verbs_qp_attr *a)
{
    u32 log = mlx_log2(a->max_rd_atomic);

    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_next_send_psn, a->sq_psn);
    mlx_set(qpc, qpc_log_ack_req_freq, ACK_FREQ);
    mlx_set(qpc, qpc_log_sra_max, MIN(log, m->caps.log_max_ra_req_qp));
    mlx_set(qpc, qpc_retry_count, a->retry_cnt);
    mlx_set(qpc, qpc_rnr_retry, a->rnr_retry);
    mlx_set(qpc + MLX_QPC_PRIMARY, ads_ack_timeout, a->timeout);
    return OK;
}

/* Allowed transitions. To RESET and to ERR there is one from each state. */
static const struct transition {
    enum verbs_qp_state from, to;
    enum mlx_opcode opcode;
    const char *name;
} transitions[] = {
    {QPS_RESET, QPS_INIT, MLX_RST2INIT_QP, "RESET"},
    {QPS_INIT, QPS_RTR, MLX_INIT2RTR_QP, "INIT"},
    {QPS_RTR, QPS_RTS, MLX_RTR2RTS_QP, "RTR"},
};

static enum err fill(struct mlx *m, struct mlx_pair *p, enum verbs_qp_state state, u8 *qpc,
                     const struct verbs_qp_attr *a, struct why *why)
{
    switch (state) {
    case QPS_INIT: return to_init(m, qpc, a, why);
    case QPS_RTR: return to_rtr(m, p, qpc, a, why);
    case QPS_RTS: return to_rts(m, qpc, a);
    default: return OK;
    }
}

static enum err run_transition(struct mlx *m, struct mlx_pair *p, u8 *in, u32 size,
                               enum verbs_qp_state state, struct why *why)
{
    u8 out[16];
    enum err e;

    mlx_set(in, object_number, p->o.number);
    p->o.busy = true;
    e = mlx_device_command(m, in, size, out, why);
    p->o.busy = false;
    if (e)
        return e;
    if (state == QPS_RESET)
        mlx_qp_reset(&p->q);
    p->q.state = state;
    return OK;
}

static enum err forwards(struct mlx *m, struct mlx_pair *p, enum verbs_qp_state state,
                         const struct verbs_qp_attr *attr, struct why *why)
{
    u8 in[272] = {0};
    enum err e;

    for (unsigned i = 0; i < COUNT_OF(transitions); i++) {
        const struct transition *t = &transitions[i];

        if (t->to != state)
            continue;
        if (t->from != p->q.state)
            return why_set(why, E_STATE, "a queue pair comes there from %s alone", t->name);
        mlx_set(in, in_opcode, t->opcode);
        e = fill(m, p, state, in + MLX_QPC, attr, why);
        return e ? e : run_transition(m, p, in, sizeof(in), state, why);
    }
    return why_set(why, E_UNSUPPORTED, "no queue pair of %s goes to that state", m->name);
}

/* A card that is gone has forgotten the queue pair: it is in error, or as good as reset. */
static enum err without_card(struct mlx_pair *p, enum verbs_qp_state state, struct why *why)
{
    if (state == QPS_RESET)
        mlx_qp_reset(&p->q);
    else if (state != QPS_ERR)
        return why_set(why, E_STATE, "the card was reset since this queue pair was made");
    p->q.state = state;
    return OK;
}

enum err mlx_modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                       const struct verbs_qp_attr *attr, struct why *why)
{
    struct mlx *m = mlx_of(qp->pd->device);
    struct mlx_pair *p = pair_of(qp);
    u8 in[16] = {0};

    if (!mlx_object_is_there(m, &p->o))
        return without_card(p, state, why);
    if (state != QPS_RESET && state != QPS_ERR)
        return forwards(m, p, state, attr, why);
    mlx_set(in, in_opcode, state == QPS_ERR ? MLX_2ERR_QP : MLX_2RST_QP);
    return run_transition(m, p, in, sizeof(in), state, why);
}

/* Nothing more is reported of it; the card may still write completions until it has been told. */
void mlx_destroy_qp(struct verbs_qp *qp, struct verbs_done *done)
{
    struct mlx_pair *p = pair_of(qp);

    p->q.ending = true;
    mlx_cq_clean(qp->send_cq, &p->q);
    if (qp->recv_cq != qp->send_cq)
        mlx_cq_clean(qp->recv_cq, &p->q);
    mlx_object_end(mlx_of(qp->pd->device), &p->o, done);
}

/* --- the driver's own -------------------------------------------------------------------------------------------- */

static enum err own_qp(struct mlx *m, u32 slots, struct verbs_cq *cq, struct mlx_pair *p,
                       struct why *why)
{
    struct mlx_shape s;
    enum err e = mlx_shape(&s, slots, mlx_umr_most(), 0, 0, why);

    p->q.base.send_cq = p->q.base.recv_cq = cq;
    if (!e)
        e = take_queues(m, p, &s, why);
    return e ? e : command_qp(m, p, &s, m->pd, MLX_ST_REG_UMR, why);
}

/* As Linux takes its own there (mlx5r_umr_qp_rst2rts). */
static enum err own_to_rts(struct mlx *m, struct mlx_pair *p, struct why *why)
{
    enum err e = OK;

    for (unsigned i = 0; i < COUNT_OF(transitions) && !e; i++) {
        u8 in[272] = {0}, *qpc = in + MLX_QPC;

        mlx_set(in, in_opcode, transitions[i].opcode);
        mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
        if (transitions[i].to == QPS_RTR)
            mlx_set(qpc, qpc_mtu, MLX_MTU_256);
        mlx_set(qpc + MLX_QPC_PRIMARY, ads_vhca_port_num, 1);
        e = run_transition(m, p, in, sizeof(in), transitions[i].to, why);
    }
    return e;
}

enum err mlx_own_pair(struct mlx *m, u32 slots, struct verbs_cq **cq, struct verbs_qp **qp,
                      struct why *why)
{
    struct mlx_pair *p = heap_alloc(sizeof(*p));
    enum err e;

    if (!p)
        return mlx_no_memory(m, "queue pair", why);
    e = mlx_create_cq(&m->base, slots, cq, why);
    if (e) {
        heap_free(p);
        return e;
    }
    m->counts[MLX_KIND_CQ]--; /* those are counts of what others have */
    e = own_qp(m, slots, *cq, p, why);
    if (e) {
        mlx_free_qp(p);
        mlx_own_pair_end(m, *cq, NULL);
        *cq = NULL;
        return e;
    }
    m->counts[MLX_KIND_QP]--;
    *qp = &p->q.base;
    e = own_to_rts(m, p, why);
    if (e) {
        mlx_own_pair_end(m, *cq, *qp);
        *cq = NULL;
        *qp = NULL;
    }
    return e;
}

void mlx_own_pair_end(struct mlx *m, struct verbs_cq *cq, struct verbs_qp *qp)
{
    if (qp) {
        m->counts[MLX_KIND_QP]++;
        mlx_object_end(m, &pair_of(qp)->o, NULL);
    }
    if (cq) {
        m->counts[MLX_KIND_CQ]++;
        mlx_object_end(m, &completions_of(cq)->o, NULL);
    }
}

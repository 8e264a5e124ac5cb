/* SPDX-License-Identifier: BSD-2-Clause */
/* The RC engine's owner: what it asks for (rc.h), its queue pairs' turns, and frames from the wire. */
#include "tools/hca/hca.h"

#define RUN_FRAMES 32

static enum mlx_cqe_syndrome syndrome_of(enum wc_status status)
{
    static const u8 syndromes[WC_STATUS_COUNT] = {
        [WC_LOC_LEN_ERR] = MLX_SYNDROME_LOCAL_LENGTH,
        [WC_LOC_QP_OP_ERR] = MLX_SYNDROME_LOCAL_QP_OP,
        [WC_LOC_PROT_ERR] = MLX_SYNDROME_LOCAL_PROT,
        [WC_WR_FLUSH_ERR] = MLX_SYNDROME_FLUSHED,
        [WC_BAD_RESP_ERR] = MLX_SYNDROME_BAD_RESP,
        [WC_LOC_ACCESS_ERR] = MLX_SYNDROME_LOCAL_ACCESS,
        [WC_REM_INV_REQ_ERR] = MLX_SYNDROME_REMOTE_INVALID_REQ,
        [WC_REM_ACCESS_ERR] = MLX_SYNDROME_REMOTE_ACCESS,
        [WC_REM_OP_ERR] = MLX_SYNDROME_REMOTE_OP,
        [WC_RETRY_EXC_ERR] = MLX_SYNDROME_TRANSPORT_RETRY,
        [WC_RNR_RETRY_EXC_ERR] = MLX_SYNDROME_RNR_RETRY,
    };

    return syndromes[status];
}

/* --- what the engine asks for ------------------------------------------------------------------------------- */

static struct rc_wr *send_at(void *owner, u32 index)
{
    struct qp *qp = owner;

    return (s32)(qp->sent - index) > 0 ? &qp->send[index & ((1u << qp->log_sq) - 1)].wr : NULL;
}

static void send_done(void *owner, struct rc_wr *wr, enum wc_status status)
{
    struct qp *qp = owner;

    wqe_done(qp->hca, qp, (u32)wr->wr_id, syndrome_of(status));
}

static struct rc_recv *recv_next(void *owner)
{
    struct qp *qp = owner;

    return wqe_receive(qp->hca, qp);
}

static enum mlx_cqe_opcode opcode_of(const struct rc_received *what)
{
    if (what->status != WC_SUCCESS)
        return MLX_CQE_RESP_ERR;
    if (what->opcode == WC_RECV_RDMA_WITH_IMM)
        return MLX_CQE_RESP_WR_IMM;
    if (what->flags & WC_WITH_INV)
        return MLX_CQE_RESP_SEND_INV;
    return what->flags & WC_WITH_IMM ? MLX_CQE_RESP_SEND_IMM : MLX_CQE_RESP_SEND;
}

static void recv_done(void *owner, struct rc_recv *recv, const struct rc_received *what)
{
    u8 cqe[MLX_CQE_SIZE] = {0};
    struct qp *qp = owner;

    mlx_set(cqe, cqe_srqn_user_index, qp->user_index);
    mlx_set(cqe, cqe_qpn, qp->o.number);
    mlx_set(cqe, cqe_wqe_counter, recv->wr_id);
    if (what->status != WC_SUCCESS) {
        mlx_set(cqe, cqe_syndrome, syndrome_of(what->status));
    } else {
        mlx_set(cqe, cqe_byte_cnt, what->length);
        mlx_set(cqe, cqe_imm_inval_pkey, what->imm);
    }
    cq_post(qp->hca, qp->recv_cq, cqe, opcode_of(what), what->solicited);
}

static enum rc_memory translate(void *owner, const struct rc_range *range, struct rc_piece *piece)
{
    return qp_translate(owner, range, piece);
}

static enum rc_memory invalidate(void *owner, u32 key)
{
    struct qp *qp = owner;

    return mkey_invalidate(qp->hca, qp->pd, key);
}

static u8 *frame_begin(void *owner, u32 size)
{
    struct qp *qp = owner;

    return wire_begin(qp->hca, size);
}

static void frame_send(void *owner, u32 size)
{
    struct qp *qp = owner;

    wire_send(qp->hca, size);
}

static u64 now(void *owner)
{
    struct qp *qp = owner;

    return qp->hca->now();
}

static void set_timer(void *owner, u64 at)
{
    struct qp *qp = owner;

    qp->deadline = at;
    qp->hca->deadline = MIN(qp->hca->deadline, at);
}

/* Affiliated asynchronous errors, by the NAK that the responder said (IBTA volume 1, 11.6.3.2). */
static void failed(void *owner, enum wc_status status)
{
    struct qp *qp = owner;
    u8 eqe[MLX_EQE_SIZE] = {0}, refused = qp->rc.res.refused;
    static const u8 events[] = {[AETH_VALUE(AETH_NAK_INVALID)] = MLX_EVENT_WQ_INVALID_REQ,
                                [AETH_VALUE(AETH_NAK_ACCESS)] = MLX_EVENT_WQ_ACCESS,
                                [AETH_VALUE(AETH_NAK_OPERATION)] = MLX_EVENT_WQ_CATAS};

    hca_log(qp->hca, LOG_INFO, "QP 0x%x is in error: %s", qp->o.number, wc_status_name(status));
    if (!refused || status != WC_WR_FLUSH_ERR)
        return;
    mlx_set(eqe, eqe_qpn, qp->o.number);
    if (AETH_VALUE(refused) < COUNT_OF(events))
        eq_event(qp->hca, events[AETH_VALUE(refused)], 0, eqe);
}

const struct rc_ops engine_ops = {
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

/* --- paths ---------------------------------------------------------------------------------------------------- */

static void put_mac(u8 mac[6], u64 high, u64 low)
{
    be16_t h = be16((u16)high);
    be32_t l = be32((u32)low);

    memcpy(mac, &h, 2);
    memcpy(mac + 2, &l, 4);
}

/* InfiniBand's LIDs have addresses of their own on the wire: 169.254.LID, and a MAC that ends so. */
static enum mlx_status lid_path(struct hca *h, const u8 *ads, struct roce_path *path)
{
    u16 lid = (u16)mlx_get(ads, ads_rlid);

    if (!lid)
        return hca_refuse(h, MLX_BAD_PARAM, "ads.rlid is 0");
    path->src_ip = 0xa9fe0000u | h->options.lid;
    path->dst_ip = 0xa9fe0000u | lid;
    put_mac(path->src_mac, 0x0200, h->options.lid);
    put_mac(path->dst_mac, 0x0200, lid);
    path->ttl = 64;
    return MLX_OK;
}

static bool is_ipv4(u64 high, u64 low)
{
    return !high && low >> 32 == 0xffff;
}

static enum mlx_status check_gid_path(struct hca *h, const u8 *ads, const u8 *source)
{
    u64 port = mlx_get(ads, ads_udp_sport);

    if (!mlx_get(h->nic_vport, nic_vport_roce_en))
        return hca_refuse(h, MLX_BAD_PARAM, "a RoCE path, and nic_vport_context.roce_en is 0");
    if (mlx_get(source, roce_address_roce_version) != MLX_ROCE_V2)
        return hca_refuse(h, MLX_BAD_PARAM,
                          "ads.src_addr_index %u: this model sends from RoCEv2 addresses alone",
                          (u32)mlx_get(ads, ads_src_addr_index));
    if (!is_ipv4(mlx_get(source, roce_address_source_l3_0),
                 mlx_get(source, roce_address_source_l3_8)) ||
        !is_ipv4(mlx_get(ads, ads_rgid_rip_0), mlx_get(ads, ads_rgid_rip_8)))
        return hca_refuse(h, MLX_BAD_PARAM,
                          "ads.rgid_rip or the source is not ::ffff:a.b.c.d: this model sends by "
                          "IPv4 alone");
    if (!mlx_get(ads, ads_hop_limit))
        return hca_refuse(h, MLX_BAD_PARAM, "ads.hop_limit is 0");
    if (!mlx_get(ads, ads_rmac_47_32) && !mlx_get(ads, ads_rmac_31_0))
        return hca_refuse(h, MLX_BAD_PARAM, "ads.rmac is 0");
    if (mlx_get(h->cap[MLX_CAP_ROCE], roce_cap_sw_r_roce_src_udp_port) && port < 0xc000)
        return hca_refuse(h, MLX_BAD_PARAM,
                          "ads.udp_sport 0x%x: sw_r_roce_src_udp_port is set, and ports begin at "
                          "0xc000",
                          (u32)port);
    return MLX_OK;
}

static enum mlx_status gid_path(struct hca *h, const u8 *ads, struct roce_path *path)
{
    u32 index = (u32)mlx_get(ads, ads_src_addr_index);
    const u8 *source = h->roce_address[index % HCA_GIDS];
    enum mlx_status s;

    if (index >= HCA_GIDS)
        return hca_refuse(h, MLX_BAD_PARAM, "ads.src_addr_index %u: there are %u", index, HCA_GIDS);
    if ((s = check_gid_path(h, ads, source)) != MLX_OK)
        return s;
    path->src_ip = (u32)mlx_get(source, roce_address_source_l3_8);
    path->dst_ip = (u32)mlx_get(ads, ads_rgid_rip_8);
    put_mac(path->src_mac, mlx_get(source, roce_address_source_mac_47_32),
            mlx_get(source, roce_address_source_mac_31_0));
    put_mac(path->dst_mac, mlx_get(ads, ads_rmac_47_32), mlx_get(ads, ads_rmac_31_0));
    path->ttl = (u8)mlx_get(ads, ads_hop_limit);
    path->dscp = (u8)(mlx_get(ads, ads_tclass) >> 2);
    if (mlx_get(h->cap[MLX_CAP_ROCE], roce_cap_sw_r_roce_src_udp_port))
        path->udp_port = (u16)mlx_get(ads, ads_udp_sport);
    return MLX_OK;
}

enum mlx_status engine_path(struct hca *h, const struct qp *qp, const u8 *ads, u32 remote_qpn,
                            struct roce_path *path)
{
    *path = (struct roce_path){.udp_port = roce_flow_port(qp->o.number, remote_qpn)};
    return h->options.port_type == MLX_PORT_IB ? lid_path(h, ads, path) : gid_path(h, ads, path);
}

/* --- turns ------------------------------------------------------------------------------------------------------ */

void qp_activate(struct qp *qp)
{
    if (list_empty(&qp->active))
        list_append(&qp->hca->active, &qp->active);
}

static void look_at_clock(struct hca *h, void *object)
{
    struct qp *qp = object;

    if (qp->deadline <= h->now())
        qp_activate(qp);
    else
        h->deadline = MIN(h->deadline, qp->deadline);
}

/* In error, receives that are still posted are flushed without a doorbell that says so. */
static void look_for_receives(struct hca *h, void *object)
{
    struct qp *qp = object;

    (void)h;
    if (qp->service == MLX_ST_RC && qp->rc.state == RC_ERROR)
        qp_activate(qp);
}

static bool turn(struct hca *h, struct qp *qp)
{
    bool more;
    u32 made;

    if (qp->must_fail)
        qp_fail_now(h, qp);
    wqe_fetch(h, qp);
    if (qp->service != MLX_ST_RC || qp->is_sq) {
        if (qp_state(qp) == MLX_QP_ERR)
            wqe_flush(h, qp);
        return false;
    }
    more = rc_run(&qp->rc, RUN_FRAMES);
    if (qp->rc.state == RC_ERROR)
        wqe_flush(h, qp);
    h->deadline = MIN(h->deadline, qp->deadline);
    made = qp->made;
    wqe_fetch(h, qp); /* work that waited for what was sent now */
    return more || made != qp->made || qp->must_fail;
}

bool engine_run(struct hca *h)
{
    struct list turns;
    bool more = wire_receive(h);

    if (h->now() >= h->deadline) {
        h->deadline = h->now() + 20000000;
        object_each(h, OBJ_QP, look_at_clock);
        object_each(h, OBJ_QP, look_for_receives);
    }
    list_init(&turns);
    while (!list_empty(&h->active)) {
        struct list *first = h->active.next;

        list_remove(first);
        list_append(&turns, first);
    }
    while (!list_empty(&turns)) {
        struct qp *qp = CONTAINER_OF(turns.next, struct qp, active);

        list_remove(&qp->active);
        if (turn(h, qp)) {
            qp_activate(qp);
            more |= !h->wire.waiting;
        }
    }
    return more;
}

u64 engine_deadline(struct hca *h)
{
    return h->deadline;
}

void engine_frame(struct hca *h, const u8 *frame, u32 size)
{
    struct roce_packet p;
    enum roce_drop drop = roce_packet_parse(&p, &h->icrc, frame, size);
    struct qp *qp;

    if (drop == ROCE_OK) {
        qp = object_get(h, OBJ_QP, p.qpn);
        if (!qp || qp->service != MLX_ST_RC) {
            drop = ROCE_DROP_QPN;
        } else {
            drop = rc_receive(&qp->rc, &p);
            qp_activate(qp);
        }
    }
    h->wire.dropped[drop]++;
    if (drop != ROCE_OK && drop != ROCE_DROP_NOT_ROCE)
        hca_log(h, LOG_DATA, "a frame is dropped: %s", roce_drop_name(drop));
}

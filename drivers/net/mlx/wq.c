/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/mlx/wq.h"
#include "drivers/net/mlx/cq.h"

#define LOG_MOST 15 /* qpc.log_sq_size, log_rq_size: four bits */

static struct mlx_qp *of(struct verbs_qp *qp)
{
    return CONTAINER_OF(qp, struct mlx_qp, base);
}

/* --- shape --------------------------------------------------------------------------------------- */

enum err mlx_shape(struct mlx_shape *s, u32 send_wr, u32 send_ds, u32 recv_wr, u32 recv_sge,
                   struct why *why)
{
    u64 blocks = (u64)send_wr * mlx_blocks(send_ds);

    if (blocks > 1u << LOG_MOST || recv_wr > 1u << LOG_MOST)
        return why_set(why, E_RANGE,
                       "queues of %llu blocks and %u receives: an mlx5 queue has at most %u",
                       (unsigned long long)blocks, recv_wr, 1u << LOG_MOST);
    *s = (struct mlx_shape){.log_sq = mlx_log2((u32)blocks),
                            .log_rq = mlx_log2(recv_wr),
                            .log_rq_stride = mlx_log2(recv_sge),
                            .send_wr = send_wr,
                            .recv_wr = recv_wr};
    while (recv_wr && MLX_DS << s->log_rq_stride << s->log_rq < MLX_WQEBB)
        s->log_rq++; /* sends begin right behind it, at a block */
    if (recv_wr)
        s->sq_offset = (u32)MLX_DS << s->log_rq_stride << s->log_rq;
    s->size = s->sq_offset + (MLX_WQEBB << s->log_sq);
    s->work_size = (u32)((sizeof(struct mlx_send) << s->log_sq) +
                         (recv_wr ? sizeof(struct mlx_recv) << s->log_rq : 0));
    return OK;
}

/* --- queue pairs --------------------------------------------------------------------------------- */

void mlx_qp_init(struct mlx_qp *qp, const struct mlx_qp_parts *parts)
{
    const struct mlx_shape *s = &parts->shape;

    qp->sq = (struct mlx_sq){.ring = {.blocks = parts->queues + s->sq_offset,
                                      .mask = (1u << s->log_sq) - 1,
                                      .dma_lkey = parts->dma_lkey},
                             .work = parts->work,
                             .posted = 1, /* notes of zeros are of no slot */
                             .freed = 1,
                             .limit = 1 + s->send_wr,
                             .most = s->send_wr,
                             .doorbell = parts->uar + MLX_UAR_SQ};
    qp->rq = (struct mlx_rq){.wqes = parts->queues,
                             .work = (void *)(qp->sq.work + (1u << s->log_sq)),
                             .mask = (1u << s->log_rq) - 1,
                             .log_stride = s->log_rq_stride,
                             .most = s->recv_wr};
    qp->record = parts->record;
    memset(qp->record, 0, MLX_DBR_SIZE);
}

static struct mlx_qp **place_of(struct mlx_qps *qps, u32 qpn)
{
    return &qps->first[qpn & (MLX_QP_PLACES - 1)];
}

void mlx_qp_enter(struct mlx_qps *qps, struct mlx_qp *qp, u32 qpn)
{
    struct mlx_qp **place = place_of(qps, qpn);

    qp->base.qp_num = qp->sq.ring.qpn = qpn;
    qp->qps = qps;
    qp->next = *place;
    *place = qp;
}

struct mlx_qp *mlx_qp_find(const struct mlx_qps *qps, u32 qpn)
{
    struct mlx_qp *qp = qps->first[qpn & (MLX_QP_PLACES - 1)];

    while (qp && qp->base.qp_num != qpn)
        qp = qp->next;
    return qp;
}

void mlx_qp_reset(struct mlx_qp *qp)
{
    mlx_cq_clean(qp->base.send_cq, qp);
    if (qp->base.recv_cq != qp->base.send_cq)
        mlx_cq_clean(qp->base.recv_cq, qp);
    qp->sq.head = qp->sq.tail = qp->sq.rung = 0;
    mlx_sq_free(&qp->sq, qp->sq.posted - 1);
    qp->rq.posted = qp->rq.freed = 0;
    memset(qp->record, 0, MLX_DBR_SIZE);
}

void mlx_qp_leave(struct mlx_qp *qp)
{
    struct mlx_qp **place = place_of(qp->qps, qp->base.qp_num);

    mlx_qp_reset(qp);
    while (*place != qp)
        place = &(*place)->next;
    *place = qp->next;
}

/* --- posting ------------------------------------------------------------------------------------- */

static enum err refuse_full(u32 most, const char *which, struct why *why)
{
    return why_set(why, E_NOMEM, "the %s queue of %u is full: poll its completions", which, most);
}

static inline bool is_full(const struct mlx_sq *sq)
{
    return sq->posted == sq->limit;
}

/* A WQE of so many octowords is written. */
static void posted(struct mlx_sq *sq, u64 wr_id, u8 opcode, u32 ds)
{
    sq->last = sq->head;
    sq->work[sq->head++ & sq->ring.mask] = (struct mlx_send){wr_id, sq->posted++, opcode};
    for (u32 i = 1; i < mlx_blocks(ds); i++)
        sq->work[sq->head++ & sq->ring.mask].number = sq->posted ^ MLX_NO_SLOT;
}

/* What each opcode completes as, and with which SGE it moves pages, if that is the only one. */
#define NEVER UINT32_MAX
static const struct {
    u8 completes; /* enum wc_opcode */
    u8 page;      /* enum mlx_wqe_opcode */
    u32 longer;   /* than so many bytes */
} sends[] = {
    [WR_RDMA_WRITE] = {WC_RDMA_WRITE, MLX_WQE_RDMA_WRITE, MLX_INLINE_RDMA},
    [WR_RDMA_WRITE_WITH_IMM] = {WC_RDMA_WRITE, MLX_WQE_RDMA_WRITE_IMM, MLX_INLINE_RDMA},
    [WR_SEND] = {WC_SEND, 0, NEVER},
    [WR_SEND_WITH_IMM] = {WC_SEND, 0, NEVER},
    [WR_RDMA_READ] = {WC_RDMA_READ, MLX_WQE_RDMA_READ, 0},
    [WR_ATOMIC_CMP_AND_SWP] = {WC_COMP_SWAP, 0, NEVER},
    [WR_ATOMIC_FETCH_AND_ADD] = {WC_FETCH_ADD, 0, NEVER},
};

/* Any work, one or several blocks. */
static void post_any(struct mlx_sq *sq, const struct verbs_send_wr *wr)
{
    posted(sq, wr->wr_id, sends[wr->opcode].completes, mlx_wqe_send(&sq->ring, (u16)sq->head, wr));
}

/* The same for what comes most, with what changes kept in registers: pages, one behind the other, up to the ring's end. Returns
 * how many; where that is none, the first is for post_any. */
static u32 post_pages(struct mlx_sq *sq, const struct verbs_send_wr *wr, u32 count)
{
    const struct mlx_ring ring = sq->ring;
    const u32 first = sq->head & ring.mask, ahead = sq->posted - sq->head;
    const struct verbs_send_wr *begin = wr, *end = wr + MIN(count, ring.mask + 1 - first);
    struct mlx_send *work = &sq->work[first];
    u8 *wqe = mlx_block(&ring, first);
    u32 head = sq->head;

    for (; wr != end; wr++) {
        u32 opcode = wr->opcode;

        if (wr->num_sge != 1 || wr->sg_list->length <= sends[opcode].longer)
            break;
        mlx_put_page(&ring, wqe, (u16)head, wr, sends[opcode].page);
        *work++ = (struct mlx_send){wr->wr_id, head + ahead, sends[opcode].completes};
        wqe += MLX_WQEBB;
        head++;
    }
    sq->last = head - 1;
    sq->head = head;
    sq->posted = head + ahead;
    return (u32)(wr - begin);
}

u32 mlx_post_send(struct verbs_qp *base, const struct verbs_send_wr *wr, u32 count)
{
    struct mlx_sq *sq = &of(base)->sq;
    u32 room = MIN(count, sq->limit - sq->posted), n = 0;

    while (n < room) {
        u32 run = post_pages(sq, &wr[n], room - n);

        if (!run) {
            post_any(sq, &wr[n]);
            run = 1;
        }
        n += run;
    }
    return n;
}

enum err mlx_post_register(struct mlx_qp *qp, u64 wr_id, const struct mlx_umr *umr, struct why *why)
{
    if (is_full(&qp->sq))
        return refuse_full(qp->sq.most, "UMR", why);
    posted(&qp->sq, wr_id, 0, mlx_wqe_register(&qp->sq.ring, (u16)qp->sq.head, umr));
    return OK;
}

enum err mlx_post_invalidate(struct mlx_qp *qp, u64 wr_id, u32 key, struct why *why)
{
    if (is_full(&qp->sq))
        return refuse_full(qp->sq.most, "UMR", why);
    posted(&qp->sq, wr_id, 0, mlx_wqe_invalidate(&qp->sq.ring, (u16)qp->sq.head, key));
    return OK;
}

enum err mlx_post_nop(struct mlx_qp *qp, u64 wr_id, struct why *why)
{
    if (is_full(&qp->sq))
        return refuse_full(qp->sq.most, "send", why);
    posted(&qp->sq, wr_id, 0, mlx_wqe_nop(&qp->sq.ring, (u16)qp->sq.head));
    return OK;
}

static void post_receive(struct mlx_rq *rq, const struct verbs_recv_wr *wr)
{
    u32 at = rq->posted++ & rq->mask, length = 0;

    for (u32 i = 0; i < wr->num_sge; i++)
        length += wr->sg_list[i].length;
    mlx_wqe_recv(rq->wqes + ((size_t)at * MLX_DS << rq->log_stride), 1u << rq->log_stride, wr);
    rq->work[at] = (struct mlx_recv){wr->wr_id, length};
}

u32 mlx_post_recv(struct verbs_qp *base, const struct verbs_recv_wr *wr, u32 count)
{
    struct mlx_rq *rq = &of(base)->rq;
    u32 room = MIN(count, rq->freed + rq->most - rq->posted);

    for (u32 i = 0; i < room; i++)
        post_receive(rq, &wr[i]);
    return room;
}

/* --- doorbells ----------------------------------------------------------------------------------- */

static inline void set_record(u8 *record, u32 value)
{
    __atomic_store_n((u32 *)(void *)record, __builtin_bswap32(value), __ATOMIC_RELEASE);
}

/* The card may look at the record without having been rung, so WQEs are written by then. The registers are uncached: a write to
 * them does not overtake those to memory (SDM 3A, 11.3). They take the first eight bytes of the last WQE. */
void mlx_doorbell(struct verbs_qp *base)
{
    struct mlx_qp *qp = of(base);
    struct mlx_sq *sq = &qp->sq;

    set_record(qp->record + MLX_DBR_RQ, qp->rq.posted & 0xffff);
    if (sq->head == sq->rung)
        return;
    sq->rung = sq->head;
    set_record(qp->record + MLX_DBR_SQ, sq->head & 0xffff);
    if (qp->qps->dead)
        return;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    *(volatile u64 *)(void *)(sq->doorbell + sq->turn) =
        *(const u64 *)(const void *)mlx_block(&sq->ring, sq->last);
    sq->turn ^= MLX_UAR_BF_SIZE;
}

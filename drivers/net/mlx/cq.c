/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/mlx/cq.h"

/* What the card wrote, read once: it may change again. */
static inline u32 word(const u8 *cqe, u32 field)
{
    return __builtin_bswap32(*(const volatile u32 *)(const void *)(cqe + mlx_offset(field)));
}
static inline u64 last_quad(const u8 *cqe)
{
    return __builtin_bswap64(*(const volatile u64 *)(const void *)(cqe + mlx_offset(cqe_qpn)));
}
#define PART(field, word) ((word) >> ((field)&63) & (u32)mlx_mask(field))

static struct mlx_cq *of(struct verbs_cq *cq)
{
    return CONTAINER_OF(cq, struct mlx_cq, base);
}

static inline u8 *entry(const struct mlx_cq *cq, u32 n)
{
    return cq->ring + (size_t)(n & ((1u << cq->log_size) - 1)) * MLX_CQE_SIZE;
}

/* The last word says whose an entry is: the owner bit changes with each lap. */
static inline bool is_ours(const struct mlx_cq *cq, u32 n, u32 last_word)
{
    return PART(cqe_owner, last_word) == (n >> cq->log_size & 1) &&
           PART(cqe_opcode, last_word) != MLX_CQE_INVALID;
}

/* --- making one ---------------------------------------------------------------------------------- */

/* One entry more than can be owed, as Linux has it. */
u32 mlx_cq_log_size(u32 cqe)
{
    u32 log = 0;

    while (1u << log < cqe + 1)
        log++;
    return log;
}

void mlx_cq_init(struct mlx_cq *cq, struct mlx_qps *qps, u8 *ring, u32 log_size, u8 *record)
{
    cq->qps = qps;
    cq->ring = ring;
    cq->log_size = log_size;
    cq->record = record;
    for (u32 i = 0; i < 1u << log_size; i++) {
        mlx_set(entry(cq, i), cqe_opcode, MLX_CQE_INVALID);
        mlx_set(entry(cq, i), cqe_owner, 1);
    }
}

/* --- one completion ------------------------------------------------------------------------------ */

static bool refuse(struct mlx_cq *cq, const char *what)
{
    if (!cq->refused++)
        cq->refusal = what;
    return false;
}

static enum wc_status status_of(u32 syndrome)
{
    static const u8 statuses[] = {
        [MLX_SYNDROME_LOCAL_LENGTH] = WC_LOC_LEN_ERR,
        [MLX_SYNDROME_LOCAL_QP_OP] = WC_LOC_QP_OP_ERR,
        [MLX_SYNDROME_LOCAL_PROT] = WC_LOC_PROT_ERR,
        [MLX_SYNDROME_FLUSHED] = WC_WR_FLUSH_ERR,
        [MLX_SYNDROME_BAD_RESP] = WC_BAD_RESP_ERR,
        [MLX_SYNDROME_LOCAL_ACCESS] = WC_LOC_ACCESS_ERR,
        [MLX_SYNDROME_REMOTE_INVALID_REQ] = WC_REM_INV_REQ_ERR,
        [MLX_SYNDROME_REMOTE_ACCESS] = WC_REM_ACCESS_ERR,
        [MLX_SYNDROME_REMOTE_OP] = WC_REM_OP_ERR,
        [MLX_SYNDROME_TRANSPORT_RETRY] = WC_RETRY_EXC_ERR,
        [MLX_SYNDROME_RNR_RETRY] = WC_RNR_RETRY_EXC_ERR,
    };

    if (syndrome < COUNT_OF(statuses) && statuses[syndrome])
        return statuses[syndrome];
    return WC_GENERAL_ERR;
}

static void fill(struct verbs_wc *wc, struct mlx_qp *qp, u64 wr_id, u32 opcode)
{
    wc->wr_id = wr_id;
    wc->status = WC_SUCCESS;
    wc->opcode = opcode;
    wc->wc_flags = 0;
    wc->imm = 0;
    wc->qp_num = qp->base.qp_num;
    wc->qp = &qp->base;
}

/* Which send begins at the block that a completion names; NULL where none that is posted does. */
static inline const struct mlx_send *send_at(const struct mlx_sq *sq, u32 block)
{
    const struct mlx_send *w = &sq->work[block & sq->ring.mask];

    return w->number - sq->freed < sq->posted - sq->freed ? w : NULL;
}

/* It ends all that was posted before it, too. */
static bool take_send(struct mlx_cq *cq, struct mlx_qp *qp, const u8 *cqe, u32 last_word,
                      struct verbs_wc *wc)
{
    const struct mlx_send *w = send_at(&qp->sq, PART(cqe_wqe_counter, last_word));

    if (!w)
        return refuse(cq, "wqe_counter: no send that is posted begins there");
    if (qp->base.send_cq != &cq->base)
        return refuse(cq, "qpn: its sends do not report here");
    mlx_sq_free(&qp->sq, w->number);
    fill(wc, qp, w->wr_id, w->opcode);
    wc->byte_len = word(cqe, cqe_byte_cnt);
    return true;
}

/* Receives are taken in order. */
static bool take_recv(struct mlx_cq *cq, struct mlx_qp *qp, const u8 *cqe, u32 opcode,
                      struct verbs_wc *wc)
{
    struct mlx_rq *rq = &qp->rq;
    const struct mlx_recv *w = &rq->work[rq->freed & rq->mask];

    if (rq->freed == rq->posted)
        return refuse(cq, "a receive, and none is posted");
    if (qp->base.recv_cq != &cq->base)
        return refuse(cq, "qpn: its receives do not report here");
    fill(wc, qp, w->wr_id, WC_RECV);
    wc->byte_len = word(cqe, cqe_byte_cnt);
    if (opcode == MLX_CQE_RESP_WR_IMM)
        wc->opcode = WC_RECV_RDMA_WITH_IMM;
    else if (opcode != MLX_CQE_RESP_ERR && wc->byte_len > w->length)
        return refuse(cq, "byte_cnt: more than the receive has room for");
    if (opcode == MLX_CQE_RESP_WR_IMM || opcode == MLX_CQE_RESP_SEND_IMM) {
        wc->wc_flags = WC_WITH_IMM;
        wc->imm = word(cqe, cqe_imm_inval_pkey);
    }
    rq->freed++;
    return true;
}

static bool take_error(struct mlx_qp *qp, const u8 *cqe, struct verbs_wc *wc)
{
    wc->status = status_of(PART(cqe_syndrome, word(cqe, cqe_syndrome)));
    wc->byte_len = 0;
    qp->state = QPS_ERR;
    return true;
}

static bool take(struct mlx_cq *cq, const u8 *cqe, u32 last_word, struct verbs_wc *wc)
{
    u32 qpn = PART(cqe_qpn, word(cqe, cqe_qpn));
    struct mlx_qp *qp = cq->last;

    if (!qp || qp->base.qp_num != qpn) {
        qp = mlx_qp_find(cq->qps, qpn);
        if (!qp)
            return refuse(cq, "qpn: there is no such queue pair");
        cq->last = qp;
    }
    if (qp->ending)
        return false;
    switch (PART(cqe_opcode, last_word)) {
    case MLX_CQE_REQ: return take_send(cq, qp, cqe, last_word, wc);
    case MLX_CQE_RESP_WR_IMM:
    case MLX_CQE_RESP_SEND:
    case MLX_CQE_RESP_SEND_IMM: return take_recv(cq, qp, cqe, PART(cqe_opcode, last_word), wc);
    case MLX_CQE_REQ_ERR: return take_send(cq, qp, cqe, last_word, wc) && take_error(qp, cqe, wc);
    case MLX_CQE_RESP_ERR:
        return take_recv(cq, qp, cqe, MLX_CQE_RESP_ERR, wc) && take_error(qp, cqe, wc);
    default: return refuse(cq, "opcode: nobody asked for that");
    }
}

/* The same for what comes most, with what changes kept in registers: successes of sends of the queue pair whose completion
 * came last, one behind the other, up to the ring's end. Number, place and owner are in a completion's last 8 bytes, which are
 * read at once. Returns how many. */
static NOINLINE u32 take_run(struct mlx_qp *qp, const u8 *cqe, u32 owner, u32 most,
                             struct verbs_wc *wc)
{
    const u64 fixed = 0x00ffffff000000ffull, wanted = (u64)qp->base.qp_num << 32 | owner;
    const u8 *begin = cqe, *end = cqe + (size_t)most * MLX_CQE_SIZE;
    struct mlx_sq *sq = &qp->sq;
    const struct mlx_send *work = sq->work;
    const u32 mask = sq->ring.mask, qp_num = qp->base.qp_num;
    const u32 last = sq->posted - 1;
    u32 owed = sq->posted - sq->freed;

    for (; cqe != end; wc++, cqe += MLX_CQE_SIZE) {
        u64 quad = last_quad(cqe);
        const struct mlx_send *w = &work[quad >> 16 & mask];
        u32 behind = last - w->number;

        if ((quad & fixed) != wanted || behind >= owed)
            break;
        owed = behind;
        wc->wr_id = w->wr_id;
        wc->status = WC_SUCCESS;
        wc->opcode = w->opcode;
        wc->wc_flags = 0;
        wc->byte_len = word(cqe, cqe_byte_cnt);
        wc->imm = 0;
        wc->qp_num = qp_num;
        wc->qp = &qp->base;
    }
    mlx_sq_free(sq, last - owed);
    return (u32)(cqe - begin) / MLX_CQE_SIZE;
}

/* --- a card that is gone ------------------------------------------------------------------------- */

static const struct mlx_send *oldest(struct mlx_sq *sq)
{
    while (sq->work[sq->tail & sq->ring.mask].number != sq->freed)
        sq->tail++;
    return &sq->work[sq->tail & sq->ring.mask];
}

static bool flush_one(struct mlx_cq *cq, struct mlx_qp *qp, struct verbs_wc *wc)
{
    struct mlx_sq *sq = &qp->sq;
    struct mlx_rq *rq = &qp->rq;

    if (qp->base.send_cq == &cq->base && sq->freed != sq->posted) {
        const struct mlx_send *w = oldest(sq);

        mlx_sq_free(sq, w->number);
        fill(wc, qp, w->wr_id, w->opcode);
    } else if (qp->base.recv_cq == &cq->base && rq->freed != rq->posted) {
        fill(wc, qp, rq->work[rq->freed++ & rq->mask].wr_id, WC_RECV);
    } else {
        return false;
    }
    wc->status = WC_WR_FLUSH_ERR;
    wc->byte_len = 0;
    qp->state = QPS_ERR;
    return true;
}

/* Nobody else will say what became of its work. */
static u32 flush(struct mlx_cq *cq, struct verbs_wc *wc, u32 count)
{
    u32 n = 0;

    for (u32 i = 0; i < MLX_QP_PLACES; i++)
        for (struct mlx_qp *qp = cq->qps->first[i]; qp; qp = qp->next)
            while (n < count && flush_one(cq, qp, &wc[n]))
                n++;
    return n;
}

/* --- polling ------------------------------------------------------------------------------------- */

static inline void consumed(struct mlx_cq *cq, u32 consumer)
{
    cq->consumer = consumer;
    __atomic_store_n((u32 *)(void *)(cq->record + MLX_DBR_CQ_CONSUMER),
                     __builtin_bswap32(consumer & 0xffffff), __ATOMIC_RELEASE);
}

static bool may_run(const struct mlx_cq *cq)
{
    return cq->last && cq->last->base.send_cq == &cq->base && !cq->last->ending;
}

/* A card that writes without end does not keep us longer than one lap. */
u32 mlx_poll_cq(struct verbs_cq *base, struct verbs_wc *wc, u32 count)
{
    struct mlx_cq *cq = of(base);
    u32 n = 0, i = cq->consumer, size = 1u << cq->log_size, left = size;

    while (n < count && left) {
        const u8 *cqe = entry(cq, i);
        u32 run = 0, last_word;

        if (may_run(cq))
            run = take_run(cq->last, cqe, i >> cq->log_size & 1,
                           MIN(MIN(count - n, left), size - (i & (size - 1))), &wc[n]);
        if (!run) {
            last_word = word(cqe, cqe_owner);
            if (!is_ours(cq, i, last_word))
                break;
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            n += take(cq, cqe, last_word, &wc[n]);
            i++;
            left--;
        }
        n += run;
        i += run;
        left -= run;
    }
    if (left != size)
        consumed(cq, i);
    if (cq->qps->dead)
        n += flush(cq, wc + n, count - n);
    return n;
}

void mlx_req_notify_cq(struct verbs_cq *cq)
{
    of(cq)->wanted = true;
}

void mlx_cq_notify(struct mlx_cq *cq)
{
    u32 last_word = word(entry(cq, cq->consumer), cqe_owner);

    if (!cq->wanted || !(is_ours(cq, cq->consumer, last_word) || cq->qps->dead))
        return;
    cq->wanted = false;
    if (cq->base.notify)
        cq->base.notify(&cq->base, cq->base.ctx);
}

/* --- forgetting ---------------------------------------------------------------------------------- */

/* Into a later place, whose owner bit stays. */
static void move(struct mlx_cq *cq, u32 from, u32 to)
{
    u64 owner = mlx_get(entry(cq, to), cqe_owner);

    memcpy(entry(cq, to), entry(cq, from), MLX_CQE_SIZE);
    mlx_set(entry(cq, to), cqe_owner, owner);
}

void mlx_cq_clean(struct verbs_cq *base, const struct mlx_qp *qp)
{
    struct mlx_cq *cq = of(base);
    u32 end = cq->consumer, gone = 0;

    while (end - cq->consumer < 1u << cq->log_size &&
           is_ours(cq, end, word(entry(cq, end), cqe_owner)))
        end++;
    for (u32 i = end; i-- != cq->consumer;) {
        if (PART(cqe_qpn, word(entry(cq, i), cqe_qpn)) == qp->base.qp_num)
            gone++;
        else if (gone)
            move(cq, i, i + gone);
    }
    consumed(cq, cq->consumer + gone);
    if (cq->last == qp)
        cq->last = NULL;
}

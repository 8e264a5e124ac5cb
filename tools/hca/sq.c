/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet's send queues (mlx5_ifc.h: sqc, wq), as far as a stock driver needs them: NOPs are executed, frames complete and
 * go nowhere. */
#include <stdlib.h>
#include "tools/hca/commands.h"

static void fill(struct hca *h, struct qp *sq, const u8 *sqc)
{
    const u8 *wq = sqc + MLX_WQ_IN_CTX;

    sq->hca = h;
    sq->is_sq = sq->has_sq = true;
    sq->service = MLX_ST_UD;
    sq->log_sq = (u32)mlx_get(wq, wq_log_wq_sz);
    sq->record = mlx_get(wq, wq_dbr_addr);
    sq->uar = (u32)mlx_get(wq, wq_uar_page);
    sq->pd = (u32)mlx_get(wq, wq_pd);
    sq->user_index = (u32)mlx_get(sqc, sqc_user_index);
    sq->send_cq = object_get(h, OBJ_CQ, (u32)mlx_get(sqc, sqc_cqn));
    sq->work = calloc(1u << sq->log_sq, sizeof(sq->work[0]));
    sq->deadline = RC_TIMER_NEVER;
    list_init(&sq->active);
}

enum mlx_status command_create_sq(struct hca *h, struct command *c)
{
    const u8 *sqc = c->in + MLX_WQ_CTX, *wq = sqc + MLX_WQ_IN_CTX;
    struct object *o;
    struct qp *sq;
    enum mlx_status s = object_find(h, OBJ_CQ, (u32)mlx_get(sqc, sqc_cqn), &o, "sqc.cqn");

    if (s == MLX_OK)
        s = object_find(h, OBJ_UAR, (u32)mlx_get(wq, wq_uar_page), &o, "wq.uar_page");
    if (s != MLX_OK)
        return s;
    if (mlx_get(wq, wq_log_wq_sz) > HCA_LOG_QP_SZ)
        return hca_refuse(h, MLX_BAD_PARAM, "wq.log_wq_sz: at most %u", HCA_LOG_QP_SZ);
    sq = object_make(h, OBJ_SQ, sizeof(*sq));
    if (!sq)
        return MLX_NO_RES;
    fill(h, sq, sqc);
    s = buffer_make(h, &sq->buffer, c->in + MLX_PAS, command_pas(c),
                    (u32)mlx_get(wq, wq_log_wq_pg_sz), (u32)mlx_get(wq, wq_page_offset),
                    (u64)MLX_WQEBB << sq->log_sq, "SQ");
    if (s != MLX_OK) {
        qp_free(sq);
        object_end(h, &sq->o);
        return s;
    }
    object_use(&sq->o, &sq->send_cq->o);
    mlx_set(c->out, object_number, sq->o.number);
    return MLX_OK;
}

enum mlx_status command_modify_sq(struct hca *h, struct command *c)
{
    static const u8 states[] = {
        [MLX_SQ_RST] = MLX_QP_RST, [MLX_SQ_RDY] = MLX_QP_RTS, [MLX_SQ_ERR] = MLX_QP_ERR};
    u32 state = (u32)mlx_get(c->in + MLX_WQ_CTX, sqc_state);
    struct qp *sq;
    enum mlx_status s = object_find(h, OBJ_SQ, c->number, &sq, "sqn");

    if (s != MLX_OK)
        return s;
    if (state >= COUNT_OF(states))
        return hca_refuse(h, MLX_BAD_PARAM, "sqc.state %u", state);
    sq->state = states[state];
    qp_activate(sq);
    return MLX_OK;
}

enum mlx_status command_destroy_sq(struct hca *h, struct command *c)
{
    struct qp *sq;
    enum mlx_status s = object_find(h, OBJ_SQ, c->number, &sq, "sqn");

    if (s != MLX_OK)
        return s;
    qp_free(sq);
    object_end(h, &sq->o);
    return MLX_OK;
}

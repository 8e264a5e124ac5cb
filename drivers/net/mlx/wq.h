/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues of a queue pair in memory that the card shares, and the completion queues that they report to: posting, doorbells,
 * polling. What is done by commands (making them, changing states) is elsewhere. The device's lock is held throughout: with
 * it, one CPU at a time writes to the UAR.
 *
 * A slot is free again when its completion was polled. A slot makes at most one completion, and a CQ has room for all slots of
 * all queues that report to it (verbs_create_qp), so that no card that keeps to the manual can overrun it. What a card
 * writes into completions is checked before it is used; what makes no sense is dropped and counted (struct mlx_cq). */
#pragma once
#include "drivers/net/mlx/wqe.h"

/* --- what has to be allocated ------------------------------------------------------------------- */

/* The queues are one piece of memory that the card sees: receives, then sends (mlx5_ifc.h: qpc). */
struct mlx_shape {
    u32 log_sq; /* blocks */
    u32 log_rq; /* receive WQEs */
    u32 log_rq_stride;
    u32 send_wr, recv_wr; /* slots */
    u32 sq_offset, size;  /* bytes */
    u32 work_size;        /* bytes, of the driver's own notes */
};
/* Queues of so many slots, whose longest WQEs have send_ds octowords (mlx_wqe_most, mlx_umr_most) and recv_sge segments.
 * recv_wr 0: no receive queue. E_RANGE: more than the 32,768 entries that a card's context can say. */
enum err mlx_shape(struct mlx_shape *s, u32 send_wr, u32 send_ds, u32 recv_wr, u32 recv_sge,
                   struct why *why) MUST_CHECK;

/* --- queue pairs -------------------------------------------------------------------------------- */

/* What was posted, one for each block: by it completions find it again. */
struct mlx_send {
    u64 wr_id;
    u32 number; /* of the slot, running; of a block within a WQE none that is posted */
    u8 opcode;  /* enum wc_opcode */
};
#define MLX_NO_SLOT (1u << 31) /* away from the number of any slot that is posted */

struct mlx_recv {
    u64 wr_id;
    u32 length;
};

struct mlx_sq {
    struct mlx_ring ring;
    struct mlx_send *work;
    u32 head,
        rung; /* blocks, running numbers: next to write; head when the doorbell was rung last */
    u32 last; /* where the WQE that was posted last begins */
    u32 tail; /* no slot that is posted begins before this block */
    /* Slots, running numbers: next to post; oldest that is not free; where the queue is full. */
    u32 posted, freed, limit;
    u32 most;
    u8 *doorbell; /* two registers of a UAR, used in turn */
    u32 turn;
};

/* All up to that number have ended, and their completions were polled. */
static inline void mlx_sq_free(struct mlx_sq *sq, u32 number)
{
    sq->freed = number + 1;
    sq->limit = sq->freed + sq->most;
}

struct mlx_rq {
    u8 *wqes;
    struct mlx_recv *work;
    u32 mask, log_stride;
    u32 posted, freed, most;
};

struct mlx_qp {
    struct verbs_qp base;
    enum verbs_qp_state state; /* as far as the driver knows: an error that was polled changes it */
    bool ending; /* verbs_destroy_qp was called: what the card still reports is dropped */
    struct mlx_sq sq;
    struct mlx_rq rq;
    u8 *record; /* doorbell record */
    struct mlx_qps *qps;
    struct mlx_qp *next; /* of the same place there */
};

#define MLX_QP_PLACES 256 /* a power of two */

/* All queue pairs of a device, by number. */
struct mlx_qps {
    struct mlx_qp *first[MLX_QP_PLACES];
    /* The card is gone or not to be trusted any more: nothing is rung, and work that is posted is flushed by whoever polls. */
    bool dead;
};

/* What a queue pair is made of. */
struct mlx_qp_parts {
    struct mlx_shape shape;
    u8 *queues; /* shape.size bytes that the card sees, aligned to 64 */
    void *work; /* shape.work_size bytes of zeros */
    u8 *record; /* 8 bytes that the card sees, aligned to 8 */
    u8 *uar;    /* a page of registers */
    u32 dma_lkey;
};
/* The rest of qp is zeros. */
void mlx_qp_init(struct mlx_qp *qp, const struct mlx_qp_parts *parts);
/* When CREATE_QP has given it a number; base.send_cq and recv_cq are set by then or before anything is posted. */
void mlx_qp_enter(struct mlx_qps *qps, struct mlx_qp *qp, u32 qpn);
/* After 2RST_QP: posted work and its completions are forgotten. */
void mlx_qp_reset(struct mlx_qp *qp);
/* After DESTROY_QP, or when the device is dead: the same, and its number is unknown. */
void mlx_qp_leave(struct mlx_qp *qp);
/* NULL: there is none of that number. */
struct mlx_qp *mlx_qp_find(const struct mlx_qps *qps, u32 qpn);

/* Members of struct verbs_ops. */
u32 mlx_post_send(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count) MUST_CHECK;
u32 mlx_post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count) MUST_CHECK;
void mlx_doorbell(struct verbs_qp *qp);

/* Work for the driver's own queue pairs; signalled. Not rung. */
enum err mlx_post_register(struct mlx_qp *qp, u64 wr_id, const struct mlx_umr *umr,
                           struct why *why);
enum err mlx_post_invalidate(struct mlx_qp *qp, u64 wr_id, u32 key, struct why *why);
enum err mlx_post_nop(struct mlx_qp *qp, u64 wr_id, struct why *why);

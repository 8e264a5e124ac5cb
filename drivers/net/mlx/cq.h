/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion queues (mlx5dv.h: mlx5_cqe64): a ring that the card writes, and a doorbell record that says how far it was read.
 * The device's lock is held throughout. */
#pragma once
#include "drivers/net/mlx/wq.h"

struct mlx_cq {
    struct verbs_cq base;
    struct mlx_qps *qps;
    u8 *ring;
    u32 log_size, consumer; /* running number of the next to read */
    u8 *record;
    struct mlx_qp *last; /* whose completion came last */
    bool wanted;         /* one notify */
    /* Completions that made no sense; the card is broken. Of the first one, what was wrong. */
    u32 refused;
    const char *refusal;
};

/* How many entries, as a power of two, a CQ of that many has; each has MLX_CQE_SIZE bytes. */
u32 mlx_cq_log_size(u32 cqe);
/* ring: that many entries, aligned to 64, which are made invalid. record: 8 aligned bytes that the card sees, zeroed. */
void mlx_cq_init(struct mlx_cq *cq, struct mlx_qps *qps, u8 *ring, u32 log_size, u8 *record);

/* Members of struct verbs_ops. */
u32 mlx_poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count);
void mlx_req_notify_cq(struct verbs_cq *cq);

/* For the device's progress: calls notify if that is wanted and a completion is there. */
void mlx_cq_notify(struct mlx_cq *cq);
/* Removes what is there of a queue pair that makes no more of them; the others stay in order. */
void mlx_cq_clean(struct verbs_cq *cq, const struct mlx_qp *qp);

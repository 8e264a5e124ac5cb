/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the verbs device share: device.c, device_mr.c, device_cq.c, device_qp.c. All is locked. */
#pragma once
#include "drivers/net/mlx/mlx.h"
#include "kernel/heap.h"

struct mlx_domain {
    struct verbs_pd base;
    struct mlx_object o;
};
struct mlx_completions {
    struct mlx_cq q;
    struct mlx_object o;
    struct mlx_memory ring, record;
};
struct mlx_region {
    struct verbs_mr base;
    struct mlx_object o;
    struct mlx_key *key; /* NULL: one of its own, by command */
    struct mlx_umr_wait wait;
};
struct mlx_pair {
    struct mlx_qp q;
    struct mlx_object o;
    struct mlx_memory queues, record;
    void *work;
};

static inline struct mlx_pair *pair_of(struct verbs_qp *qp)
{
    return CONTAINER_OF(qp, struct mlx_pair, q.base);
}
static inline struct mlx_completions *completions_of(struct verbs_cq *cq)
{
    return CONTAINER_OF(cq, struct mlx_completions, q.base);
}
static inline struct mlx_domain *domain_of(struct verbs_pd *pd)
{
    return CONTAINER_OF(pd, struct mlx_domain, base);
}

/* device.c */

/* A command with 16 bytes of output; the lock is given up meanwhile. */
enum err mlx_device_command(struct mlx *m, const void *in, u32 in_size, void *out,
                            struct why *why) MUST_CHECK;
/* E_NOMEM, with what there was no memory for. */
enum err mlx_no_memory(const struct mlx *m, const char *what, struct why *why) MUST_CHECK;
/* E_STATE: the card is down, and why. */
enum err mlx_check_up(const struct mlx *m, struct why *why) MUST_CHECK;
/* The number of a domain in the card. One that outlived a reset is made there again. */
enum err mlx_domain_number(struct mlx *m, struct verbs_pd *pd, u32 *number,
                           struct why *why) MUST_CHECK;
/* Of the path MTU that frames of so many bytes carry. */
u32 mlx_path_mtu(u32 ethernet);

/* device_mr.c */
#define MLX_MTTS_MOST ((MLX_IN_MOST - MLX_PAS) / 8 - 2) /* of a region that is made by command */
enum err mlx_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                    struct why *why) MUST_CHECK;
void mlx_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done);
void mlx_free_region(struct mlx *m, struct mlx_region *r);

/* device_cq.c */
enum err mlx_create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq,
                       struct why *why) MUST_CHECK;
void mlx_destroy_cq(struct verbs_cq *cq);
void mlx_free_cq(struct mlx_completions *c);

/* device_qp.c */
enum err mlx_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init, struct verbs_qp **qp,
                       struct why *why) MUST_CHECK;
enum err mlx_modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                       const struct verbs_qp_attr *attr, struct why *why) MUST_CHECK;
void mlx_destroy_qp(struct verbs_qp *qp, struct verbs_done *done);
void mlx_free_qp(struct mlx_pair *p);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion queues by commands (manual, CREATE_CQ; mlx5_ifc.h: cqc); their entries: cq.c. */
#include "drivers/net/mlx/device.h"

static enum err command_cq(struct mlx *m, struct mlx_completions *c, struct why *why)
{
    u8 in[MLX_PAS + 8] = {0}, out[16], *cqc = in + MLX_CTX;
    enum err e;

    mlx_set(in, in_opcode, MLX_CREATE_CQ);
    mlx_set(cqc, cqc_log_cq_size, c->q.log_size);
    mlx_set(cqc, cqc_uar_page, m->uar);
    mlx_set(cqc, cqc_c_eqn, m->eqn);
    mlx_set(cqc, cqc_log_page_size, c->ring.order);
    mlx_set(cqc, cqc_dbr_addr, c->record.at.v);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), c->ring.at.v);
    e = mlx_device_command(m, in, sizeof(in), out, why);
    if (!e)
        mlx_object_add(m, &c->o, MLX_KIND_CQ, (u32)mlx_get(out, object_number));
    return e;
}

void mlx_free_cq(struct mlx_completions *c)
{
    mlx_memory_give_back(&c->ring);
    mlx_memory_give_back(&c->record);
    heap_free(c);
}

enum err mlx_create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq, struct why *why)
{
    struct mlx *m = mlx_of(device);
    u32 log_size = mlx_cq_log_size(cqe);
    struct mlx_completions *c;
    enum err e = mlx_check_up(m, why);

    if (e)
        return e;
    c = heap_alloc(sizeof(*c));
    if (!c)
        return mlx_no_memory(m, "completion queue", why);
    if (mlx_memory_take(&c->ring, (u64)MLX_CQE_SIZE << log_size) ||
        mlx_memory_take(&c->record, MLX_DBR_SIZE)) {
        mlx_free_cq(c);
        return mlx_no_memory(m, "completion queue", why);
    }
    mlx_cq_init(&c->q, &m->qps, c->ring.p, log_size, c->record.p);
    e = command_cq(m, c, why);
    if (e)
        mlx_free_cq(c);
    else
        *cq = &c->q.base;
    return e;
}

void mlx_destroy_cq(struct verbs_cq *cq)
{
    completions_of(cq)->q.wanted = false;
    mlx_object_end(mlx_of(cq->device), &completions_of(cq)->o, NULL);
}

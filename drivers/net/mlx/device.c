/* SPDX-License-Identifier: BSD-2-Clause */
/* The card as a verbs device: its port, protection domains, and the table of what it does (manual, ALLOC_PD). Regions:
 * device_mr.c; completion queues: device_cq.c; queue pairs: device_qp.c; work and completions: wq.c, cq.c.
 *
 * The device's lock is held when one of these is called. A command is waited for without it: the object is marked busy
 * meanwhile, so that it does not end under the command. */
#include "drivers/net/mlx/device.h"

#define MAX_CQE 65535u
#define MAX_SGE 16u
#define MAX_WR  16384u

enum err mlx_device_command(struct mlx *m, const void *in, u32 in_size, void *out, struct why *why)
{
    enum err e;

    m->making++;
    lock_release(&m->base.lock);
    e = mlx_command(m, in, in_size, out, 16, why);
    lock_acquire(&m->base.lock);
    m->making--;
    return e;
}

enum err mlx_no_memory(const struct mlx *m, const char *what, struct why *why)
{
    return why_set(why, E_NOMEM, "%s: no memory for a %s", m->name, what);
}

enum err mlx_check_up(const struct mlx *m, struct why *why)
{
    if (m->state == MLX_UP)
        return OK;
    return why_set(why, E_STATE, "%s is down: %s", m->name,
                   m->failure.text[0] ? m->failure.text : "it was not started");
}

/* --- the port --------------------------------------------------------------------------------------------- */

u32 mlx_path_mtu(u32 ethernet)
{
    u32 mtu = 4096;

    while (mtu > 256 && mtu + 58 > ethernet) /* headers around it, the longest: as Linux counts */
        mtu /= 2;
    return mtu;
}

static void query_port(struct verbs_device *device, struct verbs_port *port)
{
    struct mlx *m = mlx_of(device);
    be32_t ip = be32(m->ip);

    *port = (struct verbs_port){.active = m->state == MLX_UP && m->link && m->ip,
                                .active_mtu = mlx_path_mtu(m->mtu),
                                .ip = m->ip};
    memcpy(port->mac, m->mac, sizeof(port->mac));
    port->gid[10] = port->gid[11] = 0xff;
    memcpy(port->gid + 12, &ip, sizeof(ip));
}

static bool progress(struct verbs_device *device)
{
    struct mlx_object *o;
    struct mlx *m = mlx_of(device);

    LIST_FOR_EACH(o, &m->objects[MLX_KIND_CQ], all)
    {
        mlx_cq_notify(&CONTAINER_OF(o, struct mlx_completions, o)->q);
    }
    return false;
}

/* Does a thread wait for a completion? */
bool mlx_is_awaited(struct mlx *m)
{
    struct mlx_object *o;
    bool awaited = false;

    LIST_FOR_EACH(o, &m->objects[MLX_KIND_CQ], all)
    {
        awaited |= CONTAINER_OF(o, struct mlx_completions, o)->q.wanted;
    }
    return awaited;
}

/* What was wrong with a completion that was refused; NULL: none was. */
const char *mlx_refusal(struct mlx *m)
{
    const char *refusal = NULL;
    struct mlx_object *o;

    LIST_FOR_EACH(o, &m->objects[MLX_KIND_CQ], all)
    {
        if (!refusal)
            refusal = CONTAINER_OF(o, struct mlx_completions, o)->q.refusal;
    }
    return refusal;
}

static struct verbs_done *next_done(struct verbs_device *device)
{
    struct mlx *m = mlx_of(device);
    struct verbs_done *done;

    if (list_empty(&m->done))
        return NULL;
    done = CONTAINER_OF(m->done.next, struct verbs_done, link);
    list_remove(&done->link);
    return done;
}

/* --- protection domains -------------------------------------------------------------------------------------- */

static enum err make_domain(struct mlx *m, u32 *number, struct why *why)
{
    u8 in[16] = {0}, out[16];
    enum err e;

    mlx_set(in, in_opcode, MLX_ALLOC_PD);
    e = mlx_device_command(m, in, sizeof(in), out, why);
    *number = e ? 0 : (u32)mlx_get(out, object_number);
    return e;
}

static enum err alloc_pd(struct verbs_device *device, struct verbs_pd **pd, struct why *why)
{
    struct mlx *m = mlx_of(device);
    struct mlx_domain *d;
    u32 number;
    enum err e = mlx_check_up(m, why);

    if (!e)
        e = make_domain(m, &number, why);
    if (e)
        return e;
    d = heap_alloc(sizeof(*d));
    if (!d)
        return mlx_no_memory(m, "protection domain", why); /* its number ends with the next reset */
    mlx_object_add(m, &d->o, MLX_KIND_PD, number);
    d->base.local_dma_lkey = m->resd_lkey;
    *pd = &d->base;
    return OK;
}

static void dealloc_pd(struct verbs_pd *pd)
{
    mlx_object_end(mlx_of(pd->device), &domain_of(pd)->o, NULL);
}

enum err mlx_domain_number(struct mlx *m, struct verbs_pd *pd, u32 *number, struct why *why)
{
    struct mlx_object *o = &domain_of(pd)->o;
    enum err e = mlx_check_up(m, why);

    if (!e && !mlx_object_is_there(m, o)) {
        e = make_domain(m, &o->number, why);
        if (!e)
            o->generation = m->generation;
    }
    *number = o->number;
    return e;
}

static enum verbs_qp_state query_qp(struct verbs_qp *qp)
{
    return pair_of(qp)->q.state;
}

static void doorbell(struct verbs_qp *qp)
{
    struct mlx *m = mlx_of(qp->pd->device);

    mlx_doorbell(qp);
    if (m->idle && m->thread)
        thread_wake(m->thread);
}

/* --- the end of objects ------------------------------------------------------------------------------------------- */

void mlx_object_free(struct mlx *m, struct mlx_object *o)
{
    struct mlx_pair *p;

    switch (o->kind) {
    case MLX_KIND_QP:
        p = CONTAINER_OF(o, struct mlx_pair, o);
        mlx_qp_leave(&p->q);
        mlx_free_qp(p);
        break;
    case MLX_KIND_CQ: mlx_free_cq(CONTAINER_OF(o, struct mlx_completions, o)); break;
    case MLX_KIND_MKEY: mlx_free_region(m, CONTAINER_OF(o, struct mlx_region, o)); break;
    default: heap_free(CONTAINER_OF(o, struct mlx_domain, o)); break;
    }
}

/* --- the device --------------------------------------------------------------------------------------------------- */

static void show(struct verbs_device *device)
{
    mlx_show(mlx_of(device));
}

static const struct verbs_ops ops = {
    .query_port = query_port,
    .progress = progress,
    .next_done = next_done,
    .show = show,
    .alloc_pd = alloc_pd,
    .dealloc_pd = dealloc_pd,
    .reg_mr = mlx_reg_mr,
    .invalidate_mr = mlx_invalidate_mr,
    .create_cq = mlx_create_cq,
    .destroy_cq = mlx_destroy_cq,
    .poll_cq = mlx_poll_cq,
    .req_notify_cq = mlx_req_notify_cq,
    .create_qp = mlx_create_qp,
    .modify_qp = mlx_modify_qp,
    .query_qp = query_qp,
    .destroy_qp = mlx_destroy_qp,
    .post_send = mlx_post_send,
    .post_recv = mlx_post_recv,
    .doorbell = doorbell,
};

void mlx_device_init(struct mlx *m)
{
    m->base.ops = &ops;
    m->base.name = m->name;
    for (u32 kind = 0; kind < MLX_KINDS; kind++)
        list_init(&m->objects[kind]);
    list_init(&m->ending);
    list_init(&m->done);
}

/* What the card can, as far as this driver goes with it. */
void mlx_device_limits(struct mlx *m)
{
    const struct mlx_caps *c = &m->caps;
    u32 sges = MIN(MIN(c->max_wqe_sz_sq, 512u) / MLX_DS - 3, (u32)c->max_wqe_sz_rq / MLX_DS);

    m->base.limits = (struct verbs_limits){
        .max_pd = 1u << MIN(c->log_max_pd, 24),
        .max_mr = 1u << MIN(c->log_max_mkey, 24),
        .max_cq = 1u << MIN(c->log_max_cq, 24),
        .max_qp = 1u << MIN(c->log_max_qp, 18),
        .max_cqe = MIN((1u << MIN(c->log_max_cq_sz, 22)) - 1, MAX_CQE),
        .max_qp_wr = MIN(1u << MIN(c->log_max_qp_sz, 15), MAX_WR),
        .max_sge = MIN(sges, MAX_SGE),
        .max_rd_atomic = 1u << MIN(MIN(c->log_max_ra_req_qp, c->log_max_ra_res_qp), 7),
        .max_msg = 1u << MIN(c->log_max_msg, 30),
        .max_mr_size = (u64)MLX_MTTS_MOST << PAGE_SHIFT,
    };
}

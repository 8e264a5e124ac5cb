/* The card as a verbs device: completion queues, memory regions, queue pairs by commands (manual, CREATE_CQ, CREATE_MKEY,
 * CREATE_QP and the transitions; mlx5_ifc.h: cqc, mkc, qpc, ads). Work and completions: wq.c, cq.c.
 *
 * The device's lock is held when one of these is called. A command is waited for without it: the object is marked busy
 * meanwhile, so that it does not end under the command. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/frames.h"
#include "kernel/heap.h"

#define MAX_CQE   65535u
#define MAX_SGE   16u
#define MAX_WR    16384u
#define HOP_LIMIT 64
#define ACK_FREQ  8 /* log of the packets after which an ACK is asked for; as Linux has it */
#define NO_INDEX  0xffffffu /* user_index of a kernel's queue pairs; as Linux has it */
#define ATOMIC_IB 1         /* atomic_mode: as the InfiniBand specification has it */
#define MTTS_MOST ((MLX_IN_MOST - MLX_PAS) / 8 - 2)

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

static struct mlx_pair *pair_of(struct verbs_qp *qp)
{
    return CONTAINER_OF(qp, struct mlx_pair, q.base);
}
static struct mlx_completions *completions_of(struct verbs_cq *cq)
{
    return CONTAINER_OF(cq, struct mlx_completions, q.base);
}
static struct mlx_domain *domain_of(struct verbs_pd *pd)
{
    return CONTAINER_OF(pd, struct mlx_domain, base);
}

/* Without the lock. */
static enum err command(struct mlx *m, const void *in, u32 in_size, void *out, struct why *why)
{
    enum err e;

    lock_release(&m->base.lock);
    e = mlx_command(m, in, in_size, out, 16, why);
    lock_acquire(&m->base.lock);
    return e;
}

static enum err no_memory(const struct mlx *m, const char *what, struct why *why)
{
    return why_set(why, E_NOMEM, "%s: no memory for a %s", m->name, what);
}

static enum err check_up(const struct mlx *m, struct why *why)
{
    if (m->state == MLX_UP)
        return OK;
    return why_set(why, E_STATE, "%s is down: %s", m->name,
                   m->failure.text[0] ? m->failure.text : "it was not started");
}

/* --- the port --------------------------------------------------------------------------------------------- */

static u32 path_mtu(u32 ethernet)
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
                                .active_mtu = path_mtu(m->mtu),
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
    mlx_cq_notify(&CONTAINER_OF(o, struct mlx_completions, o)->q);
    return false;
}

/* Does a thread wait for a completion? */
bool mlx_is_awaited(struct mlx *m)
{
    struct mlx_object *o;
    bool awaited = false;

    LIST_FOR_EACH(o, &m->objects[MLX_KIND_CQ], all)
    awaited |= CONTAINER_OF(o, struct mlx_completions, o)->q.wanted;
    return awaited;
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
    e = command(m, in, sizeof(in), out, why);
    *number = e ? 0 : (u32)mlx_get(out, object_number);
    return e;
}

static enum err alloc_pd(struct verbs_device *device, struct verbs_pd **pd, struct why *why)
{
    struct mlx *m = mlx_of(device);
    struct mlx_domain *d;
    u32 number;
    enum err e = check_up(m, why);

    if (!e)
        e = make_domain(m, &number, why);
    if (e)
        return e;
    d = heap_alloc(sizeof(*d));
    if (!d)
        return no_memory(m, "protection domain", why); /* its number ends with the next reset */
    mlx_object_add(m, &d->o, MLX_KIND_PD, number);
    d->base.local_dma_lkey = m->resd_lkey;
    *pd = &d->base;
    return OK;
}

static void dealloc_pd(struct verbs_pd *pd)
{
    mlx_object_end(mlx_of(pd->device), &domain_of(pd)->o, NULL);
}

/* One that outlived a reset of the card is made there again. */
static enum err number_of(struct mlx *m, struct verbs_pd *pd, u32 *number, struct why *why)
{
    struct mlx_object *o = &domain_of(pd)->o;
    enum err e = check_up(m, why);

    if (!e && !mlx_object_is_there(m, o)) {
        e = make_domain(m, &o->number, why);
        if (!e)
            o->generation = m->generation;
    }
    *number = o->number;
    return e;
}

/* --- memory regions -------------------------------------------------------------------------------------------- */

static void fill_mkc(struct mlx *m, u8 *mkc, const struct verbs_mr_init *init, u32 pd, u32 count)
{
    mlx_set(mkc, mkc_a, !!(init->access & ACCESS_REMOTE_ATOMIC));
    mlx_set(mkc, mkc_rw, !!(init->access & ACCESS_REMOTE_WRITE));
    mlx_set(mkc, mkc_rr, !!(init->access & ACCESS_REMOTE_READ));
    mlx_set(mkc, mkc_lw, !!(init->access & ACCESS_LOCAL_WRITE));
    mlx_set(mkc, mkc_lr, 1);
    mlx_set(mkc, mkc_access_mode_1_0, MLX_MODE_MTT);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    mlx_set(mkc, mkc_mkey_7_0, ++m->key_byte); /* so that a number that comes back is another key */
    mlx_set(mkc, mkc_pd, pd);
    mlx_set(mkc, mkc_start_addr, init->iova);
    mlx_set(mkc, mkc_len, init->length);
    mlx_set(mkc, mkc_translations_octword_size, (count + 1) / 2);
    mlx_set(mkc, mkc_log_page_size, PAGE_SHIFT);
}

static u32 pages_of(const struct verbs_mr_init *init)
{
    return (u32)(((init->offset & PAGE_MASK) + init->length + PAGE_MASK) >> PAGE_SHIFT);
}

static enum err create_mkey(struct mlx *m, struct mlx_region *r, const struct verbs_mr_init *init,
                            u32 pd, struct why *why)
{
    u64 first = init->offset >> PAGE_SHIFT;
    u32 count = pages_of(init);
    u32 octowords = (count + 1) / 2, size = MLX_PAS + octowords * MLX_OCTWORD, key;
    u64 rights = MLX_MTT_READ | (init->access & ACCESS_LOCAL_WRITE ? MLX_MTT_WRITE : 0);
    u8 out[16], *in = heap_alloc(size);
    enum err e;

    if (!in)
        return no_memory(m, "memory region", why);
    mlx_set(in, in_opcode, MLX_CREATE_MKEY);
    mlx_set(in, create_mkey_in_translations_octword_actual_size, octowords);
    fill_mkc(m, in + MLX_CTX, init, pd, count);
    for (u32 i = 0; i < count; i++)
        mlx_set(in + MLX_PAS + 8 * i, MLX_AT(0, 63, 0), init->frames[first + i].v | rights);
    key = (u32)mlx_get(in + MLX_CTX, mkc_mkey_7_0);
    e = command(m, in, size, out, why);
    heap_free(in);
    if (e)
        return e;
    mlx_object_add(m, &r->o, MLX_KIND_MKEY, (u32)mlx_get(out, object_number));
    r->base.lkey = r->base.rkey = r->o.number << 8 | key;
    return OK;
}

static enum err by_umr(struct mlx *m, struct mlx_region *r, const struct verbs_mr_init *init,
                       u32 pd, struct why *why)
{
    enum err e = mlx_umr_register(m, init, pd, &r->key, why);

    if (e)
        return e;
    mlx_object_add(m, &r->o, MLX_KIND_MKEY, r->key->index);
    r->base.lkey = r->base.rkey = r->key->index << 8 | r->key->byte;
    return OK;
}

static enum err reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                       struct why *why)
{
    struct mlx *m = mlx_of(pd->device);
    struct mlx_region *r = heap_alloc(sizeof(*r));
    u32 number;
    enum err e;

    if (!r)
        return no_memory(m, "memory region", why);
    e = number_of(m, pd, &number, why);
    if (!e)
        e = mlx_umr_fits(m, pages_of(init), init->access) ? by_umr(m, r, init, number, why)
                                                          : create_mkey(m, r, init, number, why);
    if (e)
        heap_free(r);
    else
        *mr = &r->base;
    return e;
}

void mlx_region_begin_end(struct mlx *m, struct mlx_object *o)
{
    struct mlx_region *r = CONTAINER_OF(o, struct mlx_region, o);

    if (r->key)
        mlx_umr_invalidate(m, r->key, &r->wait);
}

bool mlx_region_ends_by_work(const struct mlx_object *o, bool *over)
{
    const struct mlx_region *r = CONTAINER_OF(o, struct mlx_region, o);

    *over = r->wait.over && r->wait.status == WC_SUCCESS;
    return r->key;
}

/* Its invalidation is posted at once, where there is room; else by the card's thread. */
static void invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    struct mlx *m = mlx_of(mr->pd->device);
    struct mlx_region *r = CONTAINER_OF(mr, struct mlx_region, base);

    if (mlx_object_is_there(m, &r->o))
        mlx_region_begin_end(m, &r->o);
    mlx_object_end(m, &r->o, done);
}

/* --- completion queues ---------------------------------------------------------------------------------------- */

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
    e = command(m, in, sizeof(in), out, why);
    if (!e)
        mlx_object_add(m, &c->o, MLX_KIND_CQ, (u32)mlx_get(out, object_number));
    return e;
}

static void free_cq(struct mlx_completions *c)
{
    mlx_memory_give_back(&c->ring);
    mlx_memory_give_back(&c->record);
    heap_free(c);
}

static enum err create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq,
                          struct why *why)
{
    struct mlx *m = mlx_of(device);
    u32 log_size = mlx_cq_log_size(cqe);
    struct mlx_completions *c;
    enum err e = check_up(m, why);

    if (e)
        return e;
    c = heap_alloc(sizeof(*c));
    if (!c)
        return no_memory(m, "completion queue", why);
    if (mlx_memory_take(&c->ring, (u64)MLX_CQE_SIZE << log_size) ||
        mlx_memory_take(&c->record, MLX_DBR_SIZE)) {
        free_cq(c);
        return no_memory(m, "completion queue", why);
    }
    mlx_cq_init(&c->q, &m->qps, c->ring.p, log_size, c->record.p);
    e = command_cq(m, c, why);
    if (e)
        free_cq(c);
    else
        *cq = &c->q.base;
    return e;
}

static void destroy_cq(struct verbs_cq *cq)
{
    completions_of(cq)->q.wanted = false;
    mlx_object_end(mlx_of(cq->device), &completions_of(cq)->o, NULL);
}

/* --- queue pairs ------------------------------------------------------------------------------------------------ */

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
    e = command(m, in, sizeof(in), out, why);
    if (e)
        return e;
    mlx_object_add(m, &p->o, MLX_KIND_QP, (u32)mlx_get(out, object_number));
    mlx_qp_enter(&m->qps, &p->q, p->o.number);
    return OK;
}

static void free_qp(struct mlx_pair *p)
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
        return no_memory(m, "queue pair", why);
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

static enum err create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                          struct verbs_qp **qp, struct why *why)
{
    struct mlx *m = mlx_of(pd->device);
    struct mlx_pair *p;
    struct mlx_shape s;
    u32 number;
    enum err e = shape(m, &s, init, why);

    if (!e)
        e = number_of(m, pd, &number, why);
    if (e)
        return e;
    p = heap_alloc(sizeof(*p));
    if (!p)
        return no_memory(m, "queue pair", why);
    p->q.base.pd = pd;
    p->q.base.send_cq = init->send_cq;
    p->q.base.recv_cq = init->recv_cq;
    e = take_queues(m, p, &s, why);
    if (!e)
        e = command_qp(m, p, &s, number, MLX_ST_RC, why);
    if (e)
        free_qp(p);
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

/* The least power of two that is not less. */
static u32 log_of(u32 n)
{
    u32 log = 0;

    while (1u << log < n)
        log++;
    return log;
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

    if (mtu < 256 || mtu > path_mtu(m->mtu) || mtu & (mtu - 1))
        return why_set(why, E_RANGE, "path MTU %u: frames of %s carry %u", mtu, m->name,
                       path_mtu(m->mtu));
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
    mlx_set(qpc, qpc_mtu, log_of(a->path_mtu) - 7);
    mlx_set(qpc, qpc_log_msg_max, m->caps.log_max_msg);
    mlx_set(qpc, qpc_remote_qpn, a->dest_qp_num);
    mlx_set(qpc, qpc_log_ack_req_freq, ACK_FREQ);
    mlx_set(qpc, qpc_log_rra_max, log_of(a->max_dest_rd_atomic));
    mlx_set(qpc, qpc_min_rnr_nak, a->min_rnr_timer);
    mlx_set(qpc, qpc_next_rcv_psn, a->rq_psn);
    fill_path(m, p, qpc + MLX_QPC_PRIMARY, a);
    return OK;
}

static enum err to_rts(struct mlx *m, u8 *qpc, const struct verbs_qp_attr *a)
{
    u32 log = log_of(a->max_rd_atomic);

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
    e = command(m, in, size, out, why);
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

static enum err modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
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

static enum verbs_qp_state query_qp(struct verbs_qp *qp)
{
    return pair_of(qp)->q.state;
}

/* Nothing more is reported of it; the card may still write completions until it has been told. */
static void destroy_qp(struct verbs_qp *qp, struct verbs_done *done)
{
    struct mlx_pair *p = pair_of(qp);

    p->q.ending = true;
    mlx_cq_clean(qp->send_cq, &p->q);
    if (qp->recv_cq != qp->send_cq)
        mlx_cq_clean(qp->recv_cq, &p->q);
    mlx_object_end(mlx_of(qp->pd->device), &p->o, done);
}

static void doorbell(struct verbs_qp *qp)
{
    struct mlx *m = mlx_of(qp->pd->device);

    mlx_doorbell(qp);
    if (m->idle && m->thread)
        thread_wake(m->thread);
}

static void free_region(struct mlx *m, struct mlx_region *r)
{
    if (r->key)
        mlx_key_give_back(m, r->key);
    heap_free(r);
}

void mlx_object_free(struct mlx *m, struct mlx_object *o)
{
    struct mlx_pair *p;

    switch (o->kind) {
    case MLX_KIND_QP:
        p = CONTAINER_OF(o, struct mlx_pair, o);
        mlx_qp_leave(&p->q);
        free_qp(p);
        break;
    case MLX_KIND_CQ: free_cq(CONTAINER_OF(o, struct mlx_completions, o)); break;
    case MLX_KIND_MKEY: free_region(m, CONTAINER_OF(o, struct mlx_region, o)); break;
    default: heap_free(CONTAINER_OF(o, struct mlx_domain, o)); break;
    }
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
        return no_memory(m, "queue pair", why);
    e = create_cq(&m->base, slots, cq, why);
    if (e) {
        heap_free(p);
        return e;
    }
    m->counts[MLX_KIND_CQ]--; /* those are counts of what others have */
    e = own_qp(m, slots, *cq, p, why);
    if (e) {
        free_qp(p);
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
    .reg_mr = reg_mr,
    .invalidate_mr = invalidate_mr,
    .create_cq = create_cq,
    .destroy_cq = destroy_cq,
    .poll_cq = mlx_poll_cq,
    .req_notify_cq = mlx_req_notify_cq,
    .create_qp = create_qp,
    .modify_qp = modify_qp,
    .query_qp = query_qp,
    .destroy_qp = destroy_qp,
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
        .max_mr_size = (u64)MTTS_MOST << PAGE_SHIFT,
    };
}

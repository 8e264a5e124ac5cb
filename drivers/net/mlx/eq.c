/* SPDX-License-Identifier: BSD-2-Clause */
/* The one event queue, polled (manual, event queues; mlx5_ifc.h: eqc). What an event asks for is noted here and done by the
 * card's thread; pages also by whoever waits for a command. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/log.h"

#define LOG_ENTRIES 8
#define ENTRIES     (1u << LOG_ENTRIES)

#define WANTED                                                                                     \
    (1ull << MLX_EVENT_CQ_ERR | 1ull << MLX_EVENT_WQ_CATAS | 1ull << MLX_EVENT_INTERNAL_ERR |      \
     1ull << MLX_EVENT_PORT | 1ull << MLX_EVENT_PAGE_REQUEST | 1ull << MLX_EVENT_WQ_INVALID_REQ |  \
     1ull << MLX_EVENT_WQ_ACCESS)

enum err mlx_eq_create(struct mlx *m, struct why *why)
{
    u8 in[MLX_PAS + 8] = {0}, out[16], *eqc = in + MLX_CTX;
    struct mlx_memory mem;
    enum err e;

    if (mlx_memory_take(&mem, ENTRIES * MLX_EQE_SIZE))
        return why_set(why, E_NOMEM, "%s: no memory for its event queue", m->name);
    memset(mem.p, 0, ENTRIES * MLX_EQE_SIZE);
    for (u32 i = 0; i < ENTRIES; i++)
        mlx_set(mem.p + i * MLX_EQE_SIZE, eqe_owner, 1);
    mlx_set(in, in_opcode, MLX_CREATE_EQ);
    mlx_set(eqc, eqc_log_eq_size, LOG_ENTRIES);
    mlx_set(eqc, eqc_uar_page, m->uar);
    mlx_set(eqc, eqc_log_page_size, mem.order);
    mlx_set(in, create_eq_in_event_bitmask, WANTED);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), mem.at.v);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    if (e) {
        if (m->state == MLX_DEAD) /* it did not answer, and may have the queue */
            mlx_silence(m);
        mlx_memory_give_back(&mem);
        return e;
    }
    lock_acquire(&m->base.lock);
    m->eq = mem;
    m->eqn = (u32)mlx_get(out, mlx_eqn);
    m->eq_consumer = 0;
    lock_release(&m->base.lock);
    return OK;
}

/* It is not polled while it goes: a doorbell of one that is gone is an error. */
void mlx_eq_destroy(struct mlx *m)
{
    struct mlx_memory mem;
    u8 in[16] = {0}, out[16];
    bool gone;

    mlx_eq_poll(m);
    mlx_pages_serve(m);
    lock_acquire(&m->base.lock);
    mem = m->eq;
    m->eq = (struct mlx_memory){.p = NULL};
    lock_release(&m->base.lock);
    mlx_set(in, in_opcode, MLX_DESTROY_EQ);
    mlx_set(in, mlx_eqn, m->eqn);
    gone = mlx_command(m, in, sizeof(in), out, sizeof(out), NULL) == OK;
    if (!gone) /* the card may still write there: then it is silenced before its memory goes */
        mlx_silence(m);
    mlx_memory_give_back(&mem);
}

/* --- events ------------------------------------------------------------------------------------------------ */

#define PAGES_MOST (1 << 20) /* 4 GiB: who asks for more at once is broken */

/* Of the card's function 0 alone: others' are not ours to serve. */
static void page_request(struct mlx *m, const u8 *eqe)
{
    s64 wanted = (s64)m->pages.wanted + (s32)mlx_get(eqe, eqe_pages_count);

    m->pages.wanted = (s32)MAX(-PAGES_MOST, MIN(wanted, PAGES_MOST));
}

/* No more completions come there, and somebody waits for them. */
static void cq_error(struct mlx *m, const u8 *eqe)
{
    m->broken_cq = (u32)mlx_get(eqe, eqe_cq_err_cqn);
    m->broken_how = (u32)mlx_get(eqe, eqe_cq_err_syndrome);
    if (!m->broken_how)
        m->broken_how = MLX_CQ_ERR_ACCESS;
    m->look_at_health = true;
}

static void qp_error(struct mlx *m, const u8 *eqe)
{
    struct mlx_qp *qp = mlx_qp_find(&m->qps, (u32)mlx_get(eqe, eqe_qpn));

    if (qp)
        qp->state = QPS_ERR;
}

static void take(struct mlx *m, const u8 *eqe)
{
    u32 type = (u32)mlx_get(eqe, eqe_event_type);

    m->events[type]++;
    switch (type) {
    case MLX_EVENT_PAGE_REQUEST: page_request(m, eqe); break;
    case MLX_EVENT_PORT: m->port_event = true; break;
    case MLX_EVENT_INTERNAL_ERR: m->look_at_health = true; break;
    case MLX_EVENT_CQ_ERR: cq_error(m, eqe); break;
    case MLX_EVENT_WQ_CATAS:
    case MLX_EVENT_WQ_INVALID_REQ:
    case MLX_EVENT_WQ_ACCESS: qp_error(m, eqe); break;
    default: break;
    }
}

/* Owner bit: that of the lap, 0 in the first. */
static bool next(struct mlx *m, u8 eqe[MLX_EQE_SIZE])
{
    const u8 *at = m->eq.p + (m->eq_consumer & (ENTRIES - 1)) * MLX_EQE_SIZE;
    u8 owner = __atomic_load_n(at + MLX_EQE_SIZE - 1, __ATOMIC_ACQUIRE) & 1;

    if (owner != (m->eq_consumer >> LOG_ENTRIES & 1))
        return false;
    memcpy(eqe, at, MLX_EQE_SIZE);
    m->eq_consumer++;
    return true;
}

void mlx_eq_poll(struct mlx *m)
{
    u8 eqe[MLX_EQE_SIZE];
    u32 count = 0;

    lock_acquire(&m->base.lock);
    for (; m->eq.p && count < ENTRIES && next(m, eqe); count++)
        take(m, eqe);
    if (count && m->state != MLX_DEAD)
        mlx_reg_write(m->bar, m->uar * MLX_UAR_SIZE + MLX_UAR_EQ_UPDATE,
                      m->eqn << 24 | (m->eq_consumer & 0xffffff));
    lock_release(&m->base.lock);
}

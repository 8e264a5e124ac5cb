/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory regions without a command each: keys that are made once, free, with room for translations, and made valid and free
 * again by work on a queue pair of the driver's own (UMR). A key that was used goes to the end of the line and has
 * another low byte then, so that its number comes back late.
 *
 * Locked throughout, but where it is waited for a completion. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define SLOTS       32u
#define LIMIT       SEC(10)
#define LEAST_SPARE 16u /* keys that lie in line before one is used again */
#define OCTWORDS    (MLX_UMR_PAGES / 2)

/* --- completions -------------------------------------------------------------------------------------------- */

/* One that fails takes the queue pair into error: a card that does so cannot be trusted with memory. */
static void poll(struct mlx *m)
{
    struct verbs_wc wc[8];
    u32 n;

    while ((n = mlx_poll_cq(m->umr.cq, wc, COUNT_OF(wc))))
        for (u32 i = 0; i < n; i++) {
            struct mlx_umr_wait *w = (void *)(uintptr_t)wc[i].wr_id;

            w->status = wc[i].status;
            w->over = true;
            if (w->status != WC_SUCCESS && m->state == MLX_UP)
                m->umr.failed = true;
        }
}

static void fail_unlocked(struct mlx *m, const char *what)
{
    lock_release(&m->base.lock);
    mlx_fail(m, "its work on memory keys (UMR) %s", what);
    lock_acquire(&m->base.lock);
}

/* A card that failed has its work flushed, so that this ends; work that it left out before, and so is not known any more,
 * counts as flushed, too. */
static void await(struct mlx *m, struct mlx_umr_wait *w)
{
    u64 start = time_now(), waited = 0;

    for (poll(m); !w->over; poll(m)) {
        if (m->qps.dead) {
            w->status = WC_WR_FLUSH_ERR;
            break;
        }
        lock_release(&m->base.lock);
        mlx_pause(waited);
        lock_acquire(&m->base.lock);
        waited = time_now() - start;
        if (waited > LIMIT && m->state == MLX_UP)
            fail_unlocked(m, "is not done within 10 s");
    }
    if (m->umr.failed && m->state == MLX_UP)
        fail_unlocked(m, wc_status_name(w->status));
}

/* --- keys ------------------------------------------------------------------------------------------------------ */

static enum err make_key(struct mlx *m, struct mlx_key *k, struct why *why)
{
    u8 in[MLX_PAS] = {0}, out[16], *mkc = in + MLX_CTX;
    enum err e;

    if (mlx_memory_take(&k->list, MLX_UMR_PAGES * 8))
        return why_set(why, E_NOMEM, "%s: no memory for a memory region", m->name);
    k->byte = ++m->key_byte;
    mlx_set(in, in_opcode, MLX_CREATE_MKEY);
    mlx_set(mkc, mkc_free, 1);
    mlx_set(mkc, mkc_umr_en, 1);
    mlx_set(mkc, mkc_access_mode_1_0, MLX_MODE_MTT);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    mlx_set(mkc, mkc_mkey_7_0, k->byte);
    mlx_set(mkc, mkc_pd, m->pd);
    mlx_set(mkc, mkc_translations_octword_size, OCTWORDS);
    mlx_set(mkc, mkc_log_page_size, PAGE_SHIFT);
    lock_release(&m->base.lock);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    lock_acquire(&m->base.lock);
    k->index = (u32)mlx_get(out, object_number);
    k->generation = m->generation;
    if (e)
        mlx_memory_give_back(&k->list);
    return e;
}

static struct mlx_key *take_key(struct mlx *m, struct why *why)
{
    struct mlx_key *k;

    if (m->umr.spare > LEAST_SPARE || (m->umr.spare && m->umr.made >= MLX_UMR_KEYS)) {
        k = CONTAINER_OF(m->umr.keys.next, struct mlx_key, line);
        list_remove(&k->line);
        m->umr.spare--;
        return k;
    }
    k = heap_alloc(sizeof(*k));
    if (!k) {
        (void)why_set(why, E_NOMEM, "%s: no memory for a memory region", m->name);
        return NULL;
    }
    if (make_key(m, k, why)) {
        heap_free(k);
        return NULL;
    }
    m->umr.made++;
    return k;
}

void mlx_key_give_back(struct mlx *m, struct mlx_key *k)
{
    if (k->generation == m->generation && m->state == MLX_UP) {
        list_append(&m->umr.keys, &k->line);
        m->umr.spare++;
        return;
    }
    mlx_memory_give_back(&k->list);
    heap_free(k);
}

/* --- regions ------------------------------------------------------------------------------------------------------ */

bool mlx_umr_fits(const struct mlx *m, u32 pages, u32 access)
{
    return m->umr.qp && pages <= MLX_UMR_PAGES &&
           !(access & ACCESS_REMOTE_ATOMIC && m->caps.umr_no_atomic);
}

static enum err post(struct mlx *m, struct mlx_umr_wait *w, const struct mlx_umr *umr,
                     struct why *why)
{
    u64 start = time_now();
    enum err e;

    *w = (struct mlx_umr_wait){.over = false};
    while ((e = mlx_post_register(CONTAINER_OF(m->umr.qp, struct mlx_qp, base), (uintptr_t)w, umr,
                                  why)) == E_NOMEM &&
           m->state == MLX_UP && time_now() - start < LIMIT) {
        poll(m);
        lock_release(&m->base.lock);
        mlx_pause(time_now() - start);
        lock_acquire(&m->base.lock);
    }
    if (!e)
        mlx_doorbell(m->umr.qp);
    return e;
}

static enum err register_key(struct mlx *m, const struct verbs_mr_init *init, u32 pd,
                             struct mlx_key **key, struct why *why)
{
    u64 first = init->offset >> PAGE_SHIFT, offset = init->offset & PAGE_MASK;
    struct mlx_key *k = take_key(m, why);
    struct mlx_umr umr = {.frames = init->frames + first,
                          .count = (u32)((offset + init->length + PAGE_MASK) >> PAGE_SHIFT),
                          .writable = init->access & ACCESS_LOCAL_WRITE,
                          .enable = true,
                          .pd = pd,
                          .access = init->access,
                          .iova = init->iova,
                          .length = init->length,
                          .keep_atomic = m->caps.umr_no_atomic};
    struct mlx_umr_wait w;
    enum err e;

    if (!k)
        return E_NOMEM;
    umr.key = k->index << 8 | k->byte;
    umr.new_byte = ++k->byte;
    umr.list = k->list.p;
    umr.list_at = k->list.at;
    e = post(m, &w, &umr, why);
    if (!e) {
        await(m, &w);
        if (w.status != WC_SUCCESS)
            e = why_set(why, E_IO, "%s: %s", m->name, m->failure.text);
    }
    if (e && m->state == MLX_UP) {
        k->byte--;
        mlx_key_give_back(m, k);
    } else if (e) { /* the card may still read its list */
        m->umr.lost++;
    }
    *key = k;
    return e;
}

enum err mlx_umr_register(struct mlx *m, const struct verbs_mr_init *init, u32 pd,
                          struct mlx_key **key, struct why *why)
{
    enum err e;

    m->making++;
    e = register_key(m, init, pd, key, why);
    m->making--;
    return e;
}

void mlx_umr_invalidate(struct mlx *m, const struct mlx_key *k, struct mlx_umr_wait *w)
{
    struct mlx_qp *qp = CONTAINER_OF(m->umr.qp, struct mlx_qp, base);

    if (w->posted || m->state != MLX_UP || !m->umr.qp ||
        mlx_post_invalidate(qp, (uintptr_t)w, k->index << 8 | k->byte, NULL))
        return;
    w->posted = true;
    w->since = time_now();
    mlx_doorbell(m->umr.qp);
}

bool mlx_umr_is_late(const struct mlx_umr_wait *w)
{
    return w->posted && !w->over && time_now() - w->since > LIMIT;
}

void mlx_umr_poll(struct mlx *m)
{
    lock_acquire(&m->base.lock);
    if (m->umr.qp)
        poll(m);
    if (m->umr.failed && m->state == MLX_UP)
        fail_unlocked(m, "failed");
    lock_release(&m->base.lock);
}

/* --- beginning and end ---------------------------------------------------------------------------------------------- */

enum err mlx_umr_begin(struct mlx *m, struct why *why)
{
    enum err e;

    list_init(&m->umr.keys);
    if (m->caps.umr_no_entity_size) /* keys cannot be given other ranges right */
        return why_set(why, E_UNSUPPORTED, "%s: it cannot change keys by UMR", m->name);
    lock_acquire(&m->base.lock);
    e = mlx_own_pair(m, SLOTS, &m->umr.cq, &m->umr.qp, why);
    lock_release(&m->base.lock);
    return e;
}

/* Without the lock, as what follows. */
void mlx_umr_destroy_keys(struct mlx *m)
{
    struct mlx_key *k;

    if (!m->umr.keys.next)
        return;
    LIST_FOR_EACH(k, &m->umr.keys, line)
    {
        if (m->state != MLX_DEAD)
            (void)!mlx_simple(m, MLX_DESTROY_MKEY, 0, k->index, NULL, NULL);
    }
}

void mlx_umr_end(struct mlx *m)
{
    struct mlx_key *k;

    if (!m->umr.keys.next)
        return;
    LIST_FOR_EACH(k, &m->umr.keys, line)
    {
        mlx_memory_give_back(&k->list);
        heap_free(k);
    }
    lock_acquire(&m->base.lock);
    mlx_own_pair_end(m, m->umr.cq, m->umr.qp);
    m->umr = (struct mlx_umr_queue){.cq = NULL};
    lock_release(&m->base.lock);
}

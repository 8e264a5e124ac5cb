/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory regions: by UMR where they fit (umr.c), else by a command each (manual, CREATE_MKEY; mlx5_ifc.h: mkc). */
#include "drivers/net/mlx/device.h"

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
        return mlx_no_memory(m, "memory region", why);
    mlx_set(in, in_opcode, MLX_CREATE_MKEY);
    mlx_set(in, create_mkey_in_translations_octword_actual_size, octowords);
    fill_mkc(m, in + MLX_CTX, init, pd, count);
    for (u32 i = 0; i < count; i++)
        mlx_set(in + MLX_PAS + 8 * i, MLX_AT(0, 63, 0), init->frames[first + i].v | rights);
    key = (u32)mlx_get(in + MLX_CTX, mkc_mkey_7_0);
    e = mlx_device_command(m, in, size, out, why);
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

enum err mlx_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                    struct why *why)
{
    struct mlx *m = mlx_of(pd->device);
    struct mlx_region *r = heap_alloc(sizeof(*r));
    u32 number;
    enum err e;

    if (!r)
        return mlx_no_memory(m, "memory region", why);
    e = mlx_domain_number(m, pd, &number, why);
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

bool mlx_region_is_late(const struct mlx_object *o)
{
    return mlx_umr_is_late(&CONTAINER_OF(o, struct mlx_region, o)->wait);
}

/* Its invalidation is posted at once, where there is room; else by the card's thread. */
void mlx_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    struct mlx *m = mlx_of(mr->pd->device);
    struct mlx_region *r = CONTAINER_OF(mr, struct mlx_region, base);

    if (mlx_object_is_there(m, &r->o))
        mlx_region_begin_end(m, &r->o);
    mlx_object_end(m, &r->o, done);
}

void mlx_free_region(struct mlx *m, struct mlx_region *r)
{
    if (r->key)
        mlx_key_give_back(m, r->key);
    heap_free(r);
}

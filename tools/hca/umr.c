/* SPDX-License-Identifier: BSD-2-Clause */
/* UMR: a key's context and translations are changed by a work queue element (mlx5dv.h: mlx5_wqe_umr_ctrl_seg,
 * mlx5_wqe_mkey_context_seg). */
#include <stdlib.h>
#include "tools/hca/hca.h"

#define KNOWN_MASK                                                                                 \
    ((u64)MLX_UMR_MASK_LEN | MLX_UMR_MASK_PAGE_SIZE | MLX_UMR_MASK_START_ADDR | MLX_UMR_MASK_PD |  \
     MLX_UMR_MASK_EN_RINVAL | MLX_UMR_MASK_KEY | MLX_UMR_MASK_QPN | MLX_UMR_MASK_LR |              \
     MLX_UMR_MASK_LW | MLX_UMR_MASK_RR | MLX_UMR_MASK_RW | MLX_UMR_MASK_A | MLX_UMR_MASK_FREE)

static const struct {
    u32 mask, field;
} changes[] = {
    {MLX_UMR_MASK_LEN, mkc_len},
    {MLX_UMR_MASK_LEN, mkc_length64},
    {MLX_UMR_MASK_PAGE_SIZE, mkc_log_page_size},
    {MLX_UMR_MASK_START_ADDR, mkc_start_addr},
    {MLX_UMR_MASK_EN_RINVAL, mkc_en_rinval},
    {MLX_UMR_MASK_KEY, mkc_mkey_7_0},
    {MLX_UMR_MASK_QPN, mkc_qpn},
    {MLX_UMR_MASK_LR, mkc_lr},
    {MLX_UMR_MASK_LW, mkc_lw},
    {MLX_UMR_MASK_RR, mkc_rr},
    {MLX_UMR_MASK_RW, mkc_rw},
    {MLX_UMR_MASK_A, mkc_a},
    {MLX_UMR_MASK_FREE, mkc_free},
};

static enum mlx_cqe_syndrome refuse(struct hca *h, const struct qp *qp, const char *what, u64 value)
{
    hca_refuse(h, MLX_BAD_PARAM, "UMR on QP 0x%x: %s 0x%llx", qp->o.number, what,
               (unsigned long long)value);
    return MLX_SYNDROME_MW_BIND;
}

struct umr {
    const u8 *ctrl, *mkc, *rest; /* segments */
    u32 rest_size;
    struct mkey *m;
    u32 first, count; /* octowords that change */
    bool in_line, offset_en;
};

static enum mlx_cqe_syndrome check_key(struct hca *h, const struct qp *qp, const struct umr *u)
{
    u64 mask = mlx_get(u->ctrl, umr_mkey_mask), is = mlx_get(u->ctrl, umr_check_free);
    bool is_free = u->m && mlx_get(u->m->context, mkc_free);

    if (!u->m)
        return refuse(h, qp, "umr_mkey: there is no such key", 0);
    if (!mlx_get(u->m->context, mkc_umr_en))
        return refuse(h, qp, "umr_mkey was created without umr_en", u->m->o.number);
    if (mask & ~KNOWN_MASK)
        return refuse(h, qp, "mkey_mask: unknown bits", mask & ~KNOWN_MASK);
    if (is == MLX_UMR_FAIL_IF_NOT_FREE && !is_free)
        return refuse(h, qp, "check_free: the key is not free", u->m->o.number);
    if (is == MLX_UMR_FAIL_IF_FREE && is_free)
        return refuse(h, qp, "check_free: the key is free", u->m->o.number);
    if (mask & MLX_UMR_MASK_PAGE_SIZE &&
        mlx_get(h->cap[MLX_CAP_GENERAL], cap_umr_modify_entity_size_disabled))
        return refuse(h, qp, "mkey_mask: umr_modify_entity_size_disabled", mask);
    if (mask & MLX_UMR_MASK_A && mlx_get(h->cap[MLX_CAP_GENERAL], cap_umr_modify_atomic_disabled))
        return refuse(h, qp, "mkey_mask: umr_modify_atomic_disabled", mask);
    return 0;
}

/* The entries, from the WQE or from memory, at `to`. */
static enum mlx_cqe_syndrome fetch(struct hca *h, struct qp *qp, const struct umr *u, u8 *to)
{
    u32 size = u->count * MLX_OCTWORD, done = 0;
    struct rc_range range;

    if (u->in_line) {
        if (size > u->rest_size)
            return refuse(h, qp, "xlt_octowords: the WQE has fewer bytes", u->rest_size);
        memcpy(to, u->rest, size);
        return 0;
    }
    if (u->rest_size != MLX_DS)
        return refuse(h, qp, "the list needs one data segment; bytes there", u->rest_size);
    if (mlx_get(u->rest, data_byte_count) < size)
        return refuse(h, qp, "byte_count of the list", mlx_get(u->rest, data_byte_count));
    for (; done < size;) {
        struct rc_piece piece;

        range = (struct rc_range){mlx_get(u->rest, data_addr) + done,
                                  (u32)mlx_get(u->rest, data_lkey), size - done, 0};
        if (qp_translate(qp, &range, &piece) != RC_MEMORY_OK)
            return MLX_SYNDROME_LOCAL_PROT;
        memcpy(to + done, piece.at, piece.size);
        done += piece.size;
    }
    return 0;
}

static enum mlx_cqe_syndrome translations(struct hca *h, struct qp *qp, const struct umr *u,
                                          u8 *entries)
{
    if (!u->count)
        return 0;
    if (u->count % MLX_UMR_ALIGN || u->first % MLX_UMR_ALIGN)
        return refuse(h, qp, "xlt_octowords or offset is no multiple of 4", u->count);
    if (u->first + u->count > u->m->octowords)
        return refuse(h, qp, "xlt_octowords: beyond the key's translations; end",
                      u->first + u->count);
    return fetch(h, qp, u, entries + u->first * MLX_OCTWORD);
}

static enum mlx_cqe_syndrome change(struct hca *h, struct qp *qp, const struct umr *u)
{
    u64 mask = mlx_get(u->ctrl, umr_mkey_mask);
    u8 context[sizeof(u->m->context)], *entries;
    u32 size = u->m->octowords * MLX_OCTWORD;
    enum mlx_cqe_syndrome e;

    memcpy(context, u->m->context, sizeof(context));
    for (u32 i = 0; i < COUNT_OF(changes); i++)
        if (mask & changes[i].mask)
            mlx_set(context, changes[i].field, mlx_get(u->mkc, changes[i].field));
    if (mask & MLX_UMR_MASK_PD)
        mlx_set(context, mkc_pd, mlx_get(u->mkc, mkc_pd));
    entries = memcpy(malloc(size + 1), u->m->entries, size);
    e = translations(h, qp, u, entries);
    if (!e && mkey_check_context(h, context) != MLX_OK)
        e = MLX_SYNDROME_MW_BIND;
    if (!e) {
        memcpy(u->m->context, context, sizeof(context));
        memcpy(u->m->entries, entries, size);
    }
    free(entries);
    return e;
}

enum mlx_cqe_syndrome umr_execute(struct hca *h, struct qp *qp, const u8 *wqe, u32 ds)
{
    const u8 *ctrl = wqe + MLX_DS;
    u32 head = MLX_DS + MLX_UMR_CTRL_SIZE + MLX_UMR_MKEY_SIZE;
    struct umr u = {.ctrl = ctrl,
                    .mkc = ctrl + MLX_UMR_CTRL_SIZE,
                    .rest = wqe + head,
                    .rest_size = ds * MLX_DS - MIN(ds * MLX_DS, head),
                    .m = mkey_find(h, (u32)mlx_get(wqe, ctrl_imm))};
    enum mlx_cqe_syndrome e;

    if (ds * MLX_DS < head)
        return refuse(h, qp, "ds: the WQE is shorter than its segments", ds);
    u.in_line = mlx_get(ctrl, umr_inline);
    u.offset_en = mlx_get(ctrl, umr_translation_offset_en);
    u.count = (u32)mlx_get(ctrl, umr_klm_octowords);
    u.first = u.offset_en ? (u32)mlx_get(ctrl, umr_translation_offset) : 0;
    if ((e = check_key(h, qp, &u)))
        return e;
    hca_log(h, LOG_DATA, "UMR of key 0x%x: mask 0x%llx, octowords %u at %u", u.m->o.number,
            (unsigned long long)mlx_get(ctrl, umr_mkey_mask), u.count, u.first);
    return change(h, qp, &u);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory keys (mlx5_ifc.h: mkc): physical addresses, MTTs, and lists of other keys (KLM). Every access goes by
 * mkey_translate. */
#include <stdlib.h>
#include "tools/hca/commands.h"

#define DEPTH 4 /* of keys that name keys */

struct mkey *mkey_find(struct hca *h, u32 key)
{
    struct mkey *m = object_get(h, OBJ_MKEY, key >> 8);

    return m && mlx_get(m->context, mkc_mkey_7_0) == (key & 0xff) ? m : NULL;
}

u8 mkey_mode(const struct mkey *m)
{
    return (u8)(mlx_get(m->context, mkc_access_mode_4_2) << 2 |
                mlx_get(m->context, mkc_access_mode_1_0));
}

/* --- access --------------------------------------------------------------------------------------------- */

static u32 rights(const struct mkey *m)
{
    const u8 *k = m->context;

    return (mlx_get(k, mkc_lw) ? ACCESS_LOCAL_WRITE : 0) |
           (mlx_get(k, mkc_rw) ? ACCESS_REMOTE_WRITE : 0) |
           (mlx_get(k, mkc_rr) ? ACCESS_REMOTE_READ : 0) |
           (mlx_get(k, mkc_a) ? ACCESS_REMOTE_ATOMIC : 0);
}

static enum rc_memory refuse(struct hca *h, enum rc_memory r, const struct rc_range *range,
                             const char *what)
{
    hca_log(h, LOG_DATA, "key 0x%x, %u bytes at 0x%llx: %s", range->key, range->size,
            (unsigned long long)range->addr, what);
    return r;
}

static enum rc_memory check(struct hca *h, const struct mkey *m, u32 pd, u32 qpn,
                            const struct rc_range *range)
{
    u64 start = mlx_get(m->context, mkc_start_addr), len = mlx_get(m->context, mkc_len);
    u64 only = mlx_get(m->context, mkc_qpn);

    if (mlx_get(m->context, mkc_free))
        return refuse(h, RC_MEMORY_KEY, range, "the key is free");
    if (pd != HCA_ANY_PD && mlx_get(m->context, mkc_pd) != pd)
        return refuse(h, RC_MEMORY_DOMAIN, range, "the key is of another PD");
    if (only != MLX_MKEY_ANY_QP && only != qpn)
        return refuse(h, RC_MEMORY_KEY, range, "the key is another queue pair's");
    if (range->access ? range->access & ~rights(m) : !mlx_get(m->context, mkc_lr))
        return refuse(h, RC_MEMORY_RIGHTS, range, "no such right");
    if (!mlx_get(m->context, mkc_length64) && (range->addr < start || range->addr - start > len ||
                                               range->size > len - (range->addr - start)))
        return refuse(h, RC_MEMORY_RANGE, range, "outside of the key's range");
    return RC_MEMORY_OK;
}

static enum rc_memory give(struct hca *h, u64 at, u64 size, struct rc_piece *piece)
{
    u64 in_page = PAGE_SIZE - (at & PAGE_MASK);

    size = MIN(size, in_page);
    piece->at = size ? hca_dma(h, at, size, "data") : NULL;
    piece->size = (u32)size;
    return piece->at || !size ? RC_MEMORY_OK : RC_MEMORY_RANGE;
}

static enum rc_memory by_mtt(struct hca *h, const struct mkey *m, const struct rc_range *range,
                             struct rc_piece *piece)
{
    u32 shift = (u32)mlx_get(m->context, mkc_log_page_size);
    u64 page = 1ull << shift, offset = mlx_get(m->context, mkc_start_addr) & (page - 1);
    u64 at = range->addr - mlx_get(m->context, mkc_start_addr) + offset, index = at >> shift, mtt;
    u64 need = MLX_MTT_READ;

    if (!range->size)
        return give(h, 0, 0, piece);
    if (index >= 2ull * m->octowords)
        return refuse(h, RC_MEMORY_RANGE, range, "the key has no MTT there");
    mtt = be64_get(((const be64_t *)(const void *)m->entries)[index]);
    if (range->access & (ACCESS_LOCAL_WRITE | ACCESS_REMOTE_WRITE | ACCESS_REMOTE_ATOMIC))
        need |= MLX_MTT_WRITE;
    if ((mtt & need) != need)
        return refuse(h, RC_MEMORY_RIGHTS, range, "its MTT lacks the right");
    return give(h, (mtt & ~(page - 1)) + (at & (page - 1)),
                MIN((u64)range->size, page - (at & (page - 1))), piece);
}

static enum rc_memory translate(struct hca *h, u32 pd, u32 qpn, const struct rc_range *range,
                                struct rc_piece *piece, u32 depth);

/* Entry i covers its byte count of the key's range; of KSM all cover a page. */
static enum rc_memory by_klm(struct hca *h, const struct mkey *m, u32 pd, u32 qpn,
                             const struct rc_range *range, struct rc_piece *piece, u32 depth)
{
    u64 at = range->addr - mlx_get(m->context, mkc_start_addr);
    bool ksm = mkey_mode(m) == MLX_MODE_KSM;
    u64 page = 1ull << mlx_get(m->context, mkc_log_page_size);

    for (u32 i = 0; i < m->octowords; i++) {
        const u8 *klm = m->entries + i * MLX_OCTWORD;
        u64 size = ksm ? page : mlx_get(klm, klm_byte_count);
        struct rc_range part = {mlx_get(klm, klm_address) + at, (u32)mlx_get(klm, klm_mkey),
                                (u32)MIN((u64)range->size, size - MIN(at, size)), range->access};

        if (at < size)
            return translate(h, pd, qpn, &part, piece, depth + 1);
        at -= size;
    }
    return refuse(h, RC_MEMORY_RANGE, range, "the key has no KLM there");
}

static enum rc_memory translate(struct hca *h, u32 pd, u32 qpn, const struct rc_range *range,
                                struct rc_piece *piece, u32 depth)
{
    const struct mkey *m = mkey_find(h, range->key);
    enum rc_memory r;

    if (!m || depth > DEPTH)
        return refuse(h, RC_MEMORY_KEY, range, "there is no such key");
    if ((r = check(h, m, pd, qpn, range)) != RC_MEMORY_OK)
        return r;
    switch (mkey_mode(m)) {
    case MLX_MODE_PA: return give(h, range->addr, range->size, piece);
    case MLX_MODE_MTT: return by_mtt(h, m, range, piece);
    default: return by_klm(h, m, pd, qpn, range, piece, depth);
    }
}

enum rc_memory mkey_translate(struct hca *h, u32 pd, u32 qpn, const struct rc_range *range,
                              struct rc_piece *piece)
{
    bool local = !(range->access & ~(u32)ACCESS_LOCAL_WRITE);

    if (range->key == HCA_INLINE_LKEY && !range->access) {
        *piece = (struct rc_piece){(u8 *)(uintptr_t)range->addr, range->size};
        return RC_MEMORY_OK;
    }
    if (range->key == HCA_RESD_LKEY && local)
        return give(h, range->addr, range->size, piece);
    return translate(h, pd, qpn, range, piece, 0);
}

enum rc_memory mkey_invalidate(struct hca *h, u32 pd, u32 key)
{
    struct mkey *m = mkey_find(h, key);

    if (!m || mlx_get(m->context, mkc_free))
        return RC_MEMORY_KEY;
    if (mlx_get(m->context, mkc_pd) != pd)
        return RC_MEMORY_DOMAIN;
    if (!mlx_get(m->context, mkc_en_rinval))
        return RC_MEMORY_RIGHTS;
    mlx_set(m->context, mkc_free, 1);
    return RC_MEMORY_OK;
}

/* --- commands ------------------------------------------------------------------------------------------- */

static enum mlx_status check_mode(struct hca *h, const u8 *mkc)
{
    u32 octowords = (u32)mlx_get(mkc, mkc_translations_octword_size);
    u32 mode = (u32)(mlx_get(mkc, mkc_access_mode_4_2) << 2 | mlx_get(mkc, mkc_access_mode_1_0));
    u64 page = mlx_get(mkc, mkc_log_page_size), start = mlx_get(mkc, mkc_start_addr);
    u64 pages;

    if (mode > MLX_MODE_KSM)
        return hca_refuse(h, MLX_BAD_PARAM, "mkc.access_mode %u: 0 to 3 are known here", mode);
    if (mode == MLX_MODE_PA)
        return octowords ? hca_refuse(h, MLX_BAD_PARAM, "mkc: a physical key has no translations")
                         : MLX_OK;
    if (mode == MLX_MODE_KLM || mlx_get(mkc, mkc_free))
        return MLX_OK;
    if (page < PAGE_SHIFT || page > 31)
        return hca_refuse(h, MLX_BAD_PARAM, "mkc.log_page_size %u: 12 to 31", (u32)page);
    pages = ((start & ((1ull << page) - 1)) + mlx_get(mkc, mkc_len) + (1ull << page) - 1) >> page;
    if (mode == MLX_MODE_MTT && pages > 2ull * octowords)
        return hca_refuse(
            h, MLX_BAD_PARAM, "mkc.len 0x%llx: has %llu pages, and translations for %u",
            (unsigned long long)mlx_get(mkc, mkc_len), (unsigned long long)pages, 2 * octowords);
    return MLX_OK;
}

enum mlx_status mkey_check_context(struct hca *h, const u8 *mkc)
{
    struct object *pd;

    if (mlx_get(mkc, mkc_bsf_en) || mlx_get(mkc, mkc_bsf_octword_size))
        return hca_refuse(h, MLX_BAD_PARAM, "mkc.bsf_en: there are no signatures here");
    if (!mlx_get(mkc, mkc_free) &&
        object_find(h, OBJ_PD, (u32)mlx_get(mkc, mkc_pd), &pd, "mkc.pd") != MLX_OK)
        return MLX_BAD_RES;
    if (mlx_get(mkc, mkc_rw) + mlx_get(mkc, mkc_a) && !mlx_get(mkc, mkc_lw))
        return hca_refuse(h, MLX_BAD_PARAM, "mkc.rw or mkc.a without mkc.lw");
    return check_mode(h, mkc);
}

static enum mlx_status check_entries(struct hca *h, const struct command *c, const u8 *mkc)
{
    u32 actual = (u32)mlx_get(c->in, create_mkey_in_translations_octword_actual_size);
    u32 room = (u32)mlx_get(mkc, mkc_translations_octword_size);
    u32 there = (c->in_size - MLX_PAS) / MLX_OCTWORD;

    if (actual != there)
        return hca_refuse(h, MLX_BAD_PARAM, "translations_octword_actual_size %u: the input has %u",
                          actual, there);
    if (actual > room)
        return hca_refuse(h, MLX_BAD_PARAM,
                          "translations_octword_actual_size %u: above mkc."
                          "translations_octword_size %u",
                          actual, room);
    if (room > 1u << 20)
        return hca_refuse(h, MLX_BAD_PARAM, "mkc.translations_octword_size %u is too large", room);
    return MLX_OK;
}

enum mlx_status command_create_mkey(struct hca *h, struct command *c)
{
    const u8 *mkc = c->in + MLX_CTX;
    enum mlx_status s = check_entries(h, c, mkc);
    struct mkey *m;

    if (s == MLX_OK)
        s = mkey_check_context(h, mkc);
    if (s != MLX_OK)
        return s;
    m = object_make(h, OBJ_MKEY, sizeof(*m));
    if (!m)
        return MLX_NO_RES;
    memcpy(m->context, mkc, sizeof(m->context));
    m->octowords = (u32)ALIGN_UP(mlx_get(mkc, mkc_translations_octword_size), MLX_UMR_ALIGN);
    m->entries = calloc(m->octowords + 1, MLX_OCTWORD);
    memcpy(m->entries, c->in + MLX_PAS, c->in_size - MLX_PAS);
    object_use(&m->o, object_get(h, OBJ_PD, (u32)mlx_get(mkc, mkc_pd)));
    mlx_set(c->out, object_number, m->o.number);
    return MLX_OK;
}

enum mlx_status command_query_mkey(struct hca *h, struct command *c)
{
    struct mkey *m;
    enum mlx_status s = object_find(h, OBJ_MKEY, c->number, &m, "mkey_index");

    if (s == MLX_OK)
        memcpy(c->out + MLX_CTX, m->context, sizeof(m->context));
    return s;
}

void mkey_free(struct mkey *m)
{
    free(m->entries);
}

enum mlx_status command_destroy_mkey(struct hca *h, struct command *c)
{
    struct mkey *m;
    enum mlx_status s = object_find(h, OBJ_MKEY, c->number, &m, "mkey_index");

    if (s != MLX_OK)
        return s;
    mkey_free(m);
    object_end(h, &m->o);
    return MLX_OK;
}

enum mlx_status command_query_special_contexts(struct hca *h, struct command *c)
{
    (void)h;
    mlx_set(c->out, special_contexts_dump_fill_mkey, HCA_NULL_MKEY | 1);
    mlx_set(c->out, special_contexts_resd_lkey, HCA_RESD_LKEY);
    mlx_set(c->out, special_contexts_null_mkey, HCA_NULL_MKEY);
    return MLX_OK;
}

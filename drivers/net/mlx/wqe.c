/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/mlx/wqe.h"
#include "kernel/arch.h"

static inline void store(u8 *segment, u32 field, u32 word)
{
    *(be32_t *)(segment + mlx_offset(field)) = be32(word);
}

static const u32 always = MLX_PUT(ctrl_ce, MLX_CE_ALWAYS);

static inline u8 *end_of(const struct mlx_ring *r)
{
    return r->blocks + ((size_t)r->mask + 1) * MLX_WQEBB;
}

static inline u8 *next(const struct mlx_ring *r, u8 *segment)
{
    segment += MLX_DS;
    return segment == end_of(r) ? r->blocks : segment;
}

/* --- sending ------------------------------------------------------------------------------------- */

/* What stands behind the control segment, and how many bytes go into the first block. */
static const struct form {
    u8 opcode; /* enum mlx_wqe_opcode */
    bool raddr, atomic;
    u8 in_line;
} forms[] = {
    [WR_RDMA_WRITE] = {MLX_WQE_RDMA_WRITE, true, false, MLX_INLINE_RDMA},
    [WR_RDMA_WRITE_WITH_IMM] = {MLX_WQE_RDMA_WRITE_IMM, true, false, MLX_INLINE_RDMA},
    [WR_SEND] = {MLX_WQE_SEND, false, false, 44},
    [WR_SEND_WITH_IMM] = {MLX_WQE_SEND_IMM, false, false, 44},
    [WR_RDMA_READ] = {MLX_WQE_RDMA_READ, true, false, 0},
    [WR_ATOMIC_CMP_AND_SWP] = {MLX_WQE_ATOMIC_CS, true, true, 0},
    [WR_ATOMIC_FETCH_AND_ADD] = {MLX_WQE_ATOMIC_FA, true, true, 0},
};

#define FLAGS(send_flags)                                                                          \
    (((send_flags)&SEND_FENCE ? MLX_PUT(ctrl_fm, MLX_FM_SMALL_AND_FENCE) : 0) |                    \
     ((send_flags)&SEND_SIGNALED ? MLX_PUT(ctrl_ce, MLX_CE_ALWAYS) : 0) |                          \
     ((send_flags)&SEND_SOLICITED ? MLX_PUT(ctrl_se, 1) : 0))
const u8 mlx_wqe_flags[8] = {FLAGS(0), FLAGS(1), FLAGS(2), FLAGS(3),
                             FLAGS(4), FLAGS(5), FLAGS(6), FLAGS(7)};

static u32 put_inline(u8 *segment, const struct verbs_sge *sge)
{
    u32 used = (4 + sge->length + MLX_DS - 1) / MLX_DS, end = 4 + sge->length;

    store(segment, data_byte_count, MLX_PUT(data_inline, 1) | sge->length);
    memcpy(segment + 4, phys_to_virt(HPA(sge->addr)), sge->length);
    memset(segment + end, 0, used * MLX_DS - end);
    return used;
}

static void put_atomic(u8 *segment, const struct verbs_send_wr *wr)
{
    bool swap = wr->opcode == WR_ATOMIC_CMP_AND_SWP;

    mlx_store_quad(segment, mlx_offset(atomic_swap_add), swap ? wr->swap : wr->compare_add);
    mlx_store_quad(segment, mlx_offset(atomic_compare), swap ? wr->compare_add : 0);
}

/* A length of 0 would mean 2 GiB: such SGEs are left out. Returns how many segments it needed. */
static inline u32 put_list(const struct mlx_ring *r, u8 *segment, const struct verbs_send_wr *wr,
                           u32 in_line)
{
    const struct verbs_sge *sge = wr->sg_list;
    u32 used = 0;

    if (wr->num_sge == 1 && sge->length - 1 < in_line && sge->lkey == r->dma_lkey)
        return put_inline(segment, sge);
    for (u32 i = 0; i < wr->num_sge; i++) {
        if (!sge[i].length)
            continue;
        mlx_put_data(segment, sge[i]);
        segment = next(r, segment);
        used++;
    }
    return used;
}

u32 mlx_wqe_send(const struct mlx_ring *r, u16 index, const struct verbs_send_wr *wr)
{
    const struct form *f = &forms[wr->opcode];
    u8 *wqe = mlx_block(r, index), *segment = wqe + MLX_DS;
    u32 ds = 1;

    if (f->raddr) {
        mlx_put_raddr(segment, wr->remote_addr, wr->rkey);
        segment += MLX_DS;
        ds++;
    }
    if (f->atomic) {
        put_atomic(segment, wr);
        segment += MLX_DS;
        ds++;
    }
    ds += put_list(r, segment, wr, f->in_line);
    mlx_put_ctrl(r, wqe, index, f->opcode, ds, mlx_wqe_flags[wr->send_flags], wr->imm);
    return ds;
}

u32 mlx_wqe_nop(const struct mlx_ring *r, u16 index)
{
    mlx_put_ctrl(r, mlx_block(r, index), index, MLX_WQE_NOP, 1,
                 always | MLX_PUT(ctrl_fm, MLX_FM_SMALL_AND_FENCE), 0);
    return 1;
}

/* --- receiving ----------------------------------------------------------------------------------- */

void mlx_wqe_recv(u8 *wqe, u32 segments, const struct verbs_recv_wr *wr)
{
    static const struct verbs_sge end = {.lkey = MLX_INVALID_LKEY};
    u32 used = 0;

    for (u32 i = 0; i < wr->num_sge; i++)
        if (wr->sg_list[i].length)
            mlx_put_data(wqe + MLX_DS * used++, wr->sg_list[i]);
    if (used < segments)
        mlx_put_data(wqe + MLX_DS * used, end);
}

/* --- memory keys --------------------------------------------------------------------------------- */

/* An octoword is two MTTs; a list ends with empty ones. end: where the ring goes round, or behind the list. */
static void put_mtts(u8 *segment, const u8 *end, u8 *start, const struct mlx_umr *u)
{
    const u64 rights = MLX_MTT_READ | (u->writable ? MLX_MTT_WRITE : 0);
    const u32 count = u->count, padded = (u32)ALIGN_UP(count, MLX_MTTS_IN_64);
    const hpa_t *frames = u->frames;
    u32 i = 0;

    for (; i + 2 <= count; i += 2) {
        mlx_store_quad(segment, 0x0, frames[i].v | rights);
        mlx_store_quad(segment, 0x8, frames[i + 1].v | rights);
        segment = segment + MLX_DS == end ? start : segment + MLX_DS;
    }
    for (; i < padded; i += 2) {
        mlx_store_quad(segment, 0x0, i < count ? frames[i].v | rights : 0);
        mlx_store_quad(segment, 0x8, 0);
        segment = segment + MLX_DS == end ? start : segment + MLX_DS;
    }
}

static u32 put_list_outside(const struct mlx_ring *r, u8 *segment, const struct mlx_umr *u)
{
    u32 size = (u32)ALIGN_UP(u->count, MLX_MTTS_IN_64) * 8;

    put_mtts(u->list, u->list + size, u->list, u);
    mlx_put_data(segment, (struct verbs_sge){u->list_at.v, size, r->dma_lkey});
    return 1;
}

static u32 access_of(u32 access)
{
    return MLX_PUT(mkc_lr, 1) | (access & ACCESS_LOCAL_WRITE ? MLX_PUT(mkc_lw, 1) : 0) |
           (access & ACCESS_REMOTE_READ ? MLX_PUT(mkc_rr, 1) : 0) |
           (access & ACCESS_REMOTE_WRITE ? MLX_PUT(mkc_rw, 1) : 0) |
           (access & ACCESS_REMOTE_ATOMIC ? MLX_PUT(mkc_a, 1) : 0);
}

static const u64 register_mask = MLX_UMR_MASK_LEN | MLX_UMR_MASK_START_ADDR | MLX_UMR_MASK_PD |
                                 MLX_UMR_MASK_KEY | MLX_UMR_MASK_LR | MLX_UMR_MASK_LW |
                                 MLX_UMR_MASK_RR | MLX_UMR_MASK_RW | MLX_UMR_MASK_FREE;

static void put_umr_control(u8 *segment, const struct mlx_umr *u, bool in_line)
{
    u32 first = u->first / 2; /* octowords */

    store(segment, umr_inline,
          MLX_PUT(umr_inline, in_line) | MLX_PUT(umr_check_free, MLX_UMR_FAIL_IF_NOT_FREE) |
              MLX_PUT(umr_translation_offset_en, first != 0));
    store(segment, umr_klm_octowords,
          MLX_PUT(umr_klm_octowords, ALIGN_UP(u->count, MLX_MTTS_IN_64) / 2) |
              MLX_PUT(umr_translation_offset, first & 0xffff));
    if (u->enable)
        mlx_store_quad(segment, mlx_offset(umr_mkey_mask),
                       register_mask | (u->keep_atomic ? 0 : MLX_UMR_MASK_A));
    store(segment, umr_translation_offset_47_16, first >> 16);
}

static void put_mkey(u8 *segment, const struct mlx_umr *u)
{
    store(segment, mkc_lr, access_of(u->access));
    store(segment, mkc_qpn, MLX_PUT(mkc_qpn, MLX_MKEY_ANY_QP) | MLX_PUT(mkc_mkey_7_0, u->new_byte));
    store(segment, mkc_pd, u->pd);
    mlx_store_quad(segment, mlx_offset(mkc_start_addr), u->iova);
    mlx_store_quad(segment, mlx_offset(mkc_len), u->length);
}

static u8 *zero(u8 *block)
{
    for (u32 i = 0; i < MLX_WQEBB; i += sizeof(u64))
        mlx_store_quad(block, i, 0);
    return block;
}

/* The control segments fill the first block, the key's context the second one. */
static u8 *begin_umr(const struct mlx_ring *r, u16 index)
{
    zero(mlx_block(r, index));
    return zero(mlx_block(r, (u16)(index + 1)));
}

u32 mlx_wqe_register(const struct mlx_ring *r, u16 index, const struct mlx_umr *u)
{
    u8 *wqe = mlx_block(r, index), *mkey = begin_umr(r, index);
    u8 *list = mlx_block(r, (u16)(index + 2));
    bool in_line = u->count <= MLX_UMR_INLINE_MOST;
    u32 ds = MLX_UMR_HEAD;

    put_umr_control(wqe + MLX_DS, u, in_line);
    if (u->enable)
        put_mkey(mkey, u);
    if (in_line) {
        put_mtts(list, end_of(r), r->blocks, u);
        ds += (u32)ALIGN_UP(u->count, MLX_MTTS_IN_64) / 2;
    } else {
        ds += put_list_outside(r, list, u);
    }
    mlx_put_ctrl(r, wqe, index, MLX_WQE_UMR, ds, always, u->key);
    return ds;
}

u32 mlx_wqe_invalidate(const struct mlx_ring *r, u16 index, u32 key)
{
    u8 *wqe = mlx_block(r, index), *mkey = begin_umr(r, index);

    store(wqe + MLX_DS, umr_inline,
          MLX_PUT(umr_inline, 1) | MLX_PUT(umr_check_free, MLX_UMR_FAIL_IF_FREE));
    mlx_store_quad(wqe + MLX_DS, mlx_offset(umr_mkey_mask), MLX_UMR_MASK_FREE);
    store(mkey, mkc_free, MLX_PUT(mkc_free, 1));
    mlx_put_ctrl(r, wqe, index, MLX_WQE_UMR, MLX_UMR_HEAD, always, key);
    return MLX_UMR_HEAD;
}

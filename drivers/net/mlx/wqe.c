#include "drivers/net/mlx/wqe.h"
#include "kernel/arch.h"

/* A field's value in its place; words are put together and stored whole. */
#define PUT(field, value) ((u32)(value) << ((field)&63))

static inline void store(u8 *segment, u32 field, u32 word)
{
    *(be32_t *)(segment + mlx_offset(field)) = be32(word);
}

static inline void store_quad(u8 *segment, u32 field, u64 value)
{
    *(be64_t *)(segment + mlx_offset(field)) = be64(value);
}

static inline void control(const struct mlx_ring *r, u8 *wqe, u16 index, u32 opcode, u32 ds,
                           u32 flags, u32 imm)
{
    store(wqe, ctrl_opcode, PUT(ctrl_wqe_index, index) | PUT(ctrl_opcode, opcode));
    store(wqe, ctrl_qpn, PUT(ctrl_qpn, r->qpn) | PUT(ctrl_ds, ds));
    store(wqe, ctrl_fm, flags);
    store(wqe, ctrl_imm, imm);
}

static const u32 always = PUT(ctrl_ce, MLX_CE_ALWAYS);

static inline u8 *next(const struct mlx_ring *r, u8 *segment)
{
    segment += MLX_DS;
    return segment == r->blocks + ((size_t)r->mask + 1) * MLX_WQEBB ? r->blocks : segment;
}

/* --- sending ------------------------------------------------------------------------------------- */

static const struct form {
    u8 opcode; /* enum mlx_wqe_opcode */
    bool raddr, atomic;
    u8 in_line; /* bytes that fit into the first block with their head */
} forms[] = {
    [WR_RDMA_WRITE] = {MLX_WQE_RDMA_WRITE, true, false, 28},
    [WR_RDMA_WRITE_WITH_IMM] = {MLX_WQE_RDMA_WRITE_IMM, true, false, 28},
    [WR_SEND] = {MLX_WQE_SEND, false, false, 44},
    [WR_SEND_WITH_IMM] = {MLX_WQE_SEND_IMM, false, false, 44},
    [WR_RDMA_READ] = {MLX_WQE_RDMA_READ, true, false, 0},
    [WR_ATOMIC_CMP_AND_SWP] = {MLX_WQE_ATOMIC_CS, true, true, 0},
    [WR_ATOMIC_FETCH_AND_ADD] = {MLX_WQE_ATOMIC_FA, true, true, 0},
};

static inline u32 flags_of(u32 send_flags)
{
    return (send_flags & SEND_FENCE ? PUT(ctrl_fm, MLX_FM_SMALL_AND_FENCE) : 0) |
           (send_flags & SEND_SIGNALED ? PUT(ctrl_ce, MLX_CE_ALWAYS) : 0) |
           (send_flags & SEND_SOLICITED ? PUT(ctrl_se, 1) : 0);
}

static inline void put_data(u8 *segment, const struct verbs_sge *sge)
{
    store(segment, data_byte_count, sge->length);
    store(segment, data_lkey, sge->lkey);
    store_quad(segment, data_addr, sge->addr);
}

static u32 put_inline(u8 *segment, const struct verbs_sge *sge)
{
    u32 used = (4 + sge->length + MLX_DS - 1) / MLX_DS, end = 4 + sge->length;

    store(segment, data_byte_count, PUT(data_inline, 1) | sge->length);
    memcpy(segment + 4, phys_to_virt(HPA(sge->addr)), sge->length);
    memset(segment + end, 0, used * MLX_DS - end);
    return used;
}

static void put_atomic(u8 *segment, const struct verbs_send_wr *wr)
{
    bool swap = wr->opcode == WR_ATOMIC_CMP_AND_SWP;

    store_quad(segment, atomic_swap_add, swap ? wr->swap : wr->compare_add);
    store_quad(segment, atomic_compare, swap ? wr->compare_add : 0);
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
        put_data(segment, &sge[i]);
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
        store_quad(segment, raddr_va, wr->remote_addr);
        store_quad(segment, MLX_AT(0x8, 63, 0), (u64)wr->rkey << 32); /* and a reserved word */
        segment += MLX_DS;
        ds++;
    }
    if (f->atomic) {
        put_atomic(segment, wr);
        segment += MLX_DS;
        ds++;
    }
    ds += put_list(r, segment, wr, f->in_line);
    control(r, wqe, index, f->opcode, ds, flags_of(wr->send_flags), wr->imm);
    return ds;
}

u32 mlx_wqe_nop(const struct mlx_ring *r, u16 index)
{
    control(r, mlx_block(r, index), index, MLX_WQE_NOP, 1,
            always | PUT(ctrl_fm, MLX_FM_SMALL_AND_FENCE), 0);
    return 1;
}

/* --- receiving ----------------------------------------------------------------------------------- */

void mlx_wqe_recv(u8 *wqe, u32 segments, const struct verbs_recv_wr *wr)
{
    static const struct verbs_sge end = {.lkey = MLX_INVALID_LKEY};
    u32 used = 0;

    for (u32 i = 0; i < wr->num_sge; i++)
        if (wr->sg_list[i].length)
            put_data(wqe + MLX_DS * used++, &wr->sg_list[i]);
    if (used < segments)
        put_data(wqe + MLX_DS * used, &end);
}

/* --- memory keys --------------------------------------------------------------------------------- */

static u64 mtt(const struct mlx_umr *u, u32 i)
{
    if (i >= u->count)
        return 0;
    return u->frames[i].v | MLX_MTT_READ | (u->writable ? MLX_MTT_WRITE : 0);
}

/* An octoword is two MTTs. */
static void put_list_inline(const struct mlx_ring *r, u8 *segment, const struct mlx_umr *u)
{
    for (u32 i = 0; i < ALIGN_UP(u->count, MLX_MTTS_IN_64); i += 2) {
        store_quad(segment, MLX_AT(0x0, 63, 0), mtt(u, i));
        store_quad(segment, MLX_AT(0x8, 63, 0), mtt(u, i + 1));
        segment = next(r, segment);
    }
}

static u32 put_list_outside(const struct mlx_ring *r, u8 *segment, const struct mlx_umr *u)
{
    u32 size = (u32)ALIGN_UP(u->count, MLX_MTTS_IN_64) * 8;

    for (u32 i = 0; i < size / 8; i++)
        store_quad(u->list + 8ull * i, MLX_AT(0x0, 63, 0), mtt(u, i));
    put_data(segment, &(struct verbs_sge){u->list_at.v, size, r->dma_lkey});
    return 1;
}

static u32 access_of(u32 access)
{
    return PUT(mkc_lr, 1) | (access & ACCESS_LOCAL_WRITE ? PUT(mkc_lw, 1) : 0) |
           (access & ACCESS_REMOTE_READ ? PUT(mkc_rr, 1) : 0) |
           (access & ACCESS_REMOTE_WRITE ? PUT(mkc_rw, 1) : 0) |
           (access & ACCESS_REMOTE_ATOMIC ? PUT(mkc_a, 1) : 0);
}

static const u64 register_mask = MLX_UMR_MASK_LEN | MLX_UMR_MASK_START_ADDR | MLX_UMR_MASK_PD |
                                 MLX_UMR_MASK_KEY | MLX_UMR_MASK_LR | MLX_UMR_MASK_LW |
                                 MLX_UMR_MASK_RR | MLX_UMR_MASK_RW | MLX_UMR_MASK_FREE;

static void put_umr_control(u8 *segment, const struct mlx_umr *u, bool in_line)
{
    u32 first = u->first / 2; /* octowords */

    store(segment, umr_inline,
          PUT(umr_inline, in_line) | PUT(umr_check_free, MLX_UMR_FAIL_IF_NOT_FREE) |
              PUT(umr_translation_offset_en, first != 0));
    store(segment, umr_klm_octowords,
          PUT(umr_klm_octowords, ALIGN_UP(u->count, MLX_MTTS_IN_64) / 2) |
              PUT(umr_translation_offset, first & 0xffff));
    if (u->enable)
        store_quad(segment, umr_mkey_mask, register_mask | (u->keep_atomic ? 0 : MLX_UMR_MASK_A));
    store(segment, umr_translation_offset_47_16, first >> 16);
}

static void put_mkey(u8 *segment, const struct mlx_umr *u)
{
    store(segment, mkc_lr, access_of(u->access));
    store(segment, mkc_qpn, PUT(mkc_qpn, MLX_MKEY_ANY_QP) | PUT(mkc_mkey_7_0, u->new_byte));
    store(segment, mkc_pd, u->pd);
    store_quad(segment, mkc_start_addr, u->iova);
    store_quad(segment, mkc_len, u->length);
}

/* The control segments fill the first block, the key's context the second one. */
static u8 *begin_umr(const struct mlx_ring *r, u16 index)
{
    memset(mlx_block(r, index), 0, MLX_WQEBB);
    return memset(mlx_block(r, (u16)(index + 1)), 0, MLX_UMR_MKEY_SIZE);
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
        put_list_inline(r, list, u);
        ds += (u32)ALIGN_UP(u->count, MLX_MTTS_IN_64) / 2;
    } else {
        ds += put_list_outside(r, list, u);
    }
    control(r, wqe, index, MLX_WQE_UMR, ds, always, u->key);
    return ds;
}

u32 mlx_wqe_invalidate(const struct mlx_ring *r, u16 index, u32 key)
{
    u8 *wqe = mlx_block(r, index), *mkey = begin_umr(r, index);

    store(wqe + MLX_DS, umr_inline, PUT(umr_inline, 1) | PUT(umr_check_free, MLX_UMR_FAIL_IF_FREE));
    store_quad(wqe + MLX_DS, umr_mkey_mask, MLX_UMR_MASK_FREE);
    store(mkey, mkc_free, PUT(mkc_free, 1));
    control(r, wqe, index, MLX_WQE_UMR, MLX_UMR_HEAD, always, key);
    return MLX_UMR_HEAD;
}

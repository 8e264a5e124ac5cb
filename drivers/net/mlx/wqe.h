/* SPDX-License-Identifier: BSD-2-Clause */
/* Work queue elements (mlx5dv.h: mlx5_wqe_*_seg): from work requests into the rings that the card reads. Pure functions on
 * memory: no allocation, no registers, no locks. Fields and their places: mlx_layout.h.
 *
 * A send queue is a ring of blocks of 64 bytes (WQEBB). A WQE takes as many whole ones as it needs, goes round the
 * ring's end between segments of 16 bytes (octowords), and is named by the number of its first block, 16 bits. Lengths
 * are octowords (ds). */
#pragma once
#include "drivers/net/mlx/mlx_layout.h"
#include "drivers/net/verbs.h"

struct mlx_ring {
    u8 *blocks;   /* aligned to 64 */
    u32 mask;     /* how many blocks, a power of two, less one */
    u32 qpn;      /* 24 bits */
    u32 dma_lkey; /* names the host's memory by its physical addresses (resd_lkey) */
};

/* The least power of two that is not less, by its logarithm. */
static inline u32 mlx_log2(u32 n)
{
    u32 log = 0;

    while (1u << log < n)
        log++;
    return log;
}

/* Where block n of a queue is. */
static inline u8 *mlx_block(const struct mlx_ring *r, u32 n)
{
    return r->blocks + (size_t)(n & r->mask) * MLX_WQEBB;
}

/* The most octowords that a work request with so many SGEs takes, and blocks for octowords. */
static inline u32 mlx_wqe_most(u32 sges)
{
    return MAX(4, 2 + sges);
}
static inline u32 mlx_blocks(u32 ds)
{
    return (ds + 3) / 4;
}

/* Fields are put together and stored as whole quad words: this is what posting costs. */
#define MLX_PUT(field, value) ((u32)(value) << ((field)&63))

static inline void mlx_store_quad(u8 *segment, u32 offset, u64 value)
{
    *(be64_t *)(segment + offset) = be64(value);
}
static inline void mlx_store_words(u8 *segment, u32 offset, u32 first, u32 second)
{
    mlx_store_quad(segment, offset, (u64)first << 32 | second);
}

static inline void mlx_put_ctrl(const struct mlx_ring *r, u8 *wqe, u16 index, u32 opcode, u32 ds,
                                u32 flags, u32 imm)
{
    mlx_store_words(wqe, 0x0, MLX_PUT(ctrl_wqe_index, index) | MLX_PUT(ctrl_opcode, opcode),
                    MLX_PUT(ctrl_qpn, r->qpn) | MLX_PUT(ctrl_ds, ds));
    mlx_store_words(wqe, 0x8, flags, imm);
}
static inline void mlx_put_raddr(u8 *segment, u64 addr, u32 rkey)
{
    mlx_store_quad(segment, 0x0, addr);
    mlx_store_words(segment, 0x8, rkey, 0);
}
static inline void mlx_put_data(u8 *segment, struct verbs_sge sge)
{
    mlx_store_words(segment, 0x0, sge.length, sge.lkey);
    mlx_store_quad(segment, 0x8, sge.addr);
}

extern const u8 mlx_wqe_flags[8]; /* by SEND_* */
#define MLX_INLINE_RDMA 28        /* bytes that fit into the first block behind an address */

/* Writes it at block `index`; returns its length. The opcode is one of verbs_post_send's. A short SGE of dma_lkey, if it is
 * the only one, goes into the WQE itself, so that the card need not fetch it. */
u32 mlx_wqe_send(const struct mlx_ring *r, u16 index, const struct verbs_send_wr *wr) MUST_CHECK;

/* The same for what moves pages, as fast as can be: a WRITE or READ of one SGE that is too long to go in line. It takes one
 * block, that of the index. opcode: enum mlx_wqe_opcode. */
static inline void mlx_put_page(const struct mlx_ring *r, u8 *wqe, u16 index,
                                const struct verbs_send_wr *wr, u32 opcode)
{
    mlx_put_data(wqe + 2 * MLX_DS, *wr->sg_list);
    mlx_put_raddr(wqe + MLX_DS, wr->remote_addr, wr->rkey);
    mlx_put_ctrl(r, wqe, index, opcode, 3, mlx_wqe_flags[wr->send_flags], wr->imm);
}

/* Does nothing, and completes when all before it is done. */
u32 mlx_wqe_nop(const struct mlx_ring *r, u16 index) MUST_CHECK;

/* A receive WQE of room for so many segments. */
void mlx_wqe_recv(u8 *wqe, u32 segments, const struct verbs_recv_wr *wr);

/* --- memory keys by work queue element (UMR) ----------------------------------------------------- */

#define MLX_UMR_HEAD        ((MLX_DS + MLX_UMR_CTRL_SIZE + MLX_UMR_MKEY_SIZE) / MLX_DS)
#define MLX_MTTS_IN_64      (MLX_UMR_ALIGN * MLX_OCTWORD / 8u)
#define MLX_UMR_INLINE_MOST 96u /* MTTs that a WQE takes itself; ds is at most 63 */

/* The longest that a UMR is, octowords. */
static inline u32 mlx_umr_most(void)
{
    return MLX_UMR_HEAD + MLX_UMR_INLINE_MOST / 2;
}

struct mlx_umr {
    u32 key; /* as it is before: index << 8 | low byte */
    /* Translations, from entry `first` on, a multiple of 8; the rest of the last 8 becomes empty. Pages of 4 KiB. */
    const hpa_t *frames;
    u32 first, count;
    bool writable;
    /* Where count is more than MLX_UMR_INLINE_MOST: ALIGN_UP(count, 8) * 8 bytes of memory, aligned to 64, which the card
     * reads by dma_lkey until it is done. */
    u8 *list;
    hpa_t list_at;
    /* false: that is all; the key stays free. true: the key is valid afterwards, with what follows. */
    bool enable;
    u8 new_byte; /* the key's low byte */
    u32 pd;
    u32 access; /* ACCESS_* */
    u64 iova, length;
    bool keep_atomic; /* the card cannot change that right so (umr_modify_atomic_disabled) */
};
/* Makes a free key valid; on a key that is not free it fails. */
u32 mlx_wqe_register(const struct mlx_ring *r, u16 index, const struct mlx_umr *umr) MUST_CHECK;
/* Frees a key; on one that is free it fails. When it has completed, nobody can use the key any more. */
u32 mlx_wqe_invalidate(const struct mlx_ring *r, u16 index, u32 key) MUST_CHECK;

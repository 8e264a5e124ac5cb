/* SPDX-License-Identifier: BSD-2-Clause */
/* BAR 0: the initialization segment, the MSI-X table, and user access regions with their doorbells. */
#include "tools/hca/hca.h"

static bool in_msix(u64 offset)
{
    return offset >= HCA_MSIX_TABLE && offset < HCA_MSIX_PBA + 8;
}

static u32 read_word(struct hca *h, u64 offset)
{
    if (in_msix(offset))
        return msix_read(h, (u32)offset);
    if (offset < HCA_MSIX_TABLE) /* big-endian: the host swaps */
        return __builtin_bswap32(iseg_read(h, (u32)offset & ~3u));
    return 0;
}

u64 bar_read(struct hca *h, u64 offset, u32 size)
{
    u64 value = read_word(h, offset & ~3ull);

    if (size == 8)
        return value | (u64)read_word(h, offset + 4) << 32;
    value >>= 8 * (offset & 3);
    return size >= 4 ? value : value & ((1ull << 8 * size) - 1);
}

/* --- doorbells ------------------------------------------------------------------------------------------ */

static bool is_send(u32 at)
{
    return at >= MLX_UAR_SQ && at % MLX_UAR_BF_SIZE == 0;
}

static void ring8(struct hca *h, u32 uar, u32 at, u64 value)
{
    u8 bytes[8];

    memcpy(bytes, &value, sizeof(bytes));
    if (at == MLX_UAR_CQ_ARM)
        cq_doorbell(h, uar, bytes);
    else if (is_send(at))
        qp_doorbell(h, uar, bytes);
    else
        hca_refuse(h, MLX_BAD_PARAM, "8 bytes at 0x%x of UAR 0x%x: there is no such doorbell", at,
                   uar);
}

static bool is_ring8(u32 at)
{
    at &= ~7u;
    return at == MLX_UAR_CQ_ARM || is_send(at);
}

/* Eight bytes may come as two halves, the lower one first. */
static void ring_half(struct hca *h, u32 uar, u32 at, u32 value)
{
    static u32 low, low_at;

    if (!(at & 4)) {
        low = value;
        low_at = uar << 12 | at;
    } else if (low_at == (uar << 12 | (at & ~4u))) {
        low_at = 0;
        ring8(h, uar, at & ~4u, (u64)value << 32 | low);
    }
}

static void ring(struct hca *h, u32 uar, u32 at, u64 value, u32 size)
{
    if (h->nic_interface == MLX_NIC_DISABLED)
        return; /* the driver's other threads may not know yet */
    if (!object_get(h, OBJ_UAR, uar)) {
        hca_refuse(h, MLX_BAD_RES, "write to UAR 0x%x, which was not allocated", uar);
        return;
    }
    if (size == 8)
        ring8(h, uar, at, value);
    else if (size == 4 && is_ring8(at))
        ring_half(h, uar, at, (u32)value);
    else if (size == 4 && (at == MLX_UAR_EQ_ARM || at == MLX_UAR_EQ_UPDATE))
        eq_doorbell(h, uar, __builtin_bswap32((u32)value), at == MLX_UAR_EQ_ARM);
    else
        hca_refuse(h, MLX_BAD_PARAM, "%u bytes at 0x%x of UAR 0x%x: there is no such doorbell",
                   size, at, uar);
}

static void write_word(struct hca *h, u64 offset, u32 value)
{
    if (in_msix(offset))
        msix_write(h, (u32)offset, value);
    else
        iseg_write(h, (u32)offset, __builtin_bswap32(value));
}

void bar_write(struct hca *h, u64 offset, u64 value, u32 size)
{
    if (offset >= HCA_FIRST_UAR * MLX_UAR_SIZE) {
        ring(h, (u32)(offset / MLX_UAR_SIZE), (u32)(offset % MLX_UAR_SIZE), value, size);
        return;
    }
    if (size < 4 || offset & 3) {
        hca_refuse(h, MLX_BAD_PARAM, "write of %u bytes at 0x%llx: registers have 4", size,
                   (unsigned long long)offset);
        return;
    }
    write_word(h, offset, (u32)value);
    if (size == 8)
        write_word(h, offset + 4, (u32)(value >> 32));
}

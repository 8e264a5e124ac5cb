/* SPDX-License-Identifier: BSD-2-Clause */
/* The initialization segment: where the driver and the card meet first, and where the card says how it is. */
#include "tools/hca/hca.h"

#define COUNTS_PER_MS 1 /* health_counter */

static u32 word(const struct hca *h, u32 offset)
{
    u8 w[0x1014] = {0};
    u64 ms = h->now() / 1000000, ticks = h->now() / 10;

    mlx_set(w, iseg_fw_rev_minor, 35);
    mlx_set(w, iseg_fw_rev_major, 16);
    mlx_set(w, iseg_fw_rev_subminor, 1);
    mlx_set(w, iseg_cmd_interface_rev, MLX_CMD_INTERFACE_REV);
    mlx_set(w, iseg_cmdq_phy_addr_63_32, h->cmdq_high);
    mlx_set(w, iseg_cmdq_phy_addr_31_12, h->cmdq >> 12);
    mlx_set(w, iseg_nic_interface, h->nic_interface);
    mlx_set(w, iseg_log_cmdq_size, HCA_LOG_SLOTS);
    mlx_set(w, iseg_log_cmdq_stride, HCA_LOG_STRIDE);
    mlx_set(w, iseg_initializing, h->initializing != 0);
    mlx_set(w, iseg_health_fw_version, 16u << 16 | 35);
    mlx_set(w, iseg_health_hw_id, 0x20d);
    mlx_set(w, iseg_health_rfr, h->health_rfr);
    mlx_set(w, iseg_synd, h->health_synd);
    mlx_set(w, iseg_internal_timer_h, ticks >> 32);
    mlx_set(w, iseg_internal_timer_l, ticks);
    mlx_set(w, iseg_health_counter, h->health_stopped ? h->health_stopped : ms * COUNTS_PER_MS);
    return (u32)mlx_get(w + offset, MLX_AT(0, 31, 0));
}

u32 iseg_read(struct hca *h, u32 offset)
{
    u32 value = offset + 4 <= 0x1014 ? word(h, offset) : 0;

    if (offset == mlx_offset(iseg_initializing) && h->initializing)
        h->initializing--;
    return value;
}

static void set_queue(struct hca *h, u32 value)
{
    u8 interface = (u8)(value >> 8 & 7);

    if (h->initializing && interface == MLX_NIC_FULL) {
        hca_refuse(h, MLX_BAD_SYS_STATE, "cmdq_phy_addr_l before `initializing` was read as 0");
        return;
    }
    if (interface == MLX_NIC_DISABLED) { /* fast teardown: all that the card does ends now */
        hca_log(h, LOG_INFO, "nic_interface: disabled");
        hca_reset(h);
        h->nic_interface = interface;
        return;
    }
    if (interface != MLX_NIC_FULL || value & 0xff) {
        hca_refuse(h, MLX_BAD_PARAM, "cmdq_phy_addr_l 0x%x: bits 11:0 are not zero", value);
        return;
    }
    h->nic_interface = MLX_NIC_FULL;
    h->initializing = HCA_INITIALIZING;
    h->cmdq = (u64)h->cmdq_high << 32 | (value & ~0xfffu);
    h->cmdq_is_set = hca_dma(h, h->cmdq, PAGE_SIZE, "command queue") != NULL;
    hca_log(h, LOG_INFO, "command queue at 0x%llx", (unsigned long long)h->cmdq);
}

void iseg_write(struct hca *h, u32 offset, u32 value)
{
    switch (offset) {
    case 0x10: h->cmdq_high = value; return;
    case 0x14: set_queue(h, value); return;
    case 0x18: h->doorbells |= value; return;
    case 0x100c:
    case 0x200c: return; /* clear_int: there are no pins */
    default:
        hca_refuse(h, MLX_BAD_PARAM, "write of 0x%x to 0x%x of the initialization segment", value,
                   offset);
    }
}

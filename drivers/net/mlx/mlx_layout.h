/* SPDX-License-Identifier: BSD-2-Clause */
/* What the cards of the mlx5 family (ConnectX-4 and later) and their drivers hand to each other: where each
 * field is. Names are those of the public manual and of Linux's mlx5_ifc.h: `eqc_log_eq_size` is the
 * field log_eq_size of its eqc. Shared by the driver and by the model of a card (tools/hca). Pure data.
 *
 * All of it is big-endian. A field is a number that says its place: offset of its 32-bit word, highest and
 * lowest bit there; 63 to 0 is a quad word. Each layout is a list F(layout, field, offset, high, low), so that whoever
 * wants names or wants to know which bits are reserved can make a table of it. */
#pragma once
#include "drivers/net/be.h"

#define MLX_AT(offset, high, low)                  ((offset) << 12 | (high) << 6 | (low))
#define MLX_FIELD(layout, name, offset, high, low) layout##_##name = MLX_AT(offset, high, low),

static inline u32 mlx_offset(u32 field)
{
    return field >> 12;
}
static inline u32 mlx_high(u32 field)
{
    return field >> 6 & 63;
}
static inline u32 mlx_low(u32 field)
{
    return field & 63;
}
static inline u64 mlx_mask(u32 field)
{
    return (2ull << (mlx_high(field) - mlx_low(field))) - 1;
}

static inline u64 mlx_get(const void *layout, u32 field)
{
    const u8 *at = (const u8 *)layout + mlx_offset(field);

    if (mlx_high(field) > 31)
        return be64_get(*(const be64_t *)at);
    return be32_get(*(const be32_t *)at) >> mlx_low(field) & mlx_mask(field);
}

/* Bits of the value above the field's width are lost. */
static inline void mlx_set(void *layout, u32 field, u64 value)
{
    u8 *at = (u8 *)layout + mlx_offset(field);
    u64 mask = mlx_mask(field);
    u32 word;

    if (mlx_high(field) > 31) {
        *(be64_t *)at = be64(value);
        return;
    }
    word = be32_get(*(be32_t *)at) & (u32) ~(mask << mlx_low(field));
    *(be32_t *)at = be32(word | (u32)((value & mask) << mlx_low(field)));
}

/* --- initialization segment (start of BAR 0) ------------------------------------------------------ */

#define MLX_ISEG(F)                                                                                \
    F(iseg, fw_rev_minor, 0x0, 31, 16)                                                             \
    F(iseg, fw_rev_major, 0x0, 15, 0)                                                              \
    F(iseg, cmd_interface_rev, 0x4, 31, 16)                                                        \
    F(iseg, fw_rev_subminor, 0x4, 15, 0)                                                           \
    F(iseg, cmdq_phy_addr_63_32, 0x10, 31, 0)                                                      \
    F(iseg, cmdq_phy_addr_31_12, 0x14, 31, 12)                                                     \
    F(iseg, nic_interface, 0x14, 10, 8)                                                            \
    F(iseg, log_cmdq_size, 0x14, 7, 4)                                                             \
    F(iseg, log_cmdq_stride, 0x14, 3, 0)                                                           \
    F(iseg, command_doorbell_vector, 0x18, 31, 0)                                                  \
    F(iseg, initializing, 0x1fc, 31, 31)                                                           \
    F(iseg, nic_interface_supported, 0x1fc, 26, 24)                                                \
    F(iseg, assert_var0, 0x200, 31, 0)                                                             \
    F(iseg, assert_exit_ptr, 0x220, 31, 0)                                                         \
    F(iseg, assert_callra, 0x224, 31, 0)                                                           \
    F(iseg, health_fw_version, 0x230, 31, 0)                                                       \
    F(iseg, health_hw_id, 0x234, 31, 0)                                                            \
    F(iseg, health_rfr, 0x238, 31, 31)                                                             \
    F(iseg, health_severity, 0x238, 26, 24)                                                        \
    F(iseg, irisc_index, 0x23c, 31, 24)                                                            \
    F(iseg, synd, 0x23c, 23, 16)                                                                   \
    F(iseg, ext_synd, 0x23c, 15, 0)                                                                \
    F(iseg, internal_timer_h, 0x1000, 31, 0)                                                       \
    F(iseg, internal_timer_l, 0x1004, 31, 0)                                                       \
    F(iseg, health_counter, 0x1010, 31, 0)
enum { MLX_ISEG(MLX_FIELD) };

#define MLX_CMD_INTERFACE_REV 5
enum { MLX_NIC_FULL = 0, MLX_NIC_DISABLED = 1, MLX_NIC_NO_DRAM = 2, MLX_NIC_SW_RESET = 7 };

/* --- user access regions: UAR n is page n of BAR 0 ------------------------------------------------ */

#define MLX_UAR_SIZE      4096u
#define MLX_UAR_CQ_ARM    0x20 /* 8 bytes: the arm word, the CQ's number */
#define MLX_UAR_EQ_ARM    0x40 /* 4 bytes: eqn << 24 | consumer counter */
#define MLX_UAR_EQ_UPDATE 0x48 /* the same, without arming */
/* 8 bytes: the first two words of the last WQE. Eight registers; each two in turn are one driver's. */
#define MLX_UAR_SQ      0x800
#define MLX_UAR_BF_SIZE 0x100

#define MLX_CQ_ARM(F)                                                                              \
    F(cq_arm, sn, 0x0, 29, 28)                                                                     \
    F(cq_arm, solicited_only, 0x0, 24, 24)                                                         \
    F(cq_arm, consumer_counter, 0x0, 23, 0)                                                        \
    F(cq_arm, cqn, 0x4, 23, 0)
enum { MLX_CQ_ARM(MLX_FIELD) };

/* --- command queue entry, mailbox block ----------------------------------------------------------- */

#define MLX_CMD_ENTRY_SIZE 64
#define MLX_CMD_INLINE     16
#define MLX_CMD_TYPE       7
#define MLX_CMD_ENTRY(F)                                                                           \
    F(cmd_entry, type, 0x0, 31, 24)                                                                \
    F(cmd_entry, input_length, 0x4, 31, 0)                                                         \
    F(cmd_entry, input_mailbox_pointer, 0x8, 63, 0)                                                \
    F(cmd_entry, output_mailbox_pointer, 0x30, 63, 0)                                              \
    F(cmd_entry, output_length, 0x38, 31, 0)                                                       \
    F(cmd_entry, token, 0x3c, 31, 24)                                                              \
    F(cmd_entry, signature, 0x3c, 23, 16)                                                          \
    F(cmd_entry, status, 0x3c, 7, 1)                                                               \
    F(cmd_entry, ownership, 0x3c, 0, 0)
enum { MLX_CMD_ENTRY(MLX_FIELD) };
enum { MLX_CMD_IN = 0x10, MLX_CMD_OUT = 0x20 }; /* the inline bytes */

#define MLX_MAILBOX_SIZE  0x240
#define MLX_MAILBOX_ALIGN 1024
#define MLX_MAILBOX_DATA  512
#define MLX_MAILBOX(F)                                                                             \
    F(mailbox, next_pointer, 0x230, 63, 0)                                                         \
    F(mailbox, block_number, 0x238, 31, 0)                                                         \
    F(mailbox, token, 0x23c, 23, 16)                                                               \
    F(mailbox, ctrl_signature, 0x23c, 15, 8)                                                       \
    F(mailbox, signature, 0x23c, 7, 0)
enum { MLX_MAILBOX(MLX_FIELD) };

/* The byte that makes the exclusive or of all of them 0xff, where it was zero. */
static inline u8 mlx_signature(const void *bytes, u32 size)
{
    const u8 *b = bytes;
    u8 sum = 0;

    while (size--)
        sum ^= *b++;
    return (u8)~sum;
}

/* How a command was delivered (status of the entry). */
enum mlx_delivery {
    MLX_DELIVERY_OK = 0,
    MLX_DELIVERY_SIGNATURE = 1,
    MLX_DELIVERY_TOKEN = 2,
    MLX_DELIVERY_BLOCK_NUMBER = 3,
    MLX_DELIVERY_OUT_POINTER = 4,
    MLX_DELIVERY_IN_POINTER = 5,
    MLX_DELIVERY_INTERNAL = 6,
    MLX_DELIVERY_IN_LENGTH = 7,
    MLX_DELIVERY_OUT_LENGTH = 8,
    MLX_DELIVERY_RESERVED = 9,
    MLX_DELIVERY_TYPE = 0x10,
};

/* What became of it (status of the output). */
enum mlx_status {
    MLX_OK = 0,
    MLX_INTERNAL_ERR = 1,
    MLX_BAD_OP = 2,
    MLX_BAD_PARAM = 3,
    MLX_BAD_SYS_STATE = 4,
    MLX_BAD_RES = 5,
    MLX_RES_BUSY = 6,
    MLX_LIM_ERR = 8,
    MLX_BAD_RES_STATE = 9,
    MLX_BAD_INDEX = 0xa,
    MLX_NO_RES = 0xf,
    MLX_BAD_QP_STATE = 0x10,
    MLX_BAD_PKT = 0x30,
    MLX_BAD_SIZE = 0x40,
    MLX_BAD_INPUT_LEN = 0x50,
    MLX_BAD_OUTPUT_LEN = 0x51,
};

/* --- commands ------------------------------------------------------------------------------------- */

enum mlx_opcode {
    MLX_QUERY_HCA_CAP = 0x100,
    MLX_QUERY_ADAPTER = 0x101,
    MLX_INIT_HCA = 0x102,
    MLX_TEARDOWN_HCA = 0x103,
    MLX_ENABLE_HCA = 0x104,
    MLX_DISABLE_HCA = 0x105,
    MLX_QUERY_PAGES = 0x107,
    MLX_MANAGE_PAGES = 0x108,
    MLX_SET_HCA_CAP = 0x109,
    MLX_QUERY_ISSI = 0x10a,
    MLX_SET_ISSI = 0x10b,
    MLX_SET_DRIVER_VERSION = 0x10d,
    MLX_CREATE_MKEY = 0x200,
    MLX_QUERY_MKEY = 0x201,
    MLX_DESTROY_MKEY = 0x202,
    MLX_QUERY_SPECIAL_CONTEXTS = 0x203,
    MLX_CREATE_EQ = 0x301,
    MLX_DESTROY_EQ = 0x302,
    MLX_QUERY_EQ = 0x303,
    MLX_CREATE_CQ = 0x400,
    MLX_DESTROY_CQ = 0x401,
    MLX_QUERY_CQ = 0x402,
    MLX_MODIFY_CQ = 0x403,
    MLX_CREATE_QP = 0x500,
    MLX_DESTROY_QP = 0x501,
    MLX_RST2INIT_QP = 0x502,
    MLX_INIT2RTR_QP = 0x503,
    MLX_RTR2RTS_QP = 0x504,
    MLX_RTS2RTS_QP = 0x505,
    MLX_2ERR_QP = 0x507,
    MLX_2RST_QP = 0x50a,
    MLX_QUERY_QP = 0x50b,
    MLX_MAD_IFC = 0x50d,
    MLX_INIT2INIT_QP = 0x50e,
    MLX_CREATE_XRC_SRQ = 0x705,
    MLX_DESTROY_XRC_SRQ = 0x706,
    MLX_QUERY_VPORT_STATE = 0x750,
    MLX_QUERY_NIC_VPORT_CONTEXT = 0x754,
    MLX_MODIFY_NIC_VPORT_CONTEXT = 0x755,
    MLX_QUERY_ROCE_ADDRESS = 0x760,
    MLX_SET_ROCE_ADDRESS = 0x761,
    MLX_QUERY_HCA_VPORT_CONTEXT = 0x762,
    MLX_QUERY_HCA_VPORT_GID = 0x764,
    MLX_QUERY_HCA_VPORT_PKEY = 0x765,
    MLX_QUERY_VPORT_COUNTER = 0x770,
    MLX_ALLOC_Q_COUNTER = 0x771,
    MLX_DEALLOC_Q_COUNTER = 0x772,
    MLX_QUERY_Q_COUNTER = 0x773,
    MLX_ALLOC_PD = 0x800,
    MLX_DEALLOC_PD = 0x801,
    MLX_ALLOC_UAR = 0x802,
    MLX_DEALLOC_UAR = 0x803,
    MLX_ACCESS_REG = 0x805,
    MLX_ALLOC_XRCD = 0x80e,
    MLX_DEALLOC_XRCD = 0x80f,
    MLX_ALLOC_TRANSPORT_DOMAIN = 0x816,
    MLX_DEALLOC_TRANSPORT_DOMAIN = 0x817,
    MLX_CREATE_TIR = 0x900,
    MLX_MODIFY_TIR = 0x901,
    MLX_DESTROY_TIR = 0x902,
    MLX_CREATE_SQ = 0x904,
    MLX_MODIFY_SQ = 0x905,
    MLX_DESTROY_SQ = 0x906,
    MLX_CREATE_RQ = 0x908,
    MLX_MODIFY_RQ = 0x909,
    MLX_DESTROY_RQ = 0x90a,
    MLX_CREATE_RMP = 0x90c,
    MLX_DESTROY_RMP = 0x90e,
    MLX_CREATE_TIS = 0x912,
    MLX_DESTROY_TIS = 0x914,
    MLX_CREATE_RQT = 0x916,
    MLX_MODIFY_RQT = 0x917,
    MLX_DESTROY_RQT = 0x918,
    MLX_SET_FLOW_TABLE_ROOT = 0x92f,
    MLX_CREATE_FLOW_TABLE = 0x930,
    MLX_DESTROY_FLOW_TABLE = 0x931,
    MLX_CREATE_FLOW_GROUP = 0x933,
    MLX_DESTROY_FLOW_GROUP = 0x934,
    MLX_SET_FLOW_TABLE_ENTRY = 0x936,
    MLX_DELETE_FLOW_TABLE_ENTRY = 0x938,
};

/* What every input and every output begins with. */
#define MLX_IN(F)                                                                                  \
    F(in, opcode, 0x0, 31, 16)                                                                     \
    F(in, uid, 0x0, 15, 0)                                                                         \
    F(in, op_mod, 0x4, 15, 0)
enum { MLX_IN(MLX_FIELD) };
#define MLX_OUT(F)                                                                                 \
    F(out, status, 0x0, 31, 24)                                                                    \
    F(out, syndrome, 0x4, 31, 0)
enum { MLX_OUT(MLX_FIELD) };

/* Most commands name one object, and those that make one return its number, in the same place. */
#define MLX_OBJECT(F) F(object, number, 0x8, 23, 0)
enum { MLX_OBJECT(MLX_FIELD) };

#define MLX_FUNCTION(F)                                                                            \
    F(function, embedded_cpu_function, 0x8, 31, 31)                                                \
    F(function, function_id, 0x8, 15, 0)
enum { MLX_FUNCTION(MLX_FIELD) };

#define MLX_ISSI(F)                                                                                \
    F(issi, current_issi, 0x8, 15, 0)                                                              \
    F(issi, supported_issi_dw0, 0x6c, 31, 0)
enum { MLX_ISSI(MLX_FIELD) };

/* QUERY_PAGES, MANAGE_PAGES: op_mod says which. */
enum { MLX_PAGES_BOOT = 1, MLX_PAGES_INIT = 2, MLX_PAGES_REGULAR = 3 };
enum { MLX_PAGES_CANT_GIVE = 0, MLX_PAGES_GIVE = 1, MLX_PAGES_TAKE = 2 };
#define MLX_PAGES(F)                                                                               \
    MLX_FUNCTION(F)                                                                                \
    F(pages, count, 0xc, 31, 0)
enum { pages_count = MLX_AT(0xc, 31, 0), pages_taken = MLX_AT(0x8, 31, 0), MLX_PAGES_PAS = 0x10 };

enum { MLX_TEARDOWN_GRACEFUL = 0, MLX_TEARDOWN_FORCE = 1, MLX_TEARDOWN_PREPARE_FAST = 2 };
#define MLX_TEARDOWN(F)                                                                            \
    F(teardown, profile, 0x8, 15, 0)                                                               \
    F(teardown, state, 0xc, 0, 0)
enum { MLX_TEARDOWN(MLX_FIELD) };

#define MLX_SPECIAL_CONTEXTS(F)                                                                    \
    F(special_contexts, dump_fill_mkey, 0x8, 31, 0)                                                \
    F(special_contexts, resd_lkey, 0xc, 31, 0)                                                     \
    F(special_contexts, null_mkey, 0x10, 31, 0)
enum { MLX_SPECIAL_CONTEXTS(MLX_FIELD) };

/* Where contexts and lists of page addresses begin in CREATE and MODIFY inputs. */
enum { MLX_CTX = 0x10, MLX_QPC = 0x18, MLX_WQ_CTX = 0x20, MLX_PAS = 0x110 };

/* --- capabilities (QUERY_HCA_CAP, SET_HCA_CAP: op_mod is type << 1 | current) ---------------------- */

enum mlx_cap_type {
    MLX_CAP_GENERAL = 0,
    MLX_CAP_ETHERNET = 1,
    MLX_CAP_ATOMIC = 3,
    MLX_CAP_ROCE = 4,
    MLX_CAP_FLOW_TABLE = 7,
};
#define MLX_CAP_SIZE 4096

#define MLX_GENERAL_CAP(F)                                                                         \
    F(cap, log_max_srq_sz, 0x10, 31, 24)                                                           \
    F(cap, log_max_qp_sz, 0x10, 23, 16)                                                            \
    F(cap, log_max_qp, 0x10, 4, 0)                                                                 \
    F(cap, log_max_srq, 0x14, 20, 16)                                                              \
    F(cap, log_max_cq_sz, 0x18, 23, 16)                                                            \
    F(cap, log_max_cq, 0x18, 4, 0)                                                                 \
    F(cap, log_max_eq_sz, 0x1c, 31, 24)                                                            \
    F(cap, log_max_mkey, 0x1c, 21, 16)                                                             \
    F(cap, fast_teardown, 0x1c, 4, 4)                                                              \
    F(cap, log_max_eq, 0x1c, 3, 0)                                                                 \
    F(cap, max_indirection, 0x20, 31, 24)                                                          \
    F(cap, fixed_buffer_size, 0x20, 23, 23)                                                        \
    F(cap, log_max_mrw_sz, 0x20, 22, 16)                                                           \
    F(cap, force_teardown, 0x20, 15, 15)                                                           \
    F(cap, log_max_klm_list_size, 0x20, 5, 0)                                                      \
    F(cap, release_all_pages, 0x28, 26, 26)                                                        \
    F(cap, log_max_ra_req_qp, 0x28, 21, 16)                                                        \
    F(cap, log_max_ra_res_qp, 0x28, 5, 0)                                                          \
    F(cap, gid_table_size, 0x2c, 15, 0)                                                            \
    F(cap, pkey_table_size, 0x30, 15, 0)                                                           \
    F(cap, vport_group_manager, 0x34, 31, 31)                                                      \
    F(cap, ib_virt, 0x34, 29, 29)                                                                  \
    F(cap, nic_flow_table, 0x34, 25, 25)                                                           \
    F(cap, local_ca_ack_delay, 0x34, 20, 16)                                                       \
    F(cap, port_type, 0x34, 9, 8)                                                                  \
    F(cap, num_ports, 0x34, 7, 0)                                                                  \
    F(cap, log_max_msg, 0x38, 28, 24)                                                              \
    F(cap, max_tc, 0x38, 19, 16)                                                                   \
    F(cap, cqe_version, 0x3c, 3, 0)                                                                \
    F(cap, umr_modify_entity_size_disabled, 0x40, 24, 24)                                          \
    F(cap, umr_modify_atomic_disabled, 0x40, 23, 23)                                               \
    F(cap, umr_indirect_mkey_disabled, 0x40, 22, 22)                                               \
    F(cap, umr_fence, 0x40, 21, 20)                                                                \
    F(cap, cmdif_checksum, 0x40, 15, 14)                                                           \
    F(cap, wq_signature, 0x40, 11, 11)                                                             \
    F(cap, sctr_data_cqe, 0x40, 10, 10)                                                            \
    F(cap, eth_net_offloads, 0x40, 3, 3)                                                           \
    F(cap, roce, 0x40, 2, 2)                                                                       \
    F(cap, atomic, 0x40, 1, 1)                                                                     \
    F(cap, cq_oi, 0x44, 31, 31)                                                                    \
    F(cap, cq_moderation, 0x44, 29, 29)                                                            \
    F(cap, imaicl, 0x44, 14, 14)                                                                   \
    F(cap, xrc, 0x44, 3, 3)                                                                        \
    F(cap, ud, 0x44, 2, 2)                                                                         \
    F(cap, uc, 0x44, 1, 1)                                                                         \
    F(cap, rc, 0x44, 0, 0)                                                                         \
    F(cap, uar_4k, 0x48, 31, 31)                                                                   \
    F(cap, log_pg_sz, 0x48, 7, 0)                                                                  \
    F(cap, bf, 0x4c, 31, 31)                                                                       \
    F(cap, driver_version, 0x4c, 30, 30)                                                           \
    F(cap, log_bf_reg_size, 0x4c, 20, 16)                                                          \
    F(cap, max_wqe_sz_sq, 0x50, 15, 0)                                                             \
    F(cap, max_wqe_sz_rq, 0x54, 15, 0)                                                             \
    F(cap, log_max_transport_domain, 0x64, 28, 24)                                                 \
    F(cap, log_max_pd, 0x64, 20, 16)                                                               \
    F(cap, log_max_xrcd, 0x64, 4, 0)                                                               \
    F(cap, log_max_rq, 0x6c, 28, 24)                                                               \
    F(cap, log_max_sq, 0x6c, 20, 16)                                                               \
    F(cap, log_max_tir, 0x6c, 12, 8)                                                               \
    F(cap, log_max_tis, 0x6c, 4, 0)                                                                \
    F(cap, log_max_rmp, 0x70, 28, 24)                                                              \
    F(cap, log_max_rqt, 0x70, 20, 16)                                                              \
    F(cap, log_max_rqt_size, 0x70, 12, 8)                                                          \
    F(cap, log_max_tis_per_sq, 0x70, 4, 0)                                                         \
    F(cap, roce_rw_supported, 0x74, 30, 30)                                                        \
    F(cap, log_max_stride_sz_rq, 0x74, 28, 24)                                                     \
    F(cap, log_min_stride_sz_rq, 0x74, 20, 16)                                                     \
    F(cap, log_max_stride_sz_sq, 0x74, 12, 8)                                                      \
    F(cap, log_min_stride_sz_sq, 0x74, 4, 0)                                                       \
    F(cap, log_max_wq_sz, 0x78, 4, 0)                                                              \
    F(cap, log_max_vlan_list, 0x7c, 20, 16)                                                        \
    F(cap, log_max_current_mc_list, 0x7c, 12, 8)                                                   \
    F(cap, log_max_current_uc_list, 0x7c, 4, 0)                                                    \
    F(cap, max_num_eqs, 0x8c, 15, 0)                                                               \
    F(cap, log_max_l2_table, 0x90, 28, 24)                                                         \
    F(cap, log_uar_page_sz, 0x90, 15, 0)                                                           \
    F(cap, device_frequency_khz, 0x9c, 31, 0)                                                      \
    F(cap, num_vhca_ports, 0xc0, 15, 8)                                                            \
    F(cap, sw_owner_id, 0xc0, 1, 1)
enum { MLX_GENERAL_CAP(MLX_FIELD) };
enum { MLX_PORT_IB = 0, MLX_PORT_ETHERNET = 1 };

#define MLX_ETHERNET_CAP(F)                                                                        \
    F(eth_cap, csum_cap, 0x0, 31, 31)                                                              \
    F(eth_cap, vlan_cap, 0x0, 30, 30)                                                              \
    F(eth_cap, self_lb_en_modifiable, 0x0, 23, 23)                                                 \
    F(eth_cap, max_lso_cap, 0x0, 20, 16)                                                           \
    F(eth_cap, wqe_inline_mode, 0x0, 13, 12)                                                       \
    F(eth_cap, rss_ind_tbl_cap, 0x0, 11, 8)
enum { MLX_ETHERNET_CAP(MLX_FIELD) };

#define MLX_ATOMIC_CAP(F)                                                                          \
    F(atomic_cap, req_8B_endianness_mode, 0x8, 31, 30)                                             \
    F(atomic_cap, supported_req_8B_endianness_mode_1, 0x8, 25, 25)                                 \
    F(atomic_cap, operations, 0x10, 15, 0)                                                         \
    F(atomic_cap, size_qp, 0x14, 15, 0)
enum { MLX_ATOMIC_CAP(MLX_FIELD) };

#define MLX_ROCE_CAP(F)                                                                            \
    F(roce_cap, sw_r_roce_src_udp_port, 0x0, 27, 27)                                               \
    F(roce_cap, l3_type, 0x10, 19, 16)                                                             \
    F(roce_cap, roce_version, 0x10, 7, 0)                                                          \
    F(roce_cap, r_roce_dest_udp_port, 0x14, 15, 0)                                                 \
    F(roce_cap, r_roce_max_src_udp_port, 0x18, 31, 16)                                             \
    F(roce_cap, r_roce_min_src_udp_port, 0x18, 15, 0)                                              \
    F(roce_cap, roce_address_table_size, 0x1c, 15, 0)
enum { MLX_ROCE_CAP(MLX_FIELD) };

/* Properties of NIC receive, within the flow table capabilities. */
#define MLX_FLOW_TABLE_CAP(F)                                                                      \
    F(flow_cap, ft_support, 0x40, 31, 31)                                                          \
    F(flow_cap, flow_modify_en, 0x40, 28, 28)                                                      \
    F(flow_cap, modify_root, 0x40, 27, 27)                                                         \
    F(flow_cap, identified_miss_table_mode, 0x40, 26, 26)                                          \
    F(flow_cap, flow_table_modify, 0x40, 25, 25)                                                   \
    F(flow_cap, log_max_ft_size, 0x44, 29, 24)                                                     \
    F(flow_cap, max_ft_level, 0x44, 7, 0)                                                          \
    F(flow_cap, log_max_ft_num, 0x4c, 7, 0)                                                        \
    F(flow_cap, log_max_destination, 0x50, 7, 0)                                                   \
    F(flow_cap, log_max_flow, 0x54, 7, 0)                                                          \
    F(flow_cap, ft_field_support, 0x60, 31, 0)                                                     \
    F(flow_cap, ft_field_bitmask_support, 0x70, 31, 0)
enum { MLX_FLOW_TABLE_CAP(MLX_FIELD) };

/* --- event queues --------------------------------------------------------------------------------- */

#define MLX_EQC(F)                                                                                 \
    F(eqc, status, 0x0, 31, 28)                                                                    \
    F(eqc, oi, 0x0, 17, 17)                                                                        \
    F(eqc, st, 0x0, 11, 8)                                                                         \
    F(eqc, page_offset, 0x8, 11, 6)                                                                \
    F(eqc, log_eq_size, 0xc, 28, 24)                                                               \
    F(eqc, uar_page, 0xc, 23, 0)                                                                   \
    F(eqc, intr, 0x14, 11, 0)                                                                      \
    F(eqc, log_page_size, 0x18, 28, 24)                                                            \
    F(eqc, consumer_counter, 0x28, 23, 0)                                                          \
    F(eqc, producer_counter, 0x2c, 23, 0)
enum { MLX_EQC(MLX_FIELD) };
#define MLX_CREATE_EQ_IN(F) F(create_eq_in, event_bitmask, 0x58, 63, 0)
enum { MLX_CREATE_EQ_IN(MLX_FIELD) };
enum { mlx_eqn = MLX_AT(0x8, 7, 0) }; /* of CREATE_EQ's output, of DESTROY_EQ's input */

#define MLX_EQE_SIZE 64
#define MLX_EQE(F)                                                                                 \
    F(eqe, event_type, 0x0, 23, 16)                                                                \
    F(eqe, event_sub_type, 0x0, 7, 0)                                                              \
    F(eqe, cmd_vector, 0x20, 31, 0)                                                                \
    F(eqe, cq_err_cqn, 0x20, 23, 0)                                                                \
    F(eqe, cq_err_syndrome, 0x28, 7, 0)                                                            \
    F(eqe, port_num, 0x28, 31, 28)                                                                 \
    F(eqe, pages_ec_function, 0x20, 31, 31)                                                        \
    F(eqe, pages_function_id, 0x20, 15, 0)                                                         \
    F(eqe, pages_count, 0x24, 31, 0)                                                               \
    F(eqe, qp_srq_type, 0x34, 31, 24)                                                              \
    F(eqe, qpn, 0x38, 23, 0)                                                                       \
    F(eqe, cqn, 0x38, 23, 0)                                                                       \
    F(eqe, signature, 0x3c, 15, 8)                                                                 \
    F(eqe, owner, 0x3c, 0, 0)
enum { MLX_EQE(MLX_FIELD) };

enum mlx_event {
    MLX_EVENT_COMP = 0x00,
    MLX_EVENT_CQ_ERR = 0x04,
    MLX_EVENT_WQ_CATAS = 0x05,
    MLX_EVENT_INTERNAL_ERR = 0x08,
    MLX_EVENT_PORT = 0x09,
    MLX_EVENT_CMD = 0x0a,
    MLX_EVENT_PAGE_REQUEST = 0x0b,
    MLX_EVENT_WQ_INVALID_REQ = 0x10,
    MLX_EVENT_WQ_ACCESS = 0x11,
};
enum { MLX_PORT_DOWN = 1, MLX_PORT_ACTIVE = 4 }; /* sub-types */

/* --- completion queues ---------------------------------------------------------------------------- */

#define MLX_CQC(F)                                                                                 \
    F(cqc, status, 0x0, 31, 28)                                                                    \
    F(cqc, cqe_sz, 0x0, 23, 21)                                                                    \
    F(cqc, cc, 0x0, 20, 20)                                                                        \
    F(cqc, oi, 0x0, 17, 17)                                                                        \
    F(cqc, cq_period_mode, 0x0, 16, 15)                                                            \
    F(cqc, st, 0x0, 11, 8)                                                                         \
    F(cqc, page_offset, 0x8, 11, 6)                                                                \
    F(cqc, log_cq_size, 0xc, 28, 24)                                                               \
    F(cqc, uar_page, 0xc, 23, 0)                                                                   \
    F(cqc, cq_period, 0x10, 27, 16)                                                                \
    F(cqc, cq_max_count, 0x10, 15, 0)                                                              \
    F(cqc, c_eqn, 0x14, 31, 0)                                                                     \
    F(cqc, log_page_size, 0x18, 28, 24)                                                            \
    F(cqc, last_notified_index, 0x20, 23, 0)                                                       \
    F(cqc, last_solicit_index, 0x24, 23, 0)                                                        \
    F(cqc, consumer_counter, 0x28, 23, 0)                                                          \
    F(cqc, producer_counter, 0x2c, 23, 0)                                                          \
    F(cqc, dbr_addr, 0x38, 63, 0)
enum { MLX_CQC(MLX_FIELD) };
#define MLX_MODIFY_CQ_IN(F) F(modify_cq_in, modify_field_select, 0xc, 31, 0)
enum { MLX_MODIFY_CQ_IN(MLX_FIELD) };
enum { MLX_CQ_MODIFY_PERIOD = 1, MLX_CQ_MODIFY_COUNT = 2 };
enum { MLX_CQ_ERR_OVERRUN = 1, MLX_CQ_ERR_ACCESS = 2 };

/* Doorbell records: big-endian words. */
enum {
    MLX_DBR_CQ_CONSUMER = 0,
    MLX_DBR_CQ_ARM = 4,
    MLX_DBR_RQ = 0,
    MLX_DBR_SQ = 4,
    MLX_DBR_SIZE = 8
};

#define MLX_CQE_SIZE 64
#define MLX_CQE(F)                                                                                 \
    F(cqe, srqn_user_index, 0x20, 23, 0)                                                           \
    F(cqe, imm_inval_pkey, 0x24, 31, 0)                                                            \
    F(cqe, byte_cnt, 0x2c, 31, 0)                                                                  \
    F(cqe, timestamp, 0x30, 63, 0)                                                                 \
    F(cqe, vendor_err_synd, 0x34, 15, 8)                                                           \
    F(cqe, syndrome, 0x34, 7, 0)                                                                   \
    F(cqe, send_wqe_opcode, 0x38, 31, 24)                                                          \
    F(cqe, qpn, 0x38, 23, 0)                                                                       \
    F(cqe, wqe_counter, 0x3c, 31, 16)                                                              \
    F(cqe, signature, 0x3c, 15, 8)                                                                 \
    F(cqe, opcode, 0x3c, 7, 4)                                                                     \
    F(cqe, se, 0x3c, 1, 1)                                                                         \
    F(cqe, owner, 0x3c, 0, 0)
enum { MLX_CQE(MLX_FIELD) };

enum mlx_cqe_opcode {
    MLX_CQE_REQ = 0,
    MLX_CQE_RESP_WR_IMM = 1,
    MLX_CQE_RESP_SEND = 2,
    MLX_CQE_RESP_SEND_IMM = 3,
    MLX_CQE_RESP_SEND_INV = 4,
    MLX_CQE_REQ_ERR = 0xd,
    MLX_CQE_RESP_ERR = 0xe,
    MLX_CQE_INVALID = 0xf,
};

enum mlx_cqe_syndrome {
    MLX_SYNDROME_LOCAL_LENGTH = 0x01,
    MLX_SYNDROME_LOCAL_QP_OP = 0x02,
    MLX_SYNDROME_LOCAL_PROT = 0x04,
    MLX_SYNDROME_FLUSHED = 0x05,
    MLX_SYNDROME_MW_BIND = 0x06,
    MLX_SYNDROME_BAD_RESP = 0x10,
    MLX_SYNDROME_LOCAL_ACCESS = 0x11,
    MLX_SYNDROME_REMOTE_INVALID_REQ = 0x12,
    MLX_SYNDROME_REMOTE_ACCESS = 0x13,
    MLX_SYNDROME_REMOTE_OP = 0x14,
    MLX_SYNDROME_TRANSPORT_RETRY = 0x15,
    MLX_SYNDROME_RNR_RETRY = 0x16,
    MLX_SYNDROME_REMOTE_ABORTED = 0x22,
};

/* --- memory keys ---------------------------------------------------------------------------------- */

#define MLX_MKC(F)                                                                                 \
    F(mkc, free, 0x0, 30, 30)                                                                      \
    F(mkc, access_mode_4_2, 0x0, 28, 26)                                                           \
    F(mkc, umr_en, 0x0, 15, 15)                                                                    \
    F(mkc, a, 0x0, 14, 14)                                                                         \
    F(mkc, rw, 0x0, 13, 13)                                                                        \
    F(mkc, rr, 0x0, 12, 12)                                                                        \
    F(mkc, lw, 0x0, 11, 11)                                                                        \
    F(mkc, lr, 0x0, 10, 10)                                                                        \
    F(mkc, access_mode_1_0, 0x0, 9, 8)                                                             \
    F(mkc, qpn, 0x4, 31, 8)                                                                        \
    F(mkc, mkey_7_0, 0x4, 7, 0)                                                                    \
    F(mkc, length64, 0xc, 31, 31)                                                                  \
    F(mkc, bsf_en, 0xc, 30, 30)                                                                    \
    F(mkc, en_rinval, 0xc, 24, 24)                                                                 \
    F(mkc, pd, 0xc, 23, 0)                                                                         \
    F(mkc, start_addr, 0x10, 63, 0)                                                                \
    F(mkc, len, 0x18, 63, 0)                                                                       \
    F(mkc, bsf_octword_size, 0x20, 31, 0)                                                          \
    F(mkc, translations_octword_size, 0x34, 31, 0)                                                 \
    F(mkc, log_page_size, 0x38, 4, 0)
enum { MLX_MKC(MLX_FIELD) };
#define MLX_CREATE_MKEY_IN(F)                                                                      \
    F(create_mkey_in, pg_access, 0xc, 31, 31)                                                      \
    F(create_mkey_in, translations_octword_actual_size, 0x60, 31, 0)
enum { MLX_CREATE_MKEY_IN(MLX_FIELD) };

enum mlx_access_mode { MLX_MODE_PA = 0, MLX_MODE_MTT = 1, MLX_MODE_KLM = 2, MLX_MODE_KSM = 3 };
#define MLX_MKEY_ANY_QP  0xffffffu
#define MLX_OCTWORD      16
#define MLX_MTT_READ     1ull
#define MLX_MTT_WRITE    2ull
#define MLX_INVALID_LKEY 0x100u /* ends a receive WQE */

#define MLX_KLM(F)                                                                                 \
    F(klm, byte_count, 0x0, 31, 0)                                                                 \
    F(klm, mkey, 0x4, 31, 0)                                                                       \
    F(klm, address, 0x8, 63, 0)
enum { MLX_KLM(MLX_FIELD) };

/* --- queue pairs ---------------------------------------------------------------------------------- */

#define MLX_QPC_FIELDS(F)                                                                          \
    F(qpc, state, 0x0, 31, 28)                                                                     \
    F(qpc, st, 0x0, 23, 16)                                                                        \
    F(qpc, pm_state, 0x0, 12, 11)                                                                  \
    F(qpc, end_padding_mode, 0x0, 3, 2)                                                            \
    F(qpc, wq_signature, 0x4, 31, 31)                                                              \
    F(qpc, block_lb_mc, 0x4, 30, 30)                                                               \
    F(qpc, latency_sensitive, 0x4, 28, 28)                                                         \
    F(qpc, pd, 0x4, 23, 0)                                                                         \
    F(qpc, mtu, 0x8, 31, 29)                                                                       \
    F(qpc, log_msg_max, 0x8, 28, 24)                                                               \
    F(qpc, log_rq_size, 0x8, 22, 19)                                                               \
    F(qpc, log_rq_stride, 0x8, 18, 16)                                                             \
    F(qpc, no_sq, 0x8, 15, 15)                                                                     \
    F(qpc, log_sq_size, 0x8, 14, 11)                                                               \
    F(qpc, ts_format, 0x8, 7, 6)                                                                   \
    F(qpc, rlky, 0x8, 4, 4)                                                                        \
    F(qpc, counter_set_id, 0xc, 31, 24)                                                            \
    F(qpc, uar_page, 0xc, 23, 0)                                                                   \
    F(qpc, user_index, 0x10, 23, 0)                                                                \
    F(qpc, log_page_size, 0x14, 28, 24)                                                            \
    F(qpc, remote_qpn, 0x14, 23, 0)                                                                \
    F(qpc, log_ack_req_freq, 0x70, 31, 28)                                                         \
    F(qpc, log_sra_max, 0x70, 23, 21)                                                              \
    F(qpc, retry_count, 0x70, 18, 16)                                                              \
    F(qpc, rnr_retry, 0x70, 15, 13)                                                                \
    F(qpc, fre, 0x70, 11, 11)                                                                      \
    F(qpc, next_send_psn, 0x78, 23, 0)                                                             \
    F(qpc, cqn_snd, 0x7c, 23, 0)                                                                   \
    F(qpc, deth_sqpn, 0x80, 23, 0)                                                                 \
    F(qpc, last_acked_psn, 0x88, 23, 0)                                                            \
    F(qpc, ssn, 0x8c, 23, 0)                                                                       \
    F(qpc, log_rra_max, 0x90, 23, 21)                                                              \
    F(qpc, atomic_mode, 0x90, 19, 16)                                                              \
    F(qpc, rre, 0x90, 15, 15)                                                                      \
    F(qpc, rwe, 0x90, 14, 14)                                                                      \
    F(qpc, rae, 0x90, 13, 13)                                                                      \
    F(qpc, page_offset, 0x90, 11, 6)                                                               \
    F(qpc, min_rnr_nak, 0x94, 28, 24)                                                              \
    F(qpc, next_rcv_psn, 0x94, 23, 0)                                                              \
    F(qpc, xrcd, 0x98, 23, 0)                                                                      \
    F(qpc, cqn_rcv, 0x9c, 23, 0)                                                                   \
    F(qpc, dbr_addr, 0xa0, 63, 0)                                                                  \
    F(qpc, q_key, 0xa8, 31, 0)                                                                     \
    F(qpc, rq_type, 0xac, 26, 24)                                                                  \
    F(qpc, srqn_rmpn_xrqn, 0xac, 23, 0)                                                            \
    F(qpc, rmsn, 0xb0, 23, 0)                                                                      \
    F(qpc, hw_sq_wqebb_counter, 0xb4, 31, 16)                                                      \
    F(qpc, sw_sq_wqebb_counter, 0xb4, 15, 0)                                                       \
    F(qpc, hw_rq_counter, 0xb8, 31, 0)                                                             \
    F(qpc, sw_rq_counter, 0xbc, 31, 0)                                                             \
    F(qpc, cs_req, 0xc4, 15, 8)                                                                    \
    F(qpc, cs_res, 0xc4, 7, 0)
enum { MLX_QPC_FIELDS(MLX_FIELD) };
enum { MLX_QPC_SIZE = 0xe8, MLX_QPC_PRIMARY = 0x18, MLX_QPC_SECONDARY = 0x44 };
enum { create_qp_in_input_qpn = MLX_AT(0x8, 23, 0), qp_in_opt_param_mask = MLX_AT(0x10, 31, 0) };

/* Addresses of a path. */
#define MLX_ADS(F)                                                                                 \
    F(ads, fl, 0x0, 31, 31)                                                                        \
    F(ads, free_ar, 0x0, 30, 30)                                                                   \
    F(ads, pkey_index, 0x0, 15, 0)                                                                 \
    F(ads, grh, 0x4, 23, 23)                                                                       \
    F(ads, mlid, 0x4, 22, 16)                                                                      \
    F(ads, rlid, 0x4, 15, 0)                                                                       \
    F(ads, ack_timeout, 0x8, 31, 27)                                                               \
    F(ads, src_addr_index, 0x8, 23, 16)                                                            \
    F(ads, stat_rate, 0x8, 11, 8)                                                                  \
    F(ads, hop_limit, 0x8, 7, 0)                                                                   \
    F(ads, tclass, 0xc, 27, 20)                                                                    \
    F(ads, flow_label, 0xc, 19, 0)                                                                 \
    F(ads, rgid_rip_0, 0x10, 63, 0)                                                                \
    F(ads, rgid_rip_8, 0x18, 63, 0)                                                                \
    F(ads, f_dscp, 0x20, 27, 27)                                                                   \
    F(ads, f_ecn, 0x20, 26, 26)                                                                    \
    F(ads, f_eth_prio, 0x20, 24, 24)                                                               \
    F(ads, ecn, 0x20, 23, 22)                                                                      \
    F(ads, dscp, 0x20, 21, 16)                                                                     \
    F(ads, udp_sport, 0x20, 15, 0)                                                                 \
    F(ads, dei_cfi, 0x24, 31, 31)                                                                  \
    F(ads, eth_prio, 0x24, 30, 28)                                                                 \
    F(ads, sl, 0x24, 27, 24)                                                                       \
    F(ads, vhca_port_num, 0x24, 23, 16)                                                            \
    F(ads, rmac_47_32, 0x24, 15, 0)                                                                \
    F(ads, rmac_31_0, 0x28, 31, 0)
enum { MLX_ADS(MLX_FIELD) };

enum mlx_qp_state {
    MLX_QP_RST = 0,
    MLX_QP_INIT = 1,
    MLX_QP_RTR = 2,
    MLX_QP_RTS = 3,
    MLX_QP_SQER = 4,
    MLX_QP_SQD = 5,
    MLX_QP_ERR = 6,
};
enum mlx_service {
    MLX_ST_RC = 0,
    MLX_ST_UC = 1,
    MLX_ST_UD = 2,
    MLX_ST_XRC = 3,
    MLX_ST_QP0 = 7,
    MLX_ST_QP1 = 8,
    MLX_ST_REG_UMR = 0xc,
};
enum { MLX_PM_STATE_MIGRATED = 3 };
enum { MLX_RQ_NORMAL = 0, MLX_RQ_SRQ = 1, MLX_RQ_NONE = 3 };
enum { MLX_MTU_256 = 1, MLX_MTU_512, MLX_MTU_1024, MLX_MTU_2048, MLX_MTU_4096 };

enum mlx_opt_param {
    MLX_OPT_ALT_ADDR_PATH = 1 << 0,
    MLX_OPT_RRE = 1 << 1,
    MLX_OPT_RAE = 1 << 2,
    MLX_OPT_RWE = 1 << 3,
    MLX_OPT_PKEY_INDEX = 1 << 4,
    MLX_OPT_Q_KEY = 1 << 5,
    MLX_OPT_RNR_TIMEOUT = 1 << 6,
    MLX_OPT_PRIMARY_ADDR_PATH = 1 << 7,
    MLX_OPT_SRA_MAX = 1 << 8,
    MLX_OPT_RRA_MAX = 1 << 9,
    MLX_OPT_PM_STATE = 1 << 10,
    MLX_OPT_RETRY_COUNT = 1 << 12,
    MLX_OPT_RNR_RETRY = 1 << 13,
    MLX_OPT_ACK_TIMEOUT = 1 << 14,
    MLX_OPT_PRI_PORT = 1 << 16,
};

/* --- work queue elements (infiniband/mlx5dv.h) ---------------------------------------------------- */

#define MLX_WQEBB 64
#define MLX_DS    16
#define MLX_WQE_CTRL(F)                                                                            \
    F(ctrl, opc_mod, 0x0, 31, 24)                                                                  \
    F(ctrl, wqe_index, 0x0, 23, 8)                                                                 \
    F(ctrl, opcode, 0x0, 7, 0)                                                                     \
    F(ctrl, qpn, 0x4, 31, 8)                                                                       \
    F(ctrl, ds, 0x4, 5, 0)                                                                         \
    F(ctrl, signature, 0x8, 31, 24)                                                                \
    F(ctrl, fm, 0x8, 7, 5)                                                                         \
    F(ctrl, ce, 0x8, 3, 2)                                                                         \
    F(ctrl, se, 0x8, 1, 1)                                                                         \
    F(ctrl, imm, 0xc, 31, 0)
enum { MLX_WQE_CTRL(MLX_FIELD) };
enum { MLX_CE_ON_ERROR = 0, MLX_CE_ALWAYS = 2 };
enum {
    MLX_FM_NONE = 0,
    MLX_FM_SMALL = 1,
    MLX_FM_FENCE = 2,
    MLX_FM_STRONG = 3,
    MLX_FM_SMALL_AND_FENCE = 4
};

enum mlx_wqe_opcode {
    MLX_WQE_NOP = 0x00,
    MLX_WQE_SEND_INVAL = 0x01,
    MLX_WQE_RDMA_WRITE = 0x08,
    MLX_WQE_RDMA_WRITE_IMM = 0x09,
    MLX_WQE_SEND = 0x0a,
    MLX_WQE_SEND_IMM = 0x0b,
    MLX_WQE_LSO = 0x0e,
    MLX_WQE_RDMA_READ = 0x10,
    MLX_WQE_ATOMIC_CS = 0x11,
    MLX_WQE_ATOMIC_FA = 0x12,
    MLX_WQE_UMR = 0x25,
};

#define MLX_WQE_RADDR(F)                                                                           \
    F(raddr, va, 0x0, 63, 0)                                                                       \
    F(raddr, rkey, 0x8, 31, 0)
enum { MLX_WQE_RADDR(MLX_FIELD) };
#define MLX_WQE_ATOMIC(F)                                                                          \
    F(atomic, swap_add, 0x0, 63, 0)                                                                \
    F(atomic, compare, 0x8, 63, 0)
enum { MLX_WQE_ATOMIC(MLX_FIELD) };
#define MLX_WQE_DATA(F)                                                                            \
    F(data, inline, 0x0, 31, 31)                                                                   \
    F(data, byte_count, 0x0, 30, 0)                                                                \
    F(data, lkey, 0x4, 31, 0)                                                                      \
    F(data, addr, 0x8, 63, 0)
enum { MLX_WQE_DATA(MLX_FIELD) };

/* UMR: control segment of 48 bytes, then the key's context of 64, then entries in line, or a data segment that
 * points to them. */
#define MLX_UMR_CTRL_SIZE 48
#define MLX_UMR_ALIGN     4 /* octowords: lists come in multiples of 64 bytes */
#define MLX_UMR_MKEY_SIZE 64
#define MLX_WQE_UMR_CTRL(F)                                                                        \
    F(umr, inline, 0x0, 31, 31)                                                                    \
    F(umr, check_free, 0x0, 30, 29)                                                                \
    F(umr, translation_offset_en, 0x0, 28, 28)                                                     \
    F(umr, klm_octowords, 0x4, 31, 16)                                                             \
    F(umr, translation_offset, 0x4, 15, 0)                                                         \
    F(umr, mkey_mask, 0x8, 63, 0)                                                                  \
    F(umr, translation_offset_47_16, 0x10, 31, 0)
enum { MLX_WQE_UMR_CTRL(MLX_FIELD) };
/* check_free: when the WQE fails. (Linux calls them CHECK_NOT_FREE and CHECK_FREE.) */
enum { MLX_UMR_FAIL_IF_NOT_FREE = 1, MLX_UMR_FAIL_IF_FREE = 2 };

enum {
    MLX_UMR_MASK_LEN = 1 << 0,
    MLX_UMR_MASK_PAGE_SIZE = 1 << 1,
    MLX_UMR_MASK_START_ADDR = 1 << 6,
    MLX_UMR_MASK_PD = 1 << 7,
    MLX_UMR_MASK_EN_RINVAL = 1 << 8,
    MLX_UMR_MASK_KEY = 1 << 13,
    MLX_UMR_MASK_QPN = 1 << 14,
    MLX_UMR_MASK_LR = 1 << 17,
    MLX_UMR_MASK_LW = 1 << 18,
    MLX_UMR_MASK_RR = 1 << 19,
    MLX_UMR_MASK_RW = 1 << 20,
    MLX_UMR_MASK_A = 1 << 21,
    MLX_UMR_MASK_FREE = 1 << 29,
};

/* --- NIC vport, RoCE addresses -------------------------------------------------------------------- */

#define MLX_NIC_VPORT(F)                                                                           \
    F(nic_vport, min_wqe_inline_mode, 0x0, 26, 24)                                                 \
    F(nic_vport, disable_mc_local_lb, 0x0, 2, 2)                                                   \
    F(nic_vport, disable_uc_local_lb, 0x0, 1, 1)                                                   \
    F(nic_vport, roce_en, 0x0, 0, 0)                                                               \
    F(nic_vport, mtu, 0x24, 15, 0)                                                                 \
    F(nic_vport, system_image_guid, 0x28, 63, 0)                                                   \
    F(nic_vport, port_guid, 0x30, 63, 0)                                                           \
    F(nic_vport, node_guid, 0x38, 63, 0)                                                           \
    F(nic_vport, allowed_list_type, 0xf0, 26, 24)                                                  \
    F(nic_vport, allowed_list_size, 0xf0, 11, 0)                                                   \
    F(nic_vport, permanent_address_47_32, 0xf4, 15, 0)                                             \
    F(nic_vport, permanent_address_31_0, 0xf8, 31, 0)
enum { MLX_NIC_VPORT(MLX_FIELD) };
enum { modify_nic_vport_in_field_select = MLX_AT(0xc, 31, 0), MLX_MODIFY_NIC_VPORT_CTX = 0x100 };
enum { MLX_NIC_VPORT_ROCE_EN = 1 << 1, MLX_NIC_VPORT_MTU = 1 << 6 };

#define MLX_ROCE_ADDRESS(F)                                                                        \
    F(roce_address, source_l3_0, 0x0, 63, 0)                                                       \
    F(roce_address, source_l3_8, 0x8, 63, 0)                                                       \
    F(roce_address, vlan_valid, 0x10, 28, 28)                                                      \
    F(roce_address, vlan_id, 0x10, 27, 16)                                                         \
    F(roce_address, source_mac_47_32, 0x10, 15, 0)                                                 \
    F(roce_address, source_mac_31_0, 0x14, 31, 0)                                                  \
    F(roce_address, roce_l3_type, 0x18, 11, 8)                                                     \
    F(roce_address, roce_version, 0x18, 7, 0)
enum { MLX_ROCE_ADDRESS(MLX_FIELD) };
#define MLX_ROCE_ADDRESS_IN(F)                                                                     \
    F(roce_address_in, roce_address_index, 0x8, 31, 16)                                            \
    F(roce_address_in, vhca_port_num, 0x8, 3, 0)
enum { MLX_ROCE_ADDRESS_IN(MLX_FIELD) };
enum {
    MLX_ROCE_ADDRESS_SIZE = 32,
    MLX_ROCE_V1 = 0,
    MLX_ROCE_V2 = 2,
    MLX_L3_IPV4 = 0,
    MLX_L3_IPV6 = 1
};

/* --- InfiniBand's vport ---------------------------------------------------------------------------- */

#define MLX_HCA_VPORT(F)                                                                           \
    F(hca_vport, port_physical_state, 0x20, 15, 12)                                                \
    F(hca_vport, vport_state_policy, 0x20, 11, 8)                                                  \
    F(hca_vport, port_state, 0x20, 7, 4)                                                           \
    F(hca_vport, vport_state, 0x20, 3, 0)                                                          \
    F(hca_vport, system_image_guid, 0x28, 63, 0)                                                   \
    F(hca_vport, port_guid, 0x30, 63, 0)                                                           \
    F(hca_vport, node_guid, 0x38, 63, 0)                                                           \
    F(hca_vport, lid, 0x60, 31, 16)                                                                \
    F(hca_vport, sm_lid, 0x64, 31, 16)
enum { MLX_HCA_VPORT(MLX_FIELD) };
#define MLX_VPORT_INDEX(F)                                                                         \
    F(vport_index, port_num, 0x8, 19, 16)                                                          \
    F(vport_index, vport_number, 0x8, 15, 0)                                                       \
    F(vport_index, index, 0xc, 15, 0)
enum { MLX_VPORT_INDEX(MLX_FIELD) };

/* --- registers (ACCESS_REG) ------------------------------------------------------------------------ */

enum { MLX_REG_WRITE = 0, MLX_REG_READ = 1, MLX_REG_DATA = 0x10 };
#define MLX_ACCESS_REG_IN(F)                                                                       \
    F(access_reg, register_id, 0x8, 15, 0)                                                         \
    F(access_reg, argument, 0xc, 31, 0)
enum { MLX_ACCESS_REG_IN(MLX_FIELD) };

enum mlx_register {
    MLX_REG_PMTU = 0x5003,
    MLX_REG_PTYS = 0x5004,
    MLX_REG_PAOS = 0x5006,
    MLX_REG_PPCNT = 0x5008,
    MLX_REG_PVLC = 0x500f,
    MLX_REG_NODE_DESC = 0x6001,
    MLX_REG_HOST_ENDIANNESS = 0x7004,
};

#define MLX_PMTU(F)                                                                                \
    F(pmtu, local_port, 0x0, 23, 16)                                                               \
    F(pmtu, max_mtu, 0x4, 31, 16)                                                                  \
    F(pmtu, admin_mtu, 0x8, 31, 16)                                                                \
    F(pmtu, oper_mtu, 0xc, 31, 16)
enum { MLX_PMTU(MLX_FIELD) };
#define MLX_PTYS(F)                                                                                \
    F(ptys, local_port, 0x0, 23, 16)                                                               \
    F(ptys, proto_mask, 0x0, 2, 0)                                                                 \
    F(ptys, eth_proto_capability, 0xc, 31, 0)                                                      \
    F(ptys, ib_link_width_capability, 0x10, 31, 16)                                                \
    F(ptys, ib_proto_capability, 0x10, 15, 0)                                                      \
    F(ptys, eth_proto_admin, 0x18, 31, 0)                                                          \
    F(ptys, ib_link_width_admin, 0x1c, 31, 16)                                                     \
    F(ptys, ib_proto_admin, 0x1c, 15, 0)                                                           \
    F(ptys, eth_proto_oper, 0x24, 31, 0)                                                           \
    F(ptys, ib_link_width_oper, 0x28, 31, 16)                                                      \
    F(ptys, ib_proto_oper, 0x28, 15, 0)
enum { MLX_PTYS(MLX_FIELD) };
#define MLX_PAOS(F)                                                                                \
    F(paos, local_port, 0x0, 23, 16)                                                               \
    F(paos, admin_status, 0x0, 11, 8)                                                              \
    F(paos, oper_status, 0x0, 3, 0)                                                                \
    F(paos, ase, 0x4, 31, 31)
enum { MLX_PAOS(MLX_FIELD) };
enum { MLX_PAOS_UP = 1, MLX_PAOS_DOWN = 2 };
#define MLX_PVLC(F)                                                                                \
    F(pvlc, local_port, 0x0, 23, 16)                                                               \
    F(pvlc, vl_hw_cap, 0x4, 3, 0)                                                                  \
    F(pvlc, vl_admin, 0x8, 3, 0)                                                                   \
    F(pvlc, vl_operational, 0xc, 3, 0)
enum { MLX_PVLC(MLX_FIELD) };

/* --- queues of Ethernet and shared receive queues, as far as they tie objects together ------------- */

#define MLX_SQC(F)                                                                                 \
    F(sqc, state, 0x0, 23, 20)                                                                     \
    F(sqc, user_index, 0x4, 23, 0)                                                                 \
    F(sqc, cqn, 0x8, 23, 0)
enum { MLX_SQC(MLX_FIELD) };
enum { MLX_WQ_IN_CTX = 0x30, MLX_WQ_PAS = 0xc0 };
#define MLX_WQ(F)                                                                                  \
    F(wq, wq_type, 0x0, 31, 28)                                                                    \
    F(wq, page_offset, 0x4, 20, 16)                                                                \
    F(wq, pd, 0x8, 23, 0)                                                                          \
    F(wq, uar_page, 0xc, 23, 0)                                                                    \
    F(wq, dbr_addr, 0x10, 63, 0)                                                                   \
    F(wq, log_wq_stride, 0x20, 19, 16)                                                             \
    F(wq, log_wq_pg_sz, 0x20, 12, 8)                                                               \
    F(wq, log_wq_sz, 0x20, 4, 0)
enum { MLX_WQ(MLX_FIELD) };
enum { MLX_SQ_RST = 0, MLX_SQ_RDY = 1, MLX_SQ_ERR = 3 };

#define MLX_FLOW(F)                                                                                \
    F(flow, table_id, 0x14, 23, 0)                                                                 \
    F(flow, group_id, 0x18, 31, 0)
enum { MLX_FLOW(MLX_FIELD) };

/* --- QUERY_ADAPTER ---------------------------------------------------------------------------------- */

enum { MLX_ADAPTER_PSID = 0x10 + 0xf0, MLX_ADAPTER_PSID_SIZE = 16 };

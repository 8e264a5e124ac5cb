/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities (mlx5_ifc.h: cmd_hca_cap and its kin): what this card has, as a table, and what of it a driver may set. */
#include "tools/hca/commands.h"

struct cap {
    u32 field, value;
};

static const struct cap general[] = {
    {cap_log_max_srq_sz, 15},
    {cap_log_max_qp_sz, HCA_LOG_QP_SZ},
    {cap_log_max_qp, 16},
    {cap_log_max_srq, 16},
    {cap_log_max_cq_sz, HCA_LOG_CQ_SZ},
    {cap_log_max_cq, 16},
    {cap_log_max_eq_sz, HCA_LOG_EQ_SZ},
    {cap_log_max_mkey, 16},
    {cap_log_max_eq, 5},
    {cap_max_indirection, 4},
    {cap_fixed_buffer_size, 1},
    {cap_log_max_mrw_sz, 31},
    {cap_force_teardown, 1},
    {cap_fast_teardown, 1},
    {cap_log_max_klm_list_size, 16},
    {cap_log_max_ra_req_qp, HCA_LOG_RD},
    {cap_log_max_ra_res_qp, HCA_LOG_RD},
    {cap_local_ca_ack_delay, 15},
    {cap_num_ports, 1},
    {cap_log_max_msg, 30},
    {cap_cqe_version, 1},
    {cap_atomic, 1},
    {cap_cq_moderation, 1},
    {cap_cq_oi, 1},
    {cap_xrc, 1}, /* mlx5_ib asks for it, and makes an SRQ of it that it does not use */
    {cap_ud, 1},
    {cap_rc, 1},
    {cap_log_pg_sz, 12},
    {cap_log_bf_reg_size, 9},
    {cap_max_wqe_sz_sq, HCA_MAX_WQE},
    {cap_max_wqe_sz_rq, 512},
    {cap_log_max_transport_domain, 16},
    {cap_log_max_pd, 16},
    {cap_log_max_xrcd, 16},
    {cap_max_num_eqs, 31},
};

static const struct cap general_ethernet[] = {
    {cap_port_type, MLX_PORT_ETHERNET},
    {cap_roce, 1},
    {cap_eth_net_offloads, 1},
    {cap_nic_flow_table, 1},
    {cap_gid_table_size, 0},
    {cap_max_tc, 1},
    {cap_log_max_rq, 16},
    {cap_log_max_sq, 10},
    {cap_log_max_tir, 16},
    {cap_log_max_tis, 16},
    {cap_log_max_rmp, 16},
    {cap_log_max_rqt, 16},
    {cap_log_max_rqt_size, 8},
    {cap_log_max_tis_per_sq, 1},
    {cap_log_max_stride_sz_rq, 12},
    {cap_log_max_stride_sz_sq, 6},
    {cap_log_min_stride_sz_sq, 6},
    {cap_log_max_wq_sz, HCA_LOG_QP_SZ},
    {cap_log_max_vlan_list, 4},
    {cap_log_max_current_mc_list, 4},
    {cap_log_max_current_uc_list, 4},
};

static const struct cap ethernet[] = {
    {eth_cap_csum_cap, 1},     {eth_cap_vlan_cap, 1},        {eth_cap_self_lb_en_modifiable, 1},
    {eth_cap_max_lso_cap, 16}, {eth_cap_rss_ind_tbl_cap, 8},
};

/* 8-byte atomics, compare and swap, fetch and add. */
static const struct cap atomic[] = {
    {atomic_cap_supported_req_8B_endianness_mode_1, 1},
    {atomic_cap_operations, 3},
    {atomic_cap_size_qp, 8},
};

static const struct cap roce[] = {
    {roce_cap_sw_r_roce_src_udp_port, 1},
    {roce_cap_l3_type, 6},
    {roce_cap_roce_version, 1 << MLX_ROCE_V1 | 1 << MLX_ROCE_V2},
    {roce_cap_r_roce_dest_udp_port, 4791},
    {roce_cap_r_roce_max_src_udp_port, 0xffff},
    {roce_cap_r_roce_min_src_udp_port, 0xc000},
    {roce_cap_roce_address_table_size, HCA_GIDS},
};

static const struct cap flow_table[] = {
    {flow_cap_ft_support, 1},
    {flow_cap_flow_modify_en, 1},
    {flow_cap_modify_root, 1},
    {flow_cap_identified_miss_table_mode, 1},
    {flow_cap_flow_table_modify, 1},
    {flow_cap_log_max_ft_size, 16},
    {flow_cap_max_ft_level, 64},
    {flow_cap_log_max_ft_num, 16},
    {flow_cap_log_max_destination, 16},
    {flow_cap_log_max_flow, 16},
    {flow_cap_ft_field_support, 0xffffffff},
    {flow_cap_ft_field_bitmask_support, 0xffffffff},
};

/* What SET_HCA_CAP may change: to at most the maximum. */
static const struct {
    u8 type;
    const char *name;
    u32 field, most;
} settable[] = {
    {MLX_CAP_GENERAL, "log_max_qp", cap_log_max_qp, 16},
    {MLX_CAP_GENERAL, "pkey_table_size", cap_pkey_table_size, 5},
    {MLX_CAP_GENERAL, "cmdif_checksum", cap_cmdif_checksum, 3},
    {MLX_CAP_GENERAL, "log_uar_page_sz", cap_log_uar_page_sz, 0},
    {MLX_CAP_GENERAL, "roce", cap_roce, 1},
    {MLX_CAP_ATOMIC, "req_8B_endianness_mode", atomic_cap_req_8B_endianness_mode, 1},
    {MLX_CAP_ROCE, "sw_r_roce_src_udp_port", roce_cap_sw_r_roce_src_udp_port, 1},
};

static void put(u8 *cap, const struct cap *caps, u32 count)
{
    for (u32 i = 0; i < count; i++)
        mlx_set(cap, caps[i].field, caps[i].value);
}
#define PUT(type, table) put(h->cap_max[type], table, COUNT_OF(table))

void caps_reset(struct hca *h)
{
    u8 *max = h->cap_max[MLX_CAP_GENERAL];
    bool eth = h->options.port_type == MLX_PORT_ETHERNET;

    memset(h->cap_max, 0, sizeof(h->cap_max));
    PUT(MLX_CAP_GENERAL, general);
    PUT(MLX_CAP_ATOMIC, atomic);
    if (eth) {
        PUT(MLX_CAP_GENERAL, general_ethernet);
        PUT(MLX_CAP_ETHERNET, ethernet);
        PUT(MLX_CAP_ROCE, roce);
        PUT(MLX_CAP_FLOW_TABLE, flow_table);
    } else {
        mlx_set(max, cap_ib_virt, 1);
        mlx_set(max, cap_gid_table_size, 0);
    }
    if (!h->options.umr) {
        mlx_set(max, cap_umr_modify_entity_size_disabled, 1);
        mlx_set(max, cap_umr_modify_atomic_disabled, 1);
        mlx_set(max, cap_umr_indirect_mkey_disabled, 1);
    }
    memcpy(h->cap, h->cap_max, sizeof(h->cap));
    mlx_set(max, cap_cmdif_checksum, 3);
    mlx_set(h->cap[MLX_CAP_ROCE], roce_cap_sw_r_roce_src_udp_port, 0);
}

/* --- commands --------------------------------------------------------------------------------------------- */

static enum mlx_status check_type(struct hca *h, u32 type)
{
    bool eth = h->options.port_type == MLX_PORT_ETHERNET;

    if (type == MLX_CAP_GENERAL || type == MLX_CAP_ATOMIC ||
        (eth && (type == MLX_CAP_ETHERNET || type == MLX_CAP_ROCE || type == MLX_CAP_FLOW_TABLE)))
        return MLX_OK;
    return hca_refuse(h, MLX_BAD_PARAM, "op_mod: capabilities of type %u are not there", type);
}

enum mlx_status command_query_hca_cap(struct hca *h, struct command *c)
{
    u32 type = c->op_mod >> 1;
    enum mlx_status s = check_type(h, type);

    if (s == MLX_OK)
        memcpy(c->out + MLX_CTX, c->op_mod & 1 ? h->cap[type] : h->cap_max[type], MLX_CAP_SIZE);
    return s;
}

/* Of the atomic and RoCE ones only what changes is sent; the general ones are sent whole. */
static enum mlx_status check_rest(struct hca *h, u32 type, const u8 *want)
{
    u8 rest[MLX_CAP_SIZE];

    memcpy(rest, want, sizeof(rest));
    for (u32 i = 0; i < COUNT_OF(settable); i++)
        if (settable[i].type == type)
            mlx_set(rest, settable[i].field, mlx_get(h->cap[type], settable[i].field));
    for (u32 at = 0; at < MLX_CAP_SIZE; at += 4) {
        u64 is = mlx_get(h->cap[type] + at, MLX_AT(0, 31, 0));
        u64 wants = mlx_get(rest + at, MLX_AT(0, 31, 0));

        if (wants != is && (wants & ~is || type == MLX_CAP_GENERAL))
            return hca_refuse(h, MLX_BAD_PARAM,
                              "SET_HCA_CAP type %u: 0x%x at 0x%x is 0x%x, and cannot be set", type,
                              (u32)wants, at, (u32)is);
    }
    return MLX_OK;
}

enum mlx_status command_set_hca_cap(struct hca *h, struct command *c)
{
    u32 type = c->op_mod >> 1;
    const u8 *want = c->in + MLX_CTX;
    enum mlx_status s = check_type(h, type);

    if (s == MLX_OK && h->state == HCA_RUNNING)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "SET_HCA_CAP after INIT_HCA");
    if (s == MLX_OK)
        s = check_rest(h, type, want);
    for (u32 i = 0; s == MLX_OK && i < COUNT_OF(settable); i++)
        if (settable[i].type == type && mlx_get(want, settable[i].field) > settable[i].most)
            s = hca_refuse(h, MLX_BAD_PARAM, "SET_HCA_CAP: %s 0x%x: at most 0x%x", settable[i].name,
                           (u32)mlx_get(want, settable[i].field), settable[i].most);
    for (u32 i = 0; s == MLX_OK && i < COUNT_OF(settable); i++)
        if (settable[i].type == type)
            mlx_set(h->cap[type], settable[i].field, mlx_get(want, settable[i].field));
    return s;
}

enum mlx_status command_query_adapter(struct hca *h, struct command *c)
{
    (void)h;
    memcpy(c->out + MLX_ADAPTER_PSID, "FRY0000000001\0\0\0", MLX_ADAPTER_PSID_SIZE);
    return MLX_OK;
}

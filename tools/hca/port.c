/* SPDX-License-Identifier: BSD-2-Clause */
/* The port: its state, its registers, the vports' contexts, RoCE addresses. */
#include "tools/hca/commands.h"

#define MTU_MOST 4200
#define PKEYS    128

static u64 mac_number(const struct hca *h)
{
    u64 n = 0;

    for (u32 i = 0; i < 6; i++)
        n = n << 8 | h->options.mac[i];
    return n;
}

/* EUI-64, as cards have it. */
static u64 guid(const struct hca *h)
{
    u64 mac = mac_number(h);

    return (mac >> 24) << 40 | 0xfffeull << 24 | (mac & 0xffffff);
}

void port_reset(struct hca *h)
{
    u8 *v = h->nic_vport;

    memset(v, 0, sizeof(h->nic_vport));
    memset(h->roce_address, 0, sizeof(h->roce_address));
    mlx_set(v, nic_vport_mtu, 1522);
    mlx_set(v, nic_vport_system_image_guid, guid(h));
    mlx_set(v, nic_vport_port_guid, guid(h));
    mlx_set(v, nic_vport_node_guid, guid(h));
    mlx_set(v, nic_vport_permanent_address_47_32, mac_number(h) >> 32);
    mlx_set(v, nic_vport_permanent_address_31_0, mac_number(h));
    h->mtu = 1500;
    h->admin_up = h->options.port_type == MLX_PORT_IB;
}

static bool is_active(const struct hca *h)
{
    return h->port_up && h->admin_up;
}

static void change(struct hca *h, bool *what, bool value)
{
    u8 eqe[MLX_EQE_SIZE] = {0};
    bool before = is_active(h);

    *what = value;
    if (is_active(h) == before)
        return;
    mlx_set(eqe, eqe_port_num, 1);
    hca_log(h, LOG_INFO, "the port is %s", is_active(h) ? "up" : "down");
    eq_event(h, MLX_EVENT_PORT, is_active(h) ? MLX_PORT_ACTIVE : MLX_PORT_DOWN, eqe);
}

void port_set(struct hca *h, bool up)
{
    change(h, &h->port_up, up);
}

/* --- registers --------------------------------------------------------------------------------------------- */

#define ETH_100GBASE_SR4 (1u << 21)
#define IB_EDR           0x20
#define IB_4X            4

static enum mlx_status pmtu(struct hca *h, const u8 *in, u8 *out, bool write)
{
    u32 mtu = (u32)mlx_get(in, pmtu_admin_mtu);

    if (write && (mtu < 64 || mtu > MTU_MOST))
        return hca_refuse(h, MLX_BAD_PARAM, "PMTU.admin_mtu %u: 64 to %u", mtu, MTU_MOST);
    if (write)
        h->mtu = mtu;
    mtu = h->options.port_type == MLX_PORT_IB ? 4096 : h->mtu;
    mlx_set(out, pmtu_local_port, 1);
    mlx_set(out, pmtu_max_mtu, h->options.port_type == MLX_PORT_IB ? 4096 : MTU_MOST);
    mlx_set(out, pmtu_admin_mtu, mtu);
    mlx_set(out, pmtu_oper_mtu, mtu);
    return MLX_OK;
}

static enum mlx_status paos(struct hca *h, const u8 *in, u8 *out, bool write)
{
    u32 admin = (u32)mlx_get(in, paos_admin_status);

    if (write && mlx_get(in, paos_local_port) != 1)
        return hca_refuse(h, MLX_BAD_PARAM, "PAOS.local_port %u: there is port 1",
                          (u32)mlx_get(in, paos_local_port));
    if (write && mlx_get(in, paos_ase)) {
        if (admin != MLX_PAOS_UP && admin != MLX_PAOS_DOWN)
            return hca_refuse(h, MLX_BAD_PARAM, "PAOS.admin_status %u: 1 is up, 2 is down", admin);
        change(h, &h->admin_up, admin == MLX_PAOS_UP);
    }
    mlx_set(out, paos_local_port, 1);
    mlx_set(out, paos_admin_status, h->admin_up ? MLX_PAOS_UP : MLX_PAOS_DOWN);
    mlx_set(out, paos_oper_status, is_active(h) ? MLX_PAOS_UP : MLX_PAOS_DOWN);
    return MLX_OK;
}

static enum mlx_status ptys(struct hca *h, const u8 *in, u8 *out, bool write)
{
    (void)in;
    if (write)
        return hca_refuse(h, MLX_BAD_PARAM, "PTYS: the speed is fixed here");
    mlx_set(out, ptys_local_port, 1);
    if (h->options.port_type == MLX_PORT_IB) {
        mlx_set(out, ptys_proto_mask, 1);
        mlx_set(out, ptys_ib_link_width_capability, IB_4X);
        mlx_set(out, ptys_ib_proto_capability, IB_EDR);
        mlx_set(out, ptys_ib_link_width_admin, IB_4X);
        mlx_set(out, ptys_ib_proto_admin, IB_EDR);
        mlx_set(out, ptys_ib_link_width_oper, IB_4X);
        mlx_set(out, ptys_ib_proto_oper, IB_EDR);
        return MLX_OK;
    }
    mlx_set(out, ptys_proto_mask, 4);
    mlx_set(out, ptys_eth_proto_capability, ETH_100GBASE_SR4);
    mlx_set(out, ptys_eth_proto_admin, ETH_100GBASE_SR4);
    mlx_set(out, ptys_eth_proto_oper, is_active(h) ? ETH_100GBASE_SR4 : 0);
    return MLX_OK;
}

static enum mlx_status pvlc(struct hca *h, const u8 *in, u8 *out, bool write)
{
    (void)h;
    (void)in;
    (void)write;
    mlx_set(out, pvlc_local_port, 1);
    mlx_set(out, pvlc_vl_hw_cap, 4);
    mlx_set(out, pvlc_vl_admin, 4);
    mlx_set(out, pvlc_vl_operational, 4);
    return MLX_OK;
}

static enum mlx_status node_desc(struct hca *h, const u8 *in, u8 *out, bool write)
{
    (void)h;
    (void)in;
    if (!write)
        memcpy(out, "Ferry's HCA model", 18);
    return MLX_OK;
}

static enum mlx_status endianness(struct hca *h, const u8 *in, u8 *out, bool write)
{
    (void)out;
    if (write && in[0])
        return hca_refuse(h, MLX_BAD_PARAM, "HOST_ENDIANNESS 0x%x: 0 is little-endian", in[0]);
    return MLX_OK;
}

static enum mlx_status zeros(struct hca *h, const u8 *in, u8 *out, bool write)
{
    (void)h;
    (void)in;
    (void)out;
    (void)write;
    return MLX_OK;
}

static const struct {
    u16 id;
    u32 size; /* at least */
    enum mlx_status (*access)(struct hca *h, const u8 *in, u8 *out, bool write);
} registers[] = {
    {MLX_REG_PMTU, 16, pmtu},
    {MLX_REG_PAOS, 16, paos},
    {MLX_REG_PTYS, 64, ptys},
    {MLX_REG_PVLC, 16, pvlc},
    {MLX_REG_PPCNT, 256, zeros},
    {MLX_REG_NODE_DESC, 64, node_desc},
    {MLX_REG_HOST_ENDIANNESS, 16, endianness},
};

enum mlx_status command_access_reg(struct hca *h, struct command *c)
{
    u32 id = (u32)mlx_get(c->in, access_reg_register_id);

    if (c->op_mod > MLX_REG_READ)
        return hca_refuse(h, MLX_BAD_PARAM, "op_mod %u: 0 writes, 1 reads", c->op_mod);
    for (u32 i = 0; i < COUNT_OF(registers); i++) {
        if (registers[i].id != id)
            continue;
        if (c->in_size < MLX_REG_DATA + registers[i].size || c->out_size != c->in_size)
            return hca_refuse(h, MLX_BAD_SIZE, "register 0x%x has %u bytes", id, registers[i].size);
        return registers[i].access(h, c->in + MLX_REG_DATA, c->out + MLX_REG_DATA,
                                   c->op_mod == MLX_REG_WRITE);
    }
    return hca_refuse(h, MLX_BAD_PARAM, "register_id 0x%x is not there", id);
}

/* --- Ethernet's vport ----------------------------------------------------------------------------------------- */

enum mlx_status command_query_vport_state(struct hca *h, struct command *c)
{
    mlx_set(c->out, MLX_AT(0xc, 7, 4), h->admin_up);
    mlx_set(c->out, MLX_AT(0xc, 3, 0), is_active(h));
    return MLX_OK;
}

enum mlx_status command_query_nic_vport_context(struct hca *h, struct command *c)
{
    memcpy(c->out + MLX_CTX, h->nic_vport, sizeof(h->nic_vport));
    return MLX_OK;
}

static bool uses_roce(struct hca *h)
{
    for (u32 i = 0; i < HCA_GIDS; i++)
        if (mlx_get(h->roce_address[i], roce_address_source_l3_8))
            return true;
    return false;
}

enum mlx_status command_modify_nic_vport_context(struct hca *h, struct command *c)
{
    const u8 *v = c->in + MLX_MODIFY_NIC_VPORT_CTX;
    u64 select = mlx_get(c->in, modify_nic_vport_in_field_select);
    bool roce_en = mlx_get(v, nic_vport_roce_en);

    if (select & MLX_NIC_VPORT_MTU)
        mlx_set(h->nic_vport, nic_vport_mtu, mlx_get(v, nic_vport_mtu));
    if (!(select & MLX_NIC_VPORT_ROCE_EN))
        return MLX_OK; /* lists of addresses, promiscuity: Ethernet's */
    if (roce_en && !mlx_get(h->cap[MLX_CAP_GENERAL], cap_roce))
        return hca_refuse(h, MLX_BAD_PARAM, "nic_vport_context.roce_en: the capability roce is 0");
    if (!roce_en && uses_roce(h))
        return hca_refuse(h, MLX_BAD_RES_STATE,
                          "nic_vport_context.roce_en 0, and RoCE addresses are still set");
    mlx_set(h->nic_vport, nic_vport_roce_en, roce_en);
    return MLX_OK;
}

/* --- RoCE addresses --------------------------------------------------------------------------------------------- */

static enum mlx_status check_index(struct hca *h, const struct command *c, u32 *index)
{
    *index = (u32)mlx_get(c->in, roce_address_in_roce_address_index);
    if (h->options.port_type != MLX_PORT_ETHERNET)
        return hca_refuse(h, MLX_BAD_OP, "%s on an InfiniBand port", c->row->name);
    if (mlx_get(c->in, roce_address_in_vhca_port_num))
        return hca_refuse(h, MLX_BAD_PARAM, "vhca_port_num: num_vhca_ports is 0");
    if (*index >= HCA_GIDS)
        return hca_refuse(h, MLX_BAD_INDEX, "roce_address_index %u: there are %u", *index,
                          HCA_GIDS);
    return MLX_OK;
}

enum mlx_status command_set_roce_address(struct hca *h, struct command *c)
{
    const u8 *a = c->in + MLX_CTX;
    u64 version = mlx_get(a, roce_address_roce_version);
    u32 index;
    enum mlx_status s = check_index(h, c, &index);

    if (s != MLX_OK)
        return s;
    if (!mlx_get(h->nic_vport, nic_vport_roce_en))
        return hca_refuse(h, MLX_BAD_SYS_STATE,
                          "SET_ROCE_ADDRESS, and nic_vport_context.roce_en is 0");
    if (version != MLX_ROCE_V1 && version != MLX_ROCE_V2)
        return hca_refuse(h, MLX_BAD_PARAM, "roce_version %u: 0 is v1, 2 is v2", (u32)version);
    if (mlx_get(a, roce_address_roce_l3_type) > MLX_L3_IPV6)
        return hca_refuse(h, MLX_BAD_PARAM, "roce_l3_type %u: 0 is IPv4, 1 is IPv6",
                          (u32)mlx_get(a, roce_address_roce_l3_type));
    memcpy(h->roce_address[index], a, MLX_ROCE_ADDRESS_SIZE);
    return MLX_OK;
}

enum mlx_status command_query_roce_address(struct hca *h, struct command *c)
{
    u32 index;
    enum mlx_status s = check_index(h, c, &index);

    if (s == MLX_OK)
        memcpy(c->out + MLX_CTX, h->roce_address[index], MLX_ROCE_ADDRESS_SIZE);
    return s;
}

/* --- InfiniBand's vport ------------------------------------------------------------------------------------------- */

enum mlx_status command_query_hca_vport_context(struct hca *h, struct command *c)
{
    u8 *v = c->out + MLX_CTX;

    mlx_set(v, hca_vport_port_physical_state, is_active(h) ? 5 : 2); /* LinkUp, Polling */
    mlx_set(v, hca_vport_port_state, is_active(h) ? 4 : 1);          /* Active, Down */
    mlx_set(v, hca_vport_vport_state, is_active(h) ? 4 : 1);
    mlx_set(v, hca_vport_system_image_guid, guid(h));
    mlx_set(v, hca_vport_port_guid, guid(h));
    mlx_set(v, hca_vport_node_guid, guid(h));
    mlx_set(v, hca_vport_lid, h->options.lid);
    mlx_set(v, hca_vport_sm_lid, h->options.lid);
    return MLX_OK;
}

enum mlx_status command_query_hca_vport_gid(struct hca *h, struct command *c)
{
    if (mlx_get(c->in, vport_index_index) >= 8)
        return hca_refuse(h, MLX_BAD_INDEX, "gid_index %u: there are 8",
                          (u32)mlx_get(c->in, vport_index_index));
    mlx_set(c->out, MLX_AT(0xc, 31, 16), 1);
    mlx_set(c->out + 0x10, MLX_AT(0, 63, 0), 0xfe80000000000000ull);
    if (!mlx_get(c->in, vport_index_index))
        mlx_set(c->out + 0x18, MLX_AT(0, 63, 0), guid(h));
    return MLX_OK;
}

enum mlx_status command_query_hca_vport_pkey(struct hca *h, struct command *c)
{
    u32 index = (u32)mlx_get(c->in, vport_index_index);

    if (index >= PKEYS)
        return hca_refuse(h, MLX_BAD_INDEX, "pkey_index %u: there are %u", index, PKEYS);
    mlx_set(c->out + 0x10, MLX_AT(0, 15, 0), index ? 0 : 0xffff);
    return MLX_OK;
}

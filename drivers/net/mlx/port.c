/* SPDX-License-Identifier: BSD-2-Clause */
/* The port: RoCE on the NIC's vport, the host's address as a GID, link and speed (manual, QUERY and
 * MODIFY_NIC_VPORT_CONTEXT, SET_ROCE_ADDRESS, PAOS, PMTU, PTYS). */
#include "drivers/net/mlx/mlx.h"
#include "kernel/host.h"

#define PAOS_SIZE 16
#define PMTU_SIZE 16
#define PTYS_SIZE 64
#define GID_INDEX 0

/* --- the vport ------------------------------------------------------------------------------------------ */

static enum err read_mac(struct mlx *m, struct why *why)
{
    u8 in[16] = {0}, out[272];
    u64 mac;
    enum err e;

    mlx_set(in, in_opcode, MLX_QUERY_NIC_VPORT_CONTEXT);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    if (e)
        return e;
    mac = mlx_get(out + MLX_CTX, nic_vport_permanent_address_47_32) << 32 |
          mlx_get(out + MLX_CTX, nic_vport_permanent_address_31_0);
    for (u32 i = 0; i < 6; i++)
        m->mac[i] = (u8)(mac >> (40 - 8 * i));
    if (!mac || m->mac[0] & 1)
        return why_set(why, E_FORMAT, "%s: its firmware has no valid MAC address", m->name);
    return OK;
}

static enum err set_roce(struct mlx *m, bool on, struct why *why)
{
    u8 in[MLX_MODIFY_NIC_VPORT_CTX + 256] = {0}, out[16];

    mlx_set(in, in_opcode, MLX_MODIFY_NIC_VPORT_CONTEXT);
    mlx_set(in, modify_nic_vport_in_field_select, MLX_NIC_VPORT_ROCE_EN);
    mlx_set(in + MLX_MODIFY_NIC_VPORT_CTX, nic_vport_roce_en, on);
    return mlx_command(m, in, sizeof(in), out, sizeof(out), why);
}

/* --- registers -------------------------------------------------------------------------------------------- */

static enum err access(struct mlx *m, enum mlx_register reg, u32 how, u8 *data, u32 size,
                       struct why *why)
{
    u8 in[MLX_REG_DATA + PTYS_SIZE] = {0}, out[MLX_REG_DATA + PTYS_SIZE];
    enum err e;

    mlx_set(in, in_opcode, MLX_ACCESS_REG);
    mlx_set(in, in_op_mod, how);
    mlx_set(in, access_reg_register_id, reg);
    memcpy(in + MLX_REG_DATA, data, size);
    e = mlx_command(m, in, MLX_REG_DATA + size, out, MLX_REG_DATA + size, why);
    if (!e)
        memcpy(data, out + MLX_REG_DATA, size);
    return e;
}

static enum err set_admin(struct mlx *m, u32 status, struct why *why)
{
    u8 paos[PAOS_SIZE] = {0};

    mlx_set(paos, paos_local_port, 1);
    mlx_set(paos, paos_admin_status, status);
    mlx_set(paos, paos_ase, 1);
    return access(m, MLX_REG_PAOS, MLX_REG_WRITE, paos, sizeof(paos), why);
}

/* Gbit/s of the link modes of PTYS.eth_proto_oper (Linux: mlx5e_link_speed). */
static u32 speed_of(u32 modes)
{
    static const u8 speed[32] = {1,  1, 10, 10, 40,  40,  0,   56,  10, 0,  10, 10, 10, 10, 40, 40,
                                 50, 0, 50, 50, 100, 100, 100, 100, 0,  10, 1,  25, 25, 25, 50, 50};

    return modes ? speed[__builtin_ctz(modes)] : 0;
}

enum err mlx_port_look(struct mlx *m, struct why *why)
{
    u8 paos[PAOS_SIZE] = {0}, pmtu[PMTU_SIZE] = {0}, ptys[PTYS_SIZE] = {0};
    enum err e;

    mlx_set(paos, paos_local_port, 1);
    mlx_set(pmtu, pmtu_local_port, 1);
    mlx_set(ptys, ptys_local_port, 1);
    mlx_set(ptys, ptys_proto_mask, 4); /* Ethernet */
    e = access(m, MLX_REG_PAOS, MLX_REG_READ, paos, sizeof(paos), why);
    if (!e)
        e = access(m, MLX_REG_PMTU, MLX_REG_READ, pmtu, sizeof(pmtu), why);
    if (!e)
        e = access(m, MLX_REG_PTYS, MLX_REG_READ, ptys, sizeof(ptys), why);
    if (e)
        return e;
    lock_acquire(&m->base.lock);
    m->link = mlx_get(paos, paos_oper_status) == MLX_PAOS_UP;
    m->mtu = (u32)mlx_get(pmtu, pmtu_oper_mtu);
    m->speed = speed_of((u32)mlx_get(ptys, ptys_eth_proto_oper));
    lock_release(&m->base.lock);
    return OK;
}

enum err mlx_port_enable(struct mlx *m, struct why *why)
{
    enum err e = read_mac(m, why);

    if (!e)
        e = set_roce(m, true, why);
    return e ? e : set_admin(m, MLX_PAOS_UP, why);
}

void mlx_port_disable(struct mlx *m)
{
    (void)!set_admin(m, MLX_PAOS_DOWN, NULL);
    (void)!set_roce(m, false, NULL);
}

/* --- addresses --------------------------------------------------------------------------------------------- */

/* ip 0: none is there any more. */
static enum err set_address(struct mlx *m, u32 ip, struct why *why)
{
    u8 in[MLX_CTX + MLX_ROCE_ADDRESS_SIZE] = {0}, out[16], *a = in + MLX_CTX;

    mlx_set(in, in_opcode, MLX_SET_ROCE_ADDRESS);
    mlx_set(in, roce_address_in_roce_address_index, GID_INDEX);
    if (m->caps.port_numbers)
        mlx_set(in, roce_address_in_vhca_port_num, 1);
    if (ip) {
        mlx_set(a, roce_address_source_l3_8, 0xffffull << 32 | ip);
        mlx_set(a, roce_address_source_mac_47_32, (u64)m->mac[0] << 8 | m->mac[1]);
        mlx_set(a, roce_address_source_mac_31_0,
                (u64)m->mac[2] << 24 | (u64)m->mac[3] << 16 | (u64)m->mac[4] << 8 | m->mac[5]);
        mlx_set(a, roce_address_roce_l3_type, MLX_L3_IPV4);
        mlx_set(a, roce_address_roce_version, MLX_ROCE_V2);
    }
    return mlx_command(m, in, sizeof(in), out, sizeof(out), why);
}

enum err mlx_address_set(struct mlx *m, struct why *why)
{
    const u8 *a = host_config.address;

    if (!host_config.prefix)
        return OK; /* `rdma` says so */
    m->ip = (u32)a[0] << 24 | (u32)a[1] << 16 | (u32)a[2] << 8 | a[3];
    return set_address(m, m->ip, why);
}

void mlx_address_clear(struct mlx *m)
{
    if (m->ip)
        (void)!set_address(m, 0, NULL);
    m->ip = 0;
}

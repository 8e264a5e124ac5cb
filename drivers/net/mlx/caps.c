/* SPDX-License-Identifier: BSD-2-Clause */
/* Capabilities (manual, QUERY_HCA_CAP, SET_HCA_CAP; mlx5_ifc.h: cmd_hca_cap): what the driver needs, what it turns on, and
 * what it must keep to. */
#include "drivers/net/mlx/mlx.h"

enum { MAX = 0, CURRENT = 1 };

static enum err query(struct mlx *m, enum mlx_cap_type type, u32 which, struct why *why)
{
    u8 in[16] = {0};

    mlx_set(in, in_opcode, MLX_QUERY_HCA_CAP);
    mlx_set(in, in_op_mod, (u32)type << 1 | which);
    return mlx_command(m, in, sizeof(in), m->out, MLX_CTX + MLX_CAP_SIZE, why);
}

static u64 got(const struct mlx *m, u32 field)
{
    return mlx_get(m->out + MLX_CTX, field);
}

static enum err set(struct mlx *m, enum mlx_cap_type type, struct why *why)
{
    u8 out[16];

    mlx_set(m->in, in_opcode, MLX_SET_HCA_CAP);
    mlx_set(m->in, in_op_mod, (u32)type << 1);
    return mlx_command(m, m->in, MLX_CTX + MLX_CAP_SIZE, out, sizeof(out), why);
}

/* --- what is needed ------------------------------------------------------------------------------------- */

static enum err missing(const struct mlx *m, const char *what, struct why *why)
{
    return why_set(why, E_UNSUPPORTED, "%s: %s", m->name, what);
}

static enum err check(const struct mlx *m, struct why *why)
{
    if (got(m, cap_port_type) != MLX_PORT_ETHERNET)
        return missing(m,
                       "its port is InfiniBand's; the driver needs Ethernet: set LINK_TYPE_P1=ETH "
                       "with mlxconfig (port_type)",
                       why);
    if (!got(m, cap_roce) && !got(m, cap_roce_rw_supported))
        return missing(m, "it has no RoCE (capability roce)", why);
    if (!got(m, cap_rc))
        return missing(m, "it has no reliable connections (capability rc)", why);
    if (got(m, cap_log_max_eq_sz) < 6 || got(m, cap_max_wqe_sz_sq) < 256)
        return missing(m, "its queues are too small (log_max_eq_sz, max_wqe_sz_sq)", why);
    if (!got(m, cap_fixed_buffer_size) && !got(m, cap_log_max_mkey))
        return missing(m, "it has no memory keys (log_max_mkey)", why);
    return OK;
}

/* --- what is set (Linux: handle_hca_cap) ------------------------------------------------------------------ */

static enum err set_general(struct mlx *m, struct why *why)
{
    u32 log_qp;
    bool roce_rw;
    enum err e = query(m, MLX_CAP_GENERAL, MAX, why);

    if (e)
        return e;
    log_qp = (u32)got(m, cap_log_max_qp);
    roce_rw = got(m, cap_roce_rw_supported);
    e = query(m, MLX_CAP_GENERAL, CURRENT, why);
    if (!e)
        e = check(m, why);
    if (e)
        return e;
    memset(m->in, 0, MLX_CTX);
    memcpy(m->in + MLX_CTX, m->out + MLX_CTX, MLX_CAP_SIZE);
    mlx_set(m->in + MLX_CTX, cap_cmdif_checksum, 0);
    mlx_set(m->in + MLX_CTX, cap_log_uar_page_sz, 0); /* of 4 KiB */
    mlx_set(m->in + MLX_CTX, cap_pkey_table_size, 0);
    mlx_set(m->in + MLX_CTX, cap_log_max_qp, MIN(log_qp, 18u));
    if (roce_rw)
        mlx_set(m->in + MLX_CTX, cap_roce, 1);
    return set(m, MLX_CAP_GENERAL, why);
}

/* Eight bytes of an atomic are in the host's order. Only what changes is sent. */
static enum err set_atomic(struct mlx *m, struct why *why)
{
    enum err e = query(m, MLX_CAP_ATOMIC, MAX, why);

    if (e || !got(m, atomic_cap_supported_req_8B_endianness_mode_1))
        return e;
    memset(m->in, 0, MLX_CTX + MLX_CAP_SIZE);
    mlx_set(m->in + MLX_CTX, atomic_cap_req_8B_endianness_mode, 1);
    return set(m, MLX_CAP_ATOMIC, why);
}

static enum err set_roce(struct mlx *m, struct why *why)
{
    enum err e = query(m, MLX_CAP_ROCE, MAX, why);

    if (e)
        return e;
    if (!(got(m, roce_cap_roce_version) & 1 << MLX_ROCE_V2))
        return missing(m, "it has no RoCEv2 (roce_version)", why);
    if (!got(m, roce_cap_sw_r_roce_src_udp_port))
        return OK;
    memset(m->in, 0, MLX_CTX);
    memcpy(m->in + MLX_CTX, m->out + MLX_CTX, MLX_CAP_SIZE);
    return set(m, MLX_CAP_ROCE, why);
}

enum err mlx_caps_set(struct mlx *m, struct why *why)
{
    enum err e = set_general(m, why);

    if (!e && got(m, cap_atomic))
        e = set_atomic(m, why);
    return e ? e : set_roce(m, why);
}

/* --- what is there ------------------------------------------------------------------------------------------ */

static void keep_general(struct mlx *m, struct mlx_caps *c)
{
    c->log_max_qp = (u8)got(m, cap_log_max_qp);
    c->log_max_qp_sz = (u8)got(m, cap_log_max_qp_sz);
    c->log_max_cq = (u8)got(m, cap_log_max_cq);
    c->log_max_cq_sz = (u8)got(m, cap_log_max_cq_sz);
    c->log_max_mkey = (u8)got(m, cap_log_max_mkey);
    c->log_max_pd = (u8)got(m, cap_log_max_pd);
    c->log_max_msg = (u8)got(m, cap_log_max_msg);
    c->log_max_ra_req_qp = (u8)got(m, cap_log_max_ra_req_qp);
    c->log_max_ra_res_qp = (u8)got(m, cap_log_max_ra_res_qp);
    c->cqe_version = (u8)got(m, cap_cqe_version);
    c->max_wqe_sz_sq = (u16)got(m, cap_max_wqe_sz_sq);
    c->max_wqe_sz_rq = (u16)got(m, cap_max_wqe_sz_rq);
    c->port_numbers = got(m, cap_num_vhca_ports);
    c->umr_no_entity_size = got(m, cap_umr_modify_entity_size_disabled);
    c->umr_no_atomic = got(m, cap_umr_modify_atomic_disabled);
    c->atomic = got(m, cap_atomic);
}

/* Some change with INIT_HCA. */
enum err mlx_caps_read(struct mlx *m, struct why *why)
{
    struct mlx_caps *c = &m->caps;
    enum err e = query(m, MLX_CAP_GENERAL, CURRENT, why);

    if (e)
        return e;
    keep_general(m, c);
    e = query(m, MLX_CAP_ROCE, CURRENT, why);
    if (e)
        return e;
    c->sw_udp_sport = got(m, roce_cap_sw_r_roce_src_udp_port);
    c->sport_least = (u16)got(m, roce_cap_r_roce_min_src_udp_port);
    c->sport_most = (u16)got(m, roce_cap_r_roce_max_src_udp_port);
    if (!c->atomic)
        return OK;
    e = query(m, MLX_CAP_ATOMIC, CURRENT, why);
    c->atomic = !e && (got(m, atomic_cap_operations) & 3) == 3 && (got(m, atomic_cap_size_qp) & 8);
    return e;
}

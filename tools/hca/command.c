/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands, and what is checked of all of them alike: opcode, lengths, order, reserved bits. */
#include "tools/hca/commands.h"

#define OBJECT                                                                                     \
    {                                                                                              \
        &layout_object, 0                                                                          \
    }
#define MAKE(op, word, object, bytes)                                                              \
    {                                                                                              \
        .opcode = MLX_##op, .name = word, .in = (bytes), .out = 16, .kind = (object),              \
        .when = HCA_RUNNING, .run = command_create                                                 \
    }
#define END(op, word, object, bytes, field)                                                        \
    {                                                                                              \
        .opcode = MLX_##op, .name = word, .in = (bytes), .out = 16, .kind = (object),              \
        .when = HCA_RUNNING, .number = (field), .opaque = (bytes) > 16, .run = command_destroy,    \
        .parts = {                                                                                 \
            OBJECT                                                                                 \
        }                                                                                          \
    }
#define ETH(op, word, object, bytes, more, fn)                                                     \
    {                                                                                              \
        .opcode = MLX_##op, .name = word, .in = (bytes), .in_more = (more), .out = 16,             \
        .kind = (object), .when = HCA_RUNNING, .opaque = true, .run = command_##fn                 \
    }
#define QP(op, word)                                                                               \
    {                                                                                              \
        .opcode = MLX_##op, .name = word, .in = 272, .out = 16, .when = HCA_RUNNING,               \
        .run = command_modify_qp, .parts = {                                                       \
            OBJECT,                                                                                \
            {&layout_qpc, MLX_QPC},                                                                \
            {&layout_ads, MLX_QPC + MLX_QPC_PRIMARY},                                              \
            {&layout_qp_in, 0}                                                                     \
        }                                                                                          \
    }

static const struct field fields_qp_in[] = {{"opt_param_mask", qp_in_opt_param_mask}};
static const struct layout layout_qp_in = {"qp_in", fields_qp_in, COUNT_OF(fields_qp_in)};
static const struct field fields_eqn[] = {{"eqn", mlx_eqn}};
static const struct layout layout_eqn = {"eqn", fields_eqn, COUNT_OF(fields_eqn)};
static const struct field fields_nic_vport_in[] = {
    {"field_select", modify_nic_vport_in_field_select}};
static const struct layout layout_nic_vport_in = {"modify_nic_vport_in", fields_nic_vport_in,
                                                  COUNT_OF(fields_nic_vport_in)};
static const struct field fields_init_hca[] = {{"sw_owner_id_0", MLX_AT(0x10, 63, 0)},
                                               {"sw_owner_id_8", MLX_AT(0x18, 63, 0)}};
static const struct layout layout_init_hca = {"init_hca", fields_init_hca,
                                              COUNT_OF(fields_init_hca)};

static const struct command_row rows[] = {
    /* --- bring-up --- */
    {MLX_ENABLE_HCA, HCA_OFF, "ENABLE_HCA", 16, 12, .run = command_enable_hca,
     .parts = {{&layout_function, 0}}},
    {MLX_DISABLE_HCA, HCA_ENABLED, "DISABLE_HCA", 16, 12, .run = command_disable_hca,
     .parts = {{&layout_function, 0}}},
    {MLX_QUERY_ISSI, HCA_ENABLED, "QUERY_ISSI", 16, 112, .run = command_query_issi},
    {MLX_SET_ISSI, HCA_ENABLED, "SET_ISSI", 16, 16, .run = command_set_issi,
     .parts = {{&layout_issi, 0}}},
    {MLX_QUERY_PAGES, HCA_ENABLED, "QUERY_PAGES", 16, 16, .run = command_query_pages,
     .parts = {{&layout_function, 0}}},
    {MLX_MANAGE_PAGES, HCA_ENABLED, "MANAGE_PAGES", 16, 16, .in_more = 8, .out_more = 8,
     .run = command_manage_pages, .parts = {{&layout_pages, 0}}},
    {MLX_QUERY_HCA_CAP, HCA_ENABLED, "QUERY_HCA_CAP", 16, 16 + MLX_CAP_SIZE,
     .run = command_query_hca_cap, .parts = {{&layout_function, 0}}},
    {MLX_SET_HCA_CAP, HCA_ENABLED, "SET_HCA_CAP", 16 + MLX_CAP_SIZE, 16, .opaque = true,
     .run = command_set_hca_cap},
    {MLX_INIT_HCA, HCA_ENABLED, "INIT_HCA", 32, 16, .run = command_init_hca,
     .parts = {{&layout_init_hca, 0}}},
    {MLX_TEARDOWN_HCA, HCA_ENABLED, "TEARDOWN_HCA", 16, 16, .run = command_teardown_hca,
     .parts = {{&layout_teardown, 0}}},
    {MLX_QUERY_ADAPTER, HCA_ENABLED, "QUERY_ADAPTER", 16, 272, .run = command_query_adapter},
    {MLX_QUERY_SPECIAL_CONTEXTS, HCA_RUNNING, "QUERY_SPECIAL_CONTEXTS", 16, 32,
     .run = command_query_special_contexts},

    /* --- keys, event queues, completion queues --- */
    {MLX_CREATE_MKEY, HCA_RUNNING, "CREATE_MKEY", 272, 16, .in_more = 16,
     .run = command_create_mkey, .parts = {{&layout_create_mkey_in, 0}, {&layout_mkc, MLX_CTX}}},
    {MLX_QUERY_MKEY, HCA_RUNNING, "QUERY_MKEY", 16, 272, .run = command_query_mkey,
     .parts = {OBJECT}},
    {MLX_DESTROY_MKEY, HCA_RUNNING, "DESTROY_MKEY", 16, 16, .run = command_destroy_mkey,
     .parts = {OBJECT}},
    {MLX_CREATE_EQ, HCA_RUNNING, "CREATE_EQ", 272, 16, .in_more = 8, .run = command_create_eq,
     .parts = {{&layout_create_eq_in, 0}, {&layout_eqc, MLX_CTX}}},
    {MLX_QUERY_EQ, HCA_RUNNING, "QUERY_EQ", 16, 272, .run = command_query_eq,
     .parts = {{&layout_eqn, 0}}},
    {MLX_DESTROY_EQ, HCA_RUNNING, "DESTROY_EQ", 16, 16, .run = command_destroy_eq,
     .parts = {{&layout_eqn, 0}}},
    {MLX_CREATE_CQ, HCA_RUNNING, "CREATE_CQ", 272, 16, .in_more = 8, .run = command_create_cq,
     .parts = {{&layout_cqc, MLX_CTX}}},
    {MLX_QUERY_CQ, HCA_RUNNING, "QUERY_CQ", 16, 272, .run = command_query_cq, .parts = {OBJECT}},
    {MLX_MODIFY_CQ, HCA_RUNNING, "MODIFY_CQ", 272, 16, .in_more = 8, .run = command_modify_cq,
     .parts = {OBJECT, {&layout_modify_cq_in, 0}, {&layout_cqc, MLX_CTX}}},
    {MLX_DESTROY_CQ, HCA_RUNNING, "DESTROY_CQ", 16, 16, .run = command_destroy_cq,
     .parts = {OBJECT}},

    /* --- queue pairs --- */
    {MLX_CREATE_QP, HCA_RUNNING, "CREATE_QP", 272, 16, .in_more = 8, .run = command_create_qp,
     .parts = {OBJECT, {&layout_qpc, MLX_QPC}, {&layout_ads, MLX_QPC + MLX_QPC_PRIMARY}}},
    END(DESTROY_QP, "DESTROY_QP", OBJ_QP, 16, 0),
    QP(RST2INIT_QP, "RST2INIT_QP"),
    QP(INIT2INIT_QP, "INIT2INIT_QP"),
    QP(INIT2RTR_QP, "INIT2RTR_QP"),
    QP(RTR2RTS_QP, "RTR2RTS_QP"),
    QP(RTS2RTS_QP, "RTS2RTS_QP"),
    {MLX_2ERR_QP, HCA_RUNNING, "2ERR_QP", 16, 16, .run = command_modify_qp, .parts = {OBJECT}},
    {MLX_2RST_QP, HCA_RUNNING, "2RST_QP", 16, 16, .run = command_modify_qp, .parts = {OBJECT}},
    {MLX_QUERY_QP, HCA_RUNNING, "QUERY_QP", 16, 272, .out_more = 8, .run = command_query_qp,
     .parts = {OBJECT}},
    {MLX_MAD_IFC, HCA_RUNNING, "MAD_IFC", 272, 272, .opaque = true, .run = command_nothing},

    /* --- domains, UARs --- */
    MAKE(ALLOC_PD, "ALLOC_PD", OBJ_PD, 16),
    END(DEALLOC_PD, "DEALLOC_PD", OBJ_PD, 16, 0),
    MAKE(ALLOC_UAR, "ALLOC_UAR", OBJ_UAR, 16),
    END(DEALLOC_UAR, "DEALLOC_UAR", OBJ_UAR, 16, 0),
    MAKE(ALLOC_XRCD, "ALLOC_XRCD", OBJ_XRCD, 16),
    END(DEALLOC_XRCD, "DEALLOC_XRCD", OBJ_XRCD, 16, 0),
    MAKE(ALLOC_TRANSPORT_DOMAIN, "ALLOC_TRANSPORT_DOMAIN", OBJ_TRANSPORT_DOMAIN, 16),
    END(DEALLOC_TRANSPORT_DOMAIN, "DEALLOC_TRANSPORT_DOMAIN", OBJ_TRANSPORT_DOMAIN, 16, 0),
    {MLX_ALLOC_Q_COUNTER, HCA_RUNNING, "ALLOC_Q_COUNTER", 16, 16, .kind = OBJ_Q_COUNTER,
     .run = command_create},
    {MLX_DEALLOC_Q_COUNTER, HCA_RUNNING, "DEALLOC_Q_COUNTER", 16, 16, .kind = OBJ_Q_COUNTER,
     .run = command_destroy, .parts = {OBJECT}},
    {MLX_QUERY_Q_COUNTER, HCA_RUNNING, "QUERY_Q_COUNTER", 32, 256, .opaque = true,
     .run = command_nothing},

    /* --- the port, addresses --- */
    {MLX_ACCESS_REG, HCA_ENABLED, "ACCESS_REG", 16, 16, .in_more = 4, .out_more = 4, .opaque = true,
     .run = command_access_reg, .parts = {{&layout_access_reg, 0}}},
    {MLX_QUERY_VPORT_STATE, HCA_RUNNING, "QUERY_VPORT_STATE", 16, 16,
     .run = command_query_vport_state, .parts = {{&layout_vport_index, 0}}},
    {MLX_QUERY_VPORT_COUNTER, HCA_RUNNING, "QUERY_VPORT_COUNTER", 32, 528, .opaque = true,
     .run = command_nothing},
    {MLX_QUERY_NIC_VPORT_CONTEXT, HCA_RUNNING, "QUERY_NIC_VPORT_CONTEXT", 16, 272, .out_more = 8,
     .run = command_query_nic_vport_context, .parts = {{&layout_vport_index, 0}}},
    {MLX_MODIFY_NIC_VPORT_CONTEXT, HCA_RUNNING, "MODIFY_NIC_VPORT_CONTEXT", 512, 16, .in_more = 8,
     .opaque = true, .run = command_modify_nic_vport_context,
     .parts = {{&layout_nic_vport_in, 0}, {&layout_nic_vport, MLX_MODIFY_NIC_VPORT_CTX}}},
    {MLX_QUERY_ROCE_ADDRESS, HCA_RUNNING, "QUERY_ROCE_ADDRESS", 16, 48,
     .run = command_query_roce_address, .parts = {{&layout_roce_address_in, 0}}},
    {MLX_SET_ROCE_ADDRESS, HCA_RUNNING, "SET_ROCE_ADDRESS", 48, 16, .run = command_set_roce_address,
     .parts = {{&layout_roce_address_in, 0}, {&layout_roce_address, MLX_CTX}}},
    {MLX_QUERY_HCA_VPORT_CONTEXT, HCA_RUNNING, "QUERY_HCA_VPORT_CONTEXT", 16, 528,
     .run = command_query_hca_vport_context, .parts = {{&layout_vport_index, 0}}},
    {MLX_QUERY_HCA_VPORT_GID, HCA_RUNNING, "QUERY_HCA_VPORT_GID", 16, 32, .out_more = 16,
     .run = command_query_hca_vport_gid, .parts = {{&layout_vport_index, 0}}},
    {MLX_QUERY_HCA_VPORT_PKEY, HCA_RUNNING, "QUERY_HCA_VPORT_PKEY", 16, 20, .out_more = 4,
     .run = command_query_hca_vport_pkey, .parts = {{&layout_vport_index, 0}}},

    /* --- what stock drivers make beside it: kept count of, no more --- */
    ETH(CREATE_XRC_SRQ, "CREATE_XRC_SRQ", OBJ_XRC_SRQ, 272, 8, create),
    END(DESTROY_XRC_SRQ, "DESTROY_XRC_SRQ", OBJ_XRC_SRQ, 16, 0),
    ETH(CREATE_RMP, "CREATE_RMP", OBJ_RMP, 272, 8, create),
    END(DESTROY_RMP, "DESTROY_RMP", OBJ_RMP, 16, 0),
    ETH(CREATE_TIS, "CREATE_TIS", OBJ_TIS, 192, 0, create),
    END(DESTROY_TIS, "DESTROY_TIS", OBJ_TIS, 16, 0),
    ETH(CREATE_TIR, "CREATE_TIR", OBJ_TIR, 272, 0, create),
    ETH(MODIFY_TIR, "MODIFY_TIR", OBJ_TIR, 272, 0, of_object),
    END(DESTROY_TIR, "DESTROY_TIR", OBJ_TIR, 16, 0),
    ETH(CREATE_RQT, "CREATE_RQT", OBJ_RQT, 272, 4, create),
    ETH(MODIFY_RQT, "MODIFY_RQT", OBJ_RQT, 272, 4, of_object),
    END(DESTROY_RQT, "DESTROY_RQT", OBJ_RQT, 16, 0),
    ETH(CREATE_RQ, "CREATE_RQ", OBJ_RQ, 272, 8, create),
    ETH(MODIFY_RQ, "MODIFY_RQ", OBJ_RQ, 272, 0, of_object),
    END(DESTROY_RQ, "DESTROY_RQ", OBJ_RQ, 16, 0),
    ETH(CREATE_SQ, "CREATE_SQ", OBJ_SQ, 272, 8, create_sq),
    ETH(MODIFY_SQ, "MODIFY_SQ", OBJ_SQ, 272, 0, modify_sq),
    {MLX_DESTROY_SQ, HCA_RUNNING, "DESTROY_SQ", 16, 16, .run = command_destroy_sq,
     .parts = {OBJECT}},
    ETH(SET_FLOW_TABLE_ROOT, "SET_FLOW_TABLE_ROOT", 0, 64, 0, nothing),
    ETH(CREATE_FLOW_TABLE, "CREATE_FLOW_TABLE", OBJ_FLOW_TABLE, 64, 0, create),
    END(DESTROY_FLOW_TABLE, "DESTROY_FLOW_TABLE", OBJ_FLOW_TABLE, 64, flow_table_id),
    ETH(CREATE_FLOW_GROUP, "CREATE_FLOW_GROUP", OBJ_FLOW_GROUP, 1024, 0, create),
    END(DESTROY_FLOW_GROUP, "DESTROY_FLOW_GROUP", OBJ_FLOW_GROUP, 64, flow_group_id),
    ETH(SET_FLOW_TABLE_ENTRY, "SET_FLOW_TABLE_ENTRY", 0, 832, 8, nothing),
    ETH(DELETE_FLOW_TABLE_ENTRY, "DELETE_FLOW_TABLE_ENTRY", 0, 64, 0, nothing),
};

const struct command_row *command_find(u16 opcode)
{
    for (u32 i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].opcode == opcode)
            return &rows[i];
    return NULL;
}

/* --- what all have in common --------------------------------------------------------------------------- */

static bool is_length(u32 size, u32 least, u32 unit)
{
    return unit ? size >= least && (size - least) % unit == 0 : size == least;
}

static enum mlx_status check_reserved(struct hca *h, const struct command *c)
{
    struct part parts[1 + COUNT_OF(c->row->parts)] = {{&layout_in, 0}};
    u32 size = MIN(c->row->in, c->in_size), at, bits;

    memcpy(parts + 1, c->row->parts, sizeof(c->row->parts));
    at = layout_reserved(parts, COUNT_OF(parts), c->in, size, &bits);
    if (at != size)
        return hca_refuse(h, MLX_BAD_PARAM, "%s: reserved bits 0x%x at 0x%x are set", c->row->name,
                          bits, at);
    return MLX_OK;
}

static enum mlx_status check(struct hca *h, struct command *c)
{
    const struct command_row *row = c->row;

    if (!row)
        return hca_refuse(h, MLX_BAD_OP, "opcode 0x%x: unknown", (u32)mlx_get(c->in, in_opcode));
    if (!is_length(c->in_size, row->in, row->in_more))
        return hca_refuse(h, MLX_BAD_INPUT_LEN, "%s: input_length %u: %u is right", row->name,
                          c->in_size, row->in);
    if (!is_length(c->out_size, row->out, row->out_more))
        return hca_refuse(h, MLX_BAD_OUTPUT_LEN, "%s: output_length %u: %u is right", row->name,
                          c->out_size, row->out);
    if (h->state < row->when)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "%s before %s", row->name,
                          row->when == HCA_RUNNING ? "INIT_HCA" : "ENABLE_HCA");
    return row->opaque ? MLX_OK : check_reserved(h, c);
}

static void log_command(struct hca *h, const struct command *c, enum mlx_status status)
{
    const struct command_row *row = c->row;

    if (h->options.level < LOG_COMMANDS || !h->log)
        return;
    fprintf(h->log, "%4llu %-24s in %u out %u", (unsigned long long)h->commands,
            row ? row->name : "?", c->in_size, c->out_size);
    if (c->op_mod)
        fprintf(h->log, " op_mod=%u", c->op_mod);
    for (u32 i = 0; row && i < COUNT_OF(row->parts); i++)
        if (row->parts[i].layout)
            layout_print(h->log, &row->parts[i], c->in);
    if (status == MLX_OK && c->out_size >= 16 && row && row->kind)
        fprintf(h->log, " -> 0x%llx", (unsigned long long)mlx_get(c->out, object_number));
    if (status != MLX_OK)
        fprintf(h->log, " -> status 0x%x", status);
    fputc('\n', h->log);
    fflush(h->log);
}

void command_run(struct hca *h, struct command *c)
{
    enum mlx_status status;

    memset(c->out, 0, c->out_size);
    c->row = command_find((u16)mlx_get(c->in, in_opcode));
    c->op_mod = (u16)mlx_get(c->in, in_op_mod);
    c->number = (u32)mlx_get(c->in, object_number);
    h->syndrome = 0;
    status = check(h, c);
    if (status == MLX_OK)
        status = c->row->run(h, c);
    if (status != MLX_OK)
        memset(c->out, 0, c->out_size);
    mlx_set(c->out, out_status, status);
    if (status != MLX_OK)
        mlx_set(c->out, out_syndrome, h->syndrome);
    log_command(h, c, status);
}

u32 command_pas(const struct command *c)
{
    return (c->in_size - MIN(c->in_size, (u32)MLX_PAS)) / (u32)sizeof(be64_t);
}

/* --- objects that are no more than a number ------------------------------------------------------------- */

enum mlx_status command_create(struct hca *h, struct command *c)
{
    struct object *o = object_make(h, c->row->kind, sizeof(*o));

    if (!o)
        return MLX_NO_RES;
    mlx_set(c->out, object_number, o->number);
    return MLX_OK;
}

static enum mlx_status find(struct hca *h, struct command *c, struct object **o)
{
    u32 field = c->row->number ? c->row->number : (u32)object_number;

    return object_find(h, c->row->kind, (u32)mlx_get(c->in, field), o, c->row->name);
}

enum mlx_status command_destroy(struct hca *h, struct command *c)
{
    struct object *o;
    enum mlx_status s = find(h, c, &o);

    if (s == MLX_OK)
        s = object_may_end(h, o);
    if (s != MLX_OK)
        return s;
    if (o->kind == OBJ_QP)
        qp_free((struct qp *)o);
    object_end(h, o);
    return MLX_OK;
}

/* What is changed of it means nothing to the model. */
enum mlx_status command_of_object(struct hca *h, struct command *c)
{
    struct object *o;

    return find(h, c, &o);
}

enum mlx_status command_nothing(struct hca *h, struct command *c)
{
    (void)h;
    (void)c;
    return MLX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The card as a whole: what it is after power-on, its order of states (manual, initialization), and its turns. */
#include <stdlib.h>
#include "tools/hca/commands.h"

void hca_init(struct hca *h, const struct hca_options *options, FILE *log, u64 (*now)(void))
{
    *h = (struct hca){.options = *options, .log = log, .now = now};
    h->proxy_fd = h->qtest_fd = h->control_fd = h->wire.fd = -1;
    h->port_up = true;
    h->cmd_in = calloc(1, COMMAND_MOST + MLX_MAILBOX_SIZE);
    h->cmd_out = calloc(1, COMMAND_MOST + MLX_MAILBOX_SIZE);
    icrc_init(&h->icrc);
    list_init(&h->active);
    cfg_init(h);
    hca_reset(h);
}

static void end_all(struct hca *h, enum object_kind kind)
{
    struct object_table *t = &h->table[kind];

    for (u32 i = 0; t->slot && t->count; i++) {
        struct object *o = t->slot[i];

        if (!o)
            continue;
        if (kind == OBJ_QP || kind == OBJ_SQ)
            qp_free((struct qp *)o);
        if (kind == OBJ_CQ)
            cq_free((struct cq *)o);
        if (kind == OBJ_EQ)
            eq_free((struct eq *)o);
        if (kind == OBJ_MKEY)
            mkey_free((struct mkey *)o);
        object_end(h, o);
    }
}

/* Users before what they use. */
static void end_objects(struct hca *h)
{
    for (u32 kind = OBJ_KINDS - 1; kind > OBJ_NONE; kind--)
        end_all(h, kind);
}

void hca_reset(struct hca *h)
{
    end_objects(h);
    pages_forget(h);
    caps_reset(h);
    port_reset(h);
    if (h->waits) {
        free(h->waits->in);
        free(h->waits);
        h->waits = NULL;
    }
    h->state = HCA_OFF;
    h->issi_is_set = false;
    h->cmdq_is_set = false;
    h->cmdq = 0;
    h->nic_interface = MLX_NIC_FULL;
    h->initializing = HCA_INITIALIZING;
    h->doorbells = 0;
    h->deadline = 0;
    h->health_synd = 0;
    h->health_rfr = false;
    h->health_stopped = 0;
    h->msix.pending = 0;
}

void hca_free(struct hca *h)
{
    hca_reset(h);
    for (u32 i = 0; i < OBJ_KINDS; i++)
        free(h->table[i].slot);
    free(h->cmd_in);
    free(h->cmd_out);
    free(h->given);
    free(h->page_list);
}

bool hca_run(struct hca *h)
{
    u32 vector = h->doorbells;
    bool more;

    h->doorbells = 0;
    if (vector)
        cmd_doorbell(h, vector);
    cmd_resume(h);
    more = engine_run(h);
    msix_flush(h);
    return more || h->doorbells;
}

/* --- commands --------------------------------------------------------------------------------------------- */

enum mlx_status command_enable_hca(struct hca *h, struct command *c)
{
    (void)c;
    if (h->state != HCA_OFF)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "ENABLE_HCA: it is enabled");
    h->state = HCA_ENABLED;
    return MLX_OK;
}

enum mlx_status command_disable_hca(struct hca *h, struct command *c)
{
    (void)c;
    if (h->state == HCA_RUNNING)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "DISABLE_HCA before TEARDOWN_HCA");
    if (h->page_count)
        hca_refuse(h, MLX_OK, "DISABLE_HCA, and %u pages are still firmware's", h->page_count);
    hca_log(h, LOG_INFO, "disabled after %llu commands; %u pages kept, %llu refusals",
            (unsigned long long)h->commands, h->page_count, (unsigned long long)h->refused);
    h->state = HCA_OFF;
    h->issi_is_set = false;
    h->wanted_boot = h->options.boot_pages;
    h->wanted_init = h->options.init_pages;
    caps_reset(h);
    return MLX_OK;
}

enum mlx_status command_query_issi(struct hca *h, struct command *c)
{
    mlx_set(c->out, issi_current_issi, h->issi);
    mlx_set(c->out, issi_supported_issi_dw0, 3);
    return MLX_OK;
}

enum mlx_status command_set_issi(struct hca *h, struct command *c)
{
    u32 issi = (u32)mlx_get(c->in, issi_current_issi);

    if (issi > 1)
        return hca_refuse(h, MLX_BAD_PARAM, "current_issi %u: 0 and 1 are supported", issi);
    if (h->state == HCA_RUNNING)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "SET_ISSI after INIT_HCA");
    h->issi = (u16)issi;
    h->issi_is_set = true;
    return MLX_OK;
}

enum mlx_status command_init_hca(struct hca *h, struct command *c)
{
    (void)c;
    if (h->state == HCA_RUNNING)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "INIT_HCA: it was done");
    if (!h->issi_is_set)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "INIT_HCA before SET_ISSI");
    if (h->wanted_boot || h->wanted_init)
        return hca_refuse(h, MLX_BAD_SYS_STATE,
                          "INIT_HCA: %u boot pages and %u init pages were not given",
                          h->wanted_boot, h->wanted_init);
    h->state = HCA_RUNNING;
    return MLX_OK;
}

static void name_what_is_left(struct hca *h)
{
    for (u32 kind = OBJ_PD; kind < OBJ_KINDS; kind++)
        if (h->table[kind].count)
            hca_refuse(h, MLX_OK, "TEARDOWN_HCA, and %u objects are left: %s", h->table[kind].count,
                       object_name(kind));
}

enum mlx_status command_teardown_hca(struct hca *h, struct command *c)
{
    u32 profile = (u32)mlx_get(c->in, teardown_profile);

    if (h->state != HCA_RUNNING)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "TEARDOWN_HCA before INIT_HCA");
    if (profile > MLX_TEARDOWN_PREPARE_FAST)
        return hca_refuse(h, MLX_BAD_PARAM, "profile %u: 0 to 2", profile);
    if (profile == MLX_TEARDOWN_PREPARE_FAST)
        return MLX_OK; /* state 0: go on; nic_interface ends it */
    if (profile == MLX_TEARDOWN_GRACEFUL)
        name_what_is_left(h);
    end_objects(h);
    port_reset(h);
    h->state = HCA_ENABLED;
    return MLX_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Event queues (manual, event queues; mlx5_ifc.h: eqc, create_eq_in). */
#include "tools/hca/commands.h"

static bool is_full(const struct eq *eq)
{
    return ((eq->producer - eq->consumer) & 0xffffff) >= 1u << eq->log_size;
}

static void interrupt(struct hca *h, struct eq *eq)
{
    if (!eq->armed)
        return;
    eq->armed = false;
    msix_raise(h, eq->vector);
}

static void post(struct hca *h, struct eq *eq, enum mlx_event type, u8 sub_type,
                 const u8 body[MLX_EQE_SIZE])
{
    u32 index = eq->producer & ((1u << eq->log_size) - 1);
    u8 eqe[MLX_EQE_SIZE], *at;

    if (is_full(eq)) {
        hca_refuse(h, MLX_INTERNAL_ERR, "EQ 0x%x is full: event 0x%x is lost", eq->o.number, type);
        return;
    }
    at = buffer_at(h, &eq->buffer, index * MLX_EQE_SIZE, MLX_EQE_SIZE, "EQE");
    if (!at)
        return;
    memcpy(eqe, body, sizeof(eqe));
    mlx_set(eqe, eqe_event_type, type);
    mlx_set(eqe, eqe_event_sub_type, sub_type);
    mlx_set(eqe, eqe_owner, eq->producer >> eq->log_size & 1);
    mlx_set(eqe, eqe_signature, mlx_signature(eqe, sizeof(eqe) - 1));
    memcpy(at, eqe, sizeof(eqe) - 1);
    __atomic_store_n(at + sizeof(eqe) - 1, eqe[sizeof(eqe) - 1], __ATOMIC_RELEASE);
    eq->producer++;
    interrupt(h, eq);
}

struct event {
    enum mlx_event type;
    u8 sub_type;
    const u8 *eqe;
    bool found;
};
static struct event *posting;

static void post_if_wanted(struct hca *h, void *object)
{
    struct eq *eq = object;

    if (!(eq->mask >> posting->type & 1))
        return;
    posting->found = true;
    if (posting->eqe)
        post(h, eq, posting->type, posting->sub_type, posting->eqe);
}

void eq_event(struct hca *h, enum mlx_event type, u8 sub_type, const u8 eqe[MLX_EQE_SIZE])
{
    struct event e = {type, sub_type, eqe, false};

    posting = &e;
    object_each(h, OBJ_EQ, post_if_wanted);
}

bool eq_wants(struct hca *h, enum mlx_event type)
{
    struct event e = {type, 0, NULL, false};

    posting = &e;
    object_each(h, OBJ_EQ, post_if_wanted);
    return e.found;
}

void eq_completion(struct hca *h, struct eq *eq, u32 cqn)
{
    u8 eqe[MLX_EQE_SIZE] = {0};

    mlx_set(eqe, eqe_cqn, cqn);
    post(h, eq, MLX_EVENT_COMP, 0, eqe);
}

void eq_doorbell(struct hca *h, u32 uar, u32 value, bool arm)
{
    struct eq *eq = object_get(h, OBJ_EQ, value >> 24);
    u32 consumer = value & 0xffffff;

    if (!eq || mlx_get(eq->context, eqc_uar_page) != uar) {
        hca_refuse(h, MLX_BAD_RES, "EQ doorbell at UAR 0x%x: EQ 0x%x is not there", uar,
                   value >> 24);
        return;
    }
    if (((consumer - eq->consumer) & 0xffffff) > ((eq->producer - eq->consumer) & 0xffffff)) {
        hca_refuse(h, MLX_BAD_PARAM, "EQ 0x%x: consumer counter 0x%x is past the producer's 0x%x",
                   eq->o.number, consumer, eq->producer & 0xffffff);
        return;
    }
    eq->consumer = consumer;
    eq->armed = arm;
    if (arm && (eq->producer & 0xffffff) != consumer)
        interrupt(h, eq);
}

/* --- commands ------------------------------------------------------------------------------------------- */

static enum mlx_status check_context(struct hca *h, const u8 *eqc)
{
    struct object *uar;
    enum mlx_status s =
        object_find(h, OBJ_UAR, (u32)mlx_get(eqc, eqc_uar_page), &uar, "eqc.uar_page");

    if (s != MLX_OK)
        return s;
    if (mlx_get(eqc, eqc_log_eq_size) > HCA_LOG_EQ_SZ)
        return hca_refuse(h, MLX_BAD_PARAM, "eqc.log_eq_size %u: at most %u",
                          (u32)mlx_get(eqc, eqc_log_eq_size), HCA_LOG_EQ_SZ);
    if (mlx_get(eqc, eqc_intr) >= HCA_VECTORS)
        return hca_refuse(h, MLX_BAD_PARAM, "eqc.intr %u: there are %u",
                          (u32)mlx_get(eqc, eqc_intr), HCA_VECTORS);
    if (mlx_get(eqc, eqc_st) || mlx_get(eqc, eqc_status))
        return hca_refuse(h, MLX_BAD_PARAM, "eqc.st or eqc.status is set by the driver");
    return MLX_OK;
}

/* Every entry says hardware's before the queue is handed over. */
static enum mlx_status check_owners(struct hca *h, const struct eq *eq)
{
    for (u32 i = 0; i < 1u << eq->log_size; i++) {
        const u8 *at = buffer_at(h, &eq->buffer, i * MLX_EQE_SIZE, MLX_EQE_SIZE, "EQ");

        if (!at || !mlx_get(at, eqe_owner))
            return hca_refuse(h, MLX_BAD_PARAM, "EQ: the owner of entry %u is not 1", i);
    }
    return MLX_OK;
}

enum mlx_status command_create_eq(struct hca *h, struct command *c)
{
    const u8 *eqc = c->in + MLX_CTX;
    enum mlx_status s = check_context(h, eqc);
    struct eq *eq;

    if (s != MLX_OK)
        return s;
    eq = object_make(h, OBJ_EQ, sizeof(*eq));
    if (!eq)
        return MLX_NO_RES;
    memcpy(eq->context, eqc, sizeof(eq->context));
    eq->log_size = (u32)mlx_get(eqc, eqc_log_eq_size);
    eq->vector = (u32)mlx_get(eqc, eqc_intr);
    eq->mask = mlx_get(c->in, create_eq_in_event_bitmask);
    s = buffer_make(h, &eq->buffer, c->in + MLX_PAS, command_pas(c),
                    (u32)mlx_get(eqc, eqc_log_page_size), (u32)mlx_get(eqc, eqc_page_offset),
                    (u64)MLX_EQE_SIZE << eq->log_size, "EQ");
    if (s == MLX_OK)
        s = check_owners(h, eq);
    if (s != MLX_OK) {
        eq_free(eq);
        object_end(h, &eq->o);
        return s;
    }
    object_use(&eq->o, object_get(h, OBJ_UAR, (u32)mlx_get(eqc, eqc_uar_page)));
    mlx_set(c->out, mlx_eqn, eq->o.number);
    return MLX_OK;
}

enum mlx_status command_query_eq(struct hca *h, struct command *c)
{
    struct eq *eq;
    enum mlx_status s = object_find(h, OBJ_EQ, (u32)mlx_get(c->in, mlx_eqn), &eq, "eqn");

    if (s != MLX_OK)
        return s;
    memcpy(c->out + MLX_CTX, eq->context, sizeof(eq->context));
    mlx_set(c->out + MLX_CTX, eqc_st, eq->armed ? 9 : 10);
    mlx_set(c->out + MLX_CTX, eqc_consumer_counter, eq->consumer);
    mlx_set(c->out + MLX_CTX, eqc_producer_counter, eq->producer);
    return MLX_OK;
}

void eq_free(struct eq *eq)
{
    buffer_free(&eq->buffer);
}

enum mlx_status command_destroy_eq(struct hca *h, struct command *c)
{
    struct eq *eq;
    enum mlx_status s = object_find(h, OBJ_EQ, (u32)mlx_get(c->in, mlx_eqn), &eq, "eqn");

    if (s == MLX_OK)
        s = object_may_end(h, &eq->o);
    if (s != MLX_OK)
        return s;
    eq_free(eq);
    object_end(h, &eq->o);
    return MLX_OK;
}

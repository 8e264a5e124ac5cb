/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion queues (manual, completion queues; mlx5_ifc.h: cqc; mlx5dv.h: mlx5_cqe64). */
#include "tools/hca/commands.h"

#define COUNTER 0xffffffu

static u32 consumer(struct hca *h, const struct cq *cq)
{
    return hca_record(h, cq->record + MLX_DBR_CQ_CONSUMER, "CQ's doorbell record") & COUNTER;
}

static u32 used(struct hca *h, const struct cq *cq)
{
    return (cq->producer - consumer(h, cq)) & COUNTER;
}

/* --- errors --------------------------------------------------------------------------------------------- */

static struct cq *broken;

static void fail_its_qps(struct hca *h, void *object)
{
    struct qp *qp = object;

    if (qp->send_cq == broken || qp->recv_cq == broken)
        qp_fail(h, qp, MLX_EVENT_WQ_CATAS);
}

static void fail(struct hca *h, struct cq *cq, u8 syndrome)
{
    u8 eqe[MLX_EQE_SIZE] = {0};

    cq->error = true;
    mlx_set(cq->context, cqc_status, 10); /* write failure 10, overflow 9 */
    if (syndrome == MLX_CQ_ERR_OVERRUN)
        mlx_set(cq->context, cqc_status, 9);
    mlx_set(eqe, eqe_cq_err_cqn, cq->o.number);
    mlx_set(eqe, eqe_cq_err_syndrome, syndrome);
    eq_event(h, MLX_EVENT_CQ_ERR, 0, eqe);
    broken = cq;
    object_each(h, OBJ_QP, fail_its_qps);
}

static bool overruns(struct hca *h, struct cq *cq)
{
    if (fault_take(h, FAULT_CQ_OVERRUN, NULL))
        return true;
    if (cq->ignore_overrun || used(h, cq) < 1u << cq->log_size)
        return false;
    hca_refuse(h, MLX_INTERNAL_ERR, "CQ 0x%x overruns: producer 0x%x, the record says 0x%x",
               cq->o.number, cq->producer & COUNTER, consumer(h, cq));
    return true;
}

/* --- completions ------------------------------------------------------------------------------------------ */

static void tell(struct hca *h, struct cq *cq, bool solicited)
{
    if (!cq->armed || (cq->solicited_only && !solicited))
        return;
    cq->armed = false;
    cq->sequence = (cq->sequence + 1) & 3;
    mlx_set(cq->context, cqc_last_notified_index, cq->producer);
    eq_completion(h, cq->eq, cq->o.number);
}

static bool is_error(enum mlx_cqe_opcode opcode)
{
    return opcode == MLX_CQE_REQ_ERR || opcode == MLX_CQE_RESP_ERR;
}

void cq_post(struct hca *h, struct cq *cq, u8 cqe[MLX_CQE_SIZE], enum mlx_cqe_opcode opcode,
             bool solicited)
{
    u32 index = cq->producer & ((1u << cq->log_size) - 1);
    u8 *at;

    if (cq->error)
        return;
    if (overruns(h, cq)) {
        fail(h, cq, MLX_CQ_ERR_OVERRUN);
        return;
    }
    at = buffer_at(h, &cq->buffer, index * MLX_CQE_SIZE, MLX_CQE_SIZE, "CQE");
    if (!at) {
        fail(h, cq, MLX_CQ_ERR_ACCESS);
        return;
    }
    if (!is_error(opcode)) /* which has its syndrome there */
        mlx_set(cqe, cqe_timestamp, h->now());
    mlx_set(cqe, cqe_opcode, opcode);
    mlx_set(cqe, cqe_se, solicited);
    mlx_set(cqe, cqe_owner, cq->producer >> cq->log_size & 1);
    mlx_set(cqe, cqe_signature, mlx_signature(cqe, MLX_CQE_SIZE));
    memcpy(at, cqe, MLX_CQE_SIZE - 1);
    __atomic_store_n(at + MLX_CQE_SIZE - 1, cqe[MLX_CQE_SIZE - 1], __ATOMIC_RELEASE);
    cq->producer++;
    tell(h, cq, solicited || is_error(opcode));
}

/* --- arming ------------------------------------------------------------------------------------------------- */

void cq_doorbell(struct hca *h, u32 uar, const u8 bytes[8])
{
    u32 cqn = (u32)mlx_get(bytes, cq_arm_cqn), ci = (u32)mlx_get(bytes, cq_arm_consumer_counter);
    struct cq *cq = object_get(h, OBJ_CQ, cqn);
    const u8 *record;

    if (!cq) {
        hca_refuse(h, MLX_BAD_RES, "CQ doorbell at UAR 0x%x: CQ 0x%x is not there", uar, cqn);
        return;
    }
    record = hca_dma(h, cq->record + MLX_DBR_CQ_ARM, 4, "CQ's doorbell record");
    if (!record || memcmp(record, bytes, 4) != 0) {
        hca_refuse(h, MLX_BAD_PARAM, "CQ 0x%x: the arm doorbell is not what its record says", cqn);
        return;
    }
    cq->armed = true;
    cq->solicited_only = mlx_get(bytes, cq_arm_solicited_only);
    if (((cq->producer - ci) & COUNTER) && !cq->solicited_only)
        tell(h, cq, true);
}

/* --- commands ------------------------------------------------------------------------------------------------- */

static enum mlx_status check_context(struct hca *h, const u8 *cqc)
{
    struct object *o;
    enum mlx_status s =
        object_find(h, OBJ_UAR, (u32)mlx_get(cqc, cqc_uar_page), &o, "cqc.uar_page");

    if (s == MLX_OK)
        s = object_find(h, OBJ_EQ, (u32)mlx_get(cqc, cqc_c_eqn), &o, "cqc.c_eqn");
    if (s != MLX_OK)
        return s;
    if (mlx_get(cqc, cqc_log_cq_size) > HCA_LOG_CQ_SZ)
        return hca_refuse(h, MLX_BAD_PARAM, "cqc.log_cq_size %u: at most %u",
                          (u32)mlx_get(cqc, cqc_log_cq_size), HCA_LOG_CQ_SZ);
    if (mlx_get(cqc, cqc_cqe_sz) || mlx_get(cqc, cqc_cc))
        return hca_refuse(h, MLX_BAD_PARAM,
                          "cqc.cqe_sz, cqc.cc: CQEs have 64 bytes here, and are "
                          "not collapsed");
    if (mlx_get(cqc, cqc_st) || mlx_get(cqc, cqc_status))
        return hca_refuse(h, MLX_BAD_PARAM, "cqc.st or cqc.status is set by the driver");
    if (mlx_get(cqc, cqc_dbr_addr) % MLX_DBR_SIZE ||
        !hca_dma(h, mlx_get(cqc, cqc_dbr_addr), MLX_DBR_SIZE, "cqc.dbr_addr"))
        return hca_refuse(h, MLX_BAD_PARAM, "cqc.dbr_addr 0x%llx: not 8 aligned bytes of memory",
                          (unsigned long long)mlx_get(cqc, cqc_dbr_addr));
    return MLX_OK;
}

/* Entries are invalid before the queue is handed over, or none would be the driver's. */
static enum mlx_status check_entries(struct hca *h, const struct cq *cq)
{
    for (u32 i = 0; i < 1u << cq->log_size; i++) {
        const u8 *at = buffer_at(h, &cq->buffer, i * MLX_CQE_SIZE, MLX_CQE_SIZE, "CQ");

        if (!at)
            return MLX_BAD_PARAM;
        if (mlx_get(at, cqe_opcode) != MLX_CQE_INVALID && !mlx_get(at, cqe_owner))
            return hca_refuse(h, MLX_BAD_PARAM, "CQ: entry %u is not invalid", i);
    }
    return MLX_OK;
}

enum mlx_status command_create_cq(struct hca *h, struct command *c)
{
    const u8 *cqc = c->in + MLX_CTX;
    enum mlx_status s = check_context(h, cqc);
    struct cq *cq;

    if (s != MLX_OK)
        return s;
    cq = object_make(h, OBJ_CQ, sizeof(*cq));
    if (!cq)
        return MLX_NO_RES;
    memcpy(cq->context, cqc, sizeof(cq->context));
    cq->log_size = (u32)mlx_get(cqc, cqc_log_cq_size);
    cq->ignore_overrun = mlx_get(cqc, cqc_oi);
    cq->record = mlx_get(cqc, cqc_dbr_addr);
    cq->eq = object_get(h, OBJ_EQ, (u32)mlx_get(cqc, cqc_c_eqn));
    s = buffer_make(h, &cq->buffer, c->in + MLX_PAS, command_pas(c),
                    (u32)mlx_get(cqc, cqc_log_page_size), (u32)mlx_get(cqc, cqc_page_offset),
                    (u64)MLX_CQE_SIZE << cq->log_size, "CQ");
    if (s == MLX_OK)
        s = check_entries(h, cq);
    if (s != MLX_OK) {
        cq_free(cq);
        object_end(h, &cq->o);
        return s;
    }
    object_use(&cq->o, &cq->eq->o);
    mlx_set(c->out, object_number, cq->o.number);
    return MLX_OK;
}

enum mlx_status command_query_cq(struct hca *h, struct command *c)
{
    struct cq *cq;
    enum mlx_status s = object_find(h, OBJ_CQ, c->number, &cq, "cqn");

    if (s != MLX_OK)
        return s;
    memcpy(c->out + MLX_CTX, cq->context, sizeof(cq->context));
    mlx_set(c->out + MLX_CTX, cqc_producer_counter, cq->producer);
    mlx_set(c->out + MLX_CTX, cqc_consumer_counter, consumer(h, cq));
    return MLX_OK;
}

enum mlx_status command_modify_cq(struct hca *h, struct command *c)
{
    u32 select = (u32)mlx_get(c->in, modify_cq_in_modify_field_select);
    struct cq *cq;
    enum mlx_status s = object_find(h, OBJ_CQ, c->number, &cq, "cqn");

    if (s != MLX_OK)
        return s;
    if (c->op_mod || select & ~(u32)(MLX_CQ_MODIFY_PERIOD | MLX_CQ_MODIFY_COUNT))
        return hca_refuse(h, MLX_BAD_PARAM,
                          "modify_field_select 0x%x: period and count can be changed here", select);
    return MLX_OK;
}

void cq_free(struct cq *cq)
{
    buffer_free(&cq->buffer);
}

enum mlx_status command_destroy_cq(struct hca *h, struct command *c)
{
    struct cq *cq;
    enum mlx_status s = object_find(h, OBJ_CQ, c->number, &cq, "cqn");

    if (s == MLX_OK)
        s = object_may_end(h, &cq->o);
    if (s != MLX_OK)
        return s;
    cq_free(cq);
    object_end(h, &cq->o);
    return MLX_OK;
}

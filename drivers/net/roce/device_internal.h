/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the soft-RoCE provider; nobody else includes it. The device's lock is held throughout. */
#pragma once
#include "drivers/net/roce/device.h"

#define ROCE_MAX_PD   256
#define ROCE_MAX_MR   4096 /* a power of two */
#define ROCE_MAX_CQ   256
#define ROCE_MAX_QP   256 /* a power of two */
#define ROCE_MAX_CQE  65536
#define ROCE_MAX_WR   16384
#define ROCE_QP_SHIFT 8
/* No region's key: its slot would be behind the last. */
#define ROCE_DMA_LKEY 0xffffff00u

struct roce_mr {
    struct verbs_mr base;
    u64 offset;
    hpa_t frames[];
};

struct roce_cqe {
    struct verbs_wc wc;
    u32 slot_end; /* of the queue that it came from: slots before this one are free again */
    bool is_recv;
};

struct roce_cq {
    struct verbs_cq base;
    u32 head, tail; /* running numbers of the next to write and to read */
    bool wanted;    /* one notify */
    struct roce_cqe ring[];
};

struct roce_qp {
    struct verbs_qp base;
    struct rc rc;
    struct list active; /* in the device's list: rc_run is wanted */
    u64 deadline;       /* ns */
    /* Running numbers: posted, taken by the engine (receives), free again up to. */
    u32 send_posted, send_free;
    u32 recv_posted, recv_taken, recv_free;
    u32 send_done, recv_done; /* by the engine */
    struct rc_wr *send;
    struct rc_recv *recv;
};

struct roce_device {
    struct verbs_device base;
    struct roce_port port;
    struct icrc icrc;
    u32 path_mtu;
    u32 pds, cqs, mrs, qps;
    struct roce_mr *mr[ROCE_MAX_MR];
    u8 mr_generation[ROCE_MAX_MR];
    u32 mr_next;
    struct roce_qp *qp[ROCE_MAX_QP];
    u32 qpn_next;
    struct list active;
    struct list done; /* of struct verbs_done */
    u64 deadline;     /* no queue pair's is earlier */
    struct roce_counters counters;
};

static inline struct roce_device *roce_of(struct verbs_device *device)
{
    return CONTAINER_OF(device, struct roce_device, base);
}
static inline struct roce_qp *roce_qp_of(struct verbs_qp *qp)
{
    return CONTAINER_OF(qp, struct roce_qp, base);
}
static inline struct roce_device *roce_qp_device(struct roce_qp *qp)
{
    return roce_of(qp->base.pd->device);
}

/* device.c */
void roce_activate(struct roce_device *d, struct roce_qp *qp);
void roce_done(struct roce_device *d, struct verbs_done *done);

/* device_mr.c */
enum err roce_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                     struct why *why);
void roce_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done);
enum rc_memory roce_translate(struct roce_device *d, const struct verbs_pd *pd,
                              const struct rc_range *range, struct rc_piece *piece);

/* device_cq.c */
enum err roce_create_cq(struct verbs_device *device, u32 cqe, struct verbs_cq **cq,
                        struct why *why);
void roce_destroy_cq(struct verbs_cq *cq);
u32 roce_poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count);
void roce_req_notify_cq(struct verbs_cq *cq);
void roce_cq_add(struct verbs_cq *cq, const struct roce_cqe *cqe);
/* Forgets what is there of a queue pair. */
void roce_cq_clean(struct verbs_cq *cq, const struct verbs_qp *qp);

/* device_qp.c */
enum err roce_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init, struct verbs_qp **qp,
                        struct why *why);
enum err roce_modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                        const struct verbs_qp_attr *attr, struct why *why);
enum verbs_qp_state roce_query_qp(struct verbs_qp *qp);
void roce_destroy_qp(struct verbs_qp *qp, struct verbs_done *done);
/* device_work.c */
u32 roce_post_send(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count);
u32 roce_post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count);
void roce_doorbell(struct verbs_qp *qp);
extern const struct rc_ops roce_rc_ops;

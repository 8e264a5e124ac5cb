/* SPDX-License-Identifier: BSD-2-Clause */
/* RDMA verbs: what Ferry asks of an RDMA device, with the names and the semantics of libibverbs (IBTA volume 1,
 * chapters 10 and 11); each call says where it differs. A provider (soft-RoCE, a card) is one const
 * struct verbs_ops, and embeds the objects below in its own.
 *
 * Any thread may call. Each call holds its device's lock (order: frames and heap come after it). Calls that make or change
 * something (verbs_alloc_pd, verbs_reg_mr, verbs_create_*, verbs_modify_qp) may wait for a card's firmware, some seconds
 * at most, and give the lock up meanwhile: who calls them holds no lock. All others never wait. Only a done or notify
 * callback must not call back into its device.
 *
 * Misuse is refused with a sentence (struct why, may be NULL), and changes nothing; what is refused where
 * libibverbs leaves it undefined: destroying what is in use, posting to a full queue, a completion queue
 * that could overrun.
 *
 * Sizes are bytes, addresses in work requests are those of memory regions (iova). */
#pragma once
#include "drivers/net/verbs_names.h"
#include "kernel/err.h"
#include "kernel/list.h"
#include "kernel/lock.h"

struct verbs_ops;

struct verbs_limits {
    u32 max_pd, max_mr, max_cq, max_qp;
    u32 max_cqe;
    u32 max_qp_wr; /* of each of a queue pair's two queues */
    u32 max_sge;
    u32 max_rd_atomic; /* READs and atomics outstanding, in each direction */
    u32 max_msg;
    u64 max_mr_size;
};

struct verbs_port {
    bool active;
    u32 active_mtu; /* path MTU: 256 to 4096; 0: the line carries none */
    u8 mac[6];
    u32 ip;     /* host order */
    u8 gid[16]; /* ::ffff:a.b.c.d, of RoCEv2 */
};

struct verbs_device {
    const struct verbs_ops *ops;
    const char *name;
    struct verbs_limits limits;
    struct lock lock;
};

/* Ends something that the device may still be using: fn is called once, from verbs_progress, when nobody can
 * use it any more. It is the caller's, and stays until then. */
struct verbs_done {
    void (*fn)(struct verbs_done *done);
    struct list link;
};

/* A done that is only noted, for who looks at it later. */
struct verbs_end {
    struct verbs_done done;
    bool over;
};
/* For verbs_invalidate_mr and verbs_destroy_qp: not over yet. Where there is nothing to end, set `over`. */
struct verbs_done *verbs_end_begin(struct verbs_end *end);
bool verbs_end_is_over(const struct verbs_end *end);

struct verbs_pd {
    struct verbs_device *device;
    u32 mrs, qps; /* that use it */
    /* As ib_pd's in Linux: with this lkey an SGE's addr is an address of the host's memory, and no region is needed.
     * A peer that names it is refused. What it is used on is the poster's to pin until the completion. */
    u32 local_dma_lkey;
};

struct verbs_mr {
    struct verbs_pd *pd;
    u32 lkey, rkey; /* the same number */
    u64 iova, length;
    u32 access;
};

struct verbs_cq {
    struct verbs_device *device;
    u32 cqe;      /* entries */
    u32 promised; /* of them, to the queues that report here */
    /* Called once after verbs_req_notify_cq when a completion comes; it may wake a thread, no more. */
    void (*notify)(struct verbs_cq *cq, void *ctx);
    void *ctx;
};

enum verbs_qp_state { QPS_RESET, QPS_INIT, QPS_RTR, QPS_RTS, QPS_SQD, QPS_ERR };

struct verbs_qp {
    struct verbs_pd *pd;
    struct verbs_cq *send_cq, *recv_cq;
    u32 qp_num;
    u32 max_send_wr, max_recv_wr, max_sge;
    void *ctx; /* the owner's */
};

/* --- device ------------------------------------------------------------------------------------- */

enum err verbs_query_port(struct verbs_device *device, struct verbs_port *port) MUST_CHECK;
/* The IPv4 address of a GID, host order; 0 where it has none. */
u32 verbs_gid_ip(const u8 gid[16]);
/* Does what is due, and calls what is done. For threads that wait for something; the thread that serves the
 * NIC does it too. true: there is more to do at once. */
bool verbs_progress(struct verbs_device *device);

/* --- protection domains ------------------------------------------------------------------------- */

enum err verbs_alloc_pd(struct verbs_device *device, struct verbs_pd **pd,
                        struct why *why) MUST_CHECK;
/* E_STATE while regions or queue pairs use it. */
enum err verbs_dealloc_pd(struct verbs_pd *pd, struct why *why) MUST_CHECK;

/* --- memory regions ----------------------------------------------------------------------------- */

/* Where ibv_reg_mr_iova takes a virtual range, this takes frames: byte `offset` of the first frame is address
 * `iova`. Both must agree modulo 4,096, as cards want it. The list is copied. The frames are not pinned: they are
 * the caller's until the region's end is reported done. */
struct verbs_mr_init {
    const hpa_t *frames;
    u64 frame_count;
    u64 offset, length;
    u64 iova;
    u32 access; /* ACCESS_*; remote writing and atomics need local writing, as in libibverbs */
};
enum err verbs_reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                      struct why *why) MUST_CHECK;
/* ibv_dereg_mr in two halves. The key is refused from now on; done comes when nobody, neither the peer nor work
 * that is posted, can touch the frames any more. mr is gone on return. The key's number does not come
 * back soon. */
void verbs_invalidate_mr(struct verbs_mr *mr, struct verbs_done *done);

/* --- completion queues -------------------------------------------------------------------------- */

struct verbs_wc {
    u64 wr_id;
    enum wc_status status;
    enum wc_opcode
        opcode; /* meaningful with WC_SUCCESS; receives are told apart by WC_RECV always */
    u32 wc_flags;
    u32 byte_len; /* of a receive; of READ and atomics what was read */
    u32 imm;      /* a number, where ibv_wc has bytes in network order */
    u32 qp_num;
    struct verbs_qp *qp;
};

enum err verbs_create_cq(struct verbs_device *device, u32 cqe,
                         void (*notify)(struct verbs_cq *, void *), void *ctx, struct verbs_cq **cq,
                         struct why *why) MUST_CHECK;
/* E_STATE while queue pairs report to it. */
enum err verbs_destroy_cq(struct verbs_cq *cq, struct why *why) MUST_CHECK;
/* Takes up to count completions, oldest first; returns how many. */
u32 verbs_poll_cq(struct verbs_cq *cq, struct verbs_wc *wc, u32 count);
/* Wants one notify, for the next completion. One that is there already does not count: poll after it. */
void verbs_req_notify_cq(struct verbs_cq *cq);

/* --- queue pairs -------------------------------------------------------------------------------- */

struct verbs_qp_init {
    struct verbs_cq *send_cq, *recv_cq;
    u32 max_send_wr, max_recv_wr, max_sge;
    void *ctx;
};
/* A CQ has room for all that is posted to the queues that report to it, else this is refused: it cannot overrun. */
enum err verbs_create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                         struct verbs_qp **qp, struct why *why) MUST_CHECK;

/* ibv_qp_attr without its mask: a transition takes the members of its group. path_mtu is in bytes; the
 * address vector is a MAC and an IPv4 address, as found by whoever found the peer. */
struct verbs_qp_attr {
    /* to INIT */
    u32 qp_access_flags;
    /* to RTR */
    u8 dest_mac[6];
    u32 dest_ip;
    u8 hop_limit;     /* 0: 64 */
    u8 traffic_class; /* DSCP in bits 7:2 */
    u32 dest_qp_num;
    u32 rq_psn;
    u32 path_mtu;
    u8 max_dest_rd_atomic;
    u8 min_rnr_timer;
    /* to RTS */
    u32 sq_psn; /* random, so that packets of an earlier connection do not fit in */
    u8 timeout, retry_cnt, rnr_retry; /* timeout: see verbs_timeout_code */
    u8 max_rd_atomic;
};
/* attr may be NULL to RESET and to ERR. To ERR: all work that is posted is flushed, in order. To RESET: it is
 * forgotten, its completions in the CQs included. */
enum err verbs_modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                         const struct verbs_qp_attr *attr, struct why *why) MUST_CHECK;
enum verbs_qp_state verbs_query_qp(struct verbs_qp *qp);
/* ibv_destroy_qp in two halves, from any state: from now on it neither sends nor takes packets, and its completions
 * are gone; done comes when the device touches no memory for it any more. qp is gone on return. */
void verbs_destroy_qp(struct verbs_qp *qp, struct verbs_done *done);

struct verbs_sge {
    u64 addr;
    u32 length;
    u32 lkey;
};
struct verbs_send_wr {
    u64 wr_id;
    const struct verbs_sge *sg_list;
    u32 num_sge;
    enum wr_opcode opcode;
    u32 send_flags;
    u32 imm; /* a number, where ibv_send_wr has bytes in network order */
    u64 remote_addr;
    u32 rkey;
    u64 compare_add, swap; /* atomics; the 8 bytes before go to the one SGE, in host order */
};
struct verbs_recv_wr {
    u64 wr_id;
    const struct verbs_sge *sg_list;
    u32 num_sge;
};
/* An array where libibverbs has a list. Posts as many as it can, in order; *posted (may be NULL) says how many,
 * and the error and why are about the next one. E_NOMEM: the queue is full. A slot is free again when its
 * completion was polled; that of unsignalled work with the next one of its queue that is. In ERR what
 * is posted is flushed at once. Memory is read and written until the completion. */
enum err verbs_post_send(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count,
                         u32 *posted, struct why *why) MUST_CHECK;
enum err verbs_post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count,
                         u32 *posted, struct why *why) MUST_CHECK;

/* --- providers ---------------------------------------------------------------------------------- */

/* The calls above without the name of the argument that they have in common. What verbs.c has checked by then:
 * objects are of one device, arguments within the device's limits, nothing that is ended is in use. The
 * device's lock is held. Those that make or change something may release it and take it again, while they wait. */
struct verbs_ops {
    void (*show)(struct verbs_device *device); /* rows for `rdma`, without the lock */
    /* Packets that were sent again; NULL: the device does not say. */
    u64 (*resent)(struct verbs_device *device);
    void (*query_port)(struct verbs_device *device, struct verbs_port *port);
    bool (*progress)(struct verbs_device *device);
    /* Takes what is done; its fn is called without the lock. NULL: nothing. */
    struct verbs_done *(*next_done)(struct verbs_device *device);
    enum err (*alloc_pd)(struct verbs_device *device, struct verbs_pd **pd, struct why *why);
    void (*dealloc_pd)(struct verbs_pd *pd);
    enum err (*reg_mr)(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                       struct why *why);
    void (*invalidate_mr)(struct verbs_mr *mr, struct verbs_done *done);
    enum err (*create_cq)(struct verbs_device *device, u32 cqe, struct verbs_cq **cq,
                          struct why *why);
    void (*destroy_cq)(struct verbs_cq *cq);
    u32 (*poll_cq)(struct verbs_cq *cq, struct verbs_wc *wc, u32 count);
    void (*req_notify_cq)(struct verbs_cq *cq);
    enum err (*create_qp)(struct verbs_pd *pd, const struct verbs_qp_init *init,
                          struct verbs_qp **qp, struct why *why);
    enum err (*modify_qp)(struct verbs_qp *qp, enum verbs_qp_state state,
                          const struct verbs_qp_attr *attr, struct why *why);
    enum verbs_qp_state (*query_qp)(struct verbs_qp *qp);
    void (*destroy_qp)(struct verbs_qp *qp, struct verbs_done *done);
    /* In order, as many as there is room for; return how many. */
    u32 (*post_send)(struct verbs_qp *qp, const struct verbs_send_wr *wr, u32 count);
    u32 (*post_recv)(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count);
    /* What was posted since the last one may be started: a card's doorbell. */
    void (*doorbell)(struct verbs_qp *qp);
};

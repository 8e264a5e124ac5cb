/* SPDX-License-Identifier: BSD-2-Clause */
/* What the mlx5 driver's data path costs, for tools/bench: the driver built for the host, its registers a page of memory,
 * and a card that does nothing but write completions. Batches of 16; callgrind counts the instructions within the functions
 * that are named as the first argument says:
 *
 *     mlx-costs WHAT BATCHES
 *
 *     write, read       post: through the driver's functions      poll            takes 16 completions
 *     verbs_write       post: through verbs_post_send             register        a key of 64 pages, posted and rung
 *     mlx5dv_write,     post: the same by the inline functions of rdma-core's      invalidate
 *     mlx5dv_read       infiniband/mlx5dv.h, with a table of wr_ids */
#include <infiniband/mlx5dv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "drivers/net/mlx/cq.h"

#define BATCH  16u
#define SLOTS  64u
#define PAGES  64u
#define LKEY   0x1234
#define RKEY   0x5678
#define QPN    0x42
#define REMOTE 0x7000000000

static struct mlx_qps qps;
static struct mlx_cq cq;
static struct mlx_qp qp;
static u8 uar[PAGE_SIZE] ALIGNED(4096);
static u32 produced;
static enum wr_opcode opcode;

/* --- the card ------------------------------------------------------------------------------------ */

/* It has done the WQE that begins at that block. */
static void complete(u16 block)
{
    u8 *cqe = cq.ring + (produced & ((1u << cq.log_size) - 1)) * MLX_CQE_SIZE;

    mlx_set(cqe, cqe_qpn, QPN);
    mlx_set(cqe, cqe_wqe_counter, block);
    mlx_set(cqe, cqe_opcode, MLX_CQE_REQ);
    mlx_set(cqe, cqe_owner, produced++ >> cq.log_size & 1);
}

/* --- what is counted ----------------------------------------------------------------------------- */

#define COUNTED __attribute__((noipa))

static void fill(struct verbs_send_wr wr[BATCH], struct verbs_sge sge[BATCH])
{
    for (u32 i = 0; i < BATCH; i++) {
        sge[i] = (struct verbs_sge){0x100000 + i * PAGE_SIZE, PAGE_SIZE, LKEY};
        wr[i] = (struct verbs_send_wr){.wr_id = i,
                                       .sg_list = &sge[i],
                                       .num_sge = 1,
                                       .opcode = opcode,
                                       .send_flags = i == BATCH - 1 ? SEND_SIGNALED : 0,
                                       .remote_addr = REMOTE + i * PAGE_SIZE,
                                       .rkey = RKEY};
    }
}

COUNTED static void post(const struct verbs_send_wr *wr)
{
    if (mlx_post_send(&qp.base, wr, BATCH) != BATCH)
        abort();
    mlx_doorbell(&qp.base);
}

COUNTED static void post_verbs(const struct verbs_send_wr *wr)
{
    if (verbs_post_send(&qp.base, wr, BATCH, NULL, NULL) != OK)
        abort();
}

COUNTED static u32 poll(struct verbs_wc *wc)
{
    return mlx_poll_cq(&cq.base, wc, BATCH);
}

COUNTED static void make(const struct mlx_umr *umr)
{
    if (mlx_post_register(&qp, 1, umr, NULL) != OK)
        abort();
    mlx_doorbell(&qp.base);
}

COUNTED static void unmake(u32 key)
{
    if (mlx_post_invalidate(&qp, 1, key, NULL) != OK)
        abort();
    mlx_doorbell(&qp.base);
}

/* --- the same by mlx5dv.h ------------------------------------------------------------------------ */

static struct {
    u8 *ring;
    u64 wr_id[SLOTS];
    u16 head, tail;
    u32 turn;
} theirs;

struct raddr_wqe {
    struct mlx5_wqe_ctrl_seg ctrl;
    struct mlx5_wqe_raddr_seg raddr;
    struct mlx5_wqe_data_seg data;
};

static inline bool post_one_theirs(const struct verbs_send_wr *wr, u8 op)
{
    struct raddr_wqe *w = (void *)(theirs.ring + (theirs.head & (SLOTS - 1)) * MLX5_SEND_WQE_BB);
    u8 flags = wr->send_flags & SEND_SIGNALED ? MLX5_WQE_CTRL_CQ_UPDATE : 0;

    if ((u16)(theirs.head - theirs.tail) == SLOTS)
        return false;
    mlx5dv_set_ctrl_seg(&w->ctrl, theirs.head, op, 0, QPN, flags, sizeof(*w) / 16, 0, 0);
    w->raddr.raddr = htobe64(wr->remote_addr);
    w->raddr.rkey = htobe32(wr->rkey);
    w->raddr.reserved = 0;
    mlx5dv_set_data_seg(&w->data, wr->sg_list->length, wr->sg_list->lkey, wr->sg_list->addr);
    theirs.wr_id[theirs.head & (SLOTS - 1)] = wr->wr_id;
    theirs.head++;
    return true;
}

COUNTED static void post_theirs(const struct verbs_send_wr *wr, u8 op)
{
    for (u32 i = 0; i < BATCH; i++)
        if (!post_one_theirs(&wr[i], op))
            abort();
    __atomic_store_n((u32 *)(void *)(qp.record + MLX_DBR_SQ), htobe32(theirs.head),
                     __ATOMIC_RELEASE);
    *(volatile u64 *)(void *)(uar + MLX_UAR_SQ + theirs.turn) =
        *(u64 *)(void *)(theirs.ring + ((theirs.head - 1u) & (SLOTS - 1)) * MLX5_SEND_WQE_BB);
    theirs.turn ^= MLX_UAR_BF_SIZE;
}

/* --- running ------------------------------------------------------------------------------------- */

static void *zeros(size_t size)
{
    return memset(aligned_alloc(PAGE_SIZE, ALIGN_UP(size, PAGE_SIZE)), 0, size);
}

static enum verbs_qp_state query_qp(struct verbs_qp *q)
{
    return CONTAINER_OF(q, struct mlx_qp, base)->state;
}

static void init(u32 send_ds)
{
    static const struct verbs_ops ops = {
        .query_qp = query_qp, .post_send = mlx_post_send, .doorbell = mlx_doorbell};
    static struct verbs_device device = {.ops = &ops, .limits = {.max_msg = 1u << 30}};
    static struct verbs_pd pd = {.device = &device};
    struct mlx_qp_parts parts = {.uar = uar, .record = zeros(8)};
    u32 log = mlx_cq_log_size(SLOTS);

    if (mlx_shape(&parts.shape, SLOTS, send_ds, 0, 0, NULL) != OK)
        abort();
    parts.queues = zeros(parts.shape.size);
    parts.work = zeros(parts.shape.work_size);
    mlx_cq_init(&cq, &qps, zeros((size_t)MLX_CQE_SIZE << log), log, zeros(8));
    qp.base = (struct verbs_qp){
        .pd = &pd, .send_cq = &cq.base, .recv_cq = &cq.base, .max_send_wr = SLOTS, .max_sge = 2};
    qp.state = QPS_RTS;
    mlx_qp_init(&qp, &parts);
    mlx_qp_enter(&qps, &qp, QPN);
    theirs.ring = parts.queues;
}

static void work(const char *what, u32 batches)
{
    struct verbs_sge sge[BATCH];
    struct verbs_send_wr wr[BATCH];
    struct verbs_wc wc[BATCH];
    bool polls = !strcmp(what, "poll");

    opcode = strstr(what, "read") ? WR_RDMA_READ : WR_RDMA_WRITE;
    fill(wr, sge);
    for (u32 n = 0; n < batches; n++) {
        if (!strncmp(what, "mlx5dv", 6)) {
            post_theirs(wr,
                        opcode == WR_RDMA_READ ? MLX5_OPCODE_RDMA_READ : MLX5_OPCODE_RDMA_WRITE);
            theirs.tail = theirs.head;
            continue;
        }
        (!strcmp(what, "verbs_write") ? post_verbs : post)(wr);
        for (u32 i = polls ? 0 : BATCH - 1; i < BATCH; i++)
            complete((u16)(qp.sq.head - BATCH + i));
        if (poll(wc) != (polls ? BATCH : 1))
            abort();
    }
}

static void keys(const char *what, u32 batches)
{
    static hpa_t frames[PAGES];
    struct mlx_umr umr = {.key = 0x1000,
                          .frames = frames,
                          .count = PAGES,
                          .writable = true,
                          .enable = true,
                          .access = ACCESS_ALL,
                          .iova = REMOTE,
                          .length = PAGES * PAGE_SIZE};
    struct verbs_wc wc[BATCH];

    for (u32 i = 0; i < PAGES; i++)
        frames[i] = HPA(0x100000 + 3 * i * PAGE_SIZE);
    for (u32 n = 0; n < batches; n++) {
        u16 block = qp.sq.head;

        if (!strcmp(what, "register"))
            make(&umr);
        else
            unmake(0x1000);
        complete(block);
        if (poll(wc) != 1)
            abort();
    }
}

int main(int argc, char **argv)
{
    u32 batches = argc == 3 ? (u32)strtoul(argv[2], NULL, 0) : 0;
    bool is_key = argc == 3 && (!strcmp(argv[1], "register") || !strcmp(argv[1], "invalidate"));

    if (!batches)
        return 1;
    init(is_key ? mlx_umr_most() : mlx_wqe_most(2));
    (is_key ? keys : work)(argv[1], batches);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes may stand where a card writes completions, at any time between posting, polling, resetting and leaving. Work is
 * told of at most once, in its order, to the queue that it was posted to; a receive never has more bytes than room; nothing
 * outside of the queues is touched. */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/mlx/cq.h"
#include "kernel/arch.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define QPS   3u
#define SLOTS 8u
#define SGES  5u
#define LIST  4u   /* of what is posted at once, the longest */
#define ROOM  100u /* of a receive with one SGE */

static struct mlx_qps qps;
static struct mlx_cq cq[2];
static struct mlx_qp qp[QPS];
static u8 uar[PAGE_SIZE], *parts[QPS][3];
/* wr_ids count up; what was told of each queue last. */
static u64 next_id, told[QPS][2], memory[16];
static const u32 numbers[QPS] = {7, 7 + MLX_QP_PLACES, 9};

static void make(u32 n)
{
    struct mlx_qp_parts p = {.uar = uar, .dma_lkey = 0x1234};

    CHECK(mlx_shape(&p.shape, SLOTS, mlx_wqe_most(SGES), SLOTS, SGES, NULL) == OK);
    /* Exactly: the sanitizer sees a byte too much. */
    p.queues = parts[n][0] = aligned_alloc(64, p.shape.size);
    p.work = parts[n][1] = calloc(1, p.shape.work_size);
    p.record = parts[n][2] = malloc(MLX_DBR_SIZE);
    qp[n] = (struct mlx_qp){.base = {.send_cq = &cq[n & 1].base, .recv_cq = &cq[n / 2].base}};
    mlx_qp_init(&qp[n], &p);
    mlx_qp_enter(&qps, &qp[n], numbers[n]);
}

static void unmake(u32 n)
{
    mlx_qp_leave(&qp[n]);
    for (u32 i = 0; i < 3; i++)
        free(parts[n][i]);
}

static void begin(void)
{
    qps = (struct mlx_qps){0};
    for (u32 i = 0; i < 2; i++) {
        u32 log = mlx_cq_log_size(3 * SLOTS);

        cq[i] = (struct mlx_cq){.base.cqe = 3 * SLOTS};
        mlx_cq_init(&cq[i], &qps, aligned_alloc(64, (size_t)MLX_CQE_SIZE << log), log,
                    calloc(1, 8));
    }
    for (u32 i = 0; i < QPS; i++)
        make(i);
    memset(told, 0, sizeof(told));
    next_id = 0;
}

static void end(void)
{
    for (u32 i = 0; i < QPS; i++)
        unmake(i);
    for (u32 i = 0; i < 2; i++) {
        free(cq[i].ring);
        free(cq[i].record);
    }
}

static void post(struct mlx_qp *q, u8 how, u32 count)
{
    struct verbs_sge sge[SGES];
    struct verbs_send_wr send[LIST];
    struct verbs_recv_wr recv[LIST];

    for (u32 i = 0; i < SGES; i++)
        sge[i] = (struct verbs_sge){virt_to_phys(memory).v, ROOM, how & 16 ? 0x1234 : 5};
    for (u32 i = 0; i < count; i++, how += 3) {
        send[i] = (struct verbs_send_wr){.wr_id = ++next_id,
                                         .sg_list = sge,
                                         .num_sge = how % (SGES + 1),
                                         .opcode = how >> 5 & 3,
                                         .send_flags = how & 7};
        recv[i] = (struct verbs_recv_wr){next_id, sge, how % (SGES + 1)};
    }
    if (how & 128)
        CHECK(mlx_post_recv(&q->base, recv, count) <= count);
    else
        CHECK(mlx_post_send(&q->base, send, count) <= count);
    CHECK(q->sq.posted - q->sq.freed <= SLOTS && q->rq.posted - q->rq.freed <= SLOTS);
}

static void poll(struct mlx_cq *c, u32 count)
{
    struct verbs_wc *wc = malloc(count * sizeof(*wc));
    u32 n = mlx_poll_cq(&c->base, wc, count);

    CHECK(n <= count);
    for (u32 i = 0; i < n; i++) {
        struct mlx_qp *q = CONTAINER_OF(wc[i].qp, struct mlx_qp, base);
        bool is_recv = wc[i].opcode >= WC_RECV;
        u64 *last = &told[q - qp][is_recv];

        CHECK(q >= qp && q < qp + QPS && wc[i].qp_num == q->base.qp_num);
        CHECK((is_recv ? q->base.recv_cq : q->base.send_cq) == &c->base);
        CHECK(wc[i].wr_id > *last && wc[i].wr_id <= next_id);
        CHECK(wc[i].opcode != WC_RECV || wc[i].byte_len <= SGES * ROOM);
        CHECK(wc[i].status < WC_STATUS_COUNT);
        *last = wc[i].wr_id;
    }
    free(wc);
}

/* A completion of any bytes; mostly ours, of a queue pair that there is, and in its place. */
static size_t write_cqe(struct mlx_cq *c, const u8 *data, size_t size)
{
    u32 mask = (1u << c->log_size) - 1, at = c->consumer + (data[0] >> 4);
    u8 *cqe = c->ring + (at & mask) * MLX_CQE_SIZE;
    size_t used = MIN(size - 2, (size_t)8);

    memcpy(cqe + 0x38, data + 2, used);
    memcpy(cqe + 0x2c, data + 2, MIN(used, (size_t)4));
    if (data[0] & 1)
        mlx_set(cqe, cqe_owner, at >> c->log_size & 1);
    if (data[0] & 2)
        mlx_set(cqe, cqe_qpn, numbers[data[1] % QPS]);
    if (data[0] & 4)
        mlx_set(cqe, cqe_byte_cnt, data[1] * 4u);
    if (data[0] & 8)
        mlx_set(cqe, cqe_wqe_counter, qp[data[1] % QPS].sq.head - 1 - (data[1] >> 5));
    return used + 2;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    begin();
    while (size >= 4) {
        struct mlx_qp *q = &qp[data[1] % QPS];
        struct mlx_cq *c = &cq[data[1] & 1];
        size_t used = 2;

        switch (data[0] & 7) {
        case 0:
        case 1: post(q, data[2], 1 + data[3] % LIST); break;
        case 2: mlx_doorbell(&q->base); break;
        case 3: poll(c, 1 + data[2] % 20); break;
        case 4:
            if (data[0] < 0x40)
                mlx_qp_reset(q);
            break;
        case 5:
            qps.dead |= data[0] > 0xf0;
            if (data[0] < 0x20) {
                unmake((u32)(q - qp));
                make((u32)(q - qp));
            }
            break;
        default: used = 1 + write_cqe(c, data + 1, size - 1); break;
        }
        data += MIN(used, size);
        size -= MIN(used, size);
    }
    end();
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "rings.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING  256 /* frames */
#define PAGES (RINGS_MEMORY / PAGE_SIZE)

struct host {
    struct verbs_device *device;
    struct verbs_cq *cq;
    struct verbs_qp *qp;
    struct verbs_mr *mr;
    u32 head, tail; /* running numbers in the ring that it sends to */
    u32 size[RING];
    u8 frame[RING][WIRE_FRAME_MOST];
};

extern u8 *arch_direct_map;
static struct host host[2];

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "rings: %s\n", what);
    exit(1);
}

/* --- the NIC ------------------------------------------------------------------------------------ */

static u8 *frame_begin(void *nic, u32 size)
{
    struct host *h = nic;

    (void)size;
    return h->head - h->tail == RING ? NULL : h->frame[h->head % RING];
}

static void frame_send(void *nic, u32 size)
{
    struct host *h = nic;

    h->size[h->head++ % RING] = size;
}

static void take_frames(struct host *h, struct host *peer)
{
    for (; peer->tail != peer->head; peer->tail++)
        (void)roce_receive(h->device, peer->frame[peer->tail % RING],
                           peer->size[peer->tail % RING]);
}

static u64 now(void)
{
    static u64 ns;

    return ++ns;
}

/* --- the two sides: callgrind counts in these functions ----------------------------------------- */

struct job {
    enum wr_opcode op;
    u64 pages, posted, done;
};

static void post(struct job *job)
{
    u64 at = job->posted % PAGES * PAGE_SIZE;
    struct verbs_sge sge = {at, PAGE_SIZE, host[0].mr->lkey};
    struct verbs_send_wr wr = {.sg_list = &sge,
                               .num_sge = 1,
                               .opcode = job->op,
                               .send_flags = SEND_SIGNALED,
                               .remote_addr = at,
                               .rkey = host[1].mr->rkey};

    must(verbs_post_send(host[0].qp, &wr, 1, NULL, NULL) == OK, "cannot post");
    job->posted++;
}

__attribute__((noinline)) void requester(struct job *job);
__attribute__((noinline)) void responder(void);

void requester(struct job *job)
{
    struct verbs_wc wc;

    take_frames(&host[0], &host[1]);
    for (; verbs_poll_cq(host[0].cq, &wc, 1); job->done++)
        must(wc.status == WC_SUCCESS, "work failed");
    while (job->posted < job->pages && job->posted - job->done < RINGS_DEPTH)
        post(job);
    (void)roce_poll(host[0].device);
}

void responder(void)
{
    take_frames(&host[1], &host[0]);
    (void)roce_poll(host[1].device);
}

void rings_move(enum wr_opcode op, u64 pages)
{
    struct job job = {op, pages, 0, 0};

    while (job.done < pages) {
        requester(&job);
        responder();
    }
}

/* --- setting up --------------------------------------------------------------------------------- */

static void *zeroed(size_t size)
{
    return calloc(1, size);
}

u8 *rings_memory(u32 i)
{
    return arch_direct_map + i * RINGS_MEMORY;
}

static void init_host(u32 i, u32 mtu)
{
    struct host *h = &host[i];
    struct roce_port port = {.name = i ? "ring1" : "ring0",
                             .mac = {2, 0, 0, 0, 0, (u8)(i + 1)},
                             .ip = 0x0a000001u + i,
                             .mtu = mtu + 80,
                             .frame_begin = frame_begin,
                             .frame_send = frame_send,
                             .nic = h,
                             .now = now,
                             .alloc = zeroed,
                             .free = free,
                             .first_qpn = 100 + i};
    hpa_t frames[PAGES];
    struct verbs_mr_init mr = {
        .frames = frames, .frame_count = PAGES, .length = RINGS_MEMORY, .access = ACCESS_ALL};
    struct verbs_qp_init qp = {.max_send_wr = RINGS_DEPTH, .max_recv_wr = 1, .max_sge = 1};
    struct verbs_pd *pd;
    struct why why = {0};

    for (u32 f = 0; f < PAGES; f++)
        frames[f] = HPA(i * RINGS_MEMORY + f * PAGE_SIZE);
    must(roce_device_create(&port, &h->device, &why) == OK &&
             verbs_alloc_pd(h->device, &pd, &why) == OK &&
             verbs_reg_mr(pd, &mr, &h->mr, &why) == OK &&
             verbs_create_cq(h->device, RINGS_DEPTH + 1, NULL, NULL, &h->cq, &why) == OK,
         why.text);
    qp.send_cq = qp.recv_cq = h->cq;
    must(verbs_create_qp(pd, &qp, &h->qp, &why) == OK, why.text);
}

static void connect_host(u32 i, u32 mtu)
{
    struct verbs_qp_attr attr = {
        .qp_access_flags = ACCESS_REMOTE_WRITE | ACCESS_REMOTE_READ,
        .dest_mac = {2, 0, 0, 0, 0, (u8)(2 - i)},
        .dest_ip = 0x0a000001u + 1 - i,
        .dest_qp_num = host[1 - i].qp->qp_num,
        .path_mtu = mtu,
        .max_dest_rd_atomic = RC_MAX_RD_ATOMIC,
        .max_rd_atomic = RC_MAX_RD_ATOMIC,
    };
    struct why why = {0};

    for (enum verbs_qp_state s = QPS_INIT; s <= QPS_RTS; s++)
        must(verbs_modify_qp(host[i].qp, s, &attr, &why) == OK, why.text);
}

void rings_init(u32 mtu)
{
    arch_direct_map = aligned_alloc(PAGE_SIZE, 2 * RINGS_MEMORY);
    must(arch_direct_map, "no memory");
    for (u32 i = 0; i < 2 * RINGS_MEMORY; i++)
        arch_direct_map[i] = (u8)(i * 7 + (i >> 12));
    for (u32 i = 0; i < 2; i++)
        init_host(i, mtu);
    for (u32 i = 0; i < 2; i++)
        connect_host(i, mtu);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "rxe.h"

#define QUEUE 32

static void open_device(struct link *l)
{
    struct ibv_device **list = ibv_get_device_list(NULL);

    if (!list || !list[0])
        die("no RDMA device: setup first");
    l->context = ibv_open_device(list[0]);
    if (!l->context)
        die("the RDMA device does not open");
    ibv_free_device_list(list);
}

/* The GID that is an IPv4 address. */
static void find_gid(struct link *l)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    union ibv_gid gid;

    for (int i = 0; i < 16; i++) {
        if (ibv_query_gid(l->context, 1, i, &gid) || memcmp(gid.raw, mapped, 12) != 0)
            continue;
        l->gid_index = i;
        for (int k = 0; k < 16; k++)
            sprintf(l->mine.gid + 2 * k, "%02x", gid.raw[k]);
        return;
    }
    die("no GID with an IPv4 address");
}

static void make_memory(struct link *l, unsigned access)
{
    l->at = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l->at == MAP_FAILED)
        die("no memory");
    l->pd = ibv_alloc_pd(l->context);
    l->local = ibv_reg_mr(l->pd, l->at, MEMORY, IBV_ACCESS_LOCAL_WRITE);
    l->target = ibv_reg_mr(l->pd, l->at, TARGET_SIZE, (int)access | IBV_ACCESS_LOCAL_WRITE);
    if (!l->local || !l->target)
        die("no memory regions");
}

static void make_qp(struct link *l)
{
    struct ibv_qp_init_attr init = {.cap = {QUEUE, QUEUE, 1, 1, 0}, .qp_type = IBV_QPT_RC};
    struct ibv_qp_attr a = {.qp_state = IBV_QPS_INIT, .port_num = 1, .qp_access_flags = 15};

    l->cq = ibv_create_cq(l->context, 2 * QUEUE, NULL, NULL, 0);
    init.send_cq = init.recv_cq = l->cq;
    l->qp = l->cq ? ibv_create_qp(l->pd, &init) : NULL;
    if (!l->qp ||
        ibv_modify_qp(l->qp, &a,
                      IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS))
        die("no queue pair");
}

void link_open(struct link *l, unsigned mode, unsigned access, unsigned message)
{
    struct ibv_port_attr port;

    memset(l, 0, sizeof(*l));
    open_device(l);
    find_gid(l);
    make_memory(l, access);
    make_qp(l);
    if (ibv_query_port(l->context, 1, &port))
        die("no port");
    l->slot_size = message < 256 ? 256 : (message + 63) / 64 * 64;
    l->slots = (MEMORY - RECEIVE_AT) / l->slot_size;
    l->slots = l->slots > QUEUE ? QUEUE : l->slots;
    for (unsigned i = 0; i < l->slots; i++)
        link_post_receive(l, i);
    l->mine.qpn = l->qp->qp_num;
    l->mine.psn = (unsigned)random() & 0xffffff;
    l->mine.mtu = 128ull << port.active_mtu;
    l->mine.addr = (uintptr_t)l->at;
    l->mine.key = l->target->rkey;
    l->mine.length = TARGET_SIZE;
    l->mine.message = message;
    l->mine.mode = mode;
    l->mine.access = access;
}

static void to_rtr(struct link *l, const struct end *t, unsigned mtu)
{
    struct ibv_qp_attr a = {
        .qp_state = IBV_QPS_RTR,
        .path_mtu = (enum ibv_mtu)(__builtin_ctz(mtu) - 7),
        .dest_qp_num = (uint32_t)t->qpn,
        .rq_psn = (uint32_t)t->psn,
        .max_dest_rd_atomic = 16,
        .min_rnr_timer = 14,
        .ah_attr = {.is_global = 1,
                    .port_num = 1,
                    .grh = {.sgid_index = (uint8_t)l->gid_index, .hop_limit = 64}},
    };

    for (int k = 0; k < 16; k++) {
        unsigned byte;

        if (sscanf(t->gid + 2 * k, "%2x", &byte) != 1)
            die("a GID that is none");
        a.ah_attr.grh.dgid.raw[k] = (uint8_t)byte;
    }
    if (ibv_modify_qp(l->qp, &a,
                      IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                          IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER))
        die("not to RTR");
}

void link_connect(struct link *l, const struct end *t)
{
    struct ibv_qp_attr a = {.qp_state = IBV_QPS_RTS,
                            .sq_psn = (uint32_t)l->mine.psn,
                            .timeout = 16,
                            .retry_cnt = 7,
                            .rnr_retry = 7,
                            .max_rd_atomic = 16};

    l->theirs = *t;
    to_rtr(l, t, (unsigned)(t->mtu < l->mine.mtu ? t->mtu : l->mine.mtu));
    if (ibv_modify_qp(l->qp, &a,
                      IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
                          IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC))
        die("not to RTS");
}

void link_close(struct link *l)
{
    ibv_destroy_qp(l->qp);
    ibv_destroy_cq(l->cq);
    ibv_dereg_mr(l->target);
    ibv_dereg_mr(l->local);
    ibv_dealloc_pd(l->pd);
    ibv_close_device(l->context);
    munmap(l->at, MEMORY);
}

void link_post_receive(struct link *l, unsigned slot)
{
    struct ibv_sge sge = {(uintptr_t)l->at + RECEIVE_AT + slot * l->slot_size, l->slot_size,
                          l->local->lkey};
    struct ibv_recv_wr *bad, wr = {.wr_id = RECEIVE | slot, .sg_list = &sge, .num_sge = 1};

    if (ibv_post_recv(l->qp, &wr, &bad))
        die("a receive is not posted");
}

void link_post(struct link *l, struct ibv_send_wr *wr, unsigned offset, unsigned length)
{
    struct ibv_sge sge = {(uintptr_t)l->at + offset, length, l->local->lkey};
    struct ibv_send_wr *bad;

    wr->sg_list = &sge;
    wr->num_sge = length ? 1 : 0;
    wr->send_flags = IBV_SEND_SIGNALED;
    if (ibv_post_send(l->qp, wr, &bad))
        die("work is not posted");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* A peer that sends what it likes, in every state: memory outside the one region that it may change stays as it
 * was, work completes at most once, and each packet takes bounded time. */
#include <stdlib.h>
#include <string.h>
#include "tests/unit/fake/roce_world.h"

#define OPEN_AT   MIB(1)
#define OPEN_SIZE 10000u
#define READ_AT   MIB(2)
#define LOCAL     MIB(3)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static struct world w;
static struct verbs_mr *open_mr, *read_mr, *local_mr;
static u32 completions, posted;

static bool swallow(void *ctx, u32 from, const u8 *frame, u32 size)
{
    (void)ctx;
    (void)from;
    (void)frame;
    (void)size;
    return false;
}

static void post_some(void)
{
    struct verbs_sge sge = {LOCAL, 3000, local_mr->lkey}, eight = {LOCAL, 8, local_mr->lkey};
    struct verbs_recv_wr recv = {.sg_list = &sge, .num_sge = 1};
    struct verbs_send_wr wr = {.sg_list = &sge, .num_sge = 1, .send_flags = SEND_SIGNALED};

    for (u32 i = 0; i < 4; i++)
        posted += verbs_post_recv(w.host[0].qp, &recv, 1, NULL, NULL) == OK;
    for (u32 op = WR_RDMA_WRITE; op <= WR_ATOMIC_FETCH_AND_ADD; op++) {
        wr.opcode = (enum wr_opcode)op;
        wr.sg_list = op >= WR_ATOMIC_CMP_AND_SWP ? &eight : &sge;
        posted += verbs_post_send(w.host[0].qp, &wr, 1, NULL, NULL) == OK;
    }
}

static void start(u8 choice)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(256u << (choice & 1));

    attr.sq_psn = attr.rq_psn = choice & 2 ? 0 : 0xfffffc;
    world_init(&w, &line, 1024, 1, 256);
    memset(w.host[0].memory, 0x77, WORLD_MEMORY);
    open_mr = world_mr(&w, 0, OPEN_AT + 40, OPEN_SIZE, ACCESS_ALL);
    read_mr = world_mr(&w, 0, READ_AT, 4096, ACCESS_REMOTE_READ);
    local_mr = world_mr(&w, 0, LOCAL, 3000, ACCESS_LOCAL_WRITE);
    w.watch = swallow;
    world_connect(&w, &attr, 32, 32);
    completions = posted = 0;
    post_some();
}

/* Mostly the next one; else the same again, one left out, one long gone, or one far off. */
static u32 psn_like(u8 choice, u32 last)
{
    static const s32 steps[8] = {1, 1, 1, 1, 0, 2, -5, 1000};

    return (last + (u32)steps[choice & 7]) & WIRE_PSN_MASK;
}

/* A packet out of 12 bytes of input, most of it near something that would be taken. */
static void send_packet(const u8 *d, struct icrc *icrc, u32 *psn)
{
    static u8 frame[WIRE_FRAME_MOST], payload[WIRE_MTU_MOST];
    static const u32 sizes[] = {0, 1, 255, 256, 257, 512, 1024, 4096};
    struct verbs_mr *mrs[] = {open_mr, read_mr, local_mr, open_mr};
    struct verbs_mr *mr = mrs[d[1] & 3];
    struct roce_path path = {.src_ip = w.host[1].port.ip, .dst_ip = w.host[0].port.ip, .ttl = 9};
    struct roce_packet p = {.opcode = (u8)(d[0] % RC_OPCODES), .qpn = w.host[0].qp->qp_num};
    u32 lengths[] = {0, 8, 256, 3000, OPEN_SIZE, 1u << 30, ~0u, d[5]};

    p.info = roce_opcode(p.opcode);
    if (!p.info)
        return;
    *psn = psn_like(d[2], *psn);
    p.psn = *psn;
    p.ack_request = d[3] & 1;
    p.key = mr->rkey ^ (d[3] & 2 ? d[4] : 0u);
    p.va = mr->iova + (d[3] & 4 ? 0ull : d[6] * 64ull) - (d[3] & 8 ? 1u : 0u);
    p.length = lengths[d[7] & 7];
    p.syndrome = d[8];
    p.msn = d[9];
    p.swap_add = d[10];
    p.compare = 0x7777777777777777;
    p.imm = mr->rkey;
    p.payload_size = p.info->flags & ROCE_PAYLOAD ? sizes[d[11] & 7] : 0;
    memset(payload, 0xee, sizeof(payload));
    memcpy(roce_packet_begin(&p, &path, frame), payload, p.payload_size);
    roce_packet_finish(&p, icrc, frame);
    (void)roce_receive(w.host[0].device, frame, roce_packet_size(&p));
}

static bool is_granted(u64 at)
{
    return (at >= OPEN_AT + 40 && at < OPEN_AT + 40 + OPEN_SIZE) ||
           (at >= LOCAL && at < LOCAL + 3000);
}

/* Outside what was granted, nothing changed. */
static void check_memory(void)
{
    static u8 page[PAGE_SIZE], untouched[PAGE_SIZE];

    memset(untouched, 0x77, sizeof(untouched));
    for (u64 at = 0; at < WORLD_MEMORY; at += PAGE_SIZE) {
        world_get(&w, 0, at, page, PAGE_SIZE);
        if (!memcmp(page, untouched, PAGE_SIZE))
            continue;
        for (u64 i = 0; i < PAGE_SIZE; i++)
            CHECK(page[i] == 0x77 || is_granted(at + i));
    }
}

static void run(void)
{
    struct verbs_wc wc;

    for (u32 i = 0; i < 64 && roce_poll(w.host[0].device); i++)
        ;
    while (verbs_poll_cq(w.host[0].cq, &wc, 1))
        completions++;
    CHECK(completions <= posted);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct icrc icrc;
    u32 psn;

    if (size < 13)
        return 0;
    icrc_init(&icrc);
    start(data[0]);
    psn = data[0] & 2 ? WIRE_PSN_MASK : 0xfffffb;
    for (data++, size--; size >= 12; data += 12, size -= 12) {
        send_packet(data, &icrc, &psn);
        run();
        if (data[3] & 0x80) /* time for what is due */
            world_now += 3000000ull * (data[3] >> 4);
    }
    check_memory();
    CHECK(verbs_modify_qp(w.host[0].qp, QPS_ERR, NULL, NULL) == OK);
    run();
    CHECK(completions == posted);
    world_end_mr(open_mr);
    world_end_mr(read_mr);
    world_end_mr(local_mr);
    world_free(&w);
    return 0;
}

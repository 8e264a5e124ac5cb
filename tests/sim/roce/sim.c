/* SPDX-License-Identifier: BSD-2-Clause */
/* Two hosts and random work over a random line, from one seed that replays:
 *
 *     roce-sim FIRST COUNT [-v]
 *
 * What must hold for every seed: all that is posted completes once and in order, with the right bytes, or the
 * queue pair ends in error and the rest is flushed; nothing hangs; memory that no work names keeps its bytes. And on
 * the wire: no ACK bears the PSN of a READ or atomic, for which a lenient requester (Linux's rdma_rxe) would complete
 * it, with or without its data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/timer.h"
#include "tests/unit/fake/roce_world.h"

#define WORKS   24
#define SLOT    KIB(32) /* of memory for each piece of work, with canaries around */
#define MOST    KIB(20)
#define CANARY  0xc3
#define LONGEST SEC(300)

struct piece {
    enum wr_opcode op;
    u32 size;
    bool signalled, received;
    u64 local, remote;
    u64 before, operand; /* of an atomic */
};

struct side {
    struct piece work[WORKS];
    u32 works, posted, done; /* done: signalled completions seen, by the work's number */
    u32 receives, received;
    bool failed;
    struct verbs_mr *mr;
};

static struct world w;
static struct side side[2];
static u64 seed;
static u8 buffer[MOST + 64], expected[MOST];
static bool must_succeed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: line %d: %s\n", (unsigned long long)seed, __LINE__,        \
                    #condition);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static u8 byte_of(u32 host, u32 work, u32 i)
{
    return (u8)(host * 89 + work * 37 + i * 13 + (i >> 8));
}

static bool is_atomic(enum wr_opcode op)
{
    return op == WR_ATOMIC_CMP_AND_SWP || op == WR_ATOMIC_FETCH_AND_ADD;
}

/* Work i of host h has slot i of the lower half at home, and slot i of the upper half at its peer. */
static void plan(u32 h, u32 mtu)
{
    const u32 sizes[] = {0,   1, mtu - 1, mtu, mtu + 1, world_below(&w, 600), world_below(&w, MOST),
                         MOST};

    side[h].works = 1 + world_below(&w, WORKS);
    for (u32 i = 0; i < side[h].works; i++) {
        struct piece *p = &side[h].work[i];

        *p = (struct piece){.op = (enum wr_opcode)world_below(&w, WR_ATOMIC_FETCH_AND_ADD + 1),
                            .signalled = world_below(&w, 3) != 0 || i + 1 == side[h].works,
                            .local = i * SLOT + 64 + 8 * world_below(&w, 500),
                            .remote = MIB(2) + i * SLOT + 64 + 8 * world_below(&w, 500),
                            .before = world_random(&w),
                            .operand = world_random(&w)};
        p->size = is_atomic(p->op) ? 8 : MIN(sizes[world_below(&w, COUNT_OF(sizes))], MOST);
        p->received =
            p->op == WR_SEND || p->op == WR_SEND_WITH_IMM || p->op == WR_RDMA_WRITE_WITH_IMM;
    }
}

static void fill(u32 h)
{
    for (u32 i = 0; i < side[h].works; i++) {
        struct piece *p = &side[h].work[i];
        bool reads = p->op == WR_RDMA_READ;

        for (u32 k = 0; k < p->size; k++)
            buffer[k] = byte_of(h, i, k);
        if (is_atomic(p->op))
            world_put(&w, 1 - h, p->remote, &p->before, 8);
        else
            world_put(&w, reads ? 1 - h : h, reads ? p->remote : p->local, buffer, p->size);
    }
}

/* --- what a lenient requester would take for an answer ------------------------------------------- */

#define PSNS 65536 /* far more than are under way */

/* Of each PSN, by its low bits, what request last had it. */
static struct {
    u32 psn;
    bool used, asks; /* for a response of its own */
} request[2][PSNS];
static struct icrc icrc;
static u32 path_mtu;

static void note_request(u32 from, const struct roce_packet *p)
{
    bool read = p->info->kind == ROCE_READ, asks = read || p->info->flags & ROCE_ATOMIC_ETH;
    u32 packets = read ? MAX((p->length + path_mtu - 1) / path_mtu, 1u) : 1;

    for (u32 i = 0; i < packets; i++) {
        u32 psn = (p->psn + i) & WIRE_PSN_MASK;

        request[from][psn % PSNS].psn = psn;
        request[from][psn % PSNS].used = true;
        request[from][psn % PSNS].asks = asks;
    }
}

static bool judge_frame(void *ctx, u32 from, const u8 *frame, u32 size)
{
    struct roce_packet p;
    u32 at;

    (void)ctx;
    CHECK(roce_packet_parse(&p, &icrc, frame, size) == ROCE_OK);
    at = p.psn % PSNS;
    if (!(p.info->flags & ROCE_RESPONSE))
        note_request(from, &p);
    else if (p.opcode == RC_ACKNOWLEDGE && AETH_KIND(p.syndrome) == AETH_KIND(AETH_ACK))
        CHECK(!request[1 - from][at].used || request[1 - from][at].psn != p.psn ||
              !request[1 - from][at].asks);
    return true;
}

/* --- posting ------------------------------------------------------------------------------------ */

static void post_receives(u32 h)
{
    struct side *peer = &side[1 - h];

    for (u32 i = 0; i < peer->works; i++) {
        struct verbs_sge sge = {peer->work[i].remote, peer->work[i].size, side[h].mr->lkey};
        struct verbs_recv_wr wr = {.wr_id = i, .sg_list = &sge, .num_sge = 1};

        if (!peer->work[i].received)
            continue;
        if (peer->work[i].op == WR_RDMA_WRITE_WITH_IMM)
            wr.num_sge = 0;
        CHECK(verbs_post_recv(w.host[h].qp, &wr, 1, NULL, NULL) == OK);
        side[h].receives++;
    }
}

static void post(u32 h, u32 i)
{
    struct piece *p = &side[h].work[i];
    struct verbs_sge sge[2] = {{p->local, p->size, side[h].mr->lkey}};
    struct verbs_send_wr wr = {.wr_id = i,
                               .sg_list = sge,
                               .num_sge = 1,
                               .opcode = p->op,
                               .send_flags = p->signalled ? SEND_SIGNALED : 0,
                               .imm = i,
                               .remote_addr = p->remote,
                               .rkey = side[1 - h].mr->rkey,
                               .compare_add = p->operand,
                               .swap = ~p->operand};

    if (p->op == WR_ATOMIC_CMP_AND_SWP && p->operand & 1)
        wr.compare_add = p->before;
    if (p->size > 8) {
        u32 cut = world_below(&w, p->size);

        sge[1] = (struct verbs_sge){p->local + cut, p->size - cut, side[h].mr->lkey};
        sge[0].length = cut;
        wr.num_sge = 2;
    }
    if (!world_below(&w, 4))
        wr.send_flags |= SEND_FENCE;
    CHECK(verbs_post_send(w.host[h].qp, &wr, 1, NULL, NULL) == OK);
}

/* --- completions -------------------------------------------------------------------------------- */

static void take_send(u32 h, const struct verbs_wc *wc)
{
    struct side *s = &side[h];

    if (wc->status == WC_SUCCESS) {
        CHECK(!s->failed);
        while (s->done < s->works && !s->work[s->done].signalled)
            s->done++;
        CHECK(s->work[wc->wr_id].signalled);
    } else if (!s->failed) { /* the first that failed; silent ones before it were done */
        s->failed = true;
        CHECK(wc->wr_id >= s->done);
        for (; s->done < wc->wr_id; s->done++)
            CHECK(!s->work[s->done].signalled);
    } else {
        CHECK(wc->status == WC_WR_FLUSH_ERR);
    }
    CHECK(wc->wr_id == s->done);
    s->done++;
}

static void take_receive(u32 h, const struct verbs_wc *wc)
{
    struct side *s = &side[h], *peer = &side[1 - h];

    CHECK(wc->wr_id < peer->works && peer->work[wc->wr_id].received);
    CHECK(s->received == 0 || wc->wr_id + 1 > s->received);
    s->received = (u32)wc->wr_id + 1;
    s->receives--;
    if (wc->status != WC_SUCCESS) {
        CHECK(wc->status == WC_WR_FLUSH_ERR);
        return;
    }
    CHECK(wc->byte_len == peer->work[wc->wr_id].size);
    CHECK(!(wc->wc_flags & WC_WITH_IMM) || wc->imm == wc->wr_id);
}

static bool poll(struct world *world)
{
    bool over = true;

    for (u32 h = 0; h < 2; h++) {
        struct verbs_wc wc;

        while (verbs_poll_cq(world->host[h].cq, &wc, 1))
            if (wc.opcode & WC_RECV)
                take_receive(h, &wc);
            else
                take_send(h, &wc);
        while (side[h].posted < side[h].works && world_below(world, 2))
            post(h, side[h].posted++);
        over &= side[h].posted == side[h].works && side[h].done >= side[h].works;
    }
    return over;
}

/* --- what must be true in the end --------------------------------------------------------------- */

static void check_work(u32 h, u32 i)
{
    const struct piece *p = &side[h].work[i];
    bool reads = p->op == WR_RDMA_READ;
    u64 value;

    if (is_atomic(p->op)) {
        world_get(&w, h, p->local, &value, 8);
        CHECK(value == p->before);
        world_get(&w, 1 - h, p->remote, &value, 8);
        CHECK(value == (p->op == WR_ATOMIC_FETCH_AND_ADD ? p->before + p->operand
                        : p->operand & 1                 ? ~p->operand
                                                         : p->before));
        return;
    }
    for (u32 k = 0; k < p->size; k++)
        expected[k] = byte_of(h, i, k);
    world_get(&w, reads ? h : 1 - h, reads ? p->local : p->remote, buffer, p->size);
    CHECK(!memcmp(buffer, expected, p->size));
}

/* Within its slot, before and behind the bytes that the work names. */
static void check_canaries(u32 host, u64 slot, u64 at, u32 size)
{
    static u8 all[SLOT];

    world_get(&w, host, slot, all, SLOT);
    for (u64 i = 0; i < SLOT; i++)
        if (i < at - slot || i >= at - slot + size)
            CHECK(all[i] == CANARY);
}

static void check_end(void)
{
    for (u32 h = 0; h < 2; h++) {
        for (u32 i = 0; i < WORKS; i++) {
            const struct piece *p = &side[h].work[i];
            bool used = i < side[h].works;

            check_canaries(h, i * SLOT, used ? p->local : i * SLOT, used ? p->size : 0);
            check_canaries(1 - h, MIB(2) + i * SLOT, used ? p->remote : MIB(2) + i * SLOT,
                           used ? p->size : 0);
        }
        for (u32 i = 0; !side[0].failed && !side[1].failed && i < side[h].works; i++)
            check_work(h, i);
    }
}

/* --- one seed ----------------------------------------------------------------------------------- */

static struct world_line random_line(struct world *r)
{
    static const u32 rates[] = {0, 0, 10, 100, 500, 2000};
    static const u64 speeds[] = {0, 0, 100000000, 10000000000};

    return (struct world_line){
        .lost = rates[world_below(r, COUNT_OF(rates))],
        .doubled = rates[world_below(r, COUNT_OF(rates))],
        .reordered = rates[world_below(r, COUNT_OF(rates))],
        .delay = 500 + world_below(r, 50000),
        .jitter = world_below(r, 2) ? world_below(r, 50000) : 0,
        .bits_per_second = speeds[world_below(r, COUNT_OF(speeds))],
        .send_ring = 1 + world_below(r, 64),
        .receive_ns = world_below(r, 8) ? 0 : 200000,
        .receive_buffer = 2,
    };
}

/* No line loses everything for that long: with retries without end nothing may fail. */
static void random_attr(struct world *r, struct verbs_qp_attr *a)
{
    static const u8 deep[] = {1, 2, 4, 16};

    must_succeed = world_below(r, 4) != 0;
    a->timeout = must_succeed ? 16 : (u8)(5 + world_below(r, 5));
    a->retry_cnt = must_succeed ? 7 : (u8)world_below(r, 3);
    a->rnr_retry = must_succeed ? 7 : (u8)world_below(r, 8);
    a->max_rd_atomic = a->max_dest_rd_atomic = deep[world_below(r, COUNT_OF(deep))];
    a->sq_psn = a->rq_psn =
        world_below(r, 2) ? WIRE_PSN_MASK - world_below(r, 64) : world_below(r, 1 << 24);
}

static void finish_error(void)
{
    for (u32 h = 0; h < 2; h++) /* the application hears of it, and ends the other side too */
        CHECK(verbs_modify_qp(w.host[h].qp, QPS_ERR, NULL, NULL) == OK);
    (void)poll(&w);
}

static bool more_to_post(void)
{
    return side[0].posted < side[0].works || side[1].posted < side[1].works;
}

static void run_seed(bool verbose)
{
    struct world r = {.random = seed * 0x2545f4914f6cdd1dull + 77};
    struct verbs_qp_attr attr;
    struct world_line line;
    u32 mtu;
    bool over;

    for (u32 i = 0; i < 8; i++)
        (void)world_random(&r);
    mtu = 256u << world_below(&r, 5);
    line = random_line(&r);
    attr = world_attr(mtu);
    random_attr(&r, &attr);
    memset(side, 0, sizeof(side));
    memset(request, 0, sizeof(request));
    path_mtu = mtu;
    world_init(&w, &line, mtu, seed, 128);
    w.watch = judge_frame;
    memset(w.host[0].memory, CANARY, 2 * WORLD_MEMORY);
    world_connect(&w, &attr, WORKS, WORKS);
    for (u32 h = 0; h < 2; h++) {
        side[h].mr = world_mr(&w, h, 0, WORLD_MEMORY, ACCESS_ALL);
        plan(h, mtu);
    }
    for (u32 h = 0; h < 2; h++) {
        fill(h);
        post_receives(h);
    }
    do /* it ends early where nothing happens any more, and more may be posted then */
        over = world_run(&w, poll, LONGEST);
    while (!over && world_now < LONGEST && more_to_post());
    if (!over && (side[0].failed || side[1].failed)) {
        finish_error();
        over = poll(&w);
    }
    CHECK(!must_succeed || (!side[0].failed && !side[1].failed));
    if (side[0].failed || side[1].failed)
        while (!over) {
            finish_error();
            over = poll(&w);
        }
    CHECK(over);
    check_end();
    if (verbose)
        printf("seed %llu: mtu %u, %u + %u works, lost %u.%02u %%, %.3f ms, %s\n",
               (unsigned long long)seed, mtu, side[0].works, side[1].works, line.lost / 100,
               line.lost % 100, (double)world_now / 1e6,
               side[0].failed || side[1].failed ? "ended in error" : "all done");
    for (u32 h = 0; h < 2; h++)
        world_end_mr(side[h].mr);
    world_free(&w);
}

int main(int argc, char **argv)
{
    u64 first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    u64 count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    u64 errors = 0;

    icrc_init(&icrc);
    for (seed = first; seed < first + count; seed++) {
        run_seed(argc > 3);
        errors += side[0].failed || side[1].failed;
    }
    printf("roce-sim: %llu seeds from %llu on hold, %llu of them with a connection that ended in "
           "error\n",
           (unsigned long long)count, (unsigned long long)first, (unsigned long long)errors);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that one queue pair can do to another, over a line that may lose what the test says. */
#include <stdlib.h>
#include <string.h>
#include "fake/roce_world.h"
#include "kernel/timer.h"
#include "unit.h"

#define SOURCE  0
#define TARGET  MIB(2)
#define FOREVER SEC(100)

static struct world w;
static struct verbs_mr *mr[2];
static u8 data[MIB(2)], seen[MIB(2)];
static struct verbs_wc wc[2][64];
static u32 wcs[2];

static void start_with(const struct world_line *line, u32 mtu, const struct verbs_qp_attr *attr)
{
    world_init(&w, line, mtu, 1, 256);
    world_connect(&w, attr, 64, 64);
    for (u32 i = 0; i < 2; i++)
        mr[i] = world_mr(&w, i, 0, WORLD_MEMORY, ACCESS_ALL);
    memset(wcs, 0, sizeof(wcs));
    for (u32 i = 0; i < sizeof(data); i++)
        data[i] = (u8)(i * 7 + (i >> 8));
}

static void start(u32 mtu)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(mtu);

    start_with(&line, mtu, &attr);
}

static void end(void)
{
    for (u32 i = 0; i < 2; i++)
        world_end_mr(mr[i]);
    world_free(&w);
}

static void collect(void)
{
    for (u32 i = 0; i < 2; i++)
        wcs[i] += verbs_poll_cq(w.host[i].cq, wc[i] + wcs[i], 64 - wcs[i]);
}

static void settle(void)
{
    assert_true(world_run(&w, NULL, world_now + FOREVER));
    collect();
}

static struct verbs_send_wr work(enum wr_opcode opcode, const struct verbs_sge *sge)
{
    return (struct verbs_send_wr){.wr_id = 77,
                                  .sg_list = sge,
                                  .num_sge = 1,
                                  .opcode = opcode,
                                  .send_flags = SEND_SIGNALED,
                                  .imm = 0xabcd1234,
                                  .remote_addr = TARGET,
                                  .rkey = mr[1]->rkey};
}

static void post(u32 host, const struct verbs_send_wr *wr)
{
    struct why why;

    if (verbs_post_send(w.host[host].qp, wr, 1, NULL, &why) != OK)
        fail_msg("%s", why.text);
}

static void post_recv(u32 host, u64 address, u32 size, u32 lkey)
{
    struct verbs_sge sge = {address, size, lkey};
    struct verbs_recv_wr wr = {.wr_id = 99, .sg_list = &sge, .num_sge = 1};
    struct why why;

    if (verbs_post_recv(w.host[host].qp, &wr, 1, NULL, &why) != OK)
        fail_msg("%s", why.text);
}

static void check_bytes(u32 host, u64 address, u32 size)
{
    world_get(&w, host, address, seen, size);
    assert_memory_equal(seen, data, size);
}

static bool is_write(enum wr_opcode op)
{
    return op == WR_RDMA_WRITE || op == WR_RDMA_WRITE_WITH_IMM;
}

/* One transfer of `size` bytes from host 0's SOURCE (READ: to it) to host 1's TARGET (READ: from it). */
static void transfer(enum wr_opcode op, u32 size)
{
    struct verbs_sge sge = {SOURCE, size, mr[0]->lkey};
    struct verbs_send_wr wr = work(op, &sge);
    bool received = op != WR_RDMA_WRITE && op != WR_RDMA_READ;
    static const u8 canary[16] = "0123456789abcde";
    u32 to = op == WR_RDMA_READ ? 0 : 1;
    u64 at = op == WR_RDMA_READ ? SOURCE : TARGET;

    wcs[0] = wcs[1] = 0;
    world_put(&w, 1 - to, op == WR_RDMA_READ ? TARGET : SOURCE, data, size);
    world_put(&w, to, at + size, canary, sizeof(canary));
    if (received)
        post_recv(1, TARGET, size, mr[1]->lkey);
    post(0, &wr);
    settle();
    assert_int_equal(wcs[0], 1);
    assert_int_equal(wc[0][0].status, WC_SUCCESS);
    assert_int_equal(wc[0][0].wr_id, 77);
    assert_int_equal(wcs[1], received);
    if (received) {
        assert_int_equal(wc[1][0].status, WC_SUCCESS);
        assert_int_equal(wc[1][0].byte_len, size);
        assert_int_equal(wc[1][0].opcode, is_write(op) ? WC_RECV_RDMA_WITH_IMM : WC_RECV);
        assert_int_equal(wc[1][0].wc_flags, op == WR_SEND ? 0 : WC_WITH_IMM);
        assert_int_equal(wc[1][0].imm, op == WR_SEND ? 0 : 0xabcd1234);
    }
    check_bytes(to, at, size);
    world_get(&w, to, at + size, seen, sizeof(canary));
    assert_memory_equal(seen, canary, sizeof(canary));
}

static void every_operation_at_every_size_and_mtu(void **state)
{
    static const enum wr_opcode ops[] = {WR_SEND, WR_SEND_WITH_IMM, WR_RDMA_WRITE,
                                         WR_RDMA_WRITE_WITH_IMM, WR_RDMA_READ};
    (void)state;
    for (u32 mtu = 256; mtu <= 4096; mtu *= 2) {
        const u32 sizes[] = {0, 1, 2, 3, 4, mtu - 1, mtu, mtu + 1, 3 * mtu + 5, MIB(1)};

        start(mtu);
        for (u32 i = 0; i < COUNT_OF(ops); i++)
            for (u32 k = 0; k < COUNT_OF(sizes); k++)
                transfer(ops[i], sizes[k]);
        end();
    }
}

static void three_entries_of_memory_are_one_message(void **state)
{
    struct verbs_sge from[3] = {{0, 5, 0}, {KIB(64), 5000, 0}, {100, 1, 0}};
    struct verbs_sge to[2] = {{TARGET + 1, 4000, 0}, {TARGET + KIB(64), 2000, 0}};
    struct verbs_recv_wr recv = {.sg_list = to, .num_sge = 2};
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    for (u32 i = 0; i < 3; i++)
        from[i].lkey = mr[0]->lkey;
    to[0].lkey = to[1].lkey = mr[1]->lkey;
    world_put(&w, 0, 0, data, 5);
    world_put(&w, 0, KIB(64), data + 5, 5000);
    world_put(&w, 0, 100, data + 5005, 1);
    assert_int_equal(verbs_post_recv(w.host[1].qp, &recv, 1, NULL, NULL), OK);
    wr = work(WR_SEND, from);
    wr.num_sge = 3;
    post(0, &wr);
    settle();
    assert_int_equal(wc[1][0].byte_len, 5006);
    world_get(&w, 1, TARGET + 1, seen, 4000);
    world_get(&w, 1, TARGET + KIB(64), seen + 4000, 1006);
    assert_memory_equal(seen, data, 5006);
    end();
}

static void only_signalled_work_is_reported(void **state)
{
    struct verbs_send_wr wr[8];
    struct verbs_sge sge;

    (void)state;
    start(1024);
    sge = (struct verbs_sge){0, 3000, mr[0]->lkey};
    world_put(&w, 0, 0, data, 3000);
    for (u32 i = 0; i < 8; i++) {
        wr[i] = work(WR_RDMA_WRITE, &sge);
        wr[i].remote_addr += i * KIB(4);
        wr[i].wr_id = i;
        wr[i].send_flags = i == 5 ? SEND_SIGNALED : 0;
    }
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 8, NULL, NULL), OK);
    settle();
    assert_int_equal(wcs[0], 1);
    assert_int_equal(wc[0][0].wr_id, 5);
    for (u32 i = 0; i < 8; i++)
        check_bytes(1, TARGET + i * KIB(4), 3000);
    end();
}

/* --- atomics ------------------------------------------------------------------------------------ */

static u64 atomic(enum wr_opcode op, u64 compare_add, u64 swap)
{
    struct verbs_sge sge = {64, 8, mr[0]->lkey};
    struct verbs_send_wr wr = work(op, &sge);
    u64 before;

    wr.compare_add = compare_add;
    wr.swap = swap;
    wcs[0] = 0;
    post(0, &wr);
    settle();
    assert_int_equal(wcs[0], 1);
    assert_int_equal(wc[0][0].status, WC_SUCCESS);
    assert_int_equal(wc[0][0].byte_len, 8);
    world_get(&w, 0, 64, &before, 8);
    return before;
}

static u64 target(void)
{
    u64 value;

    world_get(&w, 1, TARGET, &value, 8);
    return value;
}

static void atomics_change_eight_bytes_and_tell_what_was_there(void **state)
{
    u64 value = 0x1122334455667788;

    (void)state;
    start(1024);
    world_put(&w, 1, TARGET, &value, 8);
    assert_int_equal(atomic(WR_ATOMIC_FETCH_AND_ADD, 0x11, 0), value);
    assert_int_equal(target(), value + 0x11);
    assert_int_equal(atomic(WR_ATOMIC_CMP_AND_SWP, value, 5), value + 0x11);
    assert_int_equal(target(), value + 0x11);
    assert_int_equal(atomic(WR_ATOMIC_CMP_AND_SWP, value + 0x11, 5), value + 0x11);
    assert_int_equal(target(), 5);
    end();
}

/* --- loss --------------------------------------------------------------------------------------- */

static u32 frame_number, lose_number, lose_from;

static bool lose_one(void *ctx, u32 from, const u8 *frame, u32 size)
{
    (void)ctx;
    (void)frame;
    (void)size;
    return from != lose_from || frame_number++ != lose_number;
}

static bool lose_all(void *ctx, u32 from, const u8 *frame, u32 size)
{
    (void)ctx;
    (void)from;
    (void)frame;
    (void)size;
    return false;
}

static void an_atomic_whose_answer_is_lost_is_not_executed_twice(void **state)
{
    u64 value = 100;

    (void)state;
    start(1024);
    world_put(&w, 1, TARGET, &value, 8);
    w.watch = lose_one;
    lose_from = 1;
    for (u32 i = 0; i < 20; i++) {
        frame_number = lose_number = 0;
        assert_int_equal(atomic(WR_ATOMIC_FETCH_AND_ADD, 1, 0), 100 + i);
        assert_int_equal(target(), 101 + i);
        assert_int_equal(frame_number, 2);
    }
    end();
}

static void the_loss_of_any_one_frame_is_repaired(void **state)
{
    static const enum wr_opcode ops[] = {WR_SEND, WR_RDMA_WRITE_WITH_IMM, WR_RDMA_WRITE,
                                         WR_RDMA_READ};
    (void)state;
    start(256);
    w.watch = lose_one;
    for (u32 op = 0; op < COUNT_OF(ops); op++)
        for (lose_from = 0; lose_from < 2; lose_from++)
            for (lose_number = 0;; lose_number++) {
                frame_number = 0;
                transfer(ops[op], 256 * 9 + 3);
                if (frame_number <= lose_number)
                    break;
            }
    end();
}

/* The first response, as often as lose_number says. */
static bool lose_first_response(void *ctx, u32 from, const u8 *frame, u32 size)
{
    const struct wire_bth *bth = (const void *)(frame + WIRE_HEADERS);

    (void)ctx;
    (void)size;
    if (!from || be24_get(bth->psn) != 0x123456 || !lose_number)
        return true;
    lose_number--;
    return false;
}

static void a_response_that_is_lost_again_is_asked_for_without_a_time_out(void **state)
{
    struct roce_counters c;

    (void)state;
    start(256);
    w.watch = lose_first_response;
    lose_number = 3;
    transfer(WR_RDMA_READ, 256 * 9);
    roce_counters(w.host[0].device, &c);
    assert_int_equal(lose_number, 0);
    assert_int_equal(c.rc[RC_COUNT_PROBE], 0);
    assert_int_equal(c.rc[RC_COUNT_RESENT], 3);
    end();
}

/* Loses the first responses, as many as lose_number says; an ACK bears the first request's PSN. */
static bool judge_acks(void *ctx, u32 from, const u8 *frame, u32 size)
{
    const struct wire_bth *bth = (const void *)(frame + WIRE_HEADERS);

    (void)ctx;
    (void)size;
    if (!from)
        return true;
    if (bth->opcode == RC_ACKNOWLEDGE)
        assert_int_equal(be24_get(bth->psn), 0x123456);
    return !lose_number || !lose_number--;
}

/* A requester may complete what has an ACK's PSN without having its data: Linux's rdma_rxe does. */
static void an_ack_never_bears_the_psn_of_a_read_or_atomic(void **state)
{
    static const enum wr_opcode ops[] = {WR_RDMA_READ, WR_ATOMIC_FETCH_AND_ADD};

    (void)state;
    for (u32 i = 0; i < COUNT_OF(ops); i++)
        for (u32 lost = 0; lost < 4; lost++) {
            struct verbs_sge sge = {SOURCE, 8, 0};
            struct verbs_send_wr write, wr;

            start(1024);
            sge.lkey = mr[0]->lkey;
            write = work(WR_RDMA_WRITE, &sge);
            wr = work(ops[i], &sge);
            lose_number = lost;
            w.watch = judge_acks;
            post(0, &write);
            post(0, &wr);
            settle();
            assert_int_equal(wcs[0], 2);
            assert_int_equal(wc[0][1].status, WC_SUCCESS);
            assert_int_equal(lose_number, 0);
            end();
        }
}

/* READ requests as the responder of Linux's rdma_rxe remembers them: the start moves with what is asked again. */
static struct {
    u32 end; /* PSN behind all that was asked for */
    u32 count, first[4096], packets[4096];
} asked;

static bool watch_reads(void *ctx, u32 from, const u8 *frame, u32 size)
{
    struct roce_packet p;
    struct icrc icrc;
    u32 packets;

    (void)ctx;
    icrc_init(&icrc);
    assert_int_equal(roce_packet_parse(&p, &icrc, frame, size), ROCE_OK);
    if (from || p.info->kind != ROCE_READ)
        return true;
    packets = MAX((p.length + 1023) / 1024, 1);
    if (!asked.count || p.psn == asked.end) {
        asked.first[asked.count] = p.psn;
        asked.packets[asked.count++] = packets;
        asked.end = (p.psn + packets) & 0xffffff;
        return true;
    }
    for (u32 i = 0; i < asked.count; i++)
        if (((p.psn - asked.first[i]) & 0xffffff) < asked.packets[i]) {
            asked.packets[i] -= (p.psn - asked.first[i]) & 0xffffff;
            asked.first[i] = p.psn;
            assert_in_range(packets, 1, asked.packets[i]);
            return true;
        }
    fail_msg("PSN %u is before what its request asked for again last", p.psn);
    return true;
}

static void no_part_of_a_read_is_asked_for_after_a_later_one(void **state)
{
    static const struct world_line line = {
        .delay = 1000, .jitter = 3000, .lost = 500, .doubled = 500, .reordered = 500};
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    start_with(&line, 1024, &attr);
    w.watch = watch_reads;
    memset(&asked, 0, sizeof(asked));
    for (u32 i = 0; i < 20; i++)
        transfer(WR_RDMA_READ, 1024 * 200 + 1);
    end();
}

static void a_dead_line_ends_in_retry_exceeded_after_all_retries(void **state)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(1024);
    struct verbs_send_wr wr;
    struct verbs_sge sge;
    u64 began;

    (void)state;
    attr.timeout = 8; /* 1.05 ms */
    attr.retry_cnt = 3;
    start_with(&line, 1024, &attr);
    sge = (struct verbs_sge){0, 5000, mr[0]->lkey};
    w.watch = lose_all;
    wr = work(WR_RDMA_WRITE, &sge);
    began = world_now;
    post(0, &wr);
    wr.send_flags = 0;
    wr.wr_id = 78;
    post(0, &wr);
    settle();
    assert_int_equal(wcs[0], 2);
    assert_int_equal(wc[0][0].status, WC_RETRY_EXC_ERR);
    assert_int_equal(wc[0][0].wr_id, 77);
    assert_int_equal(wc[0][1].status, WC_WR_FLUSH_ERR);
    assert_int_equal(wc[0][1].wr_id, 78);
    assert_int_equal(world_now - began, 4 * (4096ull << 8));
    assert_int_equal(verbs_query_qp(w.host[0].qp), QPS_ERR);
    end();
}

static void packet_numbers_wrap_in_mid_message(void **state)
{
    static const struct world_line line = {.delay = 1000, .lost = 100, .reordered = 100};
    struct verbs_qp_attr attr = world_attr(256);

    (void)state;
    attr.sq_psn = attr.rq_psn = 0xfffff0;
    start_with(&line, 256, &attr);
    transfer(WR_RDMA_WRITE, MIB(1));
    transfer(WR_RDMA_READ, MIB(1));
    transfer(WR_SEND, MIB(1));
    end();
}

/* Buffers for two frames, and one frame passes in a millisecond. */
static void a_slow_receiver_with_two_buffers_is_not_overrun_for_long(void **state)
{
    static const struct world_line line = {
        .delay = 10000, .receive_ns = MSEC(1), .receive_buffer = 2};
    struct verbs_qp_attr attr = world_attr(1024);
    u64 began;

    (void)state;
    attr.timeout = 16; /* 268 ms */
    start_with(&line, 1024, &attr);
    began = world_now;
    transfer(WR_RDMA_WRITE, KIB(128)); /* 128 frames: 128 ms at best */
    assert_true(world_now - began < MSEC(600));
    began = world_now;
    transfer(WR_RDMA_READ, KIB(128));
    assert_true(world_now - began < MSEC(900));
    end();
}

/* --- not ready ---------------------------------------------------------------------------------- */

static void a_send_waits_for_a_late_receive(void **state)
{
    struct verbs_send_wr wr;
    struct verbs_sge sge;

    (void)state;
    start(1024);
    sge = (struct verbs_sge){0, 5000, mr[0]->lkey};
    world_put(&w, 0, 0, data, 5000);
    wr = work(WR_SEND, &sge);
    post(0, &wr);
    assert_false(world_run(&w, NULL, world_now + MSEC(50)));
    post_recv(1, TARGET, 5000, mr[1]->lkey);
    settle();
    assert_int_equal(wcs[0], 1);
    assert_int_equal(wc[0][0].status, WC_SUCCESS);
    check_bytes(1, TARGET, 5000);
    end();
}

static void a_receive_that_never_comes_ends_in_rnr_exceeded(void **state)
{
    static const enum wr_opcode ops[] = {WR_SEND, WR_RDMA_WRITE_WITH_IMM};
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    attr.rnr_retry = 3;
    for (u32 i = 0; i < COUNT_OF(ops); i++) {
        struct verbs_send_wr wr;
        struct verbs_sge sge;
        struct roce_counters c;

        start_with(&line, 1024, &attr);
        sge = (struct verbs_sge){0, 100, mr[0]->lkey};
        wr = work(ops[i], &sge);
        post(0, &wr);
        settle();
        assert_int_equal(wcs[0], 1);
        assert_int_equal(wc[0][0].status, WC_RNR_RETRY_EXC_ERR);
        roce_counters(w.host[0].device, &c);
        assert_int_equal(c.rc[RC_COUNT_RNR_TAKEN], 4);
        end();
    }
}

/* --- refused access ----------------------------------------------------------------------------- */

/* Posts it, with a receive at the other side that must be flushed; returns its status. */
static enum wc_status refused(struct verbs_send_wr *wr, enum wc_status at_peer)
{
    wcs[0] = wcs[1] = 0;
    post_recv(1, MIB(3), 16, mr[1]->lkey);
    post(0, wr);
    settle();
    assert_int_equal(wcs[0], 1);
    assert_int_equal(wcs[1], 1);
    assert_int_equal(wc[1][0].status, at_peer);
    assert_int_equal(verbs_query_qp(w.host[0].qp), QPS_ERR);
    assert_int_equal(verbs_query_qp(w.host[1].qp), QPS_ERR);
    return wc[0][0].status;
}

static const enum wr_opcode remote_ops[] = {WR_RDMA_WRITE, WR_RDMA_WRITE_WITH_IMM, WR_RDMA_READ,
                                            WR_ATOMIC_CMP_AND_SWP, WR_ATOMIC_FETCH_AND_ADD};

static void a_wrong_key_or_range_is_a_remote_access_error(void **state)
{
    const struct {
        s64 address, key;
    } cases[] = {{0, 1}, {0, 1 << 8}, {0, 1 << 30}, {MIB(2) - 8 + 8, 0}, {-(s64)TARGET - 8, 0}};

    (void)state;
    for (u32 op = 0; op < COUNT_OF(remote_ops); op++)
        for (u32 i = 0; i < COUNT_OF(cases); i++) {
            struct verbs_sge sge;
            struct verbs_send_wr wr;

            start(1024);
            memset(w.host[1].memory, 0x5a, WORLD_MEMORY);
            sge = (struct verbs_sge){0, 8, mr[0]->lkey};
            wr = work(remote_ops[op], &sge);
            wr.remote_addr += (u64)cases[i].address;
            wr.rkey += (u32)cases[i].key;
            assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
            for (u64 k = 0; k < WORLD_MEMORY; k += 8)
                assert_int_equal(*(u64 *)(w.host[1].memory + k), 0x5a5a5a5a5a5a5a5a);
            end();
        }
}

/* NAKs that are fatal, as often as lose_number says. */
static bool lose_refusals(void *ctx, u32 from, const u8 *frame, u32 size)
{
    const struct wire_bth *bth = (const void *)(frame + WIRE_HEADERS);
    u8 syndrome = frame[WIRE_HEADERS + sizeof(*bth)];

    (void)ctx;
    (void)size;
    if (!from || bth->opcode != RC_ACKNOWLEDGE ||
        AETH_KIND(syndrome) != AETH_KIND(AETH_NAK_ACCESS) || syndrome == AETH_NAK_SEQUENCE)
        return true;
    frame_number++;
    return frame_number > lose_number;
}

static void a_refusal_that_is_lost_is_said_again(void **state)
{
    (void)state;
    for (u32 op = 0; op < COUNT_OF(remote_ops); op++)
        for (lose_number = 0; lose_number < 4; lose_number++) {
            struct verbs_sge sge;
            struct verbs_send_wr wr;

            start(1024);
            memset(w.host[1].memory, 0x5a, WORLD_MEMORY);
            w.watch = lose_refusals;
            frame_number = 0;
            sge = (struct verbs_sge){0, 8, mr[0]->lkey};
            wr = work(remote_ops[op], &sge);
            wr.rkey++;
            assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
            assert_int_equal(frame_number, lose_number + 1);
            for (u64 k = 0; k < WORLD_MEMORY; k += 8)
                assert_int_equal(*(u64 *)(w.host[1].memory + k), 0x5a5a5a5a5a5a5a5a);
            end();
        }
}

/* The repeated NAK is for what was refused, and says nothing for a queue pair that is in error for another reason. */
static void a_queue_pair_that_was_put_into_error_says_nothing(void **state)
{
    struct verbs_sge sge;
    struct verbs_send_wr wr;
    struct why why;

    (void)state;
    start(1024);
    w.watch = lose_refusals;
    frame_number = lose_number = 0;
    assert_int_equal(verbs_modify_qp(w.host[1].qp, QPS_ERR, NULL, &why), OK);
    sge = (struct verbs_sge){0, 8, mr[0]->lkey};
    wr = work(WR_RDMA_WRITE, &sge);
    post(0, &wr);
    settle();
    assert_int_equal(wc[0][0].status, WC_RETRY_EXC_ERR);
    assert_int_equal(frame_number, 0);
    end();
}

static void a_range_that_ends_one_byte_late_is_refused(void **state)
{
    (void)state;
    for (u32 extra = 0; extra < 2; extra++) {
        struct verbs_mr *small;
        struct verbs_sge sge;
        struct verbs_send_wr wr;

        start(1024);
        small = world_mr(&w, 1, TARGET + 100, 5000, ACCESS_ALL);
        sge = (struct verbs_sge){0, 5000 + extra, mr[0]->lkey};
        wr = work(WR_RDMA_WRITE, &sge);
        wr.remote_addr = TARGET + 100;
        wr.rkey = small->rkey;
        if (extra) {
            assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
        } else {
            post(0, &wr);
            settle();
            assert_int_equal(wc[0][0].status, WC_SUCCESS);
        }
        world_end_mr(small);
        end();
    }
}

static void each_operation_needs_its_right(void **state)
{
    static const u32 rights[] = {ACCESS_REMOTE_WRITE, ACCESS_REMOTE_WRITE, ACCESS_REMOTE_READ,
                                 ACCESS_REMOTE_ATOMIC, ACCESS_REMOTE_ATOMIC};
    (void)state;
    for (u32 op = 0; op < COUNT_OF(remote_ops); op++) {
        struct verbs_mr *poor;
        struct verbs_sge sge;
        struct verbs_send_wr wr;

        start(1024);
        poor = world_mr(&w, 1, TARGET, 4096, ACCESS_ALL & ~rights[op]);
        sge = (struct verbs_sge){0, 8, mr[0]->lkey};
        wr = work(remote_ops[op], &sge);
        wr.rkey = poor->rkey;
        assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
        world_end_mr(poor);
        end();
    }
}

static void a_queue_pair_without_the_right_calls_the_request_invalid(void **state)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    attr.qp_access_flags = 0;
    for (u32 op = 0; op < COUNT_OF(remote_ops); op++) {
        struct verbs_sge sge;
        struct verbs_send_wr wr;

        start_with(&line, 1024, &attr);
        sge = (struct verbs_sge){0, 8, mr[0]->lkey};
        wr = work(remote_ops[op], &sge);
        assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_INV_REQ_ERR);
        end();
    }
}

static void a_key_of_another_domain_is_refused(void **state)
{
    struct verbs_pd *mine, *other;
    struct verbs_mr *foreign;
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    assert_int_equal(verbs_alloc_pd(w.host[1].device, &other, NULL), OK);
    mine = w.host[1].pd;
    w.host[1].pd = other;
    foreign = world_mr(&w, 1, TARGET, 4096, ACCESS_ALL);
    w.host[1].pd = mine;
    sge = (struct verbs_sge){0, 8, mr[0]->lkey};
    wr = work(WR_RDMA_WRITE, &sge);
    wr.rkey = foreign->rkey;
    assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
    world_end_mr(foreign);
    assert_int_equal(verbs_dealloc_pd(other, NULL), OK);
    end();
}

/* Frame 1 is where the world keeps its address 0. */
static void the_key_to_all_memory_is_the_own_hosts_alone(void **state)
{
    struct verbs_sge sge = {PAGE_SIZE, 300, 0};
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    sge.lkey = w.host[0].pd->local_dma_lkey;
    wr = work(WR_RDMA_WRITE, &sge);
    world_put(&w, 0, 0, data, 300);
    post(0, &wr);
    settle();
    assert_int_equal(wc[0][0].status, WC_SUCCESS);
    world_get(&w, 1, TARGET, seen, 300);
    assert_memory_equal(seen, data, 300);
    wr.remote_addr = 0;
    wr.rkey = w.host[1].pd->local_dma_lkey;
    wcs[0] = 0;
    assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_ACCESS_ERR);
    end();
}

static void of_no_bytes_any_key_will_do(void **state)
{
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    sge = (struct verbs_sge){0, 0, 0};
    for (u32 op = 0; op < 3; op++) {
        wr = work(remote_ops[op], &sge);
        wr.rkey = 0;
        if (remote_ops[op] == WR_RDMA_WRITE_WITH_IMM)
            post_recv(1, 0, 0, 0);
        post(0, &wr);
        settle();
        assert_int_equal(wcs[0], op + 1);
        assert_int_equal(wc[0][op].status, WC_SUCCESS);
    }
    end();
}

static void an_atomic_off_its_alignment_is_an_invalid_request(void **state)
{
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    sge = (struct verbs_sge){0, 8, mr[0]->lkey};
    wr = work(WR_ATOMIC_FETCH_AND_ADD, &sge);
    wr.remote_addr += 4;
    assert_int_equal(refused(&wr, WC_WR_FLUSH_ERR), WC_REM_INV_REQ_ERR);
    end();
}

static void a_receive_that_is_too_small_fails_on_both_sides(void **state)
{
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    sge = (struct verbs_sge){0, 17, mr[0]->lkey};
    wr = work(WR_SEND, &sge);
    assert_int_equal(refused(&wr, WC_LOC_LEN_ERR), WC_REM_INV_REQ_ERR);
    end();
}

static void a_receive_into_forbidden_memory_fails_on_both_sides(void **state)
{
    struct verbs_mr *read_only;
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start(1024);
    read_only = world_mr(&w, 1, 0, 4096, 0);
    sge = (struct verbs_sge){0, 16, mr[0]->lkey};
    wr = work(WR_SEND, &sge);
    post_recv(1, 0, 16, read_only->lkey);
    post(0, &wr);
    settle();
    assert_int_equal(wc[0][0].status, WC_REM_OP_ERR);
    assert_int_equal(wc[1][0].status, WC_LOC_PROT_ERR);
    world_end_mr(read_only);
    end();
}

/* What was posted before it is done first; what was posted after it is flushed. */
static void a_wrong_local_key_fails_in_its_turn(void **state)
{
    static const enum wr_opcode ops[] = {WR_SEND, WR_RDMA_WRITE, WR_RDMA_READ};

    (void)state;
    for (u32 i = 0; i < COUNT_OF(ops); i++) {
        struct verbs_sge good, bad;
        struct verbs_send_wr wr[3];

        start(1024);
        good = (struct verbs_sge){0, 5000, mr[0]->lkey};
        bad = (struct verbs_sge){0, 5000, mr[0]->lkey + 1};
        wr[0] = wr[2] = work(WR_RDMA_WRITE, &good);
        wr[1] = work(ops[i], &bad);
        wr[0].send_flags = 0; /* its acknowledgement is needed all the same */
        post_recv(1, TARGET, 5000, mr[1]->lkey);
        assert_int_equal(verbs_post_send(w.host[0].qp, wr, 3, NULL, NULL), OK);
        settle();
        assert_int_equal(wcs[0], 2);
        assert_int_equal(wc[0][0].status, WC_LOC_PROT_ERR);
        assert_int_equal(wc[0][1].status, WC_WR_FLUSH_ERR);
        end();
    }
}

/* --- in mid-transfer ---------------------------------------------------------------------------- */

static struct verbs_mr *doomed;
static u32 frames_before_end;

static bool end_region(void *ctx, u32 from, const u8 *frame, u32 size)
{
    (void)ctx;
    (void)frame;
    (void)size;
    if (from == 0)
        frames_before_end--;
    return true;
}

static bool is_time_to_end_it(struct world *world)
{
    (void)world;
    return (s32)frames_before_end <= 0;
}

static void nothing_is_written_through_a_key_that_was_ended(void **state)
{
    static const struct world_line line = {.delay = 20000, .bits_per_second = 1000000000};
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    for (u32 read = 0; read < 2; read++) {
        struct verbs_sge sge;
        struct verbs_send_wr wr;

        start_with(&line, 1024, &attr);
        doomed = world_mr(&w, 1, TARGET, MIB(1), ACCESS_ALL);
        sge = (struct verbs_sge){0, MIB(1), mr[0]->lkey};
        wr = work(read ? WR_RDMA_READ : WR_RDMA_WRITE, &sge);
        wr.rkey = doomed->rkey;
        memset(w.host[0].memory, 0x11, WORLD_MEMORY);
        memset(w.host[1].memory, 0x22, WORLD_MEMORY);
        w.watch = end_region;
        frames_before_end = read ? 5 : 300;
        post(0, &wr);
        assert_true(world_run(&w, is_time_to_end_it, world_now + FOREVER));
        world_end_mr(doomed);
        world_get(&w, 1, TARGET, data, MIB(1));
        settle();
        assert_int_equal(wcs[0], 1);
        assert_int_equal(wc[0][0].status, WC_REM_ACCESS_ERR);
        check_bytes(1, TARGET, MIB(1));
        end();
    }
}

static void a_peer_that_is_destroyed_ends_the_other_side(void **state)
{
    static const struct world_line line = {.delay = 20000, .bits_per_second = 1000000000};
    struct verbs_qp_attr attr = world_attr(1024);
    struct verbs_sge sge;
    struct verbs_send_wr wr;

    (void)state;
    start_with(&line, 1024, &attr);
    sge = (struct verbs_sge){0, MIB(1), mr[0]->lkey};
    wr = work(WR_RDMA_WRITE, &sge);
    w.watch = end_region;
    frames_before_end = 100;
    post(0, &wr);
    assert_true(world_run(&w, is_time_to_end_it, world_now + FOREVER));
    assert_int_equal(verbs_modify_qp(w.host[1].qp, QPS_RESET, NULL, NULL), OK);
    settle();
    assert_int_equal(wc[0][0].status, WC_RETRY_EXC_ERR);
    end();
}

/* The WRITE behind the READ waits for its data. */
static void a_fence_keeps_a_write_behind_a_read(void **state)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(256);
    struct verbs_sge to, from;
    struct verbs_send_wr wr[2];

    (void)state;
    start_with(&line, 256, &attr);
    to = (struct verbs_sge){0, KIB(64), mr[0]->lkey};
    from = (struct verbs_sge){MIB(1), KIB(64), mr[0]->lkey};
    memset(seen, 0, sizeof(seen));
    world_put(&w, 0, MIB(1), seen, KIB(64));
    world_put(&w, 1, TARGET, data, KIB(64));
    wr[0] = work(WR_RDMA_READ, &to);
    wr[1] = work(WR_RDMA_WRITE, &from);
    wr[1].send_flags |= SEND_FENCE;
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 2, NULL, NULL), OK);
    settle();
    assert_int_equal(wcs[0], 2);
    check_bytes(0, 0, KIB(64));
    memset(data, 0, KIB(64));
    check_bytes(1, TARGET, KIB(64));
    end();
}

static bool is_over(struct world *world)
{
    return !roce_is_busy(world->host[0].device);
}

static void a_read_of_a_page_takes_one_round_trip_at_any_mtu(void **state)
{
    (void)state;
    for (u32 mtu = 256; mtu <= 4096; mtu *= 2) {
        struct verbs_sge sge;
        struct verbs_send_wr wr;
        u64 began;

        start(mtu);
        sge = (struct verbs_sge){0, 4096, mr[0]->lkey};
        wr = work(WR_RDMA_READ, &sge);
        began = world_now;
        post(0, &wr);
        assert_true(world_run(&w, is_over, world_now + FOREVER));
        collect();
        assert_int_equal(wcs[0], 1);
        assert_int_equal(world_now - began, 2 * w.line.delay);
        end();
    }
}

#define T(test) cmocka_unit_test(test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_operation_at_every_size_and_mtu),
        T(three_entries_of_memory_are_one_message),
        T(only_signalled_work_is_reported),
        T(atomics_change_eight_bytes_and_tell_what_was_there),
        T(an_atomic_whose_answer_is_lost_is_not_executed_twice),
        T(the_loss_of_any_one_frame_is_repaired),
        T(a_response_that_is_lost_again_is_asked_for_without_a_time_out),
        T(an_ack_never_bears_the_psn_of_a_read_or_atomic),
        T(no_part_of_a_read_is_asked_for_after_a_later_one),
        T(a_dead_line_ends_in_retry_exceeded_after_all_retries),
        T(packet_numbers_wrap_in_mid_message),
        T(a_slow_receiver_with_two_buffers_is_not_overrun_for_long),
        T(a_send_waits_for_a_late_receive),
        T(a_receive_that_never_comes_ends_in_rnr_exceeded),
        T(a_wrong_key_or_range_is_a_remote_access_error),
        T(a_refusal_that_is_lost_is_said_again),
        T(a_queue_pair_that_was_put_into_error_says_nothing),
        T(a_range_that_ends_one_byte_late_is_refused),
        T(each_operation_needs_its_right),
        T(a_queue_pair_without_the_right_calls_the_request_invalid),
        T(a_key_of_another_domain_is_refused),
        T(the_key_to_all_memory_is_the_own_hosts_alone),
        T(of_no_bytes_any_key_will_do),
        T(an_atomic_off_its_alignment_is_an_invalid_request),
        T(a_receive_that_is_too_small_fails_on_both_sides),
        T(a_receive_into_forbidden_memory_fails_on_both_sides),
        T(a_wrong_local_key_fails_in_its_turn),
        T(nothing_is_written_through_a_key_that_was_ended),
        T(a_peer_that_is_destroyed_ends_the_other_side),
        T(a_fence_keeps_a_write_behind_a_read),
        T(a_read_of_a_page_takes_one_round_trip_at_any_mtu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's queues on the model of a card, which refuses what a manual does not allow; and completions that no card would
 * write. Memory is shared as with a real card; what the driver writes to a UAR's page is handed to the model. */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/mlx/cq.h"
#include "fake/hca_card.h"
#include "kernel/arch.h"
#include "unit.h"

#define QUEUES  (CARD_FREE + MIB(1)) /* 64 KiB of each queue pair */
#define RECORDS (CARD_FREE + MIB(2))
#define CQES    (CARD_FREE + MIB(2) + KIB(64))
#define LISTS   (CARD_FREE + MIB(2) + KIB(128))
#define DATA    (CARD_FREE + MIB(3))
#define SLOTS   16u
#define SGES    8u

static struct mlx_qps qps;
static struct mlx_cq cq;
static struct mlx_qp a, b, keys;
static struct verbs_pd pd;
static u8 uar_page[PAGE_SIZE] ALIGNED(64);
static u32 uar, doorbells;
static struct verbs_wc wc[64];

/* --- the world ----------------------------------------------------------------------------------- */

static u32 modify(enum mlx_opcode opcode, u32 qpn, u32 peer)
{
    u8 in[272] = {0}, *qpc = in + MLX_QPC;

    mlx_set(in, in_opcode, opcode);
    mlx_set(in, object_number, qpn);
    mlx_set(qpc, qpc_rre, 1);
    mlx_set(qpc, qpc_rwe, 1);
    mlx_set(qpc, qpc_rae, 1);
    mlx_set(qpc, qpc_atomic_mode, 1);
    mlx_set(qpc, qpc_mtu, MLX_MTU_1024);
    mlx_set(qpc, qpc_remote_qpn, peer);
    mlx_set(qpc, qpc_retry_count, 7);
    mlx_set(qpc + MLX_QPC_PRIMARY, ads_rlid, 1);
    return card_command(in, sizeof(in), NULL, 16);
}

static void make(struct mlx_qp *qp, u32 n, u32 send_ds, u32 recv_wr, u32 service)
{
    struct mlx_qp_parts parts = {.queues = card_at(QUEUES + n * KIB(64)),
                                 .record = card_at(RECORDS + 64 + 8 * n),
                                 .uar = uar_page,
                                 .dma_lkey = HCA_RESD_LKEY};
    u8 qpc[MLX_QPC_SIZE] = {0};
    u32 qpn;

    assert_int_equal(mlx_shape(&parts.shape, SLOTS, send_ds, recv_wr, SGES, NULL), OK);
    parts.work = calloc(1, parts.shape.work_size);
    *qp = (struct mlx_qp){.base = {.pd = &pd, .send_cq = &cq.base, .recv_cq = &cq.base}};
    mlx_qp_init(qp, &parts);
    mlx_set(qpc, qpc_st, service);
    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_pd, pd.mrs);
    mlx_set(qpc, qpc_rlky, 1);
    mlx_set(qpc, qpc_log_rq_size, parts.shape.log_rq);
    mlx_set(qpc, qpc_log_rq_stride, parts.shape.log_rq_stride);
    mlx_set(qpc, qpc_log_sq_size, parts.shape.log_sq);
    mlx_set(qpc, qpc_rq_type, recv_wr ? MLX_RQ_NORMAL : MLX_RQ_NONE);
    mlx_set(qpc, qpc_uar_page, uar);
    mlx_set(qpc, qpc_cqn_snd, cq.base.promised);
    mlx_set(qpc, qpc_cqn_rcv, cq.base.promised);
    mlx_set(qpc, qpc_dbr_addr, RECORDS + 64 + 8 * n);
    assert_int_equal(card_qp(qpc, QUEUES + n * KIB(64),
                             (u32)(ALIGN_UP(parts.shape.size, PAGE_SIZE) / PAGE_SIZE), &qpn),
                     MLX_OK);
    mlx_qp_enter(&qps, qp, qpn);
}

static void connect(struct mlx_qp *qp, u32 peer)
{
    assert_int_equal(modify(MLX_RST2INIT_QP, qp->base.qp_num, 0), MLX_OK);
    assert_int_equal(modify(MLX_INIT2RTR_QP, qp->base.qp_num, peer), MLX_OK);
    assert_int_equal(modify(MLX_RTR2RTS_QP, qp->base.qp_num, 0), MLX_OK);
    qp->state = QPS_RTS;
}

/* pd.mrs and cq.base.promised keep the card's numbers of the two. */
static int setup(void **state)
{
    u32 eqn;

    (void)state;
    card_init(MLX_PORT_IB);
    arch_direct_map = card.memory;
    assert_int_equal(card_allow_atomics(), MLX_OK);
    card_bring_up();
    uar = card_uar();
    eqn = card_eq(uar, 1ull << MLX_EVENT_CQ_ERR | 1ull << MLX_EVENT_WQ_CATAS);
    qps = (struct mlx_qps){0};
    cq = (struct mlx_cq){.base.cqe = 63};
    cq.base.promised = card_cq(uar, eqn, CQES, RECORDS);
    mlx_cq_init(&cq, &qps, card_at(CQES), mlx_cq_log_size(63), card_at(RECORDS));
    card_simple(MLX_ALLOC_PD, 0, 0, &pd.mrs);
    make(&a, 0, mlx_wqe_most(SGES), SLOTS, MLX_ST_RC);
    make(&b, 1, mlx_wqe_most(SGES), SLOTS, MLX_ST_RC);
    make(&keys, 2, mlx_umr_most(), 0, MLX_ST_REG_UMR);
    connect(&a, b.base.qp_num);
    connect(&b, a.base.qp_num);
    connect(&keys, 0);
    doorbells = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(cq.refused, 0);
    free(a.sq.work);
    free(b.sq.work);
    free(keys.sq.work);
    card_free();
    arch_direct_map = NULL;
    return 0;
}

/* What the driver wrote to the registers, the head of the WQE that was posted last, comes to the card. */
static void ring(struct mlx_qp *qp)
{
    u32 turn = qp->sq.turn, block;
    u64 value;

    mlx_doorbell(&qp->base);
    if (qp->sq.turn != turn) {
        memcpy(&value, uar_page + MLX_UAR_SQ + turn, sizeof(value));
        block = (u32)mlx_get((const u8 *)&value, ctrl_wqe_index) & qp->sq.ring.mask;
        assert_int_equal(qp->sq.work[block].number, qp->sq.posted - 1);
        bar_write(&card.hca, uar * MLX_UAR_SIZE + MLX_UAR_SQ + turn, value, 8);
        doorbells++;
    }
    card_run();
}

static void post(struct mlx_qp *qp, struct verbs_send_wr wr)
{
    assert_int_equal(mlx_post_send(&qp->base, &wr, 1), 1);
}

static void post_recv(struct mlx_qp *qp, u64 wr_id, u64 at, u32 size)
{
    struct verbs_sge sge = {at, size, HCA_RESD_LKEY};
    struct verbs_recv_wr wr = {wr_id, &sge, 1};

    assert_int_equal(mlx_post_recv(&qp->base, &wr, 1), 1);
}

static u32 poll(void)
{
    return mlx_poll_cq(&cq.base, wc, COUNT_OF(wc));
}

static void expect(u32 i, u64 wr_id, enum wc_status status)
{
    assert_int_equal(wc[i].wr_id, wr_id);
    assert_int_equal(wc[i].status, status);
}

static void fill(u64 at, u32 size, u32 seed)
{
    for (u32 i = 0; i < size; i++)
        card_at(at)[i] = (u8)(i * 7 + seed);
}

static u32 new_key(u32 octowords)
{
    u8 mkc[64] = {0};
    u32 index;

    mlx_set(mkc, mkc_free, 1);
    mlx_set(mkc, mkc_umr_en, 1);
    mlx_set(mkc, mkc_access_mode_1_0, MLX_MODE_MTT);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    mlx_set(mkc, mkc_mkey_7_0, 0x5a);
    mlx_set(mkc, mkc_pd, pd.mrs);
    mlx_set(mkc, mkc_log_page_size, PAGE_SHIFT);
    mlx_set(mkc, mkc_translations_octword_size, octowords);
    assert_int_equal(card_mkey(mkc, NULL, 0, &index), MLX_OK);
    return index << 8 | 0x5a;
}

/* Pages from DATA + 1 MiB on, in reverse order. */
static struct mlx_umr umr_of(u32 key, u32 count)
{
    static hpa_t frames[200];

    for (u32 i = 0; i < count; i++)
        frames[i] = HPA(DATA + MIB(1) + (count - 1 - i) * PAGE_SIZE);
    return (struct mlx_umr){.key = key,
                            .frames = frames,
                            .count = count,
                            .writable = true,
                            .list = card_at(LISTS),
                            .list_at = HPA(LISTS),
                            .enable = true,
                            .new_byte = 0x5b,
                            .pd = pd.mrs,
                            .access = ACCESS_ALL,
                            .iova = 0x7000000000,
                            .length = count * PAGE_SIZE};
}

static u32 make_key(u32 count)
{
    struct mlx_umr u = umr_of(new_key((u32)ALIGN_UP(count, 8) / 2), count);

    assert_int_equal(mlx_post_register(&keys, 77, &u, NULL), OK);
    ring(&keys);
    assert_int_equal(poll(), 1);
    expect(0, 77, WC_SUCCESS);
    return (u.key & ~0xffu) | u.new_byte;
}

/* --- work ---------------------------------------------------------------------------------------- */

static void writes_reads_sends_and_atomics_do_what_they_say(void **state)
{
    struct verbs_sge sge = {DATA, 3000, HCA_RESD_LKEY};
    u64 base = 0x7000000000, word = 41;
    u32 key = make_key(8);

    (void)state;
    fill(DATA, 3000, 1);
    post(&a, (struct verbs_send_wr){.wr_id = 1,
                                    .opcode = WR_RDMA_WRITE,
                                    .sg_list = &sge,
                                    .num_sge = 1,
                                    .send_flags = SEND_SIGNALED,
                                    .remote_addr = base + 3000,
                                    .rkey = key});
    ring(&a);
    sge.addr = DATA + 4096;
    post(&a, (struct verbs_send_wr){.wr_id = 2,
                                    .opcode = WR_RDMA_READ,
                                    .sg_list = &sge,
                                    .num_sge = 1,
                                    .send_flags = SEND_SIGNALED | SEND_FENCE,
                                    .remote_addr = base + 3000,
                                    .rkey = key});
    ring(&a);
    assert_int_equal(poll(), 2);
    expect(0, 1, WC_SUCCESS);
    expect(1, 2, WC_SUCCESS);
    assert_int_equal(wc[0].opcode, WC_RDMA_WRITE);
    assert_int_equal(wc[1].opcode, WC_RDMA_READ);
    assert_int_equal(wc[1].byte_len, 3000);
    assert_ptr_equal(wc[1].qp, &a.base);
    assert_memory_equal(card_at(DATA), card_at(DATA + 4096), 3000);

    memcpy(card_at(DATA + MIB(1) + 7 * PAGE_SIZE), &word, 8); /* base */
    sge = (struct verbs_sge){DATA, 8, HCA_RESD_LKEY};
    for (u32 i = 0; i < 2; i++)
        post(&a,
             (struct verbs_send_wr){.wr_id = 3 + i,
                                    .opcode = i ? WR_ATOMIC_CMP_AND_SWP : WR_ATOMIC_FETCH_AND_ADD,
                                    .sg_list = &sge,
                                    .num_sge = 1,
                                    .send_flags = SEND_SIGNALED,
                                    .remote_addr = base,
                                    .rkey = key,
                                    .compare_add = i ? 43 : 2,
                                    .swap = 99});
    ring(&a);
    assert_int_equal(poll(), 2);
    assert_int_equal(wc[0].opcode, WC_FETCH_ADD);
    assert_int_equal(wc[1].opcode, WC_COMP_SWAP);
    memcpy(&word, card_at(DATA), 8);
    assert_int_equal(word, 43); /* before the swap, in host order */
    memcpy(&word, card_at(DATA + MIB(1) + 7 * PAGE_SIZE), 8);
    assert_int_equal(word, 99);
}

static void a_send_comes_to_a_receive_with_its_length_and_its_number(void **state)
{
    struct verbs_sge sge = {DATA, 40, HCA_RESD_LKEY}; /* within the element */
    struct verbs_send_wr wr = {.wr_id = 1,
                               .opcode = WR_SEND_WITH_IMM,
                               .sg_list = &sge,
                               .num_sge = 1,
                               .send_flags = SEND_SIGNALED | SEND_SOLICITED,
                               .imm = 0x12345678};

    (void)state;
    fill(DATA, 200, 3);
    post_recv(&b, 10, DATA + 4096, 100);
    post_recv(&b, 11, DATA + 8192, 300);
    ring(&b);
    assert_int_equal(doorbells, 0); /* receives have none */
    post(&a, wr);
    sge.length = 200;
    wr.wr_id = 2;
    wr.opcode = WR_SEND;
    post(&a, wr);
    ring(&a);
    assert_int_equal(poll(), 4);
    for (u32 i = 0; i < 4; i++) {
        assert_int_equal(wc[i].status, WC_SUCCESS);
        if (wc[i].qp != &b.base)
            continue;
        assert_int_equal(wc[i].opcode, WC_RECV);
        assert_int_equal(wc[i].byte_len, wc[i].wr_id == 10 ? 40 : 200);
        assert_int_equal(wc[i].wc_flags, wc[i].wr_id == 10 ? WC_WITH_IMM : 0);
        assert_int_equal(wc[i].imm, wc[i].wr_id == 10 ? 0x12345678 : 0);
    }
    assert_memory_equal(card_at(DATA), card_at(DATA + 4096), 40);
    assert_memory_equal(card_at(DATA), card_at(DATA + 8192), 200);
}

static void a_write_with_a_number_says_how_much_was_written(void **state)
{
    struct verbs_sge sge = {DATA, 5000, HCA_RESD_LKEY};
    u32 key = make_key(8);

    (void)state;
    post_recv(&b, 10, DATA, 0);
    ring(&b);
    post(&a, (struct verbs_send_wr){.wr_id = 1,
                                    .opcode = WR_RDMA_WRITE_WITH_IMM,
                                    .sg_list = &sge,
                                    .num_sge = 1,
                                    .imm = 5,
                                    .remote_addr = 0x7000000000,
                                    .rkey = key});
    ring(&a);
    assert_int_equal(poll(), 1);
    expect(0, 10, WC_SUCCESS);
    assert_int_equal(wc[0].opcode, WC_RECV_RDMA_WITH_IMM);
    assert_int_equal(wc[0].byte_len, 5000);
}

/* Elements of one to three blocks, many laps of the ring; each gathers other pieces. */
static void queues_go_round_and_the_card_finds_nothing_wrong(void **state)
{
    struct verbs_sge sge[SGES];
    u64 before = card.hca.refused, random = 1;
    u32 key = make_key(64), sent = 0, done = 0;

    (void)state;
    fill(DATA, 8192, 9);
    while (sent < 2000) {
        u32 count = 1 + (u32)(unit_random(&random) % SGES), most = (u32)(unit_random(&random) % 16);

        for (u32 i = 0; i < count; i++)
            sge[i] = (struct verbs_sge){DATA + unit_random(&random) % 4000,
                                        (u32)(unit_random(&random) % 200), HCA_RESD_LKEY};
        while (a.sq.posted - a.sq.freed < most)
            post(&a, (struct verbs_send_wr){.wr_id = ++sent,
                                            .opcode = WR_RDMA_WRITE,
                                            .sg_list = sge,
                                            .num_sge = count,
                                            .send_flags = sent % 3 ? 0 : SEND_SIGNALED,
                                            .remote_addr = 0x7000000000 + sent * 100,
                                            .rkey = key});
        ring(&a);
        for (u32 i = 0, n = poll(); i < n; i++) {
            expect(i, done + 3, WC_SUCCESS);
            done += 3;
        }
    }
    assert_int_equal(card.hca.refused, before);
    assert_true(a.sq.head != (u16)(a.sq.posted - 1)); /* some had more than a block */
}

/* Pages and what has a form of its own, mixed; lists that are longer than the room is; some end with a WQE of two blocks. */
static void a_list_is_taken_in_order_as_far_as_there_is_room(void **state)
{
    struct verbs_sge sge[SGES];
    struct verbs_send_wr wr[2 * SLOTS];
    u64 before = card.hca.refused, random = 1;
    u32 key = make_key(16), taken = 0, done = 0;

    (void)state;
    for (u32 i = 0; i < SGES; i++)
        sge[i] = (struct verbs_sge){DATA + i * KIB(4), i ? 100 * i : 8, HCA_RESD_LKEY};
    doorbells = 0;
    for (u32 round = 0; round < 200; round++) {
        u32 count = 1 + (u32)(unit_random(&random) % COUNT_OF(wr)), n;

        for (u32 i = 0; i < count; i++)
            wr[i] = (struct verbs_send_wr){.wr_id = taken + i,
                                           .opcode = unit_random(&random) % 2 ? WR_RDMA_WRITE
                                                                              : WR_RDMA_READ,
                                           .sg_list = &sge[unit_random(&random) % 2],
                                           .num_sge = unit_random(&random) % 4 ? 1 : SGES - 1,
                                           .send_flags = SEND_SIGNALED,
                                           .remote_addr = 0x7000000000,
                                           .rkey = key};
        n = mlx_post_send(&a.base, wr, count);
        assert_int_equal(n, MIN(count, SLOTS));
        assert_int_equal(mlx_post_send(&a.base, wr, 0), 0);
        ring(&a);
        assert_int_equal(doorbells, round + 1);
        taken += n;
        assert_int_equal(poll(), n);
        for (u32 i = 0; i < n; i++)
            expect(i, done++, WC_SUCCESS);
    }
    assert_int_equal(card.hca.refused, before);
}

static void one_doorbell_starts_all_that_was_posted_and_the_two_registers_take_turns(void **state)
{
    struct verbs_sge sge = {DATA, 4096, HCA_RESD_LKEY};
    u32 key = make_key(16);

    (void)state;
    doorbells = 0;
    for (u32 round = 0; round < 3; round++) {
        u32 turn = a.sq.turn;

        for (u32 i = 0; i < SLOTS; i++)
            post(&a, (struct verbs_send_wr){.wr_id = i,
                                            .opcode = WR_RDMA_WRITE,
                                            .sg_list = &sge,
                                            .num_sge = 1,
                                            .send_flags = i == SLOTS - 1 ? SEND_SIGNALED : 0,
                                            .remote_addr = 0x7000000000 + i * PAGE_SIZE,
                                            .rkey = key});
        ring(&a);
        ring(&a); /* nothing new */
        assert_int_equal(doorbells, round + 1);
        assert_int_equal(a.sq.turn, turn ^ MLX_UAR_BF_SIZE);
        assert_int_equal(poll(), 1);
        expect(0, SLOTS - 1, WC_SUCCESS);
    }
}

static void a_slot_is_free_when_its_completion_was_polled(void **state)
{
    struct verbs_sge sge = {DATA, 64, HCA_RESD_LKEY};
    u32 key = make_key(8);
    struct verbs_send_wr wr = {.opcode = WR_RDMA_WRITE,
                               .sg_list = &sge,
                               .num_sge = 1,
                               .remote_addr = 0x7000000000,
                               .rkey = key};
    struct verbs_recv_wr recv = {0};

    (void)state;
    for (u32 i = 0; i < SLOTS; i++) {
        wr.send_flags = i == 9 ? SEND_SIGNALED : 0;
        post(&a, wr);
        assert_int_equal(mlx_post_recv(&a.base, &recv, 1), 1);
    }
    ring(&a);
    assert_int_equal(mlx_post_send(&a.base, &wr, 1), 0);
    assert_int_equal(mlx_post_recv(&a.base, &recv, 1), 0);
    assert_int_equal(poll(), 1);
    for (u32 i = 0; i < 10; i++)
        assert_int_equal(mlx_post_send(&a.base, &wr, 1), 1);
    assert_int_equal(mlx_post_send(&a.base, &wr, 1), 0);
}

/* --- errors -------------------------------------------------------------------------------------- */

static void what_stands_behind_a_failure_is_flushed_in_order(void **state)
{
    struct verbs_sge sge = {DATA, 64, HCA_RESD_LKEY};
    u32 key = make_key(8), n;

    (void)state;
    for (u32 i = 0; i < 3; i++)
        post_recv(&a, 100 + i, DATA, 64);
    for (u32 i = 0; i < 6; i++)
        post(&a, (struct verbs_send_wr){.wr_id = i,
                                        .opcode = WR_RDMA_WRITE,
                                        .sg_list = &sge,
                                        .num_sge = 1,
                                        .remote_addr = 0x7000000000,
                                        .rkey = i == 2 ? key + 1 : key});
    ring(&a);
    n = poll();
    assert_int_equal(n, 4 + 3);
    expect(0, 2, WC_REM_ACCESS_ERR);
    for (u32 i = 1; i < n; i++)
        assert_int_equal(wc[i].status, WC_WR_FLUSH_ERR);
    for (u32 i = 1, send = 3, recv = 100; i < n; i++)
        assert_int_equal(wc[i].wr_id, wc[i].opcode == WC_RECV ? recv++ : send++);
    assert_int_equal(a.state, QPS_ERR);
    post(&a, (struct verbs_send_wr){.wr_id = 9, .opcode = WR_SEND});
    ring(&a);
    assert_int_equal(poll(), 1);
    expect(0, 9, WC_WR_FLUSH_ERR);
}

static void a_reset_forgets_work_and_completions_and_others_keep_theirs(void **state)
{
    struct verbs_send_wr wr = {.opcode = WR_SEND, .send_flags = SEND_SIGNALED};

    (void)state;
    for (u32 i = 0; i < 8; i++) {
        post_recv(&a, 100 + i, DATA, 64);
        post_recv(&b, 200 + i, DATA, 64);
    }
    ring(&a);
    ring(&b);
    for (u32 i = 0; i < 4; i++) {
        wr.wr_id = i;
        post(&a, wr);
        ring(&a);
        wr.wr_id = 10 + i;
        post(&b, wr);
        ring(&b);
    }
    assert_int_equal(card_simple(MLX_2RST_QP, 0, a.base.qp_num, NULL), MLX_OK);
    mlx_qp_reset(&a);
    assert_int_equal(poll(), 8);
    for (u32 i = 0, recv = 200, send = 10; i < 8; i++) {
        assert_ptr_equal(wc[i].qp, &b.base);
        expect(i, wc[i].opcode == WC_RECV ? recv++ : send++, WC_SUCCESS);
    }
    assert_int_equal(poll(), 0);
    assert_int_equal(card_simple(MLX_2RST_QP, 0, b.base.qp_num, NULL), MLX_OK);
    mlx_qp_reset(&b);
    connect(&a, b.base.qp_num);
    connect(&b, a.base.qp_num);
    post_recv(&b, 300, DATA, 64);
    ring(&b);
    post(&a, wr);
    ring(&a);
    assert_int_equal(poll(), 2);
}

static void what_is_still_said_of_a_queue_pair_that_ends_is_dropped(void **state)
{
    (void)state;
    for (u32 i = 0; i < 3; i++)
        assert_int_equal(mlx_post_nop(&a, i, NULL), OK);
    assert_int_equal(mlx_post_nop(&b, 7, NULL), OK);
    ring(&a);
    assert_int_equal(mlx_poll_cq(&cq.base, wc, 1), 1);
    a.ending = true;
    ring(&b);
    assert_int_equal(poll(), 1);
    expect(0, 7, WC_SUCCESS);
}

static void a_queue_pair_that_left_is_unknown(void **state)
{
    (void)state;
    assert_ptr_equal(mlx_qp_find(&qps, b.base.qp_num), &b);
    mlx_qp_leave(&b);
    assert_null(mlx_qp_find(&qps, b.base.qp_num));
    assert_ptr_equal(mlx_qp_find(&qps, a.base.qp_num), &a);
    assert_ptr_equal(mlx_qp_find(&qps, keys.base.qp_num), &keys);
}

/* The card does not answer any more. */
static void a_dead_cards_work_is_flushed_by_who_polls(void **state)
{
    u32 n = 0, turn = a.sq.turn;

    (void)state;
    for (u32 i = 0; i < 5; i++) {
        post(&a, (struct verbs_send_wr){.wr_id = i, .opcode = WR_SEND});
        post_recv(&a, 100 + i, DATA, 64);
    }
    qps.dead = true;
    mlx_doorbell(&a.base);
    assert_int_equal(a.sq.turn, turn);
    for (u32 got; (got = mlx_poll_cq(&cq.base, wc + n, 3)); n += got)
        assert_true(got <= 3);
    assert_int_equal(n, 10);
    for (u32 i = 0, send = 0, recv = 100; i < n; i++)
        expect(i, wc[i].opcode == WC_RECV ? recv++ : send++, WC_WR_FLUSH_ERR);
    assert_int_equal(a.state, QPS_ERR);
    assert_int_equal(a.sq.posted - a.sq.freed, 0);
}

/* --- keys ---------------------------------------------------------------------------------------- */

static void write_to_key(u32 key, enum wc_status expected)
{
    struct verbs_sge sge = {DATA, 5000, HCA_RESD_LKEY};

    fill(DATA, 5000, key);
    post(&a, (struct verbs_send_wr){.wr_id = 5,
                                    .opcode = WR_RDMA_WRITE,
                                    .sg_list = &sge,
                                    .num_sge = 1,
                                    .send_flags = SEND_SIGNALED,
                                    .remote_addr = 0x7000000000 + 100,
                                    .rkey = key});
    ring(&a);
    assert_int_equal(poll(), 1);
    expect(0, 5, expected);
}

static void a_key_is_registered_used_and_freed(void **state)
{
    static const u32 counts[] = {2, 64, 96, 160}; /* the last by a list in memory */
    u32 key = 0;

    (void)state;
    for (u32 i = 0; i < COUNT_OF(counts); i++) {
        u32 last = counts[i] - 1;

        key = make_key(counts[i]);
        write_to_key(key, WC_SUCCESS);
        assert_memory_equal(card_at(DATA + MIB(1) + last * PAGE_SIZE + 100), card_at(DATA), 3996);
        assert_int_equal(mlx_post_invalidate(&keys, 78, key, NULL), OK);
        ring(&keys);
        assert_int_equal(poll(), 1);
        expect(0, 78, WC_SUCCESS);
    }
    write_to_key(key, WC_REM_ACCESS_ERR);
}

static void a_key_is_registered_in_pieces(void **state)
{
    struct mlx_umr u = umr_of(new_key(64), 128);
    hpa_t *frames = (hpa_t *)u.frames;

    (void)state;
    u.count = 64;
    u.enable = false;
    assert_int_equal(mlx_post_register(&keys, 1, &u, NULL), OK);
    u.first = 64;
    u.frames = frames + 64;
    u.enable = true;
    assert_int_equal(mlx_post_register(&keys, 2, &u, NULL), OK);
    ring(&keys);
    assert_int_equal(poll(), 2);
    expect(0, 1, WC_SUCCESS);
    expect(1, 2, WC_SUCCESS);
    write_to_key((u.key & ~0xffu) | u.new_byte, WC_SUCCESS);
}

static void a_key_that_is_free_is_not_freed_again(void **state)
{
    (void)state;
    assert_int_equal(mlx_post_invalidate(&keys, 1, new_key(4), NULL), OK);
    assert_int_equal(mlx_post_nop(&keys, 2, NULL), OK);
    ring(&keys);
    assert_int_equal(poll(), 2);
    expect(0, 1, WC_GENERAL_ERR);
    expect(1, 2, WC_WR_FLUSH_ERR);
}

/* --- a card that lies ---------------------------------------------------------------------------- */

static void put_cqe(u32 opcode, u32 qpn, u32 counter, u32 bytes)
{
    u32 size = 1u << cq.log_size;
    u8 *cqe = cq.ring + cq.consumer % size * MLX_CQE_SIZE;

    mlx_set(cqe, cqe_qpn, qpn);
    mlx_set(cqe, cqe_byte_cnt, bytes);
    mlx_set(cqe, cqe_wqe_counter, counter);
    mlx_set(cqe, cqe_opcode, opcode);
    mlx_set(cqe, cqe_owner, cq.consumer >> cq.log_size & 1);
}

static void lies(u32 opcode, u32 qpn, u32 counter, u32 bytes)
{
    u32 before = cq.refused;

    put_cqe(opcode, qpn, counter, bytes);
    assert_int_equal(poll(), 0);
    assert_int_equal(cq.refused, before + 1);
    assert_non_null(cq.refusal);
}

static void completions_of_what_was_not_posted_are_refused(void **state)
{
    struct verbs_sge sge[SGES];
    struct verbs_send_wr wr = {.opcode = WR_RDMA_WRITE, .sg_list = sge, .num_sge = SGES};
    struct mlx_cq other = {.base.cqe = 1};

    (void)state;
    for (u32 i = 0; i < SGES; i++)
        sge[i] = (struct verbs_sge){DATA, 64, HCA_RESD_LKEY};
    lies(MLX_CQE_REQ, a.base.qp_num, 0, 0);
    post(&a, wr); /* three blocks */
    post(&a, wr);
    lies(MLX_CQE_REQ, a.base.qp_num, 1, 0);
    lies(MLX_CQE_REQ, a.base.qp_num, 6, 0);
    lies(MLX_CQE_REQ, a.base.qp_num, 0xffff, 0);
    lies(MLX_CQE_REQ_ERR, a.base.qp_num, 63, 0);
    lies(MLX_CQE_REQ, 0xffffff, 0, 0);
    lies(MLX_CQE_RESP_SEND, a.base.qp_num, 0, 0);
    lies(5, a.base.qp_num, 0, 0);
    post_recv(&a, 1, DATA, 64);
    lies(MLX_CQE_RESP_SEND, a.base.qp_num, 0, 65);
    a.base.send_cq = a.base.recv_cq = &other.base;
    lies(MLX_CQE_REQ, a.base.qp_num, 0, 0);
    lies(MLX_CQE_RESP_SEND, a.base.qp_num, 0, 0);
    a.base.send_cq = a.base.recv_cq = &cq.base;
    assert_int_equal(a.state, QPS_RTS);
    put_cqe(MLX_CQE_REQ, a.base.qp_num, 3, 0);
    assert_int_equal(poll(), 1);
    assert_int_equal(a.sq.posted - a.sq.freed, 0);
    lies(MLX_CQE_REQ, a.base.qp_num, 3, 0); /* once is enough */
    cq.refused = 0;
}

static void a_card_that_never_ends_is_left_after_a_lap(void **state)
{
    (void)state;
    for (u32 i = 0; i < 1u << cq.log_size; i++) {
        u8 *cqe = cq.ring + i * MLX_CQE_SIZE;

        mlx_set(cqe, cqe_opcode, MLX_CQE_REQ);
        mlx_set(cqe, cqe_owner, 0);
    }
    assert_int_equal(poll(), 0);
    assert_int_equal(cq.refused, 1u << cq.log_size);
    cq.refused = 0;
}

/* --- notification, shapes ------------------------------------------------------------------------ */

static u32 notified;

static void notify(struct verbs_cq *c, void *ctx)
{
    assert_ptr_equal(c, ctx);
    notified++;
}

static void who_wants_to_know_is_told_once(void **state)
{
    (void)state;
    notified = 0;
    cq.base.notify = notify;
    cq.base.ctx = &cq.base;
    mlx_req_notify_cq(&cq.base);
    mlx_cq_notify(&cq);
    assert_int_equal(notified, 0);
    assert_int_equal(mlx_post_nop(&a, 1, NULL), OK);
    ring(&a);
    mlx_cq_notify(&cq);
    mlx_cq_notify(&cq);
    assert_int_equal(notified, 1);
    assert_int_equal(poll(), 1);
}

static void shapes_have_room_for_what_was_asked(void **state)
{
    struct mlx_shape s;

    (void)state;
    assert_int_equal(mlx_shape(&s, 100, mlx_wqe_most(2), 1, 1, NULL), OK);
    assert_int_equal(s.log_sq, 7);
    assert_int_equal(s.sq_offset, MLX_WQEBB); /* not 16: sends begin at a block */
    assert_int_equal((u32)MLX_DS << s.log_rq_stride << s.log_rq, s.sq_offset);
    assert_int_equal(mlx_shape(&s, 100, mlx_wqe_most(8), 100, 3, NULL), OK);
    assert_int_equal(s.log_sq, 9);
    assert_int_equal(s.log_rq_stride, 2);
    assert_int_equal(s.size, 64 * 128 + 64 * 512);
    assert_int_equal(mlx_shape(&s, 32768, 4, 32768, 1, NULL), OK);
    assert_int_equal(mlx_shape(&s, 32769, 4, 1, 1, NULL), E_RANGE);
    assert_int_equal(mlx_shape(&s, 1, 4, 32769, 1, NULL), E_RANGE);
    assert_int_equal(mlx_shape(&s, UINT32_MAX, mlx_umr_most(), 1, 1, NULL), E_RANGE);
    assert_int_equal(mlx_cq_log_size(63), 6);
    assert_int_equal(mlx_cq_log_size(64), 7);
}

#define WITH_CARD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CARD(writes_reads_sends_and_atomics_do_what_they_say),
        WITH_CARD(a_send_comes_to_a_receive_with_its_length_and_its_number),
        WITH_CARD(a_write_with_a_number_says_how_much_was_written),
        WITH_CARD(queues_go_round_and_the_card_finds_nothing_wrong),
        WITH_CARD(a_list_is_taken_in_order_as_far_as_there_is_room),
        WITH_CARD(one_doorbell_starts_all_that_was_posted_and_the_two_registers_take_turns),
        WITH_CARD(a_slot_is_free_when_its_completion_was_polled),
        WITH_CARD(what_stands_behind_a_failure_is_flushed_in_order),
        WITH_CARD(a_reset_forgets_work_and_completions_and_others_keep_theirs),
        WITH_CARD(what_is_still_said_of_a_queue_pair_that_ends_is_dropped),
        WITH_CARD(a_queue_pair_that_left_is_unknown),
        WITH_CARD(a_dead_cards_work_is_flushed_by_who_polls),
        WITH_CARD(a_key_is_registered_used_and_freed),
        WITH_CARD(a_key_is_registered_in_pieces),
        WITH_CARD(a_key_that_is_free_is_not_freed_again),
        WITH_CARD(completions_of_what_was_not_posted_are_refused),
        WITH_CARD(a_card_that_never_ends_is_left_after_a_lap),
        WITH_CARD(who_wants_to_know_is_told_once),
        cmocka_unit_test(shapes_have_room_for_what_was_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The HCA model by the words of its interface: what it refuses, and with what; and work between two of its queue
 * pairs. Stock Linux judges the rest (tests/rig/test_hca.py). */
#include <stdlib.h>
#include <string.h>
#include "fake/hca_card.h"
#include "unit.h"

static int setup(void **state)
{
    (void)state;
    card_init(MLX_PORT_IB);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    card_free();
    return 0;
}

/* --- layouts ------------------------------------------------------------------------------------------ */

#define LAYOUT_ADDRESS(name, list) &layout_##name,
static const struct layout *const layouts[] = {LAYOUTS(LAYOUT_ADDRESS)};

static void no_two_fields_of_a_context_overlap(void **state)
{
    static const char *const unions[] = {"pages", "teardown", "umr"};

    (void)state;
    for (u32 l = 0; l < COUNT_OF(layouts); l++) {
        static u8 seen[MLX_CAP_SIZE];
        bool is_union = false;

        for (u32 i = 0; i < COUNT_OF(unions); i++)
            is_union |= !strcmp(unions[i], layouts[l]->name);
        memset(seen, 0, sizeof(seen));
        for (u32 i = 0; i < layouts[l]->count && !is_union; i++) {
            u32 at = layouts[l]->fields[i].at;

            assert_int_equal(mlx_get(seen, at), 0);
            mlx_set(seen, at, mlx_mask(at));
        }
    }
}

static void a_field_keeps_what_is_put_in_it_and_nothing_else_changes(void **state)
{
    u8 context[MLX_QPC_SIZE], before[MLX_QPC_SIZE];

    (void)state;
    memset(context, 0xa5, sizeof(context));
    memcpy(before, context, sizeof(context));
    mlx_set(context, qpc_log_rq_size, 0x1ff);
    assert_int_equal(mlx_get(context, qpc_log_rq_size), 0xf);
    mlx_set(context, qpc_log_rq_size, mlx_get(before, qpc_log_rq_size));
    assert_memory_equal(context, before, sizeof(context));
    mlx_set(context, qpc_dbr_addr, 0x0123456789abcdef);
    assert_int_equal(context[0xa0], 0x01);
    assert_int_equal(context[0xa7], 0xef);
}

/* --- delivery ------------------------------------------------------------------------------------------- */

static u8 enable[16];

static u8 *entry(void)
{
    memset(enable, 0, sizeof(enable));
    mlx_set(enable, in_opcode, MLX_ENABLE_HCA);
    return card_entry(enable, sizeof(enable), 12);
}

static void a_command_is_answered_with_the_owner_bit_and_a_signature(void **state)
{
    (void)state;
    entry();
    assert_int_equal(card_ring(), MLX_DELIVERY_OK);
    assert_int_equal(mlx_get(card_at(CARD_CMDQ), cmd_entry_ownership), 0);
    assert_int_equal(mlx_signature(card_at(CARD_CMDQ), MLX_CMD_ENTRY_SIZE), 0);
    assert_int_equal(mlx_get(card_at(CARD_CMDQ + MLX_CMD_OUT), out_status), MLX_OK);
}

static void a_wrong_signature_is_told(void **state)
{
    (void)state;
    entry()[5] ^= 1;
    assert_int_equal(card_ring(), MLX_DELIVERY_SIGNATURE);
}

static void a_wrong_entry_has_the_status_of_what_is_wrong(void **state)
{
    static const struct {
        u32 field, value, delivery;
    } wrong[] = {
        {cmd_entry_type, 6, MLX_DELIVERY_TYPE},
        {cmd_entry_token, 0, MLX_DELIVERY_TOKEN},
        {cmd_entry_input_length, 8, MLX_DELIVERY_IN_LENGTH},
        {cmd_entry_output_length, 4, MLX_DELIVERY_OUT_LENGTH},
        {MLX_AT(0, 23, 0), 1, MLX_DELIVERY_RESERVED},
        {MLX_AT(0x3c, 15, 8), 1, MLX_DELIVERY_RESERVED},
    };

    (void)state;
    for (u32 i = 0; i < COUNT_OF(wrong); i++) {
        u8 *e = entry();

        mlx_set(e, wrong[i].field, wrong[i].value);
        card_sign(e);
        assert_int_equal(card_ring(), wrong[i].delivery);
    }
}

static u8 long_in[16 + MLX_CAP_SIZE];

static void a_wrong_mailbox_has_the_status_of_what_is_wrong(void **state)
{
    static const struct {
        u64 box;
        u32 field, value, delivery;
    } wrong[] = {
        {CARD_BOXES, mailbox_token, 0, MLX_DELIVERY_TOKEN},
        {CARD_BOXES + 2 * MLX_MAILBOX_ALIGN, mailbox_block_number, 1, MLX_DELIVERY_BLOCK_NUMBER},
        {CARD_BOXES, mailbox_next_pointer, CARD_BOXES + 512, MLX_DELIVERY_IN_POINTER},
        {CARD_BOXES, mailbox_next_pointer, 0, MLX_DELIVERY_IN_POINTER},
    };

    (void)state;
    for (u32 i = 0; i < COUNT_OF(wrong); i++) {
        card_entry(long_in, sizeof(long_in), 16);
        mlx_set(card_at(wrong[i].box), wrong[i].field, wrong[i].value);
        assert_int_equal(card_ring(), wrong[i].delivery);
    }
    card_entry(enable, sizeof(enable), 12 + MLX_CAP_SIZE);
    mlx_set(card_at(CARD_OUT + MLX_MAILBOX_ALIGN), mailbox_token, 0);
    assert_int_equal(card_ring(), MLX_DELIVERY_TOKEN);
}

static void blocks_need_signatures_once_the_driver_asked_for_them(void **state)
{
    u8 query[16] = {0};

    (void)state;
    card_simple(MLX_ENABLE_HCA, 0, 0, NULL);
    mlx_set(query, in_opcode, MLX_QUERY_HCA_CAP);
    mlx_set(query, in_op_mod, 1);
    assert_int_equal(card_command(query, 16, long_in, sizeof(long_in)), MLX_OK);
    memset(long_in, 0, 16);
    mlx_set(long_in, in_opcode, MLX_SET_HCA_CAP);
    mlx_set(long_in + 16, cap_cmdif_checksum, 3);
    assert_int_equal(card_command(long_in, sizeof(long_in), NULL, 16), MLX_OK);
    assert_int_equal(card_command(long_in, sizeof(long_in), NULL, 16),
                     0x100 | MLX_DELIVERY_SIGNATURE);
    memset(long_in, 0, sizeof(long_in));
}

static void a_command_that_times_out_stays_the_cards(void **state)
{
    (void)state;
    assert_true(fault_add(&card.hca, "command-timeout"));
    entry();
    card_ring();
    assert_int_equal(mlx_get(card_at(CARD_CMDQ), cmd_entry_ownership), 1);
    assert_int_equal(card_simple(MLX_ENABLE_HCA, 0, 0, NULL), MLX_OK);
}

/* --- commands ---------------------------------------------------------------------------------------------- */

static void a_command_before_its_time_is_refused(void **state)
{
    (void)state;
    assert_int_equal(card_simple(MLX_QUERY_ISSI, 0, 0, NULL), MLX_BAD_OUTPUT_LEN);
    assert_int_equal(card_simple(MLX_ALLOC_PD, 0, 0, NULL), MLX_BAD_SYS_STATE);
    assert_int_equal(card_simple(MLX_ENABLE_HCA, 0, 0, NULL), MLX_OK);
    assert_int_equal(card_simple(MLX_ENABLE_HCA, 0, 0, NULL), MLX_BAD_SYS_STATE);
    assert_int_equal(card_simple(0x123, 0, 0, NULL), MLX_BAD_OP);
    assert_int_equal(card_simple(MLX_QUERY_PAGES, MLX_PAGES_INIT, 0, NULL), MLX_BAD_SYS_STATE);
}

static void a_driver_that_does_not_wait_for_the_card_is_refused(void **state)
{
    (void)state;
    hca_reset(&card.hca);
    bar_write(&card.hca, 0x14, __builtin_bswap32((u32)CARD_CMDQ), 4);
    assert_false(card.hca.cmdq_is_set);
    assert_int_equal(card.hca.refused, 1);
    card_reset(MLX_PORT_IB);
    assert_true(card.hca.cmdq_is_set);
    bar_write(&card.hca, 0x14, __builtin_bswap32((u32)CARD_CMDQ), 4);
    entry();
    card_ring();
    assert_int_equal(mlx_get(card_at(CARD_CMDQ), cmd_entry_ownership), 1);
    assert_int_equal(card.hca.refused, 2);
}

static void a_reserved_bit_is_refused(void **state)
{
    u64 before;

    (void)state;
    card_bring_up();
    before = card.hca.refused;
    assert_int_equal(card_simple(MLX_ALLOC_PD, 0, 1, NULL), MLX_BAD_PARAM);
    assert_int_equal(card_simple(MLX_ALLOC_PD, 0, 0, NULL), MLX_OK);
    assert_int_equal(card.hca.refused, before + 1);
}

static void nothing_ends_while_it_is_named(void **state)
{
    u8 mkc[64] = {0};
    u32 pd, key;

    (void)state;
    card_bring_up();
    card_simple(MLX_ALLOC_PD, 0, 0, &pd);
    mlx_set(mkc, mkc_pd, pd);
    mlx_set(mkc, mkc_length64, 1);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    assert_int_equal(card_mkey(mkc, NULL, 0, &key), MLX_OK);
    assert_int_equal(card_simple(MLX_DEALLOC_PD, 0, pd, NULL), MLX_BAD_RES_STATE);
    assert_int_equal(card_simple(MLX_DESTROY_MKEY, 0, key, NULL), MLX_OK);
    assert_int_equal(card_simple(MLX_DEALLOC_PD, 0, pd, NULL), MLX_OK);
    assert_int_equal(card_simple(MLX_DEALLOC_PD, 0, pd, NULL), MLX_BAD_RES);
}

static u32 take_all(void)
{
    u8 in[16] = {0}, out[16 + 8 * 128];

    mlx_set(in, in_opcode, MLX_MANAGE_PAGES);
    mlx_set(in, in_op_mod, MLX_PAGES_TAKE);
    mlx_set(in, pages_count, 128);
    assert_int_equal(card_command(in, sizeof(in), out, sizeof(out)), MLX_OK);
    return (u32)mlx_get(out, pages_taken);
}

static void pages_come_back_and_who_wrote_to_them_is_found_out(void **state)
{
    u64 before;

    (void)state;
    card_bring_up();
    assert_int_equal(card.hca.page_count, 72);
    assert_int_equal(take_all(), 0); /* what firmware needs to run, it keeps */
    assert_int_equal(card_simple(MLX_TEARDOWN_HCA, 0, 0, NULL), MLX_OK);
    before = card.hca.refused;
    card_at(CARD_PAGES + 5 * PAGE_SIZE)[77] ^= 1;
    assert_int_equal(take_all(), 72);
    assert_int_equal(card.hca.refused, before + 1);
    assert_int_equal(card_simple(MLX_DISABLE_HCA, 0, 0, NULL), MLX_OK);
}

static void a_card_that_a_crashed_system_left_is_taken_over(void **state)
{
    (void)state;
    card_bring_up();
    card_uar();
    bar_write(&card.hca, 0x14, __builtin_bswap32((u32)CARD_CMDQ), 4);
    while (bar_read(&card.hca, 0x1fc, 4) & 0x80)
        ;
    assert_int_equal(card_simple(MLX_ENABLE_HCA, 0, 0, NULL), MLX_BAD_SYS_STATE);
    assert_int_equal(card_simple(MLX_TEARDOWN_HCA, 0, MLX_TEARDOWN_FORCE, NULL), MLX_OK);
    assert_int_equal(take_all(), 72);
    assert_int_equal(card_simple(MLX_DISABLE_HCA, 0, 0, NULL), MLX_OK);
    card_bring_up();
    assert_int_equal(card_simple(MLX_ALLOC_PD, 0, 0, NULL), MLX_OK);
}

static void a_queue_in_a_page_that_was_given_away_is_refused(void **state)
{
    u8 in[272 + 8] = {0};
    u32 uar;

    (void)state;
    card_bring_up();
    uar = card_uar();
    mlx_set(in, in_opcode, MLX_CREATE_EQ);
    mlx_set(in + MLX_CTX, eqc_log_eq_size, 6);
    mlx_set(in + MLX_CTX, eqc_uar_page, uar);
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), CARD_PAGES);
    assert_int_equal(card_command(in, sizeof(in), NULL, 16), MLX_BAD_PARAM);
}

static void a_driver_that_hands_over_an_eq_of_its_own_entries_is_refused(void **state)
{
    u8 in[272 + 8] = {0};

    (void)state;
    card_bring_up();
    mlx_set(in, in_opcode, MLX_CREATE_EQ);
    mlx_set(in + MLX_CTX, eqc_log_eq_size, 6);
    mlx_set(in + MLX_CTX, eqc_uar_page, card_uar());
    mlx_set(in + MLX_PAS, MLX_AT(0, 63, 0), CARD_FREE);
    assert_int_equal(card_command(in, sizeof(in), NULL, 16), MLX_BAD_PARAM);
}

static void a_page_request_makes_a_command_wait(void **state)
{
    u8 give[16 + 8 * 4] = {0};
    u32 uar;

    (void)state;
    card_bring_up();
    uar = card_uar();
    assert_int_not_equal(card_eq(uar, 1ull << MLX_EVENT_PAGE_REQUEST), 0);
    assert_true(fault_add(&card.hca, "page-request=4"));
    card_entry(enable, sizeof(enable), 12);
    mlx_set(card_at(CARD_CMDQ + MLX_CMD_IN), in_opcode, MLX_DISABLE_HCA);
    card_sign(card_at(CARD_CMDQ));
    card_ring();
    assert_int_equal(mlx_get(card_at(CARD_CMDQ), cmd_entry_ownership), 1);
    assert_int_equal(mlx_get(card_at(CARD_FREE), eqe_event_type), MLX_EVENT_PAGE_REQUEST);
    assert_int_equal(mlx_get(card_at(CARD_FREE), eqe_pages_count), 4);
    /* The same slot serves here: the entry that waits was read already. */
    mlx_set(give, in_opcode, MLX_MANAGE_PAGES);
    mlx_set(give, in_op_mod, MLX_PAGES_GIVE);
    mlx_set(give, pages_count, 4);
    for (u32 i = 0; i < 4; i++)
        mlx_set(give + MLX_PAGES_PAS + 8 * i, MLX_AT(0, 63, 0), MIB(10) + i * PAGE_SIZE);
    card_command(give, sizeof(give), NULL, 16);
    assert_int_equal(card.hca.page_count, 76);
    assert_null(card.hca.waits);
}

/* --- work between two queue pairs ------------------------------------------------------------------------------ */

#define QUEUE   (CARD_FREE + MIB(1))
#define RECORDS (CARD_FREE + MIB(2))
#define DATA    (CARD_FREE + MIB(3))
#define RQ      1024u
#define WQES    16u

struct side {
    u32 qpn;
    u64 queue, record;
    u16 sq, rq;
};
static struct side side[2];
static u32 uar, eqn, cqn, pd, dma_key, cq_next;

static void make_qp(struct side *s, u32 i)
{
    u8 qpc[MLX_QPC_SIZE] = {0};

    *s = (struct side){.queue = QUEUE + i * PAGE_SIZE, .record = RECORDS + 64 + 8 * i};
    mlx_set(qpc, qpc_pm_state, MLX_PM_STATE_MIGRATED);
    mlx_set(qpc, qpc_pd, pd);
    mlx_set(qpc, qpc_log_rq_size, 4);
    mlx_set(qpc, qpc_log_rq_stride, 2);
    mlx_set(qpc, qpc_log_sq_size, 4);
    mlx_set(qpc, qpc_uar_page, uar);
    mlx_set(qpc, qpc_cqn_snd, cqn);
    mlx_set(qpc, qpc_cqn_rcv, cqn);
    mlx_set(qpc, qpc_user_index, 7 + i);
    mlx_set(qpc, qpc_dbr_addr, s->record);
    assert_int_equal(card_qp(qpc, s->queue, 1, &s->qpn), MLX_OK);
}

static u32 modify(enum mlx_opcode opcode, u32 qpn, u32 peer)
{
    u8 in[272] = {0};

    mlx_set(in, in_opcode, opcode);
    mlx_set(in, object_number, qpn);
    mlx_set(in + MLX_QPC, qpc_rre, 1);
    mlx_set(in + MLX_QPC, qpc_rwe, 1);
    mlx_set(in + MLX_QPC, qpc_rae, 1);
    mlx_set(in + MLX_QPC, qpc_atomic_mode, 1);
    mlx_set(in + MLX_QPC, qpc_mtu, MLX_MTU_1024);
    mlx_set(in + MLX_QPC, qpc_remote_qpn, peer);
    mlx_set(in + MLX_QPC, qpc_retry_count, 7);
    mlx_set(in + MLX_QPC + MLX_QPC_PRIMARY, ads_rlid, 1);
    return card_command(in, sizeof(in), NULL, 16);
}

static void make_dma_key(void)
{
    u8 mkc[64] = {0};

    mlx_set(mkc, mkc_pd, pd);
    mlx_set(mkc, mkc_length64, 1);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    mlx_set(mkc, mkc_lr, 1);
    mlx_set(mkc, mkc_lw, 1);
    mlx_set(mkc, mkc_rr, 1);
    mlx_set(mkc, mkc_rw, 1);
    mlx_set(mkc, mkc_a, 1);
    mlx_set(mkc, mkc_mkey_7_0, 0x5a);
    assert_int_equal(card_mkey(mkc, NULL, 0, &dma_key), MLX_OK);
    dma_key = dma_key << 8 | 0x5a;
}

static int setup_pair(void **state)
{
    setup(state);
    assert_int_equal(card_allow_atomics(), MLX_OK);
    card_bring_up();
    uar = card_uar();
    eqn = card_eq(uar, 1ull << MLX_EVENT_CQ_ERR | 1ull << MLX_EVENT_WQ_CATAS);
    cqn = card_cq(uar, eqn, CARD_FREE + MIB(4), RECORDS);
    card_simple(MLX_ALLOC_PD, 0, 0, &pd);
    make_dma_key();
    for (u32 i = 0; i < 2; i++)
        make_qp(&side[i], i);
    for (u32 i = 0; i < 2; i++) {
        assert_int_equal(modify(MLX_RST2INIT_QP, side[i].qpn, 0), MLX_OK);
        assert_int_equal(modify(MLX_INIT2RTR_QP, side[i].qpn, side[1 - i].qpn), MLX_OK);
        assert_int_equal(modify(MLX_RTR2RTS_QP, side[i].qpn, 0), MLX_OK);
    }
    cq_next = 0;
    return 0;
}

/* The WQE's place, zeroed, with a control segment. */
static u8 *wqe(struct side *s, enum mlx_wqe_opcode opcode, u32 ds)
{
    u8 *w = card_at(s->queue + RQ + s->sq % WQES * MLX_WQEBB);

    memset(w, 0, MLX_WQEBB);
    mlx_set(w, ctrl_opcode, opcode);
    mlx_set(w, ctrl_wqe_index, s->sq);
    mlx_set(w, ctrl_qpn, s->qpn);
    mlx_set(w, ctrl_ds, ds);
    mlx_set(w, ctrl_ce, MLX_CE_ALWAYS);
    s->sq = (u16)(s->sq + (ds + 3) / 4);
    return w;
}

static void data(u8 *seg, u32 size, u32 key, u64 addr)
{
    mlx_set(seg, data_byte_count, size);
    mlx_set(seg, data_lkey, key);
    mlx_set(seg, data_addr, addr);
}

static void raddr(u8 *seg, u64 va, u32 key)
{
    mlx_set(seg, raddr_va, va);
    mlx_set(seg, raddr_rkey, key);
}

static void ring(struct side *s, const u8 *w)
{
    u64 value;

    mlx_set(card_at(s->record + MLX_DBR_SQ), MLX_AT(0, 31, 0), s->sq);
    memcpy(&value, w, sizeof(value));
    bar_write(&card.hca, uar * MLX_UAR_SIZE + MLX_UAR_SQ, value, 8);
    card_run();
}

/* The next completion, or NULL. */
static const u8 *poll_cq(void)
{
    const u8 *cqe = card_at(CARD_FREE + MIB(4) + cq_next % 64 * MLX_CQE_SIZE);

    if (mlx_get(cqe, cqe_opcode) == MLX_CQE_INVALID ||
        mlx_get(cqe, cqe_owner) != (cq_next >> 6 & 1))
        return NULL;
    cq_next++;
    mlx_set(card_at(RECORDS + MLX_DBR_CQ_CONSUMER), MLX_AT(0, 31, 0), cq_next);
    return cqe;
}

static void expect(enum mlx_cqe_opcode opcode, u32 syndrome)
{
    const u8 *cqe = poll_cq();

    assert_non_null(cqe);
    assert_int_equal(mlx_get(cqe, cqe_opcode), opcode);
    if (opcode == MLX_CQE_REQ_ERR || opcode == MLX_CQE_RESP_ERR)
        assert_int_equal(mlx_get(cqe, cqe_syndrome), syndrome);
}

static u8 *post_write(u32 size, u32 rkey, u64 to)
{
    u8 *w = wqe(&side[0], MLX_WQE_RDMA_WRITE, 3);

    raddr(w + 16, to, rkey);
    data(w + 32, size, dma_key, DATA);
    return w;
}

static void a_write_and_a_read_move_memory(void **state)
{
    u8 *w;

    (void)state;
    for (u32 i = 0; i < 5000; i++)
        card_at(DATA)[i] = (u8)(i * 7);
    ring(&side[0], post_write(5000, dma_key, DATA + 8192));
    expect(MLX_CQE_REQ, 0);
    assert_memory_equal(card_at(DATA), card_at(DATA + 8192), 5000);
    w = wqe(&side[1], MLX_WQE_RDMA_READ, 3);
    raddr(w + 16, DATA, dma_key);
    data(w + 32, 5000, dma_key, DATA + 16384);
    ring(&side[1], w);
    expect(MLX_CQE_REQ, 0);
    assert_memory_equal(card_at(DATA), card_at(DATA + 16384), 5000);
    assert_null(poll_cq());
}

static void an_inline_send_comes_to_a_receive(void **state)
{
    u8 *w = wqe(&side[0], MLX_WQE_SEND_IMM, 2), *r = card_at(side[1].queue);
    const u8 *cqe;

    (void)state;
    data(r, 64, dma_key, DATA);
    data(r + 16, 0, MLX_INVALID_LKEY, 0);
    mlx_set(card_at(side[1].record + MLX_DBR_RQ), MLX_AT(0, 31, 0), 1);
    mlx_set(w, ctrl_imm, 0xcafe);
    mlx_set(w + 16, data_inline, 1);
    mlx_set(w + 16, data_byte_count, 5);
    memcpy(w + 20, "ferry", 5);
    ring(&side[0], w);
    cqe = poll_cq();
    assert_int_equal(mlx_get(cqe, cqe_opcode), MLX_CQE_RESP_SEND_IMM);
    assert_int_equal(mlx_get(cqe, cqe_byte_cnt), 5);
    assert_int_equal(mlx_get(cqe, cqe_imm_inval_pkey), 0xcafe);
    assert_int_equal(mlx_get(cqe, cqe_srqn_user_index), 8);
    assert_memory_equal(card_at(DATA), "ferry", 5);
    expect(MLX_CQE_REQ, 0);
}

static void an_atomic_adds_and_brings_back_what_was_there(void **state)
{
    u8 *w = wqe(&side[0], MLX_WQE_ATOMIC_FA, 4);
    u64 there = 40, *at = (void *)card_at(DATA), *back = (void *)card_at(DATA + 64);

    (void)state;
    *at = there;
    raddr(w + 16, DATA, dma_key);
    mlx_set(w + 32, atomic_swap_add, 2);
    data(w + 48, 8, dma_key, DATA + 64);
    ring(&side[0], w);
    expect(MLX_CQE_REQ, 0);
    assert_int_equal(*at, 42);
    assert_int_equal(*back, 40);
}

static void a_key_that_is_not_there_ends_the_queue_pair(void **state)
{
    (void)state;
    post_write(8, dma_key ^ 1, DATA + 8192);
    ring(&side[0], post_write(8, dma_key, DATA + 8192));
    expect(MLX_CQE_REQ_ERR, MLX_SYNDROME_REMOTE_ACCESS);
    expect(MLX_CQE_REQ_ERR, MLX_SYNDROME_FLUSHED);
    assert_null(poll_cq());
}

static void a_local_key_that_is_not_there_is_a_local_protection_error(void **state)
{
    u8 *w = post_write(8, dma_key, DATA + 8192);

    (void)state;
    mlx_set(w + 32, data_lkey, 0x12345678);
    ring(&side[0], w);
    expect(MLX_CQE_REQ_ERR, MLX_SYNDROME_LOCAL_PROT);
}

/* Each is one slip of a driver in a WQE that is right else. */
static void a_wrong_wqe_puts_the_queue_pair_in_error(void **state)
{
    static const struct {
        u32 field, value;
    } wrong[] = {{ctrl_wqe_index, 5}, {ctrl_qpn, 1},       {ctrl_ds, 0},
                 {ctrl_ds, 9},        {ctrl_signature, 1}, {MLX_AT(4, 7, 6), 1}};

    for (u32 i = 0; i < COUNT_OF(wrong); i++) {
        u8 *w;
        u64 before;

        if (i) {
            teardown(state);
            setup_pair(state);
        }
        before = card.hca.refused;
        w = post_write(8, dma_key, DATA + 8192);
        ring(&side[0], w);
        expect(MLX_CQE_REQ, 0);
        w = post_write(8, dma_key, DATA + 8192);
        mlx_set(w, wrong[i].field, wrong[i].value);
        mlx_set(card_at(side[0].record + MLX_DBR_SQ), MLX_AT(0, 31, 0), side[0].sq);
        qp_activate(object_get(&card.hca, OBJ_QP, side[0].qpn));
        card_run();
        assert_true(card.hca.refused > before);
        assert_int_equal(qp_state(object_get(&card.hca, OBJ_QP, side[0].qpn)), MLX_QP_ERR);
    }
}

static void a_doorbell_without_its_record_is_refused(void **state)
{
    u8 *w = post_write(8, dma_key, DATA + 8192);
    u64 value;

    (void)state;
    memcpy(&value, w, sizeof(value));
    bar_write(&card.hca, uar * MLX_UAR_SIZE + MLX_UAR_SQ, value, 8);
    card_run();
    assert_int_equal(qp_state(object_get(&card.hca, OBJ_QP, side[0].qpn)), MLX_QP_ERR);
}

static void a_completion_queue_overruns(void **state)
{
    (void)state;
    assert_true(fault_add(&card.hca, "cq-overrun"));
    ring(&side[0], post_write(8, dma_key, DATA + 8192));
    card_run();
    assert_null(poll_cq());
    assert_int_equal(mlx_get(card_at(CARD_FREE), eqe_event_type), MLX_EVENT_CQ_ERR);
    assert_int_equal(mlx_get(card_at(CARD_FREE), eqe_cq_err_cqn), cqn);
    assert_int_equal(qp_state(object_get(&card.hca, OBJ_QP, side[0].qpn)), MLX_QP_ERR);
}

/* --- UMR -------------------------------------------------------------------------------------------------------- */

static u32 make_umr_key(void)
{
    u8 mkc[64] = {0};
    u32 index;

    mlx_set(mkc, mkc_free, 1);
    mlx_set(mkc, mkc_umr_en, 1);
    mlx_set(mkc, mkc_access_mode_1_0, MLX_MODE_MTT);
    mlx_set(mkc, mkc_qpn, MLX_MKEY_ANY_QP);
    mlx_set(mkc, mkc_pd, pd);
    mlx_set(mkc, mkc_translations_octword_size, 4);
    mlx_set(mkc, mkc_log_page_size, 12);
    assert_int_equal(card_mkey(mkc, NULL, 0, &index), MLX_OK);
    return index << 8;
}

#define REGISTER                                                                                   \
    (MLX_UMR_MASK_LEN | MLX_UMR_MASK_START_ADDR | MLX_UMR_MASK_FREE | MLX_UMR_MASK_LR |            \
     MLX_UMR_MASK_LW | MLX_UMR_MASK_RW | MLX_UMR_MASK_RR)

/* Two pages of DATA, from the second to the first, in line. */
static u8 *post_umr(u32 key, u32 mask)
{
    u8 *w = card_at(side[0].queue + RQ + side[0].sq % WQES * MLX_WQEBB), *umr, *mkc, *mtt;

    memset(w, 0, 3 * MLX_WQEBB);
    wqe(&side[0], MLX_WQE_UMR, 12);
    mlx_set(w, ctrl_imm, key);
    umr = w + MLX_DS;
    mlx_set(umr, umr_inline, 1);
    mlx_set(umr, umr_klm_octowords, 4);
    mlx_set(umr, umr_mkey_mask, mask);
    mkc = umr + MLX_UMR_CTRL_SIZE;
    mlx_set(mkc, mkc_lr, 1);
    mlx_set(mkc, mkc_lw, 1);
    mlx_set(mkc, mkc_rr, 1);
    mlx_set(mkc, mkc_rw, 1);
    mlx_set(mkc, mkc_start_addr, 0x700000);
    mlx_set(mkc, mkc_len, 2 * PAGE_SIZE);
    mtt = mkc + MLX_UMR_MKEY_SIZE;
    mlx_set(mtt, MLX_AT(0, 63, 0), (DATA + PAGE_SIZE) | MLX_MTT_READ | MLX_MTT_WRITE);
    mlx_set(mtt + 8, MLX_AT(0, 63, 0), DATA | MLX_MTT_READ | MLX_MTT_WRITE);
    return w;
}

static void a_key_is_registered_used_and_freed_by_work(void **state)
{
    u32 key = make_umr_key();
    u8 *w;

    (void)state;
    memset(card_at(DATA), 0x11, PAGE_SIZE);
    memset(card_at(DATA + PAGE_SIZE), 0x22, PAGE_SIZE);
    ring(&side[0], post_umr(key, REGISTER));
    expect(MLX_CQE_REQ, 0);
    w = wqe(&side[1], MLX_WQE_RDMA_READ, 3);
    raddr(w + 16, 0x700000 + PAGE_SIZE - 4, key);
    data(w + 32, 8, dma_key, DATA + 3 * PAGE_SIZE);
    ring(&side[1], w);
    expect(MLX_CQE_REQ, 0);
    assert_memory_equal(card_at(DATA + 3 * PAGE_SIZE), "\x22\x22\x22\x22\x11\x11\x11\x11", 8);
    w = post_umr(key, MLX_UMR_MASK_FREE);
    mlx_set(w + MLX_DS, umr_klm_octowords, 0);
    mlx_set(w + MLX_DS + MLX_UMR_CTRL_SIZE, mkc_free, 1);
    ring(&side[0], w);
    expect(MLX_CQE_REQ, 0);
    w = wqe(&side[1], MLX_WQE_RDMA_READ, 3);
    raddr(w + 16, 0x700000, key);
    data(w + 32, 8, dma_key, DATA + 3 * PAGE_SIZE);
    ring(&side[1], w);
    expect(MLX_CQE_REQ_ERR, MLX_SYNDROME_REMOTE_ACCESS);
}

static void a_umr_that_asks_for_what_the_key_has_not_is_refused(void **state)
{
    u8 *w = post_umr(dma_key, REGISTER);

    (void)state;
    ring(&side[0], w);
    card_run();
    expect(MLX_CQE_REQ_ERR, MLX_SYNDROME_MW_BIND);
    assert_int_equal(qp_state(object_get(&card.hca, OBJ_QP, side[0].qpn)), MLX_QP_ERR);
}

static void a_transition_out_of_order_is_refused(void **state)
{
    (void)state;
    assert_int_equal(modify(MLX_INIT2RTR_QP, side[0].qpn, 1), MLX_BAD_QP_STATE);
    assert_int_equal(card_simple(MLX_2RST_QP, 0, side[0].qpn, NULL), MLX_OK);
    assert_int_equal(modify(MLX_RTR2RTS_QP, side[0].qpn, 1), MLX_BAD_QP_STATE);
    assert_int_equal(modify(MLX_RST2INIT_QP, side[0].qpn, 1), MLX_OK);
}

int main(void)
{
#define ON_CARD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ON_PAIR(test) cmocka_unit_test_setup_teardown(test, setup_pair, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_fields_of_a_context_overlap),
        cmocka_unit_test(a_field_keeps_what_is_put_in_it_and_nothing_else_changes),
        ON_CARD(a_command_is_answered_with_the_owner_bit_and_a_signature),
        ON_CARD(a_wrong_signature_is_told),
        ON_CARD(a_wrong_entry_has_the_status_of_what_is_wrong),
        ON_CARD(a_wrong_mailbox_has_the_status_of_what_is_wrong),
        ON_CARD(blocks_need_signatures_once_the_driver_asked_for_them),
        ON_CARD(a_command_that_times_out_stays_the_cards),
        ON_CARD(a_command_before_its_time_is_refused),
        ON_CARD(a_driver_that_does_not_wait_for_the_card_is_refused),
        ON_CARD(a_reserved_bit_is_refused),
        ON_CARD(nothing_ends_while_it_is_named),
        ON_CARD(pages_come_back_and_who_wrote_to_them_is_found_out),
        ON_CARD(a_card_that_a_crashed_system_left_is_taken_over),
        ON_CARD(a_queue_in_a_page_that_was_given_away_is_refused),
        ON_CARD(a_driver_that_hands_over_an_eq_of_its_own_entries_is_refused),
        ON_CARD(a_page_request_makes_a_command_wait),
        ON_PAIR(a_write_and_a_read_move_memory),
        ON_PAIR(an_inline_send_comes_to_a_receive),
        ON_PAIR(an_atomic_adds_and_brings_back_what_was_there),
        ON_PAIR(a_key_that_is_not_there_ends_the_queue_pair),
        ON_PAIR(a_local_key_that_is_not_there_is_a_local_protection_error),
        ON_PAIR(a_wrong_wqe_puts_the_queue_pair_in_error),
        ON_PAIR(a_doorbell_without_its_record_is_refused),
        ON_PAIR(a_completion_queue_overruns),
        ON_PAIR(a_key_is_registered_used_and_freed_by_work),
        ON_PAIR(a_umr_that_asks_for_what_the_key_has_not_is_refused),
        ON_PAIR(a_transition_out_of_order_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

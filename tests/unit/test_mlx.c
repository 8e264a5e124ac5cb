/* SPDX-License-Identifier: BSD-2-Clause */
/* The mlx5 driver's commands against the model of a card, in this process. */
#include <string.h>
#include "fake/fake.h"
#include "fake/hca_card.h"
#include "unit.h"
#include "drivers/net/mlx/cq.h"
#include "drivers/net/mlx/mlx.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host.h"

#define MEMORY MIB(64)

struct config host_config;
static struct mlx *m;
static struct pci_device pci;
static u8 *bar;
static u64 free_before;

static u64 now(void)
{
    return time_now();
}

/* The function's configuration registers are the model's. */
static u32 config_read(u8 bus, u8 slot, u8 function, u32 offset)
{
    return bus || slot || function ? 0xffffffff : cfg_read(&card.hca, offset, 4);
}
static void config_write(u8 bus, u8 slot, u8 function, u32 offset, u32 value)
{
    (void)bus, (void)slot, (void)function;
    cfg_write(&card.hca, offset, value, 4);
}
static const struct pci_access config = {"the model", config_read, config_write};

static struct mlx *new_card(void)
{
    struct mlx *new = heap_alloc(sizeof(*new));

    new->pci = &pci;
    new->bar = bar;
    str_copy(new->name, sizeof(new->name), "mlx0");
    mlx_device_init(new);
    return new;
}

static int setup(void **state)
{
    struct hca_options o = {.mac = {2, 0, 0, 0, 0, 1},
                            .port_type = MLX_PORT_ETHERNET,
                            .boot_pages = 20,
                            .init_pages = 520,
                            .umr = true};

    (void)state;
    fake_reset();
    fake_memory(MEMORY);
    card = (struct card){.memory = arch_direct_map};
    thread_init();
    hca_init(&card.hca, &o, NULL, now);
    card.hca.range[0] = (struct memory_range){0, MEMORY, arch_direct_map, NULL, 0};
    card.hca.ranges = 1;
    host_config.prefix = 24;
    memcpy(host_config.address, (u8[4]){192, 0, 2, 1}, 4);
    pci_scan(&config);
    pci = *pci_at(0);
    pci.bar[0] = (struct pci_bar){.address = MIB(512), .size = HCA_BAR_SIZE};
    bar = heap_alloc(HCA_BAR_UARS);
    m = new_card();
    (void)!mlx_bring_up(m, NULL); /* the heap has what it keeps */
    mlx_take_down(m);
    free_before = frames_free();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hca_free(&card.hca);
    return 0;
}

static void up(void)
{
    struct why why = {""};

    if (mlx_bring_up(m, &why))
        fail_msg("%s", why.text);
    assert_int_equal(m->state, MLX_UP);
}

/* Nothing is left anywhere. */
static void down(void)
{
    mlx_take_down(m);
    assert_int_equal(m->state, MLX_DOWN);
    assert_int_equal(card.hca.page_count, 0);
    assert_int_equal(frames_free(), free_before);
}

static void
a_card_comes_up_with_its_port_active_and_goes_down_with_every_page_returned(void **state)
{
    (void)state;
    up();
    assert_true(m->link);
    assert_int_equal(m->speed, 100);
    assert_memory_equal(m->mac, card.hca.options.mac, 6);
    assert_string_equal(m->board, "FRY0000000001");
    assert_int_equal(card.hca.page_count, 540);
    assert_int_equal(mlx_get(card.hca.roce_address[0], roce_address_source_l3_8),
                     0xffffc0000201ull);
    down();
    assert_int_equal(card.hca.state, HCA_OFF);
    assert_int_equal(card.hca.refused, 0);
}

/* Whatever lacks memory: it says so, nothing is left anywhere, and the next time it comes up. */
static void bringing_it_up_may_run_out_of_memory_at_any_point(void **state)
{
    u64 n = 0;

    (void)state;
    for (;;) {
        struct why why = {""};
        enum err e;

        fake_fail_at(++n);
        e = mlx_bring_up(m, &why);
        if (!fake_has_failed())
            break;
        fake_fail_at(0);
        if (e) {
            assert_true(strstr(why.text, "memory") != NULL);
            assert_int_equal(m->state, MLX_DOWN);
        }
        down();
    }
    fake_fail_at(0);
    assert_true(n > 20);
    assert_int_equal(m->state, MLX_UP);
    down();
}

static void it_takes_no_more_than_forty_commands(void **state)
{
    (void)state;
    card.hca.options.boot_pages = 100;
    card.hca.options.init_pages = 100;
    hca_reset(&card.hca);
    up();
    print_message("%llu commands\n", (unsigned long long)m->cmdq.sent);
    assert_true(m->cmdq.sent <= 40);
    down();
}

static void a_card_that_a_crashed_system_left_running_comes_up(void **state)
{
    (void)state;
    up();
    m = new_card(); /* and the old one is forgotten, with all that the card has of it */
    free_before = frames_free();
    up();
    down();
    assert_int_equal(card.hca.refused, 0);
}

static void a_card_that_firmware_left_enabled_comes_up(void **state)
{
    (void)state;
    card.hca.state = HCA_ENABLED;
    up();
    down();
}

static void without_an_address_it_comes_up_and_has_none(void **state)
{
    (void)state;
    host_config.prefix = 0;
    up();
    assert_int_equal(m->ip, 0);
    down();
    assert_int_equal(card.hca.refused, 0);
}

static void a_port_of_infinibands_is_refused_with_what_would_help(void **state)
{
    struct why why = {""};

    (void)state;
    card.hca.options.port_type = MLX_PORT_IB;
    hca_reset(&card.hca);
    assert_int_equal(mlx_bring_up(m, &why), E_UNSUPPORTED);
    assert_non_null(strstr(why.text, "LINK_TYPE_P1=ETH"));
    assert_int_equal(card.hca.page_count, 0);
    assert_int_equal(frames_free(), free_before);
    assert_int_equal(card.hca.refused, 0);
}

/* --- pages ------------------------------------------------------------------------------------------------- */

static void pages_are_given_while_a_command_waits_for_them(void **state)
{
    u32 pd;

    (void)state;
    up();
    assert_true(fault_add(&card.hca, "page-request=700"));
    assert_int_equal(mlx_simple(m, MLX_ALLOC_PD, 0, 0, &pd, NULL), OK);
    assert_int_equal(card.hca.page_count, 1240);
    assert_int_equal(mlx_simple(m, MLX_DEALLOC_PD, 0, pd, NULL, NULL), OK);
    down();
    assert_int_equal(card.hca.refused, 0);
}

static void pages_that_firmware_offers_are_taken_back(void **state)
{
    (void)state;
    up();
    pages_request(&card.hca, 10);
    mlx_eq_poll(m);
    mlx_pages_serve(m);
    assert_int_equal(m->pages.count, 550);
    pages_request(&card.hca, -10);
    mlx_eq_poll(m);
    mlx_pages_serve(m);
    assert_int_equal(m->pages.count, 540);
    assert_int_equal(card.hca.page_count, 540);
    down();
    assert_int_equal(card.hca.refused, 0);
}

static void where_there_is_no_memory_firmware_is_told_so(void **state)
{
    (void)state;
    up();
    pages_request(&card.hca, 1 << 20);
    mlx_eq_poll(m);
    mlx_pages_serve(m);
    assert_int_equal(card.hca.asked, 0);
    assert_int_equal(m->pages.count, card.hca.page_count);
    down();
}

/* --- what goes wrong -------------------------------------------------------------------------------------------- */

static void a_command_that_is_refused_says_so_in_words(void **state)
{
    struct why why = {""};

    (void)state;
    up();
    assert_int_equal(mlx_simple(m, MLX_DEALLOC_PD, 0, 0x4711, NULL, &why), E_NOENT);
    assert_non_null(strstr(why.text, "DEALLOC_PD failed: no such resource (status 0x5"));
    down();
}

static void
a_command_that_is_never_answered_ends_in_a_sentence_and_the_card_is_silenced(void **state)
{
    struct why why = {""};

    (void)state;
    up();
    assert_true(fault_add(&card.hca, "command-timeout"));
    assert_int_equal(mlx_simple(m, MLX_ALLOC_PD, 0, 0, NULL, &why), E_TIMEOUT);
    assert_non_null(strstr(why.text, "ALLOC_PD was not answered within 10 s"));
    assert_int_equal(m->state, MLX_DEAD);
    assert_int_equal(mlx_simple(m, MLX_ALLOC_PD, 0, 0, NULL, &why), E_IO);
    mlx_take_down(m);
    assert_int_equal(card.hca.nic_interface, MLX_NIC_DISABLED);
    assert_int_equal(frames_free(), free_before);
    up(); /* and works again */
    down();
}

/* The n-th command of the bring-up is not answered, for each n. */
static void a_bring_up_that_stops_anywhere_leaves_nothing_behind(void **state)
{
    struct why why;
    char text[32];
    u32 n = 1;

    (void)state;
    card.hca.options.init_pages = card.hca.wanted_init = 20;
    for (;; n++) {
        card.hca.commands = 0;
        str_format(text, sizeof(text), "command-timeout@%u", n);
        assert_true(fault_add(&card.hca, text));
        if (mlx_bring_up(m, &why) == OK)
            break;
        assert_int_equal(m->state, MLX_DOWN);
        assert_int_equal(frames_free(), free_before);
    }
    assert_true(n > 30);
}

static void an_internal_error_takes_the_card_down_with_its_syndrome(void **state)
{
    (void)state;
    up();
    assert_true(fault_add(&card.hca, "internal-error=7"));
    mlx_eq_poll(m);
    assert_true(m->look_at_health);
    assert_false(mlx_health(m));
    assert_int_equal(m->state, MLX_DEAD);
    assert_non_null(strstr(m->failure.text, "syndrome 0x7"));
    mlx_take_down(m);
    assert_int_equal(frames_free(), free_before);
}

static void a_health_counter_that_stands_still_is_a_failure(void **state)
{
    (void)state;
    up();
    assert_true(mlx_health(m));
    assert_true(fault_add(&card.hca, "health-stopped"));
    for (u32 i = 0; i < 5; i++) {
        fake_advance(SEC(2) + 1);
        (void)mlx_health(m);
    }
    assert_int_equal(m->state, MLX_DEAD);
    assert_non_null(strstr(m->failure.text, "stands still"));
    mlx_take_down(m);
}

static void the_link_is_looked_at_when_an_event_says_so(void **state)
{
    (void)state;
    up();
    port_set(&card.hca, false);
    mlx_eq_poll(m);
    assert_true(m->port_event);
    assert_int_equal(mlx_port_look(m, NULL), OK);
    assert_false(m->link);
    down();
}

static void a_completion_that_makes_no_sense_is_told_of(void **state)
{
    struct verbs_cq *cq;
    struct verbs_wc wc;
    u8 *cqe;

    (void)state;
    up();
    assert_int_equal(verbs_create_cq(&m->base, 3, NULL, NULL, &cq, NULL), OK);
    assert_null(mlx_refusal(m));
    cqe = CONTAINER_OF(cq, struct mlx_cq, base)->ring;
    mlx_set(cqe, cqe_opcode, MLX_CQE_REQ);
    mlx_set(cqe, cqe_owner, 0);
    assert_int_equal(verbs_poll_cq(cq, &wc, 1), 0);
    assert_string_equal(mlx_refusal(m), "qpn: there is no such queue pair");
    assert_int_equal(verbs_destroy_cq(cq, NULL), OK);
    mlx_objects_end(m);
    down();
}

/* --- verbs --------------------------------------------------------------------------------------------------- */

#define ORDER 4 /* of the memory of each end */

struct end {
    struct verbs_cq *cq;
    struct verbs_qp *qp;
    struct verbs_mr *mr;
    hpa_t memory;
    u8 *at;
    struct verbs_end over[2];
};
static struct verbs_pd *pd;
static struct end end[2];

#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        struct why why = {""};                                                                     \
                                                                                                   \
        if (call)                                                                                  \
            fail_msg("%s", why.text);                                                              \
    } while (0)

static void make_end(struct end *e)
{
    hpa_t frames[1 << ORDER];
    struct verbs_mr_init mr = {.frames = frames,
                               .frame_count = 1 << ORDER,
                               .length = PAGE_SIZE << ORDER,
                               .iova = GIB(1),
                               .access = ACCESS_ALL};
    struct verbs_qp_init qp = {.max_send_wr = 8, .max_recv_wr = 8, .max_sge = 2};

    e->memory = frame_alloc(ORDER, FRAME_KERNEL, 0);
    e->at = phys_to_virt(e->memory);
    for (u32 i = 0; i < 1 << ORDER; i++)
        frames[i] = HPA(e->memory.v + i * PAGE_SIZE);
    CHECK_OK(verbs_reg_mr(pd, &mr, &e->mr, &why));
    CHECK_OK(verbs_create_cq(&m->base, 16, NULL, NULL, &e->cq, &why));
    qp.send_cq = qp.recv_cq = e->cq;
    CHECK_OK(verbs_create_qp(pd, &qp, &e->qp, &why));
}

static void connect(struct end *e, const struct end *to)
{
    struct verbs_qp_attr a = {.qp_access_flags = ACCESS_ALL,
                              .dest_ip = m->ip,
                              .dest_qp_num = to->qp->qp_num,
                              .path_mtu = 1024,
                              .max_dest_rd_atomic = 4,
                              .max_rd_atomic = 4,
                              .timeout = 14,
                              .retry_cnt = 7,
                              .rnr_retry = 7};

    memcpy(a.dest_mac, m->mac, 6);
    CHECK_OK(verbs_modify_qp(e->qp, QPS_INIT, &a, &why));
    CHECK_OK(verbs_modify_qp(e->qp, QPS_RTR, &a, &why));
    CHECK_OK(verbs_modify_qp(e->qp, QPS_RTS, &a, &why));
}

static void two_ends(void)
{
    up();
    CHECK_OK(verbs_alloc_pd(&m->base, &pd, &why));
    make_end(&end[0]);
    make_end(&end[1]);
    connect(&end[0], &end[1]);
    connect(&end[1], &end[0]);
}

static void post_write(u32 length)
{
    struct verbs_sge sge = {GIB(1), length, end[0].mr->lkey};
    struct verbs_send_wr wr = {.wr_id = 77,
                               .sg_list = &sge,
                               .num_sge = 1,
                               .opcode = WR_RDMA_WRITE,
                               .send_flags = SEND_SIGNALED,
                               .remote_addr = GIB(1),
                               .rkey = end[1].mr->rkey};

    CHECK_OK(verbs_post_send(end[0].qp, &wr, 1, NULL, &why));
}

static struct verbs_wc completion(void)
{
    struct verbs_wc wc = {.wr_id = 0};

    for (u32 i = 0; i < 100000 && !verbs_poll_cq(end[0].cq, &wc, 1); i++)
        mlx_relax();
    assert_int_equal(wc.wr_id, 77);
    return wc;
}

static void finish(void)
{
    for (u32 i = 0; i < 2; i++) {
        verbs_destroy_qp(end[i].qp, verbs_end_begin(&end[i].over[0]));
        verbs_invalidate_mr(end[i].mr, verbs_end_begin(&end[i].over[1]));
        CHECK_OK(verbs_destroy_cq(end[i].cq, &why));
    }
    CHECK_OK(verbs_dealloc_pd(pd, &why));
    assert_false(verbs_end_is_over(&end[0].over[0])); /* firmware has not said so */
    for (u32 i = 0; i < 1000 && !list_empty(&m->ending); i++) {
        mlx_objects_end(m);
        mlx_relax();
    }
    (void)verbs_progress(&m->base);
    for (u32 i = 0; i < 4; i++)
        assert_true(verbs_end_is_over(&end[i / 2].over[i % 2]));
    for (u32 i = 0; i < 2; i++)
        (void)frame_put(end[i].memory);
}

static void transfer(void)
{
    u32 length = PAGE_SIZE << ORDER;

    two_ends();
    assert_int_equal(m->umr.made, 2);
    for (u32 i = 0; i < length; i++)
        end[0].at[i] = (u8)(i * 7 + (i >> 8));
    post_write(length);
    assert_int_equal(completion().status, WC_SUCCESS);
    assert_memory_equal(end[0].at, end[1].at, length);
    finish();
    assert_int_equal(m->umr.spare, 2);
    assert_int_equal(m->counts[MLX_KIND_QP], 0);
    mlx_take_down(m);
}

static void two_queue_pairs_of_a_card_reach_each_other_and_leave_nothing(void **state)
{
    (void)state;
    transfer(); /* and the heap has what it keeps */
    free_before = frames_free();
    transfer();
    assert_int_equal(frames_free(), free_before);
    assert_int_equal(card.hca.page_count, 0);
    assert_int_equal(card.hca.refused, 0);
}

static void a_key_that_ended_does_not_come_back_soon(void **state)
{
    struct verbs_end over;
    hpa_t frame = HPA(MIB(2));
    struct verbs_mr_init init = {
        .frames = &frame, .frame_count = 1, .length = PAGE_SIZE, .access = ACCESS_ALL};
    u32 keys[64];

    (void)state;
    up();
    CHECK_OK(verbs_alloc_pd(&m->base, &pd, &why));
    for (u32 i = 0; i < COUNT_OF(keys); i++) {
        struct verbs_mr *mr;

        CHECK_OK(verbs_reg_mr(pd, &init, &mr, &why));
        keys[i] = mr->rkey;
        for (u32 k = 0; k < i; k++)
            assert_int_not_equal(keys[k], keys[i]);
        verbs_invalidate_mr(mr, verbs_end_begin(&over));
        for (u32 n = 0; n < 1000 && !list_empty(&m->ending); n++) {
            mlx_objects_end(m);
            mlx_relax();
        }
        (void)verbs_progress(&m->base);
        assert_true(verbs_end_is_over(&over));
    }
    assert_true(m->umr.made <= 18);
    CHECK_OK(verbs_dealloc_pd(pd, &why));
    mlx_objects_end(m);
    down();
    assert_int_equal(card.hca.refused, 0);
}

static void a_card_that_does_not_invalidate_a_key_in_time_is_taken_down(void **state)
{
    struct verbs_end over;
    hpa_t frame = HPA(MIB(2));
    struct verbs_mr_init init = {
        .frames = &frame, .frame_count = 1, .length = PAGE_SIZE, .access = ACCESS_ALL};
    struct verbs_mr *mr;

    (void)state;
    up();
    CHECK_OK(verbs_alloc_pd(&m->base, &pd, &why));
    CHECK_OK(verbs_reg_mr(pd, &init, &mr, &why));
    verbs_invalidate_mr(mr, verbs_end_begin(&over)); /* the model does nothing without mlx_relax */
    mlx_objects_end(m);
    assert_int_equal(m->state, MLX_UP);
    fake_advance(SEC(11));
    mlx_objects_end(m);
    assert_int_equal(m->state, MLX_DEAD);
    assert_string_equal(m->failure.text, "it did not invalidate a memory key within 10 s");
    assert_false(verbs_end_is_over(&over));
    mlx_silence(m);
    m->silent = true;
    mlx_objects_end(m);
    (void)verbs_progress(&m->base);
    assert_true(verbs_end_is_over(&over));
    CHECK_OK(verbs_dealloc_pd(pd, &why));
    mlx_take_down(m);
    assert_int_equal(frames_free(), free_before);
}

static void work_on_a_card_that_fails_is_flushed_and_its_memory_comes_back(void **state)
{
    (void)state;
    two_ends();
    post_write(PAGE_SIZE);
    mlx_fail(m, "the test says so");
    assert_int_equal(completion().status, WC_WR_FLUSH_ERR);
    assert_int_equal(verbs_query_qp(end[0].qp), QPS_ERR);
    mlx_silence(m);
    m->silent = true;
    finish();
    mlx_take_down(m);
    assert_int_equal(frames_free(), free_before);
    up();
    down();
}

static void a_completion_queue_that_overruns_takes_the_card_down_and_work_is_flushed(void **state)
{
    (void)state;
    two_ends();
    assert_true(fault_add(&card.hca, "cq-overrun"));
    post_write(PAGE_SIZE);
    for (u32 i = 0; i < 1000 && !m->broken_how; i++) {
        mlx_relax();
        mlx_eq_poll(m);
    }
    assert_false(mlx_health(m));
    assert_non_null(strstr(m->failure.text, "it was full"));
    assert_int_equal(completion().status, WC_WR_FLUSH_ERR);
    mlx_silence(m);
    m->silent = true;
    finish();
    mlx_take_down(m);
}

static void what_is_still_made_when_a_card_goes_down_is_ended_there(void **state)
{
    (void)state;
    two_ends();
    mlx_take_down(m);
    assert_int_equal(card.hca.state, HCA_OFF);
    assert_int_equal(card.hca.page_count, 0);
    assert_int_equal(card.hca.refused, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_card_comes_up_with_its_port_active_and_goes_down_with_every_page_returned),
        TEST(bringing_it_up_may_run_out_of_memory_at_any_point),
        TEST(it_takes_no_more_than_forty_commands),
        TEST(a_card_that_a_crashed_system_left_running_comes_up),
        TEST(a_card_that_firmware_left_enabled_comes_up),
        TEST(without_an_address_it_comes_up_and_has_none),
        TEST(a_port_of_infinibands_is_refused_with_what_would_help),
        TEST(pages_are_given_while_a_command_waits_for_them),
        TEST(pages_that_firmware_offers_are_taken_back),
        TEST(where_there_is_no_memory_firmware_is_told_so),
        TEST(a_command_that_is_refused_says_so_in_words),
        TEST(a_command_that_is_never_answered_ends_in_a_sentence_and_the_card_is_silenced),
        TEST(a_bring_up_that_stops_anywhere_leaves_nothing_behind),
        TEST(an_internal_error_takes_the_card_down_with_its_syndrome),
        TEST(a_health_counter_that_stands_still_is_a_failure),
        TEST(two_queue_pairs_of_a_card_reach_each_other_and_leave_nothing),
        TEST(a_key_that_ended_does_not_come_back_soon),
        TEST(a_card_that_does_not_invalidate_a_key_in_time_is_taken_down),
        TEST(work_on_a_card_that_fails_is_flushed_and_its_memory_comes_back),
        TEST(a_completion_queue_that_overruns_takes_the_card_down_and_work_is_flushed),
        TEST(what_is_still_made_when_a_card_goes_down_is_ended_there),
        TEST(the_link_is_looked_at_when_an_event_says_so),
        TEST(a_completion_that_makes_no_sense_is_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

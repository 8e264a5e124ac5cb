/* SPDX-License-Identifier: BSD-2-Clause */
/* Misuse of the verbs is refused, and changes nothing. */
#include <string.h>
#include "fake/roce_world.h"
#include "unit.h"

static struct world w;
static struct verbs_mr *mr;
static struct why why;

static int setup(void **state)
{
    static const struct world_line line = {.delay = 1000};
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    world_init(&w, &line, 1024, 1, 8);
    world_connect(&w, &attr, 4, 4);
    mr = world_mr(&w, 0, 0, 8192, ACCESS_ALL);
    why.text[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end_mr(mr);
    world_free(&w);
    return 0;
}

static void assert_says(const char *words)
{
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say \"%s\"", why.text, words);
}

static void what_is_in_use_is_not_destroyed(void **state)
{
    (void)state;
    assert_int_equal(verbs_dealloc_pd(w.host[0].pd, &why), E_STATE);
    assert_says("1 memory regions and 1 queue pairs");
    assert_int_equal(verbs_destroy_cq(w.host[0].cq, &why), E_STATE);
    assert_int_equal(roce_device_destroy(w.host[0].device, &why), E_STATE);
}

static void a_completion_queue_promises_no_more_than_it_has(void **state)
{
    struct verbs_qp_init init = {w.host[0].cq, w.host[0].cq, 1, 1, 1, NULL};
    struct verbs_qp *qp;

    (void)state;
    assert_int_equal(verbs_create_qp(w.host[0].pd, &init, &qp, &why), E_NOMEM);
    assert_says("could overrun");
    init.send_cq = w.host[1].cq;
    assert_int_equal(verbs_create_qp(w.host[0].pd, &init, &qp, &why), E_INVAL);
}

static void a_full_queue_takes_nothing_until_completions_are_polled(void **state)
{
    struct verbs_sge sge = {0, 8, mr->lkey};
    struct verbs_send_wr wr[5];
    struct verbs_wc wc[8];
    u32 posted;

    (void)state;
    for (u32 i = 0; i < 5; i++)
        wr[i] = (struct verbs_send_wr){
            .sg_list = &sge, .num_sge = 1, .opcode = WR_RDMA_WRITE, .send_flags = SEND_SIGNALED};
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 5, &posted, &why), E_NOMEM);
    assert_int_equal(posted, 4);
    assert_says("poll its completions");
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_ERR, NULL, NULL), OK);
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 1, NULL, &why), E_NOMEM);
    assert_int_equal(verbs_poll_cq(w.host[0].cq, wc, 8), 4);
    assert_int_equal(wc[3].status, WC_WR_FLUSH_ERR);
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 1, NULL, &why), OK);
}

static void a_list_is_posted_up_to_what_is_refused(void **state)
{
    struct verbs_sge sge[9] = {{0, 8, mr->lkey}};
    struct verbs_send_wr wr[5];
    struct verbs_recv_wr recv[3] = {{1, sge, 1}, {2, sge, 9}, {3, sge, 1}};
    u32 posted;

    (void)state;
    for (u32 i = 0; i < 5; i++)
        wr[i] = (struct verbs_send_wr){.sg_list = sge, .num_sge = 1, .opcode = WR_RDMA_WRITE};
    wr[2].num_sge = 9;
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 5, &posted, &why), E_RANGE);
    assert_int_equal(posted, 2);
    assert_says("this queue pair has 8");
    wr[0].send_flags = 8;
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 5, &posted, &why), E_UNSUPPORTED);
    assert_int_equal(posted, 0);
    wr[0].send_flags = 0;
    wr[2].num_sge = 1;
    wr[2].opcode = WR_ATOMIC_FETCH_AND_ADD;
    wr[3].opcode = WR_SEND_WITH_INV; /* the queue is full before it comes to that */
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 5, &posted, &why), E_NOMEM);
    assert_int_equal(posted, 2);
    assert_int_equal(verbs_post_recv(w.host[0].qp, recv, 3, &posted, &why), E_RANGE);
    assert_int_equal(posted, 1);
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_RESET, NULL, NULL), OK);
    assert_int_equal(verbs_post_send(w.host[0].qp, wr, 2, &posted, &why), E_STATE);
    assert_int_equal(posted, 0);
    assert_int_equal(verbs_post_recv(w.host[0].qp, recv, 1, &posted, &why), E_STATE);
    assert_int_equal(posted, 0);
}

static void prohibited_transitions_say_why(void **state)
{
    struct verbs_qp_attr attr = world_attr(1024);

    (void)state;
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_INIT, &attr, &why), E_STATE);
    assert_says("only through RESET");
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_SQD, &attr, &why), E_STATE);
    assert_says("not implemented");
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_ERR, NULL, &why), OK);
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_RTS, &attr, &why), E_STATE);
    assert_says("only RESET leads out");
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_RESET, NULL, &why), OK);
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_RTR, &attr, &why), E_STATE);
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_INIT, &attr, &why), OK);
    attr.path_mtu = 1000;
    assert_int_equal(verbs_modify_qp(w.host[0].qp, QPS_RTR, &attr, &why), E_INVAL);
    assert_int_equal(verbs_query_qp(w.host[0].qp), QPS_INIT);
}

static void a_region_lies_within_its_frames(void **state)
{
    const hpa_t frames[2] = {HPA(0), HPA(4096)};
    struct verbs_mr_init init = {
        .frames = frames, .frame_count = 2, .offset = 8, .length = 8185, .iova = 8};
    struct verbs_mr *m;

    (void)state;
    assert_int_equal(verbs_reg_mr(w.host[0].pd, &init, &m, &why), E_RANGE);
    init.length = 8184;
    init.iova = 9;
    assert_int_equal(verbs_reg_mr(w.host[0].pd, &init, &m, &why), E_INVAL);
    init.iova = 8;
    init.access = ACCESS_REMOTE_WRITE;
    assert_int_equal(verbs_reg_mr(w.host[0].pd, &init, &m, &why), E_INVAL);
    assert_says("ACCESS_LOCAL_WRITE");
    init.access = 0;
    assert_int_equal(verbs_reg_mr(w.host[0].pd, &init, &m, &why), OK);
    world_end_mr(m);
}

static void a_key_does_not_come_back_soon(void **state)
{
    u32 first = mr->lkey;

    (void)state;
    for (u32 i = 0; i < 20000; i++) {
        struct verbs_mr *m = world_mr(&w, 0, 0, 8, 0);

        assert_int_not_equal(m->lkey, first);
        world_end_mr(m);
    }
}

static void a_time_out_is_rounded_up_to_what_the_wire_has(void **state)
{
    (void)state;
    assert_int_equal(verbs_timeout_code(0), 1);
    assert_int_equal(verbs_timeout_code(8192), 1);
    assert_int_equal(verbs_timeout_code(8193), 2);
    assert_int_equal(verbs_timeout_code(500000000), 17);
    assert_int_equal(verbs_timeout_code(U64_MAX), 31);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void a_gid_is_an_ipv4_address_or_none(void **state)
{
    static const u8 mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1}, none[16] = {0};

    (void)state;
    assert_int_equal(verbs_gid_ip(mapped), 0x0a000001);
    assert_int_equal(verbs_gid_ip(none), 0);
}

static void an_end_is_over_when_it_was_told(void **state)
{
    struct verbs_end end;
    struct verbs_done *done = verbs_end_begin(&end);

    (void)state;
    assert_false(verbs_end_is_over(&end));
    done->fn(done);
    assert_true(verbs_end_is_over(&end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_in_use_is_not_destroyed),
        T(a_completion_queue_promises_no_more_than_it_has),
        T(a_full_queue_takes_nothing_until_completions_are_polled),
        T(a_list_is_posted_up_to_what_is_refused),
        T(prohibited_transitions_say_why),
        T(a_region_lies_within_its_frames),
        T(a_key_does_not_come_back_soon),
        T(a_time_out_is_rounded_up_to_what_the_wire_has),
        cmocka_unit_test(a_gid_is_an_ipv4_address_or_none),
        cmocka_unit_test(an_end_is_over_when_it_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

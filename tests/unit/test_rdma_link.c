/* SPDX-License-Identifier: BSD-2-Clause */
/* What a connection leaves behind when its device does not let go in time. The device is the test's. */
#include <stdlib.h>
#include "drivers/net/ip/ip.h"
#include "drivers/net/rdma/host.h"
#include "drivers/net/rdma/link.h"
#include "drivers/net/roce/nic.h"
#include "fake/fake.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/thread.h"
#include "unit.h"

struct config host_config;
static bool ends;                   /* the device lets go of things */
static struct verbs_done *asked[3]; /* what it was asked to end */
static u32 asks, told;
static struct verbs_cq *queue;

static void query_port(struct verbs_device *d, struct verbs_port *port)
{
    (void)d;
    *port = (struct verbs_port){.active = true, .active_mtu = 1024};
}
static bool progress(struct verbs_device *d)
{
    (void)d;
    fake_advance(MSEC(1));
    return false;
}
static struct verbs_done *next_done(struct verbs_device *d)
{
    (void)d;
    return ends && told < asks ? asked[told++] : NULL;
}
static enum err alloc_pd(struct verbs_device *d, struct verbs_pd **pd, struct why *why)
{
    (void)d, (void)why;
    *pd = heap_alloc(sizeof(**pd));
    return OK;
}
static void dealloc_pd(struct verbs_pd *pd)
{
    heap_free(pd);
}
static enum err reg_mr(struct verbs_pd *pd, const struct verbs_mr_init *init, struct verbs_mr **mr,
                       struct why *why)
{
    (void)pd, (void)init, (void)why;
    *mr = heap_alloc(sizeof(**mr));
    return OK;
}
static void invalidate_mr(struct verbs_mr *mr, struct verbs_done *done)
{
    asked[asks++] = done;
    heap_free(mr);
}
static enum err create_cq(struct verbs_device *d, u32 cqe, struct verbs_cq **cq, struct why *why)
{
    (void)d, (void)cqe, (void)why;
    *cq = queue = heap_alloc(sizeof(**cq));
    return OK;
}
static void destroy_cq(struct verbs_cq *cq)
{
    heap_free(cq);
}
static enum err create_qp(struct verbs_pd *pd, const struct verbs_qp_init *init,
                          struct verbs_qp **qp, struct why *why)
{
    (void)pd, (void)init, (void)why;
    *qp = heap_alloc(sizeof(**qp));
    return OK;
}
static enum err modify_qp(struct verbs_qp *qp, enum verbs_qp_state state,
                          const struct verbs_qp_attr *attr, struct why *why)
{
    (void)qp, (void)state, (void)attr, (void)why;
    return OK;
}
static enum verbs_qp_state query_qp(struct verbs_qp *qp)
{
    (void)qp;
    return QPS_INIT;
}
static void destroy_qp(struct verbs_qp *qp, struct verbs_done *done)
{
    asked[asks++] = done;
    heap_free(qp);
}
static u32 post_recv(struct verbs_qp *qp, const struct verbs_recv_wr *wr, u32 count)
{
    (void)qp, (void)wr;
    return count;
}
static void doorbell(struct verbs_qp *qp)
{
    (void)qp;
}

static const struct verbs_ops ops = {
    .query_port = query_port,
    .progress = progress,
    .next_done = next_done,
    .alloc_pd = alloc_pd,
    .dealloc_pd = dealloc_pd,
    .reg_mr = reg_mr,
    .invalidate_mr = invalidate_mr,
    .create_cq = create_cq,
    .destroy_cq = destroy_cq,
    .create_qp = create_qp,
    .modify_qp = modify_qp,
    .query_qp = query_qp,
    .destroy_qp = destroy_qp,
    .post_recv = post_recv,
    .doorbell = doorbell,
};
static struct verbs_device device = {
    .ops = &ops,
    .name = "the test's",
    .limits = {.max_cqe = 64, .max_qp_wr = 32, .max_sge = 1, .max_mr_size = MIB(8)}};

struct verbs_device *rdma_host(void)
{
    return &device;
}
enum err rdma_host_missing(struct why *why)
{
    return why_set(why, E_STATE, "none");
}
u64 roce_random(void)
{
    return 5;
}
enum err ip_resolve(struct ip *ip, ip4_t address, u64 timeout, mac_t *mac, struct why *why)
{
    (void)ip, (void)address, (void)timeout, (void)mac, (void)why;
    return OK;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(64));
    thread_init();
    asks = told = 0;
    return 0;
}

static struct rdma_link *open_link(void)
{
    struct rdma_link *l =
        malloc(sizeof(*l)); /* as a command's stack, which is not there for ever */
    struct why why = {""};

    if (rdma_link_open(l, RDMA_SINK, ACCESS_ALL, KIB(4), &why))
        fail_msg("%s", why.text);
    return l;
}

static void what_ends_in_time_leaves_nothing(void **state)
{
    u64 before = frames_free();
    struct rdma_link *l;

    (void)state;
    ends = true;
    for (u32 i = 0; i < 2; i++) { /* the heap keeps what it took the first time */
        l = open_link();
        rdma_link_close(l);
        free(l);
        asks = told = 0;
        if (!i)
            before = frames_free();
    }
    assert_int_equal(frames_free(), before);
}

/* It is told of late, and of completions too, by then with nobody there. Nothing is ended twice. */
static void what_does_not_end_in_time_stays_and_may_still_be_told_of(void **state)
{
    struct rdma_link *l = open_link();
    u64 before = frames_free();

    (void)state;
    ends = false;
    rdma_link_close(l);
    rdma_link_close(l);
    assert_int_equal(asks, 3);
    free(l);
    assert_true(frames_free() < before + (1u << LINK_ORDER)); /* its memory stays */
    queue->notify(queue, queue->ctx);
    ends = true;
    (void)verbs_progress(&device);
    assert_int_equal(told, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_ends_in_time_leaves_nothing, setup),
        cmocka_unit_test_setup(what_does_not_end_in_time_stays_and_may_still_be_told_of, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

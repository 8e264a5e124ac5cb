/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/rdma/link.h"
#include "drivers/net/rdma/host.h"
#include "drivers/net/roce/nic.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/log.h"

#define TARGET_SIZE  MIB(2)
#define MEMORY_SIZE  (PAGE_SIZE << LINK_ORDER)
#define TARGET_IOVA  0x700000000000ull
#define LEAST_SLOT   256
#define RESOLVE_TIME SEC(3)
#define CLOSE_TIME   SEC(2)
#define RNR_TIMER    14 /* 1 ms */

static void notify(struct verbs_cq *cq, void *ctx)
{
    struct rdma_told *told = ctx;
    struct thread *owner = __atomic_load_n(&told->owner, __ATOMIC_ACQUIRE);

    (void)cq;
    if (owner)
        thread_wake(owner);
}

/* --- making ---------------------------------------------------------------------------------------- */

static enum err take_memory(struct rdma_link *l, struct why *why)
{
    l->memory = frame_alloc(LINK_ORDER, FRAME_KERNEL, 0);
    if (!l->memory.v)
        return why_set(why, E_NOMEM, "no 8 MiB of memory in one piece are free");
    l->at = phys_to_virt(l->memory);
    return OK;
}

static enum err reg_mr(struct rdma_link *l, struct verbs_mr **mr, u64 iova, u64 length, u32 access,
                       struct why *why)
{
    u64 count = length >> PAGE_SHIFT;
    hpa_t *frames = heap_alloc(count * sizeof(*frames)); /* the list is copied */
    struct verbs_mr_init init = {
        .frames = frames, .frame_count = count, .length = length, .iova = iova, .access = access};
    enum err e;

    if (!frames)
        return why_set(why, E_NOMEM, "no memory for a list of frames");
    for (u64 i = 0; i < count; i++)
        frames[i] = HPA(l->memory.v + (i << PAGE_SHIFT));
    e = verbs_reg_mr(l->pd, &init, mr, why);
    heap_free(frames);
    return e;
}

static enum err make_qp(struct rdma_link *l, u32 access, struct why *why)
{
    struct verbs_qp_init init = {
        .max_send_wr = LINK_SENDS, .max_recv_wr = LINK_SLOTS, .max_sge = 1};
    struct verbs_qp_attr attr = {.qp_access_flags = access};
    enum err e = verbs_create_cq(l->device, LINK_SENDS + LINK_SLOTS, notify, l->told, &l->cq, why);

    init.send_cq = init.recv_cq = l->cq;
    if (!e)
        e = verbs_create_qp(l->pd, &init, &l->qp, why);
    return e ? e : verbs_modify_qp(l->qp, QPS_INIT, &attr, why);
}

static enum err post_receives(struct rdma_link *l, u32 message, struct why *why)
{
    enum err e = OK;

    l->slot_size = (u32)ALIGN_UP(MAX(message, LEAST_SLOT), 64);
    l->slots = (u32)MIN((MEMORY_SIZE - LINK_RECEIVE) / l->slot_size, LINK_SLOTS);
    for (u32 i = 0; i < l->slots && !e; i++)
        e = rdma_link_post_recv(l, i, why);
    return e;
}

static enum err describe(struct rdma_link *l, struct why *why)
{
    struct verbs_port port;

    if (verbs_query_port(l->device, &port) || !port.active)
        return why_set(why, E_STATE, "the port of %s is down", l->device->name);
    memcpy(l->mine.gid, port.gid, sizeof(port.gid));
    memcpy(l->mine.mac, port.mac, sizeof(port.mac));
    l->mine.qpn = l->qp->qp_num;
    l->mine.psn = (u32)roce_random() & 0xffffff;
    l->mine.mtu = port.active_mtu;
    l->mine.addr = TARGET_IOVA;
    l->mine.key = l->target->rkey;
    l->mine.length = TARGET_SIZE;
    return OK;
}

static enum err make(struct rdma_link *l, struct why *why)
{
    u32 rights = l->mine.access;
    enum err e = take_memory(l, why);

    if (!e)
        e = verbs_alloc_pd(l->device, &l->pd, why);
    if (!e)
        e = reg_mr(l, &l->local, 0, MEMORY_SIZE, ACCESS_LOCAL_WRITE, why);
    if (!e)
        e = reg_mr(l, &l->target, TARGET_IOVA, TARGET_SIZE, rights | ACCESS_LOCAL_WRITE, why);
    if (!e)
        e = make_qp(l, ACCESS_ALL, why);
    if (!e)
        e = post_receives(l, l->mine.message, why);
    return e ? e : describe(l, why);
}

enum err rdma_link_open(struct rdma_link *l, enum rdma_mode mode, u32 access, u32 message,
                        struct why *why)
{
    enum err e;

    *l = (struct rdma_link){.told = heap_alloc(sizeof(*l->told)), .device = rdma_host()};
    l->mine.mode = mode;
    l->mine.access = access;
    l->mine.message = message;
    if (!l->told)
        return why_set(why, E_NOMEM, "no memory for a connection");
    l->told->owner = thread_current();
    e = l->device ? make(l, why) : rdma_host_missing(why);
    if (e)
        rdma_link_close(l);
    return e;
}

/* A card has another MAC than the NIC that ARP would find. */
static enum err find_mac(struct ip *ip, const struct rdma_end *theirs, u8 to[6], struct why *why)
{
    static const u8 unknown[6];
    mac_t mac;
    enum err e;

    memcpy(to, theirs->mac, sizeof(theirs->mac));
    if (memcmp(to, unknown, sizeof(unknown)) != 0)
        return OK;
    e = ip_resolve(ip, (ip4_t){verbs_gid_ip(theirs->gid)}, RESOLVE_TIME, &mac, why);
    if (!e)
        memcpy(to, mac.b, sizeof(mac.b));
    return e;
}

enum err rdma_link_connect(struct rdma_link *l, struct ip *ip, const struct rdma_end *theirs,
                           struct why *why)
{
    struct verbs_qp_attr a = {.dest_ip = verbs_gid_ip(theirs->gid),
                              .dest_qp_num = theirs->qpn,
                              .rq_psn = theirs->psn,
                              .path_mtu = MIN(theirs->mtu, l->mine.mtu),
                              .max_dest_rd_atomic = 16,
                              .max_rd_atomic = 16,
                              .min_rnr_timer = RNR_TIMER,
                              .sq_psn = l->mine.psn,
                              .timeout = verbs_timeout_code(MSEC(host_config.rdma_timeout)),
                              .retry_cnt = host_config.rdma_retries,
                              .rnr_retry = 7};
    enum err e = find_mac(ip, theirs, a.dest_mac, why);

    if (e)
        return e;
    l->theirs = *theirs;
    l->mtu = a.path_mtu;
    e = verbs_modify_qp(l->qp, QPS_RTR, &a, why);
    return e ? e : verbs_modify_qp(l->qp, QPS_RTS, &a, why);
}

/* --- ending ---------------------------------------------------------------------------------------- */

static bool all_told(const struct rdma_link *l)
{
    for (unsigned i = 0; i < LINK_ENDS; i++)
        if (!verbs_end_is_over(&l->told->end[i]))
            return false;
    return true;
}

static void end_objects(struct rdma_link *l)
{
    struct verbs_mr *mr[] = {l->local, l->target};
    struct verbs_end *end = l->told->end;

    for (unsigned i = 0; i < LINK_ENDS; i++)
        end[i].over = true;
    if (l->qp)
        verbs_destroy_qp(l->qp, verbs_end_begin(&end[2]));
    for (unsigned i = 0; i < 2; i++)
        if (mr[i])
            verbs_invalidate_mr(mr[i], verbs_end_begin(&end[i]));
}

static void give_back(struct rdma_link *l)
{
    struct why why = {""};

    if (l->cq && verbs_destroy_cq(l->cq, &why))
        log_warn("rdma: %s", why.text);
    if (l->pd && verbs_dealloc_pd(l->pd, &why))
        log_warn("rdma: %s", why.text);
    if (l->memory.v)
        (void)frame_put(l->memory);
    heap_free(l->told);
}

/* What is still in use after that time stays: memory that a device may touch is not given back. */
void rdma_link_close(struct rdma_link *l)
{
    u64 end = time_now() + CLOSE_TIME;

    if (!l->told)
        return;
    end_objects(l);
    while (!all_told(l) && time_now() < end) {
        (void)verbs_progress(l->device);
        thread_yield();
    }
    if (all_told(l)) {
        give_back(l);
    } else {
        log_warn("rdma: %s does not let go of a connection's memory", l->device->name);
        __atomic_store_n(&l->told->owner, NULL, __ATOMIC_RELEASE);
    }
    l->told = NULL;
}

/* --- work ------------------------------------------------------------------------------------------ */

u8 *rdma_link_slot(const struct rdma_link *l, u32 slot)
{
    return l->at + LINK_RECEIVE + (u64)slot * l->slot_size;
}

enum err rdma_link_post_recv(struct rdma_link *l, u32 slot, struct why *why)
{
    struct verbs_sge sge = {LINK_RECEIVE + (u64)slot * l->slot_size, l->slot_size, l->local->lkey};
    struct verbs_recv_wr wr = {.wr_id = LINK_RECV | slot, .sg_list = &sge, .num_sge = 1};

    return verbs_post_recv(l->qp, &wr, 1, NULL, why);
}

enum err rdma_link_post(struct rdma_link *l, const struct verbs_send_wr *wr, u64 offset, u32 length,
                        struct why *why)
{
    struct verbs_sge sge = {offset, length, l->local->lkey};
    struct verbs_send_wr whole = *wr;

    whole.sg_list = &sge;
    whole.num_sge = length ? 1 : 0;
    whole.send_flags = SEND_SIGNALED;
    return verbs_post_send(l->qp, &whole, 1, NULL, why);
}

bool rdma_link_poll(struct rdma_link *l, struct verbs_wc *wc, u64 end)
{
    if (verbs_poll_cq(l->cq, wc, 1))
        return true;
    verbs_req_notify_cq(l->cq);
    if (verbs_poll_cq(l->cq, wc, 1))
        return true;
    if (time_now() < end)
        thread_sleep_until(end);
    return verbs_poll_cq(l->cq, wc, 1) == 1;
}

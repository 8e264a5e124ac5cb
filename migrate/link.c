/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/link.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/timer.h"

#define RNR_TIMER 14 /* 1 ms */
#define READS     16 /* outstanding, of a queue pair */

#define MESSAGE_ORDER 1 /* MESSAGE_SIZE */
#define MEMORY_ORDER  7 /* LINK_MESSAGES of them, twice */
_Static_assert(PAGE_SIZE << MESSAGE_ORDER == MESSAGE_SIZE, "a message fills its frames");
_Static_assert(sizeof(struct message_offer) <= MESSAGE_FIXED, "all of what is fixed is cleared");
_Static_assert(PAGE_SIZE << MEMORY_ORDER == 2 * LINK_MESSAGES * MESSAGE_SIZE, "room for all");

/* wr_id: what it was, in the upper half; which, in the lower. */
enum { WR_CONTROL_SEND = 1, WR_CONTROL_RECEIVE, WR_DATA, WR_MARKER };
#define WR_ID(kind, n) ((u64)(kind) << 32 | (n))

/* A message that waits. */
struct link_late {
    struct list link;
    enum message_type type;
    u32 size;
    u8 message[MESSAGE_SIZE] ALIGNED(8);
};

/* --- making ------------------------------------------------------------------------------------- */

static hpa_t room_at(const struct link *l, u32 n)
{
    return HPA(l->memory.v + (u64)n * MESSAGE_SIZE);
}

static enum err post_receive(struct link *l, u32 n, struct why *why)
{
    struct verbs_sge sge = {room_at(l, LINK_MESSAGES + n).v, MESSAGE_SIZE, l->pd->local_dma_lkey};
    struct verbs_recv_wr wr = {
        .wr_id = WR_ID(WR_CONTROL_RECEIVE, n), .sg_list = &sge, .num_sge = 1};

    return verbs_post_recv(l->control, &wr, 1, NULL, why);
}

static enum err post_marker_receive(struct link *l, unsigned queue, struct why *why)
{
    struct verbs_recv_wr wr = {.wr_id = WR_ID(WR_MARKER, queue)};

    return verbs_post_recv(l->data[queue].qp, &wr, 1, NULL, why);
}

static enum err make_qp(struct link *l, struct verbs_qp **qp, u32 sends, u32 receives, u32 access,
                        struct why *why)
{
    struct verbs_qp_init init = {.send_cq = l->cq,
                                 .recv_cq = l->cq,
                                 .max_send_wr = sends,
                                 .max_recv_wr = receives,
                                 .max_sge = LINK_FRAMES,
                                 .ctx = l};
    struct verbs_qp_attr attr = {.qp_access_flags = access};
    enum err e = verbs_create_qp(l->pd, &init, qp, why);

    return e ? e : verbs_modify_qp(*qp, QPS_INIT, &attr, why);
}

static enum err make(struct link *l, void (*notify)(struct verbs_cq *, void *), void *ctx,
                     struct why *why)
{
    const u32 of_data = LINK_DEPTH + LINK_MARKERS, of_control = 2 * LINK_MESSAGES;
    enum err e =
        verbs_create_cq(l->device, of_control + LINK_DATA_QPS * of_data, notify, ctx, &l->cq, why);

    if (!e)
        e = make_qp(l, &l->control, LINK_MESSAGES, LINK_MESSAGES, 0, why);
    for (unsigned i = 0; i < LINK_DATA_QPS && !e; i++)
        e = make_qp(l, &l->data[i].qp, LINK_DEPTH, LINK_MARKERS,
                    ACCESS_REMOTE_WRITE | ACCESS_REMOTE_READ, why);
    for (u32 n = 0; n < LINK_MESSAGES && !e; n++)
        e = post_receive(l, n, why);
    for (u32 n = 0; n < LINK_DATA_QPS * LINK_MARKERS && !e; n++)
        e = post_marker_receive(l, n / LINK_MARKERS, why);
    return e;
}

enum err link_create(struct link **link, struct verbs_pd *pd,
                     void (*notify)(struct verbs_cq *, void *), void *ctx, struct why *why)
{
    struct link *l = heap_alloc(sizeof(*l));
    enum err e;

    if (!l)
        return why_set(why, E_NOMEM, "no memory for a connection");
    list_init(&l->list);
    list_init(&l->backlog);
    l->device = pd->device;
    l->pd = pd;
    l->memory = frame_alloc(MEMORY_ORDER, FRAME_KERNEL, 0);
    e = l->memory.v ? make(l, notify, ctx, why)
                    : why_set(why, E_NOMEM, "no 512 KiB of memory in one piece are free");
    if (e) {
        link_end(l);
        while (!link_is_over(l)) {
            (void)verbs_progress(pd->device);
            thread_yield(); /* a card's thread ends them */
        }
        return e;
    }
    *link = l;
    return OK;
}

static struct verbs_qp *qp_of(const struct link *l, unsigned i)
{
    return i ? l->data[i - 1].qp : l->control;
}

enum err link_describe(struct link *l, const u32 psn[LINK_QPS], struct hello_end *end,
                       struct why *why)
{
    struct verbs_port port;

    if (verbs_query_port(l->device, &port) || !port.active)
        return why_set(why, E_STATE, "the port of %s is down", l->device->name);
    *end = (struct hello_end){.mtu = port.active_mtu};
    memcpy(end->gid, port.gid, sizeof(end->gid));
    memcpy(end->mac, port.mac, sizeof(end->mac));
    for (unsigned i = 0; i < LINK_QPS; i++) {
        l->psn[i] = psn[i] & 0xffffff;
        end->qp[i].qpn = qp_of(l, i)->qp_num;
        end->qp[i].psn = l->psn[i];
    }
    l->mtu = port.active_mtu;
    return OK;
}

enum err link_connect(struct link *l, const struct hello_end *peer, struct why *why)
{
    struct verbs_qp_attr a = {.dest_ip = verbs_gid_ip(peer->gid),
                              .path_mtu = MIN(peer->mtu, l->mtu),
                              .max_dest_rd_atomic = READS,
                              .max_rd_atomic = READS,
                              .min_rnr_timer = RNR_TIMER,
                              .timeout = verbs_timeout_code(MSEC(host_config.rdma_timeout)),
                              .retry_cnt = host_config.rdma_retries,
                              .rnr_retry = 7};
    enum err e = OK;

    memcpy(a.dest_mac, peer->mac, sizeof(a.dest_mac));
    for (unsigned i = 0; i < LINK_QPS && !e; i++) {
        a.dest_qp_num = peer->qp[i].qpn;
        a.rq_psn = peer->qp[i].psn;
        a.sq_psn = l->psn[i];
        e = verbs_modify_qp(qp_of(l, i), QPS_RTR, &a, why);
        if (!e)
            e = verbs_modify_qp(qp_of(l, i), QPS_RTS, &a, why);
    }
    l->heard = time_now();
    return e;
}

/* --- ending ------------------------------------------------------------------------------------- */

void link_end(struct link *l)
{
    l->failed = true;
    for (unsigned i = 0; i < LINK_QPS; i++) {
        struct verbs_qp *qp = qp_of(l, i);

        l->end[i].over = !qp;
        if (qp)
            verbs_destroy_qp(qp, verbs_end_begin(&l->end[i]));
    }
}

static void tell(const struct link_work *w, bool good)
{
    for (u32 i = 0; i < w->frames; i++)
        frame_put(w->frame[i]);
    if (w->done)
        w->done(w->owner, w->tag, good);
}

bool link_is_over(struct link *l)
{
    struct why why;

    for (unsigned i = 0; i < LINK_QPS; i++)
        if (!verbs_end_is_over(&l->end[i]))
            return false;
    for (unsigned i = 0; i < LINK_DATA_QPS; i++)
        for (struct link_queue *q = &l->data[i]; q->tail != q->head; q->tail++)
            tell(&q->work[q->tail % LINK_DEPTH], false);
    while (!list_empty(&l->backlog)) {
        struct link_late *late = CONTAINER_OF(l->backlog.next, struct link_late, link);

        list_remove(&late->link);
        heap_free(late);
    }
    heap_free(l->late);
    if (l->cq && verbs_destroy_cq(l->cq, &why))
        log_warn("%s", why.text); /* its queue pairs are gone: it cannot be in use */
    if (l->memory.v)
        frame_put(l->memory);
    list_remove(&l->list);
    heap_free(l);
    return true;
}

static void fail(struct link *l, const char *what)
{
    if (!l->failed)
        str_copy(l->why, sizeof(l->why), what);
    l->failed = true;
}

/* --- control messages --------------------------------------------------------------------------- */

bool link_has_room(const struct link *l)
{
    return !l->failed && list_empty(&l->backlog) && l->sent - l->sent_done < LINK_MESSAGES / 2;
}

void *link_room(struct link *l)
{
    void *room = phys_to_virt(room_at(l, l->sent % LINK_MESSAGES));

    heap_free(l->late); /* was not sent */
    l->late = NULL;
    if (!l->failed && (l->sent - l->sent_done == LINK_MESSAGES || !list_empty(&l->backlog))) {
        l->late = l->waiting < LINK_BACKLOG ? heap_alloc(sizeof(*l->late)) : NULL;
        if (l->late)
            return l->late->message;
        fail(l, l->waiting < LINK_BACKLOG ? "no memory for a message"
                                          : "it does not take the answers to its messages");
    }
    memset(room, 0, MESSAGE_FIXED);
    return room;
}

/* Of the room that is the next. */
static void send_now(struct link *l, enum message_type type, u32 size)
{
    u32 n = l->sent % LINK_MESSAGES;
    struct verbs_sge sge = {room_at(l, n).v, size, l->pd->local_dma_lkey};
    struct verbs_send_wr wr = {.wr_id = WR_ID(WR_CONTROL_SEND, n),
                               .sg_list = &sge,
                               .num_sge = 1,
                               .opcode = WR_SEND,
                               .send_flags = SEND_SIGNALED};
    struct why why;

    message_seal(phys_to_virt(room_at(l, n)), type, size, ++l->send_sequence, &l->send_key);
    if (verbs_post_send(l->control, &wr, 1, NULL, &why)) {
        fail(l, why.text);
        return;
    }
    l->sent++;
    l->messages_sent++;
}

void link_send(struct link *l, enum message_type type, u32 size)
{
    struct link_late *late = l->late;

    l->late = NULL;
    if (late) {
        late->type = type;
        late->size = size;
        list_append(&l->backlog, &late->link);
        l->waiting++;
    } else if (!l->failed) {
        send_now(l, type, size);
    }
}

static void send_backlog(struct link *l)
{
    while (!l->failed && !list_empty(&l->backlog) && l->sent - l->sent_done < LINK_MESSAGES) {
        struct link_late *late = CONTAINER_OF(l->backlog.next, struct link_late, link);

        list_remove(&late->link);
        l->waiting--;
        memcpy(phys_to_virt(room_at(l, l->sent % LINK_MESSAGES)), late->message, late->size);
        send_now(l, late->type, late->size);
        heap_free(late);
    }
}

static void received(struct link *l, const struct verbs_wc *wc, const struct link_events *events)
{
    u32 n = (u32)wc->wr_id;
    const struct message_header *h = phys_to_virt(room_at(l, LINK_MESSAGES + n));
    struct why why;

    l->heard = time_now();
    if (message_check(h, wc->byte_len, l->receive_sequence + 1, &l->receive_key, &why)) {
        l->refused++;
        fail(l, why.text);
        return;
    }
    l->receive_sequence++;
    l->messages_received++;
    events->message(events->ctx, l, h);
    if (!l->failed && post_receive(l, n, &why))
        fail(l, why.text);
}

/* --- data --------------------------------------------------------------------------------------- */

/* The last one tells of all. l->lock is held. */
static void flush(struct link *l, struct link_queue *q)
{
    u32 count = q->waiting;
    struct why why;

    q->waiting = 0;
    if (!count || l->failed)
        return;
    q->wr[count - 1].send_flags = SEND_SIGNALED;
    if (verbs_post_send(q->qp, q->wr, count, NULL, &why)) /* nothing can be wrong but the link */
        fail(l, why.text);
}

void link_flush(struct link *l)
{
    lock_acquire(&l->lock);
    for (unsigned i = 0; i < LINK_DATA_QPS; i++)
        flush(l, &l->data[i]);
    lock_release(&l->lock);
}

static void add(struct link_queue *q, u32 wr_id, const struct link_work *work,
                const struct verbs_send_wr *wr)
{
    struct verbs_send_wr *to = &q->wr[q->waiting];

    *to = *wr;
    to->wr_id = WR_ID(WR_DATA, wr_id);
    to->sg_list = q->sge[q->waiting];
    for (u32 i = 0; i < wr->num_sge; i++)
        q->sge[q->waiting][i] = wr->sg_list[i];
    q->waiting++;
    q->work[q->head++ % LINK_DEPTH] = *work;
}

static enum err post(struct link *l, unsigned queue, const struct link_work *work,
                     const struct verbs_send_wr *wr, bool now)
{
    struct link_queue *q = &l->data[queue];
    enum err e = E_STATE;

    lock_acquire(&l->lock);
    if (!l->failed)
        e = q->head - q->tail < LINK_DEPTH ? OK : E_AGAIN;
    if (!e)
        add(q, queue << 16 | q->head % LINK_DEPTH, work, wr);
    if (e || now || q->waiting == LINK_BATCH)
        flush(l, q);
    lock_release(&l->lock);
    return e;
}

/* Neighbouring frames are one entry. */
static u32 fill_sges(const struct link *l, struct verbs_sge sge[LINK_FRAMES],
                     const struct link_work *w, u32 size)
{
    u32 n = 0;

    for (u32 i = 0; i < w->frames; i++) {
        u32 part = (u32)MIN(size, PAGE_SIZE);

        size -= part;
        if (n && sge[n - 1].addr + sge[n - 1].length == w->frame[i].v)
            sge[n - 1].length += part;
        else
            sge[n++] = (struct verbs_sge){w->frame[i].v, part, l->pd->local_dma_lkey};
    }
    return n;
}

enum err link_write(struct link *l, unsigned queue, const struct link_work *work, u64 addr,
                    u32 rkey, u32 size)
{
    struct verbs_sge sge[LINK_FRAMES];
    struct verbs_send_wr wr = {.sg_list = sge,
                               .num_sge = fill_sges(l, sge, work, size),
                               .opcode = WR_RDMA_WRITE,
                               .remote_addr = addr,
                               .rkey = rkey};

    return post(l, queue, work, &wr, false);
}

enum err link_read(struct link *l, unsigned queue, const struct link_work *work, u64 addr, u32 rkey)
{
    struct verbs_sge sge = {work->frame[0].v, PAGE_SIZE, l->pd->local_dma_lkey};
    struct verbs_send_wr wr = {
        .sg_list = &sge, .num_sge = 1, .opcode = WR_RDMA_READ, .remote_addr = addr, .rkey = rkey};

    return post(l, queue, work, &wr, true);
}

enum err link_mark(struct link *l, unsigned queue, u32 value)
{
    struct link_work none = {.frames = 0};
    struct verbs_send_wr wr = {.opcode = WR_RDMA_WRITE_WITH_IMM, .imm = value};

    return post(l, queue, &none, &wr, true);
}

/* They complete in order: all before the one that is reported were done. */
static void data_done(struct link *l, const struct verbs_wc *wc)
{
    struct link_queue *q = &l->data[(u32)wc->wr_id >> 16];
    bool is_last = false;

    while (!is_last && q->tail != q->head) {
        u32 n = q->tail % LINK_DEPTH;

        is_last = n == (wc->wr_id & 0xffff);
        tell(&q->work[n], wc->status == WC_SUCCESS || !is_last);
        lock_acquire(&l->lock);
        q->tail++; /* its place is free */
        lock_release(&l->lock);
    }
}

/* --- completions -------------------------------------------------------------------------------- */

static void completed(struct link *l, const struct verbs_wc *wc, const struct link_events *events)
{
    bool good = wc->status == WC_SUCCESS;
    char text[120];
    struct why why;

    if (!good) {
        str_format(text, sizeof(text), "the connection broke: %s", wc_status_name(wc->status));
        fail(l, text);
    }
    switch (wc->wr_id >> 32) {
    case WR_CONTROL_SEND:
        l->sent_done++;
        send_backlog(l);
        break;
    case WR_CONTROL_RECEIVE:
        if (good)
            received(l, wc, events);
        break;
    case WR_DATA: data_done(l, wc); break;
    case WR_MARKER:
        if (!good)
            break;
        l->heard = time_now();
        events->marker(events->ctx, l, wc->imm);
        if (post_marker_receive(l, (u32)wc->wr_id, &why))
            fail(l, why.text);
        break;
    }
}

bool link_poll(struct link *l, const struct link_events *events)
{
    struct verbs_wc wc[16];
    u32 n = verbs_poll_cq(l->cq, wc, COUNT_OF(wc));

    for (u32 i = 0; i < n; i++)
        completed(l, &wc[i], events);
    return n == COUNT_OF(wc);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "roce_world.h"

#define HOST_IP(i) (0x0a000001u + (i))
#define POLLS_MOST 100000 /* without time passing: more is a loop */

struct world_frame {
    u64 at, sequence;
    u32 to, size;
    u8 data[];
};

extern u8 *arch_direct_map;
u64 world_now;

static _Noreturn void broken(const char *what)
{
    fprintf(stderr, "world: %s\n", what);
    abort();
}

static void *must(void *p)
{
    if (!p)
        broken("no memory");
    return p;
}

/* --- chance (xorshift64*) ----------------------------------------------------------------------- */

u64 world_random(struct world *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * 0x2545f4914f6cdd1dull;
}

u32 world_below(struct world *w, u32 n)
{
    return n ? (u32)((world_random(w) >> 32) * n >> 32) : 0;
}

static bool chance(struct world *w, u32 of_10000)
{
    return of_10000 && world_below(w, 10000) < of_10000;
}

/* --- frames on their way: a heap by arrival ----------------------------------------------------- */

static bool earlier(const struct world_frame *a, const struct world_frame *b)
{
    return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

static void heap_add(struct world *w, struct world_frame *f)
{
    u32 i = w->flying++;

    if (w->flying > w->heap_size) {
        w->heap_size = w->heap_size ? w->heap_size * 2 : 64;
        w->heap = must(realloc(w->heap, w->heap_size * sizeof(w->heap[0])));
    }
    for (; i && earlier(f, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = f;
}

static struct world_frame *heap_take(struct world *w)
{
    struct world_frame *first = w->heap[0], *f = w->heap[--w->flying];
    u32 i = 0, child;

    for (; (child = 2 * i + 1) < w->flying; i = child) {
        if (child + 1 < w->flying && earlier(w->heap[child + 1], w->heap[child]))
            child++;
        if (!earlier(w->heap[child], f))
            break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = f;
    return first;
}

/* --- the line ----------------------------------------------------------------------------------- */

struct nic {
    struct world *w;
    u32 host;
};
static struct nic nics[2];

static u64 line_time(const struct world *w, u32 size)
{
    /* preamble, CRC and gap are 24 bytes */
    return w->line.bits_per_second ? (size + 24) * 8000000000ull / w->line.bits_per_second : 0;
}

static void fly(struct world *w, u32 from, const u8 *data, u32 size, u64 at)
{
    struct world_frame *f = must(malloc(sizeof(*f) + size));

    f->at = at + w->line.delay + (w->line.jitter ? world_random(w) % w->line.jitter : 0);
    if (chance(w, w->line.reordered))
        f->at += world_random(w) % (8 * w->line.delay + 1);
    f->sequence = w->sequence++;
    f->to = 1 - from;
    f->size = size;
    memcpy(f->data, data, size);
    heap_add(w, f);
}

static u8 *frame_begin(void *ctx, u32 size)
{
    struct nic *nic = ctx;
    struct world_host *h = &nic->w->host[nic->host];
    u32 ring = nic->w->line.send_ring ? nic->w->line.send_ring : 64;

    if (size > sizeof(h->frame))
        broken("a frame larger than any may be");
    h->room_at = h->line_free - MIN(h->line_free, ring * line_time(nic->w, size));
    h->no_room = h->room_at > world_now;
    return h->no_room ? NULL : h->frame;
}

static void frame_send(void *ctx, u32 size)
{
    struct nic *nic = ctx;
    struct world *w = nic->w;
    struct world_host *h = &w->host[nic->host];

    h->line_free = MAX(h->line_free, world_now) + line_time(w, size);
    h->sent++;
    h->payload += size - WIRE_HEADERS;
    if ((w->watch && !w->watch(w->watch_ctx, nic->host, h->frame, size)) ||
        chance(w, w->line.lost)) {
        h->dropped++;
        return;
    }
    fly(w, nic->host, h->frame, size, h->line_free);
    if (chance(w, w->line.doubled))
        fly(w, nic->host, h->frame, size, h->line_free);
}

/* A slow receiver takes its time, and loses what does not fit. */
static bool receiver_takes(struct world *w, struct world_host *h, struct world_frame *f)
{
    u64 waiting;

    if (!w->line.receive_ns || f->sequence == U64_MAX)
        return true;
    waiting = h->receiver_free > world_now ? h->receiver_free - world_now : 0;
    if (waiting / w->line.receive_ns >= w->line.receive_buffer) {
        h->dropped++;
        free(f);
        return false;
    }
    h->receiver_free = MAX(h->receiver_free, world_now) + w->line.receive_ns;
    f->at = h->receiver_free;
    f->sequence = U64_MAX;
    heap_add(w, f);
    return false;
}

static void arrive(struct world *w)
{
    struct world_frame *f = heap_take(w);
    struct world_host *h = &w->host[f->to];

    world_now = MAX(world_now, f->at);
    if (!receiver_takes(w, h, f))
        return;
    (void)roce_receive(h->device, f->data, f->size);
    free(f);
}

/* --- time --------------------------------------------------------------------------------------- */

static u64 now(void)
{
    return world_now;
}

static void poll_hosts(struct world *w)
{
    bool more = true;

    for (u32 n = 0; more; n++) {
        more = false;
        for (u32 i = 0; i < 2; i++) {
            w->host[i].no_room = false;
            more |= roce_poll(w->host[i].device) && !w->host[i].no_room;
        }
        if (n == POLLS_MOST)
            broken("a device has always more to do");
    }
}

static u64 next_event(const struct world *w)
{
    u64 next = w->flying ? w->heap[0]->at : U64_MAX;

    for (u32 i = 0; i < 2; i++) {
        next = MIN(next, roce_deadline(w->host[i].device));
        if (w->host[i].no_room)
            next = MIN(next, w->host[i].room_at);
    }
    return next;
}

static bool is_posted(const struct world *w)
{
    return roce_is_busy(w->host[0].device) || roce_is_busy(w->host[1].device);
}

bool world_run(struct world *w, bool (*done)(struct world *w), u64 until)
{
    for (;;) {
        u64 next;

        poll_hosts(w);
        if (done && done(w))
            return true;
        next = next_event(w);
        if (next == U64_MAX && is_posted(w))
            continue; /* done posted it */
        if (next == U64_MAX)
            return !done;
        if (next > until)
            return false;
        world_now = MAX(world_now, next);
        while (w->flying && w->heap[0]->at <= world_now)
            arrive(w);
    }
}

/* --- hosts -------------------------------------------------------------------------------------- */

/* Neighbours change places. */
static hpa_t frame_of(u32 host, u64 frame)
{
    return HPA((host * WORLD_FRAMES + (frame ^ 1)) * PAGE_SIZE);
}

static void *zeroed(size_t size)
{
    return calloc(1, size);
}

static void init_host(struct world *w, u32 i, u32 mtu, u32 cqe)
{
    struct world_host *h = &w->host[i];
    struct roce_port port = {
        .name = i ? "roce1" : "roce0",
        .mac = {2, 0, 0, 0, 0, (u8)(i + 1)},
        .ip = HOST_IP(i),
        .mtu = mtu + 80,
        .frame_begin = frame_begin,
        .frame_send = frame_send,
        .nic = &nics[i],
        .now = now,
        .alloc = zeroed,
        .free = free,
        .window = {.wait_least = 20000},
        .first_qpn = (u32)world_random(w),
    };
    struct why why;

    nics[i] = (struct nic){w, i};
    h->memory = arch_direct_map + i * WORLD_MEMORY;
    if (roce_device_create(&port, &h->device, &why) != OK ||
        verbs_query_port(h->device, &h->port) != OK ||
        verbs_alloc_pd(h->device, &h->pd, &why) != OK ||
        verbs_create_cq(h->device, cqe, NULL, NULL, &h->cq, &why) != OK)
        broken(why.text);
}

void world_init(struct world *w, const struct world_line *line, u32 mtu, u64 seed, u32 cqe)
{
    static u8 *memory;

    if (!memory)
        memory = must(aligned_alloc(PAGE_SIZE, 2 * WORLD_MEMORY));
    arch_direct_map = memory;
    *w = (struct world){.line = *line, .random = seed * 0x9e3779b97f4a7c15ull + 0x1234567};
    for (u32 i = 0; i < 8; i++)
        (void)world_random(w);
    world_now = 1000;
    for (u32 i = 0; i < 2; i++)
        init_host(w, i, mtu, cqe);
}

void world_free(struct world *w)
{
    struct why why;

    if (w->host[0].qp)
        world_disconnect(w);
    for (u32 i = 0; i < 2; i++) {
        (void)verbs_progress(w->host[i].device);
        if (verbs_destroy_cq(w->host[i].cq, &why) != OK ||
            verbs_dealloc_pd(w->host[i].pd, &why) != OK ||
            roce_device_destroy(w->host[i].device, &why) != OK)
            broken(why.text);
    }
    while (w->flying)
        free(heap_take(w));
    free(w->heap);
}

struct verbs_mr *world_mr(struct world *w, u32 host, u64 address, u64 length, u32 access)
{
    hpa_t frames[WORLD_FRAMES];
    u64 first = address >> PAGE_SHIFT,
        count = ((address + length + PAGE_MASK) >> PAGE_SHIFT) - first;
    struct verbs_mr_init init = {.frames = frames,
                                 .frame_count = count,
                                 .offset = address & PAGE_MASK,
                                 .length = length,
                                 .iova = address,
                                 .access = access};
    struct verbs_mr *mr;
    struct why why;

    for (u64 i = 0; i < count; i++)
        frames[i] = frame_of(host, first + i);
    if (verbs_reg_mr(w->host[host].pd, &init, &mr, &why) != OK)
        broken(why.text);
    return mr;
}

static void nothing(struct verbs_done *done)
{
    (void)done;
}

void world_end_mr(struct verbs_mr *mr)
{
    struct verbs_device *device = mr->pd->device;
    struct verbs_done done = {.fn = nothing};

    verbs_invalidate_mr(mr, &done);
    (void)verbs_progress(device);
}

struct verbs_qp_attr world_attr(u32 mtu)
{
    return (struct verbs_qp_attr){
        .qp_access_flags = ACCESS_REMOTE_WRITE | ACCESS_REMOTE_READ | ACCESS_REMOTE_ATOMIC,
        .path_mtu = mtu,
        .max_dest_rd_atomic = RC_MAX_RD_ATOMIC,
        .max_rd_atomic = RC_MAX_RD_ATOMIC,
        .min_rnr_timer = 1,
        .rq_psn = 0x123456,
        .sq_psn = 0x123456,
        .timeout = 10,
        .retry_cnt = 7,
        .rnr_retry = 7,
    };
}

void world_connect(struct world *w, const struct verbs_qp_attr *attr, u32 send_wr, u32 recv_wr)
{
    struct why why;

    for (u32 i = 0; i < 2; i++) {
        struct world_host *h = &w->host[i];
        struct verbs_qp_init init = {h->cq, h->cq, send_wr, recv_wr, RC_MAX_SGE, NULL};

        if (verbs_create_qp(h->pd, &init, &h->qp, &why) != OK)
            broken(why.text);
    }
    for (u32 i = 0; i < 2; i++) {
        struct world_host *h = &w->host[i], *peer = &w->host[1 - i];
        struct verbs_qp_attr a = *attr;

        memcpy(a.dest_mac, peer->port.mac, sizeof(a.dest_mac));
        a.dest_ip = peer->port.ip;
        a.dest_qp_num = peer->qp->qp_num;
        if (verbs_modify_qp(h->qp, QPS_INIT, &a, &why) != OK ||
            verbs_modify_qp(h->qp, QPS_RTR, &a, &why) != OK ||
            verbs_modify_qp(h->qp, QPS_RTS, &a, &why) != OK)
            broken(why.text);
    }
}

void world_disconnect(struct world *w)
{
    for (u32 i = 0; i < 2; i++) {
        struct verbs_done done = {.fn = nothing};

        verbs_destroy_qp(w->host[i].qp, &done);
        (void)verbs_progress(w->host[i].device);
        w->host[i].qp = NULL;
    }
}

static void copy(const struct world *w, u32 host, u64 address, u8 *buffer, u64 size, bool put)
{
    (void)w;
    while (size) {
        u8 *at = arch_direct_map + frame_of(host, address >> PAGE_SHIFT).v + (address & PAGE_MASK);
        u64 part = MIN(size, PAGE_SIZE - (address & PAGE_MASK));

        if (put)
            memcpy(at, buffer, part);
        else
            memcpy(buffer, at, part);
        address += part;
        buffer += part;
        size -= part;
    }
}

void world_put(struct world *w, u32 host, u64 address, const void *from, u64 size)
{
    copy(w, host, address, (u8 *)from, size, true);
}

void world_get(const struct world *w, u32 host, u64 address, void *to, u64 size)
{
    copy(w, host, address, to, size, false);
}

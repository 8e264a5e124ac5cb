/* SPDX-License-Identifier: BSD-2-Clause */
/* Two hosts with soft-RoCE devices on one line, for unit tests, the simulation, fuzzers and figures. Time is the
 * world's own and jumps from event to event; all chance comes from one seed.
 *
 * Each host has WORLD_MEMORY bytes, seen by verbs as addresses 0 on, but in frames that lie in another order, so
 * that nothing works that takes neighbours for granted. */
#pragma once
#include "drivers/net/roce/device.h"

#define WORLD_MEMORY MIB(4)
#define WORLD_FRAMES (WORLD_MEMORY / PAGE_SIZE)

struct world_line {
    u32 lost, doubled, reordered; /* of 10,000 frames */
    u64 delay, jitter;            /* ns, one way; a reordered frame comes up to 8 delays late */
    u64 bits_per_second;          /* 0: a frame takes no time */
    u32 send_ring;                /* frames that a NIC takes before it has no room; 0: 64 */
    u64 receive_ns;               /* what a receiver needs for a frame ... */
    u32 receive_buffer; /* ... and how many wait there before one is lost; 0: any number */
};

struct world_host {
    struct verbs_device *device;
    struct verbs_pd *pd;
    struct verbs_cq *cq;
    struct verbs_qp *qp;
    struct verbs_port port;
    u8 *memory;
    u64 line_free, room_at, receiver_free; /* when, ns */
    bool no_room;                          /* frame_begin failed */
    u8 frame[WIRE_FRAME_MOST];
    u64 sent, payload, dropped; /* frames, bytes in UDP, frames */
};

struct world_frame;
struct world {
    struct world_host host[2];
    struct world_line line;
    u64 random;
    struct world_frame **heap; /* by time of arrival */
    u32 flying, heap_size;
    u64 sequence;
    /* Sees each frame that is sent, before the line does anything to it; false: it is lost. May be NULL. */
    bool (*watch)(void *ctx, u32 from, const u8 *frame, u32 size);
    void *watch_ctx;
};

extern u64 world_now; /* ns */

u64 world_random(struct world *w);
/* 0 to n - 1 */
u32 world_below(struct world *w, u32 n);

/* Devices, domains and a CQ of `cqe` entries each; no queue pairs yet. mtu: the path MTU that the line carries. */
void world_init(struct world *w, const struct world_line *line, u32 mtu, u64 seed, u32 cqe);
void world_free(struct world *w);
/* A region over all or a part of a host's memory, at its own addresses. */
struct verbs_mr *world_mr(struct world *w, u32 host, u64 address, u64 length, u32 access);
void world_end_mr(struct verbs_mr *mr);
/* What the two ends of a connection are set to; change it, then world_connect. */
struct verbs_qp_attr world_attr(u32 mtu);
/* Makes w->host[].qp, with these attributes on both ends, and brings it to RTS. */
void world_connect(struct world *w, const struct verbs_qp_attr *attr, u32 send_wr, u32 recv_wr);
void world_disconnect(struct world *w);

/* Lets time pass until done says so (NULL: until nothing is left to happen) or `until`; false: until. */
bool world_run(struct world *w, bool (*done)(struct world *w), u64 until);

void world_put(struct world *w, u32 host, u64 address, const void *from, u64 size);
void world_get(const struct world *w, u32 host, u64 address, void *to, u64 size);

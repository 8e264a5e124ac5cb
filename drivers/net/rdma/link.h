/* SPDX-License-Identifier: BSD-2-Clause */
/* One RDMA connection with its memory, as `rdma listen` and the commands that try it out use it: 8 MiB of which the peer
 * may use the first two, and which this end sends from and receives into.
 *
 * By the one thread that opened it. Sizes are bytes, times ns. */
#pragma once
#include "drivers/net/ip/ip.h"
#include "drivers/net/rdma/exchange.h"
#include "drivers/net/verbs.h"

#define LINK_ORDER   11
#define LINK_TARGET  0      /* for the peer's WRITEs, READs and atomics */
#define LINK_SOURCE  MIB(2) /* this end sends from there */
#define LINK_RECEIVE MIB(4) /* in slots */
#define LINK_SLOTS   32
#define LINK_SENDS   32
#define LINK_ENDS    3 /* what is told when it is over: two regions and the queue pair */

/* What the device calls. It is not part of the link, as it outlives one that the device does not let go of. */
struct rdma_told {
    struct verbs_end end[LINK_ENDS];
    struct thread *owner; /* NULL: the link is closed */
};

struct rdma_link {
    struct verbs_device *device;
    struct verbs_pd *pd;
    struct verbs_cq *cq;
    struct verbs_mr *local, *target;
    struct verbs_qp *qp;
    hpa_t memory;
    u8 *at; /* the memory */
    struct rdma_end mine, theirs;
    u32 mtu;
    u32 slots, slot_size;
    struct rdma_told *told;
};

/* Makes everything, up to INIT, with its receives posted; mine is then what the peer must know. */
enum err rdma_link_open(struct rdma_link *l, enum rdma_mode mode, u32 access, u32 message,
                        struct why *why) MUST_CHECK;
/* To RTS with that peer. May wait some seconds, for its MAC. */
enum err rdma_link_connect(struct rdma_link *l, struct ip *ip, const struct rdma_end *theirs,
                           struct why *why) MUST_CHECK;
/* Ends what there is of it, if anything. */
void rdma_link_close(struct rdma_link *l);

#define LINK_RECV BIT(32) /* in a wr_id: a receive; below it the slot */
#define LINK_ASK  BIT(33) /* a wr_id: whether the peer is still there */
u8 *rdma_link_slot(const struct rdma_link *l, u32 slot);
enum err rdma_link_post_recv(struct rdma_link *l, u32 slot, struct why *why) MUST_CHECK;
/* Posts wr with one SGE of that many bytes at `offset` of the memory. */
enum err rdma_link_post(struct rdma_link *l, const struct verbs_send_wr *wr, u64 offset, u32 length,
                        struct why *why) MUST_CHECK;
/* The next completion, false: none until `end`. Wakes too early when somebody wakes the thread. */
bool rdma_link_poll(struct rdma_link *l, struct verbs_wc *wc, u64 end);

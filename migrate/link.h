/* SPDX-License-Identifier: BSD-2-Clause */
/* A link: the queue pairs between this host and another for one session. Queue pair 0 carries control messages, the
 * others data. Both WRITEs and READs go from and to frames where they lie (the domain's local DMA key); a frame that is
 * given to link_write or link_read is the link's until the work's `done`: it has a user more.
 *
 * WRITEs wait for others, or for link_flush at the end of the agent's turn, and are posted together. READs and markers do not
 * wait. The agent's thread drives it; link_read may be called by any. */
#pragma once
#include "drivers/net/verbs.h"
#include "kernel/lock.h"
#include "migrate/hello.h"
#include "migrate/message.h"

#define LINK_QPS      HELLO_QPS
#define LINK_DATA_QPS (LINK_QPS - 1)
#define LINK_DEPTH    64 /* work requests of a data queue pair */
#define LINK_FRAMES   8  /* of one WRITE */
#define LINK_BATCH    32 /* work requests that are posted together, and reported by one completion */
#define LINK_MESSAGES 32  /* control messages in flight, each way */
#define LINK_BACKLOG  256 /* and so many may wait, of 8 KiB, for a peer that does not take them */
#define LINK_MARKERS  8   /* receives of a data queue pair */

/* What is told when work has ended. good: the peer's memory was written, or the frame holds what was read. */
typedef void link_done(void *owner, u64 tag, bool good);

struct link_work {
    link_done *done;
    void *owner;
    u64 tag;
    hpa_t frame[LINK_FRAMES];
    u32 frames;
};

struct link_queue {
    struct verbs_qp *qp;
    struct link_work work[LINK_DEPTH];
    u32 head, tail; /* running numbers: the next to come, the oldest that is not over */
    /* Those that came last and are not posted yet. */
    struct verbs_send_wr wr[LINK_BATCH];
    struct verbs_sge sge[LINK_BATCH][LINK_FRAMES];
    u32 waiting;
};

struct link {
    struct list list; /* of links that end */
    struct verbs_device *device;
    struct verbs_pd *pd; /* of the peer: leases outlive a link */
    struct verbs_cq *cq;
    struct verbs_qp *control;
    struct link_queue data[LINK_DATA_QPS];
    struct lock lock; /* data */
    hpa_t memory;     /* of control messages: LINK_MESSAGES to send, as many to receive */
    u32 sent, sent_done;
    struct list backlog;    /* messages that wait until one of those is done */
    u32 waiting;            /* how many; LINK_BACKLOG at most, then the link fails */
    struct link_late *late; /* in the making */
    u32 psn[LINK_QPS];
    u32 mtu;
    struct key send_key, receive_key;
    u64 send_sequence, receive_sequence;
    bool failed;   /* a queue pair is in error */
    char why[120]; /* then */
    u64 heard;     /* when anything last came, ns */
    u64 messages_sent, messages_received;
    u32 refused; /* messages that were not believed */
    struct verbs_end end[LINK_QPS];
};

/* What came, and who gets it. */
struct link_events {
    void *ctx;
    void (*message)(void *ctx, struct link *l, const struct message_header *h);
    void (*marker)(void *ctx, struct link *l, u32 value);
};

/* Makes its queue pairs. pd: the peer's domain. E_NOMEM and what the device says. */
enum err link_create(struct link **link, struct verbs_pd *pd,
                     void (*notify)(struct verbs_cq *, void *), void *ctx,
                     struct why *why) MUST_CHECK;
/* Where this end is, for the peer. psn: random. */
enum err link_describe(struct link *l, const u32 psn[LINK_QPS], struct hello_end *end,
                       struct why *why) MUST_CHECK;
/* Connects it. */
enum err link_connect(struct link *l, const struct hello_end *peer, struct why *why) MUST_CHECK;
/* Ends it: nothing more is told of its work until link_is_over, which then tells what was left as not good, takes it out of
 * the list that it is in, frees it and returns true. */
void link_end(struct link *l);
bool link_is_over(struct link *l);

/* Room for a control message, zeroed up to its elements; link_send sends the room that was given last. Never NULL: where many are on their
 * way, a message waits. Whoever sends many looks at link_has_room before. */
void *link_room(struct link *l);
bool link_has_room(const struct link *l);
void link_send(struct link *l, enum message_type type, u32 size);
/* WRITEs frames (with a user each, which the link takes) one behind the other to an address of the peer's. E_AGAIN: the
 * queue is full. E_STATE: the link has failed. Then the frames stay the caller's. */
enum err link_write(struct link *l, unsigned queue, const struct link_work *work, u64 addr,
                    u32 rkey, u32 size) MUST_CHECK;
/* READs a page into work->frame[0]. */
enum err link_read(struct link *l, unsigned queue, const struct link_work *work, u64 addr,
                   u32 rkey) MUST_CHECK;
/* A marker: the peer sees it when all that was posted to that queue before has been placed. */
enum err link_mark(struct link *l, unsigned queue, u32 value) MUST_CHECK;
/* Posts the WRITEs that wait. */
void link_flush(struct link *l);
/* Takes completions, and tells of them. true: there may be more. */
bool link_poll(struct link *l, const struct link_events *events);

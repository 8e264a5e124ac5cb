/* SPDX-License-Identifier: BSD-2-Clause */
/* The RC engine: one end of a reliable connection (IBTA volume 1, chapter 9.7; annex A17), requester and
 * responder. It has no globals, allocates nothing and does no I/O: memory, work, frames and time are
 * reached through struct rc_ops. Soft-RoCE, the model of a card and the simulator run it.
 *
 * How it is driven, by one thread at a time, never from inside a callback:
 *
 *     rc_receive   a packet for this queue pair came (roce_packet_parse checked its form and ICRC)
 *     rc_run       work was posted, a packet came, the timer is due, or the wire has room again: sends
 *                  at most so many frames; true: there is more to send, call again
 *     rc_modify    another state, by the table in rc_state.c
 *
 * What a peer sends is never trusted: it reaches memory only through translate, which checks key, range,
 * rights and protection domain each time, and one packet takes bounded time.
 *
 * Beyond the letter of the specification, and not visible to a peer but as fewer lost packets: a
 * congestion window bounds packets in flight (READ responses too: a long READ is asked for in pieces of
 * the window), and a lost tail is probed for after a few round trips, not only after the time-out. The
 * peer is given up after (retry_cnt + 1) time-outs without progress. A queue pair that is in error because it refused
 * a request says that NAK again, some times, where the peer asks again because it was lost. */
#pragma once
#include "drivers/net/roce/packet.h"
#include "drivers/net/roce/window.h"
#include "drivers/net/verbs_names.h"
#include "kernel/err.h"

#define RC_MAX_SGE       8
#define RC_MAX_RD_ATOMIC 16 /* READs and atomics outstanding in one direction */
#define RC_MAX_MESSAGE   (1u << 30)
#define RC_PENDING       (2 * RC_MAX_RD_ATOMIC) /* responses not sent yet, duplicates included */
#define RC_TIMER_NEVER   U64_MAX

/* --- work --------------------------------------------------------------------------------------- */

struct rc_sge {
    u64 addr;
    u32 length;
    u32 lkey;
};

struct rc_wr {
    u64 wr_id;
    u8 opcode; /* enum wr_opcode */
    u8 flags;  /* SEND_* */
    u8 sge_count;
    u32 imm; /* a number, not bytes; for WR_SEND_WITH_INV the key */
    u32 rkey;
    u64 remote_addr;
    u64 compare_add, swap;
    struct rc_sge sge[RC_MAX_SGE];
    u32 length; /* sum of the SGEs' lengths, at most RC_MAX_MESSAGE */
    /* The engine's own. */
    u32 psn, packets;
};

struct rc_recv {
    u64 wr_id;
    u8 sge_count;
    struct rc_sge sge[RC_MAX_SGE];
    u32 length;
};

struct rc_received {
    enum wc_status status;
    enum wc_opcode opcode; /* WC_RECV or WC_RECV_RDMA_WITH_IMM */
    u32 flags;             /* WC_WITH_IMM, WC_WITH_INV */
    u32 length;            /* bytes of the message */
    u32 imm;               /* or the key that was invalidated */
    bool solicited;
};

/* --- memory ------------------------------------------------------------------------------------- */

struct rc_range {
    u64 addr;
    u32 key;
    u32 size;
    u32 access; /* all of these ACCESS_* bits are needed; 0: reading by the own host */
};

struct rc_piece {
    u8 *at;
    u32 size;
};

enum rc_memory {
    RC_MEMORY_OK,
    RC_MEMORY_KEY,    /* no such key, or not any more */
    RC_MEMORY_DOMAIN, /* of another protection domain */
    RC_MEMORY_RIGHTS,
    RC_MEMORY_RANGE,
};

/* --- what the engine asks of its owner ---------------------------------------------------------- */

struct rc_ops {
    /* The send work request with this running number (0 after a reset), or NULL if it is not posted
     * yet. It stays where it is until send_done. */
    struct rc_wr *(*send_at)(void *owner, u32 index);
    /* In order, each once, signalled or not; whether that is reported is the owner's business. */
    void (*send_done)(void *owner, struct rc_wr *wr, enum wc_status status);
    /* Takes the oldest receive, or NULL; it stays where it is until recv_done. */
    struct rc_recv *(*recv_next)(void *owner);
    void (*recv_done)(void *owner, struct rc_recv *recv, const struct rc_received *what);
    /* Checks the whole range, and gives its first piece: contiguous, 1 to range->size bytes. */
    enum rc_memory (*translate)(void *owner, const struct rc_range *range, struct rc_piece *piece);
    /* Makes a key useless at the peer's wish (SEND with invalidate). */
    enum rc_memory (*invalidate)(void *owner, u32 key);
    /* Room for a frame of that size, or NULL: none now, rc_run is called again when there is.
     * frame_send follows at once unless the frame is not needed after all. */
    u8 *(*frame_begin)(void *owner, u32 size);
    void (*frame_send)(void *owner, u32 size);
    u64 (*now)(void *owner); /* ns */
    /* rc_run is wanted then; RC_TIMER_NEVER: not. Replaces what was asked before. */
    void (*set_timer)(void *owner, u64 at);
    /* The queue pair went to RC_ERROR by itself; all its work is flushed. */
    void (*failed)(void *owner, enum wc_status status);
};

/* --- states ------------------------------------------------------------------------------------- */

enum rc_state { RC_RESET, RC_INIT, RC_RTR, RC_RTS, RC_SQD, RC_ERROR, RC_STATES };
/* "RTR". Never NULL. */
const char *rc_state_name(enum rc_state s);

/* Which members a transition takes is said by their groups; names and units are libibverbs'. */
struct rc_attr {
    /* RESET -> INIT */
    u32 access; /* what the peer may do: ACCESS_REMOTE_* */
    /* INIT -> RTR */
    struct roce_path path;
    u32 dest_qpn;
    u32 rq_psn;
    u32 path_mtu; /* bytes: 256, 512, 1024, 2048 or 4096 */
    u8 max_dest_rd_atomic;
    u8 min_rnr_timer; /* code 0 to 31 */
    /* RTR -> RTS */
    u32 sq_psn;
    u8 timeout;   /* 4.096 us << timeout, 0: never gives up; 1 to 31 */
    u8 retry_cnt; /* 0 to 7 */
    u8 rnr_retry; /* 0 to 7, 7: without end */
    u8 max_rd_atomic;
    struct window_limits window; /* zeros: the defaults */
};

/* --- the engine's own --------------------------------------------------------------------------- */

/* A READ request or atomic on its way. */
struct rc_asked {
    u32 psn, packets;
    bool rest; /* of an earlier request: the part before it was asked for again by itself */
};

struct rc_requester {
    u32 oldest;   /* running number of the oldest work that is not done */
    u32 current;  /* of the work being sent */
    u32 packet;   /* its next packet */
    u32 assigned; /* work before this one has its PSNs */
    u32 unacked;  /* PSN: the oldest that is not acknowledged */
    u32 next;     /* PSN after the highest that was sent */
    struct rc_asked asked[2 * RC_MAX_RD_ATOMIC]; /* in order; asking again may cut one in two */
    u32 asked_count;
    u32 since_ack_request; /* packets */
    u32 recover;           /* PSN: losses before it have shrunk the window already */
    u32 early;             /* PSN of the last response that came before its turn */
    bool went_back;        /* to `unacked`, and nothing was acknowledged since */
    bool stuck; /* the work `stuck_at` cannot be sent: stuck_status when it is its turn */
    enum wc_status stuck_status;
    u32 stuck_at;
    u8 rnr_left;
    u64 rnr_until;   /* 0: not waiting */
    u64 progress_at; /* when something was last acknowledged */
    u64 probe_at;
    u8 probes; /* in a row */
};

/* A READ or atomic to answer. */
struct rc_pending {
    u32 psn, packets, sent;
    bool atomic;
    bool again; /* asked for once more */
    u32 key, length;
    u64 va;
    u64 original;
};

struct rc_result {
    u32 psn;
    bool valid;
    u64 original;
};

struct rc_responder {
    u32 expected; /* PSN */
    u32 msn;
    u8 message; /* enum roce_kind of the message under way */
    bool in_message;
    bool nak_sent; /* one for each gap */
    bool ack_due;
    u32 ack_psn; /* what an ACK bears: the last packet of a SEND or WRITE that was executed */
    u8 nak;      /* syndrome that is due, or 0 */
    bool fatal;  /* ... after which the queue pair is in error */
    u32 nak_psn;
    u8 refused;           /* in error: the syndrome of the NAK that led there, or 0 */
    u8 repeats;           /* how often it is still said again */
    u32 key;              /* of the WRITE under way */
    u64 va;               /* its next byte */
    u32 left;             /* bytes that it still has */
    u32 length;           /* bytes of the message so far */
    struct rc_recv *recv; /* in use */
    struct rc_pending pending[RC_PENDING]; /* by PSN */
    u32 pending_count;
    struct rc_result result[RC_MAX_RD_ATOMIC]; /* of atomics, a ring */
    u32 result_next;
};

enum rc_counter {
    RC_COUNT_SENT,
    RC_COUNT_RECEIVED,
    RC_COUNT_RESENT,
    RC_COUNT_DUPLICATE,
    RC_COUNT_GAP, /* packets that came before an earlier one */
    RC_COUNT_NAK_SENT,
    RC_COUNT_NAK_TAKEN,
    RC_COUNT_RNR_SENT,
    RC_COUNT_RNR_TAKEN,
    RC_COUNT_PROBE,   /* time-outs, short ones included */
    RC_COUNT_MISSING, /* responses found lost by what came after them */
    RC_COUNT_GHOST,   /* answers to nothing */
    RC_COUNTERS
};
extern const char *const rc_counter_name[RC_COUNTERS];

struct rc {
    const struct rc_ops *ops;
    void *owner;
    const struct icrc *icrc;
    enum rc_state state;
    u32 qpn;
    struct rc_attr attr;
    u8 mtu_shift;
    u64 timer; /* as last set */
    struct window window;
    struct rc_requester req;
    struct rc_responder res;
    u64 count[RC_COUNTERS];
};

/* --- calls -------------------------------------------------------------------------------------- */

/* In RESET. */
void rc_init(struct rc *rc, const struct rc_ops *ops, void *owner, const struct icrc *icrc,
             u32 qpn);
/* E_STATE where the table forbids it (why says the reason), E_INVAL or E_RANGE for a wrong attribute;
 * nothing has changed then. To RC_ERROR: all work is flushed before it returns. To RC_RESET: work is
 * forgotten without completions. attr may be NULL for these two. */
enum err rc_modify(struct rc *rc, enum rc_state to, const struct rc_attr *attr,
                   struct why *why) MUST_CHECK;
/* ROCE_OK, or why the packet was dropped silently. */
enum roce_drop rc_receive(struct rc *rc, const struct roce_packet *p);
bool rc_run(struct rc *rc, u32 frames);
/* Nothing is on its way, nothing to answer. */
bool rc_is_idle(const struct rc *rc);

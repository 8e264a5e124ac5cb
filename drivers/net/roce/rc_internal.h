/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the RC engine; nobody else includes it. */
#pragma once
#include "drivers/net/roce/psn.h"
#include "drivers/net/roce/rc.h"

enum rc_step {
    RC_NOTHING, /* nothing to send, or not yet */
    RC_SENT,    /* one frame */
    RC_BLOCKED, /* the wire has no room */
};

/* What a work request is on the wire. */
struct rc_form {
    bool valid;
    u8 kind;   /* enum roce_kind of its packets */
    u16 end;   /* ROCE_IMM or ROCE_IETH of its last one */
    bool asks; /* it is done when its responses have come */
};
extern const struct rc_form rc_forms[WR_OPCODE_COUNT];

static inline u64 rc_now(struct rc *rc)
{
    return rc->ops->now(rc->owner);
}
static inline u32 rc_packets(const struct rc *rc, u32 length)
{
    u32 n = (length + rc->attr.path_mtu - 1) >> rc->mtu_shift;

    return n ? n : 1;
}

/* rc_memory.c: copies, by translate; on an error a part may have been copied. */
enum rc_memory rc_read(struct rc *rc, struct rc_range range, u8 *to);
enum rc_memory rc_write(struct rc *rc, struct rc_range range, const u8 *from);
enum rc_memory rc_gather(struct rc *rc, const struct rc_wr *wr, u32 offset, u8 *to, u32 size);
/* offset + size must lie within the SGEs. */
enum rc_memory rc_scatter(struct rc *rc, const struct rc_sge *sge, u32 count, u32 offset,
                          const u8 *from, u32 size);

/* rc_emit.c: builds and sends one packet; payload fills its payload_size bytes. RC_NOTHING: payload
 * failed, and nothing was sent. */
struct rc_payload {
    enum rc_memory (*fill)(struct rc *rc, const struct rc_payload *from, u8 *to, u32 size);
    const struct rc_wr *wr; /* at offset */
    u32 offset;
    struct rc_range range;
};
enum rc_step rc_emit(struct rc *rc, struct roce_packet *p, const struct rc_payload *payload);

/* rc_request.c: sends the next packet of the requester. */
enum rc_step rc_request(struct rc *rc);
void rc_go_back(struct rc *rc);
/* Never sends again what was acknowledged in the meantime. */
void rc_catch_up(struct rc *rc);

/* rc_time.c: acts on what is due; when it must be asked again. */
void rc_check_time(struct rc *rc);
u64 rc_deadline(const struct rc *rc);
u64 rc_timeout(const struct rc *rc); /* ns; of one try */
u64 rc_rnr_wait(u8 code);            /* ns */
/* How long to wait for an answer now. */
u64 rc_wait(const struct rc *rc);

/* rc_answer.c, rc_respond.c: a packet for the requester, for the responder. */
void rc_answer(struct rc *rc, const struct roce_packet *p);
void rc_respond(struct rc *rc, const struct roce_packet *p);
/* rc_pending.c */
bool rc_pending_add(struct rc_responder *res, const struct rc_pending *entry);
u32 rc_pending_new(const struct rc_responder *res);
/* rc_reply.c: sends the next packet of the responder. */
enum rc_step rc_reply(struct rc *rc);

/* rc_state.c: fails the oldest work with that status (WC_WR_FLUSH_ERR: none is to blame), flushes the rest. */
void rc_fail(struct rc *rc, enum wc_status status);
void rc_flush(struct rc *rc);

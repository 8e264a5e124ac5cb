/* SPDX-License-Identifier: BSD-2-Clause */
/* The responder's sending half: READ and atomic responses in the order of their PSNs, then one NAK or one ACK
 * for all that came (IBTA volume 1, 9.7.5.1).
 *
 * An ACK never bears the PSN of a READ or atomic: a requester may take it for the answer (Linux's rdma_rxe does), and
 * complete without the data if the response was lost. It bears that of the last SEND or WRITE, which is enough: a
 * response acknowledges all that lies before it. */
#include "drivers/net/roce/rc_internal.h"

static enum rc_memory fill_from_range(struct rc *rc, const struct rc_payload *from, u8 *to,
                                      u32 size)
{
    (void)size;
    return rc_read(rc, from->range, to);
}

/* The memory of a READ went away while it was answered. */
static enum rc_step fail_read(struct rc *rc, u32 psn)
{
    struct rc_responder *res = &rc->res;

    res->pending_count = 0;
    res->nak = res->refused = AETH_NAK_ACCESS;
    res->nak_psn = psn;
    res->nak_sent = true;
    res->fatal = true;
    rc->count[RC_COUNT_NAK_SENT]++;
    return rc_reply(rc);
}

static enum rc_step send_read(struct rc *rc, const struct rc_pending *e, u32 psn)
{
    u32 offset = e->sent << rc->mtu_shift, size = MIN(rc->attr.path_mtu, e->length - offset);
    struct rc_payload payload = {.fill = fill_from_range,
                                 .range = {e->va + offset, e->key, size, ACCESS_REMOTE_READ}};
    u16 place = (u16)((e->sent ? 0 : ROCE_STARTS) | (e->sent + 1 < e->packets ? 0 : ROCE_ENDS));
    struct roce_packet p = {
        .opcode = roce_opcode_find(ROCE_READ_RESPONSE, place),
        .psn = psn,
        .syndrome = AETH_ACK,
        .msn = rc->res.msn,
        .payload_size = size,
    };
    enum rc_step step = rc_emit(rc, &p, &payload);

    return step == RC_NOTHING ? fail_read(rc, psn) : step;
}

static enum rc_step send_atomic(struct rc *rc, const struct rc_pending *e)
{
    struct roce_packet p = {
        .opcode = RC_ATOMIC_ACKNOWLEDGE,
        .psn = e->psn,
        .syndrome = AETH_ACK,
        .msn = rc->res.msn,
        .original = e->original,
    };

    return rc_emit(rc, &p, NULL);
}

static enum rc_step send_pending(struct rc *rc)
{
    struct rc_responder *res = &rc->res;
    struct rc_pending *e = &res->pending[0];
    u32 psn = psn_add(e->psn, e->sent);
    enum rc_step step = e->atomic ? send_atomic(rc, e) : send_read(rc, e, psn);

    if (step != RC_SENT || !res->pending_count)
        return step;
    if (psn_before(res->ack_psn, psn))
        res->ack_due = false;
    if (++e->sent == e->packets) {
        res->pending_count--;
        memmove(e, e + 1, res->pending_count * sizeof(*e));
    }
    return step;
}

static enum rc_step send_ack(struct rc *rc, u32 psn, u8 syndrome)
{
    struct roce_packet p = {
        .opcode = RC_ACKNOWLEDGE, .psn = psn, .syndrome = syndrome, .msn = rc->res.msn};

    return rc_emit(rc, &p, NULL);
}

enum rc_step rc_reply(struct rc *rc)
{
    struct rc_responder *res = &rc->res;
    enum rc_step step;

    if (res->pending_count)
        return send_pending(rc);
    if (res->nak) {
        step = send_ack(rc, res->nak_psn, res->nak);
        if (step == RC_SENT) {
            res->nak = 0;
            res->ack_due = false;
        }
        return step;
    }
    if (!res->ack_due)
        return RC_NOTHING;
    step = send_ack(rc, res->ack_psn, AETH_ACK);
    if (step == RC_SENT)
        res->ack_due = false;
    return step;
}

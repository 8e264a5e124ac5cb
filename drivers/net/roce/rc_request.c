/* SPDX-License-Identifier: BSD-2-Clause */
/* The requester's sending half (IBTA volume 1, 9.7.3 and 9.7.2): work is cut into packets, each with its
 * PSN; what was sent stays the owner's work until it is acknowledged, so going back is only moving the
 * place that is sent from. */
#include "drivers/net/roce/rc_internal.h"

/* Packets. Where they are lost, the round trip that the window goes by must not have waited for its acknowledgement. */
#define ACK_AT_LEAST_EVERY 4

const struct rc_form rc_forms[WR_OPCODE_COUNT] = {
    [WR_RDMA_WRITE] = {true, ROCE_WRITE, 0, false},
    [WR_RDMA_WRITE_WITH_IMM] = {true, ROCE_WRITE, ROCE_IMM, false},
    [WR_SEND] = {true, ROCE_SEND, 0, false},
    [WR_SEND_WITH_IMM] = {true, ROCE_SEND, ROCE_IMM, false},
    [WR_RDMA_READ] = {true, ROCE_READ, 0, true},
    [WR_ATOMIC_CMP_AND_SWP] = {true, ROCE_COMPARE_SWAP, 0, true},
    [WR_ATOMIC_FETCH_AND_ADD] = {true, ROCE_FETCH_ADD, 0, true},
    [WR_SEND_WITH_INV] = {true, ROCE_SEND, ROCE_IETH, false},
};

static bool is_atomic(const struct rc_wr *wr)
{
    return wr->opcode == WR_ATOMIC_CMP_AND_SWP || wr->opcode == WR_ATOMIC_FETCH_AND_ADD;
}

/* The work being sent cannot be: it fails when all before it is done. */
static enum rc_step get_stuck(struct rc *rc, enum wc_status status)
{
    struct rc_requester *req = &rc->req;

    req->stuck = true;
    req->stuck_at = req->current;
    req->stuck_status = status;
    if (req->stuck_at == req->oldest)
        rc_fail(rc, status);
    return RC_NOTHING;
}

/* Gives new work its PSNs. */
static enum wc_status assign(struct rc *rc, struct rc_wr *wr)
{
    if (wr->opcode >= WR_OPCODE_COUNT || !rc_forms[wr->opcode].valid || wr->sge_count > RC_MAX_SGE)
        return WC_LOC_QP_OP_ERR;
    if (wr->length > RC_MAX_MESSAGE || (is_atomic(wr) && wr->length != sizeof(u64)))
        return WC_LOC_LEN_ERR;
    if (rc_forms[wr->opcode].asks && !rc->attr.max_rd_atomic)
        return WC_LOC_QP_OP_ERR;
    wr->psn = rc->req.next;
    wr->packets = is_atomic(wr) ? 1 : rc_packets(rc, wr->length);
    rc->req.assigned = rc->req.current + 1;
    return WC_SUCCESS;
}

static u32 in_flight(const struct rc *rc, u32 psn)
{
    return (u32)psn_diff(psn, rc->req.unacked);
}

static bool must_wait_for_fence(const struct rc *rc, const struct rc_wr *wr)
{
    if (!(wr->flags & SEND_FENCE))
        return false;
    for (u32 i = 0; i < rc->req.asked_count; i++)
        if (psn_before(rc->req.asked[i].psn, wr->psn))
            return true;
    return false;
}

/* n packets from psn on are on their way. */
static void account(struct rc *rc, const struct rc_wr *wr, u32 psn, u32 n)
{
    struct rc_requester *req = &rc->req;
    u64 now = rc_now(rc);

    if (req->unacked == req->next)
        req->progress_at = now;
    if (psn == req->unacked)
        req->probe_at = now + rc_wait(rc);
    if (psn == req->next) {
        req->next = psn_add(psn, n);
        if (!rc->window.sample_at) {
            rc->window.sample_at = now;
            rc->window.sample_psn = psn;
        }
    } else {
        rc->count[RC_COUNT_RESENT]++;
    }
    req->packet += n;
    if (req->packet == wr->packets) {
        req->current++;
        req->packet = 0;
    }
}

/* An answer is worth its packet where somebody waits for it: for a completion, for room in the window,
 * or because nothing follows that would ask. */
static bool wants_ack(struct rc *rc, const struct rc_wr *wr, u32 psn, bool ends)
{
    struct rc_requester *req = &rc->req;
    u32 sent = in_flight(rc, psn) + 1;

    if (ends && (wr->flags & SEND_SIGNALED || !rc->ops->send_at(rc->owner, req->current + 1)))
        return true;
    if (psn != req->next && psn_add(psn, 1) == req->next)
        return true;
    return sent >= rc->window.size ||
           req->since_ack_request >= MIN(rc->window.size / 2, ACK_AT_LEAST_EVERY);
}

static enum rc_memory fill_from_work(struct rc *rc, const struct rc_payload *from, u8 *to, u32 size)
{
    return rc_gather(rc, from->wr, from->offset, to, size);
}

/* One packet of a SEND or WRITE. */
static enum rc_step send_data(struct rc *rc, const struct rc_wr *wr, u32 psn)
{
    const struct rc_form *form = &rc_forms[wr->opcode];
    struct rc_requester *req = &rc->req;
    bool starts = req->packet == 0, ends = req->packet + 1 == wr->packets;
    struct rc_payload payload = {fill_from_work, wr, req->packet << rc->mtu_shift, {0}};
    u16 place = (u16)((starts ? ROCE_STARTS : 0) | (ends ? ROCE_ENDS | form->end : 0));
    struct roce_packet p = {
        .opcode = roce_opcode_find(form->kind, place),
        .psn = psn,
        .ack_request = wants_ack(rc, wr, psn, ends),
        .solicited = ends && wr->flags & SEND_SOLICITED,
        .va = wr->remote_addr,
        .key = wr->rkey,
        .length = wr->length,
        .imm = wr->imm,
        .payload_size = MIN(rc->attr.path_mtu, wr->length - payload.offset),
    };
    enum rc_step step;

    if (in_flight(rc, psn) >= rc->window.size)
        return RC_NOTHING;
    step = rc_emit(rc, &p, &payload);
    if (step == RC_NOTHING)
        return get_stuck(rc, WC_LOC_PROT_ERR);
    if (step == RC_SENT) {
        req->since_ack_request = p.ack_request ? 0 : req->since_ack_request + 1;
        account(rc, wr, psn, 1);
    }
    return step;
}

static bool is_asked(const struct rc_asked *a, u32 psn)
{
    return psn_within(psn, a->psn, psn_add(a->psn, a->packets));
}

/* What is asked for again keeps to one earlier request, as the responder remembers those (9.7.4.4.1), and no
 * more of them than it allows are on their way, though they may have become smaller. A rest waits for what
 * is before it: Linux's rdma_rxe (6.1) forgets the part of a request before the last that was asked again. */
static u32 ask_again_for(const struct rc *rc, u32 psn, u32 room)
{
    const struct rc_requester *req = &rc->req;

    for (u32 i = 0; i < MIN(req->asked_count, rc->attr.max_rd_atomic); i++) {
        const struct rc_asked *a = &req->asked[i];
        u32 left = a->packets - (u32)psn_diff(psn, a->psn);

        if (is_asked(a, psn) && a->rest && psn != req->unacked)
            return 0;
        if (is_asked(a, psn))
            return req->asked_count < COUNT_OF(req->asked) ? MIN(room, left) : left;
    }
    return 0;
}

/* How many packets to ask for; 0: none now. */
static u32 ask_for(const struct rc *rc, const struct rc_wr *wr, u32 psn)
{
    const struct rc_requester *req = &rc->req;
    u32 left = wr->packets - req->packet, used = in_flight(rc, psn), room;

    if (used >= rc->window.size)
        return 0;
    room = MIN(left, rc->window.size - used);
    if (psn != req->next)
        return ask_again_for(rc, psn, room);
    if (req->asked_count >= rc->attr.max_rd_atomic)
        return 0;
    return room < left && room < rc->window.size / 2 ? 0 : room;
}

/* Remembers what is on its way: n packets from psn on, a request of its own now. */
static void remember(struct rc_requester *req, u32 psn, u32 n)
{
    u32 i = 0, end = psn_add(psn, n);

    if (psn == req->next) {
        req->asked[req->asked_count++] = (struct rc_asked){psn, n, false};
        return;
    }
    while (!is_asked(&req->asked[i], psn))
        i++;
    if (end == psn_add(req->asked[i].psn, req->asked[i].packets))
        return;
    memmove(&req->asked[i + 1], &req->asked[i], (req->asked_count - i) * sizeof(req->asked[0]));
    req->asked_count++;
    req->asked[i + 1].packets -= (u32)psn_diff(end, req->asked[i + 1].psn);
    req->asked[i + 1].psn = end;
    req->asked[i + 1].rest = true;
    req->asked[i].packets = (u32)psn_diff(end, req->asked[i].psn);
}

static enum rc_step send_ask(struct rc *rc, const struct rc_wr *wr, u32 psn)
{
    struct rc_requester *req = &rc->req;
    u32 n = ask_for(rc, wr, psn), offset = req->packet << rc->mtu_shift;
    struct roce_packet p = {
        .opcode = roce_opcode_find(rc_forms[wr->opcode].kind, ROCE_STARTS | ROCE_ENDS),
        .psn = psn,
        .ack_request = true,
        .va = wr->remote_addr + offset,
        .key = wr->rkey,
        .length = MIN(n << rc->mtu_shift, wr->length - offset),
        .swap_add = wr->opcode == WR_ATOMIC_CMP_AND_SWP ? wr->swap : wr->compare_add,
        .compare = wr->opcode == WR_ATOMIC_CMP_AND_SWP ? wr->compare_add : 0,
    };
    enum rc_step step;

    if (!n)
        return RC_NOTHING;
    step = rc_emit(rc, &p, NULL);
    if (step != RC_SENT)
        return step;
    remember(req, psn, n);
    req->since_ack_request = 0;
    account(rc, wr, psn, n);
    return RC_SENT;
}

enum rc_step rc_request(struct rc *rc)
{
    struct rc_requester *req = &rc->req;
    struct rc_wr *wr;
    enum wc_status status;
    u32 psn;

    if (req->rnr_until || (req->stuck && req->current == req->stuck_at))
        return RC_NOTHING;
    wr = rc->ops->send_at(rc->owner, req->current);
    if (!wr)
        return RC_NOTHING;
    if (req->current == req->assigned && (status = assign(rc, wr)) != WC_SUCCESS)
        return get_stuck(rc, status);
    psn = psn_add(wr->psn, req->packet);
    if (must_wait_for_fence(rc, wr))
        return RC_NOTHING;
    return rc_forms[wr->opcode].asks ? send_ask(rc, wr, psn) : send_data(rc, wr, psn);
}

void rc_go_back(struct rc *rc)
{
    struct rc_requester *req = &rc->req;
    const struct rc_wr *wr = rc->ops->send_at(rc->owner, req->oldest);

    if (!wr || req->oldest == req->assigned)
        return;
    req->current = req->oldest;
    req->packet = (u32)psn_diff(req->unacked, wr->psn);
    req->went_back = true;
    req->since_ack_request = 0;
    rc->window.sample_at = 0;
}

void rc_catch_up(struct rc *rc)
{
    struct rc_requester *req = &rc->req;
    const struct rc_wr *wr;
    u32 done;

    if ((s32)(req->current - req->oldest) < 0) {
        req->current = req->oldest;
        req->packet = 0;
    }
    if (req->current != req->oldest || req->oldest == req->assigned)
        return;
    wr = rc->ops->send_at(rc->owner, req->oldest);
    done = (u32)psn_diff(req->unacked, wr->psn);
    req->packet = MAX(req->packet, done);
}

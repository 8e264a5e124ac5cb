/* SPDX-License-Identifier: BSD-2-Clause */
/* The requester's receiving half (IBTA volume 1, 9.7.5 and 9.7.6): acknowledgements complete work in order; a
 * response also acknowledges all that was sent before it; what is missing is asked for again. */
#include "drivers/net/roce/rc_internal.h"

static struct rc_wr *oldest(struct rc *rc)
{
    return rc->ops->send_at(rc->owner, rc->req.oldest);
}

/* Requests whose responses all came are forgotten; of the first a part may be left. */
static void trim_asked(struct rc_requester *req)
{
    u32 gone = 0;

    while (gone < req->asked_count &&
           !psn_before(req->unacked, psn_add(req->asked[gone].psn, req->asked[gone].packets)))
        gone++;
    if (!gone)
        return;
    req->asked_count -= gone;
    memmove(req->asked, req->asked + gone, req->asked_count * sizeof(req->asked[0]));
}

/* unacked moved on. */
static void progress(struct rc *rc, u32 packets)
{
    struct rc_requester *req = &rc->req;
    u64 now = rc_now(rc);

    if (rc->window.sample_at && psn_before(rc->window.sample_psn, req->unacked)) {
        window_sample(&rc->window, now - rc->window.sample_at);
        rc->window.sample_at = 0;
    }
    window_grow(&rc->window, packets);
    if (!psn_before(req->unacked, req->recover))
        req->recover = req->unacked;
    req->went_back = false;
    req->probes = 0;
    req->rnr_left = rc->attr.rnr_retry;
    req->progress_at = now;
    req->probe_at = now + rc_wait(rc);
    trim_asked(req);
}

static void done(struct rc *rc, struct rc_wr *wr)
{
    rc->req.oldest++;
    rc->ops->send_done(rc->owner, wr, WC_SUCCESS);
}

/* All before psn, which lies in what was sent, has arrived. false: not all, as responses are missing. */
static bool acknowledge(struct rc *rc, u32 psn)
{
    struct rc_requester *req = &rc->req;
    u32 before = req->unacked;
    bool all = true;

    while (psn_before(req->unacked, psn)) {
        struct rc_wr *wr = oldest(rc);
        u32 end = psn_add(wr->psn, wr->packets);

        all = !rc_forms[wr->opcode].asks;
        if (!all)
            break;
        req->unacked = psn_before(psn, end) ? psn : end;
        if (req->unacked == end)
            done(rc, wr);
    }
    if (req->unacked != before) {
        progress(rc, (u32)psn_diff(req->unacked, before));
        rc_catch_up(rc);
    }
    return all;
}

/* Something is lost: once for each loss, sends again from there; once for each window, shrinks it. */
static void go_back_for_loss(struct rc *rc)
{
    struct rc_requester *req = &rc->req;

    if (req->went_back)
        return;
    if (!psn_before(req->unacked, req->recover)) {
        window_loss(&rc->window);
        req->recover = req->next;
    }
    rc_go_back(rc);
}

/* An answer came before its turn. They come in order, so one that does not lie behind the last such one belongs to
 * what was asked for again: its beginning is lost once more. */
static void go_back_for_missing(struct rc *rc, u32 psn)
{
    struct rc_requester *req = &rc->req;

    rc->count[RC_COUNT_MISSING]++;
    if (req->went_back && !psn_before(req->early, psn))
        req->went_back = false;
    req->early = psn;
    go_back_for_loss(rc);
}

/* 9.7.5.2.8 */
static void take_rnr(struct rc *rc, u8 timer)
{
    struct rc_requester *req = &rc->req;

    rc->count[RC_COUNT_RNR_TAKEN]++;
    if (req->rnr_until)
        return;
    if (!req->rnr_left) {
        rc_fail(rc, WC_RNR_RETRY_EXC_ERR);
        return;
    }
    if (rc->attr.rnr_retry != 7)
        req->rnr_left--;
    rc_go_back(rc);
    req->probes = 0;
    req->progress_at = rc_now(rc);
    req->rnr_until = req->progress_at + rc_rnr_wait(timer);
}

static void take_nak(struct rc *rc, u8 syndrome)
{
    static const enum wc_status statuses[4] = {
        [1] = WC_REM_INV_REQ_ERR, [2] = WC_REM_ACCESS_ERR, [3] = WC_REM_OP_ERR};
    u32 code = AETH_VALUE(syndrome);

    rc->count[RC_COUNT_NAK_TAKEN]++;
    if (code == AETH_VALUE(AETH_NAK_SEQUENCE))
        go_back_for_loss(rc);
    else
        rc_fail(rc, code < COUNT_OF(statuses) ? statuses[code] : WC_BAD_RESP_ERR);
}

static void take_ack(struct rc *rc, const struct roce_packet *p)
{
    u32 kind = AETH_KIND(p->syndrome);
    bool is_ack = kind == AETH_KIND(AETH_ACK);

    if (!is_ack && kind != AETH_RNR && kind != AETH_NAK) {
        rc->count[RC_COUNT_GHOST]++;
        return;
    }
    if (!acknowledge(rc, is_ack ? psn_add(p->psn, 1) : p->psn))
        go_back_for_missing(rc, p->psn);
    else if (kind == AETH_RNR)
        take_rnr(rc, AETH_VALUE(p->syndrome));
    else if (kind == AETH_NAK)
        take_nak(rc, p->syndrome);
}

/* The next response of the oldest work is here, and its data in place. */
static void advance(struct rc *rc, struct rc_wr *wr)
{
    struct rc_requester *req = &rc->req;

    req->unacked = psn_add(req->unacked, 1);
    if (req->unacked == psn_add(wr->psn, wr->packets))
        done(rc, wr);
    progress(rc, 1);
    rc_catch_up(rc);
}

/* The oldest work, if p is the response that it waits for. */
static struct rc_wr *asker(struct rc *rc, const struct roce_packet *p, bool read)
{
    struct rc_wr *wr;

    if (!acknowledge(rc, p->psn)) {
        go_back_for_missing(rc, p->psn);
        return NULL;
    }
    wr = oldest(rc);
    if (!rc_forms[wr->opcode].asks || read != (wr->opcode == WR_RDMA_READ)) {
        rc_fail(rc, WC_BAD_RESP_ERR);
        return NULL;
    }
    return wr;
}

static void place(struct rc *rc, struct rc_wr *wr, u32 offset, const void *data, u32 size)
{
    if (rc_scatter(rc, wr->sge, wr->sge_count, offset, data, size) == RC_MEMORY_OK)
        advance(rc, wr);
    else
        rc_fail(rc, WC_LOC_PROT_ERR);
}

static void take_read(struct rc *rc, const struct roce_packet *p)
{
    struct rc_wr *wr = asker(rc, p, true);
    u32 offset;

    if (!wr)
        return;
    offset = (u32)psn_diff(p->psn, wr->psn) << rc->mtu_shift;
    if (p->payload_size != MIN(rc->attr.path_mtu, wr->length - offset))
        rc_fail(rc, WC_BAD_RESP_ERR);
    else
        place(rc, wr, offset, p->payload, p->payload_size);
}

static void take_atomic(struct rc *rc, const struct roce_packet *p)
{
    struct rc_wr *wr = asker(rc, p, false);

    if (wr)
        place(rc, wr, 0, &p->original, sizeof(p->original));
}

void rc_answer(struct rc *rc, const struct roce_packet *p)
{
    struct rc_requester *req = &rc->req;

    if (rc->state != RC_RTS || !psn_within(p->psn, req->unacked, req->next)) {
        rc->count[RC_COUNT_GHOST]++;
        return;
    }
    if (p->info->kind == ROCE_READ_RESPONSE)
        take_read(rc, p);
    else if (p->info->kind == ROCE_ATOMIC_ACK)
        take_atomic(rc, p);
    else
        take_ack(rc, p);
    if (rc->state == RC_RTS && req->stuck && req->stuck_at == req->oldest)
        rc_fail(rc, req->stuck_status);
}

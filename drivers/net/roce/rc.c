/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/rc_internal.h"

#define REFUSAL_REPEATS 32

const char *const rc_counter_name[RC_COUNTERS] = {
    [RC_COUNT_SENT] = "sent",
    [RC_COUNT_RECEIVED] = "received",
    [RC_COUNT_RESENT] = "resent",
    [RC_COUNT_DUPLICATE] = "duplicates",
    [RC_COUNT_GAP] = "gaps",
    [RC_COUNT_NAK_SENT] = "NAKs sent",
    [RC_COUNT_NAK_TAKEN] = "NAKs received",
    [RC_COUNT_RNR_SENT] = "RNR sent",
    [RC_COUNT_RNR_TAKEN] = "RNR received",
    [RC_COUNT_PROBE] = "time-outs",
    [RC_COUNT_MISSING] = "responses missing",
    [RC_COUNT_GHOST] = "unexpected answers",
};

void rc_init(struct rc *rc, const struct rc_ops *ops, void *owner, const struct icrc *icrc, u32 qpn)
{
    *rc = (struct rc){.ops = ops,
                      .owner = owner,
                      .icrc = icrc,
                      .state = RC_RESET,
                      .qpn = qpn,
                      .timer = RC_TIMER_NEVER};
}

static bool takes_packets(const struct rc *rc)
{
    return rc->state == RC_RTR || rc->state == RC_RTS;
}

/* In error all packets are dropped (10.3.1), but then one lost NAK would leave the peer without the reason. To it this looks
 * as if the network had doubled the first one; nothing is executed any more. */
static bool says_refusal_again(const struct rc *rc, const struct roce_packet *p)
{
    return rc->state == RC_ERROR && rc->res.refused && rc->res.repeats &&
           !(p->info->flags & ROCE_RESPONSE);
}

static void say_refusal_again(struct rc *rc)
{
    rc->res.repeats--;
    rc->res.nak = rc->res.refused;
    rc->count[RC_COUNT_NAK_SENT]++;
}

enum roce_drop rc_receive(struct rc *rc, const struct roce_packet *p)
{
    bool again = says_refusal_again(rc, p);

    if (!takes_packets(rc) && !again)
        return ROCE_DROP_STATE;
    if (p->src_ip != rc->attr.path.dst_ip || p->dst_ip != rc->attr.path.src_ip)
        return ROCE_DROP_PATH;
    rc->count[RC_COUNT_RECEIVED]++;
    if (again)
        say_refusal_again(rc);
    else if (p->info->flags & ROCE_RESPONSE)
        rc_answer(rc, p);
    else
        rc_respond(rc, p);
    return ROCE_OK;
}

static enum rc_step step(struct rc *rc)
{
    enum rc_step s = rc_reply(rc);

    if (rc->res.fatal && !rc->res.nak && !rc->res.pending_count) {
        rc_fail(rc, WC_WR_FLUSH_ERR);
        rc->res.repeats = REFUSAL_REPEATS;
    }
    if (s == RC_NOTHING && rc->state == RC_RTS)
        s = rc_request(rc);
    return s;
}

bool rc_run(struct rc *rc, u32 frames)
{
    enum rc_step s = RC_SENT;
    u64 deadline;

    rc_check_time(rc);
    while (takes_packets(rc) && frames && (s = step(rc)) == RC_SENT)
        frames--;
    if (rc->state == RC_ERROR) {
        rc_flush(rc);
        s = rc_reply(rc);
    }
    deadline = rc_deadline(rc);
    if (deadline != rc->timer) {
        rc->timer = deadline;
        rc->ops->set_timer(rc->owner, deadline);
    }
    return takes_packets(rc) ? s != RC_NOTHING : s == RC_BLOCKED;
}

bool rc_is_idle(const struct rc *rc)
{
    if (!takes_packets(rc))
        return !rc->res.nak;
    return (rc->req.unacked == rc->req.next && !rc->res.pending_count && !rc->res.nak &&
            !rc->res.ack_due);
}

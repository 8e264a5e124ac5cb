/* SPDX-License-Identifier: BSD-2-Clause */
/* Time-outs (IBTA volume 1, 9.7.6.1.3 and 9.7.5.2.8). */
#include "drivers/net/roce/rc_internal.h"

#define TIMEOUT_UNIT  4096ull      /* ns */
#define WITHOUT_END   (1ull << 30) /* ns between probes where the time-out is off */
#define MOST_DOUBLING 6

u64 rc_rnr_wait(u8 code)
{
    /* Table 45: units of 10 us. */
    static const u16 tens[32] = {
        65535, 1,    2,    3,    4,    6,     8,     12,    16,    24,    32,
        48,    64,   96,   128,  192,  256,   384,   512,   768,   1024,  1536,
        2048,  3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
    };

    return tens[code & 31] * 10000ull;
}

u64 rc_timeout(const struct rc *rc)
{
    return rc->attr.timeout ? TIMEOUT_UNIT << rc->attr.timeout : WITHOUT_END;
}

u64 rc_wait(const struct rc *rc)
{
    u64 most = rc_timeout(rc), wait = window_wait(&rc->window, most);

    return MIN(wait << MIN(rc->req.probes, MOST_DOUBLING), most);
}

static bool is_waiting(const struct rc *rc)
{
    return rc->state == RC_RTS && rc->req.unacked != rc->req.next;
}

static u64 gives_up_at(const struct rc *rc)
{
    if (!rc->attr.timeout)
        return U64_MAX;
    return rc->req.progress_at + (rc->attr.retry_cnt + 1u) * rc_timeout(rc);
}

u64 rc_deadline(const struct rc *rc)
{
    if (!is_waiting(rc))
        return RC_TIMER_NEVER;
    if (rc->req.rnr_until)
        return rc->req.rnr_until;
    return MIN(rc->req.probe_at, gives_up_at(rc));
}

/* A first silence may be one lost packet; a second one means that less must be sent. */
static void probe(struct rc *rc, u64 now)
{
    struct rc_requester *req = &rc->req;

    rc->count[RC_COUNT_PROBE]++;
    if (req->probes)
        window_collapse(&rc->window);
    else
        window_loss(&rc->window);
    req->recover = req->next;
    if (req->probes < MOST_DOUBLING)
        req->probes++;
    rc_go_back(rc);
    req->probe_at = now + rc_wait(rc);
}

void rc_check_time(struct rc *rc)
{
    struct rc_requester *req = &rc->req;
    u64 now;

    if (!is_waiting(rc))
        return;
    now = rc_now(rc);
    if (req->rnr_until) {
        if (now < req->rnr_until)
            return;
        req->rnr_until = 0;
        req->progress_at = now;
        req->probe_at = now + rc_wait(rc);
    } else if (now >= gives_up_at(rc)) {
        rc_fail(rc, WC_RETRY_EXC_ERR);
    } else if (now >= req->probe_at) {
        probe(rc, now);
    }
}

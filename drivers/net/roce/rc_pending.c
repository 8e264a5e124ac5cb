/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/rc_internal.h"

static void remove_at(struct rc_responder *res, u32 i)
{
    res->pending_count--;
    memmove(&res->pending[i], &res->pending[i + 1],
            (res->pending_count - i) * sizeof(res->pending[0]));
}

/* true: nothing is to be added, as what the duplicate asks for is still to come. An answer that has reached
 * what is asked for gives way: the requester asks for the rest of it again as well. */
static bool is_still_to_come(struct rc_responder *res, const struct rc_pending *entry)
{
    for (u32 i = 0; i < res->pending_count; i++) {
        const struct rc_pending *e = &res->pending[i];
        u32 reached = psn_add(e->psn, e->sent);

        if (!psn_within(entry->psn, e->psn, psn_add(e->psn, e->packets)))
            continue;
        if (!e->sent || psn_before(reached, entry->psn))
            return true;
        remove_at(res, i);
        return false;
    }
    return false;
}

static u32 count_of(const struct rc_responder *res, bool again)
{
    u32 n = 0;

    for (u32 i = 0; i < res->pending_count; i++)
        n += res->pending[i].again == again;
    return n;
}

u32 rc_pending_new(const struct rc_responder *res)
{
    return count_of(res, false);
}

bool rc_pending_add(struct rc_responder *res, const struct rc_pending *entry)
{
    u32 i;

    if (entry->again &&
        (is_still_to_come(res, entry) || count_of(res, true) >= RC_PENDING - RC_MAX_RD_ATOMIC))
        return false;
    if (res->pending_count == RC_PENDING)
        return false;
    for (i = res->pending_count; i && psn_before(entry->psn, res->pending[i - 1].psn); i--)
        res->pending[i] = res->pending[i - 1];
    res->pending[i] = *entry;
    res->pending_count++;
    return true;
}

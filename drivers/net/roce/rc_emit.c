/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/rc_internal.h"

enum rc_step rc_emit(struct rc *rc, struct roce_packet *p, const struct rc_payload *payload)
{
    u8 *frame, *data;
    u32 size;

    p->qpn = rc->attr.dest_qpn;
    p->info = roce_opcode(p->opcode);
    size = roce_packet_size(p);
    frame = rc->ops->frame_begin(rc->owner, size);
    if (!frame)
        return RC_BLOCKED;
    data = roce_packet_begin(p, &rc->attr.path, frame);
    if (p->payload_size && payload->fill(rc, payload, data, p->payload_size) != RC_MEMORY_OK)
        return RC_NOTHING;
    roce_packet_finish(p, rc->icrc, frame);
    rc->ops->frame_send(rc->owner, size);
    rc->count[RC_COUNT_SENT]++;
    return RC_SENT;
}

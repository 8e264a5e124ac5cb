/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/rc_internal.h"

static enum rc_memory next_piece(struct rc *rc, struct rc_range *range, struct rc_piece *piece)
{
    enum rc_memory r = rc->ops->translate(rc->owner, range, piece);

    if (r != RC_MEMORY_OK)
        return r;
    if (piece->size > range->size)
        piece->size = range->size;
    if (!piece->size) /* an owner that gives nothing must not keep us here */
        return RC_MEMORY_RANGE;
    range->addr += piece->size;
    range->size -= piece->size;
    return RC_MEMORY_OK;
}

enum rc_memory rc_read(struct rc *rc, struct rc_range range, u8 *to)
{
    struct rc_piece piece;

    while (range.size) {
        enum rc_memory r = next_piece(rc, &range, &piece);

        if (r != RC_MEMORY_OK)
            return r;
        memcpy(to, piece.at, piece.size);
        to += piece.size;
    }
    return RC_MEMORY_OK;
}

enum rc_memory rc_write(struct rc *rc, struct rc_range range, const u8 *from)
{
    struct rc_piece piece;

    while (range.size) {
        enum rc_memory r = next_piece(rc, &range, &piece);

        if (r != RC_MEMORY_OK)
            return r;
        memcpy(piece.at, from, piece.size);
        from += piece.size;
    }
    return RC_MEMORY_OK;
}

/* The part of a range over SGEs that lies in this one; moves offset and size on. */
static struct rc_range part_of(const struct rc_sge *sge, u32 *offset, u32 *size, u32 access)
{
    u32 skip = MIN(*offset, sge->length), part = MIN(*size, sge->length - skip);

    *offset -= skip;
    *size -= part;
    return (struct rc_range){sge->addr + skip, sge->lkey, part, access};
}

enum rc_memory rc_gather(struct rc *rc, const struct rc_wr *wr, u32 offset, u8 *to, u32 size)
{
    for (u32 i = 0; i < wr->sge_count && size; i++) {
        struct rc_range range = part_of(&wr->sge[i], &offset, &size, 0);
        enum rc_memory r = rc_read(rc, range, to);

        if (r != RC_MEMORY_OK)
            return r;
        to += range.size;
    }
    return size ? RC_MEMORY_RANGE : RC_MEMORY_OK;
}

enum rc_memory rc_scatter(struct rc *rc, const struct rc_sge *sge, u32 count, u32 offset,
                          const u8 *from, u32 size)
{
    for (u32 i = 0; i < count && size; i++) {
        struct rc_range range = part_of(&sge[i], &offset, &size, ACCESS_LOCAL_WRITE);
        enum rc_memory r = rc_write(rc, range, from);

        if (r != RC_MEMORY_OK)
            return r;
        from += range.size;
    }
    return size ? RC_MEMORY_RANGE : RC_MEMORY_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The responder's receiving half (IBTA volume 1, 9.7.4): the expected packet is checked and executed, a
 * later one is answered by one NAK, an earlier one is a duplicate. A handler returns 0, or the syndrome of the
 * NAK with which it refuses. */
#include "drivers/net/roce/rc_internal.h"

#define INVALID   AETH_NAK_INVALID
#define FORBIDDEN AETH_NAK_ACCESS
#define FAILED    AETH_NAK_OPERATION
/* Not a syndrome: as if the packet had been lost. A peer whose packets change places may seem to have asked for
 * more than it did. */
#define NOT_NOW 0xff

static u8 not_ready(struct rc *rc)
{
    return (u8)(AETH_RNR | rc->attr.min_rnr_timer);
}

static void receive_done(struct rc *rc, const struct rc_received *what)
{
    struct rc_recv *recv = rc->res.recv;

    rc->res.recv = NULL;
    rc->ops->recv_done(rc->owner, recv, what);
}

static bool have_receive(struct rc *rc)
{
    if (!rc->res.recv)
        rc->res.recv = rc->ops->recv_next(rc->owner);
    return rc->res.recv;
}

static u8 fail_receive(struct rc *rc, enum wc_status status, u8 syndrome)
{
    receive_done(rc, &(struct rc_received){.status = status, .opcode = WC_RECV});
    return syndrome;
}

/* --- SEND --------------------------------------------------------------------------------------- */

static u8 end_send(struct rc *rc, const struct roce_packet *p)
{
    struct rc_received what = {
        .opcode = WC_RECV, .length = rc->res.length, .imm = p->imm, .solicited = p->solicited};

    if (p->info->flags & ROCE_IETH) {
        if (rc->ops->invalidate(rc->owner, p->imm) != RC_MEMORY_OK)
            return FORBIDDEN;
        what.flags = WC_WITH_INV;
    } else if (p->info->flags & ROCE_IMM) {
        what.flags = WC_WITH_IMM;
    }
    receive_done(rc, &what);
    return 0;
}

static u8 take_send(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    bool starts = p->info->flags & ROCE_STARTS, ends = p->info->flags & ROCE_ENDS;

    if (!have_receive(rc))
        return not_ready(rc);
    if (starts)
        res->length = 0;
    if (p->payload_size > res->recv->length - res->length)
        return fail_receive(rc, WC_LOC_LEN_ERR, INVALID);
    if (rc_scatter(rc, res->recv->sge, res->recv->sge_count, res->length, p->payload,
                   p->payload_size) != RC_MEMORY_OK)
        return fail_receive(rc, WC_LOC_PROT_ERR, FAILED);
    res->length += p->payload_size;
    res->in_message = !ends;
    res->message = ROCE_SEND;
    return ends ? end_send(rc, p) : 0;
}

/* --- WRITE -------------------------------------------------------------------------------------- */

/* The whole range of a request, as its RETH names it; of no bytes anything may be named (9.7.4.1.5.1). */
static u8 check_range(struct rc *rc, const struct roce_packet *p, u32 access)
{
    struct rc_range range = {p->va, p->key, p->length, access};
    struct rc_piece piece;

    if (!(rc->attr.access & access) || p->length > RC_MAX_MESSAGE)
        return INVALID;
    if (p->length && rc->ops->translate(rc->owner, &range, &piece) != RC_MEMORY_OK)
        return FORBIDDEN;
    return 0;
}

static void end_write_imm(struct rc *rc, const struct roce_packet *p)
{
    receive_done(rc, &(struct rc_received){.opcode = WC_RECV_RDMA_WITH_IMM,
                                           .flags = WC_WITH_IMM,
                                           .length = rc->res.length,
                                           .imm = p->imm,
                                           .solicited = p->solicited});
}

static u8 start_write(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    u8 refused = check_range(rc, p, ACCESS_REMOTE_WRITE);

    if (refused)
        return refused;
    res->va = p->va;
    res->key = p->key;
    res->left = p->length;
    res->length = p->length;
    return 0;
}

static u8 take_write(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    bool starts = p->info->flags & ROCE_STARTS, ends = p->info->flags & ROCE_ENDS;
    u8 refused = starts ? start_write(rc, p) : 0;

    if (refused)
        return refused;
    if (ends ? p->payload_size != res->left : p->payload_size >= res->left)
        return INVALID;
    if (p->info->flags & ROCE_IMM && !have_receive(rc))
        return not_ready(rc);
    if (rc_write(rc, (struct rc_range){res->va, res->key, p->payload_size, ACCESS_REMOTE_WRITE},
                 p->payload) != RC_MEMORY_OK)
        return FORBIDDEN;
    res->va += p->payload_size;
    res->left -= p->payload_size;
    res->in_message = !ends;
    res->message = ROCE_WRITE;
    if (p->info->flags & ROCE_IMM)
        end_write_imm(rc, p);
    return 0;
}

/* --- READ --------------------------------------------------------------------------------------- */

static struct rc_pending read_entry(const struct rc *rc, const struct roce_packet *p)
{
    return (struct rc_pending){.psn = p->psn,
                               .packets = rc_packets(rc, p->length),
                               .key = p->key,
                               .length = p->length,
                               .va = p->va};
}

static u8 take_read(struct rc *rc, const struct roce_packet *p)
{
    u8 refused = check_range(rc, p, ACCESS_REMOTE_READ);
    struct rc_pending entry;

    if (refused)
        return refused;
    entry = read_entry(rc, p);
    if (!rc->attr.max_dest_rd_atomic)
        return INVALID;
    if (rc_pending_new(&rc->res) >= rc->attr.max_dest_rd_atomic ||
        !rc_pending_add(&rc->res, &entry))
        return NOT_NOW;
    rc->res.expected = psn_add(p->psn, entry.packets - 1);
    return 0;
}

/* --- atomics ------------------------------------------------------------------------------------ */

/* Atomic towards all queue pairs and the CPU. */
static u64 execute(u64 *at, const struct roce_packet *p)
{
    u64 value = p->compare;

    if (p->info->kind == ROCE_FETCH_ADD)
        return __atomic_fetch_add(at, p->swap_add, __ATOMIC_SEQ_CST);
    __atomic_compare_exchange_n(at, &value, p->swap_add, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return value;
}

static struct rc_pending atomic_entry(u32 psn, u64 original)
{
    return (struct rc_pending){.psn = psn, .packets = 1, .atomic = true, .original = original};
}

static u8 take_atomic(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    struct rc_range range = {p->va, p->key, sizeof(u64), ACCESS_REMOTE_ATOMIC};
    struct rc_piece piece;
    struct rc_pending entry;

    if (!(rc->attr.access & ACCESS_REMOTE_ATOMIC) || p->va % sizeof(u64) ||
        !rc->attr.max_dest_rd_atomic)
        return INVALID;
    if (rc_pending_new(res) >= rc->attr.max_dest_rd_atomic)
        return NOT_NOW;
    if (rc->ops->translate(rc->owner, &range, &piece) != RC_MEMORY_OK)
        return FORBIDDEN;
    if (piece.size < sizeof(u64) || (uintptr_t)piece.at % sizeof(u64))
        return FAILED;
    entry = atomic_entry(p->psn, execute((u64 *)(void *)piece.at, p));
    rc_pending_add(res, &entry); /* there is room: duplicates take half of it at most */
    res->result[res->result_next++ % RC_MAX_RD_ATOMIC] =
        (struct rc_result){p->psn, true, entry.original};
    return 0;
}

/* --- duplicates (9.7.4.4) ----------------------------------------------------------------------- */

static void duplicate_read(struct rc *rc, const struct roce_packet *p)
{
    struct rc_pending entry;

    if (check_range(rc, p, ACCESS_REMOTE_READ))
        return;
    entry = read_entry(rc, p);
    entry.again = true;
    if (psn_diff(rc->res.expected, p->psn) >= (s32)entry.packets)
        rc_pending_add(&rc->res, &entry);
}

/* Never executed twice: its result is told again. */
static void duplicate_atomic(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    struct rc_pending entry;

    for (u32 i = 0; i < RC_MAX_RD_ATOMIC; i++) {
        if (!res->result[i].valid || res->result[i].psn != p->psn)
            continue;
        entry = atomic_entry(p->psn, res->result[i].original);
        entry.again = true;
        rc_pending_add(res, &entry);
        return;
    }
}

static void duplicate(struct rc *rc, const struct roce_packet *p)
{
    rc->count[RC_COUNT_DUPLICATE]++;
    if (p->info->kind == ROCE_READ)
        duplicate_read(rc, p);
    else if (p->info->flags & ROCE_ATOMIC_ETH)
        duplicate_atomic(rc, p);
    else if (!psn_before(rc->res.ack_psn, p->psn))
        rc->res.ack_due = true;
}

/* --- the expected packet ------------------------------------------------------------------------ */

static u8 (*const handlers[])(struct rc *, const struct roce_packet *) = {
    [ROCE_SEND] = take_send,           [ROCE_WRITE] = take_write,      [ROCE_READ] = take_read,
    [ROCE_COMPARE_SWAP] = take_atomic, [ROCE_FETCH_ADD] = take_atomic,
};

/* 9.7.4.1.2 and 9.7.4.1.4: opcodes follow each other, all packets but the last are full. */
static bool is_well_formed(const struct rc *rc, const struct roce_packet *p)
{
    bool starts = p->info->flags & ROCE_STARTS, ends = p->info->flags & ROCE_ENDS;

    if (starts ? rc->res.in_message : !rc->res.in_message || rc->res.message != p->info->kind)
        return false;
    if (!ends)
        return p->payload_size == rc->attr.path_mtu;
    return p->payload_size <= rc->attr.path_mtu && (starts || p->payload_size);
}

static void refuse(struct rc *rc, u32 psn, u8 syndrome)
{
    struct rc_responder *res = &rc->res;

    res->nak = syndrome;
    res->nak_psn = psn;
    res->nak_sent = true;
    res->fatal = AETH_KIND(syndrome) == AETH_NAK && syndrome != AETH_NAK_SEQUENCE;
    res->refused = res->fatal ? syndrome : 0;
    rc->count[AETH_KIND(syndrome) == AETH_RNR ? RC_COUNT_RNR_SENT : RC_COUNT_NAK_SENT]++;
}

static void take_expected(struct rc *rc, const struct roce_packet *p)
{
    struct rc_responder *res = &rc->res;
    u8 refused = is_well_formed(rc, p) ? handlers[p->info->kind](rc, p) : INVALID;

    if (refused == NOT_NOW)
        return;
    res->nak = 0;
    res->nak_sent = false;
    if (refused) {
        refuse(rc, p->psn, refused);
        return;
    }
    res->expected = psn_add(res->expected, 1);
    if (p->info->flags & ROCE_ENDS)
        res->msn = psn_add(res->msn, 1);
    if (!(p->info->flags & ROCE_PAYLOAD))
        return;
    res->ack_psn = p->psn;
    if (p->ack_request)
        res->ack_due = true;
}

void rc_respond(struct rc *rc, const struct roce_packet *p)
{
    s32 ahead = psn_diff(p->psn, rc->res.expected);

    if (rc->res.fatal)
        return;
    if (ahead == 0) {
        take_expected(rc, p);
    } else if (ahead < 0) {
        duplicate(rc, p);
    } else {
        rc->count[RC_COUNT_GAP]++;
        if (!rc->res.nak_sent)
            refuse(rc, rc->res.expected, AETH_NAK_SEQUENCE);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The opcodes of the reliable connected service (IBTA volume 1, table 38), as a table: what a packet is,
 * where it stands in its message, and which headers it has. Pure data. */
#pragma once
#include "drivers/net/roce/wire.h"

enum roce_kind {
    ROCE_SEND,
    ROCE_WRITE,
    ROCE_READ, /* request */
    ROCE_READ_RESPONSE,
    ROCE_ACK,
    ROCE_ATOMIC_ACK,
    ROCE_COMPARE_SWAP,
    ROCE_FETCH_ADD,
};

enum {
    ROCE_STARTS = 1 << 0, /* first or only packet of its message */
    ROCE_ENDS = 1 << 1,   /* last or only */
    ROCE_RETH = 1 << 2,
    ROCE_ATOMIC_ETH = 1 << 3,
    ROCE_AETH = 1 << 4,
    ROCE_ATOMIC_ACK_ETH = 1 << 5,
    ROCE_IMM = 1 << 6,
    ROCE_IETH = 1 << 7,
    ROCE_PAYLOAD = 1 << 8,
    ROCE_RESPONSE = 1 << 9, /* from responder to requester */
};

enum roce_opcode {
    RC_SEND_FIRST = 0x00,
    RC_SEND_MIDDLE = 0x01,
    RC_SEND_LAST = 0x02,
    RC_SEND_LAST_IMM = 0x03,
    RC_SEND_ONLY = 0x04,
    RC_SEND_ONLY_IMM = 0x05,
    RC_WRITE_FIRST = 0x06,
    RC_WRITE_MIDDLE = 0x07,
    RC_WRITE_LAST = 0x08,
    RC_WRITE_LAST_IMM = 0x09,
    RC_WRITE_ONLY = 0x0a,
    RC_WRITE_ONLY_IMM = 0x0b,
    RC_READ_REQUEST = 0x0c,
    RC_READ_FIRST = 0x0d,
    RC_READ_MIDDLE = 0x0e,
    RC_READ_LAST = 0x0f,
    RC_READ_ONLY = 0x10,
    RC_ACKNOWLEDGE = 0x11,
    RC_ATOMIC_ACKNOWLEDGE = 0x12,
    RC_COMPARE_SWAP = 0x13,
    RC_FETCH_ADD = 0x14,
    RC_SEND_LAST_INV = 0x16,
    RC_SEND_ONLY_INV = 0x17,
    RC_OPCODES
};

struct roce_opcode_info {
    const char *name; /* NULL: no such opcode */
    u8 kind;          /* enum roce_kind */
    u8 headers;       /* bytes between the BTH and the payload */
    u16 flags;
};

/* NULL for an opcode that is not RC's. */
const struct roce_opcode_info *roce_opcode(u8 opcode);
/* The opcode of a packet of a message, by its kind and place: ROCE_STARTS and ROCE_ENDS; ROCE_IMM or ROCE_IETH
 * (of SEND; WRITE has ROCE_IMM only) where it ends. */
u8 roce_opcode_find(enum roce_kind kind, u16 flags);

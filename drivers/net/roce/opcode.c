/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/opcode.h"

#define FIRST  ROCE_STARTS
#define MIDDLE 0
#define LAST   ROCE_ENDS
#define ONLY   (ROCE_STARTS | ROCE_ENDS)
#define DATA   ROCE_PAYLOAD
#define REPLY  ROCE_RESPONSE

/* name, kind, bytes of headers, flags */
static const struct roce_opcode_info opcodes[RC_OPCODES] = {
    [RC_SEND_FIRST] = {"SEND first", ROCE_SEND, 0, FIRST | DATA},
    [RC_SEND_MIDDLE] = {"SEND middle", ROCE_SEND, 0, MIDDLE | DATA},
    [RC_SEND_LAST] = {"SEND last", ROCE_SEND, 0, LAST | DATA},
    [RC_SEND_LAST_IMM] = {"SEND last imm", ROCE_SEND, 4, LAST | DATA | ROCE_IMM},
    [RC_SEND_ONLY] = {"SEND only", ROCE_SEND, 0, ONLY | DATA},
    [RC_SEND_ONLY_IMM] = {"SEND only imm", ROCE_SEND, 4, ONLY | DATA | ROCE_IMM},
    [RC_WRITE_FIRST] = {"WRITE first", ROCE_WRITE, 16, FIRST | DATA | ROCE_RETH},
    [RC_WRITE_MIDDLE] = {"WRITE middle", ROCE_WRITE, 0, MIDDLE | DATA},
    [RC_WRITE_LAST] = {"WRITE last", ROCE_WRITE, 0, LAST | DATA},
    [RC_WRITE_LAST_IMM] = {"WRITE last imm", ROCE_WRITE, 4, LAST | DATA | ROCE_IMM},
    [RC_WRITE_ONLY] = {"WRITE only", ROCE_WRITE, 16, ONLY | DATA | ROCE_RETH},
    [RC_WRITE_ONLY_IMM] = {"WRITE only imm", ROCE_WRITE, 20, ONLY | DATA | ROCE_RETH | ROCE_IMM},
    [RC_READ_REQUEST] = {"READ request", ROCE_READ, 16, ONLY | ROCE_RETH},
    [RC_READ_FIRST] = {"READ response first", ROCE_READ_RESPONSE, 4,
                       FIRST | DATA | REPLY | ROCE_AETH},
    [RC_READ_MIDDLE] = {"READ response middle", ROCE_READ_RESPONSE, 0, MIDDLE | DATA | REPLY},
    [RC_READ_LAST] = {"READ response last", ROCE_READ_RESPONSE, 4, LAST | DATA | REPLY | ROCE_AETH},
    [RC_READ_ONLY] = {"READ response only", ROCE_READ_RESPONSE, 4, ONLY | DATA | REPLY | ROCE_AETH},
    [RC_ACKNOWLEDGE] = {"ACK", ROCE_ACK, 4, ONLY | REPLY | ROCE_AETH},
    [RC_ATOMIC_ACKNOWLEDGE] = {"atomic ACK", ROCE_ATOMIC_ACK, 12,
                               ONLY | REPLY | ROCE_AETH | ROCE_ATOMIC_ACK_ETH},
    [RC_COMPARE_SWAP] = {"CMP_SWP", ROCE_COMPARE_SWAP, 28, ONLY | ROCE_ATOMIC_ETH},
    [RC_FETCH_ADD] = {"FETCH_ADD", ROCE_FETCH_ADD, 28, ONLY | ROCE_ATOMIC_ETH},
    [RC_SEND_LAST_INV] = {"SEND last inv", ROCE_SEND, 4, LAST | DATA | ROCE_IETH},
    [RC_SEND_ONLY_INV] = {"SEND only inv", ROCE_SEND, 4, ONLY | DATA | ROCE_IETH},
};

const struct roce_opcode_info *roce_opcode(u8 opcode)
{
    return opcode < RC_OPCODES && opcodes[opcode].name ? &opcodes[opcode] : NULL;
}

/* By kind and place: ROCE_STARTS, ROCE_ENDS, and above them ROCE_IMM and ROCE_IETH. */
#define PLACE(flags) (((flags)&3) | ((flags) >> 4 & 12))

u8 roce_opcode_find(enum roce_kind kind, u16 flags)
{
    static const u8 found[][16] = {
        [ROCE_SEND] = {[PLACE(FIRST)] = RC_SEND_FIRST,
                       [PLACE(MIDDLE)] = RC_SEND_MIDDLE,
                       [PLACE(LAST)] = RC_SEND_LAST,
                       [PLACE(LAST | ROCE_IMM)] = RC_SEND_LAST_IMM,
                       [PLACE(LAST | ROCE_IETH)] = RC_SEND_LAST_INV,
                       [PLACE(ONLY)] = RC_SEND_ONLY,
                       [PLACE(ONLY | ROCE_IMM)] = RC_SEND_ONLY_IMM,
                       [PLACE(ONLY | ROCE_IETH)] = RC_SEND_ONLY_INV},
        [ROCE_WRITE] = {[PLACE(FIRST)] = RC_WRITE_FIRST,
                        [PLACE(MIDDLE)] = RC_WRITE_MIDDLE,
                        [PLACE(LAST)] = RC_WRITE_LAST,
                        [PLACE(LAST | ROCE_IMM)] = RC_WRITE_LAST_IMM,
                        [PLACE(ONLY)] = RC_WRITE_ONLY,
                        [PLACE(ONLY | ROCE_IMM)] = RC_WRITE_ONLY_IMM},
        [ROCE_READ] = {[PLACE(ONLY)] = RC_READ_REQUEST},
        [ROCE_READ_RESPONSE] = {[PLACE(FIRST)] = RC_READ_FIRST,
                                [PLACE(MIDDLE)] = RC_READ_MIDDLE,
                                [PLACE(LAST)] = RC_READ_LAST,
                                [PLACE(ONLY)] = RC_READ_ONLY},
        [ROCE_ACK] = {[PLACE(ONLY)] = RC_ACKNOWLEDGE},
        [ROCE_ATOMIC_ACK] = {[PLACE(ONLY)] = RC_ATOMIC_ACKNOWLEDGE},
        [ROCE_COMPARE_SWAP] = {[PLACE(ONLY)] = RC_COMPARE_SWAP},
        [ROCE_FETCH_ADD] = {[PLACE(ONLY)] = RC_FETCH_ADD},
    };

    return found[kind][PLACE(flags)];
}

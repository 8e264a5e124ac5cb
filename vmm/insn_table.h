/* SPDX-License-Identifier: BSD-2-Clause */
/* The opcode tables of the decoder: what each opcode byte is, and what follows it. For
 * insn_decode.c alone. */
#pragma once
#include "vmm/insn.h"

enum {
    ROW_BYTE = 1 << 0,   /* operands are bytes */
    ROW_IMM = 1 << 1,    /* an immediate of the operand size follows, at most 32 bits */
    ROW_IMM8 = 1 << 2,   /* a byte follows, sign-extended */
    ROW_LOCK = 1 << 3,   /* LOCK is legal if the destination is memory */
    ROW_64 = 1 << 4,     /* 64 bits by default in 64-bit mode */
    ROW_ONLY64 = 1 << 5, /* known in 64-bit mode alone */
    ROW_PLAIN = 1 << 6,  /* 66, F2 and F3 make another or no instruction of it */
};

/* How operands are found. The first ones are those of enum insn_form, with ModRM. */
enum {
    ROW_PREFIX = INSN_FORM_COUNT, /* .op is enum insn_prefix */
    ROW_GROUP,                    /* .op is a group: ModRM.reg chooses the row */
    ROW_LOAD_MOFFS,               /* accumulator <- memory at an address in the instruction */
    ROW_STORE_MOFFS,
    ROW_ALONE,  /* no operand but perhaps an immediate */
    ROW_SYSTEM, /* 0F 01: ModRM is more opcode where mod is 3 */
};

enum insn_prefix {
    PREFIX_SEGMENT, /* .flags is the SEG_* */
    PREFIX_OPERAND,
    PREFIX_ADDRESS,
    PREFIX_LOCK,
    PREFIX_REPEAT,
};

enum insn_group { GROUP_1, GROUP_1A, GROUP_3, GROUP_4, GROUP_5, GROUP_8, GROUP_11, GROUP_COUNT };

struct insn_row {
    u8 op;     /* enum insn_op */
    u8 form;   /* enum insn_form or ROW_PREFIX and up; 0 is "not known" */
    u8 flags;  /* ROW_BYTE ... */
    u8 source; /* bytes of the source, where it differs */
};

extern const struct insn_row insn_one_byte[256];
extern const struct insn_row insn_two_byte[256];
extern const struct insn_row insn_groups[GROUP_COUNT][8];

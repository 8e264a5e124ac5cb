/* SPDX-License-Identifier: BSD-2-Clause */
/* What the instructions of vmm/insn.h compute, apart from where operands come from. For
 * insn_exec.c alone. */
#pragma once
#include "vmm/insn.h"

struct insn_alu {
    u64 a, b;        /* destination and source, zero-extended; b is masked to the operand size */
    u64 accumulator; /* CMPXCHG */
    u64 result;      /* for the destination */
    u64 flags;       /* RFLAGS in and out */
    u8 size;         /* bytes of the operation */
    u8 source_size;
    bool load_accumulator; /* CMPXCHG: `a` goes to the accumulator */
};

enum {
    ALU_READS = 1 << 0,  /* the destination is read */
    ALU_WRITES = 1 << 1, /* and written */
    ALU_SWAPS = 1 << 2,  /* the source register takes the old destination */
    ALU_BIT = 1 << 3,    /* the source is a bit number, which moves a memory operand */
};

struct insn_alu_op {
    void (*compute)(struct insn_alu *x); /* NULL: not an ALU operation */
    u8 traits;
};

extern const struct insn_alu_op insn_alu_ops[INSN_OP_COUNT];

static inline u64 insn_mask(unsigned size)
{
    return size == 8 ? U64_MAX : BIT(8 * size) - 1;
}

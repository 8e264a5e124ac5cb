/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn_alu.h"

#define RFLAGS_RESULT (RFLAGS_PF | RFLAGS_ZF | RFLAGS_SF)
#define RFLAGS_STATUS (RFLAGS_RESULT | RFLAGS_CF | RFLAGS_AF | RFLAGS_OF)

static u64 sign_bit(const struct insn_alu *x)
{
    return BIT(8 * x->size - 1);
}

/* Stores the result and sets PF, ZF and SF by it; `others` are the flags the caller has found,
 * `changed` those it has a say in (SDM 1 3.4.3.1). */
static void finish(struct insn_alu *x, u64 result, u64 changed, u64 others)
{
    u64 r = result & insn_mask(x->size);

    x->result = r;
    x->flags &= ~(RFLAGS_RESULT | changed);
    x->flags |= others & changed;
    x->flags |= __builtin_parity((unsigned)r & 0xff) ? 0 : RFLAGS_PF;
    x->flags |= r ? 0 : RFLAGS_ZF;
    x->flags |= r & sign_bit(x) ? RFLAGS_SF : 0;
}

/* The carry out of each bit of a sum: set where both addends are, or one is and the sum is not. */
static u64 flags_of_carries(const struct insn_alu *x, u64 carries)
{
    u64 top = sign_bit(x);
    bool out = carries & top, in = carries & (top >> 1);

    return (out ? RFLAGS_CF : 0) | (carries & BIT(3) ? RFLAGS_AF : 0) | (out != in ? RFLAGS_OF : 0);
}

static void add_with(struct insn_alu *x, u64 b, u64 carry, u64 changed)
{
    u64 sum = x->a + b + carry;

    finish(x, sum, changed, flags_of_carries(x, (x->a & b) | ((x->a | b) & ~sum)));
}

static void subtract_with(struct insn_alu *x, u64 a, u64 b, u64 borrow, u64 changed)
{
    u64 difference = a - b - borrow;

    finish(x, difference, changed, flags_of_carries(x, (~a & b) | ((~a | b) & difference)));
}

#define CARRIES (RFLAGS_CF | RFLAGS_AF | RFLAGS_OF)

static void alu_add(struct insn_alu *x)
{
    add_with(x, x->b, 0, CARRIES);
}

static void alu_adc(struct insn_alu *x)
{
    add_with(x, x->b, x->flags & RFLAGS_CF, CARRIES);
}

static void alu_inc(struct insn_alu *x)
{
    add_with(x, 1, 0, CARRIES & ~RFLAGS_CF);
}

static void alu_sub(struct insn_alu *x)
{
    subtract_with(x, x->a, x->b, 0, CARRIES);
}

static void alu_sbb(struct insn_alu *x)
{
    subtract_with(x, x->a, x->b, x->flags & RFLAGS_CF, CARRIES);
}

static void alu_dec(struct insn_alu *x)
{
    subtract_with(x, x->a, 1, 0, CARRIES & ~RFLAGS_CF);
}

static void alu_neg(struct insn_alu *x)
{
    subtract_with(x, 0, x->a, 0, CARRIES);
}

/* CF and OF are cleared; AF is undefined, and cleared too. */
static void alu_and(struct insn_alu *x)
{
    finish(x, x->a & x->b, CARRIES, 0);
}

static void alu_or(struct insn_alu *x)
{
    finish(x, x->a | x->b, CARRIES, 0);
}

static void alu_xor(struct insn_alu *x)
{
    finish(x, x->a ^ x->b, CARRIES, 0);
}

static void alu_not(struct insn_alu *x)
{
    x->result = ~x->a & insn_mask(x->size);
}

static void alu_mov(struct insn_alu *x)
{
    x->result = x->b;
}

static void alu_movsx(struct insn_alu *x)
{
    unsigned shift = 64 - 8 * x->source_size;

    x->result = (u64)((s64)(x->b << shift) >> shift) & insn_mask(x->size);
}

static void alu_cmpxchg(struct insn_alu *x)
{
    u64 destination = x->a, source = x->b;

    subtract_with(x, x->accumulator, destination, 0, CARRIES);
    x->load_accumulator = x->accumulator != destination;
    x->result = x->load_accumulator ? destination : source;
}

static u64 bit_of(struct insn_alu *x)
{
    u64 bit = BIT(x->b & (8 * x->size - 1));

    x->flags = (x->flags & ~RFLAGS_CF) | (x->a & bit ? RFLAGS_CF : 0);
    return bit;
}

static void alu_bt(struct insn_alu *x)
{
    (void)bit_of(x);
}

static void alu_bts(struct insn_alu *x)
{
    x->result = x->a | bit_of(x);
}

static void alu_btr(struct insn_alu *x)
{
    x->result = x->a & ~bit_of(x);
}

static void alu_btc(struct insn_alu *x)
{
    x->result = x->a ^ bit_of(x);
}

#define CHANGE (ALU_READS | ALU_WRITES)

const struct insn_alu_op insn_alu_ops[INSN_OP_COUNT] = {
    [INSN_ADD] = {alu_add, CHANGE},
    [INSN_OR] = {alu_or, CHANGE},
    [INSN_ADC] = {alu_adc, CHANGE},
    [INSN_SBB] = {alu_sbb, CHANGE},
    [INSN_AND] = {alu_and, CHANGE},
    [INSN_SUB] = {alu_sub, CHANGE},
    [INSN_XOR] = {alu_xor, CHANGE},
    [INSN_CMP] = {alu_sub, ALU_READS},
    [INSN_MOV] = {alu_mov, ALU_WRITES},
    [INSN_MOVZX] = {alu_mov, ALU_WRITES},
    [INSN_MOVSX] = {alu_movsx, ALU_WRITES},
    [INSN_TEST] = {alu_and, ALU_READS},
    [INSN_NOT] = {alu_not, CHANGE},
    [INSN_NEG] = {alu_neg, CHANGE},
    [INSN_INC] = {alu_inc, CHANGE},
    [INSN_DEC] = {alu_dec, CHANGE},
    [INSN_XCHG] = {alu_mov, CHANGE | ALU_SWAPS},
    [INSN_CMPXCHG] = {alu_cmpxchg, CHANGE},
    [INSN_XADD] = {alu_add, CHANGE | ALU_SWAPS},
    [INSN_BT] = {alu_bt, ALU_READS | ALU_BIT},
    [INSN_BTS] = {alu_bts, CHANGE | ALU_BIT},
    [INSN_BTR] = {alu_btr, CHANGE | ALU_BIT},
    [INSN_BTC] = {alu_btc, CHANGE | ALU_BIT},
};

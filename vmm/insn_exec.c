/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn.h"
#include "vmm/insn_alu.h"
#include "kernel/string.h"

/* One instruction under way. Nothing of the guest's changes before its last memory write. */
struct exec {
    const struct insn *i;
    const struct insn_bus *bus;
    const struct hvm_mode *mode;
    u64 *gpr;
    u64 rip, rflags;
};

static u64 reg_get(const u64 *gpr, u8 reg, unsigned size)
{
    if (reg >= INSN_REG_AH)
        return (gpr[reg - INSN_REG_AH] >> 8) & 0xff;
    return gpr[reg] & insn_mask(size);
}

/* 32-bit results clear the upper half, smaller ones leave the rest alone (SDM 1 3.4.1.1). */
static void reg_set(u64 *gpr, u8 reg, unsigned size, u64 value)
{
    u64 mask = size >= 4 ? U64_MAX : insn_mask(size);

    value &= insn_mask(size);
    if (reg >= INSN_REG_AH)
        gpr[reg - INSN_REG_AH] = (gpr[reg - INSN_REG_AH] & ~0xff00ull) | value << 8;
    else
        gpr[reg] = (gpr[reg] & ~mask) | value;
}

/* Segmentation, with its exception. */
static enum insn_status locate(struct exec *e, u8 segment, u64 effective, unsigned size, bool write,
                               gva_t *at)
{
    if (insn_linear(e->mode, e->rflags, segment, effective, size, write, at))
        return INSN_DONE;
    e->bus->raise(e->bus->ctx, segment == SEG_SS ? VEC_SS : VEC_GP, 0);
    return INSN_FAULT;
}

static void advance(struct exec *e)
{
    e->rip += e->i->length;
    if (e->i->mode != INSN_64)
        e->rip &= insn_mask(4);
    e->rflags &= ~RFLAGS_RF;
}

/* A bit number in a register reaches beyond the operand: the CPU uses the unit of operand size
 * that the bit is in (SDM 2A 3.1.1.9, figure 3-2). */
static u64 bit_displacement(const struct exec *e)
{
    unsigned shift = 64 - 8 * e->i->size;
    s64 bit = (s64)(reg_get(e->gpr, e->i->reg, e->i->size) << shift) >> shift;

    return (u64)((bit >> (e->i->size == 8 ? 6 : e->i->size == 4 ? 5 : 4)) * e->i->size);
}

static enum insn_status alu_locate(struct exec *e, u8 traits, gva_t *at)
{
    const struct insn *i = e->i;
    bool destination = i->form != INSN_FORM_REG_RM;
    u64 effective = insn_effective(i, e->gpr, e->rip);

    if ((traits & ALU_BIT) && i->form == INSN_FORM_RM_REG) {
        effective += bit_displacement(e);
        effective &= insn_mask(i->address_size);
    }
    return locate(e, i->mem.segment, effective, destination ? i->size : i->source_size,
                  destination && (traits & ALU_WRITES), at);
}

/* Reads the memory operand into a (destination) or b (source), after asking whether the write that
 * comes later will succeed. */
static enum insn_status alu_read(struct exec *e, u8 traits, gva_t at, struct insn_alu *x)
{
    const struct insn *i = e->i;
    const struct insn_bus *bus = e->bus;
    enum insn_status s = INSN_DONE;

    if (i->form == INSN_FORM_REG_RM) {
        s = bus->read(bus->ctx, at, i->source_size, &x->b);
        x->b &= insn_mask(i->source_size);
        return s;
    }
    if (!(traits & ALU_READS))
        return INSN_DONE;
    if (traits & ALU_WRITES)
        s = bus->probe(bus->ctx, at, i->size);
    if (!s)
        s = bus->read(bus->ctx, at, i->size, &x->a);
    x->a &= insn_mask(i->size);
    return s;
}

static void alu_read_registers(const struct exec *e, struct insn_alu *x)
{
    const struct insn *i = e->i;
    bool source_is_rm = i->form == INSN_FORM_REG_RM;

    if (source_is_rm)
        x->a = reg_get(e->gpr, i->reg, i->size);
    else if (!i->memory)
        x->a = reg_get(e->gpr, i->rm, i->size);
    if (i->form == INSN_FORM_RM_REG)
        x->b = reg_get(e->gpr, i->reg, i->size);
    else if (i->form == INSN_FORM_RM_IMM)
        x->b = i->imm & insn_mask(i->size);
    else if (source_is_rm && !i->memory)
        x->b = reg_get(e->gpr, i->rm, i->source_size);
    x->accumulator = reg_get(e->gpr, REG_RAX, i->size);
}

static void alu_write_registers(struct exec *e, u8 traits, const struct insn_alu *x)
{
    const struct insn *i = e->i;

    if (traits & ALU_SWAPS)
        reg_set(e->gpr, i->reg, i->size, x->a);
    if (i->form == INSN_FORM_REG_RM && (traits & ALU_WRITES))
        reg_set(e->gpr, i->reg, i->size, x->result);
    else if (!i->memory && (traits & ALU_WRITES))
        reg_set(e->gpr, i->rm, i->size, x->result);
    if (x->load_accumulator)
        reg_set(e->gpr, REG_RAX, i->size, x->a);
    e->rflags = x->flags;
}

static enum insn_status exec_alu(struct exec *e)
{
    const struct insn *i = e->i;
    const struct insn_alu_op *op = &insn_alu_ops[i->op];
    struct insn_alu x = {.flags = e->rflags, .size = i->size, .source_size = i->source_size};
    enum insn_status s = INSN_DONE;
    gva_t at = GVA(0);

    /* Intel and AMD differ in the upper half of a 32-bit register destination. */
    if (i->op == INSN_CMPXCHG && !i->memory)
        return INSN_REFUSED;
    alu_read_registers(e, &x);
    if (i->memory) {
        s = alu_locate(e, op->traits, &at);
        if (!s)
            s = alu_read(e, op->traits, at, &x);
    }
    if (s)
        return s;
    op->compute(&x);
    if (i->memory && i->form != INSN_FORM_REG_RM && (op->traits & ALU_WRITES))
        s = e->bus->write(e->bus->ctx, at, i->size, x.result);
    if (s)
        return s;
    alu_write_registers(e, op->traits, &x);
    advance(e);
    return INSN_DONE;
}

/* The value to store: AL, AX, EAX, RAX, or what rSI points to. */
static enum insn_status string_source(struct exec *e, u64 *value)
{
    const struct insn *i = e->i;
    enum insn_status s;
    gva_t at;

    if (i->op == INSN_STOS) {
        *value = reg_get(e->gpr, REG_RAX, i->size);
        return INSN_DONE;
    }
    s = locate(e, i->mem.segment, reg_get(e->gpr, REG_RSI, i->address_size), i->size, false, &at);
    return s ? s : e->bus->read(e->bus->ctx, at, i->size, value);
}

static enum insn_status string_move(struct exec *e)
{
    const struct insn *i = e->i;
    const struct insn_bus *bus = e->bus;
    enum insn_status s;
    gva_t to;
    u64 value;

    if (i->op == INSN_LODS) {
        s = string_source(e, &value);
        if (!s)
            reg_set(e->gpr, REG_RAX, i->size, value);
        return s;
    }
    /* The destination is ES:rDI whatever the override (SDM 2B MOVS). */
    s = locate(e, SEG_ES, reg_get(e->gpr, REG_RDI, i->address_size), i->size, true, &to);
    if (!s && i->op == INSN_MOVS)
        s = bus->probe(bus->ctx, to, i->size);
    if (!s)
        s = string_source(e, &value);
    return s ? s : bus->write(bus->ctx, to, i->size, value);
}

static void step(struct exec *e, u8 reg)
{
    u64 by = e->rflags & RFLAGS_DF ? 0ull - e->i->size : e->i->size;

    reg_set(e->gpr, reg, e->i->address_size, e->gpr[reg] + by);
}

static enum insn_status exec_string(struct exec *e)
{
    const struct insn *i = e->i;
    u64 left = i->rep ? reg_get(e->gpr, REG_RCX, i->address_size) : 1;
    enum insn_status s;

    if (left == 0) {
        advance(e);
        return INSN_DONE;
    }
    s = string_move(e);
    if (s)
        return s;
    if (i->op != INSN_STOS)
        step(e, REG_RSI);
    if (i->op != INSN_LODS)
        step(e, REG_RDI);
    if (i->rep)
        reg_set(e->gpr, REG_RCX, i->address_size, left - 1);
    if (left > 1)
        return INSN_AGAIN;
    advance(e);
    return INSN_DONE;
}

static unsigned stack_size(const struct exec *e)
{
    if (e->i->mode == INSN_64)
        return 8;
    return e->mode->seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
}

static enum insn_status exec_push(struct exec *e)
{
    const struct insn *i = e->i;
    const struct insn_bus *bus = e->bus;
    unsigned width = stack_size(e);
    u64 sp = (e->gpr[REG_RSP] - i->size) & insn_mask(width), value = 0;
    enum insn_status s;
    gva_t top, at;

    s = locate(e, SEG_SS, sp, i->size, true, &top);
    if (!s && i->memory) {
        s = locate(e, i->mem.segment, insn_effective(i, e->gpr, e->rip), i->size, false, &at);
        if (!s)
            s = bus->probe(bus->ctx, top, i->size);
        if (!s)
            s = bus->read(bus->ctx, at, i->size, &value);
    } else {
        value = i->memory ? 0 : reg_get(e->gpr, i->rm, i->size);
    }
    if (!s)
        s = bus->write(bus->ctx, top, i->size, value);
    if (s)
        return s;
    reg_set(e->gpr, REG_RSP, width, sp);
    advance(e);
    return INSN_DONE;
}

/* An address based on rSP counts from where rSP is after the pop (SDM 2B POP). */
static enum insn_status exec_pop(struct exec *e)
{
    const struct insn *i = e->i;
    const struct insn_bus *bus = e->bus;
    unsigned width = stack_size(e);
    u64 after[REG_COUNT], value;
    enum insn_status s;
    gva_t top, at = GVA(0);

    memcpy(after, e->gpr, sizeof(after));
    reg_set(after, REG_RSP, width, after[REG_RSP] + i->size);
    s = locate(e, SEG_SS, reg_get(e->gpr, REG_RSP, width), i->size, false, &top);
    if (!s && i->memory)
        s = locate(e, i->mem.segment, insn_effective(i, after, e->rip), i->size, true, &at);
    if (!s && i->memory)
        s = bus->probe(bus->ctx, at, i->size);
    if (!s)
        s = bus->read(bus->ctx, top, i->size, &value);
    if (!s && i->memory)
        s = bus->write(bus->ctx, at, i->size, value);
    if (s)
        return s;
    if (!i->memory)
        reg_set(after, i->rm, i->size, value);
    memcpy(e->gpr, after, sizeof(after));
    advance(e);
    return INSN_DONE;
}

static enum insn_status exec_nop(struct exec *e)
{
    advance(e);
    return INSN_DONE;
}

static enum insn_status (*const forms[INSN_FORM_COUNT])(struct exec *) = {
    [INSN_FORM_RM_REG] = exec_alu, [INSN_FORM_REG_RM] = exec_alu,    [INSN_FORM_RM_IMM] = exec_alu,
    [INSN_FORM_RM] = exec_alu,     [INSN_FORM_STRING] = exec_string, [INSN_FORM_PUSH] = exec_push,
    [INSN_FORM_POP] = exec_pop,    [INSN_FORM_NOP] = exec_nop,
};

enum insn_status insn_execute(const struct insn *i, const struct insn_bus *bus,
                              const struct hvm_mode *m, u64 gpr[REG_COUNT], u64 *rip, u64 *rflags)
{
    struct exec e = {.i = i, .bus = bus, .mode = m, .gpr = gpr, .rip = *rip, .rflags = *rflags};
    enum insn_status s;

    if (i->form >= INSN_FORM_COUNT || !forms[i->form])
        return INSN_REFUSED;
    s = forms[i->form](&e);
    if (s == INSN_DONE || s == INSN_AGAIN) {
        *rip = e.rip;
        *rflags = e.rflags;
    }
    return s;
}

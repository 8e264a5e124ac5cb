/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn.h"
#include "vmm/insn_table.h"
#include "kernel/string.h"

#define REX_W BIT(3)
#define REX_R BIT(2)
#define REX_X BIT(1)
#define REX_B BIT(0)

struct decoder {
    const u8 *bytes;
    unsigned count, used;
    struct insn *i;
    struct insn_row row;
    enum insn_result failed;
    u8 rex, modrm;
    u8 segment; /* override or INSN_NO_REG */
    bool operand, address, repeat;
};

static bool fail(struct decoder *d, enum insn_result result)
{
    d->failed = result;
    return false;
}

/* Takes a little-endian number of `size` bytes, sign-extended. */
static bool take(struct decoder *d, unsigned size, s64 *value)
{
    u64 v = 0;

    if (size > d->count - d->used)
        return fail(d, d->count == INSN_MAX_LENGTH ? INSN_ILLEGAL : INSN_MORE);
    for (unsigned n = 0; n < size; n++)
        v |= (u64)d->bytes[d->used + n] << (8 * n);
    d->used += size;
    *value = (s64)(v << (64 - 8 * size)) >> (64 - 8 * size);
    return true;
}

static bool take_byte(struct decoder *d, u8 *byte)
{
    s64 v;

    if (!take(d, 1, &v))
        return false;
    *byte = (u8)v;
    return true;
}

static void prefix_note(struct decoder *d, const struct insn_row *row)
{
    switch ((enum insn_prefix)row->op) {
    case PREFIX_SEGMENT:
        /* 64-bit mode knows FS and GS only (SDM 1 3.3.4). */
        if (d->i->mode != INSN_64 || row->flags >= SEG_FS)
            d->segment = row->flags;
        break;
    case PREFIX_OPERAND: d->operand = true; break;
    case PREFIX_ADDRESS: d->address = true; break;
    case PREFIX_LOCK: d->i->lock = true; break;
    case PREFIX_REPEAT: d->repeat = true; break;
    }
}

/* Prefixes and opcode. A REX counts only if the opcode follows it directly (SDM 2A 2.2.1). */
static bool take_opcode(struct decoder *d)
{
    u8 byte;

    for (;;) {
        if (!take_byte(d, &byte))
            return false;
        if (d->i->mode == INSN_64 && (byte & 0xf0) == 0x40) {
            d->rex = byte;
            continue;
        }
        if (insn_one_byte[byte].form != ROW_PREFIX)
            break;
        prefix_note(d, &insn_one_byte[byte]);
        d->rex = 0;
    }
    if (byte == 0x0f) {
        if (!take_byte(d, &byte))
            return false;
        d->row = insn_two_byte[byte];
    } else {
        d->row = insn_one_byte[byte];
    }
    if (d->row.form == INSN_FORM_NONE)
        return fail(d, INSN_UNKNOWN);
    return true;
}

static void set_sizes(struct decoder *d)
{
    static const u8 address[3][2] = {[INSN_16] = {2, 4}, [INSN_32] = {4, 2}, [INSN_64] = {8, 4}};
    struct insn *i = d->i;
    bool wide = i->mode == INSN_64 && (d->rex & REX_W);

    i->address_size = address[i->mode][d->address];
    if (d->row.flags & ROW_BYTE)
        i->size = 1;
    else if (wide || (i->mode == INSN_64 && (d->row.flags & ROW_64) && !d->operand))
        i->size = 8;
    else
        i->size = (i->mode == INSN_16) != d->operand ? 2 : 4;
    if (d->row.form == INSN_FORM_CR)
        i->size = i->mode == INSN_64 ? 8 : 4;
    if (d->row.flags & ROW_PLAIN) /* MOVNTI has no 16-bit form */
        i->size = wide ? 8 : 4;
    i->source_size = d->row.source ? d->row.source : i->size;
}

/* A register number as the operand it names: bytes 4 to 7 are AH to BH without REX. */
static u8 name_register(const struct decoder *d, u8 number, unsigned size)
{
    if (size == 1 && !d->rex && number >= 4)
        return INSN_REG_AH + number - 4;
    return number;
}

static bool take_displacement(struct decoder *d, unsigned size)
{
    return size == 0 || take(d, size, &d->i->mem.disp);
}

/* 16-bit addressing (SDM 2A table 2-1). */
static bool take_address16(struct decoder *d)
{
    static const u8 base[8] = {REG_RBX, REG_RBX, REG_RBP, REG_RBP,
                               REG_RSI, REG_RDI, REG_RBP, REG_RBX};
    static const u8 index[8] = {REG_RSI,     REG_RDI,     REG_RSI,     REG_RDI,
                                INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};
    u8 mod = d->modrm >> 6, rm = d->modrm & 7;

    if (mod == 0 && rm == 6)
        return take_displacement(d, 2);
    d->i->mem.base = base[rm];
    d->i->mem.index = index[rm];
    d->i->mem.scale = index[rm] != INSN_NO_REG;
    return take_displacement(d, mod);
}

/* 32- and 64-bit addressing (SDM 2A tables 2-2 and 2-3, 2.2.1.6). */
static bool take_address32(struct decoder *d)
{
    struct insn_mem *m = &d->i->mem;
    u8 mod = d->modrm >> 6, base = d->modrm & 7, sib;
    bool has_sib = base == 4;

    if (has_sib) {
        if (!take_byte(d, &sib))
            return false;
        base = sib & 7;
        m->index = ((sib >> 3) & 7) | (d->rex & REX_X ? 8 : 0);
        m->scale = (u8)(1 << (sib >> 6));
        if (m->index == REG_RSP) {
            m->index = INSN_NO_REG;
            m->scale = 0;
        }
    }
    if (mod == 0 && base == 5) {
        m->rip = !has_sib && d->i->mode == INSN_64;
        return take_displacement(d, 4);
    }
    m->base = base | (d->rex & REX_B ? 8 : 0);
    return take_displacement(d, mod == 2 ? 4 : mod);
}

static u8 default_segment(const struct insn_mem *m)
{
    return m->base == REG_RSP || m->base == REG_RBP ? SEG_SS : SEG_DS;
}

static bool take_rm(struct decoder *d)
{
    struct insn *i = d->i;
    bool ok;

    if (d->modrm >> 6 == 3 || d->row.form == INSN_FORM_CR) {
        i->rm = (d->modrm & 7) | (d->rex & REX_B ? 8 : 0);
        if (d->row.form != INSN_FORM_CR)
            i->rm = name_register(d, i->rm, i->source_size);
        return true;
    }
    i->memory = true;
    ok = i->address_size == 2 ? take_address16(d) : take_address32(d);
    i->mem.segment = d->segment != INSN_NO_REG ? d->segment : default_segment(&i->mem);
    return ok;
}

/* CR0, 2, 3, 4 and 8, and DR0 to DR7, are all that there is (SDM 2B MOV). */
static bool check_control(struct decoder *d)
{
    bool debug = d->row.op == INSN_MOV_FROM_DR || d->row.op == INSN_MOV_TO_DR;
    u32 known = debug ? 0xff : BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(8);

    if (!(known & BIT(d->i->reg)))
        return fail(d, INSN_ILLEGAL);
    /* LOCK MOV CR0 is another way to write MOV CR8 on AMD (APM 3 MOV CRn). */
    return d->i->lock ? fail(d, INSN_UNKNOWN) : true;
}

/* 0F 01 (SDM 2D table A-6, group 7; APM 3 table A-7). */
static bool check_system(struct decoder *d)
{
    static const u8 known[] = {0xc1, 0xc2, 0xc3, 0xc4, 0xd0, 0xd1, 0xd8, 0xd9,
                               0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xf9};
    u8 reg = (d->modrm >> 3) & 7;

    if (d->modrm >> 6 != 3)
        return reg == 5 ? fail(d, INSN_UNKNOWN) : true;
    if (reg == 4 || reg == 6) /* SMSW, LMSW */
        return true;
    if (d->operand || d->repeat)
        return fail(d, INSN_UNKNOWN);
    for (unsigned n = 0; n < COUNT_OF(known); n++)
        if (d->modrm == known[n])
            return true;
    return fail(d, INSN_UNKNOWN);
}

static bool take_modrm(struct decoder *d)
{
    struct insn *i = d->i;
    u8 reg;

    if (!take_byte(d, &d->modrm))
        return false;
    reg = (d->modrm >> 3) & 7;
    if (d->row.form == ROW_GROUP) {
        const struct insn_row *member = &insn_groups[d->row.op][reg];

        d->row = (struct insn_row){
            .op = member->op, .form = member->form, .flags = member->flags | d->row.flags};
        if (d->row.form == INSN_FORM_NONE)
            return fail(d, INSN_UNKNOWN);
    }
    set_sizes(d);
    if (d->row.form == ROW_SYSTEM && !check_system(d))
        return false;
    i->reg = reg | (d->rex & REX_R ? 8 : 0);
    if (d->row.form == INSN_FORM_CR)
        return check_control(d) && take_rm(d);
    i->reg = name_register(d, i->reg, i->size);
    return take_rm(d);
}

/* MOVNTI writes memory and has no 66, F2 or F3; MOVSXD into 16 bits is not the same everywhere. */
static bool check_exceptions(struct decoder *d)
{
    if ((d->row.flags & ROW_PLAIN) && (d->operand || d->repeat || !d->i->memory))
        return fail(d, INSN_UNKNOWN);
    if ((d->row.flags & ROW_ONLY64) && (d->i->mode != INSN_64 || d->i->size == 2))
        return fail(d, INSN_UNKNOWN);
    return true;
}

static void set_string(struct decoder *d)
{
    struct insn *i = d->i;

    i->memory = true;
    i->rep = d->repeat;
    i->reg = REG_RAX;
    i->mem.base = REG_RSI;
    i->mem.segment = d->segment != INSN_NO_REG ? d->segment : SEG_DS;
}

static bool take_moffs(struct decoder *d)
{
    struct insn *i = d->i;

    i->memory = true;
    i->reg = REG_RAX;
    i->mem.segment = d->segment != INSN_NO_REG ? d->segment : SEG_DS;
    return take_displacement(d, i->address_size);
}

static bool take_operands(struct decoder *d)
{
    set_sizes(d);
    switch (d->row.form) {
    case ROW_ALONE: d->row.form = INSN_FORM_OTHER; return true;
    case INSN_FORM_STRING: set_string(d); return true;
    case ROW_LOAD_MOFFS: d->row.form = INSN_FORM_REG_RM; return take_moffs(d);
    case ROW_STORE_MOFFS: d->row.form = INSN_FORM_RM_REG; return take_moffs(d);
    }
    if (!take_modrm(d))
        return false;
    if (d->row.form == ROW_SYSTEM)
        d->row.form = INSN_FORM_OTHER;
    return check_exceptions(d);
}

static bool take_immediate(struct decoder *d)
{
    unsigned size = d->row.flags & ROW_IMM8 ? 1 : d->row.flags & ROW_IMM ? MIN(d->i->size, 4) : 0;
    s64 value = 0;

    if (size && !take(d, size, &value))
        return false;
    d->i->imm = (u64)value;
    return true;
}

static bool check_lock(struct decoder *d)
{
    const struct insn *i = d->i;
    bool destination = i->memory && d->row.form != INSN_FORM_REG_RM;

    if (i->lock && !((d->row.flags & ROW_LOCK) && destination))
        return fail(d, INSN_ILLEGAL);
    return true;
}

enum insn_result insn_decode(struct insn *i, const u8 *bytes, unsigned count, enum insn_mode mode)
{
    struct decoder d = {
        .bytes = bytes, .count = MIN(count, INSN_MAX_LENGTH), .i = i, .segment = INSN_NO_REG};

    memset(i, 0, sizeof(*i));
    i->mode = (u8)mode;
    i->rm = INSN_NO_REG;
    i->mem.base = i->mem.index = INSN_NO_REG;
    if (!take_opcode(&d) || !take_operands(&d) || !take_immediate(&d) || !check_lock(&d))
        return d.failed;
    i->op = d.row.op;
    i->form = d.row.form;
    i->length = (u8)d.used;
    return INSN_DECODED;
}

unsigned insn_length(const u8 *bytes, unsigned count, enum insn_mode mode)
{
    struct insn i;

    return insn_decode(&i, bytes, count, mode) == INSN_DECODED ? i.length : 0;
}

enum err insn_explain(struct why *why, const u8 *bytes, unsigned count, enum insn_mode mode)
{
    static const char *const names[] = {[INSN_16] = "16", [INSN_32] = "32", [INSN_64] = "64"};
    char text[3 * INSN_MAX_LENGTH + 1] = "";

    for (unsigned n = 0; n < MIN(count, INSN_MAX_LENGTH); n++)
        str_format(text + 3 * n, sizeof(text) - 3 * n, " %02x", bytes[n]);
    return why_set(why, E_UNSUPPORTED,
                   "the instruction at%s (%s-bit code) is not one that Ferry carries out on a "
                   "device",
                   count ? text : " an unreadable address", names[mode]);
}

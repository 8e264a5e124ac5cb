/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder against Zydis: what both decode must agree in length, operand size, memory operand
 * and immediate; what Ferry decodes, Zydis must decode. Random bytes biased to known opcodes, from
 * a fixed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <Zydis/Zydis.h>
#include "vmm/insn.h"
#include "vmm/insn_table.h"
#include "kernel/string.h"

static u64 seed = 0x9e3779b97f4a7c15ull;

/* xorshift64* (Vigna 2016) */
static u64 random64(void)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545f4914f6cdd1dull;
}

static u8 pick_known(const struct insn_row *rows)
{
    u8 opcode;

    do
        opcode = (u8)(random64() >> 32);
    while (rows[opcode].form == INSN_FORM_NONE || rows[opcode].form == ROW_PREFIX);
    return opcode;
}

static void make_bytes(u8 bytes[INSN_MAX_LENGTH], enum insn_mode mode)
{
    static const u8 prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                  0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x66};
    unsigned n = 0, count = (unsigned)(random64() >> 60);

    for (unsigned b = 0; b < INSN_MAX_LENGTH; b++)
        bytes[b] = (u8)(random64() >> 40);
    for (count = count < 8 ? 0 : count - 8; count; count--)
        bytes[n++] = prefixes[(random64() >> 33) % COUNT_OF(prefixes)];
    if (mode == INSN_64 && (random64() >> 63))
        bytes[n++] = (u8)(0x40 | random64() >> 60);
    switch (random64() >> 62) {
    case 0: break; /* any opcode */
    case 1:
        bytes[n++] = 0x0f;
        bytes[n] = pick_known(insn_two_byte);
        break;
    default: bytes[n] = pick_known(insn_one_byte); break;
    }
}

static ZydisRegister zydis_gpr(u8 reg, unsigned size)
{
    if (reg == INSN_NO_REG)
        return ZYDIS_REGISTER_NONE;
    return (size == 8   ? ZYDIS_REGISTER_RAX
            : size == 4 ? ZYDIS_REGISTER_EAX
                        : ZYDIS_REGISTER_AX) +
           reg;
}

static ZydisRegister zydis_operand(u8 reg, unsigned size)
{
    if (size > 1)
        return zydis_gpr(reg, size);
    if (reg >= INSN_REG_AH)
        return ZYDIS_REGISTER_AH + reg - INSN_REG_AH;
    return (reg < 4 ? ZYDIS_REGISTER_AL : ZYDIS_REGISTER_SPL - 4) + reg;
}

static void show(const char *what, const u8 *bytes, unsigned mode)
{
    printf("%s, %u-bit:", what, 16u << mode);
    for (unsigned n = 0; n < INSN_MAX_LENGTH; n++)
        printf(" %02x", bytes[n]);
    printf("\n");
}

#define AGREE(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            show(#condition, bytes, i->mode);                                                      \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Zydis 4.0 takes the missing base of a SIB with mod 0 for R13 where REX.B and a 67 prefix meet. The
 * CPU does not (SDM 2A 2.2.1.6, table 2-5; test_insn_exec asks it). */
static bool is_zydis_r13(const struct insn *i, const ZydisDecodedOperandMem *m)
{
    return i->mode == INSN_64 && i->address_size == 4 && i->mem.base == INSN_NO_REG &&
           m->base == ZYDIS_REGISTER_R13D && !m->disp.has_displacement;
}

static void compare_memory(const struct insn *i, const ZydisDecodedOperandMem *m, const u8 *bytes)
{
    const struct insn_mem *our = &i->mem;

    AGREE(m->segment == (ZydisRegister)(ZYDIS_REGISTER_ES + our->segment));
    AGREE(m->index == zydis_gpr(our->index, i->address_size));
    AGREE(m->scale == our->scale);
    if (is_zydis_r13(i, m))
        return;
    if (our->rip)
        AGREE(m->base == (i->address_size == 8 ? ZYDIS_REGISTER_RIP : ZYDIS_REGISTER_EIP));
    else
        AGREE(m->base == zydis_gpr(our->base, i->address_size));
    AGREE((m->disp.has_displacement ? m->disp.value : 0) == our->disp);
}

static unsigned zydis_size(const ZydisDecodedOperand *o)
{
    return o->size / 8;
}

static const ZydisDecodedOperand *find_operand(const ZydisDecodedInstruction *z,
                                               const ZydisDecodedOperand *ops,
                                               ZydisOperandType type)
{
    for (unsigned n = 0; n < z->operand_count; n++)
        if (ops[n].type == type)
            return &ops[n];
    return NULL;
}

/* The ModRM.rm operand comes first, but where a register is the destination. */
static void compare_operands(const struct insn *i, const ZydisDecodedInstruction *z,
                             const ZydisDecodedOperand *ops, const u8 *bytes)
{
    const ZydisDecodedOperand *rm = &ops[i->form == INSN_FORM_REG_RM];
    const ZydisDecodedOperand *reg = &ops[i->form != INSN_FORM_REG_RM];
    bool has_reg = i->form == INSN_FORM_RM_REG || i->form == INSN_FORM_REG_RM;

    if (i->form == INSN_FORM_STRING)
        rm = &ops[i->op != INSN_STOS];
    AGREE(zydis_size(rm) == i->source_size || i->op == INSN_NOP);
    AGREE((rm->type == ZYDIS_OPERAND_TYPE_MEMORY) == i->memory);
    if (i->memory && i->op != INSN_STOS)
        compare_memory(i, &rm->mem, bytes);
    else if (!i->memory && i->form != INSN_FORM_NOP)
        AGREE(rm->reg.value == zydis_operand(i->rm, i->source_size));
    if (has_reg) {
        AGREE(zydis_size(reg) == i->size);
        AGREE(reg->reg.value == zydis_operand(i->reg, i->size));
    }
    if (i->form == INSN_FORM_RM_IMM) {
        const ZydisDecodedOperand *imm = find_operand(z, ops, ZYDIS_OPERAND_TYPE_IMMEDIATE);
        u64 mask = imm && imm->imm.is_signed ? U64_MAX : U64_MAX >> (64 - z->raw.imm[0].size);

        AGREE(imm && (imm->imm.value.u & mask) == (i->imm & mask));
    }
}

static void compare_control(const struct insn *i, const ZydisDecodedOperand *ops, const u8 *bytes)
{
    bool to = i->op == INSN_MOV_TO_CR || i->op == INSN_MOV_TO_DR;
    bool debug = i->op == INSN_MOV_TO_DR || i->op == INSN_MOV_FROM_DR;

    AGREE(ops[to].reg.value == zydis_gpr(i->rm, i->size));
    AGREE(ops[!to].reg.value ==
          (ZydisRegister)(debug ? ZYDIS_REGISTER_DR0 : ZYDIS_REGISTER_CR0) + i->reg);
}

static const ZydisMnemonic mnemonics[INSN_OP_COUNT] = {
    [INSN_ADD] = ZYDIS_MNEMONIC_ADD,         [INSN_OR] = ZYDIS_MNEMONIC_OR,
    [INSN_ADC] = ZYDIS_MNEMONIC_ADC,         [INSN_SBB] = ZYDIS_MNEMONIC_SBB,
    [INSN_AND] = ZYDIS_MNEMONIC_AND,         [INSN_SUB] = ZYDIS_MNEMONIC_SUB,
    [INSN_XOR] = ZYDIS_MNEMONIC_XOR,         [INSN_CMP] = ZYDIS_MNEMONIC_CMP,
    [INSN_MOVZX] = ZYDIS_MNEMONIC_MOVZX,     [INSN_TEST] = ZYDIS_MNEMONIC_TEST,
    [INSN_NOT] = ZYDIS_MNEMONIC_NOT,         [INSN_NEG] = ZYDIS_MNEMONIC_NEG,
    [INSN_INC] = ZYDIS_MNEMONIC_INC,         [INSN_DEC] = ZYDIS_MNEMONIC_DEC,
    [INSN_XCHG] = ZYDIS_MNEMONIC_XCHG,       [INSN_CMPXCHG] = ZYDIS_MNEMONIC_CMPXCHG,
    [INSN_XADD] = ZYDIS_MNEMONIC_XADD,       [INSN_BT] = ZYDIS_MNEMONIC_BT,
    [INSN_BTS] = ZYDIS_MNEMONIC_BTS,         [INSN_BTR] = ZYDIS_MNEMONIC_BTR,
    [INSN_BTC] = ZYDIS_MNEMONIC_BTC,         [INSN_PUSH] = ZYDIS_MNEMONIC_PUSH,
    [INSN_POP] = ZYDIS_MNEMONIC_POP,         [INSN_NOP] = ZYDIS_MNEMONIC_NOP,
    [INSN_MOV_FROM_CR] = ZYDIS_MNEMONIC_MOV, [INSN_MOV_TO_CR] = ZYDIS_MNEMONIC_MOV,
    [INSN_MOV_FROM_DR] = ZYDIS_MNEMONIC_MOV, [INSN_MOV_TO_DR] = ZYDIS_MNEMONIC_MOV,
};

static void compare(const struct insn *i, const ZydisDecodedInstruction *z,
                    const ZydisDecodedOperand *ops, const u8 *bytes)
{
    AGREE(z->length == i->length);
    if (i->op == INSN_OTHER)
        return;
    AGREE(z->address_width == i->address_size * 8);
    AGREE(mnemonics[i->op] == 0 || mnemonics[i->op] == z->mnemonic);
    AGREE(!!(z->attributes & ZYDIS_ATTRIB_HAS_LOCK) == i->lock);
    if (i->form == INSN_FORM_CR)
        compare_control(i, ops, bytes);
    else
        compare_operands(i, z, ops, bytes);
}

static void one_instruction(const ZydisDecoder *decoder, enum insn_mode mode, unsigned *decoded,
                            unsigned *missed)
{
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisDecodedInstruction z;
    u8 bytes[INSN_MAX_LENGTH];
    struct insn insn, *i = &insn;
    enum insn_result r;
    bool theirs;

    make_bytes(bytes, mode);
    r = insn_decode(i, bytes, sizeof(bytes), mode);
    theirs = ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, sizeof(bytes), &z, ops));
    AGREE(r != INSN_MORE); /* 15 bytes are all there can be */
    if (r == INSN_DECODED) {
        AGREE(theirs);
        compare(i, &z, ops, bytes);
        *decoded += 1;
    } else if (r == INSN_ILLEGAL) {
        AGREE(!theirs);
    } else if (theirs) {
        *missed += 1;
    }
}

static void the_decoder_agrees_with_zydis(void **state)
{
    static const ZydisMachineMode machine[] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    unsigned decoded = 0, missed = 0;

    (void)state;
    for (enum insn_mode mode = INSN_16; mode <= INSN_64; mode++) {
        ZydisDecoder decoder;

        ZydisDecoderInit(&decoder, machine[mode], (ZydisStackWidth)mode);
        for (unsigned n = 0; n < 340000; n++)
            one_instruction(&decoder, mode, &decoded, &missed);
    }
    printf("%u decoded alike, %u known to Zydis alone\n", decoded, missed);
    assert_true(decoded > 400000);
}

/* Whatever is decoded from 15 bytes is decoded from its own bytes alone, and from no fewer. */
static void a_shorter_prefix_of_an_instruction_asks_for_more(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 100000; n++) {
        enum insn_mode mode = (enum insn_mode)(n % 3);
        struct insn whole, part;
        u8 bytes[INSN_MAX_LENGTH];

        make_bytes(bytes, mode);
        if (insn_decode(&whole, bytes, sizeof(bytes), mode) != INSN_DECODED)
            continue;
        assert_int_equal(insn_decode(&part, bytes, whole.length, mode), INSN_DECODED);
        assert_memory_equal(&part, &whole, sizeof(whole));
        assert_int_equal(insn_decode(&part, bytes, whole.length - 1, mode), INSN_MORE);
        assert_int_equal(insn_length(bytes, whole.length, mode), whole.length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_decoder_agrees_with_zydis),
        cmocka_unit_test(a_shorter_prefix_of_an_instruction_asks_for_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

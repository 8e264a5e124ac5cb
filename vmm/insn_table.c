/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn_table.h"

/* Opcode maps: SDM 2D appendix A.3 (tables ), groups A.4 (table A-6). */

/* clang-format off */
#define ROW(operation, how, extra) {.op = (operation), .form = (how), .flags = (extra)}
/* clang-format on */
#define RM_REG(operation, extra) ROW(operation, INSN_FORM_RM_REG, extra)
#define REG_RM(operation, extra) ROW(operation, INSN_FORM_REG_RM, extra)
#define RM_IMM(operation, extra) ROW(operation, INSN_FORM_RM_IMM, extra)
#define RM(operation, extra)     ROW(operation, INSN_FORM_RM, extra)
#define STRING(operation, extra) ROW(operation, INSN_FORM_STRING, extra)
#define CR(operation)            ROW(operation, INSN_FORM_CR, 0)
#define GROUP(group, extra)      ROW(group, ROW_GROUP, extra)
#define ALONE(extra)             ROW(INSN_OTHER, ROW_ALONE, extra)
#define PREFIX(kind)             ROW(kind, ROW_PREFIX, 0)
#define SEGMENT(segment)         ROW(PREFIX_SEGMENT, ROW_PREFIX, segment)
#define MOFFS(direction, extra)  ROW(INSN_MOV, direction, extra)

/* op r/m8,r8; op r/m,r; op r8,r/m8; op r,r/m */
#define ALU(opcode, operation, lock)                                                               \
    [(opcode)] = RM_REG(operation, ROW_BYTE | (lock)), [(opcode) + 1] = RM_REG(operation, lock),   \
    [(opcode) + 2] = REG_RM(operation, ROW_BYTE), [(opcode) + 3] = REG_RM(operation, 0)

const struct insn_row insn_one_byte[256] = {
    ALU(0x00, INSN_ADD, ROW_LOCK),
    ALU(0x08, INSN_OR, ROW_LOCK),
    ALU(0x10, INSN_ADC, ROW_LOCK),
    ALU(0x18, INSN_SBB, ROW_LOCK),
    ALU(0x20, INSN_AND, ROW_LOCK),
    ALU(0x28, INSN_SUB, ROW_LOCK),
    ALU(0x30, INSN_XOR, ROW_LOCK),
    ALU(0x38, INSN_CMP, 0),
    [0x26] = SEGMENT(SEG_ES),
    [0x2e] = SEGMENT(SEG_CS),
    [0x36] = SEGMENT(SEG_SS),
    [0x3e] = SEGMENT(SEG_DS),
    [0x64] = SEGMENT(SEG_FS),
    [0x65] = SEGMENT(SEG_GS),
    [0x66] = PREFIX(PREFIX_OPERAND),
    [0x67] = PREFIX(PREFIX_ADDRESS),
    [0xf0] = PREFIX(PREFIX_LOCK),
    [0xf2] = PREFIX(PREFIX_REPEAT),
    [0xf3] = PREFIX(PREFIX_REPEAT),
    [0x63] = {.op = INSN_MOVSX, .form = INSN_FORM_REG_RM, .flags = ROW_ONLY64, .source = 4},
    [0x6c] = ALONE(0), /* INS, OUTS */
    [0x6d] = ALONE(0),
    [0x6e] = ALONE(0),
    [0x6f] = ALONE(0),
    [0x80] = GROUP(GROUP_1, ROW_BYTE | ROW_IMM),
    [0x81] = GROUP(GROUP_1, ROW_IMM),
    [0x83] = GROUP(GROUP_1, ROW_IMM8),
    [0x84] = RM_REG(INSN_TEST, ROW_BYTE),
    [0x85] = RM_REG(INSN_TEST, 0),
    [0x86] = RM_REG(INSN_XCHG, ROW_BYTE | ROW_LOCK),
    [0x87] = RM_REG(INSN_XCHG, ROW_LOCK),
    [0x88] = RM_REG(INSN_MOV, ROW_BYTE),
    [0x89] = RM_REG(INSN_MOV, 0),
    [0x8a] = REG_RM(INSN_MOV, ROW_BYTE),
    [0x8b] = REG_RM(INSN_MOV, 0),
    [0x8f] = GROUP(GROUP_1A, ROW_64),
    [0x90] = ALONE(0), /* NOP, PAUSE */
    [0xa0] = MOFFS(ROW_LOAD_MOFFS, ROW_BYTE),
    [0xa1] = MOFFS(ROW_LOAD_MOFFS, 0),
    [0xa2] = MOFFS(ROW_STORE_MOFFS, ROW_BYTE),
    [0xa3] = MOFFS(ROW_STORE_MOFFS, 0),
    [0xa4] = STRING(INSN_MOVS, ROW_BYTE),
    [0xa5] = STRING(INSN_MOVS, 0),
    [0xaa] = STRING(INSN_STOS, ROW_BYTE),
    [0xab] = STRING(INSN_STOS, 0),
    [0xac] = STRING(INSN_LODS, ROW_BYTE),
    [0xad] = STRING(INSN_LODS, 0),
    [0xc6] = GROUP(GROUP_11, ROW_BYTE | ROW_IMM),
    [0xc7] = GROUP(GROUP_11, ROW_IMM),
    [0xcc] = ALONE(0),        /* INT3 */
    [0xcd] = ALONE(ROW_IMM8), /* INT */
    [0xe4] = ALONE(ROW_IMM8), /* IN, OUT */
    [0xe5] = ALONE(ROW_IMM8),
    [0xe6] = ALONE(ROW_IMM8),
    [0xe7] = ALONE(ROW_IMM8),
    [0xec] = ALONE(0),
    [0xed] = ALONE(0),
    [0xee] = ALONE(0),
    [0xef] = ALONE(0),
    [0xf4] = ALONE(0), /* HLT */
    [0xf6] = GROUP(GROUP_3, ROW_BYTE),
    [0xf7] = GROUP(GROUP_3, 0),
    [0xfe] = GROUP(GROUP_4, ROW_BYTE),
    [0xff] = GROUP(GROUP_5, 0),
};

const struct insn_row insn_two_byte[256] = {
    [0x01] = {.op = INSN_OTHER, .form = ROW_SYSTEM},
    [0x06] = ALONE(0), /* CLTS */
    [0x08] = ALONE(0), /* INVD */
    [0x09] = ALONE(0), /* WBINVD */
    [0x1f] = {.op = INSN_NOP, .form = INSN_FORM_NOP},
    [0x20] = CR(INSN_MOV_FROM_CR),
    [0x21] = CR(INSN_MOV_FROM_DR),
    [0x22] = CR(INSN_MOV_TO_CR),
    [0x23] = CR(INSN_MOV_TO_DR),
    [0x30] = ALONE(0), /* WRMSR */
    [0x31] = ALONE(0), /* RDTSC */
    [0x32] = ALONE(0), /* RDMSR */
    [0x33] = ALONE(0), /* RDPMC */
    [0xa2] = ALONE(0), /* CPUID */
    [0xa3] = RM_REG(INSN_BT, 0),
    [0xab] = RM_REG(INSN_BTS, ROW_LOCK),
    [0xb0] = RM_REG(INSN_CMPXCHG, ROW_BYTE | ROW_LOCK),
    [0xb1] = RM_REG(INSN_CMPXCHG, ROW_LOCK),
    [0xb3] = RM_REG(INSN_BTR, ROW_LOCK),
    [0xb6] = {.op = INSN_MOVZX, .form = INSN_FORM_REG_RM, .source = 1},
    [0xb7] = {.op = INSN_MOVZX, .form = INSN_FORM_REG_RM, .source = 2},
    [0xba] = GROUP(GROUP_8, ROW_IMM8),
    [0xbb] = RM_REG(INSN_BTC, ROW_LOCK),
    [0xbe] = {.op = INSN_MOVSX, .form = INSN_FORM_REG_RM, .source = 1},
    [0xbf] = {.op = INSN_MOVSX, .form = INSN_FORM_REG_RM, .source = 2},
    [0xc0] = RM_REG(INSN_XADD, ROW_BYTE | ROW_LOCK),
    [0xc1] = RM_REG(INSN_XADD, ROW_LOCK),
    [0xc3] = RM_REG(INSN_MOV, ROW_PLAIN), /* MOVNTI */
};

const struct insn_row insn_groups[GROUP_COUNT][8] = {
    [GROUP_1] = {RM_IMM(INSN_ADD, ROW_LOCK), RM_IMM(INSN_OR, ROW_LOCK), RM_IMM(INSN_ADC, ROW_LOCK),
                 RM_IMM(INSN_SBB, ROW_LOCK), RM_IMM(INSN_AND, ROW_LOCK), RM_IMM(INSN_SUB, ROW_LOCK),
                 RM_IMM(INSN_XOR, ROW_LOCK), RM_IMM(INSN_CMP, 0)},
    [GROUP_1A] = {[0] = {.op = INSN_POP, .form = INSN_FORM_POP}},
    [GROUP_3] = {[0] = RM_IMM(INSN_TEST, ROW_IMM),
                 [1] = RM_IMM(INSN_TEST, ROW_IMM), /* APM 3 appendix A.2; all CPUs have it */
                 [2] = RM(INSN_NOT, ROW_LOCK),
                 [3] = RM(INSN_NEG, ROW_LOCK)},
    [GROUP_4] = {[0] = RM(INSN_INC, ROW_LOCK), [1] = RM(INSN_DEC, ROW_LOCK)},
    [GROUP_5] = {[0] = RM(INSN_INC, ROW_LOCK),
                 [1] = RM(INSN_DEC, ROW_LOCK),
                 [6] = {.op = INSN_PUSH, .form = INSN_FORM_PUSH, .flags = ROW_64}},
    [GROUP_8] = {[4] = RM_IMM(INSN_BT, 0),
                 [5] = RM_IMM(INSN_BTS, ROW_LOCK),
                 [6] = RM_IMM(INSN_BTR, ROW_LOCK),
                 [7] = RM_IMM(INSN_BTC, ROW_LOCK)},
    [GROUP_11] = {[0] = RM_IMM(INSN_MOV, 0)},
};

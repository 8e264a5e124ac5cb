/* SPDX-License-Identifier: BSD-2-Clause */
/* Instructions that touch a device's memory: decoding, addressing, execution.
 *
 * A guest's access to a device leaves the guest with an address but not with the instruction's
 * meaning; this finds it in the bytes. Only instructions that compilers and kernels use on device
 * memory are known, and those whose length a CPU without next-rip does not tell. Anything else
 * is INSN_UNKNOWN, never a guess.
 *
 *     legacy prefixes | REX | opcode (0F)? | ModRM | SIB | displacement | immediate   <= 15 bytes
 *
 * Pure functions over their arguments; anyone may call them, on any CPU, with any lock. */
#pragma once
#include "kernel/hvm.h"

#define INSN_MAX_LENGTH 15
#define INSN_NO_REG     0xff
/* Byte registers without a REX prefix: 16 to 19 are AH, CH, DH, BH. */
#define INSN_REG_AH 16

enum insn_mode { INSN_16, INSN_32, INSN_64 };

enum insn_op {
    /* In the order of bits 5:3 of opcodes 00-3B and of group 1. */
    INSN_ADD,
    INSN_OR,
    INSN_ADC,
    INSN_SBB,
    INSN_AND,
    INSN_SUB,
    INSN_XOR,
    INSN_CMP,
    INSN_MOV,
    INSN_MOVZX,
    INSN_MOVSX,
    INSN_TEST,
    INSN_NOT,
    INSN_NEG,
    INSN_INC,
    INSN_DEC,
    INSN_XCHG,
    INSN_CMPXCHG,
    INSN_XADD,
    INSN_BT,
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_MOVS,
    INSN_STOS,
    INSN_LODS,
    INSN_PUSH,
    INSN_POP,
    INSN_NOP,
    /* .reg is the number of the control or debug register, .rm the general register. */
    INSN_MOV_FROM_CR,
    INSN_MOV_TO_CR,
    INSN_MOV_FROM_DR,
    INSN_MOV_TO_DR,
    INSN_OTHER, /* CPUID, HLT, RDMSR, IN, ...: only the length means anything */
    INSN_OP_COUNT
};

enum insn_form {
    INSN_FORM_NONE,   /* of no instruction that is known here */
    INSN_FORM_RM_REG, /* rm is the destination, reg the source */
    INSN_FORM_REG_RM,
    INSN_FORM_RM_IMM,
    INSN_FORM_RM, /* one operand */
    INSN_FORM_STRING,
    INSN_FORM_PUSH,
    INSN_FORM_POP,
    INSN_FORM_NOP,
    INSN_FORM_CR,
    INSN_FORM_OTHER,
    INSN_FORM_COUNT
};

struct insn_mem {
    u8 segment; /* SEG_*, override or default */
    u8 base;    /* REG_* or INSN_NO_REG */
    u8 index;   /* REG_* or INSN_NO_REG */
    u8 scale;   /* 1, 2, 4, 8; 0 without an index */
    bool rip;   /* relative to the next instruction */
    s64 disp;
};

struct insn {
    u8 length;
    u8 mode;         /* enum insn_mode */
    u8 op;           /* enum insn_op */
    u8 form;         /* enum insn_form */
    u8 size;         /* bytes of the operation: 1, 2, 4, 8 */
    u8 source_size;  /* the same, but for MOVZX and MOVSX */
    u8 address_size; /* 2, 4, 8 */
    u8 reg;          /* register operand */
    u8 rm;           /* register in ModRM.rm, where memory is false */
    bool memory;     /* ModRM.rm (or moffs) is .mem; string forms: .mem is the rSI operand */
    bool lock;
    bool rep; /* F2 or F3 before a string instruction */
    struct insn_mem mem;
    u64 imm; /* sign-extended to 64 bits */
};

enum insn_result {
    INSN_DECODED,
    INSN_MORE,    /* the bytes end before the instruction does */
    INSN_UNKNOWN, /* not one of those known here */
    INSN_ILLEGAL, /* the CPU would refuse it: LOCK where it may not be, 16 bytes or more, ... */
};

/* Which way the CPU reads code now. */
enum insn_mode insn_mode(const struct hvm_mode *m, u64 rflags);

/* Decodes the instruction that starts at bytes[0]. *i is valid after INSN_DECODED alone. */
enum insn_result insn_decode(struct insn *i, const u8 *bytes, unsigned count,
                             enum insn_mode mode) MUST_CHECK;
/* The length of a known and legal instruction, else 0. */
unsigned insn_length(const u8 *bytes, unsigned count, enum insn_mode mode);
/* Says which bytes were not understood. Returns E_UNSUPPORTED. */
enum err insn_explain(struct why *why, const u8 *bytes, unsigned count, enum insn_mode mode);

/* The effective address of i->mem, truncated to the address size. */
u64 insn_effective(const struct insn *i, const u64 gpr[REG_COUNT], u64 rip);
/* Segmentation: the linear address of `size` bytes at an effective address. False where the CPU
 * would raise an exception with error code 0: #SS for SEG_SS, else #GP (SDM 1 3.3.7, 3A 5.3). */
bool insn_linear(const struct hvm_mode *m, u64 rflags, u8 segment, u64 effective, unsigned size,
                 bool write, gva_t *linear) MUST_CHECK;

enum insn_status {
    INSN_DONE,    /* carried out; rip is behind it */
    INSN_AGAIN,   /* one iteration of a REP form is carried out, and more are due; rip stays */
    INSN_FAULT,   /* an exception is due; nothing has changed */
    INSN_STOP,    /* the bus gave up; nothing has changed */
    INSN_REFUSED, /* not an instruction for insn_execute (control registers, INSN_OTHER) */
};

/* Where an instruction's operands are. Linear addresses; size is 1, 2, 4 or 8, and the bytes may
 * cross a page. Each callback returns INSN_DONE, or INSN_FAULT after it has noted the exception
 * to inject, or INSN_STOP. */
struct insn_bus {
    void *ctx;
    /* Would a write succeed? Called before the first read of an instruction that also writes
     * memory, so that no device is read for an instruction that then faults. No side effect
     * but the guest's accessed and dirty bits. */
    enum insn_status (*probe)(void *ctx, gva_t at, unsigned size);
    /* *value is zero-extended. */
    enum insn_status (*read)(void *ctx, gva_t at, unsigned size, u64 *value);
    /* All or nothing: a write that crosses into a page that faults changes neither. */
    enum insn_status (*write)(void *ctx, gva_t at, unsigned size, u64 value);
    /* Notes an exception of the instruction's own: VEC_GP or VEC_SS, error code 0. */
    void (*raise)(void *ctx, u8 vector, u32 code);
};

/* Carries out i, or one iteration of it, as the CPU would. Registers and flags change only with
 * INSN_DONE and INSN_AGAIN. RFLAGS.RF is cleared at the end; a single-step trap (RFLAGS.TF) is
 * the caller's. A LOCK prefix is not atomic against other CPUs: the operand is a device's. */
enum insn_status insn_execute(const struct insn *i, const struct insn_bus *bus,
                              const struct hvm_mode *m, u64 gpr[REG_COUNT], u64 *rip,
                              u64 *rflags) MUST_CHECK;

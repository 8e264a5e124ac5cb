/* SPDX-License-Identifier: BSD-2-Clause */
/* The instruction decoder and executor, fed with anything:
 *     mode | rflags (2) | CS attributes | REX of the state (4) | 15 bytes of code | registers */
#include "vmm/insn.h"
#include "kernel/string.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

struct input {
    u8 mode, status, flags_low, flags_high;
    u8 attr[4];
    u8 code_size;
    u8 code[INSN_MAX_LENGTH];
    u64 gpr[4];
};

struct state {
    const struct input *in;
    unsigned reads, writes;
    bool raised;
};

static enum insn_status answer(const struct state *s, unsigned shift)
{
    static const enum insn_status all[] = {INSN_DONE, INSN_DONE, INSN_FAULT, INSN_STOP};

    return all[(s->in->status >> shift) & 3];
}

static enum insn_status fuzz_probe(void *ctx, gva_t at, unsigned size)
{
    struct state *s = ctx;

    (void)at;
    CHECK(s->reads + s->writes == 0 && size <= 8);
    return answer(s, 0);
}

static enum insn_status fuzz_read(void *ctx, gva_t at, unsigned size, u64 *value)
{
    struct state *s = ctx;

    CHECK(s->writes == 0 && size <= 8);
    s->reads++;
    *value = (at.v * 0x9e3779b97f4a7c15ull) >> (64 - 8 * size);
    return answer(s, 2);
}

static enum insn_status fuzz_write(void *ctx, gva_t at, unsigned size, u64 value)
{
    struct state *s = ctx;

    (void)at;
    CHECK(s->writes == 0);
    CHECK(size == 8 || value < BIT(8 * size));
    s->writes++;
    return answer(s, 4);
}

static void fuzz_raise(void *ctx, u8 vector, u32 code)
{
    struct state *s = ctx;

    CHECK((vector == VEC_GP || vector == VEC_SS) && code == 0 && s->writes == 0);
    s->raised = true;
}

static struct hvm_mode make_mode(const struct input *in)
{
    struct hvm_mode m = {.cr0 = in->mode & 4 ? 0 : CR0_PE};

    if ((in->mode & 3) == INSN_64)
        m.efer = EFER_LMA;
    for (unsigned n = 0; n < SEG_COUNT; n++)
        m.seg[n] = (struct hvm_segment){.base = n * 0x1000,
                                        .limit = 0xffff | (u32)in->attr[n & 3] << 16,
                                        .attr = in->attr[n & 3] | 0xc000u};
    m.seg[SEG_CS].attr = (in->mode & 3) == INSN_64   ? 0xa09b
                         : (in->mode & 3) == INSN_32 ? 0xc09b
                                                     : 0x9b;
    return m;
}

static void check_decoding(const struct insn *i, const u8 *code, unsigned count,
                           enum insn_mode mode)
{
    struct insn again;

    CHECK(i->length >= 1 && i->length <= INSN_MAX_LENGTH && i->length <= count);
    CHECK(i->size == 1 || i->size == 2 || i->size == 4 || i->size == 8);
    CHECK(i->source_size <= i->size && i->source_size >= 1);
    CHECK(i->op < INSN_OP_COUNT && i->form < INSN_FORM_COUNT && i->form != INSN_FORM_NONE);
    CHECK(!i->memory || i->form == INSN_FORM_OTHER || i->mem.segment <= SEG_GS);
    CHECK(insn_decode(&again, code, i->length, mode) == INSN_DECODED);
    CHECK(again.length == i->length);
    CHECK(insn_decode(&again, code, i->length - 1u, mode) == INSN_MORE);
}

static void check_execution(const struct insn *i, const struct input *in)
{
    struct state state = {.in = in};
    struct insn_bus bus = {&state, fuzz_probe, fuzz_read, fuzz_write, fuzz_raise};
    struct hvm_mode mode = make_mode(in);
    u64 gpr[REG_COUNT], before[REG_COUNT], rip = in->gpr[0];
    u64 rflags = RFLAGS_FIXED | in->flags_low | (u64)in->flags_high << 8;
    enum insn_status s;

    for (unsigned n = 0; n < REG_COUNT; n++)
        gpr[n] = in->gpr[n & 3] + n;
    memcpy(before, gpr, sizeof(gpr));
    s = insn_execute(i, &bus, &mode, gpr, &rip, &rflags);
    CHECK(!state.raised || s == INSN_FAULT);
    if (s == INSN_DONE || s == INSN_AGAIN)
        return;
    CHECK(memcmp(before, gpr, sizeof(gpr)) == 0 && rip == in->gpr[0]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {0};
    enum insn_mode mode;
    struct insn i;
    struct why why;
    unsigned count;

    memcpy(&in, data, MIN(size, sizeof(in)));
    mode = (in.mode & 3) == 3 ? INSN_64 : (enum insn_mode)(in.mode & 3);
    in.mode = (u8)((in.mode & 4) | mode);
    count = in.code_size % (INSN_MAX_LENGTH + 1);
    if (insn_decode(&i, in.code, count, mode) != INSN_DECODED) {
        insn_explain(&why, in.code, count, mode);
        return 0;
    }
    check_decoding(&i, in.code, count, mode);
    check_execution(&i, &in);
    return 0;
}

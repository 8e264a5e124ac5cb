/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/load.h"
#include "kernel/string.h"

#define PAT_AT_RESET 0x0007040600070406ull /* SDM 3A 11.12.4 */

enum err load_zero(const struct load_memory *m, u64 from, u64 to)
{
    static const u8 zeros[PAGE_SIZE];
    enum err e = OK;

    while (e == OK && from < to) {
        size_t size = MIN(to - from, sizeof(zeros));

        e = m->write(m->ctx, GPA(from), zeros, size);
        from += size;
    }
    return e;
}

enum err load_text(const struct load_memory *m, u64 to, const char *text)
{
    return m->write(m->ctx, GPA(to), text, strlen(text) + 1);
}

enum err load_explain(enum err e, const char *what, struct why *why)
{
    return e == OK ? OK
                   : why_set(why, e, "cannot write %s into guest memory: %s", what, err_name(e));
}

void load_flat_state(struct hvm_state *s, u16 code, u16 data, u32 code_attr)
{
    struct hvm_segment flat = {.selector = data, .limit = ~0u, .attr = 0xc093};

    memset(s, 0, sizeof(*s));
    s->rflags = RFLAGS_FIXED;
    s->dr6 = 0xffff0ff0; /* SDM 3A table 9-1 */
    s->dr7 = 0x400;
    s->xcr0 = 1;
    s->msr[HVM_MSR_PAT] = PAT_AT_RESET;
    s->mode.cr0 = CR0_PE | CR0_ET | CR0_NE;
    for (unsigned n = SEG_ES; n <= SEG_GS; n++)
        s->mode.seg[n] = flat;
    s->mode.seg[SEG_CS].selector = code;
    s->mode.seg[SEG_CS].attr = code_attr;
    s->mode.seg[SEG_LDTR].attr = SEG_ATTR_UNUSABLE;
    s->mode.seg[SEG_TR] = (struct hvm_segment){.limit = 0x67, .attr = 0x8b}; /* busy TSS */
}

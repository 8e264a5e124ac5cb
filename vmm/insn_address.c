/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/insn.h"

enum insn_mode insn_mode(const struct hvm_mode *m, u64 rflags)
{
    u32 cs = m->seg[SEG_CS].attr;

    if (!(m->cr0 & CR0_PE))
        return INSN_16;
    if (m->efer & EFER_LMA)
        return cs & SEG_ATTR_L ? INSN_64 : cs & SEG_ATTR_DB ? INSN_32 : INSN_16;
    if (rflags & RFLAGS_VM)
        return INSN_16;
    return cs & SEG_ATTR_DB ? INSN_32 : INSN_16;
}

u64 insn_effective(const struct insn *i, const u64 gpr[REG_COUNT], u64 rip)
{
    const struct insn_mem *m = &i->mem;
    u64 address = (u64)m->disp;

    if (m->base != INSN_NO_REG)
        address += gpr[m->base];
    if (m->index != INSN_NO_REG)
        address += gpr[m->index] * m->scale;
    if (m->rip)
        address += rip + i->length;
    return i->address_size == 8 ? address : address & (BIT(8 * i->address_size) - 1);
}

static bool canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address;
}

static bool linear64(const struct hvm_mode *m, u8 segment, u64 effective, unsigned size,
                     gva_t *linear)
{
    u64 base = segment == SEG_FS || segment == SEG_GS ? m->seg[segment].base : 0;

    *linear = GVA(base + effective);
    return canonical(linear->v) && canonical(linear->v + size - 1);
}

#define TYPE_CODE     BIT(3)
#define TYPE_DOWN     BIT(2) /* data: expands down */
#define TYPE_WRITABLE BIT(1) /* data; of code: readable */

static bool rights_allow(const struct hvm_segment *s, bool write)
{
    if (s->attr & SEG_ATTR_UNUSABLE)
        return false;
    if (s->attr & TYPE_CODE)
        return !write && (s->attr & TYPE_WRITABLE);
    return !write || (s->attr & TYPE_WRITABLE);
}

static bool within_limit(const struct hvm_segment *s, u64 effective, unsigned size)
{
    u64 last = effective + size - 1;

    if ((s->attr & (TYPE_CODE | TYPE_DOWN)) == TYPE_DOWN)
        return effective > s->limit && last <= (s->attr & SEG_ATTR_DB ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

bool insn_linear(const struct hvm_mode *m, u64 rflags, u8 segment, u64 effective, unsigned size,
                 bool write, gva_t *linear)
{
    const struct hvm_segment *s = &m->seg[segment];

    if (insn_mode(m, rflags) == INSN_64)
        return linear64(m, segment, effective, size, linear);
    if ((m->cr0 & CR0_PE) && !(rflags & RFLAGS_VM) && !rights_allow(s, write))
        return false;
    *linear = GVA((u32)(s->base + effective));
    return within_limit(s, effective, size);
}

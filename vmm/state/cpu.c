/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's registers and FPU. */
#include "kernel/string.h"
#include "vmm/state/sections.h"

#define RFLAGS_KNOWN 0x3f7fd7ull
#define CR4_KNOWN                                                                                  \
    (0x7ffull | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)
#define EFER_KNOWN    (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define ATTR_KNOWN    0x1f0ffu
#define ATTR_DPL      0x60u
#define PENDING_KNOWN 0x1500full /* B3 to B0, enabled breakpoint, BS, RTM (SDM 3C table 24-4) */

#define FPU_LEAST     576 /* legacy area and header (SDM 1 13.4) */
#define FPU_MXCSR     24
#define FPU_XSTATE_BV 512
#define FPU_RESERVED  520 /* XCOMP_BV and the rest of the header */
#define FPU_AVX_AT    576
#define FPU_AVX_SIZE  256

/* --- registers ------------------------------------------------------------------------------------ */

/* Of an unusable segment only its address counts, and of SS the privilege level: the CPUs keep different rests. */
static u32 plain_attr(u32 attr, unsigned seg)
{
    if (!(attr & SEG_ATTR_UNUSABLE))
        return attr & ATTR_KNOWN;
    return (u32)SEG_ATTR_UNUSABLE | (seg == SEG_SS ? attr & ATTR_DPL : 0);
}

static void put_mode(struct state_cpu *to, const struct hvm_mode *m)
{
    to->cr0 = m->cr0;
    to->cr3 = m->cr3;
    to->cr4 = m->cr4;
    to->efer = m->efer;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        to->segment[i] = (struct state_segment){.base = m->seg[i].base,
                                                .limit = m->seg[i].limit,
                                                .attr = plain_attr(m->seg[i].attr, i),
                                                .selector = m->seg[i].selector};
}

static void put_event(struct state_cpu *to, const struct hvm_event *e)
{
    if (!e->valid)
        return;
    to->event_valid = 1;
    to->event_has_code = e->has_code;
    to->event_type = e->type;
    to->event_vector = e->vector;
    to->event_code = e->has_code ? e->code : 0;
    to->event_length = e->type >= EVENT_SOFT_INT ? e->length : 0;
}

u32 state_get_cpu(struct vm *vm, u32 index, const struct vtime *now, void *buffer)
{
    struct vcpu *v = &vm->vcpu[index];
    struct state_cpu *to = buffer;
    struct hvm_state s = {0};

    (void)now;
    hvm->get_state(&v->hvm, &s);
    *to = (struct state_cpu){.rip = s.rip,
                             .rflags = s.rflags,
                             .cr2 = s.cr2,
                             .xcr0 = s.xcr0,
                             .dr6 = s.dr6,
                             .dr7 = s.dr7,
                             .pending_debug = s.pending_debug,
                             .gdtr_base = s.gdtr.base,
                             .gdtr_limit = s.gdtr.limit,
                             .idtr_base = s.idtr.base,
                             .idtr_limit = s.idtr.limit,
                             .tsc_adjust = v->tsc_adjust,
                             .kvmclock = v->kvmclock,
                             .sti_shadow = s.sti_shadow,
                             .mov_ss_shadow = s.mov_ss_shadow,
                             .nmi_blocked = s.nmi_blocked,
                             .activity = (u8)v->activity,
                             .wall_at = v->wall_due ? v->wall_at : 0,
                             .clock_due = v->clock_due,
                             .wall_due = v->wall_due};
    memcpy(to->gpr, s.gpr, sizeof(to->gpr));
    memcpy(to->dr, s.dr, sizeof(to->dr));
    memcpy(to->pdpte, s.pdpte, sizeof(to->pdpte));
    memcpy(to->msr, s.msr, sizeof(to->msr));
    to->msr[HVM_MSR_SFMASK] = (u32)s.msr[HVM_MSR_SFMASK]; /* the upper half does nothing */
    put_mode(to, &s.mode);
    put_event(to, &s.event);
    return sizeof(*to);
}

static bool is_canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address;
}

static bool control_is_valid(const struct state_cpu *c)
{
    bool paging = c->cr0 & CR0_PG, lma = c->efer & EFER_LMA;

    return !(c->cr0 >> 32) && (!paging || c->cr0 & CR0_PE) &&
           (!(c->cr0 & CR0_NW) || c->cr0 & CR0_CD) && !(c->cr4 & ~CR4_KNOWN) &&
           !(c->efer & ~EFER_KNOWN) && lma == (paging && (c->efer & EFER_LME)) &&
           (!lma || c->cr4 & CR4_PAE);
}

static bool segments_are_valid(const struct state_cpu *c)
{
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct state_segment *s = &c->segment[i];

        if (s->attr != plain_attr(s->attr, i) || !mem_is_zero(s->zero, sizeof(s->zero)))
            return false;
    }
    return true;
}

static bool pat_is_valid(u64 pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u8 type = (u8)(pat >> i);

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return true;
}

/* What a host would fault on that writes them. */
static bool msrs_are_valid(const u64 msr[HVM_MSR_COUNT])
{
    return is_canonical(msr[HVM_MSR_LSTAR]) && is_canonical(msr[HVM_MSR_CSTAR]) &&
           is_canonical(msr[HVM_MSR_KERNEL_GS_BASE]) && is_canonical(msr[HVM_MSR_SYSENTER_ESP]) &&
           is_canonical(msr[HVM_MSR_SYSENTER_EIP]) && !(msr[HVM_MSR_SYSENTER_CS] >> 32) &&
           !(msr[HVM_MSR_SFMASK] >> 32) && !(msr[HVM_MSR_TSC_AUX] >> 32) &&
           pat_is_valid(msr[HVM_MSR_PAT]);
}

static bool event_is_valid(const struct state_cpu *c)
{
    if (!c->event_valid)
        return !c->event_has_code && !c->event_type && !c->event_vector && !c->event_code &&
               !c->event_length;
    if (c->event_valid > 1 || c->event_has_code > 1 || c->event_length > 15 ||
        (!c->event_has_code && c->event_code))
        return false;
    switch (c->event_type) {
    case EVENT_IRQ: return !c->event_has_code && !c->event_length;
    case EVENT_NMI: return c->event_vector == VEC_NMI && !c->event_has_code && !c->event_length;
    case EVENT_EXCEPTION:
        return c->event_vector < 32 && c->event_vector != VEC_NMI && !c->event_length;
    case EVENT_SOFT_INT: return !c->event_has_code;
    case EVENT_INT1: return c->event_vector == VEC_DB && !c->event_has_code;
    case EVENT_SOFT_EXCEPTION: return c->event_vector < 32 && !c->event_has_code;
    default: return false;
    }
}

static bool blocking_is_valid(const struct state_cpu *c)
{
    return c->sti_shadow <= 1 && c->mov_ss_shadow <= 1 && c->nmi_blocked <= 1 &&
           !(c->sti_shadow && c->mov_ss_shadow) && (!c->sti_shadow || c->rflags & RFLAGS_IF);
}

static bool clocks_are_valid(const struct state_load *l, const struct state_cpu *c)
{
    return clock_msr_is_valid(&l->vm->pmap, c->kvmclock) && c->clock_due <= 1 && c->wall_due <= 1 &&
           (c->wall_due ? wall_msr_is_valid(&l->vm->pmap, c->wall_at) : !c->wall_at);
}

/* Each with what it is about, for the refusal. */
static const char *find_wrong(const struct state_load *l, const struct state_cpu *c)
{
    u64 xcr0_most = arch_fpu_features();

    if ((c->rflags & ~RFLAGS_KNOWN) || !(c->rflags & RFLAGS_FIXED))
        return "RFLAGS";
    if (!control_is_valid(c))
        return "control registers";
    if (c->xcr0 & ~xcr0_most || (c->xcr0 != XCR0_X87 && !cpuid_xcr0_valid(&l->vm->cpuid, c->xcr0)))
        return "XCR0";
    if (c->dr6 >> 32 || c->dr7 >> 32 || c->pending_debug & ~PENDING_KNOWN)
        return "debug registers";
    if (!segments_are_valid(c))
        return "segments";
    if (!msrs_are_valid(c->msr))
        return "MSRs";
    if (!clocks_are_valid(l, c))
        return "kvmclock";
    if (!event_is_valid(c))
        return "interrupted event";
    if (!blocking_is_valid(c) || c->activity > VCPU_WAIT_SIPI)
        return "activity";
    if (!mem_is_zero(c->zero1, sizeof(c->zero1)) || !mem_is_zero(c->zero2, sizeof(c->zero2)))
        return "reserved bytes";
    return NULL;
}

enum err state_check_cpu(const struct state_load *l, const void *from, u32 length)
{
    const char *wrong = find_wrong(l, from);

    (void)length;
    return wrong ? why_set(l->why, E_RANGE, "vCPU %u: its %s cannot be so", l->index, wrong) : OK;
}

static void take_mode(struct hvm_mode *m, const struct state_cpu *c)
{
    m->cr0 = c->cr0;
    m->cr3 = c->cr3;
    m->cr4 = c->cr4;
    m->efer = c->efer;
    for (unsigned i = 0; i < SEG_COUNT; i++)
        m->seg[i] = (struct hvm_segment){.base = c->segment[i].base,
                                         .limit = c->segment[i].limit,
                                         .attr = c->segment[i].attr,
                                         .selector = c->segment[i].selector};
}

void state_set_cpu(const struct state_load *l, const void *from, u32 length)
{
    struct vcpu *v = &l->vm->vcpu[l->index];
    const struct state_cpu *c = from;
    struct hvm_state s = {.rip = c->rip,
                          .rflags = c->rflags,
                          .cr2 = c->cr2,
                          .xcr0 = c->xcr0,
                          .dr6 = c->dr6,
                          .dr7 = c->dr7,
                          .pending_debug = c->pending_debug,
                          .gdtr = {c->gdtr_base, c->gdtr_limit},
                          .idtr = {c->idtr_base, c->idtr_limit},
                          .event = {.valid = c->event_valid,
                                    .has_code = c->event_has_code,
                                    .type = c->event_type,
                                    .vector = c->event_vector,
                                    .code = c->event_code,
                                    .length = c->event_length},
                          .sti_shadow = c->sti_shadow,
                          .mov_ss_shadow = c->mov_ss_shadow,
                          .nmi_blocked = c->nmi_blocked};

    (void)length;
    memcpy(s.gpr, c->gpr, sizeof(s.gpr));
    memcpy(s.dr, c->dr, sizeof(s.dr));
    memcpy(s.pdpte, c->pdpte, sizeof(s.pdpte));
    memcpy(s.msr, c->msr, sizeof(s.msr));
    take_mode(&s.mode, c);
    hvm->set_state(&v->hvm, &s);
    v->activity = (enum vcpu_activity)c->activity;
    v->tsc_adjust = c->tsc_adjust;
    v->kvmclock = c->kvmclock;
    v->wall_at = c->wall_at;
    v->wall_due = c->wall_due;
    v->clock_due = c->clock_due || l->saved.tsc_khz != arch_tsc_khz();
}

/* --- FPU ------------------------------------------------------------------------------------------ */

u32 state_get_fpu(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)now;
    memcpy(to, vm->vcpu[index].hvm.fpu, arch_fpu_size());
    return arch_fpu_size();
}

/* XRSTOR raises #GP for what is refused here (SDM 1 13.8.1). */
enum err state_check_fpu(const struct state_load *l, const void *from, u32 length)
{
    const u8 *area = from;
    u64 present;
    u32 mxcsr;

    memcpy(&present, area + FPU_XSTATE_BV, sizeof(present));
    memcpy(&mxcsr, area + FPU_MXCSR, sizeof(mxcsr));
    if (present & ~arch_fpu_features())
        return why_set(l->why, E_UNSUPPORTED,
                       "vCPU %u has vector state that this CPU lacks (XSTATE_BV %llx)", l->index,
                       (unsigned long long)present);
    if (!mem_is_zero(area + FPU_RESERVED, FPU_LEAST - FPU_RESERVED) ||
        mxcsr & ~arch_fpu_mxcsr_mask() ||
        (present & XCR0_AVX && length < FPU_AVX_AT + FPU_AVX_SIZE))
        return why_set(l->why, E_RANGE, "vCPU %u: its XSAVE area is not valid", l->index);
    return OK;
}

void state_set_fpu(const struct state_load *l, const void *from, u32 length)
{
    void *area = l->vm->vcpu[l->index].hvm.fpu;

    memset(area, 0, arch_fpu_size());
    memcpy(area, from, length);
}

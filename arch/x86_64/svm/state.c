/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/string.h"

/* Where the VMCB has each segment register. */
static struct vmcb_segment *segment(struct vmcb *b, unsigned seg)
{
    struct vmcb_segment *at[SEG_COUNT] = {
        [SEG_ES] = &b->es, [SEG_CS] = &b->cs, [SEG_SS] = &b->ss,     [SEG_DS] = &b->ds,
        [SEG_FS] = &b->fs, [SEG_GS] = &b->gs, [SEG_LDTR] = &b->ldtr, [SEG_TR] = &b->tr,
    };

    return at[seg];
}

/* Where it has each MSR; TSC_AUX is switched by hand. */
static u64 *msr_field(struct hvm_vcpu *v, enum hvm_msr msr)
{
    struct vmcb *b = svm_of(v)->vmcb;
    u64 *at[HVM_MSR_COUNT] = {
        [HVM_MSR_STAR] = &b->star,
        [HVM_MSR_LSTAR] = &b->lstar,
        [HVM_MSR_CSTAR] = &b->cstar,
        [HVM_MSR_SFMASK] = &b->sfmask,
        [HVM_MSR_KERNEL_GS_BASE] = &b->kernel_gs_base,
        [HVM_MSR_SYSENTER_CS] = &b->sysenter_cs,
        [HVM_MSR_SYSENTER_ESP] = &b->sysenter_esp,
        [HVM_MSR_SYSENTER_EIP] = &b->sysenter_eip,
        [HVM_MSR_PAT] = &b->pat,
        [HVM_MSR_TSC_AUX] = &svm_of(v)->tsc_aux,
    };

    return at[msr];
}

u64 svm_get_msr(struct hvm_vcpu *v, enum hvm_msr msr)
{
    return *msr_field(v, msr);
}

void svm_set_msr(struct hvm_vcpu *v, enum hvm_msr msr, u64 value)
{
    *msr_field(v, msr) = value;
    if (msr == HVM_MSR_TSC_AUX && cpu_this()->vcpu == v)
        msr_write(MSR_TSC_AUX, value);
}

void svm_set_efer(struct hvm_vcpu *v, u64 efer)
{
    svm_of(v)->vmcb->efer = efer | EFER_SVME;
}

void svm_set_cr2(struct hvm_vcpu *v, u64 cr2)
{
    svm_of(v)->vmcb->cr2 = cr2;
}

void svm_get_mode(struct hvm_vcpu *v, struct hvm_mode *m)
{
    struct vmcb *b = svm_of(v)->vmcb;

    m->cr0 = b->cr0;
    m->cr3 = b->cr3;
    m->cr4 = b->cr4;
    m->efer = b->efer & ~EFER_SVME;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct vmcb_segment *s = segment(b, i);

        m->seg[i] = (struct hvm_segment){
            .base = s->base,
            .limit = s->limit,
            .selector = s->selector,
            .attr = (s->attr & 0xff) | (s->attr & 0xf00u) << 4 |
                    (s->attr & 0x80 ? 0 : (u32)SEG_ATTR_UNUSABLE),
        };
    }
    /* The CPU keeps the current privilege level apart from SS. */
    m->seg[SEG_SS].attr = (m->seg[SEG_SS].attr & ~0x60u) | (u32)b->cpl << 5;
}

u64 svm_get_cr4(struct hvm_vcpu *v)
{
    return svm_of(v)->vmcb->cr4;
}

static void set_mode(struct vmcb *b, const struct hvm_mode *m)
{
    b->cr0 = m->cr0;
    b->cr3 = m->cr3;
    b->cr4 = m->cr4;
    b->efer = m->efer | EFER_SVME;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        u32 attr = m->seg[i].attr;

        *segment(b, i) = (struct vmcb_segment){
            .selector = m->seg[i].selector,
            .attr = attr & SEG_ATTR_UNUSABLE ? 0 : (u16)((attr & 0xff) | (attr >> 4 & 0xf00)),
            .limit = m->seg[i].limit,
            .base = m->seg[i].base,
        };
    }
    b->cpl = SEG_ATTR_DPL(m->seg[SEG_SS].attr);
}

void svm_get_state(struct hvm_vcpu *v, struct hvm_state *s)
{
    struct vmcb *b = svm_of(v)->vmcb;

    for (unsigned i = 0; i < REG_COUNT; i++)
        s->gpr[i] = v->gpr[i];
    s->rip = v->rip;
    s->rflags = v->rflags;
    s->cr2 = b->cr2;
    s->cr8 = v->cr8;
    for (unsigned i = 0; i < 4; i++)
        s->dr[i] = svm_of(v)->dr[i];
    s->dr6 = b->dr6;
    s->dr7 = b->dr7;
    s->xcr0 = v->xcr0;
    svm_get_mode(v, &s->mode);
    s->gdtr = (struct hvm_table){b->gdtr.base, (u16)b->gdtr.limit};
    s->idtr = (struct hvm_table){b->idtr.base, (u16)b->idtr.limit};
    for (unsigned i = 0; i < HVM_MSR_COUNT; i++)
        s->msr[i] = *msr_field(v, i);
    s->event = v->event;
    s->sti_shadow = b->int_shadow & 1;
    s->mov_ss_shadow = 0;
    s->nmi_blocked = svm_of(v)->nmi_blocked;
    s->pending_debug = 0;
    memset(s->pdpte, 0,
           sizeof(s->pdpte)); /* nested paging reads them from memory (APM 2 15.25.10) */
}

void svm_set_state(struct hvm_vcpu *v, const struct hvm_state *s)
{
    struct svm_vcpu *svm = svm_of(v);
    struct vmcb *b = svm->vmcb;

    for (unsigned i = 0; i < REG_COUNT; i++)
        v->gpr[i] = s->gpr[i];
    v->rip = s->rip;
    v->rflags = s->rflags;
    v->cr8 = s->cr8;
    v->xcr0 = s->xcr0;
    v->event = s->event;
    b->cr2 = s->cr2;
    for (unsigned i = 0; i < 4; i++)
        svm->dr[i] = s->dr[i];
    b->dr6 = s->dr6;
    b->dr7 = s->dr7;
    set_mode(b, &s->mode);
    b->gdtr = (struct vmcb_segment){.base = s->gdtr.base, .limit = s->gdtr.limit};
    b->idtr = (struct vmcb_segment){.base = s->idtr.base, .limit = s->idtr.limit};
    for (unsigned i = 0; i < HVM_MSR_COUNT; i++)
        *msr_field(v, i) = s->msr[i];
    b->int_shadow = s->sti_shadow || s->mov_ss_shadow;
    svm->nmi_blocked = s->nmi_blocked;
    svm->iret_rip = ~0ull;
    if (s->nmi_blocked)
        b->intercept[3] |= INTERCEPT_IRET;
    else
        b->intercept[3] &= ~INTERCEPT_IRET;
    svm->asid.generation = 0;
}

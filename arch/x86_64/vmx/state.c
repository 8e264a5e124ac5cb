/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu/msr.h"

/* Where each MSR lives: a VMCS field, or a slot that is swapped by hand. */
static const struct {
    u16 field;
    u8 slot;
    u32 msr;
} msr_place[HVM_MSR_COUNT] = {
    [HVM_MSR_STAR] = {0, SWAPPED_STAR, MSR_STAR},
    [HVM_MSR_LSTAR] = {0, SWAPPED_LSTAR, MSR_LSTAR},
    [HVM_MSR_CSTAR] = {0, SWAPPED_CSTAR, MSR_CSTAR},
    [HVM_MSR_SFMASK] = {0, SWAPPED_SFMASK, MSR_SFMASK},
    [HVM_MSR_KERNEL_GS_BASE] = {0, SWAPPED_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE},
    [HVM_MSR_SYSENTER_CS] = {VMCS_GUEST_SYSENTER_CS},
    [HVM_MSR_SYSENTER_ESP] = {VMCS_GUEST_SYSENTER_ESP},
    [HVM_MSR_SYSENTER_EIP] = {VMCS_GUEST_SYSENTER_EIP},
    [HVM_MSR_PAT] = {VMCS_GUEST_PAT},
    [HVM_MSR_TSC_AUX] = {0, SWAPPED_TSC_AUX, MSR_TSC_AUX},
};

static bool is_loaded(const struct hvm_vcpu *v)
{
    return cpu_this()->vcpu == v;
}

void vmx_borrow(struct hvm_vcpu *v)
{
    vmx_make_current(vmx_of(v)->vmcs);
}

void vmx_give_back(struct hvm_vcpu *v)
{
    struct hvm_vcpu *mine = cpu_this()->vcpu;

    vmx_clear(vmx_of(v)->vmcs);
    vmx_of(v)->launched = 0;
    if (mine)
        vmx_make_current(vmx_of(mine)->vmcs);
}

u64 vmx_get_msr(struct hvm_vcpu *v, enum hvm_msr msr)
{
    if (msr_place[msr].field)
        return vmcs_read(msr_place[msr].field);
    return is_loaded(v) ? msr_read(msr_place[msr].msr) : vmx_of(v)->swapped[msr_place[msr].slot];
}

void vmx_set_msr(struct hvm_vcpu *v, enum hvm_msr msr, u64 value)
{
    if (msr_place[msr].field)
        vmcs_write(msr_place[msr].field, value);
    else if (is_loaded(v))
        msr_write(msr_place[msr].msr, value);
    else
        vmx_of(v)->swapped[msr_place[msr].slot] = value;
}

void vmx_set_cr2(struct hvm_vcpu *v, u64 cr2)
{
    (void)v;
    cr2_write(cr2);
}

/* --- control registers --------------------------------------------------------------------------- */

/* What the guest sees: the shadow's bits where the host owns them. */
u64 vmx_cr0(void)
{
    u64 mask = vmcs_read(VMCS_CR0_MASK);

    return (vmcs_read(VMCS_GUEST_CR0) & ~mask) | (vmcs_read(VMCS_CR0_SHADOW) & mask);
}

u64 vmx_cr4(void)
{
    u64 mask = vmcs_read(VMCS_CR4_MASK);

    return (vmcs_read(VMCS_GUEST_CR4) & ~mask) | (vmcs_read(VMCS_CR4_SHADOW) & mask);
}

/* PG is the host's while LME is set, because long mode must be switched in the entry controls as well.
 * Without LME the guest has it to itself, and the CPU loads PAE's PDPTEs for it. */
static void own_cr0(u64 efer)
{
    vmcs_write(VMCS_CR0_MASK, CR0_HOST_OWNED | (efer & EFER_LME ? CR0_PG : 0));
}

static void set_long_mode(u64 efer, bool on)
{
    u64 entry = vmcs_read(VMCS_ENTRY_CONTROLS);

    vmcs_write(VMCS_GUEST_EFER, on ? efer | EFER_LMA : efer & ~EFER_LMA);
    vmcs_write(VMCS_ENTRY_CONTROLS, on ? entry | ENTRY_LONG_MODE : entry & ~ENTRY_LONG_MODE);
}

void vmx_set_cr0(u64 cr0)
{
    u64 efer = vmcs_read(VMCS_GUEST_EFER), fixed = vmx_controls.cr0_fixed & ~(CR0_PE | CR0_PG);

    set_long_mode(efer, (efer & EFER_LME) && (cr0 & CR0_PG));
    own_cr0(efer);
    vmcs_write(VMCS_CR0_SHADOW, cr0);
    vmcs_write(VMCS_GUEST_CR0, (cr0 & ~(CR0_NW | CR0_CD)) | fixed);
}

void vmx_set_efer(struct hvm_vcpu *v, u64 efer)
{
    u64 cr0 = vmx_cr0();

    (void)v;
    vmcs_write(VMCS_GUEST_EFER, efer);
    vmx_set_cr0(cr0);
}

static void set_cr4(u64 cr4)
{
    vmcs_write(VMCS_CR4_MASK, ~CR4_GUEST_OWNED);
    vmcs_write(VMCS_CR4_SHADOW, cr4);
    vmcs_write(VMCS_GUEST_CR4, cr4 | vmx_controls.cr4_fixed);
}

u64 vmx_get_cr4(struct hvm_vcpu *v)
{
    (void)v;
    return vmx_cr4();
}

/* --- the whole ------------------------------------------------------------------------------------ */

void vmx_get_mode(struct hvm_vcpu *v, struct hvm_mode *m)
{
    (void)v;
    m->cr0 = vmx_cr0();
    m->cr3 = vmcs_read(VMCS_GUEST_CR3);
    m->cr4 = vmx_cr4();
    m->efer = vmcs_read(VMCS_GUEST_EFER);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        m->seg[i] = (struct hvm_segment){
            .base = vmcs_read(VMCS_GUEST_ES_BASE + 2 * i),
            .limit = (u32)vmcs_read(VMCS_GUEST_ES_LIMIT + 2 * i),
            .attr = (u32)vmcs_read(VMCS_GUEST_ES_ATTR + 2 * i),
            .selector = (u16)vmcs_read(VMCS_GUEST_ES_SELECTOR + 2 * i),
        };
}

static void set_mode(const struct hvm_mode *m)
{
    vmcs_write(VMCS_GUEST_CR3, m->cr3);
    vmcs_write(VMCS_GUEST_EFER, m->efer);
    vmx_set_cr0(m->cr0);
    set_cr4(m->cr4);
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        vmcs_write(VMCS_GUEST_ES_BASE + 2 * i, m->seg[i].base);
        vmcs_write(VMCS_GUEST_ES_LIMIT + 2 * i, m->seg[i].limit);
        vmcs_write(VMCS_GUEST_ES_ATTR + 2 * i, m->seg[i].attr);
        vmcs_write(VMCS_GUEST_ES_SELECTOR + 2 * i, m->seg[i].selector);
    }
}

/* PAE paging: the CPU takes its top level from the VMCS, not from memory (SDM 3C 26.3.1.6). */
static bool uses_pdptes(const struct hvm_mode *m)
{
    return (m->cr0 & CR0_PG) && (m->cr4 & CR4_PAE) && !(m->efer & EFER_LMA);
}

void vmx_get_state(struct hvm_vcpu *v, struct hvm_state *s)
{
    const struct vmx_vcpu *x = vmx_of(v);
    u64 blocked;

    vmx_borrow(v);
    for (unsigned i = 0; i < REG_COUNT; i++)
        s->gpr[i] = v->gpr[i];
    s->rip = v->rip;
    s->rflags = v->rflags;
    s->cr2 = x->cr2;
    s->cr8 = v->cr8;
    for (unsigned i = 0; i < 4; i++)
        s->dr[i] = x->dr[i];
    s->dr6 = x->dr6;
    s->dr7 = vmcs_read(VMCS_GUEST_DR7);
    s->xcr0 = v->xcr0;
    vmx_get_mode(v, &s->mode);
    s->gdtr =
        (struct hvm_table){vmcs_read(VMCS_GUEST_GDTR_BASE), (u16)vmcs_read(VMCS_GUEST_GDTR_LIMIT)};
    s->idtr =
        (struct hvm_table){vmcs_read(VMCS_GUEST_IDTR_BASE), (u16)vmcs_read(VMCS_GUEST_IDTR_LIMIT)};
    for (unsigned i = 0; i < HVM_MSR_COUNT; i++)
        s->msr[i] = vmx_get_msr(v, i);
    s->event = v->event;
    blocked = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);
    s->sti_shadow = !!(blocked & BLOCKED_BY_STI);
    s->mov_ss_shadow = !!(blocked & BLOCKED_BY_MOV_SS);
    s->nmi_blocked = !!(blocked & BLOCKED_BY_NMI);
    s->pending_debug = vmcs_read(VMCS_GUEST_PENDING_DEBUG);
    for (unsigned i = 0; i < COUNT_OF(s->pdpte); i++)
        s->pdpte[i] = uses_pdptes(&s->mode) ? vmcs_read(VMCS_GUEST_PDPTE0 + 2 * i) : 0;
    vmx_give_back(v);
}

void vmx_set_state(struct hvm_vcpu *v, const struct hvm_state *s)
{
    struct vmx_vcpu *x = vmx_of(v);

    vmx_borrow(v);
    for (unsigned i = 0; i < REG_COUNT; i++)
        v->gpr[i] = s->gpr[i];
    v->rip = s->rip;
    v->rflags = s->rflags;
    v->cr8 = s->cr8;
    v->xcr0 = s->xcr0;
    v->event = s->event;
    x->cr2 = s->cr2;
    for (unsigned i = 0; i < 4; i++)
        x->dr[i] = s->dr[i];
    x->dr6 = s->dr6;
    set_mode(&s->mode);
    vmcs_write(VMCS_GUEST_DR7, s->dr7);
    vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
    vmcs_write(VMCS_GUEST_PENDING_DEBUG, s->pending_debug);
    for (unsigned i = 0; i < COUNT_OF(s->pdpte); i++)
        vmcs_write(VMCS_GUEST_PDPTE0 + 2 * i, s->pdpte[i]);
    vmcs_write(VMCS_GUEST_ACTIVITY, 0);
    vmcs_write(VMCS_GUEST_GDTR_BASE, s->gdtr.base);
    vmcs_write(VMCS_GUEST_GDTR_LIMIT, s->gdtr.limit);
    vmcs_write(VMCS_GUEST_IDTR_BASE, s->idtr.base);
    vmcs_write(VMCS_GUEST_IDTR_LIMIT, s->idtr.limit);
    for (unsigned i = 0; i < HVM_MSR_COUNT; i++)
        vmx_set_msr(v, i, s->msr[i]);
    vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, (s->sti_shadow ? BLOCKED_BY_STI : 0) |
                                                (s->mov_ss_shadow ? BLOCKED_BY_MOV_SS : 0) |
                                                (s->nmi_blocked ? BLOCKED_BY_NMI : 0));
    v->slat_generation = 0;
    vmx_give_back(v);
}

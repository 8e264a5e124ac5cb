/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/svm/svm.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/string.h"

#define MSR_VM_CR       0xc0010114
#define MSR_VM_HSAVE_PA 0xc0010117
#define VM_CR_SVMDIS    BIT(4)
#define IOPM_ORDER      2 /* 12 KiB, one bit a port (15.10.1) */
#define MSRPM_ORDER     1 /* 8 KiB, two bits an MSR (15.11) */

bool svm_has_next_rip, svm_has_decode_assists, svm_has_flush_by_asid;
u32 svm_asid_count;

static hpa_t iopm, msrpm; /* of all vCPUs */

/* MSRs that the VMCB switches: the guest has them to itself. */
static const u32 own_msr[] = {
    MSR_FS_BASE,
    MSR_GS_BASE,
    MSR_KERNEL_GS_BASE,
    MSR_STAR,
    MSR_LSTAR,
    MSR_CSTAR,
    MSR_SFMASK,
    MSR_IA32_SYSENTER_CS,
    MSR_IA32_SYSENTER_ESP,
    MSR_IA32_SYSENTER_EIP,
};

static bool svm_probe(void (*missing)(const char *line))
{
    u32 r[4];
    bool ok = true;

    arch_cpuid(0x80000000, 0, r);
    if (r[0] >= 0x80000001)
        arch_cpuid(0x80000001, 0, r);
    if (!(r[2] & BIT(2)) || r[0] < 0x1) {
        missing("no AMD-V: CPUID 80000001 ECX lacks SVM (bit 2)");
        return false;
    }
    if (msr_read(MSR_VM_CR) & VM_CR_SVMDIS) {
        missing("AMD-V is turned off: MSR VM_CR has SVMDIS (bit 4); turn SVM on in the firmware's "
                "setup");
        ok = false;
    }
    arch_cpuid(0x8000000a, 0, r);
    if (!(r[3] & BIT(0))) {
        missing("no NPT: CPUID 8000000A EDX lacks nested paging (bit 0)");
        ok = false;
    }
    if (r[1] < 2) {
        missing("too few ASIDs: CPUID 8000000A EBX is below 2");
        ok = false;
    }
    svm_asid_count = r[1];
    svm_has_next_rip = r[3] & BIT(3);
    svm_has_flush_by_asid = r[3] & BIT(6);
    svm_has_decode_assists = r[3] & BIT(7);
    return ok;
}

/* --- permission maps -------------------------------------------------------------------------- */

static void msrpm_allow(u8 *map, u32 msr)
{
    u32 bit = (msr & 0x1fff) * 2 + (msr >= 0xc0000000 ? 0x800 * 8 : 0);

    map[bit / 8] &= (u8) ~(3u << bit % 8);
}

static enum err maps_create(void)
{
    if (iopm.v)
        return OK;
    iopm = frame_alloc(IOPM_ORDER, FRAME_KERNEL, 0);
    msrpm = frame_alloc(MSRPM_ORDER, FRAME_KERNEL, 0);
    if (!iopm.v || !msrpm.v)
        return E_NOMEM;
    memset(phys_to_virt(iopm), 0xff, PAGE_SIZE << IOPM_ORDER);
    memset(phys_to_virt(msrpm), 0xff, PAGE_SIZE << MSRPM_ORDER);
    for (unsigned i = 0; i < COUNT_OF(own_msr); i++)
        msrpm_allow(phys_to_virt(msrpm), own_msr[i]);
    return OK;
}

/* --- CPUs ------------------------------------------------------------------------------------ */

static enum err svm_cpu_enable(struct why *why)
{
    struct svm_cpu *c = heap_alloc(sizeof(*c));

    if (!c || maps_create())
        return why_set(why, E_NOMEM, "no memory for AMD-V's host save area");
    c->save_area = frame_alloc(0, FRAME_KERNEL, 0);
    c->host_vmcb = frame_alloc(0, FRAME_KERNEL, 0);
    if (!c->save_area.v || !c->host_vmcb.v)
        return why_set(why, E_NOMEM, "no memory for AMD-V's host save area");
    c->asids = (struct asid_pool){.generation = 1, .next = 1, .count = svm_asid_count};
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
    msr_write(MSR_VM_HSAVE_PA, c->save_area.v);
    __asm__ volatile("vmsave %%rax" : : "a"(c->host_vmcb.v) : "memory");
    cpu_this()->hvm = c;
    return OK;
}

static void svm_cpu_disable(void)
{
    msr_write(MSR_EFER, msr_read(MSR_EFER) & ~EFER_SVME);
}

/* --- vCPUs ----------------------------------------------------------------------------------- */

static void set_intercepts(struct vmcb *b)
{
    b->intercept[0] = INTERCEPT_CR8_WRITE;
    /* An endless run of #DB or #AC deliveries keeps the CPU from taking interrupts. */
    b->intercept[2] = BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC);
    b->intercept[3] = INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT |
                      INTERCEPT_VINTR | INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_RSM |
                      INTERCEPT_INVD | INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
                      INTERCEPT_MSR | INTERCEPT_TASK | INTERCEPT_FERR | INTERCEPT_SHUTDOWN;
    b->intercept[4] = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD | INTERCEPT_VMSAVE |
                      INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT | INTERCEPT_WBINVD |
                      INTERCEPT_MONITOR | INTERCEPT_MWAIT | INTERCEPT_XSETBV | INTERCEPT_RDPRU;
}

static enum err svm_vcpu_create(struct hvm_vcpu *v)
{
    struct svm_vcpu *s = heap_alloc(sizeof(*s));

    if (!s)
        return E_NOMEM;
    s->vmcb_frame = frame_alloc(0, FRAME_KERNEL, 0);
    if (!s->vmcb_frame.v) {
        heap_free(s);
        return E_NOMEM;
    }
    s->vmcb = phys_to_virt(s->vmcb_frame);
    s->iret_rip = ~0ull;
    set_intercepts(s->vmcb);
    s->vmcb->iopm = iopm.v;
    s->vmcb->msrpm = msrpm.v;
    s->vmcb->int_ctl = V_INTR_MASKING;
    s->vmcb->np_enable = 1;
    s->vmcb->n_cr3 = v->slat->table.root.v;
    v->arch = s;
    v->cpu = ~0u;
    return OK;
}

static void svm_vcpu_destroy(struct hvm_vcpu *v)
{
    frame_put(svm_of(v)->vmcb_frame);
    heap_free(v->arch);
    v->arch = NULL;
}

static void svm_load(struct hvm_vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    dr0_write(s->dr[0]);
    dr1_write(s->dr[1]);
    dr2_write(s->dr[2]);
    dr3_write(s->dr[3]);
    msr_write(MSR_TSC_AUX, s->tsc_aux);
    arch_fpu_load(v->fpu);
    arch_xcr0_set(v->xcr0);
    if (tlb_arrive(v, cpu_this()->index))
        s->asid.generation = 0;
    cpu_this()->vcpu = v;
}

static void svm_put(struct hvm_vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    v->xcr0 = arch_xcr0_get();
    arch_fpu_save(v->fpu);
    s->dr[0] = dr0_read();
    s->dr[1] = dr1_read();
    s->dr[2] = dr2_read();
    s->dr[3] = dr3_read();
    cpu_this()->vcpu = NULL;
}

/* --- entry ----------------------------------------------------------------------------------- */

/* Sees to it that the guest meets no translation that is gone. */
static void prepare_tlb(struct hvm_vcpu *v)
{
    static const u8 control[] = {[ASID_KEEP] = TLB_KEEP,
                                 [ASID_FLUSH_ONE] = TLB_FLUSH_ASID,
                                 [ASID_FLUSH_ALL] = TLB_FLUSH_ALL};
    struct svm_vcpu *s = svm_of(v);
    struct svm_cpu *c = cpu_this()->hvm;
    u64 generation = tlb_stale(v);

    s->vmcb->tlb_control =
        control[asid_prepare(&c->asids, &s->asid, generation, svm_has_flush_by_asid)];
    s->vmcb->asid = s->asid.number;
    if (generation)
        tlb_reached(v, generation);
}

static void block_nmi(struct svm_vcpu *s, bool on)
{
    s->nmi_blocked = on;
    s->iret_rip = ~0ull;
    if (on)
        s->vmcb->intercept[3] |= INTERCEPT_IRET;
    else
        s->vmcb->intercept[3] &= ~INTERCEPT_IRET;
}

static void inject(struct hvm_vcpu *v)
{
    struct vmcb *b = svm_of(v)->vmcb;

    b->event_inj = 0;
    if (!v->event.valid)
        return;
    b->event_inj = v->event.vector | (u64)v->event.type << 8 | EVENT_VALID |
                   (v->event.has_code ? EVENT_HAS_CODE | (u64)v->event.code << 32 : 0);
    if (v->event.type == EVENT_NMI)
        block_nmi(svm_of(v), true);
    v->event.valid = false;
}

/* An event whose delivery the exit interrupted is delivered again, but for those that the
 * instruction at RIP will raise again by itself. */
static void keep_interrupted_event(struct hvm_vcpu *v)
{
    u64 info = svm_of(v)->vmcb->exit_int_info;
    u8 type = info >> 8 & 7, vector = info & 0xff;

    if (!(info & EVENT_VALID) || type == EVENT_SOFT_INT ||
        (type == EVENT_EXCEPTION && (vector == VEC_BP || vector == 4)))
        return;
    v->event = (struct hvm_event){
        .valid = true,
        .has_code = info & EVENT_HAS_CODE,
        .type = type,
        .vector = vector,
        .code = (u32)(info >> 32),
    };
    if (type == EVENT_NMI)
        block_nmi(svm_of(v), false);
}

/* An NMI that waits comes behind the IRET, not at whatever exit comes next: the guest is single-stepped over it. The
 * IRET loads the guest's own flags, TF among them. A guest that steps through its code by itself exits there anyway. */
static void step_begin(struct hvm_vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    s->stepping =
        s->nmi_wanted && s->iret_rip == v->rip && !(v->rflags & RFLAGS_TF) && !s->vmcb->event_inj;
    if (!s->stepping)
        return;
    s->dr6 = s->vmcb->dr6;
    v->rflags |= RFLAGS_TF;
}

/* true: the exit is only the end of the step. */
static bool step_end(struct hvm_vcpu *v)
{
    struct svm_vcpu *s = svm_of(v);

    if (!s->stepping)
        return false;
    s->stepping = false;
    if (v->rip == s->iret_rip) { /* it is still to come */
        v->rflags &= ~(u64)RFLAGS_TF;
        return false;
    }
    if (s->vmcb->exit_code != SVM_EXIT_EXCEPTION + VEC_DB)
        return false;
    s->vmcb->dr6 = s->dr6;
    return true;
}

static void svm_run(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    struct svm_vcpu *s = svm_of(v);
    struct vmcb *b = s->vmcb;
    bool stepped;

    prepare_tlb(v);
    inject(v);
    step_begin(v);
    b->rax = v->gpr[REG_RAX];
    b->rsp = v->gpr[REG_RSP];
    b->rip = v->rip;
    b->rflags = v->rflags;
    b->tsc_offset = v->tsc_offset;
    b->int_ctl = (b->int_ctl & ~V_TPR_MASK) | v->cr8;
    svm_enter(v, s->vmcb_frame.v, ((struct svm_cpu *)cpu_this()->hvm)->host_vmcb.v,
              b->int_shadow & 1);
    v->gpr[REG_RAX] = b->rax;
    v->gpr[REG_RSP] = b->rsp;
    v->rip = b->rip;
    v->rflags = b->rflags;
    keep_interrupted_event(v);
    stepped = step_end(v);
    if (s->iret_rip != ~0ull && v->rip != s->iret_rip) {
        block_nmi(s, false);
        v->window = s->nmi_wanted;
    }
    svm_exit_decode(v, exit);
    if (stepped)
        exit->kind = EXIT_NOTHING;
}

static bool svm_irq_ready(struct hvm_vcpu *v)
{
    return (v->rflags & RFLAGS_IF) && !(svm_of(v)->vmcb->int_shadow & 1) && !v->event.valid;
}

static bool svm_nmi_ready(struct hvm_vcpu *v)
{
    return !svm_of(v)->nmi_blocked && !(svm_of(v)->vmcb->int_shadow & 1) && !v->event.valid;
}

#define WINDOW_BITS (V_IRQ | V_IGN_TPR | V_INTR_PRIO_MAX)

/* The window is a virtual interrupt of the highest priority, which is always intercepted. */
static void svm_want_irq_window(struct hvm_vcpu *v, bool on)
{
    struct vmcb *b = svm_of(v)->vmcb;

    if (on)
        b->int_ctl |= WINDOW_BITS;
    else
        b->int_ctl &= ~WINDOW_BITS;
}

/* NMIs are unblocked by IRET, which is intercepted while they are blocked: the first exit behind it is the
 * window, and step_begin sees to it that there is one. */
static void svm_want_nmi_window(struct hvm_vcpu *v, bool on)
{
    svm_of(v)->nmi_wanted = on;
}

static void svm_skip(struct hvm_vcpu *v, unsigned length)
{
    v->rip += length;
    v->rflags &= ~RFLAGS_RF;
    svm_of(v)->vmcb->int_shadow = 0;
}

const struct hvm_ops svm_ops = {
    .name = "SVM",
    .slat_name = "NPT",
    .slat_format = &npt_format,
    .probe = svm_probe,
    .cpu_enable = svm_cpu_enable,
    .cpu_disable = svm_cpu_disable,
    .vcpu_create = svm_vcpu_create,
    .vcpu_destroy = svm_vcpu_destroy,
    .get_state = svm_get_state,
    .set_state = svm_set_state,
    .get_mode = svm_get_mode,
    .get_cr4 = svm_get_cr4,
    .get_msr = svm_get_msr,
    .set_msr = svm_set_msr,
    .set_efer = svm_set_efer,
    .set_cr2 = svm_set_cr2,
    .load = svm_load,
    .put = svm_put,
    .run = svm_run,
    .irq_ready = svm_irq_ready,
    .nmi_ready = svm_nmi_ready,
    .want_irq_window = svm_want_irq_window,
    .want_nmi_window = svm_want_nmi_window,
    .skip = svm_skip,
};

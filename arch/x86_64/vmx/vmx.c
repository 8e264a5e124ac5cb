/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/dirty_log.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/string.h"
#include "kernel/tlb.h"

#define VPID_COUNT 1024 /* vCPUs on a host; VPID 0 is the host's */

struct vmx_cpu {
    hpa_t vmxon;
};

static hpa_t msr_bitmap; /* of all vCPUs */
static u64 vpids[VPID_COUNT / 64] = {1};
static struct lock vpid_lock;

/* MSRs that VMX or Ferry switches with the vCPU: the guest has them to itself. */
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

static const u32 swapped_msr[SWAPPED_COUNT] = {
    [SWAPPED_STAR] = MSR_STAR,
    [SWAPPED_LSTAR] = MSR_LSTAR,
    [SWAPPED_CSTAR] = MSR_CSTAR,
    [SWAPPED_SFMASK] = MSR_SFMASK,
    [SWAPPED_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
    [SWAPPED_TSC_AUX] = MSR_TSC_AUX,
};

/* --- CPUs ------------------------------------------------------------------------------------ */

/* One bit an MSR that exits: reads of the low and high range, then writes (SDM 3C 24.6.9). */
static enum err bitmap_create(void)
{
    u8 *map;

    if (msr_bitmap.v)
        return OK;
    msr_bitmap = frame_alloc(0, FRAME_KERNEL, 0);
    if (!msr_bitmap.v)
        return E_NOMEM;
    map = memset(phys_to_virt(msr_bitmap), 0xff, PAGE_SIZE);
    for (unsigned i = 0; i < COUNT_OF(own_msr); i++) {
        u32 bit = (own_msr[i] & 0x1fff) + (own_msr[i] >= 0xc0000000 ? 1024 * 8 : 0);

        map[bit / 8] &= (u8) ~(1u << bit % 8);
        map[2048 + bit / 8] &= (u8) ~(1u << bit % 8);
    }
    return OK;
}

static bool vmxon(hpa_t region)
{
    u8 failed;

    __asm__ volatile("vmxon %1; setna %0" : "=qm"(failed) : "m"(region) : "cc", "memory");
    return !failed;
}

static enum err vmx_cpu_enable(struct why *why)
{
    struct vmx_cpu *c = heap_alloc(sizeof(*c));

    if (!c || bitmap_create())
        return why_set(why, E_NOMEM, "no memory for VMX");
    c->vmxon = frame_alloc(0, FRAME_KERNEL, 0);
    if (!c->vmxon.v)
        return why_set(why, E_NOMEM, "no memory for VMX");
    *(u32 *)phys_to_virt(c->vmxon) = vmx_controls.revision;
    cr0_write(cr0_read() | vmx_controls.cr0_fixed);
    cr4_write(cr4_read() | vmx_controls.cr4_fixed | CR4_VMXE);
    if (!vmx_unlock() || !vmxon(c->vmxon))
        return why_set(why, E_IO, "VMXON fails, though the boot CPU has all that it needs");
    cpu_this()->hvm = c;
    return OK;
}

static void vmx_cpu_disable(void)
{
    __asm__ volatile("vmxoff" : : : "cc");
    cr4_write(cr4_read() & ~CR4_VMXE);
}

/* --- vCPUs ----------------------------------------------------------------------------------- */

static u16 vpid_take(void)
{
    u16 found = 0;

    lock_acquire(&vpid_lock);
    for (u16 i = 0; i < VPID_COUNT && !found; i++)
        if (!(vpids[i / 64] >> i % 64 & 1))
            found = i;
    vpids[found / 64] |= BIT(found % 64);
    lock_release(&vpid_lock);
    return found;
}

static void vpid_free(u16 vpid)
{
    lock_acquire(&vpid_lock);
    vpids[vpid / 64] &= ~BIT(vpid % 64);
    lock_release(&vpid_lock);
}

/* What never changes; the CPU's own part of the host state is set at load. */
static void write_constants(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    vmcs_write(VMCS_VPID, x->vpid);
    vmcs_write(VMCS_MSR_BITMAP, msr_bitmap.v);
    vmcs_write(VMCS_EPTP, ept_pointer(v->slat->table.root));
    vmcs_write(VMCS_LINK, ~0ull);
    vmcs_write(VMCS_PIN_CONTROLS, vmx_controls.pin);
    vmcs_write(VMCS_PRIMARY_CONTROLS, x->primary);
    vmcs_write(VMCS_SECONDARY_CONTROLS, vmx_controls.secondary | (x->pml.v ? SECONDARY_PML : 0));
    if (x->pml.v) {
        vmcs_write(VMCS_PML_ADDRESS, x->pml.v);
        vmcs_write(VMCS_PML_INDEX, PML_LAST);
    }
    vmcs_write(VMCS_EXIT_CONTROLS, vmx_controls.exit);
    vmcs_write(VMCS_ENTRY_CONTROLS, vmx_controls.entry);
    /* An endless run of #DB or #AC deliveries keeps the CPU from taking interrupts. */
    vmcs_write(VMCS_EXCEPTION_BITMAP, BIT(VEC_DB) | BIT(VEC_AC) | BIT(VEC_MC));
    vmcs_write(VMCS_HOST_CR0, cr0_read());
    vmcs_write(VMCS_HOST_CR3, cr3_read());
    vmcs_write(VMCS_HOST_CR4, cr4_read());
    vmcs_write(VMCS_HOST_CS_SELECTOR, SEL_CODE);
    vmcs_write(VMCS_HOST_SS_SELECTOR, SEL_DATA);
    vmcs_write(VMCS_HOST_DS_SELECTOR, SEL_DATA);
    vmcs_write(VMCS_HOST_ES_SELECTOR, SEL_DATA);
    vmcs_write(VMCS_HOST_TR_SELECTOR, SEL_TSS);
    vmcs_write(VMCS_HOST_PAT, msr_read(MSR_IA32_PAT));
    vmcs_write(VMCS_HOST_EFER, msr_read(MSR_EFER));
    vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_point);
}

/* What there is of it. */
static void vmx_vcpu_free(struct vmx_vcpu *x)
{
    if (x->vpid)
        vpid_free(x->vpid);
    if (x->vmcs.v)
        frame_put(x->vmcs);
    if (x->pml.v)
        frame_put(x->pml);
    heap_free(x);
}

static enum err vmx_vcpu_create(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = heap_alloc(sizeof(*x));

    if (!x)
        return E_NOMEM;
    x->vpid = vpid_take();
    x->vmcs = frame_alloc(0, FRAME_KERNEL, 0);
    if (!x->vpid || !x->vmcs.v) {
        vmx_vcpu_free(x);
        return E_NOMEM;
    }
    if (v->slat->log)
        x->pml = frame_alloc(0, FRAME_KERNEL, 0);
    if (v->slat->log && !x->pml.v) {
        vmx_vcpu_free(x);
        return E_NOMEM;
    }
    *(u32 *)phys_to_virt(x->vmcs) = vmx_controls.revision;
    x->primary = vmx_controls.primary & ~(u32)(PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE);
    v->arch = x;
    v->cpu = ~0u;
    vmx_clear(x->vmcs);
    vmx_borrow(v);
    write_constants(v);
    vmx_give_back(v);
    return OK;
}

static void vmx_vcpu_destroy(struct hvm_vcpu *v)
{
    vmx_vcpu_free(vmx_of(v));
    v->arch = NULL;
}

static void write_cpu_state(void)
{
    struct cpu *c = cpu_this();
    struct cpu_arch *a = c->arch;
    struct {
        u16 limit;
        u64 base;
    } PACKED idtr;

    __asm__("sidt %0" : "=m"(idtr));
    vmcs_write(VMCS_HOST_FS_BASE, (u64)c);
    vmcs_write(VMCS_HOST_GS_BASE, (u64)c);
    vmcs_write(VMCS_HOST_TR_BASE, (u64)&a->tss);
    vmcs_write(VMCS_HOST_GDTR_BASE, (u64)a->gdt);
    vmcs_write(VMCS_HOST_IDTR_BASE, idtr.base);
}

struct inv_descriptor {
    u64 context, address;
};

static void invept(u64 eptp)
{
    struct inv_descriptor d = {eptp, 0};

    __asm__ volatile("invept %0, %1" : : "m"(d), "r"(1ull) : "cc", "memory");
}

static void invvpid(u16 vpid)
{
    struct inv_descriptor d = {vpid, 0};

    __asm__ volatile("invvpid %0, %1" : : "m"(d), "r"(1ull) : "cc", "memory");
}

static void vmx_load(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    vmx_make_current(x->vmcs);
    if (tlb_arrive(v, cpu_this()->index)) {
        write_cpu_state();
        invvpid(x->vpid);
    }
    cpu_this()->vcpu = v;
    for (unsigned i = 0; i < SWAPPED_COUNT; i++)
        msr_write(swapped_msr[i], x->swapped[i]);
    dr0_write(x->dr[0]);
    dr1_write(x->dr[1]);
    dr2_write(x->dr[2]);
    dr3_write(x->dr[3]);
    dr6_write(x->dr6);
    cr2_write(x->cr2);
    arch_fpu_load(v->fpu);
    arch_xcr0_set(v->xcr0);
}

static void vmx_put(struct hvm_vcpu *v)
{
    struct vmx_vcpu *x = vmx_of(v);

    v->xcr0 = arch_xcr0_get();
    arch_fpu_save(v->fpu);
    x->dr[0] = dr0_read();
    x->dr[1] = dr1_read();
    x->dr[2] = dr2_read();
    x->dr[3] = dr3_read();
    x->dr6 = dr6_read();
    x->cr2 = cr2_read();
    for (unsigned i = 0; i < SWAPPED_COUNT; i++)
        x->swapped[i] = msr_read(swapped_msr[i]);
    vmx_clear(x->vmcs);
    x->launched = 0;
    cpu_this()->vcpu = NULL;
}

/* --- entry ----------------------------------------------------------------------------------- */

static void prepare_tlb(struct hvm_vcpu *v)
{
    u64 generation = tlb_stale(v);

    if (!generation)
        return;
    invept(ept_pointer(v->slat->table.root));
    tlb_reached(v, generation);
}

static void inject(struct hvm_vcpu *v)
{
    struct hvm_event *e = &v->event;

    if (!e->valid)
        return;
    if (e->has_code)
        vmcs_write(VMCS_ENTRY_EVENT_CODE, e->code);
    vmcs_write(VMCS_ENTRY_INSN_LENGTH, e->length);
    vmcs_write(VMCS_ENTRY_EVENT, e->vector | (u64)e->type << 8 |
                                     (e->has_code ? EVENT_INFO_HAS_CODE : 0) | EVENT_INFO_VALID);
    e->valid = false;
}

/* In the shadow of STI or MOV SS the step is still to come: without that the CPU refuses to enter (SDM 3C 26.3.1.5). Guests
 * have no DEBUGCTL, so TF always means single step. */
static void keep_single_step(void)
{
    if (vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
        vmcs_write(VMCS_GUEST_PENDING_DEBUG, vmcs_read(VMCS_GUEST_PENDING_DEBUG) | PENDING_BS);
}

/* An event whose delivery the exit interrupted is delivered again (SDM 3C 27.2.4). */
static void keep_interrupted_event(struct hvm_vcpu *v)
{
    u64 info = vmcs_read(VMCS_VECTORING);

    if (!(info & EVENT_INFO_VALID))
        return;
    v->event = (struct hvm_event){
        .valid = true,
        .has_code = info & EVENT_INFO_HAS_CODE,
        .type = info >> 8 & 7,
        .vector = (u8)info,
        .code = (u32)vmcs_read(VMCS_VECTORING_CODE),
        .length = (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH),
    };
    if (v->event.type == EVENT_NMI)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & ~BLOCKED_BY_NMI);
}

/* Hands over what the CPU has logged; the index is that of the next entry, 0xffff after the last (SDM 3C 28.3.6). */
static void drain_pml(struct hvm_vcpu *v)
{
    u16 next = (u16)(vmcs_read(VMCS_PML_INDEX) + 1);

    if (next > PML_LAST)
        return;
    dirty_log_add(v->slat->log, (const u64 *)phys_to_virt(vmx_of(v)->pml) + next,
                  PML_LAST + 1u - next);
    vmcs_write(VMCS_PML_INDEX, PML_LAST);
}

/* The guest is left when this CPU's timer fires, by its interrupt. This is for when that does not come: Bochs can forget one
 * that is pending as it enters a guest with interrupts off, and all behind it. */
static void set_preemption_timer(void)
{
    u64 armed = cpu_this()->timer_armed, now = arch_tsc(), ticks = UINT32_MAX;

    if (armed)
        ticks = armed > now ? ((armed - now) >> vmx_controls.preemption_shift) + 1 : 0;
    vmcs_write(VMCS_PREEMPTION_TIMER, MIN(ticks, UINT32_MAX));
}

static void vmx_run(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    struct vmx_vcpu *x = vmx_of(v);

    if (vmx_controls.preemption_timer)
        set_preemption_timer();
    prepare_tlb(v);
    inject(v);
    vmcs_write(VMCS_GUEST_RSP, v->gpr[REG_RSP]);
    vmcs_write(VMCS_GUEST_RIP, v->rip);
    vmcs_write(VMCS_GUEST_RFLAGS, v->rflags);
    if (v->rflags & RFLAGS_TF)
        keep_single_step();
    if (x->tsc_offset != v->tsc_offset) {
        x->tsc_offset = v->tsc_offset;
        vmcs_write(VMCS_TSC_OFFSET, v->tsc_offset);
    }
    if (vmx_enter(v, x->launched)) {
        *exit = (struct hvm_exit){.kind = EXIT_INVALID, .hardware = vmcs_read(VMCS_INSN_ERROR)};
        exit->why =
            "VMLAUNCH or VMRESUME fails: a control or the host's state is invalid (SDM 3C 30.4)";
        return;
    }
    x->launched = 1;
    if (x->pml.v)
        drain_pml(v);
    v->gpr[REG_RSP] = vmcs_read(VMCS_GUEST_RSP);
    v->rip = vmcs_read(VMCS_GUEST_RIP);
    v->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
    keep_interrupted_event(v);
    vmx_exit_decode(v, exit);
}

static bool vmx_irq_ready(struct hvm_vcpu *v)
{
    return (v->rflags & RFLAGS_IF) && !v->event.valid &&
           !(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
}

static bool vmx_nmi_ready(struct hvm_vcpu *v)
{
    return !v->event.valid && !(vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) &
                                (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS | BLOCKED_BY_NMI));
}

static void set_primary(struct hvm_vcpu *v, u32 bit, bool on)
{
    struct vmx_vcpu *x = vmx_of(v);
    u32 primary = on ? x->primary | bit : x->primary & ~bit;

    if (primary == x->primary)
        return;
    x->primary = primary;
    vmcs_write(VMCS_PRIMARY_CONTROLS, primary);
}

static void vmx_want_irq_window(struct hvm_vcpu *v, bool on)
{
    set_primary(v, PRIMARY_IRQ_WINDOW, on);
}

static void vmx_want_nmi_window(struct hvm_vcpu *v, bool on)
{
    set_primary(v, PRIMARY_NMI_WINDOW, on);
}

static bool vmx_logs_dirty(void)
{
    return vmx_controls.pml;
}

const struct hvm_ops vmx_ops = {
    .name = "VMX",
    .slat_name = "EPT",
    .slat_format = &ept_format,
    .logs_dirty = vmx_logs_dirty,
    .probe = vmx_controls_probe,
    .cpu_enable = vmx_cpu_enable,
    .cpu_disable = vmx_cpu_disable,
    .vcpu_create = vmx_vcpu_create,
    .vcpu_destroy = vmx_vcpu_destroy,
    .get_state = vmx_get_state,
    .set_state = vmx_set_state,
    .get_mode = vmx_get_mode,
    .get_cr4 = vmx_get_cr4,
    .get_msr = vmx_get_msr,
    .set_msr = vmx_set_msr,
    .set_efer = vmx_set_efer,
    .set_cr2 = vmx_set_cr2,
    .load = vmx_load,
    .put = vmx_put,
    .run = vmx_run,
    .irq_ready = vmx_irq_ready,
    .nmi_ready = vmx_nmi_ready,
    .want_irq_window = vmx_want_irq_window,
    .want_nmi_window = vmx_want_nmi_window,
    .skip = vmx_skip,
};

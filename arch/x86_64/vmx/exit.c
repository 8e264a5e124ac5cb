/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit reasons to Ferry's words. */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu/msr.h"

void vmx_skip(struct hvm_vcpu *v, unsigned length)
{
    u64 blocked = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY);

    v->rip += length;
    v->rflags &= ~RFLAGS_RF;
    if (blocked & (BLOCKED_BY_STI | BLOCKED_BY_MOV_SS))
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~(BLOCKED_BY_STI | BLOCKED_BY_MOV_SS));
}

static void exit_plain(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
}

/* What the CPU does on its way into a handler of #DB, and leaves to us where that is intercepted: why, in DR6, but for INT1
 * (table 27-1), and the registers are the handler's (SDM 3B 17.2.4). */
static void enter_debug_handler(u8 type)
{
    if (type != EVENT_INT1)
        dr6_write((dr6_read() & ~0xfull) | (vmcs_read(VMCS_QUALIFICATION) & 0xe00f));
    vmcs_write(VMCS_GUEST_DR7, vmcs_read(VMCS_GUEST_DR7) & ~DR7_GD);
}

/* The host's own NMIs and machine checks go where they would have gone. */
static void exit_exception(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    u64 info = vmcs_read(VMCS_EXIT_EVENT);
    u8 vector = (u8)info, type = info >> 8 & 7;

    if (type == EVENT_NMI) {
        __asm__ volatile("int $2");
        return;
    }
    if (vector == VEC_MC) {
        __asm__ volatile("int $18");
        return;
    }
    if (vector == VEC_DB)
        enter_debug_handler(type);
    if (info & EVENT_INFO_UNBLOCKED && !v->event.valid)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
    exit->kind = EXIT_EXCEPTION;
    exit->event = (struct hvm_event){
        .valid = true,
        .type = type == EVENT_INT1 ? EVENT_INT1 : EVENT_EXCEPTION,
        .vector = vector,
        .has_code = info & EVENT_INFO_HAS_CODE,
        .code = (u32)vmcs_read(VMCS_EXIT_EVENT_CODE),
        .length = type == EVENT_INT1 ? (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH) : 0,
    };
}

static void raise_gp(struct hvm_exit *exit)
{
    exit->kind = EXIT_EXCEPTION;
    exit->event = (struct hvm_event){
        .valid = true, .type = EVENT_EXCEPTION, .vector = VEC_GP, .has_code = true};
}

/* MOV to CR0 that changes a bit of the host's: long mode on or off, or caching. What the CPU would
 * refuse by the values of other registers is refused (SDM 3A 2.5, 4.1.2). */
static void write_cr0(struct hvm_vcpu *v, struct hvm_exit *exit, u64 value)
{
    u64 efer = vmcs_read(VMCS_GUEST_EFER), old = vmx_cr0();
    bool enables = !(old & CR0_PG) && (value & CR0_PG);

    if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & CR0_NW) && !(value & CR0_CD)) ||
        (enables && (efer & EFER_LME) && !(vmx_cr4() & CR4_PAE))) {
        raise_gp(exit);
        return;
    }
    vmx_set_cr0((value & ~0x1ffaffc0ull) | CR0_ET); /* reserved bits are ignored */
    vmx_skip(v, exit->insn_length);
}

/* Qualification: register 3:0, access 5:4 (0 to, 1 from), general register 11:8 (table 27-3). */
static void exit_cr(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    u64 info = vmcs_read(VMCS_QUALIFICATION);
    u8 cr = info & 15, access = info >> 4 & 3, gpr = info >> 8 & 15;

    exit->kind = EXIT_NOTHING;
    if (cr == 8 && access == 0) {
        exit->kind = EXIT_CR8;
        exit->cr8.reg = gpr;
    } else if (cr == 8) {
        v->gpr[gpr] = v->cr8;
        vmx_skip(v, exit->insn_length);
    } else if (cr == 0 && access == 0) {
        write_cr0(v, exit, v->gpr[gpr]);
    } else { /* CR4: a bit that is not the guest's */
        raise_gp(exit);
    }
}

static void exit_io(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    u64 info = vmcs_read(VMCS_QUALIFICATION);
    u32 form = (u32)vmcs_read(VMCS_EXIT_INSN_INFO); /* of string forms (table 27-9) */

    (void)v;
    exit->io.port = (u16)(info >> 16);
    exit->io.size = (info & 7) + 1;
    exit->io.in = info & IO_IN;
    exit->io.string = info & IO_STRING;
    exit->io.rep = info & IO_REP;
    exit->io.address_size = (u8)(2u << (form >> 7 & 7));
    exit->io.segment = form >> 15 & 7;
}

static void exit_ept(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    u64 info = vmcs_read(VMCS_QUALIFICATION);

    if (info & EPT_UNBLOCKED && !v->event.valid)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
    exit->page.gpa = GPA(vmcs_read(VMCS_GUEST_PHYSICAL));
    exit->page.mapped = info & EPT_ALLOWED;
    exit->page.access = (u32)((info & EPT_READ ? PAGE_ACCESS_READ : 0) |
                              (info & EPT_WRITE ? PAGE_ACCESS_WRITE : 0) |
                              (info & EPT_FETCH ? PAGE_ACCESS_EXEC : 0));
    if (info & EPT_LINEAR_VALID && !(info & EPT_NOT_WALK))
        exit->page.access |= PAGE_ACCESS_WALK;
}

/* The log is emptied after every exit. The access that did not fit runs again. */
static void exit_pml_full(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)exit;
    if (vmcs_read(VMCS_QUALIFICATION) & EPT_UNBLOCKED && !v->event.valid)
        vmcs_write(VMCS_GUEST_INTERRUPTIBILITY,
                   vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) | BLOCKED_BY_NMI);
}

static void exit_misconfig(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    exit->why =
        "an EPT entry has a combination of bits that the CPU does not allow (SDM 3C 28.3.3.1)";
}

static void exit_invalid_state(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    exit->why = "the guest's registers contradict each other (SDM 3C 26.3)";
}

static const struct {
    enum hvm_exit_kind kind;
    void (*decode)(struct hvm_vcpu *v, struct hvm_exit *exit);
    bool has_length;
} exit_table[VMX_EXIT_COUNT] = {
    [VMX_EXIT_EXCEPTION_NMI] = {EXIT_INTERRUPT, exit_exception},
    [VMX_EXIT_EXTERNAL_INTERRUPT] = {EXIT_INTERRUPT, exit_plain},
    [VMX_EXIT_TRIPLE_FAULT] = {EXIT_SHUTDOWN, exit_plain},
    [VMX_EXIT_INIT] = {EXIT_INIT, exit_plain},
    [VMX_EXIT_SIPI] = {EXIT_NOTHING, exit_plain},
    [VMX_EXIT_IRQ_WINDOW] = {EXIT_IRQ_WINDOW, exit_plain},
    [VMX_EXIT_NMI_WINDOW] = {EXIT_NMI_WINDOW, exit_plain},
    [VMX_EXIT_TASK_SWITCH] = {EXIT_TASK_SWITCH, exit_plain},
    [VMX_EXIT_CPUID] = {EXIT_CPUID, exit_plain, true},
    [VMX_EXIT_GETSEC] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_HLT] = {EXIT_HLT, exit_plain, true},
    [VMX_EXIT_INVD] = {EXIT_INVD, exit_plain, true},
    [VMX_EXIT_RDPMC] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_VMCALL] = {EXIT_HYPERCALL, exit_plain, true},
    [VMX_EXIT_VMCLEAR... VMX_EXIT_VMXON] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_CR] = {EXIT_NOTHING, exit_cr, true},
    [VMX_EXIT_IO] = {EXIT_IO, exit_io, true},
    [VMX_EXIT_RDMSR] = {EXIT_MSR_READ, exit_plain, true},
    [VMX_EXIT_WRMSR] = {EXIT_MSR_WRITE, exit_plain, true},
    [VMX_EXIT_INVALID_STATE] = {EXIT_INVALID, exit_invalid_state},
    [VMX_EXIT_MSR_LOADING] = {EXIT_INVALID, exit_invalid_state},
    [VMX_EXIT_MWAIT] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_MONITOR] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_PAUSE] = {EXIT_PAUSE, exit_plain, true},
    [VMX_EXIT_EPT_VIOLATION] = {EXIT_PAGE, exit_ept},
    [VMX_EXIT_EPT_MISCONFIG] = {EXIT_INVALID, exit_misconfig},
    [VMX_EXIT_INVEPT] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_PREEMPTION_TIMER] = {EXIT_INTERRUPT, exit_plain},
    [VMX_EXIT_INVVPID] = {EXIT_UNDEFINED, exit_plain},
    [VMX_EXIT_WBINVD] = {EXIT_WBINVD, exit_plain, true},
    [VMX_EXIT_PML_FULL] = {EXIT_NOTHING, exit_pml_full},
    [VMX_EXIT_XSETBV] = {EXIT_XSETBV, exit_plain, true},
};

void vmx_exit_decode(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    u32 reason = (u32)vmcs_read(VMCS_EXIT_REASON), basic = reason & 0xffff;

    *exit = (struct hvm_exit){.kind = EXIT_UNKNOWN, .hardware = reason};
    if (basic >= VMX_EXIT_COUNT || !exit_table[basic].decode)
        return;
    exit->kind = exit_table[basic].kind;
    if (exit_table[basic].has_length)
        exit->insn_length = (u8)vmcs_read(VMCS_EXIT_INSN_LENGTH);
    exit_table[basic].decode(v, exit);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Exit codes to Ferry's words. CPUs without next-RIP save do not say how long the instruction was: then
 * its plain form without prefixes counts. */
#include "arch/x86_64/svm/svm.h"

static void exit_plain(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
}

static void exit_cr8(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    exit->cr8.reg = svm_has_decode_assists ? svm_of(v)->vmcb->exit_info1 & 15 : REG_COUNT;
}

/* The address size of a string form is in EXITINFO1, one bit a size; TCG leaves it out, and then it is what
 * the code segment says. */
static u8 address_size(const struct vmcb *b)
{
    u8 given = (u8)((b->exit_info1 >> 7 & 7) * 2);

    if (given)
        return given;
    if (b->efer & EFER_LMA && b->cs.attr & VMCB_ATTR_L)
        return 8;
    return b->cs.attr & VMCB_ATTR_DB ? 4 : 2;
}

static void exit_io(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *b = svm_of(v)->vmcb;
    u64 info = b->exit_info1;

    exit->io.port = (u16)(info >> 16);
    exit->io.size = info >> 4 & 7;
    exit->io.address_size = address_size(b);
    exit->io.segment = svm_has_decode_assists ? info >> 10 & 7 : SEG_DS;
    exit->io.in = info & IOIO_IN;
    exit->io.string = info & IOIO_STRING;
    exit->io.rep = info & IOIO_REP;
    exit->insn_length = (u8)(b->exit_info2 - v->rip);
}

static void exit_msr(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    exit->kind = svm_of(v)->vmcb->exit_info1 & 1 ? EXIT_MSR_WRITE : EXIT_MSR_READ;
}

/* The guest is about to leave its NMI handler. */
static void exit_iret(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    (void)exit;
    svm_of(v)->vmcb->intercept[3] &= ~INTERCEPT_IRET;
    svm_of(v)->iret_rip = v->rip;
}

static const struct {
    enum hvm_exit_kind kind;
    u8 length;
    void (*decode)(struct hvm_vcpu *v, struct hvm_exit *exit);
} exit_table[SVM_EXIT_TABLE] = {
    [SVM_EXIT_CR8_WRITE] = {EXIT_CR8, 0, exit_cr8},
    [SVM_EXIT_INTR] = {EXIT_INTERRUPT, 0, exit_plain},
    [SVM_EXIT_NMI] = {EXIT_INTERRUPT, 0, exit_plain},
    [SVM_EXIT_SMI] = {EXIT_INTERRUPT, 0, exit_plain},
    [SVM_EXIT_INIT] = {EXIT_INIT, 0, exit_plain},
    [SVM_EXIT_VINTR] = {EXIT_IRQ_WINDOW, 0, exit_plain},
    [SVM_EXIT_RDPMC] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_CPUID] = {EXIT_CPUID, 2, exit_plain},
    [SVM_EXIT_RSM] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_IRET] = {EXIT_NOTHING, 0, exit_iret},
    [SVM_EXIT_INVD] = {EXIT_INVD, 2, exit_plain},
    [SVM_EXIT_HLT] = {EXIT_HLT, 1, exit_plain},
    [SVM_EXIT_INVLPGA] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_IOIO] = {EXIT_IO, 0, exit_io},
    [SVM_EXIT_MSR] = {EXIT_MSR_READ, 2, exit_msr},
    [SVM_EXIT_TASK] = {EXIT_TASK_SWITCH, 0, exit_plain},
    [SVM_EXIT_FERR] = {EXIT_NOTHING, 0, exit_plain},
    [SVM_EXIT_SHUTDOWN] = {EXIT_SHUTDOWN, 0, exit_plain},
    [SVM_EXIT_VMRUN] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_VMMCALL] = {EXIT_HYPERCALL, 3, exit_plain},
    [SVM_EXIT_VMLOAD] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_VMSAVE] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_STGI] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_CLGI] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_SKINIT] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_WBINVD] = {EXIT_WBINVD, 2, exit_plain},
    [SVM_EXIT_MONITOR] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_MWAIT] = {EXIT_UNDEFINED, 0, exit_plain},
    [SVM_EXIT_XSETBV] = {EXIT_XSETBV, 3, exit_plain},
    [SVM_EXIT_RDPRU] = {EXIT_UNDEFINED, 0, exit_plain},
};

static void exit_page(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *b = svm_of(v)->vmcb;
    u64 info = b->exit_info1;

    exit->kind = EXIT_PAGE;
    exit->page.gpa = GPA(b->exit_info2);
    exit->page.mapped = info & NPF_PRESENT;
    exit->page.access =
        (u32)((info & NPF_WRITE ? PAGE_ACCESS_WRITE : PAGE_ACCESS_READ) |
              (info & NPF_FETCH ? PAGE_ACCESS_EXEC : 0) | (info & NPF_WALK ? PAGE_ACCESS_WALK : 0));
}

static void exit_exception(struct hvm_vcpu *v, struct hvm_exit *exit, u8 vector)
{
    exit->kind = vector == VEC_MC ? EXIT_INTERRUPT : EXIT_EXCEPTION;
    exit->event = (struct hvm_event){
        .valid = true,
        .type = EVENT_EXCEPTION,
        .vector = vector,
        .has_code = vector == VEC_AC,
        .code = (u32)svm_of(v)->vmcb->exit_info1,
    };
}

void svm_exit_decode(struct hvm_vcpu *v, struct hvm_exit *exit)
{
    const struct vmcb *b = svm_of(v)->vmcb;
    u64 code = b->exit_code;

    *exit = (struct hvm_exit){.kind = EXIT_UNKNOWN, .hardware = code};
    if (code == SVM_EXIT_NPF) {
        exit_page(v, exit);
    } else if ((u32)code == (u32)SVM_EXIT_INVALID) { /* TCG sets the lower half alone */
        exit->kind = EXIT_INVALID;
        exit->why = "the VMCB is inconsistent (APM 2, 15.5.1)";
    } else if (code >= SVM_EXIT_EXCEPTION && code < SVM_EXIT_EXCEPTION + 32) {
        exit_exception(v, exit, (u8)(code - SVM_EXIT_EXCEPTION));
    } else if (code < SVM_EXIT_TABLE && exit_table[code].decode) {
        exit->kind = exit_table[code].kind;
        exit->insn_length = exit_table[code].length;
        exit_table[code].decode(v, exit);
        if (exit->insn_length && svm_has_next_rip && b->next_rip)
            exit->insn_length = (u8)(b->next_rip - v->rip);
    }
}

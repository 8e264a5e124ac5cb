/* SPDX-License-Identifier: BSD-2-Clause */
/* What each exit means to the VM: one row an exit. */
#include "kernel/arch.h"
#include "kernel/log.h"
#include "vmm/insn.h"
#include "vmm/vm.h"

/* --- exceptions ------------------------------------------------------------------------------- */

/* SDM 3A 6.15, table 6-5: which exceptions, one upon the other, make a double fault. */
static bool is_contributory(const struct hvm_event *e)
{
    static const u32 contributory =
        BIT(VEC_DE) | BIT(VEC_TS) | BIT(VEC_NP) | BIT(VEC_SS) | BIT(VEC_GP) | BIT(VEC_PF);

    return e->valid && e->type == EVENT_EXCEPTION && e->vector < 32 &&
           (contributory >> e->vector & 1);
}

void vcpu_raise(struct vcpu *v, u8 vector, bool has_code, u32 code)
{
    struct hvm_event new = {.valid = true,
                            .type = EVENT_EXCEPTION,
                            .vector = vector,
                            .has_code = has_code,
                            .code = code};
    struct hvm_event *old = &v->hvm.event;

    if (old->valid && old->type == EVENT_EXCEPTION && old->vector == VEC_DF) {
        vm_fail(v->vm, "vCPU %u: triple fault", v->index);
        return;
    }
    if (is_contributory(old) && is_contributory(&new))
        new = (struct hvm_event){
            .valid = true, .type = EVENT_EXCEPTION, .vector = VEC_DF, .has_code = true};
    *old = new;
}

static void raise_gp(struct vcpu *v)
{
    vcpu_raise(v, VEC_GP, true, 0);
}

/* --- instructions ----------------------------------------------------------------------------- */

static u64 edx_eax(const struct vcpu *v)
{
    return v->hvm.gpr[REG_RDX] << 32 | (u32)v->hvm.gpr[REG_RAX];
}

static void set_edx_eax(struct vcpu *v, u64 value)
{
    v->hvm.gpr[REG_RAX] = (u32)value;
    v->hvm.gpr[REG_RDX] = value >> 32;
}

static void on_cpuid(struct vcpu *v, const struct hvm_exit *exit)
{
    struct cpuid_vcpu state = {
        .index = v->index, .cr4 = hvm->get_cr4(&v->hvm), .xcr0 = arch_xcr0_get()};
    struct cpuid_regs r;

    cpuid_query(&v->vm->cpuid, &state, (u32)v->hvm.gpr[REG_RAX], (u32)v->hvm.gpr[REG_RCX], &r);
    v->hvm.gpr[REG_RAX] = r.eax;
    v->hvm.gpr[REG_RBX] = r.ebx;
    v->hvm.gpr[REG_RCX] = r.ecx;
    v->hvm.gpr[REG_RDX] = r.edx;
    hvm->skip(&v->hvm, exit->insn_length);
}

static void on_hlt(struct vcpu *v, const struct hvm_exit *exit)
{
    hvm->skip(&v->hvm, exit->insn_length);
    v->activity = VCPU_HALTED;
}

static void on_io(struct vcpu *v, const struct hvm_exit *exit)
{
    struct vm *vm = v->vm;
    u64 *rax = &v->hvm.gpr[REG_RAX];
    u64 mask = exit->io.size == 4 ? ~0ull : BIT(exit->io.size * 8) - 1;
    struct vtime now;
    u32 value = 0;
    bool claimed;

    if (exit->io.string) {
        io_string(v, exit);
        return;
    }
    lock_acquire(&vm->lock);
    now = vcpu_time(v);
    if (exit->io.in)
        claimed = platform_in(&vm->platform, v->index, exit->io.port, exit->io.size, &now, &value);
    else
        claimed =
            platform_out(&vm->platform, v->index, exit->io.port, exit->io.size, &now, (u32)*rax);
    vm_unlock_devices(vm);
    v->kicked |= !exit->io.in; /* timers and lines may have changed */
    if (exit->io.in)
        *rax = exit->io.size == 4 ? value : (*rax & ~mask) | (value & mask);
    if (!claimed)
        vm_log_once(vm, "I/O port without a device", exit->io.port);
    hvm->skip(&v->hvm, exit->insn_length);
}

static void on_msr_read(struct vcpu *v, const struct hvm_exit *exit)
{
    u32 msr = (u32)v->hvm.gpr[REG_RCX];
    u64 value;

    if (!msr_read_guest(v, msr, &value)) {
        vm_log_once(v->vm, "read of an MSR that is not there", msr);
        raise_gp(v);
        return;
    }
    set_edx_eax(v, value);
    hvm->skip(&v->hvm, exit->insn_length);
}

static void on_msr_write(struct vcpu *v, const struct hvm_exit *exit)
{
    u32 msr = (u32)v->hvm.gpr[REG_RCX];

    if (!msr_write_guest(v, msr, edx_eax(v))) {
        vm_log_once(v->vm, "refused write to an MSR", msr);
        raise_gp(v);
        return;
    }
    hvm->skip(&v->hvm, exit->insn_length);
}

static void on_xsetbv(struct vcpu *v, const struct hvm_exit *exit)
{
    struct hvm_mode m;

    hvm->get_mode(&v->hvm, &m);
    if ((u32)v->hvm.gpr[REG_RCX] || SEG_ATTR_DPL(m.seg[SEG_SS].attr) ||
        !cpuid_xcr0_valid(&v->vm->cpuid, edx_eax(v))) {
        raise_gp(v);
        return;
    }
    arch_xcr0_set(edx_eax(v));
    hvm->skip(&v->hvm, exit->insn_length);
}

/* MOV to CR8; where the CPU does not say from which register, the instruction does. */
static void on_cr8(struct vcpu *v, const struct hvm_exit *exit)
{
    u8 reg = exit->cr8.reg, length = exit->insn_length, bytes[INSN_MAX_LENGTH];
    struct hvm_mode m;
    struct insn insn;

    if (reg >= REG_COUNT) {
        unsigned n;

        hvm->get_mode(&v->hvm, &m);
        n = vcpu_fetch(v, &m, bytes);
        if (!n)
            return;
        if (insn_decode(&insn, bytes, n, insn_mode(&m, v->hvm.rflags)) != INSN_DECODED ||
            insn.op != INSN_MOV_TO_CR) {
            vcpu_raise(v, VEC_UD, false, 0);
            return;
        }
        reg = insn.rm;
        length = insn.length;
    }
    if (v->hvm.gpr[reg] & ~15ull) {
        raise_gp(v);
        return;
    }
    lock_acquire(&v->vm->lock);
    irqchip_set_cr8(&v->vm->platform.devices.irqchip, v->index, (u8)v->hvm.gpr[reg]);
    vm_unlock_devices(v->vm);
    v->kicked = 1;
    hvm->skip(&v->hvm, length);
}

/* Ferry has no hypercalls; KVM's answer to an unknown one is -ENOSYS, and guests see KVM's name. */
static void on_hypercall(struct vcpu *v, const struct hvm_exit *exit)
{
    v->hvm.gpr[REG_RAX] = (u64)-1000;
    hvm->skip(&v->hvm, exit->insn_length);
}

static void on_undefined(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)exit;
    vcpu_raise(v, VEC_UD, false, 0);
}

/* An interrupt whose delivery raised an exception comes behind that exception: the guest cannot be told of both at once. */
static void give_back_interrupted(struct vcpu *v)
{
    struct irqchip *chip = &v->vm->platform.devices.irqchip;
    struct hvm_event *e = &v->hvm.event;

    if (!e->valid || (e->type != EVENT_IRQ && e->type != EVENT_NMI))
        return;
    lock_acquire(&v->vm->lock);
    if (e->type == EVENT_NMI)
        irqchip_give_back_nmi(chip, v->index);
    else
        irqchip_give_back(chip, v->index, e->vector);
    lock_release(&v->vm->lock);
    e->valid = false;
    v->kicked = 1;
}

static void on_exception(struct vcpu *v, const struct hvm_exit *exit)
{
    give_back_interrupted(v);
    if (exit->event.type == EVENT_INT1) {
        v->hvm.event = exit->event; /* an instruction's own, so nothing else was being delivered */
        return;
    }
    vcpu_raise(v, exit->event.vector, exit->event.has_code, exit->event.code);
}

/* Caches need no flushing: guests have no device that does not snoop them. */
static void on_cache(struct vcpu *v, const struct hvm_exit *exit)
{
    hvm->skip(&v->hvm, exit->insn_length);
}

/* --- memory ---------------------------------------------------------------------------------- */

enum err vcpu_memory(struct vcpu *v, gpa_t gpa, enum err e)
{
    if (e == E_NOMEM)
        vm_starve(v->vm, gpa);
    else if (e && e != E_RANGE && e != E_STATE)
        vm_fail(v->vm, "vCPU %u: its page at %llx cannot be had: %s", v->index,
                (unsigned long long)gpa.v, err_name(e));
    return e;
}

static void on_no_memory(struct vcpu *v, const struct hvm_exit *exit)
{
    struct vm *vm = v->vm;
    unsigned long long gpa = exit->page.gpa.v;

    if (exit->page.access & PAGE_ACCESS_WALK)
        vm_fail(vm, "vCPU %u: its page tables lead to %llx, where no memory is", v->index, gpa);
    else if (exit->page.access & PAGE_ACCESS_EXEC)
        vm_fail(vm, "vCPU %u: runs code at %llx, where no memory is", v->index, gpa);
    else if (v->hvm.event.valid)
        vm_fail(vm, "vCPU %u: its stack or descriptor tables are at %llx, where no memory is",
                v->index, gpa);
    else
        mmio_emulate(v, exit->page.gpa);
}

static void on_page(struct vcpu *v, const struct hvm_exit *exit)
{
    bool write = exit->page.access & PAGE_ACCESS_WRITE;
    enum err e = pmap_fault(&v->vm->pmap, exit->page.gpa, write, &v->page_wait);

    if (e == E_RANGE)
        on_no_memory(v, exit);
    else if (e != E_AGAIN) /* else the vCPU sleeps until the page has come */
        (void)vcpu_memory(v, exit->page.gpa, e);
}

/* --- the rest -------------------------------------------------------------------------------- */

static void on_interrupt(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
    thread_interrupted();
}

static void on_nothing(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)v;
    (void)exit;
}

static void on_window(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)exit;
    v->kicked = 1;
}

static void on_shutdown(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)exit;
    vm_fail(v->vm, "vCPU %u: triple fault at rip %llx", v->index, (unsigned long long)v->hvm.rip);
}

static void on_task_switch(struct vcpu *v, const struct hvm_exit *exit)
{
    (void)exit;
    vm_fail(v->vm, "vCPU %u: switches tasks by hardware, which Ferry does not offer", v->index);
}

static void on_invalid(struct vcpu *v, const struct hvm_exit *exit)
{
    vm_fail(v->vm, "vCPU %u: the CPU refuses its state at rip %llx: %s", v->index,
            (unsigned long long)v->hvm.rip, exit->why);
}

static void on_unknown(struct vcpu *v, const struct hvm_exit *exit)
{
    vm_fail(v->vm, "vCPU %u: %s exit %llx at rip %llx, which Ferry does not know", v->index,
            hvm->name, (unsigned long long)exit->hardware, (unsigned long long)v->hvm.rip);
}

static const struct {
    const char *name;
    void (*handle)(struct vcpu *v, const struct hvm_exit *exit);
} exit_row[EXIT_KIND_COUNT] = {
    [EXIT_INTERRUPT] = {"host interrupt", on_interrupt},
    [EXIT_IRQ_WINDOW] = {"interrupt window", on_window},
    [EXIT_NMI_WINDOW] = {"NMI window", on_window},
    [EXIT_CPUID] = {"CPUID", on_cpuid},
    [EXIT_HLT] = {"HLT", on_hlt},
    [EXIT_IO] = {"I/O port", on_io},
    [EXIT_MSR_READ] = {"RDMSR", on_msr_read},
    [EXIT_MSR_WRITE] = {"WRMSR", on_msr_write},
    [EXIT_PAGE] = {"page fault", on_page},
    [EXIT_XSETBV] = {"XSETBV", on_xsetbv},
    [EXIT_CR8] = {"MOV to CR8", on_cr8},
    [EXIT_NOTHING] = {"backend", on_nothing},
    [EXIT_HYPERCALL] = {"hypercall", on_hypercall},
    [EXIT_UNDEFINED] = {"absent instruction", on_undefined},
    [EXIT_EXCEPTION] = {"exception", on_exception},
    [EXIT_WBINVD] = {"WBINVD", on_cache},
    [EXIT_INVD] = {"INVD", on_cache},
    [EXIT_PAUSE] = {"PAUSE", on_nothing},
    [EXIT_TASK_SWITCH] = {"task switch", on_task_switch},
    [EXIT_SHUTDOWN] = {"triple fault", on_shutdown},
    [EXIT_INIT] = {"INIT", on_nothing},
    [EXIT_INVALID] = {"refused entry", on_invalid},
    [EXIT_UNKNOWN] = {"unknown", on_unknown},
};

const char *vcpu_exit_name(enum hvm_exit_kind kind)
{
    return exit_row[kind].name;
}

void vcpu_handle_exit(struct vcpu *v, const struct hvm_exit *exit)
{
    exit_row[exit->kind].handle(v, exit);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSRs that a guest has: an allow-list. Any other raises #GP, as where there is none. Those that the
 * hardware or the backend switches without an exit do not come here. */
#include "kernel/arch.h"
#include "vmm/vm.h"

#define MSR_TSC             0x10
#define MSR_PLATFORM_ID     0x17
#define MSR_FEATURE_CONTROL 0x3a
#define MSR_TSC_ADJUST      0x3b
#define MSR_MICROCODE       0x8b
#define MSR_MTRR_CAP        0xfe
#define MSR_MCG_CAP         0x179
#define MSR_MCG_STATUS      0x17a
#define MSR_SYSENTER_CS     0x174
#define MSR_SYSENTER_ESP    0x175
#define MSR_SYSENTER_EIP    0x176
#define MSR_MISC_ENABLE     0x1a0
#define MSR_DEBUGCTL        0x1d9
#define MSR_PAT             0x277
#define MSR_EFER            0xc0000080
#define MSR_STAR            0xc0000081
#define MSR_LSTAR           0xc0000082
#define MSR_CSTAR           0xc0000083
#define MSR_SFMASK          0xc0000084
#define MSR_KERNEL_GS_BASE  0xc0000102
#define MSR_TSC_AUX         0xc0000103
#define MSR_AMD_PERF        0xc0010000 /* four event selectors, then four counters */
#define MSR_AMD_SYSCFG      0xc0010010
#define MSR_AMD_HWCR        0xc0010015
#define MSR_AMD_NB_CFG      0xc001001f
#define MSR_AMD_INT_PENDING 0xc0010055
#define MSR_AMD_DE_CFG      0xc0011029
#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_CLOCK       0x4b564d01

#define MISC_ENABLE_FAST_STRINGS     BIT(0)
#define MISC_ENABLE_BTS_UNAVAILABLE  BIT(11)
#define MISC_ENABLE_PEBS_UNAVAILABLE BIT(12)
/* SDM 4, IA32_MISC_ENABLE: what a CPU without performance monitoring shows. */
#define MISC_ENABLE                                                                                \
    (MISC_ENABLE_FAST_STRINGS | MISC_ENABLE_BTS_UNAVAILABLE | MISC_ENABLE_PEBS_UNAVAILABLE)
#define DE_CFG_LFENCE_SERIALIZES BIT(1)
#define EFER_GUEST               (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

struct msr_row {
    u32 msr;
    bool (*read)(struct vcpu *v, const struct msr_row *row, u64 *value);
    bool (*write)(struct vcpu *v, const struct msr_row *row, u64 value);
    u64 value; /* of a constant, or enum hvm_msr */
};

static bool is_canonical(u64 address)
{
    return (u64)((s64)(address << 16) >> 16) == address;
}

static bool read_constant(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    (void)v;
    *value = row->value;
    return true;
}

static bool write_ignored(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)v;
    (void)row;
    (void)value;
    return true;
}

static bool write_refused(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)v;
    (void)row;
    (void)value;
    return false;
}

static bool write_zero(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)v;
    (void)row;
    return !value;
}

static bool read_switched(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    *value = hvm->get_msr(&v->hvm, (enum hvm_msr)row->value);
    return true;
}

static bool write_switched(struct vcpu *v, const struct msr_row *row, u64 value)
{
    hvm->set_msr(&v->hvm, (enum hvm_msr)row->value, value);
    return true;
}

static bool write_address(struct vcpu *v, const struct msr_row *row, u64 value)
{
    return is_canonical(value) && write_switched(v, row, value);
}

static bool write_low32(struct vcpu *v, const struct msr_row *row, u64 value)
{
    return !(value >> 32) && write_switched(v, row, value);
}

/* Each of the eight fields has one of the types 0, 1, 4 to 7 (SDM 3A 11.12.2). */
static bool write_pat(struct vcpu *v, const struct msr_row *row, u64 value)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u8 type = (u8)(value >> i);

        if (type > 7 || type == 2 || type == 3)
            return false;
    }
    return write_switched(v, row, value);
}

static bool read_tsc(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    (void)row;
    *value = arch_tsc() + v->hvm.tsc_offset;
    return true;
}

static void adjust_tsc(struct vcpu *v, u64 adjust)
{
    v->tsc_adjust = adjust;
    v->hvm.tsc_offset = v->vm->tsc_offset + adjust;
    kvmclock_due(v);
}

static bool write_tsc(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)row;
    adjust_tsc(v, value - arch_tsc() - v->vm->tsc_offset);
    return true;
}

/* What was added to the TSC so far, by a write to either MSR (SDM 3B 17.17.3). There if CPUID says so. */
static bool has_tsc_adjust(const struct vcpu *v)
{
    struct cpuid_vcpu state = {0};
    struct cpuid_regs r;

    cpuid_query(&v->vm->cpuid, &state, 7, 0, &r);
    return r.ebx & BIT(1);
}

static bool read_tsc_adjust(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    (void)row;
    *value = v->tsc_adjust;
    return has_tsc_adjust(v);
}

static bool write_tsc_adjust(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)row;
    if (!has_tsc_adjust(v))
        return false;
    adjust_tsc(v, value);
    return true;
}

static bool read_efer(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    struct hvm_mode m;

    (void)row;
    hvm->get_mode(&v->hvm, &m);
    *value = m.efer;
    return true;
}

/* LMA is the CPU's; LME cannot change while paging is on (SDM 3A 4.1). */
static bool write_efer(struct vcpu *v, const struct msr_row *row, u64 value)
{
    struct hvm_mode m;

    (void)row;
    hvm->get_mode(&v->hvm, &m);
    if (value & ~EFER_GUEST || ((value ^ m.efer) & EFER_LME && m.cr0 & CR0_PG))
        return false;
    hvm->set_efer(&v->hvm, (value & ~EFER_LMA) | (m.efer & EFER_LMA));
    return true;
}

static bool write_clock(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)row;
    return kvmclock_set(v, value);
}

static bool read_clock(struct vcpu *v, const struct msr_row *row, u64 *value)
{
    (void)row;
    *value = v->kvmclock;
    return true;
}

static bool write_wall(struct vcpu *v, const struct msr_row *row, u64 value)
{
    (void)row;
    return kvmclock_set_wall(v, value);
}

#define CONSTANT(msr, value)                                                                       \
    {                                                                                              \
        msr, read_constant, write_ignored, value                                                   \
    }
/* Of something that every such CPU has, and this one does nothing with. */
#define UNUSED(msr)                                                                                \
    {                                                                                              \
        msr, read_constant, write_zero, 0                                                          \
    }
#define READ_ONLY(msr, value)                                                                      \
    {                                                                                              \
        msr, read_constant, write_refused, value                                                   \
    }

static const struct msr_row both[] = {
    {MSR_TSC, read_tsc, write_tsc},
    {MSR_TSC_ADJUST, read_tsc_adjust, write_tsc_adjust},
    CONSTANT(MSR_MICROCODE, 0), /* a write of 0 asks the CPU to say its revision */
    READ_ONLY(MSR_MTRR_CAP, 0), /* no variable range, no fixed one */
    READ_ONLY(MSR_MCG_CAP, 0),  /* machine check without a bank */
    CONSTANT(MSR_MCG_STATUS, 0),
    CONSTANT(MSR_DEBUGCTL, 0),
    {MSR_PAT, read_switched, write_pat, HVM_MSR_PAT},
    {MSR_EFER, read_efer, write_efer},
    {MSR_STAR, read_switched, write_switched, HVM_MSR_STAR},
    {MSR_LSTAR, read_switched, write_address, HVM_MSR_LSTAR},
    {MSR_CSTAR, read_switched, write_address, HVM_MSR_CSTAR},
    {MSR_SFMASK, read_switched, write_switched, HVM_MSR_SFMASK},
    {MSR_KERNEL_GS_BASE, read_switched, write_address, HVM_MSR_KERNEL_GS_BASE},
    {MSR_TSC_AUX, read_switched, write_low32, HVM_MSR_TSC_AUX},
    {MSR_SYSENTER_CS, read_switched, write_low32, HVM_MSR_SYSENTER_CS},
    {MSR_SYSENTER_ESP, read_switched, write_address, HVM_MSR_SYSENTER_ESP},
    {MSR_SYSENTER_EIP, read_switched, write_address, HVM_MSR_SYSENTER_EIP},
    {MSR_KVM_CLOCK, read_clock, write_clock},
    {MSR_KVM_WALL_CLOCK, read_constant, write_wall},
};

static const struct msr_row intel[] = {
    READ_ONLY(MSR_PLATFORM_ID, 0),
    READ_ONLY(MSR_FEATURE_CONTROL, 1), /* locked, VMX off */
    CONSTANT(MSR_MISC_ENABLE, MISC_ENABLE),
};

static const struct msr_row amd[] = {
    UNUSED(MSR_AMD_PERF),
    UNUSED(MSR_AMD_PERF + 1),
    UNUSED(MSR_AMD_PERF + 2),
    UNUSED(MSR_AMD_PERF + 3),
    UNUSED(MSR_AMD_PERF + 4),
    UNUSED(MSR_AMD_PERF + 5),
    UNUSED(MSR_AMD_PERF + 6),
    UNUSED(MSR_AMD_PERF + 7),
    CONSTANT(MSR_AMD_SYSCFG, 0),
    CONSTANT(MSR_AMD_HWCR, 0),
    CONSTANT(MSR_AMD_NB_CFG, 0),
    CONSTANT(MSR_AMD_INT_PENDING, 0),
    CONSTANT(MSR_AMD_DE_CFG, DE_CFG_LFENCE_SERIALIZES),
};

static const struct msr_row *find(const struct msr_row *rows, size_t count, u32 msr)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].msr == msr)
            return &rows[i];
    return NULL;
}

static const struct msr_row *find_any(const struct vcpu *v, u32 msr)
{
    const struct msr_row *row = find(both, COUNT_OF(both), msr);
    struct cpuid_vcpu state = {0};
    struct cpuid_regs r;

    if (row)
        return row;
    cpuid_query(&v->vm->cpuid, &state, 0, 0, &r);
    if (r.ebx == 0x756e6547) /* "Genu" */
        return find(intel, COUNT_OF(intel), msr);
    return find(amd, COUNT_OF(amd), msr);
}

bool msr_read_guest(struct vcpu *v, u32 msr, u64 *value)
{
    const struct msr_row *row;
    struct vtime now;
    bool ok;

    if (!irqchip_owns_msr(msr)) {
        row = find_any(v, msr);
        return row && row->read(v, row, value);
    }
    lock_acquire(&v->vm->lock);
    now = vcpu_time(v);
    ok = irqchip_read_msr(&v->vm->platform.devices.irqchip, v->index, msr, value, &now);
    vm_unlock_devices(v->vm);
    return ok;
}

bool msr_write_guest(struct vcpu *v, u32 msr, u64 value)
{
    const struct msr_row *row;
    struct vtime now;
    bool ok;

    if (!irqchip_owns_msr(msr)) {
        row = find_any(v, msr);
        return row && row->write(v, row, value);
    }
    lock_acquire(&v->vm->lock);
    now = vcpu_time(v);
    ok = irqchip_write_msr(&v->vm->platform.devices.irqchip, v->index, msr, value, &now);
    vm_unlock_devices(v->vm);
    v->kicked = 1;
    return ok;
}

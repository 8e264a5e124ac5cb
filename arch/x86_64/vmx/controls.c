/* SPDX-License-Identifier: BSD-2-Clause */
/* What this CPU's VMX can do, against what Ferry needs: one row a control. */
#include "arch/x86_64/vmx/vmx.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/string.h"

#define MSR_VMX_BASIC        0x480
#define MSR_VMX_CR0_FIXED0   0x486
#define MSR_VMX_CR4_FIXED0   0x488
#define MSR_VMX_SECONDARY    0x48b
#define MSR_VMX_EPT_VPID_CAP 0x48c
#define MSR_VMX_MISC         0x485
#define MSR_VMX_TRUE_PIN     0x48d
#define PIN_PREEMPTION_TIMER BIT(6)
#define MSR_VMX_TRUE_PRIMARY 0x48e
#define MSR_VMX_TRUE_EXIT    0x48f
#define MSR_VMX_TRUE_ENTRY   0x490

#define BASIC_TRUE_CONTROLS BIT(55)
#define FEATURE_LOCKED      BIT(0)
#define FEATURE_VMX         BIT(2)

struct vmx_controls vmx_controls;

struct control {
    u32 msr;
    const char *msr_name;
    u32 *field;
    u8 bit;
    const char *name;
};

#define PIN(bit, name)                                                                             \
    {                                                                                              \
        MSR_VMX_TRUE_PIN, "IA32_VMX_TRUE_PINBASED_CTLS", &vmx_controls.pin, bit, name              \
    }
#define PRIMARY(bit, name)                                                                         \
    {                                                                                              \
        MSR_VMX_TRUE_PRIMARY, "IA32_VMX_TRUE_PROCBASED_CTLS", &vmx_controls.primary, bit, name     \
    }
#define SECONDARY(bit, name)                                                                       \
    {                                                                                              \
        MSR_VMX_SECONDARY, "IA32_VMX_PROCBASED_CTLS2", &vmx_controls.secondary, bit, name          \
    }
#define EXIT(bit, name)                                                                            \
    {                                                                                              \
        MSR_VMX_TRUE_EXIT, "IA32_VMX_TRUE_EXIT_CTLS", &vmx_controls.exit, bit, name                \
    }
#define ENTRY(bit, name)                                                                           \
    {                                                                                              \
        MSR_VMX_TRUE_ENTRY, "IA32_VMX_TRUE_ENTRY_CTLS", &vmx_controls.entry, bit, name             \
    }

static const struct control needed[] = {
    PIN(0, "external-interrupt exiting"),
    PIN(3, "NMI exiting"),
    PIN(5, "virtual NMIs"),
    PRIMARY(3, "TSC offsetting"),
    PRIMARY(7, "HLT exiting"),
    PRIMARY(10, "MWAIT exiting"),
    PRIMARY(11, "RDPMC exiting"),
    PRIMARY(19, "CR8-load exiting"),
    PRIMARY(20, "CR8-store exiting"),
    PRIMARY(24, "unconditional I/O exiting"),
    PRIMARY(28, "MSR bitmaps"),
    PRIMARY(29, "MONITOR exiting"),
    PRIMARY(31, "secondary controls"),
    SECONDARY(1, "EPT"),
    SECONDARY(3, "RDTSCP"),
    SECONDARY(5, "VPID"),
    SECONDARY(6, "WBINVD exiting"),
    SECONDARY(7, "unrestricted guest"),
    EXIT(2, "save debug controls"),
    EXIT(9, "64-bit host"),
    EXIT(18, "save PAT"),
    EXIT(19, "load PAT"),
    EXIT(20, "save EFER"),
    EXIT(21, "load EFER"),
    ENTRY(2, "load debug controls"),
    ENTRY(14, "load PAT"),
    ENTRY(15, "load EFER"),
};

static const struct {
    u8 bit;
    const char *name;
} needed_ept[] = {
    {6, "4-level EPT walks"},
    {14, "write-back EPT tables"},
    {16, "2 MiB EPT pages"},
    {20, "INVEPT"},
    {21, "accessed and dirty bits in EPT"},
    {25, "INVEPT of a single context"},
    {32, "INVVPID"},
    {41, "INVVPID of a single context"},
};

static void say_missing(void (*missing)(const char *), const char *what, const char *msr,
                        unsigned bit)
{
    char line[100];

    str_format(line, sizeof(line), "no %s: %s lacks bit %u", what, msr, bit);
    missing(line);
}

/* Bits 31:0 of a capability MSR must be 1, bits 63:32 may be (A.3.1). */
static bool take_control(const struct control *c, void (*missing)(const char *))
{
    u64 cap = msr_read(c->msr);

    *c->field |= (u32)cap;
    if (!(cap >> 32 >> c->bit & 1)) {
        say_missing(missing, c->name, c->msr_name, c->bit);
        return false;
    }
    *c->field |= (u32)BIT(c->bit);
    return true;
}

bool vmx_unlock(void)
{
    u64 control = msr_read(MSR_IA32_FEATURE_CONTROL);

    if (!(control & FEATURE_LOCKED)) { /* firmware left it to us */
        control |= FEATURE_LOCKED | FEATURE_VMX;
        msr_write(MSR_IA32_FEATURE_CONTROL, control);
    }
    return control & FEATURE_VMX;
}

bool vmx_controls_probe(void (*missing)(const char *))
{
    bool ok = true;
    u32 r[4];
    u64 basic;

    arch_cpuid(1, 0, r);
    if (!(r[2] & BIT(5))) {
        missing("no VT-x: CPUID 1 ECX lacks VMX (bit 5)");
        return false;
    }
    if (!vmx_unlock()) {
        missing(
            "VT-x is turned off: IA32_FEATURE_CONTROL is locked without bit 2; turn VT-x on in the "
            "firmware's setup");
        return false;
    }
    basic = msr_read(MSR_VMX_BASIC);
    if (!(basic & BASIC_TRUE_CONTROLS)) {
        say_missing(missing, "\"true\" control capabilities", "IA32_VMX_BASIC", 55);
        return false;
    }
    vmx_controls.revision = (u32)basic & 0x7fffffff;
    vmx_controls.cr0_fixed = msr_read(MSR_VMX_CR0_FIXED0);
    vmx_controls.cr4_fixed = msr_read(MSR_VMX_CR4_FIXED0);
    for (unsigned i = 0; i < COUNT_OF(needed); i++)
        ok = take_control(&needed[i], missing) && ok;
    if (!ok)
        return false;
    vmx_controls.ept_vpid = msr_read(MSR_VMX_EPT_VPID_CAP);
    if (msr_read(MSR_VMX_TRUE_PIN) >> 32 & PIN_PREEMPTION_TIMER) {
        vmx_controls.preemption_timer = true;
        vmx_controls.preemption_shift = msr_read(MSR_VMX_MISC) & 31;
        vmx_controls.pin |= PIN_PREEMPTION_TIMER;
    }
    vmx_controls.pml = msr_read(MSR_VMX_SECONDARY) >> 32 & SECONDARY_PML;
    for (unsigned i = 0; i < COUNT_OF(needed_ept); i++)
        if (!(vmx_controls.ept_vpid >> needed_ept[i].bit & 1)) {
            say_missing(missing, needed_ept[i].name, "IA32_VMX_EPT_VPID_CAP", needed_ept[i].bit);
            ok = false;
        }
    return ok;
}

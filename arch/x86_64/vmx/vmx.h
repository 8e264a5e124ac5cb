/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel VT-x with EPT: what its files share. A vCPU's VMCS is the CPU's current one from load to put. */
#pragma once
#include "arch/x86_64/vmx/vmcs.h"
#include "kernel/arch.h"

/* MSRs that the VMCS has no field for: swapped by hand at load and put. */
enum {
    SWAPPED_STAR,
    SWAPPED_LSTAR,
    SWAPPED_CSTAR,
    SWAPPED_SFMASK,
    SWAPPED_KERNEL_GS_BASE,
    SWAPPED_TSC_AUX,
    SWAPPED_COUNT
};

#define SECONDARY_PML BIT(17)
#define PML_LAST      511

struct vmx_vcpu {
    hpa_t vmcs;
    u16 vpid;
    u32 launched; /* since the last VMCLEAR */
    u32 primary;  /* controls as they are in the VMCS */
    hpa_t
        pml; /* 512 addresses of pages that the CPU has marked dirty, from the last one down; or 0 */
    u64 tsc_offset;
    u64 dr[4], dr6, cr2; /* while it is not loaded */
    u64 swapped[SWAPPED_COUNT];
};

/* What VMX allows on this host (SDM 3D appendix A), with what Ferry makes of it. controls.c */
struct vmx_controls {
    u32 revision;
    u32 pin, primary, secondary, exit, entry;
    u64 cr0_fixed, cr4_fixed; /* bits that must be 1 in VMX operation */
    u64 ept_vpid;             /* IA32_VMX_EPT_VPID_CAP */
    bool
        preemption_timer; /* there is one, which counts when the TSC's bit `preemption_shift` changes (25.5.1) */
    u8 preemption_shift;
    bool pml; /* the CPU can log what it marks dirty (SDM 3C 28.3.6) */
};
extern struct vmx_controls vmx_controls;
bool vmx_controls_probe(void (*missing)(const char *line));
/* Lets this CPU use VMX, where firmware has not decided; false where it has decided against it. */
bool vmx_unlock(void);

/* CR0 and CR4 bits that the guest does not own. VMX fixes some, and Ferry does not offer others. */
#define CR0_HOST_OWNED (CR0_NE | CR0_NW | CR0_CD)
#define CR4_GUEST_OWNED                                                                            \
    (0x7ull | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | BIT(8) | CR4_OSFXSR |               \
     CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)

extern const struct ptab_format ept_format; /* ept.c */
u64 ept_pointer(hpa_t root);

static inline struct vmx_vcpu *vmx_of(struct hvm_vcpu *v)
{
    return v->arch;
}

/* state.c */
void vmx_get_state(struct hvm_vcpu *v, struct hvm_state *s);
void vmx_set_state(struct hvm_vcpu *v, const struct hvm_state *s);
void vmx_get_mode(struct hvm_vcpu *v, struct hvm_mode *m);
u64 vmx_get_cr4(struct hvm_vcpu *v);
u64 vmx_get_msr(struct hvm_vcpu *v, enum hvm_msr msr);
void vmx_set_msr(struct hvm_vcpu *v, enum hvm_msr msr, u64 value);
void vmx_set_efer(struct hvm_vcpu *v, u64 efer);
void vmx_set_cr2(struct hvm_vcpu *v, u64 cr2);
/* CR0 as the guest sees it, in all its parts: the real one, the shadow, long mode. */
void vmx_set_cr0(u64 cr0);
u64 vmx_cr0(void);
u64 vmx_cr4(void);
/* Makes a VMCS that is not loaded current, and undoes it. */
void vmx_borrow(struct hvm_vcpu *v);
void vmx_give_back(struct hvm_vcpu *v);

/* exit.c */
void vmx_exit_decode(struct hvm_vcpu *v, struct hvm_exit *exit);
void vmx_skip(struct hvm_vcpu *v, unsigned length);

/* entry.S: true if the CPU refused to enter */
bool vmx_enter(struct hvm_vcpu *v, u32 launched);
extern const u8 vmx_exit_point[];

static inline void vmx_clear(hpa_t vmcs)
{
    __asm__ volatile("vmclear %0" : : "m"(vmcs) : "cc", "memory");
}
static inline void vmx_make_current(hpa_t vmcs)
{
    __asm__ volatile("vmptrld %0" : : "m"(vmcs) : "cc", "memory");
}

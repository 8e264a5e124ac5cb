/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM's vCPUs see in CPUID: an allow-list, made once per VM from what the host has.
 *
 * The policy is plain data, which travels with the VM. A bit is shown only where a rule below
 * lets it through; what appears in CPUs of next year stays hidden until someone has looked at it.
 *
 * Shown as found: vendor, family, model, brand, caches, and the features of the user instruction set
 * up to AVX2. Not shown:
 *   - VMX, SVM, MONITOR, the PMU (leaf 0Ah), MTRRs (PAT is there), SGX, TSX, MPX, PKU, CET, LA57,
 *     AVX-512: Ferry does not switch or emulate what they need. XCR0 is x87, SSE and AVX at most.
 *   - PCID and INVPCID, both, so that a VM finds the same on all hosts that it moves between.
 *   - IBRS, IBPB, STIBP, SSBD, ARCH_CAPABILITIES: their MSRs are not passed on.
 *   - leaves 15h and 16h: on some machines they lie about the TSC.
 * Topology: one package, one thread a core; the APIC id is the vCPU's index.
 *
 * The hypervisor's signature is "KVMKVMKVM", with three features of KVM's (Documentation/virt/kvm/
 * x86/cpuid.rst in Linux): no I/O delay, the clock source, and that it is stable. Stock Linux uses
 * x2APIC without interrupt remapping only under a hypervisor that it knows, KVM is the best
 * documented of those, and kvmclock (MSRs 4b564d00h and 4b564d01h) tells the guest the calibrated
 * TSC rate, which CPUID 15h does not.
 *
 * Any thread may query; a policy does not change after cpuid_build. */
#pragma once
#include "kernel/hvm.h"

struct cpuid_regs {
    u32 eax, ebx, ecx, edx;
};

/* The host's CPUID: on the CPU itself, or a table in a test. */
struct cpuid_host {
    void *ctx;
    void (*cpuid)(void *ctx, u32 leaf, u32 subleaf, struct cpuid_regs *out);
};

struct cpuid_config {
    unsigned vcpus;     /* 1 to VM_MAX_VCPUS */
    bool invariant_tsc; /* the guest's TSC never stops or changes its rate */
};

struct cpuid_leaf {
    u32 leaf, subleaf;
    struct cpuid_regs regs;
};

#define CPUID_MAX_LEAVES 48

struct cpuid_policy {
    u32 vcpus;
    u32 count;
    u64 xcr0; /* bits that a guest may set; 0 without XSAVE */
    struct cpuid_leaf leaf[CPUID_MAX_LEAVES];
};
ASSERT_SIZE(struct cpuid_policy, 16 + CPUID_MAX_LEAVES * 24);

/* What of a vCPU's state shows in CPUID. */
struct cpuid_vcpu {
    u32 index;
    u64 cr4, xcr0;
};

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

/* E_RANGE: too many vCPUs. E_UNSUPPORTED: not a CPU in 64-bit mode. Says so in why. */
enum err cpuid_build(struct cpuid_policy *p, const struct cpuid_host *host,
                     const struct cpuid_config *config, struct why *why) MUST_CHECK;
/* The answer to CPUID; zeros for leaves that are not there. */
void cpuid_query(const struct cpuid_policy *p, const struct cpuid_vcpu *v, u32 leaf, u32 subleaf,
                 struct cpuid_regs *out);
/* Calls missing() for each feature of `given`, which may come from anywhere, that `own` lacks, and for what else keeps a
 * VM with the one from running where the other is what a VM can have. Returns true if there was any. cpuid_compare.c */
bool cpuid_compare(const struct cpuid_policy *given, const struct cpuid_policy *own,
                   void (*missing)(void *ctx, const char *what), void *ctx);
/* May XSETBV put this into XCR0? If not, #GP (SDM 1 13.3). */
bool cpuid_xcr0_valid(const struct cpuid_policy *p, u64 xcr0);

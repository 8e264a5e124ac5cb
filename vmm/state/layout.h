/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes of a VM's state. Little-endian; a header, then sections in the order of enum state_section_type, those of
 * each vCPU in turn. A section is a header, its content, and zeros up to a multiple of 8. What is not named is 0.
 *
 * The sections of devices are the structs of vmm/dev, with times as what is left or has passed. A change of any layout
 * is a new STATE_VERSION. */
#pragma once
#include "vmm/cpuid.h"
#include "vmm/dev/platform.h"

#define STATE_MAGIC   "FerryVM"
#define STATE_VERSION 1

struct state_header {
    char magic[8];
    u32 version;
    u32 sections; /* how many */
    u64 size;     /* of all */
};
ASSERT_SIZE(struct state_header, 24);

enum state_section_type {
    STATE_VM = 1,  /* struct state_vm */
    STATE_CPUID,   /* struct cpuid_policy */
    STATE_CPU,     /* struct state_cpu; one a vCPU, as the next two */
    STATE_FPU,     /* an XSAVE area in standard format (SDM 1 13.4) */
    STATE_LAPIC,   /* struct lapic */
    STATE_IRQCHIP, /* struct state_irqchip */
    STATE_IOAPIC,
    STATE_PIC,
    STATE_PIT,
    STATE_RTC,
    STATE_COM1,  /* struct uart */
    STATE_POWER, /* struct state_power */
    STATE_INPUT, /* what was typed at the console and not taken yet */
    STATE_TYPE_END
};

struct state_section {
    u16 type;     /* enum state_section_type */
    u16 instance; /* the vCPU, or 0 */
    u32 length;   /* of the content */
};
ASSERT_SIZE(struct state_section, 8);

struct state_vm {
    char backend[8]; /* "VMX" or "SVM" */
    u32 vcpus;
    u32 tsc_khz;             /* calibrated rate of the TSC */
    u64 memory;              /* bytes */
    u64 ns, tsc;             /* guest time, and the guest's TSC, both when it stopped */
    u64 clock_tsc, clock_ns; /* struct guest_clock */
    u64 wall_clock;          /* seconds since 1970 at guest time 0 */
    u64 resets;
    u8 runs; /* else it is paused */
    u8 zero[7];
};
ASSERT_SIZE(struct state_vm, 80);

struct state_segment {
    u64 base;
    u32 limit, attr; /* as struct hvm_segment */
    u16 selector;
    u8 zero[6];
};
ASSERT_SIZE(struct state_segment, 24);

struct state_cpu {
    u64 gpr[REG_COUNT]; /* the order of enum REG_* */
    u64 rip, rflags;
    u64 cr0, cr2, cr3, cr4, efer, xcr0;
    u64 dr[4], dr6, dr7, pending_debug;
    u64 pdpte[4];
    struct state_segment segment[SEG_COUNT]; /* SEG_* */
    u64 gdtr_base, idtr_base;
    u16 gdtr_limit, idtr_limit;
    u8 zero1[4];
    u64 msr[HVM_MSR_COUNT]; /* enum hvm_msr */
    u64 tsc_adjust, kvmclock, wall_at;
    u8 event_valid, event_has_code, event_type, event_vector; /* struct hvm_event */
    u32 event_code;
    u8 event_length;
    u8 sti_shadow, mov_ss_shadow, nmi_blocked;
    u8 activity;            /* enum vcpu_activity */
    u8 clock_due, wall_due; /* what kvmclock's MSRs asked for is to be written */
    u8 zero2[1];
};
ASSERT_SIZE(struct state_cpu, 616);
_Static_assert(REG_COUNT == 16 && SEG_COUNT == 8 && HVM_MSR_COUNT == 10,
               "a new STATE_VERSION is due");

struct state_irqchip {
    struct irqchip_cpu cpu[VM_MAX_VCPUS]; /* requests; only of vCPUs that are there */
};
ASSERT_SIZE(struct state_irqchip, 64);

struct state_power {
    struct power power;
    u32 event; /* enum power_event: asked for, and not carried out yet */
    u8 zero[4];
};
ASSERT_SIZE(struct state_power, 16);

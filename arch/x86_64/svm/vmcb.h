/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control block, as AMD's manual lays it out (APM 2, appendix B). */
#pragma once
#include "kernel/types.h"

/* B.1, control area: intercepts in their words. */
#define INTERCEPT_CR8_WRITE BIT(24) /* word 0: reads 15:0, writes 31:16 */

#define INTERCEPT_INTR     BIT(0) /* word 3 */
#define INTERCEPT_NMI      BIT(1)
#define INTERCEPT_SMI      BIT(2)
#define INTERCEPT_INIT     BIT(3)
#define INTERCEPT_VINTR    BIT(4)
#define INTERCEPT_RDPMC    BIT(15)
#define INTERCEPT_CPUID    BIT(18)
#define INTERCEPT_RSM      BIT(19)
#define INTERCEPT_IRET     BIT(20)
#define INTERCEPT_INVD     BIT(22)
#define INTERCEPT_HLT      BIT(24)
#define INTERCEPT_INVLPGA  BIT(26)
#define INTERCEPT_IOIO     BIT(27)
#define INTERCEPT_MSR      BIT(28)
#define INTERCEPT_TASK     BIT(29)
#define INTERCEPT_FERR     BIT(30)
#define INTERCEPT_SHUTDOWN BIT(31)

#define INTERCEPT_VMRUN   BIT(0) /* word 4 */
#define INTERCEPT_VMMCALL BIT(1)
#define INTERCEPT_VMLOAD  BIT(2)
#define INTERCEPT_VMSAVE  BIT(3)
#define INTERCEPT_STGI    BIT(4)
#define INTERCEPT_CLGI    BIT(5)
#define INTERCEPT_SKINIT  BIT(6)
#define INTERCEPT_WBINVD  BIT(9)
#define INTERCEPT_MONITOR BIT(10)
#define INTERCEPT_MWAIT   BIT(11)
#define INTERCEPT_XSETBV  BIT(13)
#define INTERCEPT_RDPRU   BIT(14)

#define V_TPR_MASK      0xffull
#define V_IRQ           BIT(8)
#define V_INTR_PRIO_MAX (0xfull << 16)
#define V_IGN_TPR       BIT(20)
#define V_INTR_MASKING  BIT(24)

#define TLB_KEEP       0
#define TLB_FLUSH_ALL  1
#define TLB_FLUSH_ASID 3

#define EVENT_VALID    BIT(31) /* EVENTINJ, EXITINTINFO (15.20) */
#define EVENT_HAS_CODE BIT(11)

#define VMCB_ATTR_L  BIT(9)
#define VMCB_ATTR_DB BIT(10)

struct vmcb_segment {
    u16 selector;
    u16 attr; /* descriptor bits 47:40 and 55:52 */
    u32 limit;
    u64 base;
};
ASSERT_SIZE(struct vmcb_segment, 16);

struct vmcb {
    u32 intercept[6];
    u8 reserved0[0x3c - 0x18];
    u16 pause_threshold, pause_count;
    u64 iopm, msrpm;
    u64 tsc_offset;
    u32 asid;
    u8 tlb_control, reserved1[3];
    u64 int_ctl;
    u64 int_shadow;
    u64 exit_code, exit_info1, exit_info2, exit_int_info;
    u64 np_enable;
    u8 reserved2[0xa8 - 0x98];
    u64 event_inj;
    u64 n_cr3;
    u64 lbr;
    u64 clean;
    u64 next_rip;
    u8 fetched, bytes[15];
    u8 reserved3[0x400 - 0xe0];

    struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
    u8 reserved4[0x4cb - 0x4a0];
    u8 cpl;
    u32 reserved5;
    u64 efer;
    u8 reserved6[0x548 - 0x4d8];
    u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
    u8 reserved7[0x5d8 - 0x580];
    u64 rsp;
    u8 reserved8[0x5f8 - 0x5e0];
    u64 rax;
    u64 star, lstar, cstar, sfmask, kernel_gs_base;
    u64 sysenter_cs, sysenter_esp, sysenter_eip;
    u64 cr2;
    u8 reserved9[0x668 - 0x648];
    u64 pat;
    u8 reserved10[0x1000 - 0x670];
} PACKED ALIGNED(16);
ASSERT_SIZE(struct vmcb, 4096);
ASSERT_OFFSET(struct vmcb, iopm, 0x40);
ASSERT_OFFSET(struct vmcb, asid, 0x58);
ASSERT_OFFSET(struct vmcb, exit_code, 0x70);
ASSERT_OFFSET(struct vmcb, event_inj, 0xa8);
ASSERT_OFFSET(struct vmcb, next_rip, 0xc8);
ASSERT_OFFSET(struct vmcb, es, 0x400);
ASSERT_OFFSET(struct vmcb, tr, 0x490);
ASSERT_OFFSET(struct vmcb, cpl, 0x4cb);
ASSERT_OFFSET(struct vmcb, efer, 0x4d0);
ASSERT_OFFSET(struct vmcb, cr4, 0x548);
ASSERT_OFFSET(struct vmcb, rip, 0x578);
ASSERT_OFFSET(struct vmcb, rsp, 0x5d8);
ASSERT_OFFSET(struct vmcb, rax, 0x5f8);
ASSERT_OFFSET(struct vmcb, cr2, 0x640);
ASSERT_OFFSET(struct vmcb, pat, 0x668);

/* Appendix C: exit codes. */
#define SVM_EXIT_CR8_WRITE 0x18
#define SVM_EXIT_EXCEPTION 0x40 /* and the 31 behind it */
#define SVM_EXIT_INTR      0x60
#define SVM_EXIT_NMI       0x61
#define SVM_EXIT_SMI       0x62
#define SVM_EXIT_INIT      0x63
#define SVM_EXIT_VINTR     0x64
#define SVM_EXIT_RDPMC     0x6f
#define SVM_EXIT_CPUID     0x72
#define SVM_EXIT_RSM       0x73
#define SVM_EXIT_IRET      0x74
#define SVM_EXIT_INVD      0x76
#define SVM_EXIT_HLT       0x78
#define SVM_EXIT_INVLPGA   0x7a
#define SVM_EXIT_IOIO      0x7b
#define SVM_EXIT_MSR       0x7c
#define SVM_EXIT_TASK      0x7d
#define SVM_EXIT_FERR      0x7e
#define SVM_EXIT_SHUTDOWN  0x7f
#define SVM_EXIT_VMRUN     0x80
#define SVM_EXIT_VMMCALL   0x81
#define SVM_EXIT_VMLOAD    0x82
#define SVM_EXIT_VMSAVE    0x83
#define SVM_EXIT_STGI      0x84
#define SVM_EXIT_CLGI      0x85
#define SVM_EXIT_SKINIT    0x86
#define SVM_EXIT_WBINVD    0x89
#define SVM_EXIT_MONITOR   0x8a
#define SVM_EXIT_MWAIT     0x8b
#define SVM_EXIT_XSETBV    0x8d
#define SVM_EXIT_RDPRU     0x8e
#define SVM_EXIT_TABLE     0x90
#define SVM_EXIT_NPF       0x400
#define SVM_EXIT_INVALID   (~0ull)

/* EXITINFO1 of an I/O exit (15.10.2) */
#define IOIO_IN     BIT(0)
#define IOIO_STRING BIT(2)
#define IOIO_REP    BIT(3)
/* EXITINFO1 of a nested page fault (15.25.6) */
#define NPF_PRESENT BIT(0)
#define NPF_WRITE   BIT(1)
#define NPF_FETCH   BIT(4)
#define NPF_WALK    BIT(33)

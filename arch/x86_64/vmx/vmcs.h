/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual machine control structure: its fields, controls and exit reasons under the headings of
 * Intel's manual (SDM 3D appendix B; SDM 3C 24.6 to 24.8; SDM 3D appendix C). */
#pragma once
#include "kernel/types.h"

enum vmcs_field {
    /* B.1 16-bit */
    VMCS_VPID = 0x0000,
    VMCS_PML_INDEX = 0x0812,
    VMCS_GUEST_ES_SELECTOR = 0x0800, /* and CS, SS, DS, FS, GS, LDTR, TR, 2 apart */
    VMCS_HOST_ES_SELECTOR = 0x0c00,
    VMCS_HOST_CS_SELECTOR = 0x0c02,
    VMCS_HOST_SS_SELECTOR = 0x0c04,
    VMCS_HOST_DS_SELECTOR = 0x0c06,
    VMCS_HOST_FS_SELECTOR = 0x0c08,
    VMCS_HOST_GS_SELECTOR = 0x0c0a,
    VMCS_HOST_TR_SELECTOR = 0x0c0c,
    /* B.2 64-bit */
    VMCS_MSR_BITMAP = 0x2004,
    VMCS_TSC_OFFSET = 0x2010,
    VMCS_EPTP = 0x201a,
    VMCS_PML_ADDRESS = 0x200e,
    VMCS_GUEST_PHYSICAL = 0x2400,
    VMCS_LINK = 0x2800,
    VMCS_GUEST_DEBUGCTL = 0x2802,
    VMCS_GUEST_PAT = 0x2804,
    VMCS_GUEST_EFER = 0x2806,
    VMCS_GUEST_PDPTE0 = 0x280a, /* and the other three, 2 apart */
    VMCS_HOST_PAT = 0x2c00,
    VMCS_HOST_EFER = 0x2c02,
    /* B.3 32-bit */
    VMCS_PIN_CONTROLS = 0x4000,
    VMCS_PRIMARY_CONTROLS = 0x4002,
    VMCS_EXCEPTION_BITMAP = 0x4004,
    VMCS_EXIT_CONTROLS = 0x400c,
    VMCS_ENTRY_CONTROLS = 0x4012,
    VMCS_ENTRY_EVENT = 0x4016,
    VMCS_ENTRY_EVENT_CODE = 0x4018,
    VMCS_ENTRY_INSN_LENGTH = 0x401a,
    VMCS_SECONDARY_CONTROLS = 0x401e,
    VMCS_INSN_ERROR = 0x4400,
    VMCS_EXIT_REASON = 0x4402,
    VMCS_EXIT_EVENT = 0x4404,
    VMCS_EXIT_EVENT_CODE = 0x4406,
    VMCS_VECTORING = 0x4408,
    VMCS_VECTORING_CODE = 0x440a,
    VMCS_EXIT_INSN_LENGTH = 0x440c,
    VMCS_EXIT_INSN_INFO = 0x440e,
    VMCS_GUEST_ES_LIMIT = 0x4800, /* in the order of the selectors */
    VMCS_GUEST_GDTR_LIMIT = 0x4810,
    VMCS_GUEST_IDTR_LIMIT = 0x4812,
    VMCS_GUEST_ES_ATTR = 0x4814,
    VMCS_GUEST_INTERRUPTIBILITY = 0x4824,
    VMCS_GUEST_ACTIVITY = 0x4826,
    VMCS_GUEST_SYSENTER_CS = 0x482a,
    VMCS_PREEMPTION_TIMER = 0x482e,
    VMCS_HOST_SYSENTER_CS = 0x4c00,
    /* B.4 natural width */
    VMCS_CR0_MASK = 0x6000,
    VMCS_CR4_MASK = 0x6002,
    VMCS_CR0_SHADOW = 0x6004,
    VMCS_CR4_SHADOW = 0x6006,
    VMCS_QUALIFICATION = 0x6400,
    VMCS_GUEST_CR0 = 0x6800,
    VMCS_GUEST_CR3 = 0x6802,
    VMCS_GUEST_CR4 = 0x6804,
    VMCS_GUEST_ES_BASE = 0x6806,
    VMCS_GUEST_GDTR_BASE = 0x6816,
    VMCS_GUEST_IDTR_BASE = 0x6818,
    VMCS_GUEST_DR7 = 0x681a,
    VMCS_GUEST_RSP = 0x681c,
    VMCS_GUEST_RIP = 0x681e,
    VMCS_GUEST_RFLAGS = 0x6820,
    VMCS_GUEST_PENDING_DEBUG = 0x6822,
    VMCS_GUEST_SYSENTER_ESP = 0x6824,
    VMCS_GUEST_SYSENTER_EIP = 0x6826,
    VMCS_HOST_CR0 = 0x6c00,
    VMCS_HOST_CR3 = 0x6c02,
    VMCS_HOST_CR4 = 0x6c04,
    VMCS_HOST_FS_BASE = 0x6c06,
    VMCS_HOST_GS_BASE = 0x6c08,
    VMCS_HOST_TR_BASE = 0x6c0a,
    VMCS_HOST_GDTR_BASE = 0x6c0c,
    VMCS_HOST_IDTR_BASE = 0x6c0e,
    VMCS_HOST_SYSENTER_ESP = 0x6c10,
    VMCS_HOST_SYSENTER_EIP = 0x6c12,
    VMCS_HOST_RSP = 0x6c14,
    VMCS_HOST_RIP = 0x6c16,
};

/* 24.6.1 */
#define PIN_EXTERNAL_INTERRUPT BIT(0)
#define PIN_NMI                BIT(3)
#define PIN_VIRTUAL_NMI        BIT(5)
/* 24.6.2 */
#define PRIMARY_IRQ_WINDOW     BIT(2)
#define PRIMARY_TSC_OFFSET     BIT(3)
#define PRIMARY_HLT            BIT(7)
#define PRIMARY_MWAIT          BIT(10)
#define PRIMARY_RDPMC          BIT(11)
#define PRIMARY_CR3_LOAD       BIT(15) /* allowed off only where the "true" controls say so */
#define PRIMARY_CR3_STORE      BIT(16)
#define PRIMARY_CR8_LOAD       BIT(19)
#define PRIMARY_CR8_STORE      BIT(20)
#define PRIMARY_NMI_WINDOW     BIT(22)
#define PRIMARY_IO             BIT(24)
#define PRIMARY_MSR_BITMAP     BIT(28)
#define PRIMARY_MONITOR        BIT(29)
#define PRIMARY_SECONDARY      BIT(31)
#define SECONDARY_EPT          BIT(1)
#define SECONDARY_RDTSCP       BIT(3)
#define SECONDARY_VPID         BIT(5)
#define SECONDARY_WBINVD       BIT(6)
#define SECONDARY_UNRESTRICTED BIT(7)
/* 24.7.1 */
#define EXIT_SAVE_DEBUG BIT(2)
#define EXIT_HOST_64    BIT(9)
#define EXIT_SAVE_PAT   BIT(18)
#define EXIT_LOAD_PAT   BIT(19)
#define EXIT_SAVE_EFER  BIT(20)
#define EXIT_LOAD_EFER  BIT(21)
/* 24.8.1 */
#define ENTRY_LOAD_DEBUG BIT(2)
#define ENTRY_LONG_MODE  BIT(9)
#define ENTRY_LOAD_PAT   BIT(14)
#define ENTRY_LOAD_EFER  BIT(15)

/* 24.8.3, and the same in VM-exit interruption and IDT-vectoring information */
#define EVENT_INFO_VALID     BIT(31)
#define EVENT_INFO_HAS_CODE  BIT(11)
#define EVENT_INFO_UNBLOCKED BIT(12) /* NMI unblocking due to IRET */

/* 24.4.2, interruptibility */
#define BLOCKED_BY_STI    BIT(0)
#define BLOCKED_BY_MOV_SS BIT(1)
#define BLOCKED_BY_NMI    BIT(3)

#define DR7_GD     BIT(13)
#define PENDING_BS BIT(14) /* of VMCS_GUEST_PENDING_DEBUG */

/* Appendix C: basic exit reasons */
enum {
    VMX_EXIT_EXCEPTION_NMI = 0,
    VMX_EXIT_EXTERNAL_INTERRUPT = 1,
    VMX_EXIT_TRIPLE_FAULT = 2,
    VMX_EXIT_INIT = 3,
    VMX_EXIT_SIPI = 4,
    VMX_EXIT_IRQ_WINDOW = 7,
    VMX_EXIT_NMI_WINDOW = 8,
    VMX_EXIT_TASK_SWITCH = 9,
    VMX_EXIT_CPUID = 10,
    VMX_EXIT_GETSEC = 11,
    VMX_EXIT_HLT = 12,
    VMX_EXIT_INVD = 13,
    VMX_EXIT_RDPMC = 15,
    VMX_EXIT_VMCALL = 18,
    VMX_EXIT_VMCLEAR = 19, /* to VMXON, 27 */
    VMX_EXIT_VMXON = 27,
    VMX_EXIT_CR = 28,
    VMX_EXIT_IO = 30,
    VMX_EXIT_RDMSR = 31,
    VMX_EXIT_WRMSR = 32,
    VMX_EXIT_INVALID_STATE = 33,
    VMX_EXIT_MSR_LOADING = 34,
    VMX_EXIT_MWAIT = 36,
    VMX_EXIT_MONITOR = 39,
    VMX_EXIT_PAUSE = 40,
    VMX_EXIT_EPT_VIOLATION = 48,
    VMX_EXIT_EPT_MISCONFIG = 49,
    VMX_EXIT_INVEPT = 50,
    VMX_EXIT_PREEMPTION_TIMER = 52,
    VMX_EXIT_INVVPID = 53,
    VMX_EXIT_WBINVD = 54,
    VMX_EXIT_XSETBV = 55,
    VMX_EXIT_PML_FULL = 62,
    VMX_EXIT_COUNT = 70
};
#define VMX_EXIT_ENTRY_FAILED BIT(31)

/* Exit qualification of an I/O instruction (table 27-5) */
#define IO_IN     BIT(3)
#define IO_STRING BIT(4)
#define IO_REP    BIT(5)
/* ... and of an EPT violation (table 27-7) */
#define EPT_READ         BIT(0)
#define EPT_WRITE        BIT(1)
#define EPT_FETCH        BIT(2)
#define EPT_ALLOWED      0x38ull
#define EPT_LINEAR_VALID BIT(7)
#define EPT_NOT_WALK     BIT(8)
#define EPT_UNBLOCKED    BIT(12)

static inline u64 vmcs_read(u64 field)
{
    u64 value;

    __asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
    return value;
}
static inline void vmcs_write(u64 field, u64 value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc", "memory");
}

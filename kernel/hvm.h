/* SPDX-License-Identifier: BSD-2-Clause */
/* The contract between a virtual CPU and the CPU's virtualisation: Intel VT-x with EPT or AMD-V
 * with NPT, chosen once at boot. vmm/ knows only this header; arch/x86_64/vmx and svm implement it.
 *
 * A backend runs the guest until something happens that vmm/ has to see, and reports it in
 * words of its own (struct hvm_exit). It handles alone what the other does not have: its own
 * control structure, control-register shadows, event re-injection. */
#pragma once
#include "kernel/err.h"
#include "kernel/ptab.h"

/* General registers in the order in which instructions encode them (SDM 2A 3.1.1.1). */
enum {
    REG_RAX,
    REG_RCX,
    REG_RDX,
    REG_RBX,
    REG_RSP,
    REG_RBP,
    REG_RSI,
    REG_RDI,
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_R12,
    REG_R13,
    REG_R14,
    REG_R15,
    REG_COUNT
};

/* Segment registers in the order in which instructions encode them. */
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, SEG_COUNT };

/* A segment with its hidden part. attr has the layout of a VMCS access-rights field
 * (SDM 3C 24.4.1): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
struct hvm_segment {
    u64 base;
    u32 limit; /* in bytes, already scaled */
    u32 attr;
    u16 selector;
};
#define SEG_ATTR_DPL(attr) (((attr) >> 5) & 3)
#define SEG_ATTR_L         BIT(13)
#define SEG_ATTR_DB        BIT(14)
#define SEG_ATTR_UNUSABLE  BIT(16)

struct hvm_table {
    u64 base;
    u16 limit;
};

/* What instruction decoding and page walks depend on. */
struct hvm_mode {
    u64 cr0, cr3, cr4, efer;
    struct hvm_segment seg[SEG_COUNT];
};

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_DE         BIT(3)
#define CR4_PSE        BIT(4)
#define CR4_PAE        BIT(5)
#define CR4_MCE        BIT(6)
#define CR4_PGE        BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)

#define EFER_SCE  BIT(0)
#define EFER_LME  BIT(8)
#define EFER_LMA  BIT(10)
#define EFER_NXE  BIT(11)
#define EFER_SVME BIT(12)

#define RFLAGS_CF    BIT(0)
#define RFLAGS_FIXED BIT(1) /* always set */
#define RFLAGS_PF    BIT(2)
#define RFLAGS_AF    BIT(4)
#define RFLAGS_ZF    BIT(6)
#define RFLAGS_SF    BIT(7)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_DF    BIT(10)
#define RFLAGS_OF    BIT(11)
#define RFLAGS_RF    BIT(16)
#define RFLAGS_VM    BIT(17)

/* MSRs that the hardware or the backend switches with the vCPU. */
enum hvm_msr {
    HVM_MSR_STAR,
    HVM_MSR_LSTAR,
    HVM_MSR_CSTAR,
    HVM_MSR_SFMASK,
    HVM_MSR_KERNEL_GS_BASE,
    HVM_MSR_SYSENTER_CS,
    HVM_MSR_SYSENTER_ESP,
    HVM_MSR_SYSENTER_EIP,
    HVM_MSR_PAT,
    HVM_MSR_TSC_AUX,
    HVM_MSR_COUNT
};

/* An exception or interrupt to deliver; types as in SDM 3C 24.8.3 (and the same in APM 2 15.20). */
enum hvm_event_type {
    EVENT_IRQ = 0,
    EVENT_NMI = 2,
    EVENT_EXCEPTION = 3,
    EVENT_SOFT_INT = 4,
    EVENT_INT1 = 5, /* of VMX alone: #DB by that instruction, which it is a trap of */
    EVENT_SOFT_EXCEPTION = 6
};
struct hvm_event {
    bool valid;
    bool has_code;
    u8 type; /* enum hvm_event_type */
    u8 vector;
    u32 code;
    u8 length; /* of the instruction, for software events */
};

enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19
};

/* The whole architectural state of a vCPU but its FPU area: reset, start-up IPI, save, load. */
struct hvm_state {
    u64 gpr[REG_COUNT];
    u64 rip, rflags;
    u64 cr2, cr8;
    u64 dr[4], dr6, dr7;
    u64 xcr0;
    struct hvm_mode mode;
    struct hvm_table gdtr, idtr;
    u64 msr[HVM_MSR_COUNT];
    struct hvm_event event; /* its delivery was interrupted by the exit, and is still due */
    u8 sti_shadow, mov_ss_shadow, nmi_blocked;
    u64 pending_debug; /* VMX: debug exceptions that wait for the next instruction boundary (SDM 3C 24.4.2) */
    u64 pdpte
        [4]; /* VMX: PAE's top level as it was loaded; what is in memory may differ (SDM 3A 4.4.1) */
};

/* Why the guest stopped. */
enum hvm_exit_kind {
    EXIT_INTERRUPT,  /* the host's: nothing of the guest's */
    EXIT_IRQ_WINDOW, /* the guest can take an interrupt now */
    EXIT_NMI_WINDOW,
    EXIT_CPUID,
    EXIT_HLT,
    EXIT_IO,        /* .io */
    EXIT_MSR_READ,  /* ECX names it */
    EXIT_MSR_WRITE, /* ECX names it, EDX:EAX is the value */
    EXIT_PAGE,      /* .page: second-level paging fault */
    EXIT_XSETBV,    /* ECX, EDX:EAX */
    EXIT_CR8,       /* .cr8: CR8 is to be written */
    EXIT_NOTHING,   /* the backend has dealt with it */
    EXIT_HYPERCALL,
    EXIT_UNDEFINED, /* an instruction that this machine lacks: #UD */
    EXIT_EXCEPTION, /* .event: intercepted, to be delivered */
    EXIT_WBINVD,
    EXIT_INVD,
    EXIT_PAUSE,
    EXIT_TASK_SWITCH,
    EXIT_SHUTDOWN, /* triple fault */
    EXIT_INIT,     /* INIT signal */
    EXIT_INVALID,  /* the CPU refused to enter: .why */
    EXIT_UNKNOWN,  /* .hardware is the CPU's own number */
    EXIT_KIND_COUNT
};

#define PAGE_ACCESS_READ  BIT(0)
#define PAGE_ACCESS_WRITE BIT(1)
#define PAGE_ACCESS_EXEC  BIT(2)
#define PAGE_ACCESS_WALK  BIT(3) /* by the guest's own page walk, not its instruction */

struct hvm_exit {
    enum hvm_exit_kind kind;
    u64 hardware;   /* VMX exit reason or SVM exit code */
    u8 insn_length; /* of the instruction that exited, where the exit is one; else 0 */
    union {
        struct {
            u16 port;
            u8 size;         /* 1, 2 or 4 */
            u8 address_size; /* 2, 4 or 8, for string forms */
            u8 segment;      /* SEG_*, for OUTS */
            bool in, string, rep;
        } io;
        struct {
            gpa_t gpa;
            u32 access;  /* PAGE_ACCESS_* */
            bool mapped; /* a mapping was there, and did not allow the access */
        } page;
        struct {
            u8 reg; /* REG_* to take the value from, or REG_COUNT where the CPU does not say */
        } cr8;
        struct hvm_event event;
        const char *why;
    };
};

/* One virtual CPU as the backend keeps it. gpr[], rip and rflags are current after an exit and
 * taken up at the next entry; everything else goes through the ops. */
struct hvm_vcpu {
    u64 gpr[REG_COUNT]; /* offset 0: the entry code knows it */
    u64 rip, rflags;
    u64 cr8;                /* what the guest reads; taken up at entry */
    u64 xcr0;               /* the guest's, while the vCPU is not loaded */
    struct hvm_event event; /* to deliver at the next entry; survives an exit that interrupts it */
    bool window;            /* set by the backend: an NMI can be delivered now that could not */
    u64 tsc_offset;         /* taken up at entry */
    struct slat *slat;      /* second-level page table: see below */
    u64 slat_generation;    /* flushed up to this generation of it on its CPU */
    u32 cpu;                /* where it last ran; ~0 never */
    void *fpu;              /* XSAVE area, standard format */
    void *arch;             /* VMCS or VMCB and what goes with it */
};

struct dirty_log;

/* The second-level page table of one VM. Its owner (vmm's Pmap) changes it with ptab_* and, where
 * rights were taken away, bumps generation and makes every CPU that runs the VM leave the guest. */
struct slat {
    struct ptab table;
    u64 generation;        /* starts at 1 */
    struct dirty_log *log; /* NULL: dirty bits are to be looked for */
};

struct hvm_ops {
    const char *name;      /* "VMX" */
    const char *slat_name; /* "EPT" */
    const struct ptab_format *slat_format;
    /* Do its CPUs log the pages that they mark dirty? Then run() adds them to slat->log, if there is one when the vCPU is
     * created, before it returns. NULL: no. */
    bool (*logs_dirty)(void);

    /* Is all there that Ferry needs? Each missing feature is a line for `missing`: what it is, and
     * where it was looked for. Returns false if any is. No side effect. Any CPU. */
    bool (*probe)(void (*missing)(const char *line));
    /* Turns virtualisation on or off on this CPU. */
    enum err (*cpu_enable)(struct why *why) MUST_CHECK;
    void (*cpu_disable)(void);

    enum err (*vcpu_create)(struct hvm_vcpu *v) MUST_CHECK; /* E_NOMEM */
    void (*vcpu_destroy)(struct hvm_vcpu *v);
    /* Everything at once. The vCPU is not loaded anywhere. set_state trusts its caller. */
    void (*get_state)(struct hvm_vcpu *v, struct hvm_state *s);
    void (*set_state)(struct hvm_vcpu *v, const struct hvm_state *s);
    /* Between load and put only, on the CPU that loaded it. */
    void (*get_mode)(struct hvm_vcpu *v, struct hvm_mode *m);
    u64 (*get_cr4)(struct hvm_vcpu *v);
    u64 (*get_msr)(struct hvm_vcpu *v, enum hvm_msr msr);
    void (*set_msr)(struct hvm_vcpu *v, enum hvm_msr msr, u64 value);
    void (*set_efer)(struct hvm_vcpu *v, u64 efer);
    void (*set_cr2)(struct hvm_vcpu *v, u64 cr2);

    /* Makes v the vCPU of this CPU, or takes it off. The kernel thread that runs a vCPU calls them
     * when it gets and loses the CPU. */
    void (*load)(struct hvm_vcpu *v);
    void (*put)(struct hvm_vcpu *v);
    /* Enters the guest, with interrupts off, and returns after the exit, with interrupts off. */
    void (*run)(struct hvm_vcpu *v, struct hvm_exit *exit);
    /* Can the guest take a maskable interrupt (or an NMI) at its next entry? */
    bool (*irq_ready)(struct hvm_vcpu *v);
    bool (*nmi_ready)(struct hvm_vcpu *v);
    /* Ask for, or stop asking for, EXIT_IRQ_WINDOW or EXIT_NMI_WINDOW. */
    void (*want_irq_window)(struct hvm_vcpu *v, bool on);
    void (*want_nmi_window)(struct hvm_vcpu *v, bool on);
    /* The instruction at rip is done: moves rip on, ends the STI/MOV SS shadow. */
    void (*skip)(struct hvm_vcpu *v, unsigned length);
};

/* The backend of this host, or NULL where the CPU has none. Set once, before any VM is made. */
extern const struct hvm_ops *hvm;

/* SPDX-License-Identifier: BSD-2-Clause */
/* AMD-V with nested paging: what its files share. */
#pragma once
#include "arch/x86_64/svm/vmcb.h"
#include "kernel/arch.h"
#include "kernel/tlb.h"

/* What one vCPU has here. */
struct svm_vcpu {
    struct vmcb *vmcb;
    hpa_t vmcb_frame;
    struct asid asid;
    u64 dr[4];
    u64 tsc_aux;
    bool nmi_blocked, nmi_wanted;
    u64 iret_rip;  /* NMIs are unblocked once the guest is past this IRET; ~0: none */
    bool stepping; /* over it, by TF, as an NMI waits */
    u64 dr6;       /* the guest's, before that */
};

/* What one CPU has. */
struct svm_cpu {
    hpa_t host_vmcb, save_area;
    struct asid_pool asids;
};

extern bool svm_has_next_rip, svm_has_decode_assists, svm_has_flush_by_asid;
extern u32 svm_asid_count;

extern const struct ptab_format npt_format; /* npt.c */

static inline struct svm_vcpu *svm_of(struct hvm_vcpu *v)
{
    return v->arch;
}

/* state.c */
void svm_get_state(struct hvm_vcpu *v, struct hvm_state *s);
void svm_set_state(struct hvm_vcpu *v, const struct hvm_state *s);
void svm_get_mode(struct hvm_vcpu *v, struct hvm_mode *m);
u64 svm_get_cr4(struct hvm_vcpu *v);
u64 svm_get_msr(struct hvm_vcpu *v, enum hvm_msr msr);
void svm_set_msr(struct hvm_vcpu *v, enum hvm_msr msr, u64 value);
void svm_set_efer(struct hvm_vcpu *v, u64 efer);
void svm_set_cr2(struct hvm_vcpu *v, u64 cr2);

/* exit.c: says in Ferry's words why the guest stopped. */
void svm_exit_decode(struct hvm_vcpu *v, struct hvm_exit *exit);

/* entry.S */
void svm_enter(struct hvm_vcpu *v, u64 vmcb, u64 host_vmcb, bool in_shadow);

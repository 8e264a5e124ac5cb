/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest as the Pmap meets it: a vCPU that reads and writes its memory through translations that its CPU remembers until it
 * is made to forget them. What makes it is the backends' own logic (kernel/tlb.h); the CPUs here are a model of a TLB that
 * forgets nothing by itself: entries are tagged with the VM's table, as EPT's are, or with an ASID. */
#pragma once
#include "kernel/dirty_log.h"
#include "kernel/tlb.h"
#include "vmm/memory/pmap.h"

#define FAKE_TLB_CPUS  2
#define FAKE_GUEST_LOG 32

enum fake_tlb_kind {
    FAKE_EPT,       /* INVEPT */
    FAKE_ASID,      /* a new ASID where something must be forgotten */
    FAKE_ASID_FLUSH /* or one ASID is flushed */
};
/* What a backend might forget to do, for tests that show that it matters. */
enum fake_tlb_fault { FAKE_TLB_FINE, FAKE_NO_FLUSH, FAKE_NO_ARRIVAL, FAKE_NO_ROLLOVER };

/* Empty TLBs, 3 ASIDs a CPU. Tests that do not call it have FAKE_EPT. */
void fake_tlb_reset(enum fake_tlb_kind kind, enum fake_tlb_fault fault);

struct fake_guest {
    struct pmap pmap;
    struct hvm_vcpu vcpu;
    struct asid asid;
    u32 cpu;       /* where it runs */
    bool in_guest; /* it has not been made to leave */
    u64 logged
        [FAKE_GUEST_LOG]; /* by the CPU; the VM's log gets it when the vCPU leaves the guest */
    unsigned logged_count;
    unsigned shoot_downs;
    /* Called when a shoot-down begins, before the vCPU leaves the guest: what a real one may still do at that moment; and
     * when it is over. */
    void (*late)(struct fake_guest *g), (*after)(struct fake_guest *g);
};

/* Makes its Pmap. */
void fake_guest_make(struct fake_guest *g, u64 memory, u16 owner);
/* From now on it runs on that CPU. */
void fake_guest_move(struct fake_guest *g, u32 cpu);
u64 fake_guest_read(struct fake_guest *g, u64 gpa);
/* Can it write there now? Else it would wait for the page. */
bool fake_guest_may_write(struct fake_guest *g, u64 gpa);
void fake_guest_write(struct fake_guest *g, u64 gpa, u64 value);

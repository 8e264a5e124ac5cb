/* A guest as the Pmap meets it: a vCPU that reads and writes its memory through translations that it remembers until
 * it is made to forget them, as a CPU with a TLB does. */
#pragma once
#include "kernel/dirty_log.h"
#include "vmm/memory/pmap.h"

#define FAKE_GUEST_TLB 64
#define FAKE_GUEST_LOG 32

struct fake_guest {
    struct pmap pmap;
    struct {
        u64 index;
        u8 *host; /* NULL: free */
        bool writable, dirty;
    } tlb[FAKE_GUEST_TLB];
    u64 logged
        [FAKE_GUEST_LOG]; /* by the CPU; the VM's log gets it when the vCPU leaves the guest */
    unsigned logged_count;
    unsigned shoot_downs;
    /* Called when a shoot-down begins, before the vCPU forgets: what a real one may still do at that moment; and when
     * it is over. */
    void (*late)(struct fake_guest *g), (*after)(struct fake_guest *g);
};

/* Makes its Pmap. */
void fake_guest_make(struct fake_guest *g, u64 memory, u16 owner);
u64 fake_guest_read(struct fake_guest *g, u64 gpa);
void fake_guest_write(struct fake_guest *g, u64 gpa, u64 value);

/* SPDX-License-Identifier: BSD-2-Clause */
/* A walk of the guest's own page tables, for what Ferry reads and writes in a guest's name. It does
 * as the CPU does: the same faults with the same codes, accessed and dirty bits included
 * (SDM 3A 4, APM 2 5).
 *
 * For the thread that runs the vCPU; takes no lock. The guest may change its tables at the same
 * time: entries are read once, and marked with a compare-and-exchange. */
#pragma once
#include "kernel/hvm.h"

/* Besides PAGE_ACCESS_READ, WRITE and EXEC, one of which is given: */
#define WALK_IMPLICIT BIT(8) /* by the CPU itself (descriptor tables, TSS): supervisor at any CPL */
#define WALK_AC       BIT(9) /* RFLAGS.AC is set: lifts SMAP, not for implicit accesses */
#define WALK_PEEK     BIT(10) /* sets no accessed and dirty bits */

enum walk_result {
    WALK_OK,            /* *gpa is the address */
    WALK_FAULT,         /* #PF with *pf_code is due; CR2 is the linear address */
    WALK_NOT_CANONICAL, /* #GP or #SS is due */
    WALK_NO_TABLE,      /* a table lies where no memory is */
    WALK_BUSY,          /* the tables kept changing, or cannot be had now: try again later */
    WALK_UNSUPPORTED    /* 5-level paging, which Ferry does not offer */
};

struct walk_mem {
    void *ctx;
    u8 phys_bits; /* of guest-physical addresses, as CPUID 80000008h shows them: 36 to 52 */
    /* Reads an entry of 4 or 8 bytes, aligned. E_RANGE where no memory is; any other error: not now. */
    enum err (*read)(void *ctx, gpa_t at, unsigned size, u64 *entry);
    /* Atomically: if it still is `old`, make it `new`. E_STATE if it was not; else as read. */
    enum err (*cmpxchg)(void *ctx, gpa_t at, unsigned size, u64 old, u64 new);
};

#define PF_PRESENT  BIT(0) /* not "not present": a right was missing, or a bit reserved */
#define PF_WRITE    BIT(1)
#define PF_USER     BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH    BIT(4)

/* The guest-physical address of one byte. An access that crosses a page takes two walks.
 * *gpa and *pf_code are written as the result says. At most four levels, tried four times. */
enum walk_result guest_walk(const struct hvm_mode *m, u64 linear, u32 access, u8 cpl,
                            const struct walk_mem *mem, gpa_t *gpa, u32 *pf_code) MUST_CHECK;

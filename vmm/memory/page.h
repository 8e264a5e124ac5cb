/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a guest page, and which states may follow which. Everything that happens to a page (first touch,
 * sharing, migration) is one of these transitions, made by pmap_commit and by nothing else.
 *
 *     state     bytes live in                       mapped       a write by the guest
 *     EMPTY     nowhere: zeros                      the zero     a zeroed frame -> PRIVATE
 *                                                   frame, r-x
 *     PRIVATE   a frame of this VM alone            rwx          just happens
 *     SHARED    a frame with counted users          r-x          its copy -> PRIVATE; in place for the last user
 *     REMOTE    a frame that another host lent      not at all   fetched -> PRIVATE
 *     CACHED    a clean local copy of such a frame  r-x          its copy -> PRIVATE
 *     MMIO      a device model                      not at all   exit
 */
#pragma once
#include "kernel/types.h"

enum page_state {
    PAGE_EMPTY,
    PAGE_PRIVATE,
    PAGE_SHARED,
    PAGE_REMOTE,
    PAGE_CACHED,
    PAGE_MMIO,
    PAGE_STATE_COUNT
};
extern const char *const page_state_name[PAGE_STATE_COUNT];

#define PAGE_HOT         2
#define PAGE_NUMBER_BITS 30 /* of a page among those of all VMs: rmap.h */

/* What Ferry remembers of a guest page beside its entry in the second-level page table. Each state has fields of its
 * own, which are 0 when a page comes into it. Guarded by the Pmap's lock; of a SHARED page, whose neighbours in the list
 * may be other VMs', by that of the reverse map as well. */
struct page {
    union {
        struct {
            u64 state : 3; /* enum page_state */
            u64 busy : 1;  /* its bytes are on their way: faults join */
            u64 own : 60;  /* all of what follows */
        };
        struct { /* PRIVATE */
            u64 : 4;
            u64 known : 1; /* the sharing scanner has hashed it since it was written */
            u64 hot : 2; /* how many times in a row the scanner has found it written, as far as that goes */
        };
        struct { /* SHARED: its place in the list of pages that show the frame (rmap.h) */
            u64 : 4;
            u64 next : PAGE_NUMBER_BITS;
            u64 prev : PAGE_NUMBER_BITS;
        };
        struct { /* REMOTE, CACHED: the lent frame, as the backing counts them */
            u64 : 4;
            u64 slot : 32;
        };
    };
};
ASSERT_SIZE(struct page, 8);

/* May a page go from one state to the other? If not, *reason says why; reason may be NULL. A page may always stay
 * in its state. */
bool page_may_become(enum page_state from, enum page_state to, const char **reason);

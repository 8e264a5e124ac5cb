/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes pages share a frame, some at a time, because each time all CPUs that run the VMs must let go of what they
 * remember: protect, shoot down, compare, map, shoot down, free. For the scanner's thread, without locks. */
#pragma once
#include "vmm/memory/pmap.h"

enum merge_kind {
    MERGE_ZERO,  /* the page is all zeros: it becomes EMPTY */
    MERGE_FRAME, /* with a frame that is shared already */
    MERGE_PAGE   /* with another page, whose frame both then show */
};

struct merge {
    enum merge_kind kind;
    struct pmap *pmap;
    u64 page;
    u64 hash;           /* that both were found to have */
    struct pmap *other; /* of MERGE_PAGE */
    u64 other_page;
    hpa_t frame; /* of MERGE_FRAME, which must be good for frame_get_if; of MERGE_PAGE afterwards */
    bool done;   /* afterwards: it did happen */
    bool stale;  /* afterwards: what it was to be merged with is not what it was taken for */
    /* Internal: the page's own frame, to be freed, and how it is replaced. */
    hpa_t old;
    struct pmap_break change;
};

void merge_run(struct merge *merges, unsigned count);
/* Makes a page SHARED by itself, unless it was written lately or is not the VM's own or mapped large; or it is SHARED already.
 * Returns its frame, with a user for the caller; or 0. */
hpa_t merge_offer(struct pmap *p, u64 page);

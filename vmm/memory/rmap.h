/* SPDX-License-Identifier: BSD-2-Clause */
/* The reverse map: which pages show a shared frame. They form a list whose ends are in the frame's and the pages' own
 * records (struct frame, struct page), so that it costs no memory of its own. pmap_commit keeps it, and nothing else
 * does. Who uses a shared frame without showing it to a guest of this host (another host that borrows it, a merge that
 * is under way) is counted among the frame's users and is not in the list.
 *
 * A page's number among the pages of all VMs has 30 bits, so the VMs of a host have 4 TiB at most.
 *
 * Any thread. One lock guards all lists; it is taken after a Pmap's. Whoever has no lock of the Pmap that a page belongs to
 * gets a snapshot: the page may be another the moment after. */
#pragma once
#include "kernel/err.h"
#include "vmm/memory/page.h"

struct pmap;

/* Numbers for the pages of a VM; p->first_page. E_NOMEM: there are no more. */
enum err rmap_register(struct pmap *p) MUST_CHECK;
void rmap_unregister(struct pmap *p);

/* Of frames that are FRAME_SHARED. --- */

/* Calls fn for every page that shows the frame, in no order, until it returns false. fn must not block or take another
 * lock than its own, nor change pages. */
void rmap_each(hpa_t frame, bool (*fn)(void *ctx, struct pmap *p, u64 index), void *ctx);
/* Pages that show it. */
u32 rmap_count(hpa_t frame);
/* Has the frame a user other than pages of that VM? */
bool rmap_used_outside(hpa_t frame, const struct pmap *p);

/* For pmap_commit, with the Pmap's lock held. --- */

void rmap_add(hpa_t frame, struct pmap *p, u64 index);
void rmap_remove(hpa_t frame, struct pmap *p, u64 index);

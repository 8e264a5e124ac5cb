/* SPDX-License-Identifier: BSD-2-Clause */
/* Page sharing: equal pages of the VMs of one trust group show one frame, and whoever writes gets a copy.
 *
 * A thread goes round the VMs, some pages of each in turn. A page that was written since it was last looked at is left
 * alone. A page of zeros gives its frame back. Any other is hashed, and looked up among what was seen before; where
 * there is something, both pages are protected from writes, all CPUs are made to forget that they could write, and only
 * then the two are compared and, if equal, mapped to one frame. A write in between undoes it.
 *
 * Large mappings: memory comes by 4 KiB. When 2 MiB are full of pages of the VM's own, and each of them was hashed and has
 * no equal, or is written all the time, they are put together (vmm/memory/large.c), if the host has plenty. A large
 * mapping is hashed once, and then when it was not written, each 16th pass; one that is written in each pass, each 8th.
 * Where at least SHARE_SPLIT of its pages are zero or were seen elsewhere it is split again, and its pages go their way.
 *
 * A pass over a VM begins SHARE_PASS after its last one at the earliest: what was not written in between is calm. A VM
 * without memory of its own, as one that is off, is left out. */
#pragma once
#include "kernel/err.h"
#include "kernel/timer.h"

struct pmap;

#define SHARE_SPLIT    8     /* pages that sharing must promise to save before 2 MiB are split */
#define SHARE_RATE     10000 /* pages a second that are looked at, if nothing else is said */
#define SHARE_RATE_MAX 10000000
#define SHARE_PASS     MSEC(20)

struct share_stats {
    bool on;
    u64 rate,
        rate_now; /* pages a second: as set, and after backing off where there was nothing to find */
    u64 rounds;   /* passes over all VMs */
    u64 looked;   /* pages */
    u64 young, unchanged,
        hashed; /* of these: written lately; not written since they were hashed; hashed */
    u64 merges, zeros, undone, splits, promotions;
    u64 busy_ns;
};
struct share_vm_stats {
    u64 passes, merges, zeros;
};

/* Once, at start-up: makes the thread, and an index for about that many pages. E_NOMEM. */
enum err share_start(u64 pages) MUST_CHECK;
/* A VM's memory takes part from now on, in a group (group.h). May sleep. E_NOMEM. */
enum err share_attach(struct pmap *p, u16 group) MUST_CHECK;
/* Afterwards the scanner does not touch it. May sleep. */
void share_detach(struct pmap *p);

/* Called after frames were freed; may be NULL. */
extern void (*share_freed)(void);

void share_set(bool on);
void share_set_rate(u64 pages_per_second);
/* Goes over every VM once, at full speed; returns when it is done. E_STATE: it is off. E_TIMEOUT. */
enum err share_now(struct why *why) MUST_CHECK;
/* For each hash by the group's key: a shared frame with such content, with one user more, who is the caller; or 0. A page of
 * a VM's own that has it becomes a shared one. It is a hint: two contents may have one hash. May sleep. */
void share_find(u16 group, const u64 *hash, hpa_t *frame, unsigned count);
void share_get_stats(struct share_stats *s);
void share_get_vm_stats(const struct pmap *p, struct share_vm_stats *s);

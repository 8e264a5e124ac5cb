/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the scanner have in common: scan.c goes round the VMs, look.c decides what becomes of a page, and
 * large.c of 2 MiB. Between share_enter and share_leave. */
#pragma once
#include "vmm/memory/pmap.h"
#include "vmm/share/group.h"
#include "vmm/share/index.h"
#include "vmm/share/merge.h"
#include "vmm/share/share.h"

#define SHARE_MEMBERS 256 /* VM slots; an index entry has 8 bits for one */
/* Passes after which what has not changed is hashed again all the same: it may have left the index. */
#define SHARE_KNOWN_FOR 16

struct member {
    struct pmap *pmap; /* NULL: the slot is free */
    u64 cursor;        /* the next page */
    u64 due;           /* when its next pass may begin */
    struct share_vm_stats stats;
    u64 wanted; /* passes that share_now waits for */
};
extern struct member share_members[SHARE_MEMBERS];
extern struct share_stats share_counts;
extern struct index share_index;

/* The members, the index and merging belong to one thread at a time. share_enter may sleep. */
void share_enter(void);
void share_leave(void);

/* --- look.c --------------------------------------------------------------------------------------- */

/* Looks at one page, or at 2 MiB; returns how far that went. */
u64 look_at(struct member *of, u64 index);
/* Does what was decided and not yet done. */
void look_finish(void);
/* Is what the index remembers still worth a try for that page? */
bool look_is_usable(const struct member *of, u64 page, const struct index_hit *hit);
/* Puts the page in the index, in place of what `way` was for. */
void look_remember(const struct member *of, u64 page, u64 hash, unsigned way);

/* --- large.c -------------------------------------------------------------------------------------- */

/* Of the 512 pages from `first` on, which are mapped as one: splits them if that pays, and returns whether it did. */
bool large_look(struct member *of, u64 first);
/* A page of it has an equal elsewhere: if it is large it is looked at in its next pass. */
void large_forget(struct member *of, u64 page);
/* Before its pages are looked at: puts 512 small ones together, if they are all the VM's own and have no equals. */
void large_promote(struct member *of, u64 first);

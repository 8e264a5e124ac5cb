/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages were written: one harvester for all who want to know. It takes the dirty bits that the CPU keeps in the
 * second-level page table (where the CPU logs the pages, of these alone) and ORs them into a bitmap for each consumer, who clears what it has seen. What Ferry itself
 * writes, and pages that become writable, are marked as they happen. */
#pragma once
#include "kernel/err.h"

struct pmap;

enum dirty_consumer { DIRTY_SHARE, DIRTY_MOVE, DIRTY_CONSUMERS };

/* From now on the consumer is told; at first all pages count as written. E_NOMEM. */
enum err dirty_attach(struct pmap *p, enum dirty_consumer who) MUST_CHECK;
void dirty_detach(struct pmap *p, enum dirty_consumer who);
/* Collects what the CPUs have noted since the last time. Any thread, without a lock; shoots down, so that a page that
 * is not marked afterwards was not written before. */
void dirty_harvest(struct pmap *p);

/* With the Pmap's lock held. */
void dirty_mark(struct pmap *p, u64 index, u64 pages);
bool dirty_is_set(const struct pmap *p, enum dirty_consumer who, u64 index);
/* Was the page marked for that consumer? Forgets it. */
bool dirty_take(struct pmap *p, enum dirty_consumer who, u64 index);
/* Takes the marks of DIRTY_SOME pages of which at least one from *index on has any: a bit for each from there on. *index is then
 * the first of them, a multiple. 0: none is marked from there on. */
#define DIRTY_SOME 64
u64 dirty_take_some(struct pmap *p, enum dirty_consumer who, u64 *index);
/* Puts back such marks. */
void dirty_put_back(struct pmap *p, enum dirty_consumer who, u64 index, u64 marks);
/* How many are. */
u64 dirty_count(const struct pmap *p, enum dirty_consumer who);
/* Which of the 64 pages from `index` on, a multiple of 64, has the guest used since this was asked the last time? A bit for
 * each. A hint: by the accessed bits of the second-level page table, where a CPU that remembers a translation does not set
 * one again. */
u64 dirty_take_used(struct pmap *p, u64 index);

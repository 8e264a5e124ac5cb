/* SPDX-License-Identifier: BSD-2-Clause */
/* When 2 MiB are split, and when put together. */
#include "vmm/share/hash.h"
#include "vmm/share/scan.h"

/* A large mapping that is written all the time is looked at in one pass of so many: one page of it may be hot, and the
 * others equal to some elsewhere. */
#define HOT_FOR 8

/* --- splitting -------------------------------------------------------------------------------- */

/* Is page i of the large mapping zero, or was it seen elsewhere? If not, it is put in the index, so that an equal large
 * mapping finds it. False in *there: there is no large mapping. The guest may write meanwhile: this is an estimate. */
static bool promises(struct member *of, u64 first, u64 i, bool *there)
{
    struct pmap *p = of->pmap;
    struct index_hit hit;
    unsigned way = 0, level;
    bool zero = false;
    u64 entry, hash = 0;

    lock_acquire(&p->lock);
    entry = ptab_lookup(&p->slat.table, pmap_gpa(first).v, &level);
    *there = entry && level == 2;
    if (*there) {
        const u8 *content = phys_to_virt(ptab_address(entry));

        zero = page_is_zero(content + i * PAGE_SIZE);
        if (!zero)
            hash = page_hash(content + i * PAGE_SIZE, share_key(of->pmap->group));
    }
    lock_release(&p->lock);
    if (zero || !*there)
        return zero;
    if (index_find(&share_index, hash, &way, &hit) && look_is_usable(of, first + i, &hit))
        return true;
    look_remember(of, first + i, hash, way);
    return false;
}

static unsigned promise_of(struct member *of, u64 first)
{
    unsigned promise = 0;
    bool there = true;

    for (u64 i = 0; i < PMAP_LARGE && there; i++)
        promise += promises(of, first, i, &there);
    return there ? promise : 0;
}

/* Was it written since the last look, or is what is in it known? */
static bool not_now(struct member *of, u64 first)
{
    struct pmap *p = of->pmap;
    u64 pass = of->stats.passes;
    bool written = false, skip;
    struct page *page;

    lock_acquire(&p->lock);
    for (u64 i = first; i < first + PMAP_LARGE; i++)
        written |= dirty_take(p, DIRTY_SHARE, i);
    page = pmap_record(p, first);
    skip = !page || page->state != PAGE_PRIVATE || (written && pass % HOT_FOR) ||
           (!written && page->known && pass % SHARE_KNOWN_FOR);
    if (page && page->state == PAGE_PRIVATE)
        page->known = !written && (page->known || !skip);
    lock_release(&p->lock);
    if (skip)
        *(written ? &share_counts.young : &share_counts.unchanged) += PMAP_LARGE;
    return skip;
}

static bool split(struct pmap *p, u64 first)
{
    enum err e;

    lock_acquire(&p->lock);
    e = pmap_split(p, pmap_gpa(first));
    for (u64 i = first; i < first + PMAP_LARGE && !e; i++) {
        struct page *page = pmap_record(p, i);

        if (page && page->state == PAGE_PRIVATE)
            page->known = page->hot = 0;
    }
    lock_release(&p->lock);
    pmap_shoot_down(p); /* CPUs must note writes in the new entries */
    share_counts.splits += !e;
    return !e;
}

bool large_look(struct member *of, u64 first)
{
    share_counts.looked += PMAP_LARGE - 1;
    if (not_now(of, first))
        return false;
    share_counts.hashed += PMAP_LARGE;
    return promise_of(of, first) >= SHARE_SPLIT && split(of->pmap, first);
}

void large_forget(struct member *of, u64 page)
{
    struct pmap *p = of->pmap;
    struct page *first;
    unsigned level;

    lock_acquire(&p->lock);
    if (ptab_lookup(&p->slat.table, pmap_gpa(page).v, &level) && level == 2) {
        first = pmap_record(p, ALIGN_DOWN(page, PMAP_LARGE));
        first->known = 0;
    }
    lock_release(&p->lock);
}

/* --- putting together ------------------------------------------------------------------------- */

/* Has every page had its chance? It was hashed and found no equal, or is written between any two looks. (One write can be
 * found twice: when the page became writable, and by the dirty bit that the CPU set.) */
static bool all_tried(struct pmap *p, u64 first)
{
    bool tried = true;

    lock_acquire(&p->lock);
    for (u64 i = first; i < first + PMAP_LARGE && tried; i++) {
        const struct page *page = pmap_record(p, i);

        tried = page && page->state == PAGE_PRIVATE &&
                (page->known || (page->hot == PAGE_HOT && dirty_is_set(p, DIRTY_SHARE, i)));
    }
    lock_release(&p->lock);
    return tried;
}

void large_promote(struct member *of, u64 first)
{
    struct pmap *p = of->pmap;

    if (!all_tried(p, first) || pmap_promote(p, first))
        return;
    share_counts.promotions++;
    share_counts.looked += PMAP_LARGE;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Large mappings: 512 pages of the VM's own in one frame of 2 MiB, which costs a CPU one entry of its TLB instead of 512, and
 * its walks a step less.
 *
 * Memory grows by 4 KiB, so that a VM costs what it has touched. Who finds that 2 MiB are full of PRIVATE pages, and that
 * none of them can be shared (the scanner does), has them put together: a copy into a new frame, since the old ones are
 * anywhere. While that goes on the pages are busy, as pages in flight are: the guest reads them where they were, a write waits;
 * at the end, for the time of a shoot-down, nothing maps them, and a read waits too.
 * A large mapping is split where sharing pays, and before its pages are sent to another host. */
#include "kernel/dirty_log.h"
#include "kernel/frames.h"
#include "kernel/string.h"
#include "vmm/memory/pmap.h"

enum err pmap_split(struct pmap *p, gpa_t gpa)
{
    unsigned level;
    u64 entry = ptab_lookup(&p->slat.table, gpa.v, &level);
    enum err e;

    if (!entry) /* a page of its own without a mapping is between two: see unmap */
        return pmap_state(p, pmap_index(gpa)) == PAGE_PRIVATE ? E_AGAIN : OK;
    if (level != 2)
        return OK;
    e = ptab_split(&p->slat.table, gpa.v);
    if (e)
        return e;
    frame_split(ptab_address(entry));
    if (p->slat.log)
        dirty_log_lose(p->slat.log); /* the CPU has logged one address of it at most */
    return OK;
}

/* --- putting together ------------------------------------------------------------------------- */

/* Are the pages all the VM's own, here, and mapped small? */
static bool is_dense_locked(const struct pmap *p, u64 first)
{
    if (!ptab_has_table(&p->slat.table, pmap_gpa(first).v, 2))
        return false;
    for (u64 i = first; i < first + PMAP_LARGE; i++) {
        const struct page *page = pmap_record(p, i);

        if (!page || page->state != PAGE_PRIVATE || page->busy)
            return false;
    }
    return true;
}

static hpa_t frame_of(const struct pmap *p, u64 index)
{
    unsigned level;

    return ptab_address(ptab_lookup(&p->slat.table, pmap_gpa(index).v, &level));
}

static bool is_dense(struct pmap *p, u64 first)
{
    bool dense;

    lock_acquire(&p->lock);
    dense = is_dense_locked(p, first);
    lock_release(&p->lock);
    return dense;
}

/* Its pages are looked at one by one, and it is split before that. */
static bool is_moving(const struct pmap *p)
{
    return p->dirty[DIRTY_MOVE];
}

static void protect(struct pmap *p, u64 index)
{
    struct pmap_change c = {.gpa = pmap_gpa(index),
                            .to = PAGE_PRIVATE,
                            .frame = frame_of(p, index),
                            .prot = SHOWN_PROT};

    pmap_commit(p, &c);
}

/* From here on nobody writes the pages, once the CPUs have been shot down. */
static enum err freeze(struct pmap *p, u64 first, struct pmap_break *b)
{
    bool may;

    lock_acquire(&p->lock);
    may = is_dense_locked(p, first) && !is_moving(p);
    if (may) {
        for (u64 i = first; i < first + PMAP_LARGE; i++)
            protect(p, i);
        pmap_break_begin(p, b, first, PMAP_LARGE);
    }
    lock_release(&p->lock);
    return may ? OK : E_STATE;
}

/* Page by page, so that nobody waits long for the lock. */
static void copy(struct pmap *p, const struct pmap_break *b, hpa_t to)
{
    for (u64 i = 0; i < PMAP_LARGE; i++) {
        lock_acquire(&p->lock);
        if (!b->dropped)
            memcpy(phys_to_virt(HPA(to.v + i * PAGE_SIZE)), phys_to_virt(frame_of(p, b->first + i)),
                   PAGE_SIZE);
        lock_release(&p->lock);
    }
}

/* Nothing maps the pages once the CPUs have been shot down: a page must not change its size and its frame at once (SDM 3A
 * 4.10.2.3). Returns the entry for the table that mapped them, or 0 if it is not to be. */
static u64 unmap(struct pmap *p, struct pmap_break *b)
{
    u64 table = 0;

    lock_acquire(&p->lock);
    if (!b->dropped && !is_moving(p))
        table = ptab_detach(&p->slat.table, pmap_gpa(b->first).v);
    else
        (void)pmap_break_end(p, b);
    lock_release(&p->lock);
    return table;
}

static bool map_large(struct pmap *p, struct pmap_break *b, hpa_t frame)
{
    struct pmap_change c = {.gpa = pmap_gpa(b->first),
                            .to = PAGE_PRIVATE,
                            .frame = frame,
                            .prot = GUEST_PROT,
                            .large = true};
    bool there;

    lock_acquire(&p->lock);
    there = pmap_break_end(p, b);
    if (there)
        pmap_commit(p, &c);
    lock_release(&p->lock);
    return there;
}

/* The small frames, and the table that mapped them. */
static void free_parts(struct pmap *p, u64 table)
{
    const u64 *entry = phys_to_virt(ptab_address(table));

    for (u64 i = 0; i < PMAP_LARGE; i++)
        frame_put(ptab_address(entry[i]));
    lock_acquire(&p->lock);
    ptab_free_table(&p->slat.table, table);
    lock_release(&p->lock);
}

/* Puts frozen pages together in that frame. */
static enum err join(struct pmap *p, struct pmap_break *b, hpa_t frame)
{
    bool there;
    u64 table;

    pmap_shoot_down(p);
    copy(p, b, frame);
    table = unmap(p, b);
    if (!table)
        return E_STATE;
    pmap_shoot_down(p);
    there = map_large(p, b, frame);
    free_parts(p, table);
    return there ? OK : E_STATE;
}

enum err pmap_promote(struct pmap *p, u64 first)
{
    struct pmap_break b;
    hpa_t frame;
    enum err e;

    if (!is_dense(p, first))
        return E_STATE;
    frame = pmap_frame_alloc(p, true);
    if (!frame.v)
        return E_NOMEM;
    e = freeze(p, first, &b);
    if (!e)
        e = join(p, &b, frame);
    if (e)
        frame_put(frame);
    return e;
}

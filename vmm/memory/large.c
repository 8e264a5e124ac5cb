/* Large mappings: 512 pages of the VM's own in one frame of 2 MiB, which costs a CPU one entry of its TLB instead of 512, and
 * its walks a step less.
 *
 * Memory grows by 4 KiB, so that a VM costs what it has touched. Who finds that 2 MiB are full of PRIVATE pages, and that
 * none of them can be shared (the scanner does), has them put together: a copy into a new frame, since the old ones are
 * anywhere. While that goes on the pages are busy, as pages in flight are: the guest reads them where they were, a write waits.
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

    if (!entry || level != 2)
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

/* From here on nobody writes the pages, once the CPUs have been shot down. */
static enum err freeze(struct pmap *p, u64 first, u64 *clears)
{
    enum err e = E_STATE;

    lock_acquire(&p->lock);
    *clears = p->clears;
    if (is_dense_locked(p, first)) {
        for (u64 i = first; i < first + PMAP_LARGE; i++) {
            struct pmap_change c = {.gpa = pmap_gpa(i),
                                    .to = PAGE_PRIVATE,
                                    .frame = frame_of(p, i),
                                    .prot = SHOWN_PROT};

            pmap_commit(p, &c);
            pmap_record(p, i)->busy = 1;
        }
        e = OK;
    }
    lock_release(&p->lock);
    return e;
}

/* Page by page, so that nobody waits long for the lock. False: the VM's memory was taken away. */
static bool copy(struct pmap *p, u64 first, u64 clears, hpa_t to)
{
    bool there = true;

    for (u64 i = 0; i < PMAP_LARGE && there; i++) {
        lock_acquire(&p->lock);
        there = p->clears == clears;
        if (there)
            memcpy(phys_to_virt(HPA(to.v + i * PAGE_SIZE)), phys_to_virt(frame_of(p, first + i)),
                   PAGE_SIZE);
        lock_release(&p->lock);
    }
    return there;
}

/* Maps the large frame; *table is the entry that led to the small mappings. */
static bool join(struct pmap *p, u64 first, u64 clears, hpa_t frame, u64 *table)
{
    struct pmap_change c = {.gpa = pmap_gpa(first),
                            .to = PAGE_PRIVATE,
                            .frame = frame,
                            .prot = GUEST_PROT,
                            .large = true};
    bool there;

    lock_acquire(&p->lock);
    there = p->clears == clears;
    if (there) {
        *table = pmap_commit(p, &c);
        for (u64 i = first; i < first + PMAP_LARGE; i++)
            pmap_record(p, i)->busy = 0;
        pmap_wake(p, first, first + PMAP_LARGE - 1, OK);
    }
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

enum err pmap_promote(struct pmap *p, u64 first)
{
    u64 clears, table;
    hpa_t frame;
    enum err e;

    if (!is_dense(p, first))
        return E_STATE;
    frame = pmap_frame_alloc(p, true);
    if (!frame.v)
        return E_NOMEM;
    e = freeze(p, first, &clears);
    if (!e) {
        pmap_shoot_down(p);
        if (copy(p, first, clears, frame) && join(p, first, clears, frame, &table)) {
            pmap_shoot_down(p);
            free_parts(p, table);
            return OK;
        }
        e = E_STATE;
    }
    frame_put(frame);
    return e;
}

/* The one way in which a page becomes good for the guest: what its state asks for, a frame, the backing's bytes,
 * the mapping, and who waits is woken. */
#include "kernel/frames.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "vmm/memory/pmap.h"

/* One fault on its way through this file. */
struct fault {
    struct pmap *pmap;
    gpa_t gpa; /* of the page */
    u64 index;
    bool write;
    struct pmap_waiter *waiter;
    u64 entry;         /* what maps the page now; 0: nothing */
    hpa_t replaced;    /* a frame that may be dropped after a shoot-down */
    struct fill *slow; /* to be started once the lock is free */
};

static hpa_t frame_of(const struct fault *f)
{
    return f->entry ? f->pmap->slat.table.format->address(f->entry) : HPA(0);
}

/* --- filling ---------------------------------------------------------------------------------- */

static struct pmap_change private_page(gpa_t gpa, hpa_t frame)
{
    return (struct pmap_change){.gpa = gpa, .to = PAGE_PRIVATE, .frame = frame, .prot = GUEST_PROT};
}

static struct pmap_change filled_page(const struct fill *fill)
{
    struct pmap_change c = private_page(pmap_gpa(fill->index), fill->frame);

    if (fill->cached) {
        c.to = PAGE_CACHED;
        c.prot = SHOWN_PROT;
    }
    return c;
}

static void wait_for(struct fault *f)
{
    struct pmap_waiter *w = f->waiter;

    w->thread = thread_current();
    w->index = f->index;
    w->waiting = true;
    w->result = OK;
    list_append(&f->pmap->waiters, &w->link);
}

static struct fill *free_slot(struct pmap *p)
{
    for (unsigned i = 0; i < PMAP_FILLS; i++)
        if (!p->fill[i].backing)
            return &p->fill[i];
    return NULL;
}

static enum err start_slow(struct fault *f, const struct fill *fill)
{
    struct fill *slot = free_slot(f->pmap);

    if (f->pmap->held) {
        frame_put(fill->frame);
        return E_STATE;
    }
    wait_for(f);
    if (!slot) { /* any page that comes makes room */
        f->waiter->index = U64_MAX;
        frame_put(fill->frame);
        return E_AGAIN;
    }
    *slot = *fill;
    pmap_record(f->pmap, f->index)->busy = 1;
    f->slow = slot;
    return E_AGAIN;
}

static enum err fill_now(struct fault *f, struct fill *fill)
{
    struct pmap_change c = private_page(f->gpa, fill->frame);
    enum err e = fill->backing->fill(fill);

    if (e) {
        frame_put(fill->frame);
        return e;
    }
    pmap_commit(f->pmap, &c);
    f->replaced = fill->from;
    return OK;
}

/* Gives the page a frame of its own, with the backing's bytes. */
static enum err fill_page(struct fault *f, const struct backing *backing)
{
    struct pmap_change c = private_page(f->gpa, HPA(0));
    struct fill fill = {
        .pmap = f->pmap, .index = f->index, .from = frame_of(f), .backing = backing};
    enum err e = f->entry ? OK : pmap_prepare(f->pmap, &c); /* what is mapped was prepared */

    if (e)
        return e;
    if (backing->slow) {
        fill.slot = pmap_record(f->pmap, f->index)->slot;
        fill.cached = !f->write && f->pmap->cache_reads;
    }
    fill.frame = pmap_frame_alloc(f->pmap, false);
    if (!fill.frame.v)
        return E_NOMEM;
    return backing->slow ? start_slow(f, &fill) : fill_now(f, &fill);
}

/* --- by state --------------------------------------------------------------------------------- */

static enum err resolve_empty(struct fault *f)
{
    struct pmap_change c = {
        .gpa = f->gpa, .to = PAGE_EMPTY, .frame = pmap_zero_frame, .prot = SHOWN_PROT};
    enum err e;

    if (f->write)
        return fill_page(f, &backing_zero);
    if (f->entry)
        return OK;
    e = pmap_prepare(f->pmap, &c);
    if (!e)
        pmap_commit(f->pmap, &c);
    return e;
}

/* Another vCPU was faster; or the page is protected while somebody compares it, who then sees that it was written. */
static enum err resolve_private(struct fault *f)
{
    struct pmap_change c = private_page(f->gpa, frame_of(f));

    if (f->write && !(f->pmap->slat.table.format->prot(f->entry) & PROT_WRITE))
        pmap_commit(f->pmap, &c);
    return OK;
}

static enum err resolve_shared(struct fault *f)
{
    struct pmap_change c = private_page(f->gpa, frame_of(f));
    enum err e;

    if (!f->write)
        return OK;
    if (frame_claim(c.frame, FRAME_GUEST, f->pmap->owner)) { /* the last one has it to itself */
        pmap_commit(f->pmap, &c);
        return OK;
    }
    e = fill_page(f, &backing_frame);
    f->pmap->copied += !e;
    return e;
}

static enum err resolve_remote(struct fault *f)
{
    return fill_page(f, f->pmap->remote);
}

static enum err resolve_device(struct fault *f)
{
    (void)f;
    return E_RANGE;
}

static enum err (*const resolve[PAGE_STATE_COUNT])(struct fault *f) = {
    [PAGE_EMPTY] = resolve_empty,   [PAGE_PRIVATE] = resolve_private,
    [PAGE_SHARED] = resolve_shared, [PAGE_REMOTE] = resolve_remote,
    [PAGE_CACHED] = resolve_shared, [PAGE_MMIO] = resolve_device,
};

/* --- the fault -------------------------------------------------------------------------------- */

static enum err resolve_locked(struct fault *f)
{
    struct pmap *p = f->pmap;
    struct page *page = pmap_record(p, f->index);
    unsigned level;

    p->faults++;
    if (page && page->busy) {
        if (p->held && page->state == PAGE_REMOTE)
            return E_STATE;
        p->joined++;
        wait_for(f);
        return E_AGAIN;
    }
    f->entry = ptab_lookup(&p->slat.table, f->gpa.v, &level);
    return resolve[page ? page->state : PAGE_EMPTY](f);
}

/* No vCPU may see the frame that was there once another has written to the new one; and who has that frame next must
 * not be seen through it. */
static void drop_replaced(struct fault *f, enum page_state before)
{
    pmap_shoot_down(f->pmap);
    if (before != PAGE_EMPTY)
        frame_put(f->replaced);
}

enum err pmap_fault(struct pmap *p, gpa_t gpa, bool write, struct pmap_waiter *waiter)
{
    struct fault f = {.pmap = p,
                      .gpa = GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)),
                      .index = pmap_index(gpa),
                      .write = write,
                      .waiter = waiter};
    enum page_state before;
    enum err e;

    if (!pmap_is_ram(p, gpa))
        return E_RANGE;
    lock_acquire(&p->lock);
    before = pmap_state(p, f.index);
    e = resolve_locked(&f);
    lock_release(&p->lock);
    if (f.replaced.v)
        drop_replaced(&f, before);
    if (f.slow) {
        enum err failed = f.slow->backing->fill(f.slow);

        if (failed)
            pmap_fill_done(f.slow, failed);
    }
    return e;
}

/* --- pages in flight -------------------------------------------------------------------------- */

void pmap_wake(struct pmap *p, u64 first, u64 last, enum err result)
{
    struct pmap_waiter *w;

    LIST_FOR_EACH(w, &p->waiters, link)
    {
        bool mine = w->index >= first && w->index <= last;

        if (!mine && w->index != U64_MAX)
            continue;
        list_remove(&w->link);
        w->result = mine ? result : OK;
        __atomic_store_n(&w->waiting, false, __ATOMIC_RELEASE);
        thread_wake(w->thread);
    }
}

void pmap_fill_done(struct fill *fill, enum err result)
{
    struct pmap *p = fill->pmap;
    struct pmap_change c = filled_page(fill);

    lock_acquire(&p->lock);
    if (fill->dropped || result)
        frame_put(fill->frame);
    else
        pmap_commit(p, &c);
    if (!fill->dropped) {
        pmap_record(p, fill->index)->busy = 0;
        pmap_wake(p, fill->index, fill->index, result);
    }
    fill->dropped = false;
    __atomic_store_n(&fill->backing, NULL, __ATOMIC_RELEASE);
    lock_release(&p->lock);
}

enum err pmap_wait(const struct pmap_waiter *waiter)
{
    while (__atomic_load_n(&waiter->waiting, __ATOMIC_ACQUIRE))
        thread_block();
    return waiter->result;
}

void pmap_cancel_wait(struct pmap *p, struct pmap_waiter *waiter)
{
    lock_acquire(&p->lock);
    if (waiter->waiting)
        list_remove(&waiter->link);
    waiter->waiting = false;
    lock_release(&p->lock);
}

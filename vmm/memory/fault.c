/* SPDX-License-Identifier: BSD-2-Clause */
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
    struct page *page;      /* its record, or NULL */
    enum page_state before; /* its state */
    u64 entry;              /* what maps the page now; 0: nothing */
    struct pmap_break change;
    hpa_t replaced;    /* the frame that was mapped; change is under way then */
    struct fill *slow; /* to be started once the lock is free */
};

static hpa_t frame_of(const struct fault *f)
{
    return f->entry ? ptab_address(f->entry) : HPA(0);
}

/* --- filling ---------------------------------------------------------------------------------- */

static struct pmap_change private_page(gpa_t gpa, hpa_t frame)
{
    return (struct pmap_change){.gpa = gpa, .to = PAGE_PRIVATE, .frame = frame, .prot = GUEST_PROT};
}

static void wait_for(struct fault *f, u64 index)
{
    struct pmap_waiter *w = f->waiter;

    w->thread = thread_current();
    w->index = index;
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

/* The new frame has the same bytes as the old one. Nobody may write it before everybody has left the old one. */
static void break_page(struct fault *f, struct pmap_change *c)
{
    c->prot = SHOWN_PROT;
    pmap_commit(f->pmap, c);
    pmap_break_begin(f->pmap, &f->change, f->index, 1);
    f->replaced = frame_of(f);
}

/* Gives the page a frame of its own, with the backing's bytes, which are here. */
static enum err fill_page(struct fault *f, const struct backing *backing)
{
    struct pmap_change c = private_page(f->gpa, HPA(0));
    struct fill fill = {
        .pmap = f->pmap, .index = f->index, .from = frame_of(f), .backing = backing};
    enum err e = f->entry ? OK : pmap_prepare(f->pmap, &c); /* what is mapped was prepared */

    if (e)
        return e;
    c.frame = fill.frame = pmap_frame_alloc(f->pmap, false);
    if (!c.frame.v)
        return E_NOMEM;
    e = backing->fill(&fill);
    if (e) {
        frame_put(c.frame);
        return e;
    }
    if (f->entry)
        break_page(f, &c);
    else
        pmap_commit(f->pmap, &c);
    return OK;
}

/* --- by state --------------------------------------------------------------------------------- */

static enum err resolve_empty(struct fault *f)
{
    struct pmap_change c = {
        .gpa = f->gpa, .to = PAGE_EMPTY, .frame = f->pmap->zero_frame, .prot = SHOWN_PROT};
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

/* Has the backing bring its bytes. */
static enum err resolve_remote(struct fault *f)
{
    struct pmap *p = f->pmap;
    struct pmap_change c = {.gpa = f->gpa};
    struct fill *fill = free_slot(p);
    hpa_t frame;
    enum err e;

    if (p->held)
        return E_STATE;
    if (!fill) {
        wait_for(f, U64_MAX); /* any page that comes makes room */
        return E_AGAIN;
    }
    e = pmap_prepare(p, &c);
    if (e)
        return e;
    frame = pmap_frame_alloc(p, false);
    if (!frame.v)
        return E_NOMEM;
    *fill = (struct fill){.pmap = p,
                          .index = f->index,
                          .frame = frame,
                          .backing = p->remote,
                          .cached = !f->write && p->cache_reads,
                          .slot = f->page->slot};
    f->page->busy = 1;
    f->slow = fill;
    wait_for(f, f->index);
    return E_AGAIN;
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
    unsigned level;

    p->faults++;
    f->page = pmap_record(p, f->index);
    f->before = f->page ? f->page->state : PAGE_EMPTY;
    if (f->page && f->page->busy) {
        if (p->held && f->before == PAGE_REMOTE)
            return E_STATE;
        p->joined++;
        wait_for(f, f->index);
        return E_AGAIN;
    }
    if (f->before != PAGE_REMOTE) /* nothing maps those */
        f->entry = ptab_lookup(&p->slat.table, f->gpa.v, &level);
    return resolve[f->before](f);
}

/* From here on the page may be written, and the frame that was there be somebody else's. */
static void make_page(struct fault *f)
{
    struct pmap *p = f->pmap;
    struct pmap_change c = private_page(f->gpa, HPA(0));
    unsigned level;

    pmap_shoot_down(p);
    lock_acquire(&p->lock);
    if (pmap_break_end(p, &f->change)) {
        c.frame = ptab_address(ptab_lookup(&p->slat.table, f->gpa.v, &level));
        pmap_commit(p, &c);
    }
    lock_release(&p->lock);
    if (f->before != PAGE_EMPTY)
        frame_put(f->replaced);
}

enum err pmap_fault(struct pmap *p, gpa_t gpa, bool write, struct pmap_waiter *waiter)
{
    struct fault f = {.pmap = p,
                      .gpa = GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)),
                      .index = pmap_index(gpa),
                      .write = write,
                      .waiter = waiter};
    enum err e;

    if (!pmap_is_ram(p, gpa))
        return E_RANGE;
    lock_acquire(&p->lock);
    e = resolve_locked(&f);
    lock_release(&p->lock);
    if (f.replaced.v)
        make_page(&f);
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
    struct pmap_change c = {.gpa = pmap_gpa(fill->index),
                            .to = fill->cached ? PAGE_CACHED : PAGE_PRIVATE,
                            .frame = fill->frame,
                            .prot = fill->cached ? SHOWN_PROT : GUEST_PROT};

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

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/share/merge.h"
#include "kernel/frames.h"
#include "vmm/share/hash.h"

/* The frame of a page of the VM's own that a small mapping shows, or 0; the lock is held. */
static hpa_t own_frame(const struct pmap *p, u64 index, u64 *entry)
{
    const struct page *page = pmap_record(p, index);
    unsigned level;

    *entry = ptab_lookup(&p->slat.table, pmap_gpa(index).v, &level);
    if (!page || page->state != PAGE_PRIVATE || page->busy || !*entry || level != 1)
        return HPA(0);
    return ptab_address(*entry);
}

static bool is_protected(const struct pmap *p, u64 entry)
{
    return !(p->slat.table.format->prot(entry) & PROT_WRITE);
}

static void remap(struct pmap *p, u64 index, enum page_state to, hpa_t frame, u32 prot)
{
    struct pmap_change c = {.gpa = pmap_gpa(index), .to = to, .frame = frame, .prot = prot};

    pmap_commit(p, &c);
}

/* --- protect ---------------------------------------------------------------------------------- */

/* Takes the right to write, unless the page was written lately. */
static void protect(struct pmap *p, u64 index)
{
    u64 entry;
    hpa_t frame;

    lock_acquire(&p->lock);
    frame = own_frame(p, index, &entry);
    if (frame.v && !is_protected(p, entry) && !(entry & p->slat.table.format->dirty))
        remap(p, index, PAGE_PRIVATE, frame, SHOWN_PROT);
    lock_release(&p->lock);
}

/* Gives it back. */
static void unprotect(struct pmap *p, u64 index)
{
    u64 entry;
    hpa_t frame;

    lock_acquire(&p->lock);
    frame = own_frame(p, index, &entry);
    if (frame.v && is_protected(p, entry))
        remap(p, index, PAGE_PRIVATE, frame, GUEST_PROT);
    lock_release(&p->lock);
}

/* Each VM of the batch once. */
static void shoot_down(const struct merge *m, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct pmap *pair[2] = {m[i].pmap, m[i].other};

        for (unsigned k = 0; k < 2; k++) {
            bool seen = !pair[k] || (k && pair[1] == pair[0]);

            for (unsigned j = 0; j < i && !seen; j++)
                seen = m[j].pmap == pair[k] || m[j].other == pair[k];
            if (!seen)
                pmap_shoot_down(pair[k]);
        }
    }
}

/* --- finish ----------------------------------------------------------------------------------- */

/* Maps the page to the frame (0: to nothing, it becomes EMPTY) if it is still protected and has the same content. */
static bool replace(struct merge *m, hpa_t frame)
{
    struct pmap *p = m->pmap;
    bool same = false;
    const void *content;
    u64 entry;

    lock_acquire(&p->lock);
    m->old = own_frame(p, m->page, &entry);
    if (m->old.v && is_protected(p, entry)) {
        content = phys_to_virt(m->old);
        same = frame.v ? page_equal(content, phys_to_virt(frame)) : page_is_zero(content);
        m->stale = !same;
    }
    if (same && frame.v)
        frame_pages(frame)->hash = m->hash;
    if (same) {
        remap(p, m->page, frame.v ? PAGE_SHARED : PAGE_EMPTY, frame.v ? frame : p->zero_frame,
              SHOWN_PROT);
        pmap_break_begin(p, &m->change, m->page, 1);
    }
    lock_release(&p->lock);
    return same;
}

static bool finish_frame(struct merge *m)
{
    m->stale = !frame_get_if(m->frame, FRAME_SHARED, m->pmap->group);
    if (m->stale)
        return false;
    if (replace(m, m->frame))
        return true;
    frame_put(m->frame);
    return false;
}

/* A protected page becomes SHARED, as the only user of its frame yet; or an earlier merge of the batch made it so. */
static hpa_t offer(struct pmap *q, u64 page)
{
    hpa_t frame;
    u64 entry;

    lock_acquire(&q->lock);
    frame = own_frame(q, page, &entry);
    if (frame.v && is_protected(q, entry) && frame_claim(frame, FRAME_SHARED, q->group))
        remap(q, page, PAGE_SHARED, frame, SHOWN_PROT);
    else if (entry && pmap_state(q, page) == PAGE_SHARED)
        frame = ptab_address(entry);
    else
        frame = HPA(0);
    lock_release(&q->lock);
    return frame;
}

/* Nobody wanted it. */
static void take_back(struct merge *m, hpa_t frame)
{
    struct pmap *q = m->other;
    unsigned level;
    u64 entry;

    lock_acquire(&q->lock);
    entry = ptab_lookup(&q->slat.table, pmap_gpa(m->other_page).v, &level);
    if (pmap_state(q, m->other_page) == PAGE_SHARED && ptab_address(entry).v == frame.v &&
        frame_claim(frame, FRAME_GUEST, q->owner))
        remap(q, m->other_page, PAGE_PRIVATE, frame, GUEST_PROT);
    lock_release(&q->lock);
}

static bool finish_page(struct merge *m)
{
    m->frame = offer(m->other, m->other_page);
    m->stale = !m->frame.v;
    if (m->stale)
        return false;
    if (finish_frame(m))
        return true;
    take_back(m, m->frame);
    return false;
}

static bool finish_zero(struct merge *m)
{
    return replace(m, HPA(0));
}

static bool (*const finish[])(struct merge *m) = {
    [MERGE_ZERO] = finish_zero, [MERGE_FRAME] = finish_frame, [MERGE_PAGE] = finish_page};

/* No CPU uses the page's own frame any more. */
static void complete(struct merge *m)
{
    lock_acquire(&m->pmap->lock);
    (void)pmap_break_end(m->pmap, &m->change);
    lock_release(&m->pmap->lock);
    frame_put(m->old);
}

void merge_run(struct merge *m, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        protect(m[i].pmap, m[i].page);
        if (m[i].other)
            protect(m[i].other, m[i].other_page);
    }
    shoot_down(m, count);
    for (unsigned i = 0; i < count; i++)
        m[i].done = finish[m[i].kind](&m[i]);
    shoot_down(m, count);
    for (unsigned i = 0; i < count; i++) {
        if (m[i].done)
            complete(&m[i]);
        else
            unprotect(m[i].pmap, m[i].page);
        if (m[i].other)
            unprotect(m[i].other, m[i].other_page);
    }
}

hpa_t merge_offer(struct pmap *p, u64 page)
{
    hpa_t frame;

    protect(p, page);
    pmap_shoot_down(p);
    frame = offer(p, page);
    if (frame.v && !frame_get_if(frame, FRAME_SHARED, p->group))
        frame = HPA(0); /* its last user has just taken it back */
    unprotect(p, page);
    return frame;
}

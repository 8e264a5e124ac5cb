/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/pmap.h"
#include "kernel/dirty_log.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "vmm/layout.h"

/* What is left for page tables, stacks and the shell when guests have taken all they get. */
#define FRAME_RESERVE (MIB(4) / PAGE_SIZE)
/* Nothing is put together to 2 MiB while the host has less than this free. */
#define LARGE_RESERVE (MIB(32) / PAGE_SIZE)
/* Of each 2 MiB of a VM: its frame of records, and its page table. Tables above these are few, and the host's reserve. */
#define TABLES_A_RECORD 2
#define LOW_PAGES       (GUEST_LOW_LIMIT / PAGE_SIZE)

/* How long fills in flight may hold up the end of a VM before the log says so. */
#define FILL_PATIENCE SEC(5)

enum err pmap_create(struct pmap *p, u64 memory, u16 owner)
{
    *p = (struct pmap){.memory = memory, .owner = owner, .slat.generation = 1};
    list_init(&p->waiters);
    list_init(&p->breaks);
    p->record_frames = (pmap_pages(p) + PMAP_RECORDS - 1) / PMAP_RECORDS;
    p->records = heap_alloc(p->record_frames * sizeof(void *));
    p->zero_frame = frame_alloc(0, FRAME_KERNEL, 0);
    if (!p->records || !p->zero_frame.v || rmap_register(p))
        return E_NOMEM;
    if (hvm->logs_dirty && hvm->logs_dirty())
        p->slat.log = heap_alloc(sizeof(*p->slat.log)); /* goes without, if there is no memory */
    return ptab_create(&p->slat.table, hvm->slat_format);
}

/* --- pages ------------------------------------------------------------------------------------ */

bool pmap_is_ram(const struct pmap *p, gpa_t gpa)
{
    if (gpa.v >= GUEST_HIGH_BASE)
        return gpa.v < guest_high_top(p->memory);
    return gpa.v < guest_low_top(p->memory) &&
           !(gpa.v >= GUEST_HOLE_BASE && gpa.v < GUEST_HOLE_TOP);
}

u64 pmap_index(gpa_t gpa)
{
    u64 gfn = gpa.v / PAGE_SIZE;

    return gpa.v < GUEST_HIGH_BASE ? gfn : gfn - GUEST_HIGH_BASE / PAGE_SIZE + LOW_PAGES;
}

gpa_t pmap_gpa(u64 index)
{
    return GPA(index < LOW_PAGES ? index * PAGE_SIZE
                                 : GUEST_HIGH_BASE + (index - LOW_PAGES) * PAGE_SIZE);
}

u64 pmap_tables_most(u64 pages)
{
    return TABLES_A_RECORD * ((pages + PMAP_RECORDS - 1) / PMAP_RECORDS);
}

u64 pmap_promised(const struct pmap *p)
{
    return pmap_pages(p) - p->count[PAGE_PRIVATE] - p->count[PAGE_SHARED] - p->count[PAGE_CACHED] +
           TABLES_A_RECORD * (p->record_frames - p->recorded);
}

enum page_state pmap_state(const struct pmap *p, u64 index)
{
    const struct page *page = pmap_record(p, index);

    return page ? page->state : PAGE_EMPTY;
}

hpa_t pmap_frame_alloc(struct pmap *p, bool large)
{
    if (frames_free() <= (large ? LARGE_RESERVE : FRAME_RESERVE))
        return HPA(0);
    return frame_alloc(large ? FRAME_LARGE_ORDER : 0, FRAME_GUEST, p->owner);
}

/* --- changes ---------------------------------------------------------------------------------- */

static enum err prepare_record(struct pmap *p, u64 index)
{
    struct page **records = &p->records[index / PMAP_RECORDS];
    hpa_t frame;

    if (*records)
        return OK;
    if (frames_free() <= FRAME_RESERVE)
        return E_NOMEM;
    frame = frame_alloc(0, FRAME_PAGE_TABLE, p->owner);
    if (!frame.v)
        return E_NOMEM;
    *records = phys_to_virt(frame);
    p->recorded++;
    return OK;
}

enum err pmap_prepare(struct pmap *p, const struct pmap_change *c)
{
    enum err e = prepare_record(p, pmap_index(c->gpa));

    return e ? e : ptab_prepare(&p->slat.table, c->gpa.v, c->large ? 2 : 1);
}

static bool owns_frame(enum page_state s)
{
    return s == PAGE_PRIVATE || s == PAGE_CACHED;
}

static bool is_lent(enum page_state s)
{
    return s == PAGE_REMOTE || s == PAGE_CACHED;
}

/* A SHARED page is in the list of its frame, where neighbours reach it, from here on until it is out of it again. */
static void set_state(struct pmap *p, u64 index, struct page *page, enum page_state to, u32 slot)
{
    enum page_state from = page->state;
    const char *reason;

    if (from == to)
        return;
    if (!page_may_become(from, to, &reason))
        panic("page %llx of VM %u goes from %s to %s: %s", (unsigned long long)index, p->owner,
              page_state_name[from], page_state_name[to], reason);
    p->count[from] -= from != PAGE_EMPTY;
    p->count[to] += to != PAGE_EMPTY;
    p->frames += (u64)owns_frame(to) - owns_frame(from);
    if (is_lent(from))
        slot = page->slot;
    page->own = 0;
    page->state = to;
    if (is_lent(to))
        page->slot = slot;
    else if (is_lent(from))
        p->remote->left(p, slot);
}

/* The page, or all of a large mapping, has another entry than before. */
static void entry_changed(struct pmap *p, u64 index, u64 old, const struct pmap_change *c)
{
    struct page *page = pmap_record(p, index);
    u64 pages = c->large ? PMAP_LARGE : 1;
    bool becomes_own = c->to == PAGE_PRIVATE && page->state != PAGE_PRIVATE;

    if (page->state == PAGE_SHARED)
        rmap_remove(ptab_address(old), p, index);
    for (u64 i = 0; i < pages; i++)
        set_state(p, index + i, page + i, c->to, c->slot);
    if (c->to == PAGE_SHARED)
        rmap_add(c->frame, p, index);
    if (c->prot & PROT_WRITE || becomes_own || old & p->slat.table.format->dirty)
        dirty_mark(p, index, pages);
}

u64 pmap_commit(struct pmap *p, const struct pmap_change *c)
{
    unsigned level = c->large ? 2 : 1;
    u64 old = c->prot ? ptab_commit(&p->slat.table, c->gpa.v, level, c->frame, c->prot, MEMORY_WB)
                      : ptab_clear(&p->slat.table, c->gpa.v, &level);

    entry_changed(p, pmap_index(c->gpa), old, c);
    return old;
}

void pmap_shoot_down(struct pmap *p)
{
    __atomic_add_fetch(&p->slat.generation, 1, __ATOMIC_SEQ_CST);
    p->shoot_down(p);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Frees what shows the page, or all 512 of a large mapping. */
static void clear_leaf(void *ctx, u64 address, unsigned level, u64 *entry)
{
    const struct pmap_change nothing = {.to = PAGE_EMPTY, .large = level == 2};
    struct pmap *p = ctx;
    u64 index = pmap_index(GPA(address)), old = *entry;
    enum page_state state = pmap_state(p, index);

    __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
    entry_changed(p, index, old, &nothing);
    if (state != PAGE_EMPTY)
        frame_put(ptab_address(old));
}

/* The page of somebody who waits for one from elsewhere, or for room to ask for it; false: nobody does. */
static bool awaited(struct pmap *p, u64 *index)
{
    struct pmap_waiter *w;

    LIST_FOR_EACH(w, &p->waiters, link)
    {
        *index = w->index;
        if (w->index == U64_MAX || pmap_state(p, w->index) == PAGE_REMOTE)
            return true;
    }
    return false;
}

void pmap_hold(struct pmap *p, bool on)
{
    u64 index;

    lock_acquire(&p->lock);
    p->held = on;
    while (on && awaited(p, &index))
        pmap_wake(p, index, index, E_STATE);
    lock_release(&p->lock);
}

/* The pages of one frame of records. */
static void clear_records(struct pmap *p, u64 first)
{
    struct page **records = &p->records[first / PMAP_RECORDS];
    u64 pages = MIN(PMAP_RECORDS, pmap_pages(p) - first), base = pmap_gpa(first).v;

    lock_acquire(&p->lock);
    pmap_break_drop(p, first, pages);
    if (*records) {
        ptab_each_leaf(&p->slat.table, base, base + pages * PAGE_SIZE, clear_leaf, p);
        for (u64 i = 0; i < pages; i++)
            if ((*records)[i].state != PAGE_EMPTY) /* it is elsewhere */
                set_state(p, first + i, &(*records)[i], PAGE_EMPTY, 0);
        frame_put(virt_to_phys(*records));
        *records = NULL;
        p->recorded--;
    }
    lock_release(&p->lock);
}

void pmap_clear(struct pmap *p)
{
    lock_acquire(&p->lock);
    for (unsigned i = 0; i < PMAP_FILLS; i++)
        p->fill[i].dropped = p->fill[i].backing;
    lock_release(&p->lock);
    for (u64 first = 0; first < pmap_pages(p); first += PMAP_RECORDS) {
        clear_records(p, first);
        thread_yield();
    }
    lock_acquire(&p->lock);
    pmap_wake(p, 0, U64_MAX, E_STATE);
    __atomic_add_fetch(&p->slat.generation, 1, __ATOMIC_SEQ_CST);
    lock_release(&p->lock);
}

bool pmap_in_use(const struct pmap *p)
{
    for (u64 i = 0; i < p->record_frames; i++)
        if (p->records[i])
            return true;
    return false;
}

static bool fills_in_flight(const struct pmap *p)
{
    for (unsigned i = 0; i < PMAP_FILLS; i++)
        if (__atomic_load_n(&p->fill[i].backing, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

void pmap_destroy(struct pmap *p)
{
    u64 complain = time_now() + FILL_PATIENCE;
    void *records;

    if (p->slat.table.root.v) {
        pmap_clear(p);
        while (fills_in_flight(p)) {
            if (time_now() > complain) {
                log_warn("VM %u waits for pages in flight before it can end", p->owner);
                complain = U64_MAX;
            }
            thread_sleep(MSEC(1));
        }
        ptab_destroy(&p->slat.table);
    }
    if (p->zero_frame.v)
        frame_put(p->zero_frame);
    p->zero_frame = HPA(0);
    rmap_unregister(p);
    heap_free(p->slat.log);
    p->slat.log = NULL;
    lock_acquire(&p->lock);
    records = p->records;
    p->records = NULL;
    lock_release(&p->lock);
    heap_free(records);
}

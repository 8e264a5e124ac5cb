/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/rmap.h"
#include "kernel/frames.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "vmm/memory/pmap.h"

/* Numbers are given by the GiB. The first is left out: 0 is no page. */
#define CHUNK_PAGES (GIB(1) / PAGE_SIZE)
#define CHUNKS      (BIT(PAGE_NUMBER_BITS) / CHUNK_PAGES)

static struct lock rmap_lock; /* chunks, and all lists */
static struct pmap *chunk[CHUNKS];

/* --- numbers of pages ----------------------------------------------------------------------------- */

static u64 chunks_of(const struct pmap *p)
{
    return (pmap_pages(p) + CHUNK_PAGES - 1) / CHUNK_PAGES;
}

/* The first of n chunks in a row that are free, or 0. */
static u64 find_free(u64 n)
{
    u64 first = 1;

    for (u64 at = 1; at < CHUNKS; at++) {
        if (chunk[at])
            first = at + 1;
        else if (at + 1 - first == n)
            return first;
    }
    return 0;
}

enum err rmap_register(struct pmap *p)
{
    u64 first;

    lock_acquire(&rmap_lock);
    first = find_free(chunks_of(p));
    for (u64 i = 0; first && i < chunks_of(p); i++)
        chunk[first + i] = p;
    lock_release(&rmap_lock);
    p->first_page = first * CHUNK_PAGES;
    return first ? OK : E_NOMEM;
}

void rmap_unregister(struct pmap *p)
{
    u64 first = p->first_page / CHUNK_PAGES;

    lock_acquire(&rmap_lock);
    for (u64 i = 0; first && i < chunks_of(p); i++)
        chunk[first + i] = NULL;
    lock_release(&rmap_lock);
    p->first_page = 0;
}

static struct page *page_of(u64 number)
{
    struct pmap *p = chunk[number / CHUNK_PAGES];

    return pmap_record(p, number - p->first_page);
}

/* --- lists ------------------------------------------------------------------------------------------ */

void rmap_add(hpa_t frame, struct pmap *p, u64 index)
{
    struct frame_pages *list = frame_pages(frame);
    struct page *page = pmap_record(p, index);
    u32 number = (u32)(p->first_page + index);

    lock_acquire(&rmap_lock);
    page->next = list->first;
    page->prev = 0;
    if (list->first)
        page_of(list->first)->prev = number;
    list->first = number;
    list->count++;
    lock_release(&rmap_lock);
}

void rmap_remove(hpa_t frame, struct pmap *p, u64 index)
{
    struct frame_pages *list = frame_pages(frame);
    struct page *page = pmap_record(p, index);

    lock_acquire(&rmap_lock);
    if (!list->count || (!page->prev && list->first != p->first_page + index))
        panic("page %llx of VM %u is not among those that show frame %llx",
              (unsigned long long)index, p->owner, (unsigned long long)frame.v);
    if (page->prev)
        page_of(page->prev)->next = page->next;
    else
        list->first = page->next;
    if (page->next)
        page_of(page->next)->prev = page->prev;
    page->next = page->prev = 0;
    list->count--;
    lock_release(&rmap_lock);
}

void rmap_each(hpa_t frame, bool (*fn)(void *ctx, struct pmap *p, u64 index), void *ctx)
{
    lock_acquire(&rmap_lock);
    for (u64 at = frame_pages(frame)->first; at; at = page_of(at)->next) {
        struct pmap *p = chunk[at / CHUNK_PAGES];

        if (!fn(ctx, p, at - p->first_page))
            break;
    }
    lock_release(&rmap_lock);
}

u32 rmap_count(hpa_t frame)
{
    return __atomic_load_n(&frame_pages(frame)->count, __ATOMIC_RELAXED);
}

bool rmap_used_outside(hpa_t frame, const struct pmap *p)
{
    u64 at;

    lock_acquire(&rmap_lock);
    at = frame_pages(frame)->first;
    while (at && chunk[at / CHUNK_PAGES] == p)
        at = page_of(at)->next;
    lock_release(&rmap_lock);
    return at || frame_users(frame) > rmap_count(frame);
}

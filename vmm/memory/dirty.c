/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/dirty.h"
#include "kernel/dirty_log.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "vmm/layout.h"
#include "vmm/memory/pmap.h"

/* So much of a guest is harvested under one hold of the lock: 65,536 entries, about 100 us. */
#define DIRTY_PIECE MIB(256)

static size_t bitmap_size(const struct pmap *p)
{
    return ALIGN_UP(pmap_pages(p), 64) / 8;
}

enum err dirty_attach(struct pmap *p, enum dirty_consumer who)
{
    u64 *bitmap = heap_alloc(bitmap_size(p));

    if (!bitmap)
        return E_NOMEM;
    memset(bitmap, 0xff, bitmap_size(p));
    if (pmap_pages(p) % 64)
        bitmap[pmap_pages(p) / 64] = BIT(pmap_pages(p) % 64) - 1;
    lock_acquire(&p->lock);
    p->dirty[who] = bitmap;
    lock_release(&p->lock);
    return OK;
}

void dirty_detach(struct pmap *p, enum dirty_consumer who)
{
    u64 *bitmap;

    lock_acquire(&p->lock);
    bitmap = p->dirty[who];
    p->dirty[who] = NULL;
    lock_release(&p->lock);
    heap_free(bitmap);
}

void dirty_mark(struct pmap *p, u64 index, u64 pages)
{
    for (unsigned who = 0; who < DIRTY_CONSUMERS; who++)
        for (u64 i = index; p->dirty[who] && i < index + pages; i++)
            p->dirty[who][i / 64] |= BIT(i % 64);
}

bool dirty_is_set(const struct pmap *p, enum dirty_consumer who, u64 index)
{
    return p->dirty[who][index / 64] & BIT(index % 64);
}

bool dirty_take(struct pmap *p, enum dirty_consumer who, u64 index)
{
    u64 *word = &p->dirty[who][index / 64], bit = BIT(index % 64);
    bool was = *word & bit;

    *word &= ~bit;
    return was;
}

u64 dirty_take_some(struct pmap *p, enum dirty_consumer who, u64 *index)
{
    u64 *bitmap = p->dirty[who], words = bitmap_size(p) / 8, at = *index / 64, marks = 0;

    for (u64 from = U64_MAX << *index % 64; at < words; at++, from = U64_MAX) {
        marks = bitmap[at] & from;
        if (marks)
            break;
    }
    *index = at * 64;
    if (marks)
        bitmap[at] &= ~marks;
    return marks;
}

void dirty_put_back(struct pmap *p, enum dirty_consumer who, u64 index, u64 marks)
{
    p->dirty[who][index / 64] |= marks;
}

u64 dirty_count(const struct pmap *p, enum dirty_consumer who)
{
    u64 count = 0;

    for (u64 at = 0; at < bitmap_size(p) / 8; at++)
        for (u64 marks = p->dirty[who][at]; marks; marks &= marks - 1)
            count++;
    return count;
}

static void take_bit(void *ctx, u64 address, unsigned level, u64 *entry)
{
    struct pmap *p = ctx;
    u64 bit = p->slat.table.format->dirty;

    if (!(__atomic_load_n(entry, __ATOMIC_RELAXED) & bit))
        return;
    __atomic_and_fetch(entry, ~bit, __ATOMIC_SEQ_CST);
    dirty_mark(p, pmap_index(GPA(address)), level == 2 ? PMAP_LARGE : 1);
}

static void take_logged(void *ctx, u64 address)
{
    struct pmap *p = ctx;
    unsigned level;
    u64 size;

    if (!pmap_is_ram(p, GPA(address)) || !ptab_lookup(&p->slat.table, address, &level))
        return;
    size = level == 2 ? LARGE_SIZE : PAGE_SIZE;
    address = ALIGN_DOWN(address, size);
    ptab_each_leaf(&p->slat.table, address, address + size, take_bit, p);
}

static bool take_log(struct pmap *p)
{
    bool complete;

    lock_acquire(&p->lock);
    complete = p->slat.log && dirty_log_take(p->slat.log, take_logged, p);
    lock_release(&p->lock);
    return complete;
}

/* In pieces, so that neither a vCPU that faults nor a timer of this CPU waits long. */
static void take_range(struct pmap *p, u64 from, u64 end)
{
    for (u64 next; from < end; from = next) {
        next = MIN(end, from + DIRTY_PIECE);
        lock_acquire(&p->lock);
        ptab_each_used_leaf(&p->slat.table, from, next, take_bit, p);
        lock_release(&p->lock);
        if (next < end)
            thread_interrupted();
    }
}

/* Two at a time would break the rule of ptab_each_used_leaf: a table that the first has seen, the second would see as unused
 * before a CPU that remembers it has been flushed, and what that CPU writes there meanwhile would be found by neither. */
static void begin_harvest(struct pmap *p)
{
    while (__atomic_exchange_n(&p->harvesting, true, __ATOMIC_ACQUIRE))
        thread_yield();
}

void dirty_harvest(struct pmap *p)
{
    begin_harvest(p);
    if (p->slat.log)
        pmap_shoot_down(p); /* and what the CPUs have logged is in the VM's log */
    if (!take_log(p)) {
        take_range(p, 0, guest_low_top(p->memory));
        take_range(p, GUEST_HIGH_BASE, guest_high_top(p->memory));
    }
    pmap_shoot_down(p);
    __atomic_store_n(&p->harvesting, false, __ATOMIC_RELEASE);
}

struct used {
    u64 bit, base, pages;
};

static void take_used(void *ctx, u64 address, unsigned level, u64 *entry)
{
    struct used *u = ctx;

    if (!(__atomic_load_n(entry, __ATOMIC_RELAXED) & u->bit))
        return;
    __atomic_fetch_and(entry, ~u->bit, __ATOMIC_RELAXED);
    u->pages |= level == 2 ? U64_MAX : BIT((address - u->base) / PAGE_SIZE);
}

u64 dirty_take_used(struct pmap *p, u64 index)
{
    u64 base = pmap_gpa(index).v, pages = MIN(64, pmap_pages(p) - index);
    struct used u = {.bit = p->slat.table.format->accessed, .base = base};

    ptab_each_leaf(&p->slat.table, base, base + pages * PAGE_SIZE, take_used, &u);
    return u.pages;
}

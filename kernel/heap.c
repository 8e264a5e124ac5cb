/* SPDX-License-Identifier: BSD-2-Clause */
/* Small blocks, of a few sizes, cut from frames; large ones are frames. */
#include "kernel/heap.h"
#include "kernel/fault_point.h"
#include "kernel/frames.h"
#include "kernel/lock.h"
#include "kernel/string.h"

/* Each frame of small blocks begins with a header that says their size; a frame of its own kind of
 * large block has none, and is known by its page-aligned address. */
struct slab {
    u64 size;
    u64 reserved;
};

struct block {
    struct block *next;
};

#define CLASS_MIN   32
#define CLASS_COUNT 7 /* 32 to 2,048, the last cut to what a frame holds */

static struct lock heap_lock;
static struct block *free_blocks[CLASS_COUNT];

static unsigned class_of(size_t size)
{
    unsigned c = 0;

    while (((size_t)CLASS_MIN << c) < size)
        c++;
    return c;
}

/* Two blocks of the largest class fit behind the header only if they give up its 16 bytes. */
static size_t class_size(unsigned c)
{
    return c == CLASS_COUNT - 1 ? (PAGE_SIZE - sizeof(struct slab)) / 2 & ~15ull
                                : (size_t)CLASS_MIN << c;
}

static bool refill(unsigned c)
{
    hpa_t frame = frame_alloc(0, FRAME_KERNEL, 0);
    struct slab *slab;
    size_t size = class_size(c);

    if (!frame.v)
        return false;
    slab = phys_to_virt(frame);
    *slab = (struct slab){.size = c};
    for (size_t at = sizeof(*slab); at + size <= PAGE_SIZE; at += size) {
        struct block *b = (struct block *)((u8 *)slab + at);

        b->next = free_blocks[c];
        free_blocks[c] = b;
    }
    return true;
}

static void *alloc_frames(size_t size)
{
    unsigned order = 0;
    hpa_t frame;

    while ((PAGE_SIZE << order) < size)
        order++;
    frame = frame_alloc(order, FRAME_KERNEL, 0);
    return frame.v ? phys_to_virt(frame) : NULL;
}

void *heap_alloc(size_t size)
{
    struct block *b = NULL;
    unsigned c;

    if (fault_point())
        return NULL;
    if (size > class_size(CLASS_COUNT - 1))
        return alloc_frames(size);
    c = class_of(size);
    lock_acquire(&heap_lock);
    if (free_blocks[c] || refill(c)) {
        b = free_blocks[c];
        free_blocks[c] = b->next;
    }
    lock_release(&heap_lock);
    return b ? memset(b, 0, class_size(c)) : NULL;
}

void *heap_grow(void *p, size_t size, size_t new_size)
{
    void *more = heap_alloc(new_size);

    if (!more)
        return NULL;
    if (p)
        memcpy(more, p, size);
    heap_free(p);
    return more;
}

void heap_free(void *p)
{
    struct block *b = p;
    unsigned c;

    if (!p)
        return;
    if (!((uintptr_t)p & PAGE_MASK)) {
        frame_put(virt_to_phys(p));
        return;
    }
    c = (unsigned)((struct slab *)ALIGN_DOWN((uintptr_t)p, PAGE_SIZE))->size;
    lock_acquire(&heap_lock);
    b->next = free_blocks[c];
    free_blocks[c] = b;
    lock_release(&heap_lock);
}

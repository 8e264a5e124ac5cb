/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/fault_point.h"
#include "kernel/frames.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/string.h"

const char *const frame_kind_name[FRAME_KIND_COUNT] = {
    [FRAME_UNUSABLE] = "unusable",       [FRAME_FREE] = "free",
    [FRAME_BOOT] = "boot files",         [FRAME_KERNEL] = "kernel",
    [FRAME_PAGE_TABLE] = "page tables",  [FRAME_GUEST] = "guests",
    [FRAME_SHARED] = "shared by guests",
};

#define MAX_OWNERS 256

static struct lock frames_lock;
struct frame *frame_array;
static u64 frame_limit; /* numbers below this are in the array */
static u32 free_list[FRAME_MAX_ORDER + 1];
static u64 kind_count[FRAME_KIND_COUNT];
static u64 owned[MAX_OWNERS];
static u64 shared_users; /* of all FRAME_SHARED */

/* --- the free lists; the lock is held ---------------------------------------------------------- */

static void push(u32 n, unsigned order)
{
    struct frame *f = &frame_array[n];

    *f = (struct frame){.next = free_list[order], .kind = FRAME_FREE, .order = order, .head = 1};
    if (f->next)
        frame_array[f->next].prev = n;
    free_list[order] = n;
}

static void unlink(u32 n)
{
    struct frame *f = &frame_array[n];

    if (f->prev)
        frame_array[f->prev].next = f->next;
    else
        free_list[f->order] = f->next;
    if (f->next)
        frame_array[f->next].prev = f->prev;
    f->head = 0;
}

/* Frees a block and joins it with its free buddies. */
static void give(u64 n, unsigned order)
{
    for (; order < FRAME_MAX_ORDER; order++) {
        u64 buddy = n ^ (1ull << order);

        if (buddy >= frame_limit || !buddy || frame_array[buddy].kind != FRAME_FREE ||
            !frame_array[buddy].head || frame_array[buddy].order != order)
            break;
        unlink((u32)buddy);
        n = MIN(n, buddy);
        if (!n) { /* frame 0 stays out: it means "none" */
            push((u32)(1ull << order), order);
            return;
        }
    }
    push((u32)n, order);
}

/* The first frame of the allocated block that holds n. */
static u64 block_of(u64 n)
{
    if (n < frame_limit)
        for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++) {
            u64 head = ALIGN_DOWN(n, 1ull << order);

            if (frame_array[head].head && frame_array[head].order >= order)
                return head;
        }
    panic("frame %llx belongs to no block", (unsigned long long)n);
}

static void count_owner(const struct frame *f, s64 pages)
{
    if (f->owner < MAX_OWNERS && f->kind != FRAME_SHARED) /* whose owner is a group */
        owned[f->owner] += (u64)pages;
}

static void mark(u64 n, unsigned order, enum frame_kind kind, u16 owner)
{
    frame_array[n] =
        (struct frame){.users = 1, .owner = owner, .kind = kind, .order = order, .head = 1};
    for (u64 i = 1; i < 1ull << order; i++)
        frame_array[n + i] = (struct frame){.owner = owner, .kind = kind};
    kind_count[FRAME_FREE] -= 1ull << order;
    kind_count[kind] += 1ull << order;
    shared_users += kind == FRAME_SHARED;
    count_owner(&frame_array[n], 1ll << order);
}

/* --- start-up -------------------------------------------------------------------------------- */

void frames_init_array(struct frame *array, u64 count)
{
    frame_array = array;
    frame_limit = count;
    memset(free_list, 0, sizeof(free_list));
    memset(kind_count, 0, sizeof(kind_count));
    memset(owned, 0, sizeof(owned));
    shared_users = 0;
}

void frames_add(u64 base, u64 size)
{
    u64 n = ALIGN_UP(base, PAGE_SIZE) / PAGE_SIZE,
        end = MIN((base + size) / PAGE_SIZE, frame_limit);

    lock_acquire(&frames_lock);
    n = MAX(n, 1);
    while (n < end) {
        unsigned order = (unsigned)__builtin_ctzll(n | 1ull << FRAME_MAX_ORDER);

        while (n + (1ull << order) > end)
            order--;
        for (u64 i = 0; i < 1ull << order; i++)
            frame_array[n + i].kind = FRAME_FREE;
        kind_count[FRAME_FREE] += 1ull << order;
        give(n, order);
        n += 1ull << order;
    }
    lock_release(&frames_lock);
}

static void count_region(const struct boot_region *r, enum frame_kind kind)
{
    u64 n = r->base / PAGE_SIZE, end = MIN((r->base + r->size) / PAGE_SIZE, frame_limit);

    for (; n < end; n++) {
        frame_array[n] = (struct frame){.users = 1, .kind = kind, .head = 1};
        kind_count[kind]++;
    }
}

/* Cuts the array's place out of the largest free region. */
static u64 place_array(struct boot_region *regions, u32 count, u64 size)
{
    struct boot_region *best = NULL;

    for (u32 i = 0; i < count; i++)
        if (regions[i].type == BOOT_FREE && (!best || regions[i].size > best->size))
            best = &regions[i];
    if (!best || best->size < size)
        panic("no room for the frame array: %llu KiB", (unsigned long long)size >> 10);
    best->size -= size;
    return best->base + best->size;
}

void frames_init(const struct boot_info *boot)
{
    static struct boot_region regions[BOOT_MAX_REGIONS];
    u32 count = boot->region_count;
    struct boot_region array = {0};
    u64 top = 0;

    memcpy(regions, boot->region, count * sizeof(regions[0]));
    for (u32 i = 0; i < count; i++)
        if (regions[i].type == BOOT_FREE || regions[i].type == BOOT_LOADER)
            top = MAX(top, regions[i].base + regions[i].size);
    top /= PAGE_SIZE;
    array.size = ALIGN_UP(top * sizeof(struct frame), PAGE_SIZE);
    array.base = place_array(regions, count, array.size);
    memset(phys_to_virt(HPA(array.base)), 0, array.size);
    frames_init_array(phys_to_virt(HPA(array.base)), top);
    count_region(&array, FRAME_KERNEL);
    for (u32 i = 0; i < count; i++) {
        if (regions[i].type == BOOT_FREE)
            frames_add(regions[i].base, regions[i].size);
        else if (regions[i].type == BOOT_LOADER)
            count_region(&regions[i], FRAME_BOOT);
    }
}

/* --- allocation ------------------------------------------------------------------------------ */

hpa_t frame_alloc(unsigned order, enum frame_kind kind, u16 owner)
{
    unsigned from = order;
    u64 n;

    if (fault_point())
        return HPA(0);
    lock_acquire(&frames_lock);
    while (from <= FRAME_MAX_ORDER && !free_list[from])
        from++;
    if (from > FRAME_MAX_ORDER) {
        lock_release(&frames_lock);
        return HPA(0);
    }
    n = free_list[from];
    unlink((u32)n);
    while (from > order)
        from--, push((u32)(n + (1ull << from)), from);
    mark(n, order, kind, owner);
    lock_release(&frames_lock);
    if (kind == FRAME_KERNEL || kind == FRAME_PAGE_TABLE)
        memset(phys_to_virt(HPA(n * PAGE_SIZE)), 0, PAGE_SIZE << order);
    return HPA(n * PAGE_SIZE);
}

/* One more or fewer; the lock is held. */
static u32 add_user(struct frame *f, s32 by)
{
    if (f->kind == FRAME_SHARED)
        shared_users += (u64)(s64)by;
    return f->users += (u32)by;
}

void frames_get(const hpa_t frame[], u64 count)
{
    lock_acquire(&frames_lock);
    for (u64 i = 0; i < count; i++)
        add_user(&frame_array[block_of(frame[i].v / PAGE_SIZE)], 1);
    lock_release(&frames_lock);
}

void frame_get(hpa_t frame)
{
    frames_get(&frame, 1);
}

u32 frame_put(hpa_t frame)
{
    struct frame *f;
    u32 users;
    u64 n;

    lock_acquire(&frames_lock);
    n = block_of(frame.v / PAGE_SIZE);
    f = &frame_array[n];
    if (f->kind <= FRAME_FREE || !f->users)
        panic("frame %llx is freed twice", (unsigned long long)n);
    users = add_user(f, -1);
    if (!users) {
        unsigned order = f->order;

        kind_count[f->kind] -= 1ull << order;
        kind_count[FRAME_FREE] += 1ull << order;
        count_owner(f, -(1ll << order));
        f->head = 0;
        for (u64 i = 0; i < 1ull << order; i++)
            frame_array[n + i].kind = FRAME_FREE;
        give(n, order);
    }
    lock_release(&frames_lock);
    return users;
}

bool frame_get_if(hpa_t frame, enum frame_kind kind, u16 owner)
{
    u64 n = frame.v / PAGE_SIZE;
    bool ok;

    lock_acquire(&frames_lock);
    ok = n < frame_limit && frame_array[n].head && frame_array[n].kind == kind &&
         frame_array[n].owner == owner && frame_array[n].users;
    if (ok)
        add_user(&frame_array[n], 1);
    lock_release(&frames_lock);
    return ok;
}

bool frame_claim(hpa_t frame, enum frame_kind kind, u16 owner)
{
    struct frame *f;
    bool ok;

    lock_acquire(&frames_lock);
    f = &frame_array[frame.v / PAGE_SIZE];
    ok = f->head && !f->order && f->users == 1;
    if (ok) {
        kind_count[f->kind]--;
        kind_count[kind]++;
        count_owner(f, -1);
        shared_users += (u64)(kind == FRAME_SHARED) - (f->kind == FRAME_SHARED);
        f->kind = kind;
        f->owner = owner;
        f->pages.hash = 0;
        count_owner(f, 1);
    }
    lock_release(&frames_lock);
    return ok;
}

void frame_set_group(hpa_t frame, u16 group)
{
    struct frame *f = frame_array + frame.v / PAGE_SIZE;

    lock_acquire(&frames_lock);
    if (f->kind != FRAME_SHARED)
        panic("frame %llx is not shared", (unsigned long long)frame.v);
    f->owner = group;
    f->pages.hash = 0;
    lock_release(&frames_lock);
}

void frame_split(hpa_t frame)
{
    struct frame *f;
    u64 n, pages;

    lock_acquire(&frames_lock);
    n = block_of(frame.v / PAGE_SIZE);
    f = &frame_array[n];
    pages = 1ull << f->order;
    f->order = 0;
    for (u64 i = 1; i < pages; i++)
        f[i] = f[0];
    lock_release(&frames_lock);
}

u32 frame_users(hpa_t frame)
{
    return frame_info(frame)->users;
}

const struct frame *frame_info(hpa_t frame)
{
    const struct frame *f;

    lock_acquire(&frames_lock);
    f = &frame_array[block_of(frame.v / PAGE_SIZE)];
    lock_release(&frames_lock);
    return f;
}

void frames_stats(struct frame_stats *s)
{
    lock_acquire(&frames_lock);
    *s = (struct frame_stats){.shared_users = shared_users};
    for (unsigned k = 0; k < FRAME_KIND_COUNT; k++) {
        s->count[k] = kind_count[k];
        s->ram += kind_count[k];
    }
    for (unsigned order = 0; order <= FRAME_MAX_ORDER; order++)
        if (free_list[order])
            s->largest_free = order;
    lock_release(&frames_lock);
}

u64 frames_free(void)
{
    return __atomic_load_n(&kind_count[FRAME_FREE], __ATOMIC_RELAXED);
}

u64 frames_owned(u16 owner)
{
    return owner < MAX_OWNERS ? owned[owner] : 0;
}

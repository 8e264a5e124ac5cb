#include "vmm/pmap.h"
#include "kernel/frames.h"
#include "kernel/string.h"
#include "vmm/layout.h"

/* A VM takes no large page while the host has less than this free: 32 MiB. */
#define LARGE_RESERVE (MIB(32) / PAGE_SIZE)

#define GUEST_PROT (PROT_READ | PROT_WRITE | PROT_EXEC)

enum err pmap_create(struct pmap *p, u64 memory, u16 owner)
{
    *p = (struct pmap){.memory = memory, .owner = owner, .slat.generation = 1};
    return ptab_create(&p->slat.table, hvm->slat_format);
}

bool pmap_is_ram(const struct pmap *p, gpa_t gpa)
{
    if (gpa.v >= GUEST_HIGH_BASE)
        return gpa.v < guest_high_top(p->memory);
    return gpa.v < guest_low_top(p->memory) &&
           !(gpa.v >= GUEST_HOLE_BASE && gpa.v < GUEST_HOLE_TOP);
}

static bool large_fits(const struct pmap *p, u64 base)
{
    struct frame_stats s;

    if (base < LARGE_SIZE || !pmap_is_ram(p, GPA(base)) ||
        !pmap_is_ram(p, GPA(base + LARGE_SIZE - PAGE_SIZE)))
        return false;
    frames_stats(&s);
    return s.count[FRAME_FREE] > LARGE_RESERVE && s.largest_free >= FRAME_LARGE_ORDER;
}

/* Gives the guest a block of frames at base; E_NOMEM and E_EXIST change nothing. */
static enum err give(struct pmap *p, u64 base, unsigned level)
{
    unsigned order = level == 2 ? FRAME_LARGE_ORDER : 0;
    enum err e = ptab_prepare(&p->slat.table, base, level);
    hpa_t frame;

    if (e)
        return e;
    frame = frame_alloc(order, FRAME_GUEST, p->owner);
    if (!frame.v)
        return E_NOMEM;
    memset(phys_to_virt(frame), 0, PAGE_SIZE << order);
    ptab_commit(&p->slat.table, base, level, frame, GUEST_PROT, MEMORY_WB);
    p->frames += 1ull << order;
    return OK;
}

/* Would a large leaf at base hide a table of small ones? */
static bool has_table(const struct pmap *p, u64 base)
{
    return ptab_has_table(&p->slat.table, base, 2);
}

static enum err populate(struct pmap *p, gpa_t gpa)
{
    u64 base = ALIGN_DOWN(gpa.v, LARGE_SIZE);
    unsigned level;

    if (ptab_lookup(&p->slat.table, gpa.v, &level))
        return OK; /* another vCPU was faster */
    if (large_fits(p, base) && !has_table(p, base) && !give(p, base, 2))
        return OK;
    return give(p, ALIGN_DOWN(gpa.v, PAGE_SIZE), 1);
}

enum err pmap_fault(struct pmap *p, gpa_t gpa)
{
    enum err e;

    if (!pmap_is_ram(p, gpa))
        return E_RANGE;
    lock_acquire(&p->lock);
    p->faults++;
    e = populate(p, gpa);
    lock_release(&p->lock);
    return e;
}

void *pmap_host(struct pmap *p, gpa_t gpa)
{
    unsigned level;
    u64 entry;

    while (!(entry = ptab_lookup(&p->slat.table, gpa.v, &level)))
        if (pmap_fault(p, gpa))
            return NULL;
    return (u8 *)phys_to_virt(p->slat.table.format->address(entry)) +
           (gpa.v & (level == 2 ? LARGE_MASK : PAGE_MASK));
}

/* The bytes from gpa to the end of its page, `size` at most. */
static size_t piece(gpa_t gpa, size_t size)
{
    return MIN(size, PAGE_SIZE - (gpa.v & PAGE_MASK));
}

enum err pmap_read(struct pmap *p, gpa_t gpa, void *to, size_t size)
{
    for (size_t n; size; size -= n, gpa.v += n, to = (u8 *)to + n) {
        const void *from = pmap_host(p, gpa);

        if (!from)
            return pmap_is_ram(p, gpa) ? E_NOMEM : E_RANGE;
        n = piece(gpa, size);
        memcpy(to, from, n);
    }
    return OK;
}

enum err pmap_write(struct pmap *p, gpa_t gpa, const void *from, size_t size)
{
    for (size_t n; size; size -= n, gpa.v += n, from = (const u8 *)from + n) {
        void *to = pmap_host(p, gpa);

        if (!to)
            return pmap_is_ram(p, gpa) ? E_NOMEM : E_RANGE;
        n = piece(gpa, size);
        memcpy(to, from, n);
    }
    return OK;
}

/* Frees what is mapped from base on, in one large page's range: a large leaf, or a table of small ones. */
static void clear_large(struct pmap *p, u64 base)
{
    u64 step = has_table(p, base) ? PAGE_SIZE : LARGE_SIZE;

    for (u64 at = base; at < base + LARGE_SIZE; at += step) {
        unsigned level;
        u64 entry = ptab_clear(&p->slat.table, at, &level);

        if (p->slat.table.format->present(entry))
            frame_put(p->slat.table.format->address(entry));
    }
}

static void clear_range(struct pmap *p, u64 base, u64 end)
{
    for (; base < end; base += LARGE_SIZE)
        clear_large(p, base);
}

void pmap_clear(struct pmap *p)
{
    lock_acquire(&p->lock);
    clear_range(p, 0, guest_low_top(p->memory));
    clear_range(p, GUEST_HIGH_BASE, guest_high_top(p->memory));
    p->frames = 0;
    __atomic_add_fetch(&p->slat.generation, 1, __ATOMIC_SEQ_CST);
    lock_release(&p->lock);
}

void pmap_destroy(struct pmap *p)
{
    if (!p->slat.table.root.v)
        return;
    pmap_clear(p);
    ptab_destroy(&p->slat.table);
}

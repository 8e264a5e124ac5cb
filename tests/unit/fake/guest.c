#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest.h"
#include "kernel/arch.h"

static void shoot_down(struct pmap *p)
{
    struct fake_guest *g = CONTAINER_OF(p, struct fake_guest, pmap);

    g->shoot_downs++;
    if (g->late)
        g->late(g);
    memset(g->tlb, 0, sizeof(g->tlb));
    if (p->slat.log)
        dirty_log_add(p->slat.log, g->logged, g->logged_count);
    g->logged_count = 0;
    if (g->after)
        g->after(g);
}

void fake_guest_make(struct fake_guest *g, u64 memory, u16 owner)
{
    memset(g, 0, sizeof(*g));
    if (pmap_create(&g->pmap, memory, owner)) {
        fprintf(stderr, "no memory for a guest\n");
        abort();
    }
    g->pmap.shoot_down = shoot_down;
}

/* A CPU that logs does so when it sets a dirty bit, and leaves the guest when its log is full. */
static void log_page(struct fake_guest *g, u64 gpa, bool was_dirty)
{
    if (was_dirty || !g->pmap.slat.log)
        return;
    g->logged[g->logged_count++] = ALIGN_DOWN(gpa, PAGE_SIZE);
    if (g->logged_count < FAKE_GUEST_LOG)
        return;
    dirty_log_add(g->pmap.slat.log, g->logged, g->logged_count);
    g->logged_count = 0;
}

/* Walks the table, faulting where the CPU would; sets the dirty bit for a write. */
static void walk(struct fake_guest *g, u64 gpa, bool write)
{
    const struct ptab_format *format = g->pmap.slat.table.format;
    u64 index = pmap_index(GPA(gpa));
    struct pmap_waiter waiter = {0};
    unsigned level;
    u64 e;

    while (!(e = ptab_lookup(&g->pmap.slat.table, gpa, &level)) ||
           (write && !(format->prot(e) & PROT_WRITE)))
        if (pmap_fault(&g->pmap, GPA(gpa), write, &waiter)) {
            fprintf(stderr, "the guest's fault at %llx fails\n", (unsigned long long)gpa);
            abort();
        }
    if (write) {
        u64 *table = phys_to_virt(g->pmap.slat.table.root);

        for (unsigned at = 4; at > level; at--)
            table = phys_to_virt(format->address(table[gpa >> (3 + 9 * at) & 511]));
        log_page(g, gpa, table[gpa >> (3 + 9 * level) & 511] & format->dirty);
        table[gpa >> (3 + 9 * level) & 511] |= format->dirty;
    }
    g->tlb[index % FAKE_GUEST_TLB].index = index;
    g->tlb[index % FAKE_GUEST_TLB].host =
        phys_to_virt(HPA(format->address(e).v + (level == 2 ? gpa & LARGE_MASK & ~PAGE_MASK : 0)));
    g->tlb[index % FAKE_GUEST_TLB].writable = format->prot(e) & PROT_WRITE;
    g->tlb[index % FAKE_GUEST_TLB].dirty = write;
}

static u64 *translate(struct fake_guest *g, u64 gpa, bool write)
{
    u64 index = pmap_index(GPA(gpa)), slot = index % FAKE_GUEST_TLB;

    if (!g->tlb[slot].host || g->tlb[slot].index != index ||
        (write && !(g->tlb[slot].writable && g->tlb[slot].dirty)))
        walk(g, gpa, write);
    return (u64 *)(g->tlb[slot].host + (gpa & PAGE_MASK));
}

u64 fake_guest_read(struct fake_guest *g, u64 gpa)
{
    return *translate(g, gpa, false);
}

void fake_guest_write(struct fake_guest *g, u64 gpa, u64 value)
{
    *translate(g, gpa, true) = value;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "guest.h"
#include "kernel/arch.h"

#define ENTRIES 4096
#define TABLES  64

/* --- CPUs ------------------------------------------------------------------------------------------ */

struct entry {
    u64 tag, index;
    u8 *host; /* NULL: free */
    bool writable, dirty;
};

struct table_entry { /* of the paging-structure cache */
    bool cached;
    u64 tag, number; /* of 2 MiB */
};

static enum fake_tlb_kind kind;
static enum fake_tlb_fault fault;
static struct fake_cpu {
    struct entry tlb[ENTRIES];
    struct table_entry tables[TABLES];
    struct asid_pool asids;
    struct fake_guest *current; /* who is in his guest */
} tlb_cpus[FAKE_TLB_CPUS];

void fake_tlb_reset(enum fake_tlb_kind which, enum fake_tlb_fault broken)
{
    kind = which;
    fault = broken;
    memset(tlb_cpus, 0, sizeof(tlb_cpus));
    for (unsigned i = 0; i < FAKE_TLB_CPUS; i++)
        tlb_cpus[i].asids = (struct asid_pool){.generation = 1, .next = 1, .count = 4};
}

static struct fake_cpu *cpu_of(const struct fake_guest *g)
{
    return &tlb_cpus[g->cpu];
}

static u64 tag_of(const struct fake_guest *g)
{
    return kind == FAKE_EPT ? g->pmap.slat.table.root.v : g->asid.number;
}

static struct entry *entry_of(const struct fake_guest *g, u64 index)
{
    return &cpu_of(g)->tlb[(index * 8 + (tag_of(g) + tag_of(g) / PAGE_SIZE) % 8) % ENTRIES];
}

/* All entries, or those with that tag. */
static void flush(struct fake_cpu *c, bool all, u64 tag)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (all || c->tlb[i].tag == tag)
            c->tlb[i].host = NULL;
    for (unsigned i = 0; i < TABLES; i++)
        if (all || c->tables[i].tag == tag)
            c->tables[i].cached = false;
}

static void prepare_asid(struct fake_guest *g, bool stale)
{
    switch (asid_prepare(&cpu_of(g)->asids, &g->asid, stale, kind == FAKE_ASID_FLUSH)) {
    case ASID_FLUSH_ALL:
        if (fault != FAKE_NO_ROLLOVER)
            flush(cpu_of(g), true, 0);
        break;
    case ASID_FLUSH_ONE: flush(cpu_of(g), false, g->asid.number); break;
    case ASID_KEEP: break;
    }
}

/* Its CPU writes down what it has logged. */
static void leave(struct fake_guest *g)
{
    if (g->pmap.slat.log)
        dirty_log_add(g->pmap.slat.log, g->logged, g->logged_count);
    g->logged_count = 0;
    g->in_guest = false;
    if (cpu_of(g)->current == g)
        cpu_of(g)->current = NULL;
}

/* What a backend does before it enters the guest. Whoever was in his guest on that CPU has left it. */
static void enter(struct fake_guest *g)
{
    u64 reached = g->vcpu.slat_generation, generation;

    if (cpu_of(g)->current)
        leave(cpu_of(g)->current);
    if (tlb_arrive(&g->vcpu, g->cpu)) {
        if (fault == FAKE_NO_ARRIVAL && reached)
            g->vcpu.slat_generation = reached;
        else
            g->asid.generation = 0;
    }
    generation = tlb_stale(&g->vcpu);
    if (fault == FAKE_NO_FLUSH && g->vcpu.slat_generation)
        generation = 0;
    if (kind != FAKE_EPT)
        prepare_asid(g, generation);
    else if (generation)
        flush(cpu_of(g), false, tag_of(g));
    if (generation)
        tlb_reached(&g->vcpu, generation);
    cpu_of(g)->current = g;
    g->in_guest = true;
}

/* --- the guest ------------------------------------------------------------------------------------- */

static void shoot_down(struct pmap *p)
{
    struct fake_guest *g = CONTAINER_OF(p, struct fake_guest, pmap);

    g->shoot_downs++;
    if (g->late)
        g->late(g);
    leave(g);
    if (g->after)
        g->after(g);
}

void fake_guest_make(struct fake_guest *g, u64 memory, u16 owner)
{
    if (!tlb_cpus[0].asids.count)
        fake_tlb_reset(FAKE_EPT, FAKE_TLB_FINE);
    memset(g, 0, sizeof(*g));
    if (pmap_create(&g->pmap, memory, owner)) {
        fprintf(stderr, "no memory for a guest\n");
        abort();
    }
    g->pmap.shoot_down = shoot_down;
    g->vcpu.slat = &g->pmap.slat;
    g->vcpu.cpu = ~0u;
}

void fake_guest_move(struct fake_guest *g, u32 cpu)
{
    leave(g);
    g->cpu = cpu;
}

/* A CPU that logs does so when it sets a dirty bit, and leaves the guest when its log is full. */
static void set_dirty(struct fake_guest *g, u64 gpa, u64 *entry)
{
    u64 bit = g->pmap.slat.table.format->dirty;

    if (!(*entry & bit) && g->pmap.slat.log) {
        g->logged[g->logged_count++] = ALIGN_DOWN(gpa, PAGE_SIZE);
        if (g->logged_count == FAKE_GUEST_LOG)
            leave(g);
    }
    *entry |= bit;
}

/* Does the CPU remember the table of that 2 MiB, so that it does not set the accessed bit of its entry? */
static bool is_cached(struct fake_guest *g, u64 gpa)
{
    struct table_entry *t = &cpu_of(g)->tables[gpa >> 21 & (TABLES - 1)];
    bool was = t->cached && t->tag == tag_of(g) && t->number == gpa >> 21;

    *t = (struct table_entry){.cached = true, .tag = tag_of(g), .number = gpa >> 21};
    return was;
}

static u64 *leaf_at(struct fake_guest *g, u64 gpa, unsigned level)
{
    const struct ptab_format *format = g->pmap.slat.table.format;
    u64 *table = phys_to_virt(g->pmap.slat.table.root), *e;

    for (unsigned at = 4; at > level; at--) {
        e = &table[gpa >> (3 + 9 * at) & 511];
        if (at > 2 || !is_cached(g, gpa))
            *e |= format->accessed;
        table = phys_to_virt(ptab_address(*e));
    }
    e = &table[gpa >> (3 + 9 * level) & 511];
    *e |= format->accessed;
    return e;
}

/* Walks the table, faulting where the CPU would; sets accessed bits, and the dirty bit for a write. */
static void walk(struct fake_guest *g, u64 gpa, bool write)
{
    const struct ptab_format *format = g->pmap.slat.table.format;
    struct pmap_waiter waiter = {0};
    u64 index = pmap_index(GPA(gpa)), e, *leaf;
    unsigned level;

    while (!(e = ptab_lookup(&g->pmap.slat.table, gpa, &level)) ||
           (write && !(format->prot(e) & PROT_WRITE))) {
        leave(g);
        if (pmap_fault(&g->pmap, GPA(gpa), write, &waiter)) {
            fprintf(stderr, "the guest's fault at %llx fails\n", (unsigned long long)gpa);
            abort();
        }
    }
    if (!g->in_guest)
        enter(g);
    leaf = leaf_at(g, gpa, level);
    if (write)
        set_dirty(g, gpa, leaf);
    if (!g->in_guest)
        enter(g);
    *entry_of(g, index) = (struct entry){.tag = tag_of(g),
                                         .index = index,
                                         .host = phys_to_virt(ptab_frame_at(e, level, gpa)),
                                         .writable = format->prot(e) & PROT_WRITE,
                                         .dirty = write};
}

/* Does its CPU remember a translation that is good for the access? */
static bool remembers(struct fake_guest *g, u64 index, bool write)
{
    const struct entry *e;

    if (!g->in_guest)
        enter(g);
    e = entry_of(g, index);
    return e->host && e->tag == tag_of(g) && e->index == index &&
           (!write || (e->writable && e->dirty));
}

static u64 *translate(struct fake_guest *g, u64 gpa, bool write)
{
    u64 index = pmap_index(GPA(gpa));

    if (!remembers(g, index, write))
        walk(g, gpa, write);
    return (u64 *)(entry_of(g, index)->host + (gpa & PAGE_MASK));
}

bool fake_guest_may_write(struct fake_guest *g, u64 gpa)
{
    u64 index = pmap_index(GPA(gpa));
    const struct page *page = pmap_record(&g->pmap, index);

    return !page || !page->busy || remembers(g, index, true);
}

u64 fake_guest_read(struct fake_guest *g, u64 gpa)
{
    return *translate(g, gpa, false);
}

void fake_guest_write(struct fake_guest *g, u64 gpa, u64 value)
{
    *translate(g, gpa, true) = value;
}

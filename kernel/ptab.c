/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/ptab.h"
#include "kernel/frames.h"
#include "kernel/lock.h"

#define LEVELS      4
#define USED_BEFORE BIT(52) /* of an entry for a table: ignored by the CPU in all formats */

static unsigned index_at(u64 address, unsigned level)
{
    return address >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

static bool is_present(const struct ptab *t, u64 entry)
{
    return entry & t->format->present;
}

static u64 *table_of(u64 entry)
{
    return phys_to_virt(ptab_address(entry));
}

enum err ptab_create(struct ptab *t, const struct ptab_format *format)
{
    t->format = format;
    t->root = frame_alloc(0, FRAME_PAGE_TABLE, 0);
    t->tables = 1;
    return t->root.v ? OK : E_NOMEM;
}

static void destroy_level(struct ptab *t, u64 *table, unsigned level)
{
    for (unsigned i = 0; level > 1 && i < 512; i++)
        if (is_present(t, table[i]) && !ptab_is_leaf(table[i], level))
            destroy_level(t, table_of(table[i]), level - 1);
    frame_put(virt_to_phys(table));
    t->tables--;
}

void ptab_destroy(struct ptab *t)
{
    if (t->root.v)
        destroy_level(t, phys_to_virt(t->root), LEVELS);
    t->root = HPA(0);
}

/* The entry for the address at `level`, or the leaf above it; *level becomes that entry's level.
 * NULL where a table is missing on the way. */
static u64 *walk(const struct ptab *t, u64 address, unsigned *level)
{
    u64 *table = phys_to_virt(t->root);

    for (unsigned at = LEVELS;; at--) {
        u64 *e = &table[index_at(address, at)];

        if (at == *level)
            return e;
        if (!*e)
            return NULL;
        if (at < LEVELS && ptab_is_leaf(*e, at)) {
            *level = at;
            return e;
        }
        table = table_of(*e);
    }
}

enum err ptab_prepare(struct ptab *t, u64 address, unsigned level)
{
    u64 *table = phys_to_virt(t->root);

    for (unsigned at = LEVELS; at > level; at--) {
        u64 *e = &table[index_at(address, at)];

        if (!is_present(t, *e)) {
            hpa_t frame = frame_alloc(0, FRAME_PAGE_TABLE, 0);

            if (!frame.v)
                return E_NOMEM;
            t->tables++;
            __atomic_store_n(e, frame.v | t->format->table, __ATOMIC_RELEASE);
        } else if (at < LEVELS && ptab_is_leaf(*e, at)) {
            return E_EXIST;
        }
        table = table_of(*e);
    }
    return OK;
}

u64 ptab_commit(struct ptab *t, u64 address, unsigned level, hpa_t to, u32 prot,
                enum memory_type type)
{
    u64 *e = walk(t, address, &level);

    return __atomic_exchange_n(e, t->format->leaf(to, prot, type, level), __ATOMIC_SEQ_CST);
}

enum err ptab_map(struct ptab *t, u64 address, unsigned level, hpa_t to, u32 prot,
                  enum memory_type type)
{
    enum err e = ptab_prepare(t, address, level);

    if (!e)
        ptab_commit(t, address, level, to, prot, type);
    return e;
}

u64 ptab_clear(struct ptab *t, u64 address, unsigned *level)
{
    u64 *e;

    *level = 1;
    e = walk(t, address, level);
    return e ? __atomic_exchange_n(e, 0, __ATOMIC_SEQ_CST) : 0;
}

u64 ptab_lookup(const struct ptab *t, u64 address, unsigned *level)
{
    u64 *e, value;

    *level = 1;
    e = walk(t, address, level);
    value = e ? __atomic_load_n(e, __ATOMIC_RELAXED) : 0;
    return is_present(t, value) ? value : 0;
}

void ptab_frames(const struct ptab *t, u64 address, u64 pages, hpa_t frame[])
{
    unsigned level = 1;
    const u64 *e = walk(t, address, &level);

    for (u64 i = 0; i < pages; i++) {
        u64 entry = !e ? 0 : __atomic_load_n(level == 1 ? &e[i] : e, __ATOMIC_RELAXED);

        frame[i] =
            is_present(t, entry) ? ptab_frame_at(entry, level, address + i * PAGE_SIZE) : HPA(0);
    }
}

void ptab_each_leaf(const struct ptab *t, u64 from, u64 end,
                    void (*fn)(void *ctx, u64 address, unsigned level, u64 *entry), void *ctx)
{
    while (from < end) {
        unsigned level = 1;
        u64 *e = walk(t, from, &level);
        u64 size =
            PAGE_SIZE << 9 * (e ? level - 1 : 1); /* where a table lacks, at least so much does */
        u64 stop = e && level == 1 ? MIN(end, ALIGN_DOWN(from, LARGE_SIZE) + LARGE_SIZE) : from + 1;

        for (u64 i = 0; from < stop; i++, from = ALIGN_DOWN(from, size) + size)
            if (e && is_present(t, e[i]))
                fn(ctx, from, level, &e[i]);
    }
}

/* Was the table used since the last time? A CPU that had the entry cached until the flush behind the last call may have
 * written through it without setting the bit again, so it counts once more. */
static bool take_used(const struct ptab *t, u64 *e)
{
    u64 was = __atomic_fetch_and(e, ~(t->format->accessed | USED_BEFORE), __ATOMIC_SEQ_CST);

    if (was & t->format->accessed)
        __atomic_or_fetch(e, USED_BEFORE, __ATOMIC_RELAXED);
    return was & (t->format->accessed | USED_BEFORE);
}

void ptab_each_used_leaf(struct ptab *t, u64 from, u64 end,
                         void (*fn)(void *ctx, u64 address, unsigned level, u64 *entry), void *ctx)
{
    while (from < end) {
        unsigned level = 2;
        u64 *e = walk(t, from, &level);
        u64 size = PAGE_SIZE << 9 * (level - 1), next = ALIGN_DOWN(from, size) + size;

        if (e && is_present(t, *e)) {
            if (ptab_is_leaf(*e, level))
                fn(ctx, from, level, e);
            else if (take_used(t, e))
                ptab_each_leaf(t, from, MIN(next, end), fn, ctx);
        }
        from = next;
    }
}

u64 ptab_detach(struct ptab *t, u64 address)
{
    unsigned level = 2;

    return __atomic_exchange_n(walk(t, address, &level), 0, __ATOMIC_SEQ_CST);
}

bool ptab_has_table(const struct ptab *t, u64 address, unsigned level)
{
    unsigned at = level;
    u64 *e = walk(t, address, &at);

    return e && at == level && is_present(t, *e) && !ptab_is_leaf(*e, level);
}

enum err ptab_split(struct ptab *t, u64 address)
{
    unsigned level = 1;
    u64 *e = walk(t, address, &level), *table, bits;
    hpa_t frame, to;
    u32 prot;

    if (!e || level != 2)
        return E_NOENT;
    frame = frame_alloc(0, FRAME_PAGE_TABLE, 0);
    if (!frame.v)
        return E_NOMEM;
    table = phys_to_virt(frame);
    to = ptab_address(*e);
    prot = t->format->prot(*e);
    for (unsigned i = 0; i < 512; i++)
        table[i] = t->format->leaf(HPA(to.v + i * PAGE_SIZE), prot, MEMORY_WB, 1);
    t->tables++;
    bits =
        __atomic_exchange_n(e, frame.v | t->format->table | t->format->accessed, __ATOMIC_SEQ_CST);
    bits &= t->format->dirty | t->format->accessed;
    for (unsigned i = 0; bits && i < 512; i++)
        __atomic_or_fetch(&table[i], bits, __ATOMIC_RELAXED);
    return OK;
}

void ptab_free_table(struct ptab *t, u64 entry)
{
    frame_put(ptab_address(entry));
    t->tables--;
}

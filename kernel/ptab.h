/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables: one walker for host paging, EPT and NPT. What an entry looks like is the business of
 * a format (arch/x86_64/cpu/paging.c, vmx/ept.c, svm/npt.c); the tree is the same in all three, and so are where an
 * entry has its frame and how a leaf above level 1 is told from a table:
 *
 *      47     39 38     30 29     21 20     12 11         0
 *     +---------+---------+---------+---------+------------+
 *     | level 4 | level 3 | level 2 | level 1 |   offset   |     512 entries of 8 bytes a table
 *     +---------+---------+---------+---------+------------+
 *                 1 GiB     2 MiB     4 KiB   <- a leaf at that level maps so much
 *
 * A mapping is made in two passes: ptab_prepare may fail and changes nothing that the walk sees;
 * ptab_commit cannot fail. Taking rights away needs a TLB shoot-down, which is the caller's.
 * The caller also holds whatever lock guards the table. */
#pragma once
#include "kernel/err.h"

#define PROT_READ  BIT(0)
#define PROT_WRITE BIT(1)
#define PROT_EXEC  BIT(2)

enum memory_type { MEMORY_WB, MEMORY_UC };

struct ptab_format {
    const char *name;
    u64 (*leaf)(hpa_t to, u32 prot, enum memory_type type, unsigned level);
    u32 (*prot)(u64 entry); /* PROT_* of a leaf */
    u64 table;              /* the bits of an entry for a table, beside its address */
    u64 present;            /* any of these bits: it is */
    u64 dirty;              /* the bit of a leaf that the CPU sets when it writes */
    u64 accessed;           /* that it sets whenever it uses the leaf */
};

/* Of a present entry: the frame, or the table. */
static inline hpa_t ptab_address(u64 entry)
{
    return HPA(entry & 0x000ffffffffff000ull);
}
/* Of a present entry at level 1 to 3. */
static inline bool ptab_is_leaf(u64 entry, unsigned level)
{
    return level == 1 || entry & BIT(7);
}

/* The 4 KiB frame at that address, of a leaf that covers it. */
static inline hpa_t ptab_frame_at(u64 entry, unsigned level, u64 address)
{
    return HPA(ptab_address(entry).v + (level > 1 ? address & LARGE_MASK & ~PAGE_MASK : 0));
}

struct ptab {
    const struct ptab_format *format;
    hpa_t root;
    u32 tables; /* frames in use by the tree, root included */
};

enum err ptab_create(struct ptab *t, const struct ptab_format *format) MUST_CHECK; /* E_NOMEM */
/* Frees the tables; what leaves point to is the caller's. */
void ptab_destroy(struct ptab *t);

/* Makes the tables above a leaf of `level` (1: 4 KiB, 2: 2 MiB, 3: 1 GiB) at `address`.
 * E_NOMEM; E_EXIST where a larger leaf covers the address. */
enum err ptab_prepare(struct ptab *t, u64 address, unsigned level) MUST_CHECK;
/* Sets the leaf for which ptab_prepare succeeded, and returns the entry that was there. That of a large leaf may be
 * a table of small ones: it goes to ptab_free_table once no CPU can be walking it. */
u64 ptab_commit(struct ptab *t, u64 address, unsigned level, hpa_t to, u32 prot,
                enum memory_type type);
/* prepare and commit in one. */
enum err ptab_map(struct ptab *t, u64 address, unsigned level, hpa_t to, u32 prot,
                  enum memory_type type) MUST_CHECK;
/* Clears the leaf that covers the address and returns it, with its level; 0 if there is none. */
u64 ptab_clear(struct ptab *t, u64 address, unsigned *level);
/* The leaf that covers the address, with its level; 0 if there is none. */
u64 ptab_lookup(const struct ptab *t, u64 address, unsigned *level);
/* The frames of that many pages from the address on, which lie in the same 2 MiB; 0 where nothing is mapped. */
void ptab_frames(const struct ptab *t, u64 address, u64 pages, hpa_t frame[]);
/* Calls fn for every present leaf in [from, end), in order; it may clear the entry or bits of it, atomically. */
void ptab_each_leaf(const struct ptab *t, u64 from, u64 end,
                    void (*fn)(void *ctx, u64 address, unsigned level, u64 *entry), void *ctx);
/* The same for what a CPU may have used since the last call: tables of 4 KiB leaves are left out whose accessed bit it has
 * not set. Between two calls every translation must be flushed once, after the first has returned. (SDM 3C 28.3.5; APM 2
 * 15.25.5.) */
void ptab_each_used_leaf(struct ptab *t, u64 from, u64 end,
                         void (*fn)(void *ctx, u64 address, unsigned level, u64 *entry), void *ctx);
/* Clears the entry of level 2 for an address that has one, be it a leaf or a table, and returns it. */
u64 ptab_detach(struct ptab *t, u64 address);
/* Is there a table, rather than a leaf or nothing, where a leaf of `level` for the address would be? */
bool ptab_has_table(const struct ptab *t, u64 address, unsigned level);
/* Replaces a 2 MiB leaf by 512 leaves of 4 KiB with the same rights, all dirty and used if it was. E_NOMEM; E_NOENT. */
enum err ptab_split(struct ptab *t, u64 address) MUST_CHECK;
/* Frees the table of small leaves that an entry of level 2 pointed to. */
void ptab_free_table(struct ptab *t, u64 entry);

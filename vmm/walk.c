/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/walk.h"

#define ENTRY_P  BIT(0)
#define ENTRY_W  BIT(1)
#define ENTRY_U  BIT(2)
#define ENTRY_A  BIT(5)
#define ENTRY_D  BIT(6)
#define ENTRY_PS BIT(7)
#define ENTRY_NX BIT(63)

#define ADDRESS_MASK       0x000ffffffffff000ull
#define PDPTE_PAE_RESERVED (BIT(1) | BIT(2) | 0x1e0 | ENTRY_NX) /* SDM 3A table 4-8 */
#define TRIES              4

/* The three trees (SDM 3A figures 4-2, 4-5, 4-8):
 *
 *     32-bit            31     22 21     12 11   0     4-byte entries
 *     PAE        31 30 29     21 20     12 11   0     8-byte entries, 4 at the top
 *     4-level    47 .. 39 .. 30 .. 21 20 .. 12 11 0   8-byte entries */
struct paging {
    u8 levels;
    u8 entry_size;
    u8 index_bits;
};

static const struct paging paging_32 = {.levels = 2, .entry_size = 4, .index_bits = 10};
static const struct paging paging_pae = {.levels = 3, .entry_size = 8, .index_bits = 9};
static const struct paging paging_long = {.levels = 4, .entry_size = 8, .index_bits = 9};

struct walk {
    const struct hvm_mode *mode;
    const struct walk_mem *mem;
    const struct paging *paging;
    u64 linear;
    u32 access;
    bool user;
    u64 rights; /* ENTRY_W, ENTRY_U: in all entries; ENTRY_NX: in any */
    u64 entry[4];
    gpa_t entry_at[4];
    unsigned leaf; /* level of the leaf, from 1 */
    u32 code;
};

static const struct paging *paging_of(const struct hvm_mode *m)
{
    if (m->efer & EFER_LMA)
        return &paging_long;
    return m->cr4 & CR4_PAE ? &paging_pae : &paging_32;
}

static unsigned level_shift(const struct paging *p, unsigned level)
{
    return PAGE_SHIFT + p->index_bits * (level - 1);
}

static gpa_t root_of(const struct walk *w)
{
    u64 cr3 = w->mode->cr3;

    if (w->paging == &paging_32)
        return GPA(cr3 & 0xfffff000);
    if (w->paging == &paging_pae)
        return GPA(cr3 & 0xffffffe0);
    return GPA(cr3 & ADDRESS_MASK);
}

static bool is_leaf(const struct walk *w, u64 entry, unsigned level)
{
    if (level == 1)
        return true;
    if (!(entry & ENTRY_PS))
        return false;
    if (w->paging == &paging_32)
        return w->mode->cr4 & CR4_PSE;
    return level == 2 || (level == 3 && w->paging == &paging_long);
}

/* Bits that must be 0 in a present entry (SDM 3A 4.3, 4.4, 4.5). */
static u64 reserved_bits(const struct walk *w, unsigned level, bool leaf)
{
    u64 beyond = ADDRESS_MASK & ~(BIT(w->mem->phys_bits) - 1);
    u64 bits = beyond;

    if (w->paging == &paging_32) /* PSE-36: bits 20:13 are address bits 39:32 */
        return leaf && level == 2 ? BIT(21) | (((beyond >> 32) & 0xff) << 13) : 0;
    if (w->paging == &paging_pae) {
        bits |= 0x7ff0000000000000ull;
        if (level == 3)
            return bits | PDPTE_PAE_RESERVED;
    }
    if (!(w->mode->efer & EFER_NXE))
        bits |= ENTRY_NX;
    if (level == 4)
        bits |= ENTRY_PS;
    if (leaf && level > 1) /* bit 12 is PAT */
        bits |= (BIT(level_shift(w->paging, level)) - 1) & ~(BIT(13) - 1);
    return bits;
}

static enum walk_result fault(struct walk *w, u32 bits)
{
    bool fetch = w->access & PAGE_ACCESS_EXEC;
    bool reports_fetch =
        (w->mode->efer & EFER_NXE && w->paging != &paging_32) || (w->mode->cr4 & CR4_SMEP);

    w->code = bits | (w->access & PAGE_ACCESS_WRITE ? PF_WRITE : 0) | (w->user ? PF_USER : 0) |
              (fetch && reports_fetch ? PF_FETCH : 0);
    return WALK_FAULT;
}

static void note_rights(struct walk *w, u64 entry, unsigned level)
{
    /* A PAE PDPTE has no rights, and no A bit. */
    if (w->paging == &paging_pae && level == 3)
        return;
    w->rights &= entry | ~(ENTRY_W | ENTRY_U);
    if (w->paging != &paging_32)
        w->rights |= entry & ENTRY_NX;
}

/* Only E_RANGE says that no memory is there. Anything else passes: an entry has changed, or the page cannot be had now. */
static enum walk_result not_there(enum err e)
{
    return e == E_RANGE ? WALK_NO_TABLE : WALK_BUSY;
}

/* Follows the tables down to the leaf. */
static enum walk_result descend(struct walk *w)
{
    const struct paging *p = w->paging;
    gpa_t table = root_of(w);

    for (unsigned level = p->levels; level > 0; level--) {
        u64 index = (w->linear >> level_shift(p, level)) & (BIT(p->index_bits) - 1);
        gpa_t at = GPA(table.v + index * p->entry_size);
        u64 entry;
        enum err e;
        bool leaf;

        e = w->mem->read(w->mem->ctx, at, p->entry_size, &entry);
        if (e)
            return not_there(e);
        if (!(entry & ENTRY_P))
            return fault(w, 0);
        leaf = is_leaf(w, entry, level);
        if (entry & reserved_bits(w, level, leaf))
            return fault(w, PF_PRESENT | PF_RESERVED);
        w->entry[level - 1] = entry;
        w->entry_at[level - 1] = at;
        w->leaf = level;
        note_rights(w, entry, level);
        if (leaf)
            break;
        table = GPA(entry & ADDRESS_MASK);
    }
    return WALK_OK;
}

/* SDM 3A 4.6.1 */
static bool allowed(const struct walk *w)
{
    bool user_page = w->rights & ENTRY_U;
    bool lifted = (w->access & WALK_AC) && !(w->access & WALK_IMPLICIT);

    if (w->user && !user_page)
        return false;
    if (w->access & PAGE_ACCESS_EXEC)
        return !(w->rights & ENTRY_NX) && !(!w->user && user_page && (w->mode->cr4 & CR4_SMEP));
    if (!w->user && user_page && (w->mode->cr4 & CR4_SMAP) && !lifted)
        return false;
    if ((w->access & PAGE_ACCESS_WRITE) && !(w->rights & ENTRY_W))
        return !w->user && !(w->mode->cr0 & CR0_WP);
    return true;
}

/* Accessed bits at every level, dirty at the leaf. E_STATE: an entry has changed, start again. */
static enum err mark(struct walk *w)
{
    for (unsigned level = w->paging->levels; level >= w->leaf; level--) {
        u64 old = w->entry[level - 1], new = old | ENTRY_A;
        enum err e;

        if (w->paging == &paging_pae && level == 3)
            continue;
        if (level == w->leaf && (w->access & PAGE_ACCESS_WRITE))
            new |= ENTRY_D;
        if (new == old)
            continue;
        e = w->mem->cmpxchg(w->mem->ctx, w->entry_at[level - 1], w->paging->entry_size, old, new);
        if (e != OK)
            return e;
    }
    return OK;
}

static gpa_t leaf_address(const struct walk *w)
{
    u64 entry = w->entry[w->leaf - 1];
    u64 offset = BIT(level_shift(w->paging, w->leaf)) - 1;
    u64 frame = entry & ADDRESS_MASK & ~offset;

    if (w->paging == &paging_32 && w->leaf == 2)
        frame |= ((entry >> 13) & 0xff) << 32;
    return GPA(frame | (w->linear & offset));
}

static enum walk_result walk_once(struct walk *w)
{
    enum walk_result r;
    enum err e;

    w->rights = ENTRY_W | ENTRY_U;
    r = descend(w);
    if (r != WALK_OK)
        return r;
    if (!allowed(w))
        return fault(w, PF_PRESENT);
    e = w->access & WALK_PEEK ? OK : mark(w);
    return e ? not_there(e) : WALK_OK;
}

enum walk_result guest_walk(const struct hvm_mode *m, u64 linear, u32 access, u8 cpl,
                            const struct walk_mem *mem, gpa_t *gpa, u32 *pf_code)
{
    struct walk w = {.mode = m, .mem = mem, .access = access};
    enum walk_result r = WALK_BUSY;

    w.linear = m->efer & EFER_LMA ? linear : (u32)linear;
    if (!(m->cr0 & CR0_PG)) {
        *gpa = GPA((u32)linear);
        return WALK_OK;
    }
    w.paging = paging_of(m);
    w.user = cpl == 3 && !(access & WALK_IMPLICIT);
    if (w.paging == &paging_long) {
        if (m->cr4 & CR4_LA57)
            return WALK_UNSUPPORTED;
        if ((u64)((s64)(linear << 16) >> 16) != linear)
            return WALK_NOT_CANONICAL;
    }
    for (unsigned n = 0; n < TRIES && r == WALK_BUSY; n++)
        r = walk_once(&w);
    if (r == WALK_OK)
        *gpa = leaf_address(&w);
    else if (r == WALK_FAULT)
        *pf_code = w.code;
    return r;
}

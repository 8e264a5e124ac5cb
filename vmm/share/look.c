/* SPDX-License-Identifier: BSD-2-Clause */
/* What becomes of a page: nothing if it was written lately or is known; else it is hashed, and merged with what the
 * index has. */
#include "vmm/share/hash.h"
#include "vmm/share/scan.h"

#define BATCH 32 /* merges for one pair of shoot-downs */

void (*share_freed)(void);

/* --- a batch of merges ------------------------------------------------------------------------ */

static struct merge batch[BATCH];
static struct {
    struct member *member;
    u64 hash;
    unsigned way;
} origin[BATCH];
static unsigned batched;

void look_remember(const struct member *of, u64 page, u64 hash, unsigned way)
{
    struct index_hit hit = {.kind = INDEX_PAGE, .vm = (u32)(of - share_members), .page = page};

    index_put(&share_index, hash, way, &hit);
}

/* The index is told how it went. */
static void learn(const struct merge *m, const struct member *of, u64 hash, unsigned way)
{
    struct index_hit hit = {.kind = INDEX_FRAME, .frame = m->frame.v / PAGE_SIZE};

    if (m->kind == MERGE_ZERO)
        return;
    if (m->done)
        index_put(&share_index, hash, way, &hit);
    else if (m->stale)
        look_remember(of, m->page, hash, way);
}

static void count(const struct merge *m, struct member *of)
{
    if (!m->done) {
        share_counts.undone++;
    } else if (m->kind == MERGE_ZERO) {
        share_counts.zeros++;
        of->stats.zeros++;
    } else {
        share_counts.merges++;
        of->stats.merges++;
    }
}

static void run_batch(void)
{
    bool freed = false;

    merge_run(batch, batched);
    for (unsigned i = 0; i < batched; i++) {
        learn(&batch[i], origin[i].member, origin[i].hash, origin[i].way);
        count(&batch[i], origin[i].member);
        freed |= batch[i].done;
    }
    batched = 0;
    if (freed && share_freed)
        share_freed();
}

static void add(struct member *of, const struct merge *m, u64 hash, unsigned way)
{
    batch[batched] = *m;
    origin[batched].member = of;
    origin[batched].hash = hash;
    origin[batched].way = way;
    if (++batched == BATCH)
        run_batch();
}

/* --- one page --------------------------------------------------------------------------------- */

bool look_is_usable(const struct member *of, u64 page, const struct index_hit *hit)
{
    const struct member *other = &share_members[hit->vm];

    if (hit->kind == INDEX_FRAME)
        return true; /* frame_get_if asks */
    return other->pmap && other->pmap->group == of->pmap->group &&
           hit->page < pmap_pages(other->pmap) && !(other == of && hit->page == page);
}

/* A page that nobody has written lately. */
static void seek_partner(struct member *of, u64 page, u64 hash)
{
    struct merge m = {.pmap = of->pmap, .page = page, .hash = hash};
    struct index_hit hit;
    unsigned way = 0;

    if (!index_find(&share_index, hash, &way, &hit) || !look_is_usable(of, page, &hit)) {
        look_remember(of, page, hash, way);
        return;
    }
    if (hit.kind == INDEX_PAGE)
        large_forget(&share_members[hit.vm], hit.page);
    m.kind = hit.kind == INDEX_FRAME ? MERGE_FRAME : MERGE_PAGE;
    m.frame = HPA(hit.frame * PAGE_SIZE);
    if (m.kind == MERGE_PAGE) {
        m.other = share_members[hit.vm].pmap;
        m.other_page = hit.page;
    }
    add(of, &m, hash, way);
}

/* The index is cold memory: a page is looked up when the next one has been hashed. */
static struct {
    struct member *member; /* NULL: none waits */
    u64 page, hash;
} waiting;

static void seek_waiting(void)
{
    struct member *of = waiting.member;

    waiting.member = NULL;
    if (of)
        seek_partner(of, waiting.page, waiting.hash);
}

static void seek_soon(struct member *of, u64 page, u64 hash)
{
    index_prefetch(&share_index, hash);
    seek_waiting();
    waiting.member = of;
    waiting.page = page;
    waiting.hash = hash;
}

void look_finish(void)
{
    seek_waiting();
    if (batched)
        run_batch();
}

enum look { LOOK_SKIP, LOOK_ZERO, LOOK_HASHED, LOOK_LARGE };

/* Decides under the Pmap's lock what there is to do. */
static enum look look_locked(struct member *of, u64 index, u64 *hash)
{
    struct pmap *p = of->pmap;
    struct page *page = pmap_record(p, index);
    unsigned level;
    u64 entry;
    const u8 *content;

    if (!page || page->state != PAGE_PRIVATE || page->busy)
        return LOOK_SKIP;
    if (page->known && of->stats.passes % SHARE_KNOWN_FOR && !dirty_is_set(p, DIRTY_SHARE, index)) {
        share_counts.unchanged++;
        return LOOK_SKIP;
    }
    entry = ptab_lookup(&p->slat.table, pmap_gpa(index).v, &level);
    if (!entry)
        return LOOK_SKIP;
    if (level != 1)
        return LOOK_LARGE;
    if (dirty_take(p, DIRTY_SHARE, index)) {
        page->hot += page->hot < PAGE_HOT;
        page->known = 0;
        share_counts.young++;
        return LOOK_SKIP;
    }
    page->known = 1;
    page->hot = 0;
    share_counts.hashed++;
    content = phys_to_virt(ptab_address(entry));
    for (unsigned i = 0; i < 256; i += 64) /* often the next page's: they were given in a row */
        __builtin_prefetch(content + PAGE_SIZE + i);
    if (page_is_zero(content))
        return LOOK_ZERO;
    *hash = page_hash(content, of->pmap->hash_key);
    return LOOK_HASHED;
}

u64 look_at(struct member *of, u64 index)
{
    struct pmap *p = of->pmap;
    struct merge zero = {.kind = MERGE_ZERO, .pmap = p, .page = index};
    enum look what;
    u64 hash = 0;

    if (!p->records[index / PMAP_RECORDS])
        return PMAP_RECORDS - index % PMAP_RECORDS;
    if (index % PMAP_LARGE == 0)
        large_promote(of, index);
    share_counts.looked++;
    lock_acquire(&p->lock);
    what = look_locked(of, index, &hash);
    lock_release(&p->lock);
    switch (what) {
    case LOOK_ZERO: add(of, &zero, 0, INDEX_WAYS); break;
    case LOOK_HASHED: seek_soon(of, index, hash); break;
    case LOOK_LARGE:
        return large_look(of, ALIGN_DOWN(index, PMAP_LARGE)) ? 0 : PMAP_LARGE - index % PMAP_LARGE;
    case LOOK_SKIP: break;
    }
    return 1;
}

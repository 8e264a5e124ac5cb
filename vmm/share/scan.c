/* The thread that looks for equal pages. */
#include "kernel/frames.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "vmm/share/hash.h"
#include "vmm/share/index.h"
#include "vmm/share/merge.h"
#include "vmm/share/share.h"

#define MEMBERS     256 /* VM slots; an index entry has 8 bits for one */
#define BATCH       32  /* merges for one pair of shoot-downs */
#define TURN        64  /* pages of one VM before it is the next one's turn */
#define LARGE_PAGES (LARGE_SIZE / PAGE_SIZE)
#define KNOWN_FOR                                                                                  \
    16 /* passes after which an unchanged page is hashed again: it may have left the index */
#define TICK      MSEC(10)
#define BACK_OFF  32  /* the rate never falls below this part of what is set */
#define PIECE     128 /* pages before others may have the CPU */
#define NOW_LIMIT SEC(600)

struct member {
    struct pmap *pmap; /* NULL: the slot is free */
    u16 group;
    u64 cursor; /* the next page */
    struct share_vm_stats stats;
    u64 wanted; /* passes that share_now waits for */
};

static struct lock share_lock; /* members and `working`; taken before a Pmap's lock */
static struct member members[MEMBERS];
static unsigned last; /* whose turn it was */
static bool working;  /* the thread uses members without the lock */
static struct thread *thread;
static struct index seen;
static u64 key;
static bool hurry; /* share_now waits */
static struct share_stats stats = {.on = true, .rate = SHARE_RATE, .rate_now = SHARE_RATE};
static u64 found_in_round, passes_in_round;
void (*share_freed)(void);

/* --- a batch of merges ------------------------------------------------------------------------ */

static struct merge batch[BATCH];
static struct {
    struct member *member;
    u64 hash;
    unsigned way;
} origin[BATCH];
static unsigned batched;

static void remember(const struct merge *m, u64 hash, unsigned way, const struct member *of)
{
    struct index_hit hit = {.kind = INDEX_PAGE, .vm = (u32)(of - members), .page = m->page};

    if (m->done && m->kind == MERGE_ZERO)
        return;
    if (m->done)
        hit = (struct index_hit){.kind = INDEX_FRAME, .frame = m->frame.v / PAGE_SIZE};
    index_put(&seen, hash, way, &hit);
}

static void run_batch(void)
{
    bool freed = false;

    merge_run(batch, batched);
    for (unsigned i = 0; i < batched; i++) {
        struct merge *m = &batch[i];
        struct member *of = origin[i].member;

        if (m->done || m->stale)
            remember(m, origin[i].hash, origin[i].way, of);
        freed |= m->done;
        if (!m->done) {
            stats.undone++;
        } else if (m->kind == MERGE_ZERO) {
            stats.zeros++;
            of->stats.zeros++;
        } else {
            stats.merges++;
            of->stats.merges++;
        }
        found_in_round += m->done;
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

/* Is what the index remembers still worth a try? */
static bool usable(const struct member *of, u64 page, const struct index_hit *hit)
{
    const struct member *other = &members[hit->vm];

    if (hit->kind == INDEX_FRAME)
        return true; /* frame_get_if asks */
    return other->pmap && other->group == of->group && hit->page < pmap_pages(other->pmap) &&
           !(other == of && hit->page == page);
}

static u64 group_key(u16 group)
{
    return key ^ group * 0x9e3779b97f4a7c15ull;
}

/* A page that nobody has written lately. */
static void seek_partner(struct member *of, u64 page, u64 hash)
{
    struct merge m = {.pmap = of->pmap, .page = page, .group = of->group};
    struct index_hit hit;
    unsigned way = 0;

    if (index_find(&seen, hash, &way, &hit) && usable(of, page, &hit)) {
        m.kind = hit.kind == INDEX_FRAME ? MERGE_FRAME : MERGE_PAGE;
        m.frame = HPA(hit.frame * PAGE_SIZE);
        if (m.kind == MERGE_PAGE) {
            m.other = members[hit.vm].pmap;
            m.other_page = hit.page;
        }
        add(of, &m, hash, way);
        return;
    }
    remember(&m, hash, way, of);
}

enum look { LOOK_SKIP, LOOK_ZERO, LOOK_HASHED, LOOK_LARGE };

/* Decides under the Pmap's lock what there is to do. */
static enum look look_locked(struct member *of, u64 index, u64 *hash)
{
    struct pmap *p = of->pmap;
    struct page *page = pmap_record(p, index);
    unsigned level;
    u64 entry = ptab_lookup(&p->slat.table, pmap_gpa(index).v, &level);
    const void *content;

    if (!page || page->state != PAGE_PRIVATE || page->busy || !entry)
        return LOOK_SKIP;
    if (level != 1)
        return LOOK_LARGE;
    if (dirty_take(p, DIRTY_SHARE, index)) {
        page->known = 0;
        stats.young++;
        return LOOK_SKIP;
    }
    if (page->known && of->stats.passes % KNOWN_FOR) {
        stats.unchanged++;
        return LOOK_SKIP;
    }
    page->known = 1;
    stats.hashed++;
    content = phys_to_virt(p->slat.table.format->address(entry));
    if (page_is_zero(content))
        return LOOK_ZERO;
    *hash = page_hash(content, group_key(of->group));
    return LOOK_HASHED;
}

/* --- 2 MiB at once ---------------------------------------------------------------------------- */

/* How many of its pages are zero, or were seen elsewhere. The pages are put in the index, so that an equal large page
 * finds them. The guest may write meanwhile: this is an estimate. */
static unsigned promise_of(struct member *of, u64 first)
{
    unsigned promise = 0;

    for (u64 i = first; i < first + LARGE_PAGES; i++) {
        struct merge m = {.pmap = of->pmap, .page = i};
        struct index_hit hit;
        unsigned way = 0, level;
        u64 entry, hash = 0;
        bool zero;

        lock_acquire(&of->pmap->lock);
        entry = ptab_lookup(&of->pmap->slat.table, pmap_gpa(first).v, &level);
        if (!entry || level != 2) {
            lock_release(&of->pmap->lock);
            return 0;
        }
        const u8 *content = phys_to_virt(
            HPA(of->pmap->slat.table.format->address(entry).v + (i - first) * PAGE_SIZE));

        zero = page_is_zero(content);
        if (!zero)
            hash = page_hash(content, group_key(of->group));
        lock_release(&of->pmap->lock);
        if (zero || (index_find(&seen, hash, &way, &hit) && usable(of, i, &hit)))
            promise++;
        else
            remember(&m, hash, way, of);
    }
    return promise;
}

static void look_large(struct member *of, u64 first)
{
    struct pmap *p = of->pmap;
    enum err e;

    stats.hashed += LARGE_PAGES;
    if (promise_of(of, first) < SHARE_SPLIT)
        return;
    lock_acquire(&p->lock);
    e = pmap_split(p, pmap_gpa(first));
    dirty_mark(p, first, LARGE_PAGES);
    lock_release(&p->lock);
    pmap_shoot_down(p); /* CPUs must note writes in the new entries */
    stats.splits += !e;
}

/* --- going round ------------------------------------------------------------------------------ */

/* Looks at one page, or at 2 MiB; returns how far that went. */
static u64 look(struct member *of, u64 index)
{
    struct pmap *p = of->pmap;
    struct merge zero = {.kind = MERGE_ZERO, .pmap = p, .page = index};
    enum look what;
    u64 hash = 0;

    if (!p->records[index / PMAP_RECORDS])
        return PMAP_RECORDS - index % PMAP_RECORDS;
    stats.looked++;
    lock_acquire(&p->lock);
    what = look_locked(of, index, &hash);
    lock_release(&p->lock);
    switch (what) {
    case LOOK_ZERO: add(of, &zero, 0, INDEX_WAYS); break;
    case LOOK_HASHED: seek_partner(of, index, hash); break;
    case LOOK_LARGE:
        look_large(of, ALIGN_DOWN(index, LARGE_PAGES));
        stats.looked += LARGE_PAGES - 1;
        return LARGE_PAGES;
    case LOOK_SKIP: break;
    }
    return 1;
}

static unsigned member_count(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < MEMBERS; i++)
        n += members[i].pmap != NULL;
    return n;
}

/* A round in which nothing was found halves the rate; one in which something was brings it back. */
static void end_pass(struct member *m)
{
    m->cursor = 0;
    m->stats.passes++;
    if (++passes_in_round < member_count())
        return;
    stats.rounds++;
    stats.rate_now =
        found_in_round ? stats.rate : MAX(stats.rate_now / 2, MAX(stats.rate / BACK_OFF, 1));
    passes_in_round = found_in_round = 0;
}

static u64 turn_of(struct member *m, u64 budget)
{
    u64 end = pmap_pages(m->pmap), before = stats.looked;

    if (!m->cursor)
        dirty_harvest(m->pmap);
    while (stats.looked - before < budget && m->cursor < end)
        m->cursor += look(m, m->cursor);
    if (m->cursor >= end)
        end_pass(m);
    return MAX(stats.looked - before, TURN); /* an empty VM has its turn, too */
}

/* The next VM in turn; in a hurry, of those that have not had their pass. */
static struct member *next_member(void)
{
    for (unsigned i = 1; i <= MEMBERS; i++) {
        struct member *m = &members[(last + i) % MEMBERS];

        if (m->pmap && (!hurry || m->stats.passes < m->wanted)) {
            last = (unsigned)(m - members);
            return m;
        }
    }
    return NULL;
}

static void work(u64 budget)
{
    u64 start = time_now(), done = 0;
    struct member *m;

    lock_acquire(&share_lock);
    working = true;
    lock_release(&share_lock);
    while (done < budget && (m = next_member()))
        done += turn_of(m, MIN(budget - done, TURN));
    if (batched)
        run_batch();
    if (hurry && !next_member())
        hurry = false;
    __atomic_store_n(&working, false, __ATOMIC_RELEASE);
    stats.busy_ns += time_now() - start;
}

/* What the rate allows for one tick; if that takes longer, the next follows at once. */
static void tick(void)
{
    u64 end = time_now() + TICK, left = MAX(stats.rate_now * TICK / SEC(1), 1);

    for (; left && stats.on && !hurry; left -= MIN(left, PIECE)) {
        work(MIN(left, PIECE));
        thread_yield();
    }
    if (time_now() < end)
        thread_sleep(end - time_now());
}

static void share_thread(void *unused)
{
    (void)unused;
    for (;;) {
        if (!member_count() || !(stats.on || hurry)) {
            hurry = false;
            thread_block();
        } else if (hurry) {
            work(PIECE);
            thread_yield();
        } else {
            tick();
        }
    }
}

/* --- who calls -------------------------------------------------------------------------------- */

enum err share_attach(struct pmap *p, u16 group)
{
    enum err e = dirty_attach(p, DIRTY_SHARE);
    struct member *m = members;

    if (e)
        return e;
    lock_acquire(&share_lock);
    while (m < members + MEMBERS && m->pmap)
        m++;
    if (m < members + MEMBERS)
        *m = (struct member){.pmap = p, .group = group};
    lock_release(&share_lock);
    if (m == members + MEMBERS) {
        dirty_detach(p, DIRTY_SHARE);
        return E_NOMEM;
    }
    stats.rate_now = stats.rate;
    if (thread)
        thread_wake(thread);
    return OK;
}

static struct member *member_of(const struct pmap *p)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        if (members[i].pmap == p)
            return &members[i];
    return NULL;
}

void share_detach(struct pmap *p)
{
    struct member *m;

    for (;;) {
        lock_acquire(&share_lock);
        if (!working)
            break;
        lock_release(&share_lock);
        thread_sleep(MSEC(1));
    }
    m = member_of(p);
    if (m)
        m->pmap = NULL;
    lock_release(&share_lock);
    dirty_detach(p, DIRTY_SHARE);
}

void share_set(bool on)
{
    stats.on = on;
    stats.rate_now = stats.rate;
    if (thread)
        thread_wake(thread);
}

void share_set_rate(u64 pages_per_second)
{
    stats.rate = stats.rate_now = pages_per_second;
}

enum err share_now(struct why *why)
{
    u64 end = time_now() + NOW_LIMIT;

    if (!thread || !member_count())
        return why_set(why, E_STATE, "there is no VM whose pages could be shared");
    lock_acquire(&share_lock);
    for (unsigned i = 0; i < MEMBERS; i++)
        members[i].wanted = members[i].stats.passes + (members[i].cursor ? 2 : 1);
    hurry = true;
    lock_release(&share_lock);
    thread_wake(thread);
    while (__atomic_load_n(&hurry, __ATOMIC_RELAXED)) {
        if (time_now() > end)
            return why_set(why, E_TIMEOUT, "the pass is not done after 10 minutes; it goes on");
        thread_sleep(MSEC(10));
    }
    return OK;
}

void share_get_stats(struct share_stats *s)
{
    *s = stats;
}

void share_get_vm_stats(const struct pmap *p, struct share_vm_stats *s)
{
    const struct member *m = member_of(p);

    *s = m ? m->stats : (struct share_vm_stats){0};
}

enum err share_start(u64 pages)
{
    enum err e = index_create(&seen, pages);

    key = arch_tsc() * 0x9e3779b97f4a7c15ull;
    return e ? e : thread_create(&thread, "share", share_thread, NULL);
}

static void share_init(const struct boot_info *boot)
{
    struct frame_stats f;

    (void)boot;
    frames_stats(&f);
    if (share_start(f.ram))
        log_error("no memory for page sharing: it is off");
}
INIT_STEP(3, share_init);

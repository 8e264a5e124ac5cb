/* SPDX-License-Identifier: BSD-2-Clause */
/* The Pmap: the map from a guest's pages to host frames, of one VM, with the state of each page (page.h).
 *
 * Memory is given by 4 KiB when the guest first writes it; what is only read maps the VM's frame of zeros. It is not common to all VMs: by
 * the time that an access takes, each could tell which of them the others read. 2 MiB that are full of pages of the VM's own can be put together, and split again (large.c). Every change is
 * made in two passes: pmap_prepare may fail and changes nothing that the guest can see; pmap_commit cannot fail.
 *
 * Any thread. Functions take the Pmap's lock, but for those that say that it is held. */
#pragma once
#include "kernel/hvm.h"
#include "kernel/lock.h"
#include "vmm/memory/backing.h"
#include "vmm/memory/dirty.h"
#include "vmm/memory/page.h"
#include "vmm/memory/rmap.h"

#define PMAP_FILLS 32                       /* fills in flight, of one VM */
#define PMAP_LARGE (LARGE_SIZE / PAGE_SIZE) /* pages of a large mapping */

struct thread;

struct pmap {
    struct lock lock;
    struct slat slat;
    u64 memory;                  /* bytes of RAM; where it lies: vmm/layout.h */
    u16 owner;                   /* VM id, for the frames */
    u16 group;                   /* trust group, for those that are shared */
    u64 hash_key;                /* of the group */
    hpa_t zero_frame;            /* what the guest sees of a page that it has only read */
    u64 first_page;              /* the number of its first page among those of all VMs: rmap.h */
    struct page **records;       /* one frame of them for PMAP_RECORDS pages; NULL: all are EMPTY */
    u64 record_frames;           /* how many there may be */
    u64 recorded;                /* how many there are */
    u64 count[PAGE_STATE_COUNT]; /* pages in each state but EMPTY */
    u64 frames;                  /* that this VM alone has: PRIVATE and CACHED pages */
    u64 faults, joined, copied;  /* faults; of these onto pages in flight; copies on write */
    struct fill fill[PMAP_FILLS];
    struct list waiters;
    struct list breaks;           /* changes under way: struct pmap_break */
    bool harvesting;              /* dirty_harvest is at work */
    u64 *dirty[DIRTY_CONSUMERS];  /* a bit a page; NULL: nobody wants to know */
    bool held;                    /* nobody waits for pages: see pmap_hold */
    const struct backing *remote; /* of REMOTE and CACHED pages */
    void *lender;                 /* the remote backing's */
    bool cache_reads;             /* a REMOTE page that is read becomes CACHED; else PRIVATE */
    /* Has every vCPU leave the guest or flush, so that none uses a translation from before the call. Called without
     * the lock. */
    void (*shoot_down)(struct pmap *p);
};
#define PMAP_RECORDS (PAGE_SIZE / sizeof(struct page))

/* What a guest may do with a page of its own, and with one that it shares. */
#define GUEST_PROT (PROT_READ | PROT_WRITE | PROT_EXEC)
#define SHOWN_PROT (PROT_READ | PROT_EXEC)

/* Who waits for a page in flight. Zeroed before first use; one page at a time. */
struct pmap_waiter {
    struct list link;
    struct thread *thread;
    u64 index;
    bool waiting;    /* cleared before the thread is woken */
    enum err result; /* then: what the backing said */
};

/* Pages whose frame is being changed, in two steps with a shoot-down in between: break.c. */
struct pmap_break {
    struct list link;
    u64 first, pages;
    bool dropped; /* their memory was taken away: there is nothing left to make */
};

/* E_NOMEM. shoot_down and remote may be NULL until the guest runs or has such pages. */
enum err pmap_create(struct pmap *p, u64 memory, u16 owner) MUST_CHECK;
/* Gives back every frame; all pages are EMPTY. The VM must not run. */
void pmap_clear(struct pmap *p);
/* Waits for fills in flight. */
void pmap_destroy(struct pmap *p);

/* Does any page have a record, mapping or frame? */
bool pmap_in_use(const struct pmap *p);

/* Is there RAM at that address? */
bool pmap_is_ram(const struct pmap *p, gpa_t gpa);
/* The number of a page of RAM, from 0, without the holes; and where that page is. */
u64 pmap_index(gpa_t gpa);
gpa_t pmap_gpa(u64 index);
static inline u64 pmap_pages(const struct pmap *p)
{
    return p->memory / PAGE_SIZE;
}
/* Frames for records and page tables of a VM of that many pages, when it uses all of them. */
u64 pmap_tables_most(u64 pages);
/* Frames that it still may need without having shown the guest any: for EMPTY and REMOTE pages, and for the tables of
 * those that have none yet. */
u64 pmap_promised(const struct pmap *p);
enum page_state pmap_state(const struct pmap *p, u64 index);

/* Makes a page good for a read or a write of the guest. OK: the guest may go on. E_AGAIN: the page is in flight, and
 * the waiter's thread is woken when it has come. E_RANGE: no RAM there. E_NOMEM: no frame is left for guests. E_STATE: it is
 * not there, and pmap_hold is on. */
enum err pmap_fault(struct pmap *p, gpa_t gpa, bool write, struct pmap_waiter *waiter) MUST_CHECK;
/* Blocks the calling thread until the waiter's page has come, and returns what the backing said. */
enum err pmap_wait(const struct pmap_waiter *waiter) MUST_CHECK;
/* Stops waiting; harmless if it does not wait. */
void pmap_cancel_wait(struct pmap *p, struct pmap_waiter *waiter);
/* While it is on, nobody waits for a page from elsewhere (REMOTE): who does is woken, and whoever would have to gets
 * E_STATE. For a VM that is to stop soon: an access that is given up so has had no effect, because a page that an
 * instruction has made sure of does not become REMOTE. What this host does by itself is still waited for. */
void pmap_hold(struct pmap *p, bool on);
/* For a remote backing: the bytes are in fill->frame, or will not come. */
void pmap_fill_done(struct fill *fill, enum err result);

/* --- for those who change pages; the lock is held --------------------------------------------------- */

struct pmap_change {
    gpa_t gpa;
    enum page_state to;
    hpa_t frame;
    u32 prot;   /* PROT_*; 0: not mapped */
    u32 slot;   /* of a page that becomes REMOTE */
    bool large; /* all 512 pages of the 2 MiB */
};
/* E_NOMEM; E_EXIST where a large mapping is in the way: pmap_split first. */
enum err pmap_prepare(struct pmap *p, const struct pmap_change *c) MUST_CHECK;
/* The one function that changes the state of a page, or its mapping; it keeps the reverse map, too. Returns the entry that was there. A prohibited
 * transition is a panic with its reason. Where it took rights away or changed the frame, a shoot-down is due; a mapped page
 * gets another frame without the right to write, until pmap_break_end. */
u64 pmap_commit(struct pmap *p, const struct pmap_change *c);
/* Pages that have records are busy from here on: faults wait. */
void pmap_break_begin(struct pmap *p, struct pmap_break *b, u64 first, u64 pages);
/* After a shoot-down: wakes who waits. False: the memory was taken away meanwhile, and with it what was mapped. */
bool pmap_break_end(struct pmap *p, struct pmap_break *b);
/* The memory of these pages is taken away. */
void pmap_break_drop(struct pmap *p, u64 first, u64 pages);
/* A frame for a guest's page, not cleared; HPA(0) when only what the host itself needs is left. */
hpa_t pmap_frame_alloc(struct pmap *p, bool large) MUST_CHECK;
/* The record of a page, or NULL. */
static inline struct page *pmap_record(const struct pmap *p, u64 index)
{
    struct page *records = p->records ? p->records[index / PMAP_RECORDS] : NULL;

    return records ? &records[index % PMAP_RECORDS] : NULL;
}
/* After a change: no vCPU uses a translation from before it. Without the lock; waits for other CPUs. */
void pmap_shoot_down(struct pmap *p);
/* The pages from `first` to `last` have come, or will not: wakes who waits for them. */
void pmap_wake(struct pmap *p, u64 first, u64 last, enum err result);
/* Turns a large mapping into small ones, of the same frames. E_NOMEM; OK if there is none; E_AGAIN while pages are being put
 * together there. */
enum err pmap_split(struct pmap *p, gpa_t gpa) MUST_CHECK;

/* --- without the lock --- */

/* Copies the 512 pages from `first` on, a multiple of 512, into a large frame, and maps that. The guest reads on
 * meanwhile; who writes waits. One thread at a time for each Pmap. E_STATE: they are not all PRIVATE and mapped small, or
 * the VM is on its way to another host, which looks at its pages one by one.
 * E_NOMEM: the host has not plenty, or no such frame. */
enum err pmap_promote(struct pmap *p, u64 first) MUST_CHECK;

/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host borrows for one VM: the backing of its REMOTE and CACHED pages.
 *
 * A slot names one frame of the lender's. Its record has the pages that still need it, and the clean copy once there is
 * one, so that no frame is fetched twice, however many pages show it. A slot that no page needs is returned.
 *
 * Faults come by any thread (borrow_backing); the rest is the agent's. Order of locks: the Pmap's, then this. */
#pragma once
#include "kernel/config.h"
#include "kernel/list.h"
#include "kernel/lock.h"
#include "migrate/message.h"
#include "vmm/memory/backing.h"

#define BORROW_CHUNK     LEASE_CHUNK
#define BORROW_IN_FLIGHT 24 /* READs that nobody waits for */
#define BORROW_RETURNS   64 /* slots that are told of at once */

struct peer;
struct pmap;
struct vm;

enum slot_state { SLOT_LENT, SLOT_FETCHING, SLOT_HELD, SLOT_RETURNED };

struct slot {
    u32 users; /* pages that need it */
    u8 state;  /* enum slot_state */
    u32 page;  /* one of the pages, for which it is fetched in the background; U32_MAX: none */
    hpa_t
        copy; /* HELD: the clean copy; FETCHING: where it arrives. A FRAME_SHARED of the VM's group */
    hpa_t
        guess; /* a shared frame of this host that may hold the same, to be compared with what is read; or 0 */
};

struct borrow_chunk {
    u64 addr;
    u32 rkey, count;
    u32 returns; /* bits below */
    u64 to_return[BORROW_CHUNK / 64];
    struct slot slot[BORROW_CHUNK];
};

struct borrow_figures {
    u64 faults;   /* of vCPUs, on pages that were not here */
    u64 blocking; /* of these: a READ had to be waited for */
    u64 fetched_write, fetched_read, prefetched, drained; /* READs, by what for */
    u64 from_copy; /* pages that came from a copy, without a READ */
    u64 returned;  /* slots */
    u64 fetched_twice;
    u64 taken_over; /* slots whose content was here already */
};

struct borrow {
    bool used;
    bool active; /* the VM is this host's: slots may be fetched and returned */
    bool recalled;
    bool lost; /* the lender has lost them */
    bool over; /* the lender has all of them back */
    struct lock lock;
    struct epoch epoch;
    struct peer *peer;
    struct vm *vm;
    struct pmap *pmap;
    u16 group;
    char name[CONFIG_NAME];
    struct borrow_chunk **chunk; /* grows while the VM comes, and nobody fetches */
    u32 chunks, room;
    u32 to_return;       /* slots, in all chunks */
    u64 return_next;     /* ns: when to tell the lender, if they are few */
    struct list waiting; /* fills */
    u64 slots, left;     /* with users */
    u32 fetching;
    u64 cursor;     /* draining: the next page */
    u64 *used_last; /* a bit for each page that comes before these; NULL: none */
    u64 used_next;
    u64 drain_next;
    u64 prefetch, prefetch_end; /* pages to be fetched ahead of a sweep */
    u64 last_fault;
    u64 stuck_since; /* a vCPU waits and the lender does not answer */
    bool stuck_said;
    struct borrow_figures figures;
};

extern const struct backing borrow_backing;

void borrow_begin(struct borrow *b, struct peer *peer, const struct epoch *epoch, struct vm *vm,
                  struct pmap *pmap, const char *name);
/* The lender told of a chunk of slots. E_RANGE, E_NOMEM. */
enum err borrow_add_chunk(struct borrow *b, const struct message_chunk *m) MUST_CHECK;
/* Is there such a slot, to be used? Then it has a user more. */
bool borrow_use(struct borrow *b, u32 slot, u32 page);
/* A frame of this host, with a user, that may hold what the slot does; sure: it does, and pages can show it at once.
 * False: there is no such slot, or it has one; the user stays the caller's. */
bool borrow_guess(struct borrow *b, u32 slot, hpa_t frame, bool sure);
/* The frame that surely holds what the slot does, with a user for the caller; or 0. */
hpa_t borrow_sure(struct borrow *b, u32 slot);
bool borrow_has_guess(struct borrow *b, u32 slot);
/* What was said over the last link may be lost. */
void borrow_link_up(struct borrow *b);
/* These pages are drained first. False: they are not pages of that VM, or more than it has. */
bool borrow_prefer(struct borrow *b, const struct message_runs *m) MUST_CHECK;
/* From now on slots are fetched and returned. */
void borrow_activate(struct borrow *b);
/* Does what is due: what faults wait for, what is fetched ahead, draining, returns. Returns when next, ns. */
u64 borrow_poll(struct borrow *b);
/* No page needs a slot any more, and the lender knows, or has lost them. */
bool borrow_is_over(struct borrow *b);
void borrow_free(struct borrow *b);
/* Ends the faults that wait, with that error: the VM stands still, and is about to go. */
void borrow_abandon(struct borrow *b, enum err why);
/* The lender has lost what it lent: waiting vCPUs are told. */
void borrow_lose(struct borrow *b);

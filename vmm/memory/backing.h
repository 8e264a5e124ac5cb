/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the bytes of a page come from when a write needs them in a frame of the VM's own. Copy-on-write and remote
 * copy-on-write differ in their backing alone:
 *
 *     fault -> page state -> take a frame -> backing->fill -> commit the mapping -> wake who waits */
#pragma once
#include "kernel/err.h"
#include "kernel/list.h"

struct pmap;
struct fill;

struct backing {
    const char *name;
    /* Puts the page's bytes into fill->frame. A backing whose bytes are here is called with the Pmap's lock held, does so
     * at once and returns OK or an error. A remote one is called without the lock, returns OK when the work is on its
     * way, and ends it with pmap_fill_done, from any thread, once, also before it returns. */
    enum err (*fill)(struct fill *fill);
    /* Of the remote backing: a page does not need that slot any more. The Pmap's lock is held. */
    void (*left)(struct pmap *p, u32 slot);
};

/* One page on its way. */
struct fill {
    struct pmap *pmap;
    u64 index;                     /* the page, as pmap_index counts */
    hpa_t frame;                   /* to be filled; its user is the fill */
    hpa_t from;                    /* the frame that shows the page until now, or 0 */
    const struct backing *backing; /* NULL: this slot is free */
    bool cached;                   /* the page was only read: it becomes CACHED, and PRIVATE else */
    u32 slot;                      /* of a REMOTE page */
    struct list link;              /* the backing's */
    bool dropped;                  /* the page is gone: fill_done only gives the frame back */
};

/* All zeros. */
extern const struct backing backing_zero;
/* A copy of fill->from. */
extern const struct backing backing_frame;

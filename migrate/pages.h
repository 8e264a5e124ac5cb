/* SPDX-License-Identifier: BSD-2-Clause */
/* Which pages of a VM that moves go how. Every page is looked at once in a round, in the first because it has content, later
 * because something was written or happened to it; how it went the last time is remembered in 4 bytes.
 *
 *     private          WRITTEN into a frame that the target granted for it
 *     shared inside    one page, the leader, is written; the others are its aliases
 *     with users outside the VM      stays here: it is described by a slot of the lease
 *     lent by the target             is described as its own slot
 *     zeros            named, where the target has something else
 *
 * No message and no work of the target's for a page that is written again. */
#pragma once
#include "migrate/lease.h"
#include "migrate/link.h"

#define PAGES_GRANT 512 /* pages of a grant */
#define PAGES_ASKS  8   /* grants that are asked for at once */

struct move;
struct peer;

struct pages_grant {
    u64 addr;
    u32 rkey, count;
    bool given;
    struct pages_wanted *page; /* until they are written the first time */
};

struct pages_wanted {
    u32 index;
    hpa_t leads; /* a shared frame of which it is the leader, with a user; or 0 */
};

/* How a shared frame went: by a slot, or written for the page that leads. */
struct pages_way {
    u32 frame; /* its number; 0: free */
    u32 sent;  /* as of a page */
    u32 leader;
};

struct pages {
    struct move *move;
    struct lease *lease;
    u32 *sent; /* of each page: how it went */
    struct pages_grant *grant;
    u32 grants, room, asked; /* asked for; room for; not given yet */
    struct pages_way *way;   /* hashed by the frame */
    u64 way_mask, ways;
    u64 wants;              /* that were ever put into a grant */
    bool trusted;           /* the target wants MACs of what stays */
    struct key content_key; /* for these */
    u64 *mac;               /* of each slot */
    u32 macs, maced;        /* room for; those below are made */
    u64 cursor;
    bool attached;             /* the Pmap tells it of dirty pages */
    bool walking;              /* a round is under way */
    u32 write_grant, write_at; /* given grants are written up to there */
    struct pages_wanted want[PAGES_GRANT];
    u32 wanted;
    /* One WRITE in the making: pages first to first + frames - 1 of the grant. */
    struct {
        u32 grant, first, frames;
        hpa_t frame[LINK_FRAMES];
    } write;
    u32 in_flight;
    u64 written_bytes;
    bool broken; /* a WRITE failed: the link does, too */
    struct {
        u32 count;
        struct message_run_of run[MESSAGE_ROOM / sizeof(struct message_run_of)];
    } zero;
    struct {
        u32 count;
        struct message_alias_of alias[MESSAGE_ROOM / sizeof(struct message_alias_of)];
    } alias;
    struct {
        u32 count;
        bool unknown; /* a digest lacks */
        struct message_defer_of page[MESSAGE_ROOM / sizeof(struct message_defer_of)];
    } defer;
    struct {
        u32 count;
        struct epoch lease;
        struct message_home_of page[500];
    } home;
};

/* E_NOMEM. lease: where pages that stay get their slots. */
enum err pages_create(struct pages *g, struct move *m, struct lease *lease) MUST_CHECK;
/* The VM may go. */
void pages_detach(struct pages *g);
/* After nothing is in flight any more. */
void pages_destroy(struct pages *g);
/* Splits large mappings, and forgets which pages were used; to be called until done. */
enum err pages_prepare(struct pages *g, bool *done) MUST_CHECK;
/* A round begins: those pages are looked at that are marked now. */
void pages_begin_round(struct pages *g);
/* Goes on with it. *done: all of it has been acknowledged. E_AGAIN: there is no room for more now; a completion makes some.
 * E_NOMEM. */
enum err pages_step(struct pages *g, bool *done, struct why *why) MUST_CHECK;
/* When the VM runs there: tells which of the pages that stay it used since the migration began, as far as there is room for
 * messages. */
void pages_tell_used(struct pages *g);
/* The target granted frames. False: nobody asked. */
bool pages_granted(struct pages *g, const struct message_grant *m);

/* SPDX-License-Identifier: BSD-2-Clause */
/* What this host lends: frames that a VM which moved away still maps. Each has a slot, and a reference, so that nobody
 * here writes it. Slots lie behind keys, a chunk of them behind each; a chunk's key is closed when its last slot was
 * returned. Until it is closed the borrower can read all of its frames, so they keep their reference as long, also those
 * that were returned: nothing else gets into them. */
#pragma once
#include "drivers/net/verbs.h"
#include "kernel/config.h"
#include "migrate/message.h"

struct peer;

struct lease_chunk {
    struct verbs_mr *mr; /* NULL: not open yet, or ended */
    bool closing;        /* the key is ending, or has ended */
    struct verbs_end end;
    bool released;   /* it has ended, and the frames lost their reference */
    u32 count, left; /* slots that were given out; of these not returned */
    u64 returned[LEASE_CHUNK / 64];
    hpa_t frame[LEASE_CHUNK];
};

struct lease {
    bool used;
    bool lent; /* the migration is over */
    bool recalled;
    bool voided; /* ending: the borrower has no right to it any more */
    struct epoch epoch;
    struct peer *peer;
    char vm[CONFIG_NAME];
    struct lease_chunk **chunk;
    u32 chunks, room;
    u32 ending;                  /* chunks whose key is ending */
    struct lease_chunk *filling; /* the last one, while it takes more; or NULL */
    u64 slots, left;             /* given out; not returned */
};

/* Room for some slots more, LEASE_SOME at most: where their frames go, and the number of the first. NULL: there is no memory. */
#define LEASE_SOME 64
hpa_t *lease_room(struct lease *l, u32 *first);
/* So many of these are given out: their frames get a reference. Slots can be read by the peer when lease_open says so. */
void lease_add(struct lease *l, u32 count);
/* Is there a chunk whose slots are not open yet? Opens it, full or not; fills what the peer must be told. */
enum err lease_open(struct lease *l, struct message_chunk *m, bool *opened,
                    struct why *why) MUST_CHECK;
/* One more than the highest slot that there may be. */
static inline u64 lease_slots(const struct lease *l)
{
    return (u64)l->chunks * LEASE_CHUNK;
}
/* The frame of a slot, 0 where there is none, or it was returned. */
hpa_t lease_frame(const struct lease *l, u32 slot);
/* The borrower does not need them any more; it may say so twice. False: there are no such slots, or nobody was told of
 * them. */
bool lease_return(struct lease *l, u32 first, u32 count);
/* Ends it: keys first, then, by lease_poll, the frames lose their reference. */
void lease_void(struct lease *l);
/* Frees what has ended. true: there is something that ends; call again. */
bool lease_poll(struct lease *l);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages between the agents of two hosts: fixed little-endian layouts behind one header, each with a sequence
 * number and a MAC. They go by SEND over the control queue pair of a link, in order. What comes is checked here before
 * anybody looks at it: form and lengths by message_check, indices by whoever knows their limits. */
#pragma once
#include "kernel/config.h"
#include "kernel/crypto/crypto.h"

#define MESSAGE_SIZE    8192        /* with its header */
#define MESSAGE_FIXED   128         /* what no message has more of before its elements */
#define MESSAGE_MAGIC   0x59525246u /* "FRRY" */
#define MESSAGE_VERSION 1

enum message_type {
    MESSAGE_PING,         /* a sign of life */
    MESSAGE_PULL,         /* target: move that VM to me */
    MESSAGE_PULL_REFUSED, /* source: no, because */
    MESSAGE_OFFER,        /* source: may that VM come? */
    MESSAGE_ACCEPT,       /* target: yes */
    MESSAGE_REFUSE,       /* target: no, for these reasons */
    MESSAGE_ASK_GRANT,    /* source: frames for these pages, please */
    MESSAGE_GRANT,        /* target: write them there */
    MESSAGE_ZERO,         /* source: these pages hold zeros */
    MESSAGE_ALIAS,        /* source: these pages show the frame of that page */
    MESSAGE_CHUNK,        /* source: these slots of the lease are behind that key */
    MESSAGE_DEFER,        /* source: these pages stay here, in these slots */
    MESSAGE_HOME,         /* source: these pages are your own slots, of a lease of yours */
    MESSAGE_FINAL,        /* source: that was all; the state is written */
    MESSAGE_READY,        /* target: all is here, and checked */
    MESSAGE_RUN,          /* source: it is yours */
    MESSAGE_RUNNING,      /* target: it runs */
    MESSAGE_USED,         /* source, afterwards: these pages that stay were used last */
    MESSAGE_ABORT,        /* either: this migration has ended, the VM stays at the source */
    MESSAGE_DENY,         /* source: there is no such migration */
    MESSAGE_RETURN,       /* borrower: these slots are not needed any more */
    MESSAGE_RECALL,       /* lender: fetch what you have of mine */
    MESSAGE_LEASE_OVER,   /* lender: all slots are back */
    MESSAGE_ASK_HOLDER,   /* who wants to start a VM: do you hold it? */
    MESSAGE_HOLDER,       /* yes, or no, which binds; or: I want to start it, too */
    MESSAGE_TYPES
};
/* "ask-grant". Never NULL. */
const char *message_name(enum message_type type);

/* Bytes of a message with so many elements; of one that has none, whatever the count. */
u64 message_size(enum message_type type, u32 count);

struct message_header {
    u32 magic;
    u8 version;
    u8 type;  /* enum message_type */
    u16 size; /* of the whole message */
    u64 sequence;
    struct mac mac; /* of what is before it and what is behind */
};
ASSERT_SIZE(struct message_header, 32);
#define MESSAGE_MACED 16 /* bytes of the header before the MAC */

/* A migration, and the lease that comes of it: a host's boot, and a number that this boot has given. */
struct epoch {
    u64 incarnation; /* of the source */
    u64 n;
};
static inline bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
    return a->incarnation == b->incarnation && a->n == b->n;
}

/* All but PING, PULL, PULL_REFUSED, ASK_HOLDER and HOLDER begin with the epoch. Those with a variable part have its number of
 * elements behind it; the elements end the message. */
struct message_list {
    struct message_header h;
    struct epoch epoch;
    u32 count;
    u32 grant; /* of ASK_GRANT: its number */
};
ASSERT_SIZE(struct message_list, 56);
#define MESSAGE_ROOM (MESSAGE_SIZE - sizeof(struct message_list))

struct message_plain { /* READY, RUNNING, DENY, RECALL, LEASE_OVER */
    struct message_header h;
    struct epoch epoch;
};
struct message_pull {
    struct message_header h;
    char name[CONFIG_NAME];
};
enum holder_answer { HOLDER_DENIES, HOLDER_HAS_IT, HOLDER_ASKS_TOO };
struct message_holder { /* ASK_HOLDER, HOLDER */
    struct message_header h;
    char name[CONFIG_NAME];
    u64 round; /* of ASK_HOLDER; the answer repeats it */
    u32 held;  /* of HOLDER: enum holder_answer */
    u32 binds; /* of ASK_HOLDER: 1: a denial binds, 0: it does not */
};
struct
    message_text { /* REFUSE, ABORT: text of `count` characters; PULL_REFUSED, whose epoch is 0 */
    struct message_list l;
    char text[];
};
struct message_offer {
    struct message_list l; /* count: bytes of the description */
    char name[CONFIG_NAME];
    u64 memory;     /* bytes */
    u64 state_size; /* bytes that the state has at most */
    u8 description[];
};
struct message_accept {
    struct message_header h;
    struct epoch epoch;
    u64 state_addr; /* where the state is to be written */
    u32 state_rkey;
    u32 trusts; /* 1: a MAC of its content says what a page holds */
};
struct message_run_of { /* a run of pages, or of slots */
    u32 first, count;
};
struct message_runs { /* ASK_GRANT, ZERO, USED; RETURN: of slots */
    struct message_list l;
    struct message_run_of run[];
};
struct message_grant {
    struct message_header h;
    struct epoch epoch;
    u64 addr; /* of the first page of the grant; the others follow, 4 KiB each */
    u32 rkey;
    u32 grant;
};
struct message_alias_of {
    u32 page, as;
};
struct message_alias {
    struct message_list l;
    struct message_alias_of alias[];
};
/* What one DEFER names has room in a chunk, so that each is nearly full. */
#define LEASE_CHUNK 384
struct message_chunk {
    struct message_header h;
    struct epoch epoch;
    u64 addr; /* of the first slot; the others follow, 4 KiB each */
    u32 first_slot, count;
    u32 rkey;
    u32 reserved;
};
struct message_defer_of {
    u32 page, slot;
    u64 digest; /* page_hash by the group's key: a hint */
    u64 mac;    /* the first half of a MAC of the content, if the target trusts it; 0 else */
};
struct message_defer {
    struct message_list l;
    struct message_defer_of page[];
};
struct message_home_of {
    u32 page, slot;
};
struct message_home {
    struct message_list l;
    struct epoch lease; /* of the target's, that the slots are of */
    struct message_home_of page[];
};
struct message_final {
    struct message_header h;
    struct epoch epoch;
    u64 state_size;
    struct mac state_mac;
    u64 stood_ns; /* how long the VM has stood still */
};
struct message_go { /* RUN */
    struct message_header h;
    struct epoch epoch;
    u64 stood_ns;
};
struct message_ping {
    struct message_header h;
    u64 sent; /* the sender's clock, ns */
};
ASSERT_SIZE(struct message_plain, 48);
ASSERT_SIZE(struct message_pull, 64);
ASSERT_SIZE(struct message_holder, 80);
ASSERT_SIZE(struct message_offer, 104); /* the longest: MESSAGE_FIXED */
ASSERT_SIZE(struct message_accept, 64);
ASSERT_SIZE(struct message_grant, 64);
ASSERT_SIZE(struct message_chunk, 72);
ASSERT_SIZE(struct message_defer_of, 24);
ASSERT_SIZE(struct message_home, 72);
ASSERT_SIZE(struct message_final, 80);
ASSERT_SIZE(struct message_go, 56);
ASSERT_SIZE(struct message_ping, 40);

/* What a message says, cut where it does not fit; what a terminal would obey is a '?'. */
void message_read_text(const struct message_text *m, char *to, u32 size);
/* Is there a run, is none empty, do all lie below `end`, and are they `most` together at most? What a message asks for is
 * no more work then than there are pages or slots. */
bool message_runs_fit(const struct message_runs *m, u64 end, u64 most);
/* Adds a number to a list of runs: to the last one, if it follows. There is room for one more. */
void message_add_run(struct message_run_of *run, u32 *count, u32 n);

/* Fills the header, with the MAC. size: of the whole message. */
void message_seal(struct message_header *h, enum message_type type, u32 size, u64 sequence,
                  const struct key *key);
/* Is that a message of ours, whole, of the form that its type has, with that number, and authentic? E_FORMAT: its form;
 * E_STATE: its number (a replay, or one is missing); E_INVAL: its MAC. */
enum err message_check(const void *data, u32 size, u64 sequence, const struct key *key,
                       struct why *why) MUST_CHECK;

/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent of a host: meets the other hosts, and moves VMs to and from them (VMotion).
 *
 *     agent.c      messages to whom they concern; what becomes of migrations and leases when links come and go
 *     peer.c       the hello, and the links
 *     outgoing.c   the source's side of a migration;  pages.c: which pages go how
 *     incoming.c   the target's side
 *     holder.c     who has a VM, before one is started
 *     lease.c      frames of this host that another one borrows
 *     borrow.c     what this host borrows: the backing of REMOTE pages
 *
 * It does no I/O of its own: VMs, datagrams and chance are reached through struct agent_ops, memory through Pmaps, the
 * network through verbs. An agent is one object, and one thread drives it by agent_poll; the same source runs in the
 * hypervisor (host.c) and, many agents in one process, in the simulator. Times are ns by time_now. */
#pragma once
#include "migrate/borrow.h"
#include "migrate/lease.h"
#include "migrate/link.h"
#include "vmm/memory/pmap.h"

#define AGENT_MOVES   32 /* in each direction, with those of the last minute */
#define AGENT_LEASES  16
#define AGENT_BORROWS 16
#define AGENT_CLAIMS  CONFIG_MAX_VMS
#define AGENT_NAME    CONFIG_NAME
#define AGENT_TEXT    400

struct vm; /* whoever implements agent_ops knows what that is */
struct agent;

struct agent_ops {
    void (*datagram)(void *ctx, ip4_t to, const void *data, u32 size);
    bool (*random)(void *ctx, void *out, u32 size);
    /* agent_poll is wanted: something is there. Any thread. */
    void (*wake)(void *ctx);

    struct vm *(*find)(void *ctx, const char *name);
    /* Is there such a VM, and is it not off? */
    bool (*holds)(void *ctx, const char *name);
    /* Is it being started, so that it will not be off? */
    bool (*starts)(void *ctx, const char *name);
    /* Sees to it that a VM stays until it is unclaimed, ended or lost. One that was made is claimed. NULL: why says why. */
    struct vm *(*claim)(void *ctx, const char *name, struct why *why);
    void (*unclaim)(struct vm *vm);
    struct pmap *(*pmap)(struct vm *vm);
    /* May it move? If not, `text` names every reason, a sentence each. */
    bool (*may_leave)(struct vm *vm, char *text, u32 size);
    /* What another host must know to make it; bytes written, 0: it does not fit. */
    u32 (*describe)(struct vm *vm, void *to, u32 size);
    /* Makes a VM by that description, that waits for its memory and state. If it cannot come, `text` names every reason.
     * The description comes from the network. */
    struct vm *(*make)(void *ctx, const char *name, u64 memory, const void *description, u32 size,
                       char *text, u32 text_size);
    /* Stops its vCPUs for the hand-off, also those that wait for a page; and lets them go on again. */
    enum err (*stop)(struct vm *vm, struct why *why);
    /* For each hash of a page's content in that group: a shared frame of this host with that hash, and a user more, or 0. */
    void (*find_equal)(void *ctx, u16 group, const u64 *hash, hpa_t *frame, u32 count);
    void (*go_on)(struct vm *vm);
    /* While it is true, its pages are not merged. */
    void (*hold_merging)(struct vm *vm, bool hold);
    /* Slows it down by so many percent; 0: not any more. */
    void (*slow_down)(struct vm *vm, u32 percent);
    u64 (*state_size)(struct vm *vm);
    enum err (*save)(struct vm *vm, void *to, u64 *size);
    /* The guest's clocks go on by what it stood still, and from there on. */
    enum err (*load)(struct vm *vm, const void *from, u64 size, u64 stood_ns, struct why *why);
    /* Runs one whose state was loaded. */
    void (*run)(struct vm *vm);
    /* The VM is not this host's any more, or never was: it is gone with its memory. */
    void (*end)(struct vm *vm);
    /* It cannot go on, and why. */
    void (*lost)(struct vm *vm, const char *reason);
    /* Something that a user should know. */
    void (*say)(void *ctx, const char *text);
};

/* --- peers ---------------------------------------------------------------------------------------- */

enum peer_state { PEER_DOWN, PEER_ASKED, PEER_OPENED, PEER_UP };

/* It was said that a VM is not here. Until then it does not get here. */
struct denial {
    char vm[AGENT_NAME];
    u64 until;
};

struct peer {
    struct agent *agent;
    char name[AGENT_NAME];
    ip4_t address;
    struct key key;
    enum peer_state state;
    bool begins; /* this host says hello first */
    struct verbs_pd *pd;
    struct link *link; /* OPENED, UP */
    struct lock lock;  /* state and link, against faults of other threads; after a borrow's */
    struct hello_session session;
    struct hello_seen seen;
    struct hello opened; /* what was sent last: open or accept */
    u64 incarnation;     /* of the boot that was met last; 0: none yet */
    u64 next;            /* when there is something to do */
    u64 ping_next;
    u64 links, refused; /* that came up; datagrams and messages that were not believed */
    struct denial denial[AGENT_CLAIMS];
    char why[120]; /* why it is down */
};

/* --- migrations ----------------------------------------------------------------------------------- */

enum move_phase {
    MOVE_FREE,
    MOVE_OFFERED,   /* source: waits for accept */
    MOVE_COPYING,   /* rounds */
    MOVE_STOPPED,   /* the VM stands still; the last pages go */
    MOVE_CLOSING,   /* target: keys are being closed */
    MOVE_FINAL,     /* source: waits for ready. target: said ready, waits for run */
    MOVE_COMMITTED, /* source: repeats run until it hears running */
    MOVE_DONE,
    MOVE_ABORTED,
    MOVE_LOST,
    MOVE_PHASES
};
extern const char *const move_phase_name[MOVE_PHASES];

/* What a user sees of a migration, on either side. */
struct move_figures {
    u64 began, ended, stopped; /* ns; 0: not yet */
    u32 round;
    u64 pages_written;               /* page payloads by RDMA WRITE; resent ones again */
    u64 pages_resent;                /* of these */
    u64 pages_deferred;              /* shown as REMOTE at the target */
    u64 pages_alias;                 /* shared inside the VM: cross once */
    u64 pages_home;                  /* taken back without a transfer */
    u64 pages_taken_over;            /* found at the target */
    u64 description_bytes;           /* control messages that name pages */
    u64 nonzero_pages, shared_pages; /* at the beginning: not zeros; of these with users outside */
    u64 stop_messages, stop_pages;
    u64 downtime; /* ns */
    u64 rate;     /* bytes a second, measured */
};

struct outgoing;
struct incoming;

struct move {
    enum move_phase phase;
    struct epoch epoch;
    struct peer *peer;
    struct vm *vm;
    struct pmap *pmap;
    char name[AGENT_NAME];
    char text[AGENT_TEXT]; /* why it was refused, aborted or lost */
    struct move_figures figures;
    struct borrow_figures borrowed; /* target: what became of its REMOTE pages, when that is over */
    u64 next;                       /* when there is something to do */
    bool cancel;                    /* the user's wish */
    bool outgoing;
    bool abort_said; /* source, aborted: the target was told */
    union {
        struct outgoing *out; /* what only one side has */
        struct incoming *in;
    };
};

/* A VM that is to be started here, if no peer has it. */
struct claim {
    char name[AGENT_NAME]; /* "": free */
    bool granted;          /* nobody has it, or can get it */
    bool binds, complete;  /* this round's denials bind; all have denied in it */
    u64 round, asked;      /* the number of this round, and when it began */
    u64 denied;            /* bits of peers that have said in this round that they do not have it */
    u32 holder, rival;     /* 1 + the peer that has it, or asks for it, too; 0: none known */
    u64 next, until;       /* ns: when to ask again; when it is given up */
    u64 off_until[CONFIG_MAX_PEERS]; /* that peer is off, says the operator: good for so long */
};

struct agent {
    const struct agent_ops *ops;
    void *ctx;
    struct verbs_device *device;
    char name[AGENT_NAME];
    u64 incarnation, created; /* of this boot; ns */
    struct key cookie_key;
    struct peer peer[CONFIG_MAX_PEERS];
    u32 peers;
    struct list ending; /* links */
    struct move out[AGENT_MOVES], in[AGENT_MOVES];
    struct lease lease[AGENT_LEASES];
    struct borrow borrow[AGENT_BORROWS];
    struct claim claim[AGENT_CLAIMS];
    u32 moving, leases, borrows, claims; /* of these, how many there is something to do for */
    u64 last_n, last_round;              /* numbers of the last migration, and round of questions */
    u64 downtime_ns;                     /* limit */
    u64 drain_rate;                      /* pages a second; 0: not by itself */
    bool cache_reads;                    /* policy on-write; false: on-access */
    bool trusts;   /* a MAC says what a page holds: one that is here need not be read to be sure */
    u64 strangers; /* hellos of no peer */
};

/* --- for who drives it ------------------------------------------------------------------------------ */

#define AGENT_DOWNTIME   MSEC(300)
#define AGENT_DRAIN_RATE 1000

/* Zeroes it and sets it up. Without a device no peer is reached. E_UNSUPPORTED: no random numbers for nonces; E_NOMEM. */
enum err agent_create(struct agent *a, const char *name, struct verbs_device *device,
                      const struct agent_ops *ops, void *ctx, struct why *why) MUST_CHECK;
/* Before the first poll. */
enum err agent_add_peer(struct agent *a, const char *name, ip4_t address, const u8 key[KEY_SIZE],
                        struct why *why) MUST_CHECK;
/* A datagram to HELLO_PORT came. By the thread that polls. */
void agent_datagram(struct agent *a, ip4_t from, const void *data, u32 size);
/* Does what is due. Returns when it wants to be called again at the latest, ns; 0: at once. */
u64 agent_poll(struct agent *a);

/* --- commands: by the thread that polls ------------------------------------------------------------- */

enum err agent_move_to(struct agent *a, const char *vm, const char *host, struct move **move,
                       struct why *why) MUST_CHECK;
enum err agent_move_from(struct agent *a, const char *vm, const char *host,
                         struct why *why) MUST_CHECK;
enum err agent_cancel(struct agent *a, const char *vm, struct why *why) MUST_CHECK;
/* May a VM that is off be started here: does no peer have it? E_AGAIN: not all have said so yet; ask again, within 10 s.
 * E_EXIST: one has it. After OK the VM counts as held here for 10 s, and then if it runs. */
enum err agent_may_start(struct agent *a, const char *vm, struct why *why) MUST_CHECK;
/* The operator's word that a host is off and will not come back with its present boot: for a VM that came from there and
 * waits to hear whether it may run, and for one that is to be started. For that one it is good for a minute. */
enum err agent_peer_is_off(struct agent *a, const char *vm, const char *host,
                           struct why *why) MUST_CHECK;
/* Asks borrowers to fetch what they have of this host's. */
void agent_recall(struct agent *a);

/* --- between the parts -------------------------------------------------------------------------------- */

/* peer.c */
struct peer *agent_peer(struct agent *a, const char *name);
u64 peer_poll(struct peer *p);
/* Sends a message without elements: READY, RUNNING, DENY, RECALL. */
void peer_send_plain(struct peer *p, enum message_type type, const struct epoch *e);
void peer_send_text(struct peer *p, enum message_type type, const struct epoch *e,
                    const char *text);
/* Can messages of many pages be sent now, so that room is left for answers? */
bool peer_has_room(const struct peer *p);

/* The key for the MAC of a VM's state that moves. */
struct key peer_state_key(const struct peer *p, const struct epoch *e);
/* The key for MACs of what pages hold, between this host and that one. */
struct key peer_content_key(const struct peer *p);

/* agent.c */
struct move *agent_find_move(struct move *moves, const struct peer *p, const struct epoch *e);
struct lease *agent_find_lease(const struct peer *p, const struct epoch *e);
void agent_say(struct agent *a, const char *format, ...) PRINTF_LIKE(2, 3);
/* The migration of a VM from here that still needs it, also while the last pages of one that was aborted are on their way;
 * or NULL. */
struct move *agent_leaving(struct agent *a, const struct vm *vm);
/* A migration that goes on, in either direction, of that VM or (NULL) any; or NULL. */
struct move *agent_active_move(struct agent *a, const char *vm);
/* For link_poll: what came over a link; ctx is the peer. */
void agent_message(void *ctx, struct link *l, const struct message_header *h);
void incoming_marker(void *ctx, struct link *l, u32 value);
/* A VM is needed: by a migration, or because it shows what is borrowed. */
struct vm *agent_claim(struct agent *a, const char *name, struct why *why);
/* Is it not needed any more? */
void agent_unclaim(struct agent *a, struct vm *vm);
/* It is gone. */
void agent_forget(struct agent *a, const struct vm *vm);
/* The link is up, with that boot of the peer; the link is gone. */
void agent_link_up(struct peer *p, bool same_incarnation);
void agent_link_down(struct peer *p);

/* holder.c */
void holder_message(struct peer *p, const struct message_holder *m);
u64 holder_poll(struct agent *a);
/* There is one more to ask; one that may be another boot when it answers again. */
void holder_link_up(struct peer *p);
void holder_link_down(struct peer *p);
/* It runs here: it needs no claim any more. */
void holder_runs(struct agent *a, const char *vm);
/* When what the host said before its boot binds it no more: before that it meets no other host. */
u64 holder_meets_from(const struct agent *a);
/* May it come from there? False: text says why not. */
bool holder_may_come(struct peer *from, const char *vm, char *text, u32 size);
/* The operator's word; false: no such VM is to be started. */
bool holder_peer_is_off(struct peer *p, const char *vm);

/* outgoing.c, incoming.c: a message for that migration; what is due (returns when next). */
u64 outgoing_poll(struct move *m);
u64 incoming_poll(struct move *m);
void outgoing_message(struct move *m, const struct message_header *h);
void incoming_message(struct move *m, const struct message_header *h);
void incoming_offer(struct peer *p, const struct message_offer *o);
void outgoing_pull(struct peer *p, const struct message_pull *pull);
enum err outgoing_begin(struct agent *a, const char *name, struct peer *p, struct move **move,
                        struct why *why) MUST_CHECK;
void outgoing_link_down(struct move *m);
void incoming_link_down(struct move *m);
void outgoing_link_up(struct move *m);
void incoming_link_up(struct move *m, bool same_incarnation);
void outgoing_abort(struct move *m, const char *text);
void incoming_abort(struct move *m, const char *text);

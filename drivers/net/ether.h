/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet NICs: what a driver offers, and what is built on it.
 *
 * A NIC has a thread that polls it, hands each frame to one receiver, and gives the services (IP, soft-RoCE)
 * their turn. It polls on while there is something to do, for SPIN_TIME after that while a service is busy,
 * then sleeps on a timer: EXPECT_PERIOD while a frame is likely, else IDLE_PERIOD. So an idle host halts.
 *
 * Frames begin with the Ethernet header and have no FCS. Buffers for sending belong to the NIC: who takes one
 * has it until it is sent or given back. Any thread may send; receivers and services run on the NIC's thread,
 * without a lock, and may send. Sizes are in bytes. */
#pragma once
#include "drivers/net/be.h"
#include "kernel/err.h"
#include "kernel/lock.h"
#include "kernel/thread.h"

typedef struct {
    u8 b[6];
} mac_t;
#define MAC_BROADCAST ((mac_t){{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
#define MAC_TEXT      18 /* of "52:54:00:12:34:56" with its end */
const char *mac_text(char text[MAC_TEXT], mac_t mac);
static inline bool mac_equal(mac_t a, mac_t b)
{
    return !memcmp(a.b, b.b, sizeof(a.b));
}

struct ether_header {
    mac_t to, from;
    be16_t type;
};
ASSERT_SIZE(struct ether_header, 14);
#define ETHER_HEADER 14
#define ETHER_MIN    60   /* a shorter frame is padded */
#define ETHER_MTU    1500 /* behind the header */

struct ether;

struct ether_ops {
    /* One at a time, under the NIC's lock. */
    u8 *(*take)(struct ether *e); /* a buffer for a whole frame, or NULL */
    void (*give_back)(struct ether *e, u8 *buffer);
    void (*send)(struct ether *e, u8 *buffer, u32 size); /* ETHER_MIN and more */
    bool (*link)(struct ether *e);
    /* By the NIC's thread only: calls ether_received for up to `budget` frames; how many there were. */
    unsigned (*poll)(struct ether *e, unsigned budget);
};

struct ether_counters {
    u64 received, received_bytes, sent, sent_bytes;
    u64 bad;     /* received with an error, or not in one piece */
    u64 missed;  /* there was no room for them in the NIC */
    u64 no_room; /* to be sent, and no buffer was free */
};

/* What has its turn on a NIC's thread. */
struct ether_service {
    bool (*poll)(struct ether_service *s);    /* true: there is more to do at once */
    u64 (*deadline)(struct ether_service *s); /* ns by which it wants poll; U64_MAX: none */
    bool (*busy)(struct ether_service *s);    /* waits for frames: poll on; may be NULL */
    struct ether_service *next;
};

struct ether {
    const char *name; /* of its driver */
    mac_t mac;
    u32 mtu;
    const struct ether_ops *ops;
    struct ether_counters counters;
    struct lock lock;
    struct thread *thread;
    void (*receive)(void *ctx, const u8 *frame, u32 size);
    void *receive_ctx;
    struct ether_service *services;
    u64 active_ns; /* when something last came or was sent */
    bool link;     /* as last seen */
};

/* --- for drivers ------------------------------------------------------------------------------- */

/* The NIC works. Only the first is used. E_EXIST, E_NOMEM. */
enum err ether_register(struct ether *e, struct why *why) MUST_CHECK;
/* A frame came in, good until this returns. */
void ether_received(struct ether *e, const u8 *frame, u32 size);

/* --- for what is built on it --------------------------------------------------------------------- */

/* The NIC of this host, or NULL. */
struct ether *ether_host(void);
/* From then on the service has its turns, and for good. At start-up or later, by one thread at a time. */
void ether_add_service(struct ether *e, struct ether_service *s);
/* Starts the NIC's thread, once; the receiver is set before. */
enum err ether_start(struct ether *e) MUST_CHECK;
/* A buffer for a frame of mtu + ETHER_HEADER bytes; NULL: none is free now. */
u8 *ether_take(struct ether *e);
void ether_give_back(struct ether *e, u8 *buffer);
/* Sends a buffer that was taken, and pads it. */
void ether_send(struct ether *e, u8 *buffer, u32 size);
/* A service has something new to do: wakes the NIC's thread. */
void ether_kick(struct ether *e);
/* One turn of the NIC's thread; true if there was something to do. */
bool ether_turn(struct ether *e);

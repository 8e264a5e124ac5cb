/* SPDX-License-Identifier: BSD-2-Clause */
/* A small IPv4 over one NIC: neighbours by ARP, echo both ways, UDP.
 *
 *     udp_bind        a handler for a port; it gets the whole frame with offsets, on the NIC's thread, and may send
 *     udp_send        one datagram; if the neighbour is not known yet, it is sent when he answers
 *     ip_resolve      an address to a MAC, for who writes frames of his own (ether_take, ether_send)
 *
 * Any thread may call these. The stack's lock is taken inside; handlers and callbacks run without it, on the
 * NIC's thread. Addresses outside of our network have no route: there is no gateway. Times are ns by time_now. */
#pragma once
#include "drivers/net/ip/packet.h"

#define IP_NEIGHBOURS   64
#define IP_PORTS        16
#define IP_HELD         16 /* frames that wait for a neighbour */
#define IP_MAX_DATA     (ETHER_MTU - 28)
#define NEIGHBOUR_LIFE  SEC(60)
#define NEIGHBOUR_FRESH SEC(45) /* after that a use asks again, while the old answer still serves */
#define ARP_PERIOD      MSEC(200)
#define ARP_TRIES       5
#define CONFLICT_PERIOD SEC(10) /* in which a duplicate address is told and defended once */

enum neighbour_state { NEIGHBOUR_FREE, NEIGHBOUR_ASKED, NEIGHBOUR_KNOWN };
struct neighbour {
    enum neighbour_state state;
    ip4_t address;
    mac_t mac;
    u64 since;    /* of the last answer, or of the first question */
    u64 ask_next; /* the next question, while it is asked */
    u64 used;     /* the least lately used one gives way */
    u32 tries;
    u8 *held; /* a frame that waits for the answer, or NULL */
    u32 held_size;
};

/* One question for a MAC. The owner sets address, deadline, done; done is called once, with result. */
struct ip_resolve {
    struct list link;
    ip4_t address;
    u64 deadline; /* ns */
    void (*done)(struct ip_resolve *r);
    enum err result; /* OK, or E_TIMEOUT */
    mac_t mac;
};

typedef void udp_handler(void *ctx, const struct udp_datagram *d);
struct udp_port {
    u16 port; /* 0: free */
    udp_handler *handler;
    void *ctx;
    u32 running; /* the handler runs now */
    u64 received;
};

/* An echo that somebody waits for. */
struct ip_ping {
    u16 id, sequence;
    u64 answered; /* ns; 0: not yet */
    u8 ttl;
    bool waiting;
};

struct ip {
    struct ether *ether;
    ip4_t address;
    u8 prefix;
    struct lock lock;
    struct neighbour neighbour[IP_NEIGHBOURS];
    struct list resolving;
    struct udp_port port[IP_PORTS];
    struct ip_ping ping;
    struct ether_service service;
    u16 next_id;
    u32 held;
    u64 announce_next; /* the next announcement of our own address; U64_MAX: no more */
    u32 announced;
    u64 conflict_time; /* when another host with our address was last told of, or 0 */
    mac_t conflict;
    u64 conflicts;
    u64 dropped[IP_DROP_COUNT]; /* [IP_TAKEN]: packets that were taken */
    u64 udp_sent, echo_answered;
};

/* Begins: makes itself the NIC's receiver and service, and announces the address. Zeroed before. */
void ip_start(struct ip *ip, struct ether *e, ip4_t address, u8 prefix);
/* The stack of this host, or NULL while it has no NIC or no address. */
struct ip *ip_host(void);
/* Why ip_host() is NULL, as a sentence; returns E_STATE. */
enum err ip_host_missing(struct why *why);

/* For the NIC: a frame came in. */
void ip_receive(struct ip *ip, const u8 *frame, u32 size);
/* For its service: questions to repeat, what is over. */
void ip_tick(struct ip *ip, u64 now);
u64 ip_deadline(struct ip *ip);

/* --- UDP ------------------------------------------------------------------------------------------- */

/* E_EXIST where somebody listens, E_NOMEM where all places are taken. */
enum err udp_bind(struct ip *ip, u16 port, udp_handler *handler, void *ctx) MUST_CHECK;
/* Afterwards the handler does not run; not from the handler itself. */
void udp_unbind(struct ip *ip, u16 port);
/* E_RANGE: more than IP_MAX_DATA, or an address outside of our network. E_NOMEM: no buffer is free now. */
enum err udp_send(struct ip *ip, ip4_t to, u16 from_port, u16 to_port, const void *data,
                  u32 size) MUST_CHECK;

/* --- neighbours ------------------------------------------------------------------------------------ */

/* E_RANGE: outside of our network, or not a host's address; then done is not called. It may be called before this
 * returns. */
enum err ip_resolve_start(struct ip *ip, struct ip_resolve *r) MUST_CHECK;
/* Afterwards done is not called; it may run at this moment. */
void ip_resolve_cancel(struct ip *ip, struct ip_resolve *r);
/* The same for threads: waits. */
enum err ip_resolve(struct ip *ip, ip4_t address, u64 timeout_ns, mac_t *mac,
                    struct why *why) MUST_CHECK;
/* The MAC if it is known now; else asks for it. */
bool ip_lookup(struct ip *ip, ip4_t address, mac_t *mac);
/* Is that another host's address in our network? If not, says why. */
enum err ip_reachable(const struct ip *ip, ip4_t address, struct why *why);

/* --- between the parts of the stack ------------------------------------------------------------------ */

/* arp.c. The lock is held in these three. */
void arp_forget_all(struct ip *ip);
void arp_announce(struct ip *ip);
/* Sends a frame to an address, when its MAC is known. Takes the lock. */
void arp_send_to(struct ip *ip, ip4_t to, u8 *frame, u32 size);
enum ip_drop arp_receive(struct ip *ip, const u8 *frame, u32 size);
void arp_tick(struct ip *ip, u64 now);
u64 arp_deadline(struct ip *ip);
/* Sends an echo request with data_size bytes of a pattern; ping says what came of it. */
enum err ip_ping_send(struct ip *ip, ip4_t to, u16 sequence, u32 data_size) MUST_CHECK;

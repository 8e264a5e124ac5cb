/* SPDX-License-Identifier: BSD-2-Clause */
/* How two hosts meet: four datagrams, after which both know that the other has their common key and which boot of it
 * this is, and have two queue pairs' worth of addresses. The host whose name comes first begins.
 *
 *     ask       names, incarnation, nonce                                   anybody can send it ...
 *     cookie    the answerer's nonce and a MAC over the asker's address     ... and nothing is remembered of it
 *     open      all of that again, the asker's end, and a MAC by the common key
 *     accept    the answerer's end, and a MAC
 *
 * Lost ones are repeated: ask and open by who begins; accept answers each open of the session that is there. An open of
 * one that has ended is refused: it came late, or somebody says it again.
 * The keys of a session are derived (HKDF) from the common key, both nonces, names and incarnations. Pure functions. */
#pragma once
#include "drivers/net/ip/packet.h"
#include "kernel/config.h"
#include "kernel/crypto/crypto.h"

#define HELLO_PORT    18516       /* UDP */
#define HELLO_MAGIC   0x4f4c4c48u /* "HLLO" */
#define HELLO_VERSION 2
#define HELLO_QPS     3 /* of a link: one for control, the others for data */

enum hello_kind { HELLO_ASK, HELLO_COOKIE, HELLO_OPEN, HELLO_ACCEPT, HELLO_KINDS };

struct hello_nonce {
    u8 b[16];
};

/* Where an end of a link can be reached. */
struct hello_end {
    u8 gid[16];
    u32 mtu; /* path MTU, bytes */
    struct {
        u32 qpn, psn;
    } qp[HELLO_QPS];
    u8 mac[6]; /* of its port: ARP would find the NIC's */
    u8 reserved[6];
};
ASSERT_SIZE(struct hello_end, 56);

/* What both ends of a session know; the asker's first. */
struct hello_session {
    char name[2][CONFIG_NAME];
    u64 incarnation[2];
    struct hello_nonce nonce[2];
};
ASSERT_SIZE(struct hello_session, 112);

struct hello {
    u32 magic;
    u8 version;
    u8 kind;
    u16 size;
    struct hello_session session; /* ask: without what is the answerer's */
    struct mac cookie;            /* cookie, open, accept */
    struct hello_end end;         /* open, accept */
    struct mac mac;               /* open, accept: of all before it */
};
ASSERT_SIZE(struct hello, 208);

/* Copies a datagram; false: it is none of ours, or has no proper names. */
bool hello_read(struct hello *h, const void *data, u32 size) MUST_CHECK;
void hello_fill(struct hello *h, enum hello_kind kind, const struct hello_session *s);
/* The answerer's nonce and cookie for an ask from that address, as they are for some seconds from `now` on; by a key that
 * only the answerer has. */
struct hello_nonce hello_nonce_for(const struct key *own, ip4_t from, const struct hello_session *s,
                                   u64 slot);
struct mac hello_cookie_for(const struct key *own, ip4_t from, const struct hello_session *s);
u64 hello_slot(u64 now);
/* Was this session's nonce given to that address lately? */
bool hello_is_fresh(const struct key *own, ip4_t from, const struct hello *h, u64 now);

/* The sessions that one peer has opened lately, by the answerer's nonce: each is opened once, as its keys are. Zeroed at
 * first. A peer that opens HELLO_SESSIONS within the time that a nonce is fresh has to wait. */
#define HELLO_SESSIONS 32
struct hello_seen {
    struct {
        struct hello_nonce nonce;
        u64 until; /* ns */
    } session[HELLO_SESSIONS];
};
/* Notes that a session, which is fresh, is opened. false: it was opened before, or there is no room to note it. */
bool hello_is_first(struct hello_seen *seen, const struct hello_session *s, u64 now) MUST_CHECK;

void hello_seal(struct hello *h, const struct key *common);
bool hello_is_authentic(const struct hello *h, const struct key *common);
/* The key by which the end with that number (0: the asker) seals its control messages. */
struct key hello_control_key(const struct hello_session *s, const struct key *common,
                             unsigned sender);

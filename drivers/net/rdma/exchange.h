/* SPDX-License-Identifier: BSD-2-Clause */
/* How two ends of an RDMA connection find each other: text over UDP, as docs/rdma-exchange.md has it. Reading and writing
 * of one message; pure functions, and what is read may be anything. */
#pragma once
#include "kernel/err.h"

#define RDMA_PORT    18515 /* UDP */
#define RDMA_TEXT    480   /* bytes of a message at most, with the end of the string */
#define RDMA_MESSAGE MIB(1)
#define RDMA_REASON  120

enum rdma_word { RDMA_HELLO, RDMA_READY, RDMA_REFUSED, RDMA_BYE, RDMA_GONE, RDMA_WORDS };
/* "hello". Never NULL. */
const char *rdma_word_name(enum rdma_word word);

enum rdma_mode {
    RDMA_SINK, /* takes messages */
    RDMA_ECHO, /* and sends each back, with its immediate */
};

/* One end, as it tells the other. */
struct rdma_end {
    u32 qpn, psn;
    u8 gid[16];
    u8 mac[6]; /* of the port; zeros: that of the GID's address is asked for (ARP) */
    u32 mtu;   /* path MTU, bytes */
    u64 addr;  /* of the region that the other may use */
    u32 key;
    u64 length;  /* of the region, bytes */
    u32 message; /* bytes that a SEND may have */
    u32 mode;    /* enum rdma_mode; in a hello: what it asks for */
    u32 access;  /* ACCESS_*, of the region; in a hello: what it asks for */
};

struct rdma_text {
    enum rdma_word word;
    u32 id;                   /* of the connection: chosen by who says hello */
    struct rdma_end end;      /* of hello and ready */
    char reason[RDMA_REASON]; /* of refused */
};

/* Reads a datagram of that size. E_FORMAT says what is wrong; t is undefined then. */
enum err rdma_text_read(struct rdma_text *t, const void *data, u32 size,
                        struct why *why) MUST_CHECK;
/* Returns its length; it always fits. */
u32 rdma_text_write(char text[RDMA_TEXT], const struct rdma_text *t);

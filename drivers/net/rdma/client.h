/* SPDX-License-Identifier: BSD-2-Clause */
/* The end that asks: finds a host that runs `rdma listen`, connects, and does work one by one or many at a time. For the
 * shell's thread: Ctrl-C ends every wait. One at a time. */
#pragma once
#include "drivers/net/rdma/link.h"

#define RDMA_PATIENCE SEC(30) /* without any completion */

struct rdma_client {
    struct rdma_link link;
    struct ip *ip;
    ip4_t host;
    u32 id;
    bool connected;
    u32 sends, recvs; /* completions so far */
    struct verbs_wc last_send, last_recv;
};

/* Connects to the host of that name, an IPv4 address. Afterwards, and after a refusal too, rdma_client_end. */
enum err rdma_client_begin(struct rdma_client *c, const char *host, enum rdma_mode mode, u32 access,
                           u32 message, struct why *why) MUST_CHECK;
void rdma_client_end(struct rdma_client *c);
/* A sign of life: the other end ends connections of which it hears nothing. */
void rdma_client_alive(struct rdma_client *c);
/* Waits until so many completions of each kind have come. E_IO: one of them says that its work failed; E_TIMEOUT. */
enum err rdma_client_wait(struct rdma_client *c, u32 sends, u32 recvs, struct why *why) MUST_CHECK;
/* Posts one and waits for it. */
enum err rdma_client_do(struct rdma_client *c, const struct verbs_send_wr *wr, u64 offset,
                        u32 length, struct why *why) MUST_CHECK;

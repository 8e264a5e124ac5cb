/* SPDX-License-Identifier: BSD-2-Clause */
/* `rdma ping`: messages that another host sends back. */
#include "drivers/net/rdma/client.h"
#include "kernel/console.h"
#include "kernel/shell.h"

#define PINGS     4
#define PING_SIZE 64

static enum err ping_once(struct rdma_client *c, u32 number, struct why *why)
{
    struct verbs_send_wr wr = {.opcode = WR_SEND_WITH_IMM, .imm = number};
    u64 start = time_now(), took;
    u32 slot;
    enum err e;

    memset(c->link.at + LINK_SOURCE, (int)number, PING_SIZE);
    e = rdma_link_post(&c->link, &wr, LINK_SOURCE, PING_SIZE, why);
    if (!e)
        e = rdma_client_wait(c, c->sends + 1, c->recvs + 1, why);
    if (e)
        return e;
    took = time_now() - start;
    slot = (u32)c->last_recv.wr_id;
    if (c->last_recv.imm != number || c->last_recv.byte_len != PING_SIZE ||
        memcmp(rdma_link_slot(&c->link, slot), c->link.at + LINK_SOURCE, PING_SIZE) != 0)
        return why_set(why, E_FORMAT, "other bytes came back than were sent");
    console_printf("%u bytes came back: message %u, %llu.%03llu ms\n", PING_SIZE, number,
                   (unsigned long long)(took / MSEC(1)),
                   (unsigned long long)(took / USEC(1) % 1000));
    return rdma_link_post_recv(&c->link, slot, why);
}

static enum err run_ping(unsigned argc, char **argv, struct why *why)
{
    struct rdma_client c;
    enum err e = rdma_client_begin(&c, argv[0], RDMA_ECHO, ACCESS_ALL, PING_SIZE, why);

    (void)argc;
    for (u32 i = 1; !e && i <= PINGS; i++)
        e = ping_once(&c, i, why);
    rdma_client_end(&c);
    return e;
}
SHELL_COMMAND(
    rdma_ping, .name = "rdma ping", .args = "HOST", .min = 1, .max = 1, .run = run_ping,
    .help = "send messages by RDMA to a host that listens", .complete = {shell_complete_nothing},
    .more = "Four messages of 64 bytes, which `rdma listen` of the other host sends back.");

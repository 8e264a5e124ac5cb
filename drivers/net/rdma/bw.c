/* SPDX-License-Identifier: BSD-2-Clause */
/* `rdma bw`: how fast one operation goes. */
#include "drivers/net/rdma/client.h"
#include "kernel/console.h"
#include "kernel/shell.h"

#define COUNT_MOST 1000000

struct bw {
    struct rdma_client c;
    enum wr_opcode opcode;
    u32 size, count, posted;
    u64 start, told; /* ns */
};

static const struct operation {
    const char *name;
    enum wr_opcode opcode;
} operations[] = {
    {"write", WR_RDMA_WRITE},
    {"read", WR_RDMA_READ},
    {"send", WR_SEND},
    {"atomic", WR_ATOMIC_FETCH_AND_ADD},
};

static const struct operation *find_operation(const char *name)
{
    for (unsigned i = 0; i < COUNT_OF(operations); i++)
        if (str_equal(name, operations[i].name))
            return &operations[i];
    return NULL;
}

static enum err read_arguments(struct bw *b, char **argv, struct why *why)
{
    const struct operation *o = find_operation(argv[1]);
    u64 size, count;

    if (!o)
        return why_set(why, E_INVAL, "'%s' is none of write, read, send, atomic", argv[1]);
    if (!str_to_size(argv[2], &size) || !size || size > RDMA_MESSAGE)
        return why_set(why, E_RANGE, "size '%s' is not from 1 to 1M", argv[2]);
    if (o->opcode == WR_ATOMIC_FETCH_AND_ADD && size != 8)
        return why_set(why, E_INVAL, "an atomic has 8 bytes, not %s", argv[2]);
    if (!str_to_u64(argv[3], &count) || !count || count > COUNT_MOST)
        return why_set(why, E_RANGE, "count '%s' is not from 1 to %u", argv[3], COUNT_MOST);
    b->opcode = o->opcode;
    b->size = (u32)size;
    b->count = (u32)count;
    return OK;
}

static void print_progress(struct bw *b)
{
    u64 now = time_now(), ms = (now - b->start) / MSEC(1);
    u64 bytes = (u64)b->c.sends * b->size;

    if (now - b->told < SEC(1))
        return;
    b->told = now;
    rdma_client_alive(&b->c);
    console_printf("\r%u of %u messages, %llu KB/s   ", b->c.sends, b->count,
                   (unsigned long long)(bytes / (ms ? ms : 1)));
}

static enum err post_one(struct bw *b, struct why *why)
{
    const struct rdma_end *to = &b->c.link.theirs;
    struct verbs_send_wr wr = {
        .opcode = b->opcode, .remote_addr = to->addr, .rkey = to->key, .compare_add = 1};

    b->posted++;
    return rdma_link_post(&b->c.link, &wr, LINK_SOURCE, b->size, why);
}

static enum err transfer(struct bw *b, struct why *why)
{
    enum err e = OK;

    b->start = b->told = time_now();
    while (!e && b->c.sends < b->count) {
        while (!e && b->posted < b->count && b->posted - b->c.sends < LINK_SENDS)
            e = post_one(b, why);
        if (!e)
            e = rdma_client_wait(&b->c, b->c.sends + 1, 0, why);
        print_progress(b);
    }
    return e;
}

/* A pattern, at the other end before the first READ. */
static enum err prepare(struct bw *b, struct why *why)
{
    const struct rdma_end *to = &b->c.link.theirs;
    struct verbs_send_wr wr = {.opcode = WR_RDMA_WRITE, .remote_addr = to->addr, .rkey = to->key};
    u8 *source = b->c.link.at + LINK_SOURCE;
    enum err e = OK;

    for (u32 i = 0; i < b->size; i++)
        source[i] = (u8)(i * 7 + (i >> 8) + 1);
    if (b->opcode != WR_RDMA_READ)
        return OK;
    e = rdma_client_do(&b->c, &wr, LINK_SOURCE, b->size, why);
    memset(source, 0, b->size);
    b->c.sends = 0;
    return e;
}

/* What the other end has, or what was read, is what was there; atomics have counted each other. */
static enum err check(struct bw *b, struct why *why)
{
    const struct rdma_end *to = &b->c.link.theirs;
    struct verbs_send_wr wr = {.opcode = WR_RDMA_READ, .remote_addr = to->addr, .rkey = to->key};
    u8 *source = b->c.link.at + LINK_SOURCE;
    u64 last;
    enum err e;

    if (b->opcode == WR_SEND)
        return OK;
    e = rdma_client_do(&b->c, &wr, LINK_SOURCE, b->size, why);
    if (e)
        return e;
    memcpy(&last, source, sizeof(last));
    if (b->opcode == WR_ATOMIC_FETCH_AND_ADD)
        return last == b->count ? OK
                                : why_set(why, E_IO, "%u additions made %llu", b->count,
                                          (unsigned long long)last);
    for (u32 i = 0; i < b->size; i++)
        if (source[i] != (u8)(i * 7 + (i >> 8) + 1))
            return why_set(why, E_IO, "byte %u is not what it was", i);
    return OK;
}

static u64 resent(struct verbs_device *device)
{
    return device->ops->resent ? device->ops->resent(device) : 0;
}

static enum err measure(struct bw *b, struct why *why)
{
    struct verbs_device *device = b->c.link.device;
    u64 before = resent(device), bytes, us;
    enum err e = prepare(b, why);

    if (!e)
        e = transfer(b, why);
    if (e)
        return e;
    us = MAX((time_now() - b->start) / USEC(1), 1);
    bytes = (u64)b->count * b->size;
    e = check(b, why);
    if (e)
        return e;
    console_printf("\r%llu bytes in %u messages, %llu.%03llu s, %llu.%02llu MB/s",
                   (unsigned long long)bytes, b->count, (unsigned long long)(us / 1000000),
                   (unsigned long long)(us / 1000 % 1000), (unsigned long long)(bytes / us),
                   (unsigned long long)(bytes * 100 / us % 100));
    if (device->ops->resent)
        console_printf(", %llu packets resent", (unsigned long long)(resent(device) - before));
    console_print("\n");
    return OK;
}

static enum err run_bw(unsigned argc, char **argv, struct why *why)
{
    struct bw b = {.size = 0};
    enum err e = read_arguments(&b, argv, why);

    (void)argc;
    if (e)
        return e;
    e = rdma_client_begin(&b.c, argv[0], RDMA_SINK, ACCESS_ALL, b.size, why);
    if (!e)
        e = measure(&b, why);
    rdma_client_end(&b.c);
    return e;
}

static void complete_operation(struct shell_completion *c)
{
    for (unsigned i = 0; i < COUNT_OF(operations); i++)
        shell_offer(c, "", operations[i].name);
}
SHELL_COMMAND(
    rdma_bw, .name = "rdma bw", .args = "HOST write|read|send|atomic SIZE COUNT", .min = 4,
    .max = 4, .run = run_bw, .help = "how fast a host that listens is by RDMA",
    .complete = {shell_complete_nothing, complete_operation, shell_complete_nothing},
    .more =
        "SIZE is up to 1M, of an atomic 8. What was written, read or added is checked at the end. "
        "Ctrl-C ends it.");

/* SPDX-License-Identifier: BSD-2-Clause */
/* The matrix: every operation at the sizes where packets begin and end, with its data, and what must be refused. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rxe.h"

#define PATIENCE 60.0
#define MIB      (1u << 20)

static struct client {
    struct link link;
    int socket;
    unsigned id, recvs, sends;
    struct ibv_wc send, recv;
} c;
static unsigned right, wrong;

static void result(const char *what, unsigned size, const char *problem)
{
    printf("%-24s %8u %s\n", what, size, problem ? problem : "right");
    fflush(stdout);
    if (problem)
        wrong++;
    else
        right++;
}

/* --- connecting ------------------------------------------------------------------------------------ */

static void ask(const char *word, const char *wanted, struct end *e)
{
    double end = now() + 20;
    char text[513], got[16];
    struct pollfd p = {.fd = c.socket, .events = POLLIN};
    unsigned id;

    while (now() < end) {
        int n = write_line(text, word, c.id, &c.link.mine);

        (void)!send(c.socket, text, (size_t)n, 0);
        if (poll(&p, 1, 300) <= 0)
            continue;
        n = (int)recv(c.socket, text, 512, 0);
        text[n < 0 ? 0 : n] = '\0';
        if (read_line(text, got, &id, e) && id == c.id && !strcmp(got, wanted))
            return;
        if (id == c.id && !strcmp(got, "refused"))
            die("%s", text);
    }
    die("nobody answers");
}

static void begin(const char *host, unsigned access)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct end theirs;

    memset(&c, 0, sizeof(c));
    c.id = (unsigned)random();
    link_open(&c.link, 1, access, MIB);
    c.socket = udp_socket(PORT + 1);
    inet_pton(AF_INET, host, &a.sin_addr);
    if (connect(c.socket, (struct sockaddr *)&a, sizeof(a)))
        die("no way to %s", host);
    ask("hello", "ready", &theirs);
    link_connect(&c.link, &theirs);
}

static void finish(void)
{
    struct end unused;

    ask("bye", "gone", &unused);
    close(c.socket);
    link_close(&c.link);
}

/* --- work ------------------------------------------------------------------------------------------ */

/* NULL, or what is wrong. */
static const char *wait_for(unsigned sends, unsigned recvs)
{
    double end = now() + PATIENCE;
    struct ibv_wc wc;

    while (c.sends < sends || c.recvs < recvs) {
        if (ibv_poll_cq(c.link.cq, 1, &wc) <= 0) {
            if (now() > end)
                return "nothing came for a minute";
            usleep(200);
            continue;
        }
        if (wc.wr_id & RECEIVE) {
            c.recvs++;
            c.recv = wc;
        } else {
            c.sends++;
            c.send = wc;
        }
        if (wc.status != IBV_WC_SUCCESS)
            return ibv_wc_status_str(wc.status);
    }
    return NULL;
}

static const char *run(struct ibv_send_wr *wr, unsigned offset, unsigned length, unsigned recvs)
{
    link_post(&c.link, wr, offset, length);
    return wait_for(c.sends + 1, c.recvs + recvs);
}

static const char *rdma(enum ibv_wr_opcode opcode, unsigned remote, unsigned offset,
                        unsigned length, unsigned imm)
{
    struct ibv_send_wr wr = {.opcode = opcode, .imm_data = htonl(imm)};

    wr.wr.rdma.remote_addr = c.link.theirs.addr + remote;
    wr.wr.rdma.rkey = (uint32_t)c.link.theirs.key;
    return run(&wr, offset, length, opcode == IBV_WR_RDMA_WRITE_WITH_IMM);
}

static void pattern(unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        c.link.at[SOURCE_AT + i] = (uint8_t)random();
    memset(c.link.at + BACK_AT, 0xee, size);
}

/* What came back in a receive: that many bytes, and the immediate if there is to be one. */
static const char *came_back(unsigned size, bool imm, unsigned value)
{
    unsigned slot = (unsigned)c.recv.wr_id;
    const uint8_t *at = c.link.at + RECEIVE_AT + slot * c.link.slot_size;
    const char *problem = NULL;

    if (c.recv.byte_len != size)
        problem = "another length came back";
    else if (memcmp(at, c.link.at + SOURCE_AT, size) != 0)
        problem = "other bytes came back";
    else if (imm != !!(c.recv.wc_flags & IBV_WC_WITH_IMM) ||
             (imm && ntohl(c.recv.imm_data) != value))
        problem = "another immediate came back";
    link_post_receive(&c.link, slot);
    return problem;
}

static const char *test_send(unsigned size, bool imm)
{
    struct ibv_send_wr wr = {.opcode = imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
                             .imm_data = htonl(size + 9)};
    const char *problem;

    pattern(size);
    problem = run(&wr, SOURCE_AT, size, 1);
    return problem ? problem : came_back(size, imm, size + 9);
}

static const char *test_write(unsigned size, bool imm)
{
    const char *problem;

    pattern(size);
    problem =
        rdma(imm ? IBV_WR_RDMA_WRITE_WITH_IMM : IBV_WR_RDMA_WRITE, 3, SOURCE_AT, size, size + 5);
    if (!problem && imm)
        problem = came_back(0, true, size + 5);
    if (!problem)
        problem = rdma(IBV_WR_RDMA_READ, 3, BACK_AT, size, 0);
    if (!problem && memcmp(c.link.at + BACK_AT, c.link.at + SOURCE_AT, size) != 0)
        problem = "other bytes are there";
    return problem;
}

/* READs of a part, from where a longer WRITE put it. */
static const char *test_read(unsigned size)
{
    const char *problem;

    pattern(MIB);
    problem = rdma(IBV_WR_RDMA_WRITE, 0, SOURCE_AT, MIB, 0);
    if (!problem)
        problem = rdma(IBV_WR_RDMA_READ, MIB - size, BACK_AT, size, 0);
    if (!problem && memcmp(c.link.at + BACK_AT, c.link.at + SOURCE_AT + MIB - size, size) != 0)
        problem = "other bytes were read";
    return problem;
}

/* --- atomics --------------------------------------------------------------------------------------- */

static const char *atomic(enum ibv_wr_opcode opcode, unsigned remote, uint64_t compare_add,
                          uint64_t swap, uint64_t expected)
{
    struct ibv_send_wr wr = {.opcode = opcode};
    uint64_t old;
    const char *problem;

    wr.wr.atomic.remote_addr = c.link.theirs.addr + remote;
    wr.wr.atomic.rkey = (uint32_t)c.link.theirs.key;
    wr.wr.atomic.compare_add = compare_add;
    wr.wr.atomic.swap = swap;
    problem = run(&wr, BACK_AT, 8, 0);
    memcpy(&old, c.link.at + BACK_AT, 8);
    return problem ? problem : old == expected ? NULL : "another value was there";
}

static const char *set_value(uint64_t value)
{
    memcpy(c.link.at + SOURCE_AT, &value, 8);
    return rdma(IBV_WR_RDMA_WRITE, 8, SOURCE_AT, 8, 0);
}

static const char *test_swap(void)
{
    const char *problem = set_value(0x1122334455667788);

    if (!problem)
        problem = atomic(IBV_WR_ATOMIC_CMP_AND_SWP, 8, 1, 2, 0x1122334455667788);
    if (!problem)
        problem = atomic(IBV_WR_ATOMIC_CMP_AND_SWP, 8, 0x1122334455667788, 7, 0x1122334455667788);
    return problem ? problem : atomic(IBV_WR_ATOMIC_CMP_AND_SWP, 8, 0, 0, 7);
}

static const char *test_add(void)
{
    const char *problem = set_value(~5ull);

    for (uint64_t i = 0; i < 20 && !problem; i++)
        problem = atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, 8, 1, 0, ~5ull + i);
    return problem;
}

/* --- pairs ----------------------------------------------------------------------------------------- */

#define PAIR_SIZE 64u
#define POISON    0xeeu

/* A WRITE of one packet and what brings the same bytes back, posted at once: a peer that acknowledges the second, whose
 * answer was lost, leaves the poison in the buffer. */
static const char *pair(struct ibv_send_wr *second, unsigned size)
{
    struct ibv_send_wr write = {.opcode = IBV_WR_RDMA_WRITE};
    const char *problem;

    write.wr.rdma.remote_addr = c.link.theirs.addr + 8;
    write.wr.rdma.rkey = (uint32_t)c.link.theirs.key;
    memset(c.link.at + BACK_AT, POISON, size);
    link_post(&c.link, &write, SOURCE_AT, size);
    link_post(&c.link, second, BACK_AT, size);
    problem = wait_for(c.sends + 2, c.recvs);
    if (!problem && memcmp(c.link.at + BACK_AT, c.link.at + SOURCE_AT, size) != 0)
        problem = "success without its data";
    return problem;
}

static const char *write_and_read(void)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_RDMA_READ};

    wr.wr.rdma.remote_addr = c.link.theirs.addr + 8;
    wr.wr.rdma.rkey = (uint32_t)c.link.theirs.key;
    pattern(PAIR_SIZE);
    return pair(&wr, PAIR_SIZE);
}

static const char *write_and_add(void)
{
    struct ibv_send_wr wr = {.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD};

    wr.wr.atomic.remote_addr = c.link.theirs.addr + 8;
    wr.wr.atomic.rkey = (uint32_t)c.link.theirs.key;
    wr.wr.atomic.compare_add = 1;
    pattern(8);
    return pair(&wr, 8);
}

int pairs(const char *host, unsigned count)
{
    begin(host, 15);
    for (unsigned i = 0; i < count; i++) {
        result("WRITE, READ", PAIR_SIZE, write_and_read());
        result("WRITE, FETCH_AND_ADD", 8, write_and_add());
    }
    finish();
    printf("%u right, %u wrong\n", right, wrong);
    return wrong != 0;
}

/* --- refusals -------------------------------------------------------------------------------------- */

/* An atomic that is not aligned is refused by libibverbs already. */
static const struct refusal {
    const char *name;
    enum ibv_wr_opcode opcode;
    unsigned remote, key, access;
    enum ibv_wc_status status;
} refusals[] = {
    {"WRITE, wrong key", IBV_WR_RDMA_WRITE, 0, 0x5500, 15, IBV_WC_REM_ACCESS_ERR},
    {"READ, wrong key", IBV_WR_RDMA_READ, 0, 0x5500, 15, IBV_WC_REM_ACCESS_ERR},
    {"WRITE, wrong range", IBV_WR_RDMA_WRITE, TARGET_SIZE - 1, 0, 15, IBV_WC_REM_ACCESS_ERR},
    {"READ, wrong range", IBV_WR_RDMA_READ, TARGET_SIZE - 1, 0, 15, IBV_WC_REM_ACCESS_ERR},
    {"atomic, wrong range", IBV_WR_ATOMIC_FETCH_AND_ADD, TARGET_SIZE, 0, 15, IBV_WC_REM_ACCESS_ERR},
    {"WRITE, no right", IBV_WR_RDMA_WRITE, 0, 0, 1, IBV_WC_REM_ACCESS_ERR},
    {"READ, no right", IBV_WR_RDMA_READ, 0, 0, 1, IBV_WC_REM_ACCESS_ERR},
    {"atomic, no right", IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 0, 1, IBV_WC_REM_ACCESS_ERR},
};

static void test_refusal(const char *host, const struct refusal *r)
{
    const char *problem;

    begin(host, r->access);
    c.link.theirs.key ^= r->key;
    c.send.status = IBV_WC_SUCCESS;
    if (r->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
        problem = atomic(r->opcode, r->remote, 1, 0, 0);
    else
        problem = rdma(r->opcode, r->remote, SOURCE_AT, 8, 0);
    if (!problem)
        problem = "was not refused";
    else if (c.sends && c.send.status == r->status)
        problem = NULL;
    result(r->name, 8, problem);
    finish();
}

int check(const char *host)
{
    unsigned sizes[] = {0, 1, 0, 0, 0, MIB}, mtu;

    begin(host, 15);
    mtu = (unsigned)(c.link.theirs.mtu < c.link.mine.mtu ? c.link.theirs.mtu : c.link.mine.mtu);
    for (unsigned i = 0; i < 3; i++)
        sizes[2 + i] = mtu - 1 + i;
    for (unsigned i = 0; i < 6; i++) {
        result("SEND", sizes[i], test_send(sizes[i], false));
        result("SEND_WITH_IMM", sizes[i], test_send(sizes[i], true));
        result("WRITE", sizes[i], test_write(sizes[i], false));
        result("WRITE_WITH_IMM", sizes[i], test_write(sizes[i], true));
        result("READ", sizes[i], test_read(sizes[i]));
    }
    result("CMP_AND_SWP", 8, test_swap());
    result("FETCH_AND_ADD", 8, test_add());
    finish();
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        test_refusal(host, &refusals[i]);
    printf("%u right, %u wrong\n", right, wrong);
    return wrong != 0;
}

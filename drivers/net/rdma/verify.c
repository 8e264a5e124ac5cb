/* SPDX-License-Identifier: BSD-2-Clause */
/* `rdma verify`: every operation at the sizes where packets begin and end, with its data, and what must be refused. */
#include "drivers/net/rdma/client.h"
#include "drivers/net/roce/nic.h"
#include "kernel/console.h"
#include "kernel/shell.h"

#define BACK  MIB(3) /* what is read comes there; LINK_SOURCE has 1 MiB before it */
#define SIZES 6

struct verify {
    struct rdma_client c;
    u32 right, wrong;
};

/* --- work ------------------------------------------------------------------------------------------ */

static void fill(struct verify *v, u32 size)
{
    u64 seed = roce_random();
    u8 *source = v->c.link.at + LINK_SOURCE;

    for (u32 i = 0; i < size; i++) {
        if (!(i % KIB(64)))
            thread_yield(); /* an emulator takes its time */
        seed = seed * 6364136223846793005ull + 1442695040888963407ull; /* Knuth's MMIX */
        source[i] = (u8)(seed >> 56);
    }
    thread_yield();
    memset(v->c.link.at + BACK, 0xee, size);
    thread_yield();
}

static enum err rdma(struct verify *v, enum wr_opcode opcode, u64 remote, u64 offset, u32 size,
                     struct why *why)
{
    struct verbs_send_wr wr = {.opcode = opcode,
                               .imm = size + 5,
                               .remote_addr = v->c.link.theirs.addr + remote,
                               .rkey = v->c.link.theirs.key};
    u32 recvs = v->c.recvs + (opcode == WR_RDMA_WRITE_WITH_IMM);
    enum err e = rdma_client_do(&v->c, &wr, offset, size, why);

    return e ? e : rdma_client_wait(&v->c, v->c.sends, recvs, why);
}

/* What the peer sent back: that many bytes of the source, and the immediate if there is to be one. */
static enum err came_back(struct verify *v, u32 size, bool imm, u32 value, struct why *why)
{
    const struct verbs_wc *wc = &v->c.last_recv;
    u32 slot = (u32)wc->wr_id;
    enum err e = rdma_link_post_recv(&v->c.link, slot, why);

    if (e)
        return e;
    if (wc->byte_len != size)
        return why_set(why, E_FORMAT, "%u bytes came back", wc->byte_len);
    if (memcmp(rdma_link_slot(&v->c.link, slot), v->c.link.at + LINK_SOURCE, size) != 0)
        return why_set(why, E_FORMAT, "other bytes came back");
    if (imm != !!(wc->wc_flags & WC_WITH_IMM) || (imm && wc->imm != value))
        return why_set(why, E_FORMAT, "another immediate came back");
    return OK;
}

/* --- operations ------------------------------------------------------------------------------------ */

static enum err try_send(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why)
{
    struct verbs_send_wr wr = {.opcode = opcode, .imm = size + 9};
    enum err e;

    fill(v, size);
    e = rdma_link_post(&v->c.link, &wr, LINK_SOURCE, size, why);
    if (!e)
        e = rdma_client_wait(&v->c, v->c.sends + 1, v->c.recvs + 1, why);
    return e ? e : came_back(v, size, opcode == WR_SEND_WITH_IMM, size + 9, why);
}

static enum err try_write(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why)
{
    enum err e;

    fill(v, size);
    e = rdma(v, opcode, 3, LINK_SOURCE, size, why);
    if (!e && opcode == WR_RDMA_WRITE_WITH_IMM)
        e = came_back(v, 0, true, size + 5, why);
    if (!e)
        e = rdma(v, WR_RDMA_READ, 3, BACK, size, why);
    if (!e && memcmp(v->c.link.at + BACK, v->c.link.at + LINK_SOURCE, size) != 0)
        e = why_set(why, E_FORMAT, "other bytes are there");
    return e;
}

/* A part of what a longer WRITE put there. */
static enum err try_read(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why)
{
    u64 at = RDMA_MESSAGE - size;
    enum err e;

    fill(v, RDMA_MESSAGE);
    e = rdma(v, WR_RDMA_WRITE, 0, LINK_SOURCE, RDMA_MESSAGE, why);
    if (!e)
        e = rdma(v, opcode, at, BACK, size, why);
    if (!e && memcmp(v->c.link.at + BACK, v->c.link.at + LINK_SOURCE + at, size) != 0)
        e = why_set(why, E_FORMAT, "other bytes were read");
    return e;
}

static enum err atomic(struct verify *v, enum wr_opcode opcode, u64 compare_add, u64 swap,
                       u64 expected, struct why *why)
{
    struct verbs_send_wr wr = {.opcode = opcode,
                               .remote_addr = v->c.link.theirs.addr + 8,
                               .rkey = v->c.link.theirs.key,
                               .compare_add = compare_add,
                               .swap = swap};
    enum err e = rdma_client_do(&v->c, &wr, BACK, 8, why);
    u64 old;

    memcpy(&old, v->c.link.at + BACK, sizeof(old));
    return e || old == expected ? e : why_set(why, E_FORMAT, "another value was there");
}

static enum err set_value(struct verify *v, u64 value, struct why *why)
{
    memcpy(v->c.link.at + LINK_SOURCE, &value, sizeof(value));
    return rdma(v, WR_RDMA_WRITE, 8, LINK_SOURCE, sizeof(value), why);
}

/* One that does not compare, one that does, and one that looks. */
static enum err try_swap(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why)
{
    u64 value = roce_random() | 8;
    enum err e = set_value(v, value, why);

    (void)size;
    if (!e)
        e = atomic(v, opcode, 1, 2, value, why);
    if (!e)
        e = atomic(v, opcode, value, 7, value, why);
    return e ? e : atomic(v, opcode, 0, 0, 7, why);
}

/* Past the largest number. */
static enum err try_add(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why)
{
    enum err e = set_value(v, ~5ull, why);

    (void)size;
    for (u64 i = 0; i < 20 && !e; i++)
        e = atomic(v, opcode, 1, 0, ~5ull + i, why);
    return e;
}

static const struct operation {
    const char *name;
    enum wr_opcode opcode;
    enum err (*run)(struct verify *v, enum wr_opcode opcode, u32 size, struct why *why);
    bool atomic; /* 8 bytes, whatever the size */
} operations[] = {
    {"SEND", WR_SEND, try_send, false},
    {"SEND_WITH_IMM", WR_SEND_WITH_IMM, try_send, false},
    {"WRITE", WR_RDMA_WRITE, try_write, false},
    {"WRITE_WITH_IMM", WR_RDMA_WRITE_WITH_IMM, try_write, false},
    {"READ", WR_RDMA_READ, try_read, false},
    {"CMP_AND_SWP", WR_ATOMIC_CMP_AND_SWP, try_swap, true},
    {"FETCH_AND_ADD", WR_ATOMIC_FETCH_AND_ADD, try_add, true},
};

static void report(struct verify *v, const char *name, u32 size, const char *problem)
{
    console_printf("%-24s %8u %s\n", name, size, problem ? problem : "right");
    if (problem)
        v->wrong++;
    else
        v->right++;
}

static enum err try_operation(struct verify *v, const struct operation *o, struct why *why)
{
    u32 mtu = v->c.link.mtu;
    const u32 sizes[SIZES] = {0, 1, mtu - 1, mtu, mtu + 1, RDMA_MESSAGE};
    enum err e = OK;

    for (unsigned i = 0; !e && i < (o->atomic ? 1 : SIZES); i++) {
        u32 size = o->atomic ? 8 : sizes[i];

        e = o->run(v, o->opcode, size, why);
        report(v, o->name, size, e ? why->text : NULL);
    }
    return e;
}

/* --- refusals -------------------------------------------------------------------------------------- */

static const struct refusal {
    const char *name;
    enum wr_opcode opcode;
    u64 remote;
    u32 key, access;
    enum wc_status status;
} refusals[] = {
    {"WRITE, wrong key", WR_RDMA_WRITE, 0, 0x5500, ACCESS_ALL, WC_REM_ACCESS_ERR},
    {"READ, wrong key", WR_RDMA_READ, 0, 0x5500, ACCESS_ALL, WC_REM_ACCESS_ERR},
    {"WRITE, wrong range", WR_RDMA_WRITE, MIB(2) - 1, 0, ACCESS_ALL, WC_REM_ACCESS_ERR},
    {"READ, wrong range", WR_RDMA_READ, MIB(2) - 1, 0, ACCESS_ALL, WC_REM_ACCESS_ERR},
    {"atomic, wrong range", WR_ATOMIC_FETCH_AND_ADD, MIB(2), 0, ACCESS_ALL, WC_REM_ACCESS_ERR},
    {"WRITE, no right", WR_RDMA_WRITE, 0, 0, ACCESS_LOCAL_WRITE, WC_REM_ACCESS_ERR},
    {"READ, no right", WR_RDMA_READ, 0, 0, ACCESS_LOCAL_WRITE, WC_REM_ACCESS_ERR},
    {"atomic, no right", WR_ATOMIC_FETCH_AND_ADD, 0, 0, ACCESS_LOCAL_WRITE, WC_REM_ACCESS_ERR},
    {"atomic, not aligned", WR_ATOMIC_FETCH_AND_ADD, 4, 0, ACCESS_ALL, WC_REM_INV_REQ_ERR},
};

/* On a connection of its own, as it is broken afterwards. */
static enum err try_refusal(struct verify *v, const char *host, const struct refusal *r,
                            struct why *why)
{
    enum err e = rdma_client_begin(&v->c, host, RDMA_ECHO, r->access, RDMA_MESSAGE, why);
    struct verbs_send_wr wr = {.opcode = r->opcode,
                               .remote_addr = v->c.link.theirs.addr + r->remote,
                               .rkey = v->c.link.theirs.key ^ r->key};

    if (!e) {
        e = rdma_client_do(&v->c, &wr, BACK, 8, why);
        if (e == OK)
            report(v, r->name, 8, "was not refused");
        else
            report(v, r->name, 8, v->c.last_send.status == r->status ? NULL : why->text);
        e = e == E_STATE ? e : OK; /* Ctrl-C */
    }
    rdma_client_end(&v->c);
    return e;
}

static enum err run_verify(unsigned argc, char **argv, struct why *why)
{
    struct verify v = {.right = 0};
    enum err e = rdma_client_begin(&v.c, argv[0], RDMA_ECHO, ACCESS_ALL, RDMA_MESSAGE, why);

    (void)argc;
    for (unsigned i = 0; !e && i < COUNT_OF(operations); i++)
        e = try_operation(&v, &operations[i], why);
    rdma_client_end(&v.c);
    for (unsigned i = 0; !e && i < COUNT_OF(refusals); i++)
        e = try_refusal(&v, argv[0], &refusals[i], why);
    if (v.right + v.wrong)
        console_printf("%u right, %u wrong\n", v.right, v.wrong);
    return e;
}
SHELL_COMMAND(
    rdma_verify, .name = "rdma verify", .args = "HOST", .min = 1, .max = 1, .run = run_verify,
    .help = "try every RDMA operation with a host that listens",
    .complete = {shell_complete_nothing},
    .more = "At the sizes where packets begin and end, with data that is checked; and what must be "
            "refused, each on a connection of its own.");

/* SPDX-License-Identifier: BSD-2-Clause */
/* Figures of soft-RoCE that need no hardware, one a line: NAME VALUE UNIT. For tools/bench. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "kernel/timer.h"
#include "tests/unit/fake/roce_world.h"

#define WORKS 64
#define SEEDS 4              /* a mean of: one is luck */
#define SPEED 10000000000ull /* bits per second */

static struct world w;
static u32 finished;

static bool all_done(struct world *world)
{
    struct verbs_wc wc;

    while (verbs_poll_cq(world->host[0].cq, &wc, 1)) {
        if (wc.status != WC_SUCCESS)
            exit(1);
        finished++;
    }
    return finished == WORKS;
}

/* How long 64 pieces of work of 1 MiB take, ns; 10 Gb/s, 10 us one way. */
static u64 time_to_move(enum wr_opcode op, u32 mtu, u32 lost, u64 seed)
{
    struct world_line line = {.delay = 10000, .lost = lost, .bits_per_second = SPEED};
    struct verbs_qp_attr attr = world_attr(mtu);
    struct verbs_mr *mr[2];
    u64 took;

    world_init(&w, &line, mtu, seed, 256);
    world_connect(&w, &attr, WORKS, 1);
    for (u32 i = 0; i < 2; i++)
        mr[i] = world_mr(&w, i, 0, WORLD_MEMORY, ACCESS_ALL);
    for (u32 i = 0; i < WORKS; i++) {
        struct verbs_sge sge = {0, MIB(1), mr[0]->lkey};
        struct verbs_send_wr wr = {.sg_list = &sge,
                                   .num_sge = 1,
                                   .opcode = op,
                                   .send_flags = SEND_SIGNALED,
                                   .rkey = mr[1]->rkey};

        if (verbs_post_send(w.host[0].qp, &wr, 1, NULL, NULL) != OK)
            exit(1);
    }
    finished = 0;
    took = world_now;
    if (!world_run(&w, all_done, world_now + SEC(100)))
        exit(1);
    took = world_now - took;
    for (u32 i = 0; i < 2; i++)
        world_end_mr(mr[i]);
    world_free(&w);
    return took;
}

/* Of what the line carries in full packets of that MTU. */
static void goodput(const char *name, enum wr_opcode op, u32 mtu, u32 lost)
{
    double frame = mtu + WIRE_HEADERS + sizeof(struct wire_bth) + WIRE_ICRC + 24;
    double bits = (double)MIB(WORKS) * 8 * frame / mtu;
    u64 took = 0;

    for (u64 seed = 1; seed <= SEEDS; seed++)
        took += time_to_move(op, mtu, lost, seed);
    printf("%s.mtu%u.loss%u.%u %.1f %%\n", name, mtu, lost / 100, lost / 10 % 10,
           100 * SEEDS * bits * 1e9 / (double)took / (double)SPEED);
}

static bool one_done(struct world *world)
{
    struct verbs_wc wc;

    return verbs_poll_cq(world->host[0].cq, &wc, 1) && wc.status == WC_SUCCESS;
}

/* Of a page, on a line without loss whose frames take no time. */
static void read_round_trips(u32 mtu)
{
    const struct world_line line = {.delay = 10000};
    struct verbs_qp_attr attr = world_attr(mtu);
    struct verbs_mr *mr[2];
    struct verbs_sge sge = {0, 4096, 0};
    struct verbs_send_wr wr = {
        .sg_list = &sge, .num_sge = 1, .opcode = WR_RDMA_READ, .send_flags = SEND_SIGNALED};
    u64 began;

    world_init(&w, &line, mtu, 1, 16);
    world_connect(&w, &attr, 1, 1);
    for (u32 i = 0; i < 2; i++)
        mr[i] = world_mr(&w, i, 0, WORLD_MEMORY, ACCESS_ALL);
    sge.lkey = mr[0]->lkey;
    wr.rkey = mr[1]->rkey;
    began = world_now;
    if (verbs_post_send(w.host[0].qp, &wr, 1, NULL, NULL) != OK ||
        !world_run(&w, one_done, world_now + SEC(1)))
        exit(1);
    printf("read_4k.mtu%u %.2f round_trips\n", mtu,
           (double)(world_now - began) / (2.0 * (double)line.delay));
    for (u32 i = 0; i < 2; i++)
        world_end_mr(mr[i]);
    world_free(&w);
}

typedef u32 (*crc_fn)(const struct icrc *icrc, u32 crc, const u8 *data, size_t size);

static u32 zlib_update(const struct icrc *icrc, u32 crc, const u8 *data, size_t size)
{
    (void)icrc;
    return (u32)crc32(crc, data, (uInt)size);
}

/* Of packets of that size; of some tries the best, as others share the machine. */
static void crc_speed(const char *name, const struct icrc *icrc, crc_fn update, u32 size)
{
    static u8 data[4096];
    u64 best = U64_MAX;
    u32 crc = 0;

    for (u32 tries = 0; tries < 10; tries++) {
        u64 began = __builtin_ia32_rdtsc();

        for (u32 done = 0; done < MIB(4); done += size)
            crc = update(icrc, crc, data, size);
        best = MIN(best, __builtin_ia32_rdtsc() - began);
    }
    if (crc == 1) /* so that it is needed */
        putchar('\n');
    printf("%s %.2f bytes/tick\n", name, (double)MIB(4) / (double)best);
}

static void crc_speeds(void)
{
    static struct icrc icrc;

    icrc_init(&icrc);
    crc_speed("icrc.4096", &icrc, icrc.update, 4096);
    crc_speed("icrc.64", &icrc, icrc.update, 64);
    crc_speed("icrc_tables.4096", &icrc, icrc_update_portable, 4096);
    crc_speed("icrc_tables.64", &icrc, icrc_update_portable, 64);
    crc_speed("zlib.4096", &icrc, zlib_update, 4096);
    crc_speed("zlib.64", &icrc, zlib_update, 64);
}

int main(void)
{
    static const u32 losses[] = {0, 10, 100, 500};

    for (u32 mtu = 1024; mtu <= 4096; mtu *= 4)
        for (u32 i = 0; i < COUNT_OF(losses); i++)
            goodput("goodput", WR_RDMA_WRITE, mtu, losses[i]);
    for (u32 mtu = 1024; mtu <= 4096; mtu *= 4)
        for (u32 i = 0; i < COUNT_OF(losses); i++)
            goodput("goodput_read", WR_RDMA_READ, mtu, losses[i]);
    for (u32 mtu = 256; mtu <= 4096; mtu *= 2)
        read_round_trips(mtu);
    crc_speeds();
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes a pcap of two hosts between which every opcode is seen, for others to judge:
 *
 *     roce-capture FILE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/timer.h"
#include "tests/unit/fake/roce_world.h"

static struct world w;
static struct verbs_mr *mr[2];

/* libpcap's file format: microseconds, Ethernet. */
static void write_header(FILE *file)
{
    static const u32 header[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};

    fwrite(header, sizeof(header), 1, file);
}

static bool record(void *file, u32 from, const u8 *frame, u32 size)
{
    const u32 header[4] = {(u32)(world_now / SEC(1)), (u32)(world_now % SEC(1) / 1000), size, size};

    (void)from;
    fwrite(header, sizeof(header), 1, file);
    fwrite(frame, size, 1, file);
    return true;
}

static void work(enum wr_opcode op, u32 size)
{
    struct verbs_sge sge = {0, size, mr[0]->lkey}, to = {MIB(1), size, mr[1]->lkey};
    struct verbs_send_wr wr = {.sg_list = &sge,
                               .num_sge = 1,
                               .opcode = op,
                               .send_flags = SEND_SIGNALED,
                               .imm = 0x12345678,
                               .remote_addr = MIB(1),
                               .rkey = mr[1]->rkey};
    struct verbs_recv_wr recv = {.sg_list = &to, .num_sge = 1};
    bool received = op == WR_SEND || op == WR_SEND_WITH_IMM || op == WR_RDMA_WRITE_WITH_IMM;
    struct verbs_wc wc;

    if ((received && verbs_post_recv(w.host[1].qp, &recv, 1, NULL, NULL) != OK) ||
        verbs_post_send(w.host[0].qp, &wr, 1, NULL, NULL) != OK ||
        !world_run(&w, NULL, world_now + SEC(10)))
        exit(1);
    while (verbs_poll_cq(w.host[0].cq, &wc, 1) || verbs_poll_cq(w.host[1].cq, &wc, 1))
        if (wc.status != WC_SUCCESS)
            exit(1);
}

int main(int argc, char **argv)
{
    static const struct world_line line = {.delay = 1000};
    static const u32 sizes[] = {0, 1, 3, 1023, 1024, 1025, 5000};
    struct verbs_qp_attr attr = world_attr(1024);
    FILE *file = argc > 1 ? fopen(argv[1], "wb") : NULL;

    if (!file) {
        fprintf(stderr, "roce-capture: needs a file to write\n");
        return 1;
    }
    write_header(file);
    world_init(&w, &line, 1024, 1, 64);
    world_connect(&w, &attr, 16, 16);
    w.watch = record;
    w.watch_ctx = file;
    for (u32 i = 0; i < 2; i++)
        mr[i] = world_mr(&w, i, 0, WORLD_MEMORY, ACCESS_ALL);
    for (u32 op = WR_RDMA_WRITE; op <= WR_RDMA_READ; op++)
        for (u32 i = 0; i < COUNT_OF(sizes); i++)
            work((enum wr_opcode)op, sizes[i]);
    work(WR_ATOMIC_CMP_AND_SWP, 8);
    work(WR_ATOMIC_FETCH_AND_ADD, 8);
    fclose(file);
    for (u32 i = 0; i < 2; i++)
        world_end_mr(mr[i]);
    world_free(&w);
    return 0;
}

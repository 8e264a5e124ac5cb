/* SPDX-License-Identifier: BSD-2-Clause */
/* What soft-RoCE costs (rings.h), for tools/bench:
 *
 *     roce-costs write|read MTU PAGES   moves so many pages: callgrind counts the instructions within requester()
 *                                       and responder()
 *     roce-costs                        GB/s as a share of one copy and one CRC of the same bytes on each side:
 *                                       NAME VALUE UNIT, one a line */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include "rings.h"

#define MOVED  MIB(32)
#define ROUNDS 7 /* of each the best counts: others share the machine */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static u32 icrc_of(const u8 *data, u32 size)
{
    static struct icrc icrc;

    if (!icrc.update)
        icrc_init(&icrc);
    return icrc.update(&icrc, 0, data, size);
}

static u32 zlib_of(const u8 *data, u32 size)
{
    return (u32)crc32(0, data, size);
}

/* What each of the two sides cannot do without: every byte copied once, and read once for its CRC. */
static double copy_and_crc(u32 (*crc)(const u8 *, u32))
{
    static u8 frame[PAGE_SIZE];
    double began = seconds();

    for (u64 done = 0; done < 2 * MOVED; done += PAGE_SIZE) {
        memcpy(frame, rings_memory(0) + done % RINGS_MEMORY, PAGE_SIZE);
        __asm__ volatile("" : : "r"(crc(frame, PAGE_SIZE))); /* so that it is needed */
    }
    return seconds() - began;
}

static double move(enum wr_opcode op)
{
    double began = seconds();

    rings_move(op, MOVED / PAGE_SIZE);
    return seconds() - began;
}

#define BEST(best, value)                                                                          \
    do {                                                                                           \
        double v = (value);                                                                        \
        (best) = v < (best) ? v : (best);                                                          \
    } while (0)

static void print(const char *name, double took, double ours, double zlib)
{
    printf("%s.gbps %.2f GB/s\n", name, (double)MOVED / took / 1e9);
    printf("%s.share %.0f %%\n", name, 100 * ours / took);
    printf("%s.share_zlib %.0f %%\n", name, 100 * zlib / took);
}

static void compare(void)
{
    double writing = 1e9, reading = 1e9, ours = 1e9, zlib = 1e9;

    rings_init(4096);
    for (u32 i = 0; i < ROUNDS; i++) {
        BEST(writing, move(WR_RDMA_WRITE));
        BEST(reading, move(WR_RDMA_READ));
        BEST(ours, copy_and_crc(icrc_of));
        BEST(zlib, copy_and_crc(zlib_of));
    }
    print("write", writing, ours, zlib);
    print("read", reading, ours, zlib);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        compare();
        return 0;
    }
    rings_init((u32)strtoul(argv[2], NULL, 0));
    rings_move(strcmp(argv[1], "read") ? WR_RDMA_WRITE : WR_RDMA_READ, strtoull(argv[3], NULL, 0));
    return 0;
}

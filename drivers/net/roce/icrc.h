/* The invariant CRC at the end of every RoCE packet (IBTA volume 1, 7.8.1; annex A17.3.3): CRC-32 of
 * Ethernet over eight bytes of ff and the packet from its IP header on, in which the fields that
 * routers change count as ones; stored least significant byte first.
 *
 * The tables and the choice of an implementation are in an object that its owner keeps. The portable
 * implementation is the default. Another one may be set by whoever can use it: one that needs vector
 * registers is only for where they may be used. */
#pragma once
#include "kernel/types.h"

#define ICRC_SLICES 16

struct icrc {
    /* Goes on with a CRC (inverted, as between the start and the end) over more bytes. */
    u32 (*update)(const struct icrc *i, u32 crc, const u8 *data, size_t size);
    u32 table[ICRC_SLICES][256];
};

void icrc_init(struct icrc *i);
/* 16 bytes at a time by tables; any size. */
u32 icrc_update_portable(const struct icrc *i, u32 crc, const u8 *data, size_t size);
/* Of a packet from its IPv4 header to the end of its pad; size is that length: at least 40. */
u32 icrc_packet(const struct icrc *i, const u8 *ip, size_t size);

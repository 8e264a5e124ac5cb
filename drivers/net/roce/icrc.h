/* SPDX-License-Identifier: BSD-2-Clause */
/* The invariant CRC at the end of every RoCE packet (IBTA volume 1, 7.8.1; annex A17.3.3): CRC-32 of
 * Ethernet over eight bytes of ff and the packet from its IP header on, in which the fields that
 * routers change count as ones; stored least significant byte first.
 *
 * The tables and the choice of an implementation are in an object that its owner keeps: by tables, or
 * by the CPU's carry-less multiplication where it has one. */
#pragma once
#include "kernel/types.h"

#define ICRC_SLICES 16

struct icrc {
    /* Goes on with a CRC (inverted, as between the start and the end) over more bytes. */
    u32 (*update)(const struct icrc *i, u32 crc, const u8 *data, size_t size);
    u32 table[ICRC_SLICES][256];
};

/* Chooses, too. What it may choose uses arch_fpu_begin. */
void icrc_init(struct icrc *i);
/* 16 bytes at a time by tables; any size. */
u32 icrc_update_portable(const struct icrc *i, u32 crc, const u8 *data, size_t size);
/* At least 64 bytes, between arch_fpu_begin and arch_fpu_end, on a CPU with PCLMULQDQ and SSE4.1. */
u32 icrc_update_clmul(const struct icrc *i, u32 crc, const u8 *data, size_t size);
#define ICRC_CLMUL_LEAST 64
/* icrc_choose.c: sets i->update. */
void icrc_choose(struct icrc *i);
/* Of a packet from its IPv4 header to the end of its pad; size is that length: at least 40. */
u32 icrc_packet(const struct icrc *i, const u8 *ip, size_t size);

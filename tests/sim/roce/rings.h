/* SPDX-License-Identifier: BSD-2-Clause */
/* Two soft-RoCE devices in one process, connected by two rings of frames in memory: what soft-RoCE costs without a
 * network. Time is one nanosecond for each look at the clock, so nothing is lost and every run is the same.
 *
 * Host 0 asks, host 1 answers; each has RINGS_MEMORY bytes, which verbs see as addresses 0 on. */
#pragma once
#include "drivers/net/roce/device.h"

#define RINGS_MEMORY MIB(1)
#define RINGS_DEPTH  64 /* pages on their way */

/* A connection whose path MTU this is. Ends the program where something fails, as all here does. */
void rings_init(u32 mtu);
/* Moves pages, each by one signalled WR_RDMA_WRITE or WR_RDMA_READ. */
void rings_move(enum wr_opcode op, u64 pages);
u8 *rings_memory(u32 host);

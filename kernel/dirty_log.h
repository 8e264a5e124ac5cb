/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of one VM that a CPU has marked dirty in the second-level page table, where it can log them (VMX's PML): the backend
 * adds what its CPUs have logged, the harvester takes it. So a harvest costs what was written, not what there is.
 *
 * What holds, and a harvest relies on: a leaf whose dirty bit is set is in the log of a CPU or in this one, or `lost` is
 * set. Any thread; takes its own lock, behind a Pmap's. */
#pragma once
#include "kernel/lock.h"

#define DIRTY_LOG_SIZE 4096

struct dirty_log {
    struct lock lock;
    bool lost; /* there were more: every leaf is to be looked at */
    u32 count;
    u64 page[DIRTY_LOG_SIZE]; /* guest physical addresses, some perhaps more than once */
};

void dirty_log_add(struct dirty_log *log, const u64 *page, u32 count);
/* Some dirty bits are in nobody's log. */
void dirty_log_lose(struct dirty_log *log);
/* Calls fn for what is in the log, and empties it. False: it was not all; fn was called for none. */
bool dirty_log_take(struct dirty_log *log, void (*fn)(void *ctx, u64 page), void *ctx);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/dirty_log.h"

void dirty_log_add(struct dirty_log *log, const u64 *page, u32 count)
{
    lock_acquire(&log->lock);
    if (count > DIRTY_LOG_SIZE - log->count)
        log->lost = true;
    for (u32 i = 0; i < count && !log->lost; i++)
        log->page[log->count++] = page[i];
    lock_release(&log->lock);
}

void dirty_log_lose(struct dirty_log *log)
{
    lock_acquire(&log->lock);
    log->lost = true;
    lock_release(&log->lock);
}

bool dirty_log_take(struct dirty_log *log, void (*fn)(void *ctx, u64 page), void *ctx)
{
    bool all;

    lock_acquire(&log->lock);
    all = !log->lost;
    for (u32 i = 0; i < log->count && all; i++)
        fn(ctx, log->page[i]);
    log->count = 0;
    log->lost = false;
    lock_release(&log->lock);
    return all;
}

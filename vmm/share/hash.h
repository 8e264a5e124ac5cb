/* SPDX-License-Identifier: BSD-2-Clause */
/* The hash of a page's content, keyed by the trust group. It is a hint: equal pages have equal hashes, and what has equal
 * hashes is compared before anything is done. XXH64, which is the fastest of xxHash's without vector registers. */
#pragma once
#include "kernel/types.h"

/* All ones; tests take bits away, so that hashes collide. */
extern u64 page_hash_mask;

u64 page_hash(const void *page, u64 key);
/* The same hash of anything, to make keys. */
u64 hash_bytes(const void *data, size_t size, u64 key);
bool page_is_zero(const void *page);
/* 4 KiB, word by word. */
bool page_equal(const void *a, const void *b);

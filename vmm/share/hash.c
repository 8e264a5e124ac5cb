/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/share/hash.h"
#define XXH_INLINE_ALL
#define XXH_NO_XXH3
#pragma GCC diagnostic ignored "-Wunused-function" /* declares what it then leaves out */
#include <xxhash.h>

#define WORDS (PAGE_SIZE / sizeof(u64))

u64 page_hash_mask = U64_MAX;

u64 page_hash(const void *page, u64 key)
{
    return XXH64(page, PAGE_SIZE, key) & page_hash_mask;
}

u64 hash_bytes(const void *data, size_t size, u64 key)
{
    return XXH64(data, size, key);
}

bool page_is_zero(const void *page)
{
    const u64 *word = page;

    for (unsigned i = 0; i < WORDS; i++)
        if (word[i])
            return false;
    return true;
}

bool page_equal(const void *a, const void *b)
{
    const u64 *x = a, *y = b;

    for (unsigned i = 0; i < WORDS; i += 4)
        if ((x[i] ^ y[i]) | (x[i + 1] ^ y[i + 1]) | (x[i + 2] ^ y[i + 2]) | (x[i + 3] ^ y[i + 3]))
            return false;
    return true;
}

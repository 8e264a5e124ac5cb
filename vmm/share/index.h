/* SPDX-License-Identifier: BSD-2-Clause */
/* Where content was seen: from a page's hash to a shared frame or to a page that had it when it was last looked at.
 * Everything in it is a hint that whoever uses it verifies, so nothing is ever taken out: what is out of date is
 * overwritten. Eight ways a bucket, one cache line; 8 bytes for each entry:
 *
 *      63        40 39   38   37                                   0
 *     +------------+----+----+--------------------------------------+
 *     | tag        | 1  |kind| frame number, or VM (8) and page (30)|
 *     +------------+----+----+--------------------------------------+
 *
 * A shared frame is not displaced by a page. For the scanner's thread; takes no lock. */
#pragma once
#include "kernel/err.h"

#define INDEX_WAYS 8

enum index_kind { INDEX_PAGE, INDEX_FRAME };

struct index_hit {
    enum index_kind kind;
    u64 frame; /* number, of INDEX_FRAME */
    u32 vm;    /* of INDEX_PAGE */
    u64 page;
};

struct index {
    u64 *entry;
    u64 buckets; /* a power of 2 */
    u64 turn;    /* whose turn it is to be displaced */
};

/* For about that many entries. E_NOMEM. */
enum err index_create(struct index *x, u64 entries) MUST_CHECK;
void index_destroy(struct index *x);
/* It will be asked for soon. */
void index_prefetch(const struct index *x, u64 hash);
/* What was last put in under that hash; false if nothing is there. Another with the same tag may be behind it: the next
 * call with *way as it is gives that. *way is 0 at first. */
bool index_find(const struct index *x, u64 hash, unsigned *way, struct index_hit *hit);
/* Puts it in place of what `way` was for, if that was a hit (INDEX_WAYS: none). */
void index_put(struct index *x, u64 hash, unsigned way, const struct index_hit *hit);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/share/index.h"
#include "kernel/heap.h"

#define TAG_SHIFT   40
#define ENTRY_USED  BIT(39)
#define ENTRY_FRAME BIT(38)
#define PAGE_BITS   30
#define VALUE_MASK  (BIT(38) - 1)

enum err index_create(struct index *x, u64 entries)
{
    *x = (struct index){.buckets = 1};
    while (x->buckets * INDEX_WAYS < entries)
        x->buckets *= 2;
    x->entry = heap_alloc(x->buckets * INDEX_WAYS * sizeof(u64));
    return x->entry ? OK : E_NOMEM;
}

void index_destroy(struct index *x)
{
    heap_free(x->entry);
    x->entry = NULL;
}

static u64 *bucket_of(const struct index *x, u64 hash)
{
    return &x->entry[(hash & (x->buckets - 1)) * INDEX_WAYS];
}

static u64 tag_of(u64 hash)
{
    return hash >> TAG_SHIFT << TAG_SHIFT;
}

static struct index_hit decode(u64 e)
{
    u64 value = e & VALUE_MASK;

    if (e & ENTRY_FRAME)
        return (struct index_hit){.kind = INDEX_FRAME, .frame = value};
    return (struct index_hit){
        .kind = INDEX_PAGE, .vm = (u32)(value >> PAGE_BITS), .page = value & (BIT(PAGE_BITS) - 1)};
}

static u64 encode(u64 hash, const struct index_hit *hit)
{
    u64 value =
        hit->kind == INDEX_FRAME ? ENTRY_FRAME | hit->frame : (u64)hit->vm << PAGE_BITS | hit->page;

    return tag_of(hash) | ENTRY_USED | value;
}

void index_prefetch(const struct index *x, u64 hash)
{
    __builtin_prefetch(bucket_of(x, hash));
}

bool index_find(const struct index *x, u64 hash, unsigned *way, struct index_hit *hit)
{
    const u64 *bucket = bucket_of(x, hash);

    for (; *way < INDEX_WAYS; ++*way)
        if (bucket[*way] & ENTRY_USED && tag_of(bucket[*way]) == tag_of(hash)) {
            *hit = decode(bucket[*way]);
            return true;
        }
    return false;
}

/* A free way; else a page's, in turn; else, for a frame only, a frame's. */
static unsigned choose(struct index *x, const u64 *bucket, bool frame)
{
    for (unsigned i = 0; i < INDEX_WAYS; i++)
        if (!(bucket[i] & ENTRY_USED))
            return i;
    x->turn++;
    for (unsigned i = 0; i < INDEX_WAYS; i++) {
        unsigned way = (unsigned)(x->turn + i) % INDEX_WAYS;

        if (!(bucket[way] & ENTRY_FRAME))
            return way;
    }
    return frame ? (unsigned)x->turn % INDEX_WAYS : INDEX_WAYS;
}

void index_put(struct index *x, u64 hash, unsigned way, const struct index_hit *hit)
{
    u64 *bucket = bucket_of(x, hash);

    if (way >= INDEX_WAYS)
        way = choose(x, bucket, hit->kind == INDEX_FRAME);
    if (way < INDEX_WAYS)
        bucket[way] = encode(hash, hit);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Access to the host's memory, as the card has it: by addresses that the driver named. */
#include <stdlib.h>
#include "tools/hca/hca.h"

u8 *hca_dma(struct hca *h, u64 gpa, u64 size, const char *what)
{
    if (pages_is_given(h, gpa, size)) {
        hca_refuse(h, MLX_BAD_PARAM, "%s: 0x%llx lies in a page that was given to firmware", what,
                   (unsigned long long)gpa);
        return NULL;
    }
    for (u32 i = 0; i < h->ranges; i++) {
        const struct memory_range *r = &h->range[i];

        if (gpa >= r->gpa && gpa - r->gpa < r->size && size <= r->size - (gpa - r->gpa))
            return r->at + (gpa - r->gpa);
    }
    hca_refuse(h, MLX_BAD_PARAM, "%s: 0x%llx is not memory", what, (unsigned long long)gpa);
    return NULL;
}

u32 hca_record(struct hca *h, u64 addr, const char *what)
{
    const u8 *at = hca_dma(h, addr, 4, what);

    return at ? be32_get(*(const be32_t *)at) : 0;
}

/* --- queues ----------------------------------------------------------------------------------------- */

static enum mlx_status check_page(struct hca *h, u64 page, u64 size, const char *what)
{
    if (page & (size - 1))
        return hca_refuse(h, MLX_BAD_PARAM, "%s: pas 0x%llx is not aligned to its page of %llu",
                          what, (unsigned long long)page, (unsigned long long)size);
    return hca_dma(h, page, PAGE_SIZE, what) ? MLX_OK : MLX_BAD_PARAM;
}

enum mlx_status buffer_make(struct hca *h, struct buffer *b, const void *pas, u32 pas_count,
                            u32 log_page_size, u32 page_offset, u64 size, const char *what)
{
    u64 page = PAGE_SIZE << log_page_size, offset = page_offset * (page / 64);
    u64 needed = (offset + size + page - 1) / page;

    if (pas_count != needed)
        return hca_refuse(h, MLX_BAD_PARAM,
                          "%s: pas has %u entries, and %llu bytes at 0x%llx in pages of %llu need "
                          "%llu",
                          what, pas_count, (unsigned long long)size, (unsigned long long)offset,
                          (unsigned long long)page, (unsigned long long)needed);
    *b = (struct buffer){calloc(needed ? needed : 1, sizeof(u64)), (u32)needed,
                         PAGE_SHIFT + log_page_size, offset, size};
    for (u32 i = 0; i < needed; i++) {
        b->pages[i] = be64_get(((const be64_t *)pas)[i]);
        if (check_page(h, b->pages[i], page, what) != MLX_OK) {
            buffer_free(b);
            return MLX_BAD_PARAM;
        }
    }
    return MLX_OK;
}

void buffer_free(struct buffer *b)
{
    free(b->pages);
    *b = (struct buffer){0};
}

u8 *buffer_at(struct hca *h, const struct buffer *b, u64 offset, u32 size, const char *what)
{
    u64 at = b->offset + offset, page = at >> b->page_shift;

    if (offset + size > b->size)
        return NULL;
    return hca_dma(h, b->pages[page] + (at & ((1ull << b->page_shift) - 1)), size, what);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages that the driver gives to firmware (QUERY_PAGES, MANAGE_PAGES). They are filled, and looked at when they go
 * back: who wrote to them meanwhile is found out. */
#include <stdlib.h>
#include "tools/hca/commands.h"

#define PFNS      (1u << 24)
#define FILL(gpa) ((gpa) ^ 0x6865726d65737321ull)

static bool is_given(const struct hca *h, u64 pfn)
{
    return h->given && pfn < PFNS && h->given[pfn / 64] >> (pfn & 63) & 1;
}

bool pages_is_given(const struct hca *h, u64 gpa, u64 size)
{
    u64 last = (gpa + (size ? size - 1 : 0)) >> PAGE_SHIFT;

    for (u64 pfn = gpa >> PAGE_SHIFT; pfn <= last; pfn++)
        if (is_given(h, pfn))
            return true;
    return false;
}

static void mark(struct hca *h, u64 gpa)
{
    u64 pfn = gpa >> PAGE_SHIFT;

    if (!h->given)
        h->given = calloc(PFNS / 64, sizeof(u64));
    h->given[pfn / 64] ^= 1ull << (pfn & 63);
}

static void fill(u8 *page, u64 gpa)
{
    for (u32 i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        ((u64 *)(void *)page)[i] = FILL(gpa);
}

static bool is_filled(const u8 *page, u64 gpa)
{
    for (u32 i = 0; i < PAGE_SIZE / sizeof(u64); i++)
        if (((const u64 *)(const void *)page)[i] != FILL(gpa))
            return false;
    return true;
}

void pages_forget(struct hca *h)
{
    for (u32 i = 0; i < h->page_count; i++)
        mark(h, h->page_list[i]);
    h->page_count = 0;
    h->asked = 0;
    h->wanted_boot = h->options.boot_pages;
    h->wanted_init = h->options.init_pages;
}

/* --- events ------------------------------------------------------------------------------------------- */

void pages_request(struct hca *h, s32 count)
{
    u8 eqe[MLX_EQE_SIZE] = {0};

    mlx_set(eqe, eqe_pages_count, (u32)count);
    hca_log(h, LOG_INFO, "asks for %d pages", count);
    if (count > 0)
        h->asked += count;
    eq_event(h, MLX_EVENT_PAGE_REQUEST, 0, eqe);
}

/* --- commands ----------------------------------------------------------------------------------------- */

static enum mlx_status check_function(struct hca *h, const struct command *c)
{
    if (mlx_get(c->in, function_embedded_cpu_function) || mlx_get(c->in, function_function_id))
        return hca_refuse(h, MLX_BAD_PARAM, "function_id 0x%llx: there is function 0 alone",
                          (unsigned long long)mlx_get(c->in, function_function_id));
    return MLX_OK;
}

enum mlx_status command_query_pages(struct hca *h, struct command *c)
{
    u32 wanted[] = {[MLX_PAGES_BOOT] = h->wanted_boot,
                    [MLX_PAGES_INIT] = h->wanted_init,
                    [MLX_PAGES_REGULAR] = 0};

    if (c->op_mod < MLX_PAGES_BOOT || c->op_mod > MLX_PAGES_REGULAR)
        return hca_refuse(h, MLX_BAD_PARAM, "op_mod %u: 1 to 3 are boot, init, regular", c->op_mod);
    if (c->op_mod != MLX_PAGES_BOOT && !h->issi_is_set)
        return hca_refuse(h, MLX_BAD_SYS_STATE, "init pages before SET_ISSI");
    mlx_set(c->out, pages_count, wanted[c->op_mod]);
    return check_function(h, c);
}

static enum mlx_status give_one(struct hca *h, u64 gpa)
{
    u8 *page;

    if (!gpa || gpa & PAGE_MASK || gpa >> PAGE_SHIFT >= PFNS)
        return hca_refuse(h, MLX_BAD_PARAM, "pas 0x%llx: not the address of a page of 4 KiB",
                          (unsigned long long)gpa);
    page = hca_dma(h, gpa, PAGE_SIZE, "MANAGE_PAGES pas");
    if (!page)
        return MLX_BAD_PARAM;
    if (h->cmdq_is_set && gpa == h->cmdq)
        return hca_refuse(h, MLX_BAD_PARAM, "pas 0x%llx is the command queue's page",
                          (unsigned long long)gpa);
    if (h->page_count == h->page_room) {
        h->page_room = h->page_room ? 2 * h->page_room : 1024;
        h->page_list = realloc(h->page_list, h->page_room * sizeof(u64));
    }
    h->page_list[h->page_count++] = gpa;
    mark(h, gpa);
    fill(page, gpa);
    return MLX_OK;
}

static void take_from(u32 *wanted, u32 *count)
{
    u32 part = MIN(*wanted, *count);

    *wanted -= part;
    *count -= part;
}

static enum mlx_status give(struct hca *h, struct command *c)
{
    u32 count = (u32)mlx_get(c->in, pages_count), asked = (u32)MAX(h->asked, 0), left = count;
    const be64_t *pas = (const void *)(c->in + MLX_PAGES_PAS);

    if (count != (c->in_size - MLX_PAGES_PAS) / sizeof(be64_t))
        return hca_refuse(h, MLX_BAD_PARAM, "input_num_entries %u: the input has %u", count,
                          (u32)((c->in_size - MLX_PAGES_PAS) / sizeof(be64_t)));
    if (count > h->wanted_boot + h->wanted_init + asked)
        return hca_refuse(h, MLX_BAD_PARAM, "input_num_entries %u: %u were asked for", count,
                          h->wanted_boot + h->wanted_init + asked);
    for (u32 i = 0; i < count; i++) {
        enum mlx_status s = give_one(h, be64_get(pas[i]));

        if (s != MLX_OK)
            return s;
    }
    take_from(&h->wanted_boot, &left);
    take_from(&h->wanted_init, &left);
    h->asked -= (s32)left;
    return MLX_OK;
}

static void take_one(struct hca *h, be64_t *out)
{
    u64 gpa = h->page_list[--h->page_count];
    u8 *page;

    mark(h, gpa);
    page = hca_dma(h, gpa, PAGE_SIZE, "page given back");
    if (page && !is_filled(page, gpa))
        hca_refuse(h, MLX_INTERNAL_ERR, "page 0x%llx: was written to while it was firmware's",
                   (unsigned long long)gpa);
    *out = be64(gpa);
}

static enum mlx_status take(struct hca *h, struct command *c)
{
    u32 count = (u32)mlx_get(c->in, pages_count);
    u32 room = (c->out_size - MLX_PAGES_PAS) / (u32)sizeof(be64_t), n = 0;

    if (c->in_size != MLX_PAGES_PAS)
        return hca_refuse(h, MLX_BAD_INPUT_LEN, "MANAGE_PAGES take has no pas in its input");
    if (room < count)
        return hca_refuse(h, MLX_BAD_OUTPUT_LEN, "the output has room for %u pages, of %u", room,
                          count);
    if (h->state == HCA_RUNNING)
        count = MIN(count, h->page_count -
                               MIN(h->page_count, h->options.boot_pages + h->options.init_pages));
    for (; n < count && h->page_count; n++)
        take_one(h, (be64_t *)(void *)(c->out + MLX_PAGES_PAS) + n);
    mlx_set(c->out, pages_taken, n);
    return MLX_OK;
}

static enum mlx_status cant_give(struct hca *h, struct command *c)
{
    (void)c;
    hca_log(h, LOG_INFO, "the driver cannot give %d pages", h->asked);
    h->asked = 0;
    return MLX_OK;
}

enum mlx_status command_manage_pages(struct hca *h, struct command *c)
{
    static enum mlx_status (*const how[])(struct hca *, struct command *) = {
        [MLX_PAGES_CANT_GIVE] = cant_give, [MLX_PAGES_GIVE] = give, [MLX_PAGES_TAKE] = take};
    enum mlx_status s = check_function(h, c);

    if (s != MLX_OK)
        return s;
    if (c->op_mod >= COUNT_OF(how))
        return hca_refuse(h, MLX_BAD_PARAM, "op_mod %u: 0 to 2 are can't give, give, take",
                          c->op_mod);
    return how[c->op_mod](h, c);
}

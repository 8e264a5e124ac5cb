/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages that firmware has (manual, QUERY_PAGES, MANAGE_PAGES, page request event). They are firmware's until it has
 * returned them, so all are on a list, and what comes back is looked for there. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define CHUNK 512u /* in one command */
#define SIZE  (MLX_PAGES_PAS + CHUNK * 8)

/* --- the list -------------------------------------------------------------------------------------------- */

static enum err remember(struct mlx_pages *p, u64 page)
{
    if (p->used == p->room) {
        u32 room = p->room ? 2 * p->room : 1024;
        u64 *list = p->list ? heap_grow(p->list, p->room * sizeof(u64), room * sizeof(u64))
                            : heap_alloc(room * sizeof(u64));

        if (!list)
            return E_NOMEM;
        p->list = list;
        p->room = room;
    }
    p->list[p->used++] = page;
    p->count++;
    return OK;
}

/* Firmware returns them in some order: the neighbours of the last one are looked at first. */
static bool forget(struct mlx_pages *p, u64 page)
{
    for (u32 d = 0; d < p->used; d++) {
        u32 at[2] = {p->hint - d, p->hint + d};

        for (u32 i = 0; i < 2; i++)
            if (page && at[i] < p->used && p->list[at[i]] == page) {
                p->list[at[i]] = 0;
                p->hint = at[i];
                p->count--;
                while (p->used && !p->list[p->used - 1])
                    p->used--;
                return true;
            }
    }
    return false;
}

static bool forget_locked(struct mlx *m, u64 page)
{
    bool was_there;

    lock_acquire(&m->base.lock);
    m->pages.hint = MIN(m->pages.hint, m->pages.used ? m->pages.used - 1 : 0);
    was_there = forget(&m->pages, page);
    lock_release(&m->base.lock);
    return was_there;
}

void mlx_pages_forget(struct mlx *m)
{
    struct mlx_pages *p = &m->pages;

    for (u32 i = 0; i < p->used; i++)
        if (p->list[i])
            (void)frame_put(HPA(p->list[i]));
    heap_free(p->list);
    *p = (struct mlx_pages){.list = NULL};
}

/* --- giving ------------------------------------------------------------------------------------------------ */

static void take_back_frames(struct mlx *m, const u8 *in, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        u64 page = mlx_get(in + MLX_PAGES_PAS + 8 * i, MLX_AT(0, 63, 0));

        if (forget_locked(m, page))
            (void)frame_put(HPA(page));
    }
}

/* Takes frames for a command, which then names them. */
static u32 fill(struct mlx *m, u8 *in, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        hpa_t page = frame_alloc(0, FRAME_KERNEL, 0);
        enum err e;

        if (!page.v)
            return i;
        lock_acquire(&m->base.lock);
        e = remember(&m->pages, page.v);
        lock_release(&m->base.lock);
        if (e) {
            (void)frame_put(page);
            return i;
        }
        mlx_set(in + MLX_PAGES_PAS + 8 * i, MLX_AT(0, 63, 0), page.v);
    }
    return count;
}

static enum err manage(struct mlx *m, u8 *in, u32 how, u32 count, u32 in_size, void *out,
                       u32 out_size, struct why *why)
{
    mlx_set(in, in_opcode, MLX_MANAGE_PAGES);
    mlx_set(in, in_op_mod, how);
    mlx_set(in, pages_count, count);
    return mlx_command_pages(m, in, in_size, out, out_size, why);
}

static enum err give_some(struct mlx *m, u8 *in, u32 count, struct why *why)
{
    u8 out[16];
    enum err e;

    memset(in, 0, SIZE);
    if (fill(m, in, count) < count) {
        take_back_frames(m, in, count);
        memset(in, 0, SIZE);
        (void)!manage(m, in, MLX_PAGES_CANT_GIVE, 0, MLX_PAGES_PAS, out, sizeof(out), NULL);
        return why_set(why, E_NOMEM, "%s: no memory for %u pages that its firmware wants", m->name,
                       count);
    }
    e = manage(m, in, MLX_PAGES_GIVE, count, MLX_PAGES_PAS + 8 * count, out, sizeof(out), why);
    /* A command that was refused took none; one that was not answered may have. */
    if (e && m->state != MLX_DEAD)
        take_back_frames(m, in, count);
    return e;
}

static enum err give(struct mlx *m, u32 count, struct why *why)
{
    u8 *in = heap_alloc(SIZE);
    enum err e = OK;

    if (!in)
        return why_set(why, E_NOMEM, "%s: no memory for a list of pages", m->name);
    for (; !e && count; count -= MIN(count, CHUNK))
        e = give_some(m, in, MIN(count, CHUNK), why);
    heap_free(in);
    return e;
}

enum err mlx_pages_for(struct mlx *m, u32 when, struct why *why)
{
    u8 in[16] = {0}, out[16];
    s32 count;
    enum err e;

    mlx_set(in, in_opcode, MLX_QUERY_PAGES);
    mlx_set(in, in_op_mod, when);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    if (e)
        return e;
    count = (s32)mlx_get(out, pages_count);
    return count > 0 ? give(m, (u32)count, why) : OK;
}

/* --- taking back --------------------------------------------------------------------------------------------- */

static void take_one(struct mlx *m, u64 page)
{
    if (forget_locked(m, page))
        (void)frame_put(HPA(page));
    else
        log_warn("%s: its firmware returns page 0x%llx, which it was not given", m->name,
                 (unsigned long long)page);
}

/* Returns how many came back. */
static u32 take_some(struct mlx *m, u8 *out, u32 count, struct why *why)
{
    u8 in[MLX_PAGES_PAS] = {0};
    u32 taken;

    if (manage(m, in, MLX_PAGES_TAKE, count, sizeof(in), out, MLX_PAGES_PAS + 8 * count, why))
        return 0;
    taken = MIN((u32)mlx_get(out, pages_taken), count);
    for (u32 i = 0; i < taken; i++)
        take_one(m, mlx_get(out + MLX_PAGES_PAS + 8 * i, MLX_AT(0, 63, 0)));
    return taken;
}

static void take(struct mlx *m, u32 count)
{
    u8 *out = heap_alloc(SIZE);
    struct why why = {""};
    u32 taken = 1;

    for (; out && count && taken; count -= MIN(taken, count))
        taken = take_some(m, out, MIN(count, CHUNK), &why);
    heap_free(out);
    if (why.text[0])
        log_warn("%s", why.text);
}

void mlx_pages_take_all(struct mlx *m)
{
    take(m, m->pages.count);
    if (m->pages.count && m->state != MLX_DEAD)
        log_warn("%s: its firmware keeps %u pages", m->name, m->pages.count);
}

void mlx_pages_serve(struct mlx *m)
{
    struct why why;
    s32 wanted;

    lock_acquire(&m->base.lock);
    wanted = m->pages.wanted;
    m->pages.wanted = 0;
    lock_release(&m->base.lock);
    if (wanted > 0 && give(m, (u32)wanted, &why))
        log_warn("%s", why.text);
    if (wanted < 0)
        take(m, (u32)-wanted);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What is made in the card by commands: it has a number there, and memory that the card uses until firmware has confirmed
 * that it is gone. Ends are done by the card's thread, in the order in which they were asked for, so that a queue pair ends
 * before its completion queues. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/heap.h"
#include "kernel/log.h"

void mlx_object_add(struct mlx *m, struct mlx_object *o, enum mlx_kind kind, u32 number)
{
    o->kind = kind;
    o->number = number;
    o->generation = m->generation;
    list_init(&o->end);
    list_append(&m->objects[kind], &o->all);
    m->counts[kind]++;
}

/* Is it in the card? Not after the card was reset, nor when it does nothing any more. */
bool mlx_object_is_there(const struct mlx *m, const struct mlx_object *o)
{
    return o->generation == m->generation && !m->silent;
}

static enum err destroy(struct mlx *m, struct mlx_object *o, struct why *why)
{
    static const struct {
        u16 before, opcode;
    } how[MLX_KINDS] = {
        [MLX_KIND_QP] = {MLX_2RST_QP, MLX_DESTROY_QP},
        [MLX_KIND_CQ] = {0, MLX_DESTROY_CQ},
        [MLX_KIND_MKEY] = {0, MLX_DESTROY_MKEY},
        [MLX_KIND_PD] = {0, MLX_DEALLOC_PD},
    };
    enum err e = OK;

    if (how[o->kind].before)
        e = mlx_simple(m, how[o->kind].before, 0, o->number, NULL, why);
    return e ? e : mlx_simple(m, how[o->kind].opcode, 0, o->number, NULL, why);
}

/* What firmware does not let go of, only a card that is silent does. */
static void end_in_card(struct mlx *m, struct mlx_object *o)
{
    struct why why;
    bool over;

    if (!mlx_object_is_there(m, o))
        return;
    if (o->kind == MLX_KIND_MKEY && mlx_region_ends_by_work(o, &over) && over) {
        o->generation = 0;
        return;
    }
    if (destroy(m, o, &why) && m->state != MLX_DEAD)
        mlx_fail(m, "%s", why.text);
    else if (m->state != MLX_DEAD)
        o->generation = 0;
}

/* Users before what they use. */
void mlx_objects_destroy(struct mlx *m)
{
    struct mlx_object *o;

    lock_acquire(&m->base.lock);
    m->qps.dead = true; /* nothing is rung, and polls say that work was flushed */
    lock_release(&m->base.lock);
    mlx_umr_destroy_keys(m);
    for (u32 kind = 0; kind < MLX_KINDS; kind++)
        LIST_FOR_EACH(o, &m->objects[kind], all)
        {
            end_in_card(m, o);
        }
}

enum err mlx_objects_begin(struct mlx *m, struct why *why)
{
    (void)why;
    lock_acquire(&m->base.lock);
    m->generation++;
    m->silent = false;
    m->qps.dead = false;
    lock_release(&m->base.lock);
    return OK;
}

/* --- ends ------------------------------------------------------------------------------------------------- */

void mlx_object_end(struct mlx *m, struct mlx_object *o, struct verbs_done *done)
{
    o->done = done;
    list_append(&m->ending, &o->end);
    if (m->thread)
        thread_wake(m->thread);
}

/* Regions that end by work have it posted, as far as there is room. */
static void begin_ends(struct mlx *m)
{
    struct mlx_object *o;

    lock_acquire(&m->base.lock);
    LIST_FOR_EACH(o, &m->ending, end)
    {
        if (o->kind == MLX_KIND_MKEY && mlx_object_is_there(m, o))
            mlx_region_begin_end(m, o);
    }
    lock_release(&m->base.lock);
    mlx_umr_poll(m);
}

static bool must_wait(const struct mlx *m, const struct mlx_object *o)
{
    bool over;

    return o->busy || (o->kind == MLX_KIND_MKEY && mlx_object_is_there(m, o) &&
                       mlx_region_ends_by_work(o, &over) && !over);
}

static struct mlx_object *first_ending(struct mlx *m)
{
    struct mlx_object *o = NULL;
    bool late = false;

    lock_acquire(&m->base.lock);
    if (!list_empty(&m->ending)) {
        o = CONTAINER_OF(m->ending.next, struct mlx_object, end);
        if (must_wait(m, o)) {
            late = m->state == MLX_UP && o->kind == MLX_KIND_MKEY && mlx_region_is_late(o);
            o = NULL;
        } else {
            list_remove(&o->end);
        }
    }
    lock_release(&m->base.lock);
    if (late)
        mlx_fail(m, "it did not invalidate a memory key within 10 s");
    return o;
}

void mlx_objects_end(struct mlx *m)
{
    struct mlx_object *o;
    bool gone;

    begin_ends(m);
    while ((o = first_ending(m))) {
        end_in_card(m, o);
        lock_acquire(&m->base.lock);
        gone = !mlx_object_is_there(m, o);
        if (gone) {
            list_remove(&o->all);
            m->counts[o->kind]--;
            if (o->done)
                list_append(&m->done, &o->done->link);
            mlx_object_free(m, o);
        } else {
            list_append(&m->ending, &o->end); /* until the card is silent */
        }
        lock_release(&m->base.lock);
        if (!gone)
            return;
    }
}

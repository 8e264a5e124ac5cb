/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of objects, who names whom, and that nothing ends while it is named. Kinds that a driver looks up in one
 * table have numbers apart. Numbers go round, so that one does not come back soon. */
#include <stdlib.h>
#include "tools/hca/hca.h"

static const struct {
    const char *name;
    u32 first, last;
} kinds[OBJ_KINDS] = {
    [OBJ_PD] = {"PD", 0x40, 0xffff},
    [OBJ_TRANSPORT_DOMAIN] = {"transport domain", 0x40, 0xffff},
    [OBJ_UAR] = {"UAR", HCA_FIRST_UAR, HCA_BAR_SIZE / MLX_UAR_SIZE - 1},
    [OBJ_EQ] = {"EQ", 1, 31},
    [OBJ_CQ] = {"CQ", 0x40, 0xffff},
    [OBJ_MKEY] = {"mkey", 0x40, 0xffff},
    [OBJ_QP] = {"QP", 0x40, 0xffff},
    [OBJ_XRCD] = {"XRC domain", 0x40, 0xffff},
    [OBJ_XRC_SRQ] = {"XRC SRQ", 0x40, 0x7fff},
    [OBJ_RMP] = {"RMP", 0x8000, 0xffff},
    [OBJ_Q_COUNTER] = {"queue counter", 1, 255},
    [OBJ_TIS] = {"TIS", 0x40, 0xffff},
    [OBJ_TIR] = {"TIR", 0x40, 0xffff},
    [OBJ_RQ] = {"RQ", 0x40, 0xffff},
    [OBJ_SQ] = {"SQ", 0x10000, 0x103ff},
    [OBJ_RQT] = {"RQT", 0x40, 0xffff},
    [OBJ_FLOW_TABLE] = {"flow table", 0x40, 0xffff},
    [OBJ_FLOW_GROUP] = {"flow group", 0x40, 0xffff},
};

const char *object_name(enum object_kind kind)
{
    return kinds[kind].name;
}

static u32 free_number(struct object_table *t, enum object_kind kind)
{
    for (u32 i = kinds[kind].first; i <= kinds[kind].last; i++) {
        u32 n = t->next;

        t->next = n == kinds[kind].last ? kinds[kind].first : n + 1;
        if (!t->slot[n])
            return n;
    }
    return 0;
}

void *object_make(struct hca *h, enum object_kind kind, size_t size)
{
    struct object_table *t = &h->table[kind];
    struct object *o;
    u32 number;

    if (!t->slot) {
        t->slot = calloc(kinds[kind].last + 1, sizeof(t->slot[0]));
        t->next = kinds[kind].first;
    }
    number = free_number(t, kind);
    if (!number) {
        hca_refuse(h, MLX_NO_RES, "no %s is left", kinds[kind].name);
        return NULL;
    }
    o = calloc(1, size);
    o->kind = kind;
    o->number = number;
    t->slot[number] = o;
    t->count++;
    return o;
}

void *object_get(struct hca *h, enum object_kind kind, u32 number)
{
    const struct object_table *t = &h->table[kind];

    return t->slot && number <= kinds[kind].last ? t->slot[number] : NULL;
}

enum mlx_status object_find(struct hca *h, enum object_kind kind, u32 number, void *object,
                            const char *field)
{
    void *o = object_get(h, kind, number);

    *(void **)object = o;
    return o ? MLX_OK
             : hca_refuse(h, MLX_BAD_RES, "%s 0x%x: there is no such %s", field, number,
                          kinds[kind].name);
}

void object_use(struct object *o, struct object *of)
{
    for (u32 i = 0; of && i < COUNT_OF(o->of); i++)
        if (!o->of[i]) {
            o->of[i] = of;
            of->uses++;
            return;
        }
}

enum mlx_status object_may_end(struct hca *h, const struct object *o)
{
    return !o->uses ? MLX_OK
                    : hca_refuse(h, MLX_BAD_RES_STATE, "%s 0x%x is still used by %u objects",
                                 kinds[o->kind].name, o->number, o->uses);
}

void object_end(struct hca *h, struct object *o)
{
    struct object_table *t = &h->table[o->kind];

    for (u32 i = 0; i < COUNT_OF(o->of); i++)
        if (o->of[i])
            o->of[i]->uses--;
    t->slot[o->number] = NULL;
    t->count--;
    free(o);
}

void object_each(struct hca *h, enum object_kind kind, void (*fn)(struct hca *, void *))
{
    const struct object_table *t = &h->table[kind];

    for (u32 i = 0; t->slot && i <= kinds[kind].last; i++)
        if (t->slot[i])
            fn(h, t->slot[i]);
}

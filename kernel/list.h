/* SPDX-License-Identifier: BSD-2-Clause */
/* A doubly linked list through a member of its elements. */
#pragma once
#include "kernel/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_insert_before(struct list *at, struct list *e)
{
    e->next = at;
    e->prev = at->prev;
    at->prev->next = e;
    at->prev = e;
}
static inline void list_append(struct list *l, struct list *e)
{
    list_insert_before(l, e);
}
/* e is then a list of its own: removing it twice is harmless. */
static inline void list_remove(struct list *e)
{
    e->prev->next = e->next;
    e->next->prev = e->prev;
    list_init(e);
}

#define LIST_FOR_EACH(var, head, member)                                                           \
    for (__typeof__(var) var##_next = NULL,                                                        \
                         var##_ = CONTAINER_OF((head)->next, __typeof__(*(var)), member);          \
         (var = var##_, &var->member != (head)) &&                                                 \
         (var##_next = CONTAINER_OF(var->member.next, __typeof__(*(var)), member), true);          \
         var##_ = var##_next)

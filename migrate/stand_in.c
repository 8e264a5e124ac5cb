/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/stand_in.h"
#include "kernel/heap.h"
#include "kernel/list.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "vmm/vm.h"

struct stand_in {
    struct stand_in *next;
    struct config_vm config;
};
static struct stand_in *first;

enum err stand_in_make_way(const struct config_vm *c, struct why *why)
{
    struct vm *vm = vm_find(c->name);
    struct stand_in *s;
    enum err e;

    if (!vm)
        return OK;
    s = heap_alloc(sizeof(*s));
    if (!s)
        return why_set(why, E_NOMEM, "no memory to remember the VM %s, which is off", c->name);
    s->config = vm->config;
    s->next = first;
    e = vm_destroy(vm, why);
    if (e)
        heap_free(s);
    else
        first = s;
    return e;
}

static struct stand_in *take(const char *name)
{
    for (struct stand_in **at = &first; *at; at = &(*at)->next) {
        struct stand_in *s = *at;

        if (!str_equal(s->config.name, name))
            continue;
        *at = s->next;
        return s;
    }
    return NULL;
}

void stand_in_end(const char *name, bool is_wanted)
{
    struct stand_in *s = take(name);
    struct why why = {""};
    struct vm *vm;

    if (s && is_wanted && vm_create(&vm, &s->config, &why))
        log_warn("VM %s, which was off, is gone: %s", name, why.text);
    heap_free(s);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/share/group.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/host.h"
#include "kernel/list.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "vmm/share/hash.h"

struct group {
    struct list link;
    char name[CONFIG_NAME]; /* empty: of one VM alone */
    u16 number;
    u32 members;
    u64 key;
    bool has_secret;
};

static struct lock group_lock;
static struct list groups = {&groups, &groups};
static u16 last_number;

static const struct config_secret *secret_of(const char *name)
{
    for (u32 i = 0; i < host_config.secret_count; i++)
        if (str_equal(host_config.secret[i].group, name))
            return &host_config.secret[i];
    return NULL;
}

/* Nobody who knows when the host booted knows the hashes of its pages. */
static u64 make_key(u16 number)
{
    u64 made_up[3] = {0, arch_tsc(), number};

    if (!arch_random(made_up, sizeof(made_up)))
        log_warn("the CPU has no random numbers: the key of a trust group is made of the time");
    return hash_bytes(made_up, sizeof(made_up), 1);
}

/* --- the list; its lock is held ------------------------------------------------------------------- */

static struct group *find(u16 number)
{
    struct group *g;

    LIST_FOR_EACH(g, &groups, link)
    {
        if (g->number == number)
            return g;
    }
    return NULL;
}

static struct group *find_name(const char *name)
{
    struct group *g;

    LIST_FOR_EACH(g, &groups, link)
    {
        if (name[0] && str_equal(g->name, name))
            return g;
    }
    return NULL;
}

/* Numbers count up and come back late: a frame that another host borrows may keep that of a group which has ended. */
static u16 new_number(void)
{
    do
        last_number++;
    while (!last_number || find(last_number));
    return last_number;
}

static struct group *make(const char *name)
{
    const struct config_secret *s = secret_of(name);
    struct group *g = heap_alloc(sizeof(*g));

    if (!g)
        return NULL;
    *g = (struct group){.number = new_number(), .has_secret = s};
    str_copy(g->name, sizeof(g->name), name);
    g->key = s ? hash_bytes(s->key, sizeof(s->key), 0) : make_key(g->number);
    list_append(&groups, &g->link);
    return g;
}

/* --- members -------------------------------------------------------------------------------------- */

enum err share_group_join(const char *name, u16 *group)
{
    struct group *g;

    lock_acquire(&group_lock);
    g = find_name(name);
    if (!g)
        g = make(name);
    if (g) {
        g->members++;
        *group = g->number;
    }
    lock_release(&group_lock);
    return g ? OK : E_NOMEM;
}

/* A group whose secret other hosts have stays: its frames that are lent come home to it. */
void share_group_leave(u16 group)
{
    struct group *g, *ended = NULL;

    lock_acquire(&group_lock);
    g = find(group);
    if (g && !--g->members && !g->has_secret) {
        list_remove(&g->link);
        ended = g;
    }
    lock_release(&group_lock);
    heap_free(ended);
}

/* --- what is known of one ------------------------------------------------------------------------- */

bool share_group_at(unsigned index, struct share_group_info *info)
{
    struct group *g;
    bool found = false;

    lock_acquire(&group_lock);
    LIST_FOR_EACH(g, &groups, link)
    {
        if (!g->name[0] || found || index--)
            continue;
        *info = (struct share_group_info){.vms = g->members, .has_secret = g->has_secret};
        str_copy(info->name, sizeof(info->name), g->name);
        found = true;
    }
    lock_release(&group_lock);
    return found;
}

u64 share_key(u16 group)
{
    const struct group *g;
    u64 key;

    lock_acquire(&group_lock);
    g = find(group);
    key = g ? g->key : 0;
    lock_release(&group_lock);
    return key;
}

u64 share_hash(u16 group, hpa_t frame)
{
    struct frame_pages *of = frame_pages(frame);

    if (!of->hash)
        of->hash = page_hash(phys_to_virt(frame), share_key(group));
    return of->hash;
}

#include "vmm/share/group.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/lock.h"
#include "kernel/string.h"
#include "vmm/share/hash.h"

struct group {
    char name[CONFIG_NAME];
    u64 key;
    bool has_secret;
};

static struct lock group_lock;
static struct group groups[SHARE_GROUPS];
static u16 count;

static const struct config_secret *secret_of(const char *name)
{
    for (u32 i = 0; i < host_config.secret_count; i++)
        if (str_equal(host_config.secret[i].group, name))
            return &host_config.secret[i];
    return NULL;
}

static struct group make(const char *name)
{
    const struct config_secret *s = secret_of(name);
    struct group g = {.has_secret = s};
    u64 made_up[2] = {arch_tsc(), count};

    str_copy(g.name, sizeof(g.name), name);
    g.key = s ? hash_bytes(s->key, sizeof(s->key), 0) : hash_bytes(made_up, sizeof(made_up), 1);
    return g;
}

enum err share_group(const char *name, u16 *group)
{
    u16 i = 0;

    lock_acquire(&group_lock);
    while (i < count && !str_equal(groups[i].name, name))
        i++;
    if (i == count && i < SHARE_GROUPS)
        groups[count++] = make(name);
    lock_release(&group_lock);
    *group = i + 1;
    return i < SHARE_GROUPS ? OK : E_NOMEM;
}

u16 share_group_count(void)
{
    return count;
}

const char *share_group_name(u16 group)
{
    return groups[group - 1].name;
}

bool share_group_has_secret(u16 group)
{
    return groups[group - 1].has_secret;
}

u64 share_key(u16 group)
{
    return groups[group - 1].key;
}

u64 share_hash(u16 group, hpa_t frame)
{
    struct frame_pages *of = frame_pages(frame);

    if (!of->hash)
        of->hash = page_hash(phys_to_virt(frame), share_key(group));
    return of->hash;
}

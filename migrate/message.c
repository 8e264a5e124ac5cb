/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/message.h"
#include "kernel/string.h"

/* What a type of message consists of. */
struct form {
    const char *name;
    u32 fixed;   /* bytes before the elements */
    u32 element; /* bytes of each; 0: there are none */
};

static const struct form form[MESSAGE_TYPES] = {
    [MESSAGE_PING] = {"ping", sizeof(struct message_ping), 0},
    [MESSAGE_PULL] = {"pull", sizeof(struct message_pull), 0},
    [MESSAGE_PULL_REFUSED] = {"pull-refused", sizeof(struct message_text), 1},
    [MESSAGE_OFFER] = {"offer", sizeof(struct message_offer), 1},
    [MESSAGE_ACCEPT] = {"accept", sizeof(struct message_accept), 0},
    [MESSAGE_REFUSE] = {"refuse", sizeof(struct message_text), 1},
    [MESSAGE_ASK_GRANT] = {"ask-grant", sizeof(struct message_runs), sizeof(struct message_run_of)},
    [MESSAGE_GRANT] = {"grant", sizeof(struct message_grant), 0},
    [MESSAGE_ZERO] = {"zero", sizeof(struct message_runs), sizeof(struct message_run_of)},
    [MESSAGE_ALIAS] = {"alias", sizeof(struct message_alias), sizeof(struct message_alias_of)},
    [MESSAGE_CHUNK] = {"chunk", sizeof(struct message_chunk), 0},
    [MESSAGE_DEFER] = {"defer", sizeof(struct message_defer), sizeof(struct message_defer_of)},
    [MESSAGE_HOME] = {"home", sizeof(struct message_home), sizeof(struct message_home_of)},
    [MESSAGE_FINAL] = {"final", sizeof(struct message_final), 0},
    [MESSAGE_READY] = {"ready", sizeof(struct message_plain), 0},
    [MESSAGE_RUN] = {"run", sizeof(struct message_go), 0},
    [MESSAGE_RUNNING] = {"running", sizeof(struct message_plain), 0},
    [MESSAGE_USED] = {"used", sizeof(struct message_runs), sizeof(struct message_run_of)},
    [MESSAGE_ABORT] = {"abort", sizeof(struct message_text), 1},
    [MESSAGE_DENY] = {"deny", sizeof(struct message_plain), 0},
    [MESSAGE_RETURN] = {"return", sizeof(struct message_runs), sizeof(struct message_run_of)},
    [MESSAGE_RECALL] = {"recall", sizeof(struct message_plain), 0},
    [MESSAGE_LEASE_OVER] = {"lease-over", sizeof(struct message_plain), 0},
    [MESSAGE_ASK_HOLDER] = {"ask-holder", sizeof(struct message_holder), 0},
    [MESSAGE_HOLDER] = {"holder", sizeof(struct message_holder), 0},
};

const char *message_name(enum message_type type)
{
    return (unsigned)type < MESSAGE_TYPES ? form[type].name : "unknown";
}

u64 message_size(enum message_type type, u32 count)
{
    return form[type].fixed + (u64)count * form[type].element;
}

void message_add_run(struct message_run_of *run, u32 *count, u32 n)
{
    if (*count && run[*count - 1].first + run[*count - 1].count == n)
        run[*count - 1].count++;
    else
        run[(*count)++] = (struct message_run_of){n, 1};
}

void message_read_text(const struct message_text *m, char *to, u32 size)
{
    u32 n = MIN(size - 1, m->l.count);

    memcpy(to, m->text, n);
    to[n] = '\0';
    str_clean(to);
}

bool message_runs_fit(const struct message_runs *m, u64 end, u64 most)
{
    u64 sum = 0;

    for (u32 i = 0; i < m->l.count; i++) {
        const struct message_run_of *r = &m->run[i];

        if (!r->count || r->first >= end || r->count > end - r->first)
            return false;
        sum += r->count;
    }
    return sum && sum <= most;
}

static struct mac mac_for(const struct message_header *h, const struct key *key)
{
    return mac_of(key, h, MESSAGE_MACED, h + 1, h->size - sizeof(*h));
}

void message_seal(struct message_header *h, enum message_type type, u32 size, u64 sequence,
                  const struct key *key)
{
    h->magic = MESSAGE_MAGIC;
    h->version = MESSAGE_VERSION;
    h->type = (u8)type;
    h->size = (u16)size;
    h->sequence = sequence;
    h->mac = mac_for(h, key);
}

static enum err check_form(const struct message_header *h, u32 size, struct why *why)
{
    const struct form *f;
    u32 count;

    if (size < sizeof(*h) || size > MESSAGE_SIZE || h->magic != MESSAGE_MAGIC || h->size != size)
        return why_set(why, E_FORMAT, "a message of %u bytes is none of Ferry's", size);
    if (h->version != MESSAGE_VERSION)
        return why_set(why, E_FORMAT,
                       "a message of version %u; this host speaks %u: both hosts "
                       "need the same Ferry",
                       h->version, MESSAGE_VERSION);
    if (h->type >= MESSAGE_TYPES)
        return why_set(why, E_FORMAT, "a message of the unknown type %u", h->type);
    f = &form[h->type];
    count = f->element && size >= f->fixed ? ((const struct message_list *)h)->count : 0;
    if (size != message_size((enum message_type)h->type, count))
        return why_set(why, E_FORMAT, "a %s of %u bytes does not have the length of one", f->name,
                       size);
    return OK;
}

enum err message_check(const void *data, u32 size, u64 sequence, const struct key *key,
                       struct why *why)
{
    const struct message_header *h = data;
    enum err e = check_form(h, size, why);
    struct mac mac;

    if (e)
        return e;
    mac = mac_for(h, key);
    if (!mac_matches(&mac, &h->mac))
        return why_set(why, E_INVAL, "a %s with a wrong MAC: it was not sent by that host",
                       form[h->type].name);
    if (h->sequence != sequence)
        return why_set(why, E_STATE, "message %llu where %llu was due: a replay",
                       (unsigned long long)h->sequence, (unsigned long long)sequence);
    return OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "migrate/hello.h"
#include "kernel/string.h"
#include "kernel/timer.h"

#define SLOT        SEC(10)
#define FRESH_SLOTS 2 /* that a nonce is good for: its own, and the next one */

static bool is_name(const char name[CONFIG_NAME])
{
    size_t n = 0;

    while (n < CONFIG_NAME && name[n])
        if (name[n] <= ' ' || name[n++] > '~')
            return false;
    if (!n || n == CONFIG_NAME)
        return false;
    for (; n < CONFIG_NAME; n++)
        if (name[n])
            return false; /* they are compared and hashed whole */
    return true;
}

bool hello_read(struct hello *h, const void *data, u32 size)
{
    if (size != sizeof(*h))
        return false;
    memcpy(h, data, size);
    return h->magic == HELLO_MAGIC && h->version == HELLO_VERSION && h->kind < HELLO_KINDS &&
           h->size == size && is_name(h->session.name[0]) && is_name(h->session.name[1]);
}

void hello_fill(struct hello *h, enum hello_kind kind, const struct hello_session *s)
{
    *h = (struct hello){.magic = HELLO_MAGIC,
                        .version = HELLO_VERSION,
                        .kind = (u8)kind,
                        .size = sizeof(*h),
                        .session = *s};
}

u64 hello_slot(u64 now)
{
    return now / SLOT;
}

/* Over what the asker has said, and his address. */
static struct mac over_ask(const struct key *own, const char *what, ip4_t from,
                           const struct hello_session *s, u64 slot)
{
    struct hello_session asked = *s;
    struct {
        u64 slot;
        u32 from;
        char what[12];
    } more = {.slot = slot, .from = from.v};

    asked.incarnation[1] = 0;
    memset(&asked.nonce[1], 0, sizeof(asked.nonce[1]));
    str_copy(more.what, sizeof(more.what), what);
    return mac_of(own, &asked, sizeof(asked), &more, sizeof(more));
}

struct hello_nonce hello_nonce_for(const struct key *own, ip4_t from, const struct hello_session *s,
                                   u64 slot)
{
    struct mac m = over_ask(own, "nonce", from, s, slot);
    struct hello_nonce nonce = {{0}};

    memcpy(nonce.b, m.b, sizeof(nonce.b));
    return nonce;
}

struct mac hello_cookie_for(const struct key *own, ip4_t from, const struct hello_session *s)
{
    u64 nonce;

    memcpy(&nonce, s->nonce[1].b, sizeof(nonce));
    return over_ask(own, "cookie", from, s, nonce);
}

bool hello_is_fresh(const struct key *own, ip4_t from, const struct hello *h, u64 now)
{
    struct mac cookie = hello_cookie_for(own, from, &h->session);

    if (!mac_matches(&cookie, &h->cookie))
        return false;
    for (u64 back = 0; back < FRESH_SLOTS; back++) {
        struct hello_nonce n = hello_nonce_for(own, from, &h->session, hello_slot(now) - back);

        if (!memcmp(&n, &h->session.nonce[1], sizeof(n)))
            return true;
    }
    return false;
}

bool hello_is_first(struct hello_seen *seen, const struct hello_session *s, u64 now)
{
    unsigned room = HELLO_SESSIONS;

    for (unsigned i = 0; i < HELLO_SESSIONS; i++) {
        if (seen->session[i].until <= now)
            room = i;
        else if (!memcmp(&seen->session[i].nonce, &s->nonce[1], sizeof(s->nonce[1])))
            return false;
    }
    if (room == HELLO_SESSIONS)
        return false;
    seen->session[room].nonce = s->nonce[1];
    seen->session[room].until = now + FRESH_SLOTS * SLOT;
    return true;
}

static struct key session_key(const struct hello_session *s, const struct key *common,
                              const char *label)
{
    return key_derive(common->b, sizeof(common->b), s, sizeof(*s), label);
}

static struct mac mac_for(const struct hello *h, const struct key *common)
{
    struct key key = session_key(&h->session, common, "ferry hello");

    return mac_of(&key, h, offsetof(struct hello, mac), NULL, 0);
}

void hello_seal(struct hello *h, const struct key *common)
{
    h->mac = mac_for(h, common);
}

bool hello_is_authentic(const struct hello *h, const struct key *common)
{
    struct mac m = mac_for(h, common);

    return mac_matches(&m, &h->mac);
}

struct key hello_control_key(const struct hello_session *s, const struct key *common,
                             unsigned sender)
{
    return session_key(s, common, sender ? "ferry control 1" : "ferry control 0");
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/rdma/exchange.h"
#include "kernel/string.h"

#define MAGIC "ferry-rdma 1"

static const char *const word_name[RDMA_WORDS] = {
    [RDMA_HELLO] = "hello", [RDMA_READY] = "ready", [RDMA_REFUSED] = "refused",
    [RDMA_BYE] = "bye",     [RDMA_GONE] = "gone",
};

const char *rdma_word_name(enum rdma_word word)
{
    return (unsigned)word < RDMA_WORDS ? word_name[word] : "?";
}

/* The numbers of an end, in the order in which they are written; all must be there. */
static const struct field {
    const char *name;
    u16 at, size;
    u64 least, most;
} fields[] = {
#define FIELD(member, least, most)                                                                 \
    {                                                                                              \
#member, offsetof(struct rdma_end, member), sizeof(((struct rdma_end *)0)->member), least, \
            most                                                                                   \
    }
    FIELD(qpn, 2, 0xfffffe),         FIELD(psn, 0, 0xffffff),           FIELD(mtu, 256, 4096),
    FIELD(addr, 0, U64_MAX),         FIELD(key, 0, UINT32_MAX),         FIELD(length, 0, U64_MAX),
    FIELD(message, 0, RDMA_MESSAGE), FIELD(mode, RDMA_SINK, RDMA_ECHO), FIELD(access, 0, 15),
#undef FIELD
};
#define GID      BIT(COUNT_OF(fields))
#define COMPLETE (BIT(COUNT_OF(fields) + 1) - 1)
#define MAC      BIT(COUNT_OF(fields) + 1) /* not of old versions */

/* --- reading --------------------------------------------------------------------------------------- */

/* The next word between blanks; *rest is then behind it. NULL: none is left. */
static char *next_word(char **rest)
{
    char *word, *at = *rest;

    while (*at == ' ')
        at++;
    if (!*at)
        return NULL;
    word = at;
    while (*at && *at != ' ')
        at++;
    if (*at)
        *at++ = '\0';
    *rest = at;
    return word;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_bytes(u8 *to, unsigned count, const char *text)
{
    for (unsigned i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

        if (low < 0)
            return false;
        to[i] = (u8)(high << 4 | low);
    }
    return !text[2 * count];
}

static enum err read_number(struct rdma_end *end, const struct field *f, const char *text,
                            struct why *why)
{
    u64 n;

    if (!str_to_u64(text, &n) || n < f->least || n > f->most)
        return why_set(why, E_FORMAT, "%s is no number from %llu to %llu", f->name,
                       (unsigned long long)f->least, (unsigned long long)f->most);
    memcpy((u8 *)end + f->at, &n, f->size); /* little-endian */
    return OK;
}

/* One name=value. Unknown names are for later versions, and passed over. */
static enum err read_pair(struct rdma_end *end, char *word, u64 *seen, struct why *why)
{
    char *value = word;
    u64 bit = GID;

    while (*value && *value != '=')
        value++;
    if (!*value)
        return why_set(why, E_FORMAT, "a word has no '='");
    *value++ = '\0';
    for (unsigned i = 0; i < COUNT_OF(fields); i++)
        if (str_equal(word, fields[i].name))
            bit = BIT(i);
    if (str_equal(word, "mac"))
        bit = MAC;
    if (bit == GID && !str_equal(word, "gid"))
        return OK;
    if (*seen & bit)
        return why_set(why, E_FORMAT, "%s is there twice", word);
    *seen |= bit;
    if (bit == MAC)
        return read_bytes(end->mac, 6, value)
                   ? OK
                   : why_set(why, E_FORMAT, "mac is not 12 small hexadecimal digits");
    if (bit != GID)
        return read_number(end, &fields[__builtin_ctzll(bit)], value, why);
    return read_bytes(end->gid, 16, value)
               ? OK
               : why_set(why, E_FORMAT, "gid is not 32 small hexadecimal digits");
}

static enum err read_end(struct rdma_end *end, char *rest, struct why *why)
{
    u64 seen = 0;
    char *word;

    while ((word = next_word(&rest)))
        if (read_pair(end, word, &seen, why))
            return E_FORMAT;
    for (unsigned i = 0; i < COUNT_OF(fields); i++)
        if (!(seen & BIT(i)))
            return why_set(why, E_FORMAT, "%s is missing", fields[i].name);
    return (seen & COMPLETE) == COMPLETE ? OK : why_set(why, E_FORMAT, "gid is missing");
}

/* Behind the magic: the word and id=. */
static enum err read_head(struct rdma_text *t, char **rest, struct why *why)
{
    const char *word = next_word(rest), *id = next_word(rest);
    u64 n;

    t->word = RDMA_WORDS;
    for (unsigned i = 0; word && i < RDMA_WORDS; i++)
        if (str_equal(word, word_name[i]))
            t->word = i;
    if (t->word == RDMA_WORDS)
        return why_set(why, E_FORMAT, "not a word that there is");
    if (!id || !str_starts(id, "id=") || !str_to_u64(id + 3, &n) || n > UINT32_MAX)
        return why_set(why, E_FORMAT, "id= does not follow the word");
    t->id = (u32)n;
    return OK;
}

static bool is_text(const char *data, u32 size)
{
    for (u32 i = 0; i < size; i++)
        if (data[i] < ' ' || data[i] > '~')
            return false;
    return true;
}

enum err rdma_text_read(struct rdma_text *t, const void *data, u32 size, struct why *why)
{
    char text[RDMA_TEXT], *rest = text + sizeof(MAGIC) - 1;

    if (size && ((const char *)data)[size - 1] == '\n')
        size--;
    if (size >= sizeof(text) || !is_text(data, size))
        return why_set(why, E_FORMAT, "not a line of at most %u characters", RDMA_TEXT - 1);
    memcpy(text, data, size);
    text[size] = '\0';
    memset(t, 0, sizeof(*t));
    if (!str_starts(text, MAGIC " "))
        return why_set(why, E_FORMAT, "does not begin with \"" MAGIC "\"");
    if (read_head(t, &rest, why))
        return E_FORMAT;
    if (t->word == RDMA_HELLO || t->word == RDMA_READY)
        return read_end(&t->end, rest, why);
    if (t->word == RDMA_REFUSED)
        (void)str_copy(t->reason, sizeof(t->reason), rest);
    return OK;
}

/* --- writing --------------------------------------------------------------------------------------- */

static u32 write_end(char *to, u32 room, const struct rdma_end *end)
{
    u32 n = (u32)str_format(to, room, " gid=");

    for (unsigned i = 0; i < 16; i++)
        n += (u32)str_format(to + n, room - n, "%02x", end->gid[i]);
    n += (u32)str_format(to + n, room - n, " mac=");
    for (unsigned i = 0; i < 6; i++)
        n += (u32)str_format(to + n, room - n, "%02x", end->mac[i]);
    for (unsigned i = 0; i < COUNT_OF(fields); i++) {
        u64 value = 0;

        memcpy(&value, (const u8 *)end + fields[i].at, fields[i].size);
        n += (u32)str_format(to + n, room - n, " %s=%llu", fields[i].name,
                             (unsigned long long)value);
    }
    return n;
}

u32 rdma_text_write(char text[RDMA_TEXT], const struct rdma_text *t)
{
    u32 n = (u32)str_format(text, RDMA_TEXT, MAGIC " %s id=%u", rdma_word_name(t->word), t->id);

    if (t->word == RDMA_HELLO || t->word == RDMA_READY)
        n += write_end(text + n, RDMA_TEXT - n, &t->end);
    if (t->word == RDMA_REFUSED)
        n += (u32)str_format(text + n, RDMA_TEXT - n, " %s", t->reason);
    return n;
}

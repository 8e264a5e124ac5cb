/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/string.h"

bool str_copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from), n = MIN(length, size ? size - 1 : 0);

    if (!size)
        return false;
    memcpy(to, from, n);
    to[n] = 0;
    return n == length;
}

void str_clean(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Reads the number at the start of s; returns what follows it, or NULL where there is none or it
 * does not fit. */
static const char *number_read(const char *s, u64 *value)
{
    u64 base = str_starts(s, "0x") || str_starts(s, "0X") ? 16 : 10;
    const char *start = base == 16 ? s + 2 : s;
    u64 v = 0;

    for (s = start; (u64)digit_value(*s) < base; s++)
        if (__builtin_mul_overflow(v, base, &v) ||
            __builtin_add_overflow(v, (u64)digit_value(*s), &v))
            return NULL;
    if (s == start)
        return NULL;
    *value = v;
    return s;
}

bool str_to_u64(const char *s, u64 *value)
{
    u64 v;
    const char *end = number_read(s, &v);

    if (!end || *end)
        return false;
    *value = v;
    return true;
}

bool str_to_size(const char *s, u64 *bytes)
{
    static const char units[] = "KMGTkmgt";
    u64 v;
    const char *end = number_read(s, &v);
    unsigned shift = 0;

    if (end && *end) {
        const char *unit = strchr(units, *end);

        if (!unit || end[1])
            return false;
        shift = 10 * ((unsigned)((unit - units) % 4) + 1);
    }
    if (!end || v > U64_MAX >> shift)
        return false;
    *bytes = v << shift;
    return true;
}

#define DISTANCE_MAX 31

/* Optimal string alignment: three rows of the table are enough. */
unsigned str_distance(const char *a, const char *b)
{
    u8 row[3][DISTANCE_MAX + 1];
    unsigned la = (unsigned)MIN(strlen(a), DISTANCE_MAX);
    unsigned lb = (unsigned)MIN(strlen(b), DISTANCE_MAX);

    for (unsigned j = 0; j <= lb; j++)
        row[0][j] = (u8)j;
    for (unsigned i = 1; i <= la; i++) {
        u8 *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

        now[0] = (u8)i;
        for (unsigned j = 1; j <= lb; j++) {
            u8 best = (u8)(last[j - 1] + (a[i - 1] != b[j - 1]));

            best = (u8)MIN(best, MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = (u8)MIN(best, before[j - 2] + 1);
            now[j] = best;
        }
    }
    return row[la % 3][lb];
}

bool mem_is_zero(const void *p, size_t size)
{
    u8 any = 0;

    for (size_t i = 0; i < size; i++)
        any |= ((const u8 *)p)[i];
    return !any;
}

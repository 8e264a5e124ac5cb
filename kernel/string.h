/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and text. The mem* and str* names are those of ISO C, with its meaning (on the build host
 * the C library has them); the rest is Ferry's own. Nothing here allocates. */
#pragma once
#include "kernel/types.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strchr(const char *s, int c);
bool mem_is_zero(const void *p, size_t size);

/* printf into a buffer, always terminated when size > 0; returns the length the whole text has.
 * Knows %d %i %u %x %X %c %s %p %% with flags "-0+ ", width, precision, "*" and l, ll, z. */
int str_vformat(char *to, size_t size, const char *format, va_list args);
int str_format(char *to, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);

/* Copies with truncation, always terminated when size > 0. Returns true if all of it fitted. */
bool str_copy(char *to, size_t size, const char *from);
/* Makes text from outside fit for a terminal: all but printable ASCII becomes '?'. */
void str_clean(char *text);

static inline bool str_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}
static inline bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Reads a whole decimal or 0x number; false where there is anything else or it does not fit. */
bool str_to_u64(const char *s, u64 *value);
/* As above with an optional K, M, G or T (binary) behind it; "64M" is 67,108,864. */
bool str_to_size(const char *s, u64 *bytes);
/* Edit distance (insert, delete, replace, swap of neighbours) for "did you mean"; texts over 31
 * characters are compared by their first 31. */
unsigned str_distance(const char *a, const char *b);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions of ISO C that the compiler itself may call. The build host has its own.
 * By words: emulators and older CPUs take one step for each element. */
#include "kernel/string.h"

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    size_t words = size / 8, rest = size % 8;
    void *d = to;

    asm volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words) : : "memory");
    asm volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(rest) : : "memory");
    return to;
}

/* Backwards where the end of the source would be overwritten before it is read. */
void *memmove(void *to, const void *from, size_t size)
{
    u8 *d = (u8 *)to + size - 1;
    const u8 *s = (const u8 *)from + size - 1;

    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);
    asm volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(size) : : "memory", "cc");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    u64 word = (u8)byte * 0x0101010101010101ull;
    size_t words = size / 8, rest = size % 8;
    void *d = to;

    asm volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(word) : "memory");
    asm volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const u8 *x = a, *y = b;

    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        u8 x = (u8)a[i], y = (u8)b[i];

        if (x != y || !x)
            return x - y;
    }
    return 0;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (!*s)
            return NULL;
    }
}

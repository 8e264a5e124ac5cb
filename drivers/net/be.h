/* SPDX-License-Identifier: BSD-2-Clause */
/* Big-endian integers of the wire: types of their own, made of bytes, so that one cannot be used as
 * a number by mistake and a struct of them needs neither packing nor alignment. Anyone may use it. */
#pragma once
#include "kernel/string.h"

typedef struct {
    u8 b[2];
} be16_t;
typedef struct {
    u8 b[3];
} be24_t;
typedef struct {
    u8 b[4];
} be32_t;
typedef struct {
    u8 b[8];
} be64_t;

static inline u16 be16_get(be16_t v)
{
    return (u16)(v.b[0] << 8 | v.b[1]);
}
static inline be16_t be16(u16 n)
{
    return (be16_t){{(u8)(n >> 8), (u8)n}};
}
static inline u32 be24_get(be24_t v)
{
    return (u32)v.b[0] << 16 | (u32)v.b[1] << 8 | v.b[2];
}
static inline be24_t be24(u32 n)
{
    return (be24_t){{(u8)(n >> 16), (u8)(n >> 8), (u8)n}};
}
static inline u32 be32_get(be32_t v)
{
    u32 n;

    __builtin_memcpy(&n, v.b, sizeof(n));
    return __builtin_bswap32(n);
}
static inline be32_t be32(u32 n)
{
    be32_t v;

    n = __builtin_bswap32(n);
    __builtin_memcpy(v.b, &n, sizeof(n));
    return v;
}
static inline u64 be64_get(be64_t v)
{
    u64 n;

    __builtin_memcpy(&n, v.b, sizeof(n));
    return __builtin_bswap64(n);
}
static inline be64_t be64(u64 n)
{
    be64_t v;

    n = __builtin_bswap64(n);
    __builtin_memcpy(v.b, &n, sizeof(n));
    return v;
}

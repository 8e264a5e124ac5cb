/* SPDX-License-Identifier: BSD-2-Clause */
/* Integers, and addresses that cannot be mixed up.
 *
 * An address belongs to one space, and each space has a one-member struct of its own, so that
 * handing a guest address to something that wants a host address does not compile:
 *
 *     hpa_t  host physical      gpa_t  guest physical      gva_t  guest virtual (linear)
 *
 * A host virtual address is an ordinary pointer. Everyone may include this header. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

typedef struct {
    u64 v;
} hpa_t;
typedef struct {
    u64 v;
} gpa_t;
typedef struct {
    u64 v;
} gva_t;

#define HPA(x) ((hpa_t){(x)})
#define GPA(x) ((gpa_t){(x)})
#define GVA(x) ((gva_t){(x)})

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define PAGE_MASK  (PAGE_SIZE - 1)
#define LARGE_SIZE (2ull << 20)
#define LARGE_MASK (LARGE_SIZE - 1)

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#define U64_MAX UINT64_MAX

#define BIT(n)                          (1ull << (n))
#define COUNT_OF(array)                 (sizeof(array) / sizeof((array)[0]))
#define ALIGN_UP(x, a)                  (((x) + ((a)-1)) & ~((u64)(a)-1))
#define ALIGN_DOWN(x, a)                ((x) & ~((u64)(a)-1))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PACKED            __attribute__((packed))
#define ALIGNED(n)        __attribute__((aligned(n)))
#define MUST_CHECK        __attribute__((warn_unused_result))
#define NORETURN          __attribute__((noreturn))
#define NOINLINE          __attribute__((noinline))
#define UNLIKELY(x)       __builtin_expect(x, 0)
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* A hardware or wire layout states its size where it is defined. */
#define ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type " has " #size " bytes")
#define ASSERT_OFFSET(type, member, offset)                                                        \
    _Static_assert(offsetof(type, member) == (offset), #type "." #member " is at " #offset)

/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test includes: cmocka with its own needs, and Ferry's types. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "kernel/types.h"

/* A reproducible source of hostile values. */
static inline u64 unit_random(u64 *state)
{
    *state ^= *state << 13; /* xorshift64 */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What xxhash.h asks of a C library for its streaming interface, which Ferry does not use. */
#pragma once
#include <stddef.h>
void *malloc(size_t size);
void free(void *p);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's heap: zeroed memory for its own objects. Small sizes come from classes of equal
 * blocks, large ones from whole frames. Any context but a guest's fault path, which must not
 * depend on it. */
#pragma once
#include "kernel/types.h"

void *heap_alloc(size_t size); /* aligned to 16, and to a page from 4 KiB on; NULL without memory */
/* The same memory of another size, what is behind the old one zeroed; NULL without memory: the old one stays then. */
void *heap_grow(void *p, size_t size, size_t new_size);
void heap_free(void *p); /* NULL is harmless */

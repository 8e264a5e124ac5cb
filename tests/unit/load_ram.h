/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory for the tests of the loaders: 64 MiB of address space in an array, of which a VM has
 * a part. A write outside RAM and the ROM area fails the test. */
#pragma once
#include "unit.h"
#include <stdlib.h>
#include <string.h>
#include "vmm/layout.h"
#include "vmm/load/load.h"

#define RAM_MOST MIB(64)

static u8 *ram;
static u64 ram_size;
static unsigned ram_writes_left; /* the write after these fails */

static enum err ram_write(void *ctx, gpa_t to, const void *from, size_t size)
{
    (void)ctx;
    assert_true(to.v <= guest_low_top(ram_size) && size <= guest_low_top(ram_size) - to.v);
    if (!ram_writes_left)
        return E_NOMEM;
    ram_writes_left--;
    memcpy(ram + to.v, from, size);
    return OK;
}

/* Memory full of rubbish, of which the first `size` bytes are the VM's. */
static struct load_memory ram_of(u64 size)
{
    assert_true(guest_low_top(size) <= RAM_MOST || size > RAM_MOST);
    memset(ram, 0xcc, RAM_MOST);
    ram_size = size;
    ram_writes_left = ~0u;
    return (struct load_memory){.write = ram_write, .size = size};
}

static u32 ram32(u64 at)
{
    u32 v;

    memcpy(&v, ram + at, sizeof(v));
    return v;
}

static u64 ram64(u64 at)
{
    u64 v;

    memcpy(&v, ram + at, sizeof(v));
    return v;
}

static int ram_setup(void **state)
{
    (void)state;
    ram = malloc(RAM_MOST);
    return ram ? 0 : -1;
}

static int ram_teardown(void **state)
{
    (void)state;
    free(ram);
    return 0;
}

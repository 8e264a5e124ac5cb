/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/backing.h"
#include "kernel/arch.h"
#include "kernel/string.h"

static enum err fill_zero(struct fill *fill)
{
    memset(phys_to_virt(fill->frame), 0, PAGE_SIZE);
    return OK;
}

static enum err fill_copy(struct fill *fill)
{
    memcpy(phys_to_virt(fill->frame), phys_to_virt(fill->from), PAGE_SIZE);
    return OK;
}

const struct backing backing_zero = {.name = "zero", .fill = fill_zero};
const struct backing backing_frame = {.name = "frame", .fill = fill_copy};

/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of the layouts' fields: which bits are reserved, and names for the log. */
#include <stdlib.h>
#include "tools/hca/hca.h"

#define FIELD_ENTRY(layout, name, offset, high, low) {#name, MLX_AT(offset, high, low)},
#define LAYOUT_DEFINE(layout_name, list)                                                           \
    static const struct field fields_##layout_name[] = {list(FIELD_ENTRY)};                        \
    const struct layout layout_##layout_name = {#layout_name, fields_##layout_name,                \
                                                COUNT_OF(fields_##layout_name)};
LAYOUTS(LAYOUT_DEFINE)

static void allow(u8 *known, u32 size, u32 at, u32 field)
{
    u32 offset = at + mlx_offset(field);
    bool quad = mlx_high(field) > 31;

    if (offset + (quad ? 8 : 4) > size)
        return;
    if (quad)
        memset(known + offset, 0xff, 8);
    else
        mlx_set(known + offset, field & 0xfff, mlx_mask(field));
}

u32 layout_reserved(const struct part *parts, u32 count, const void *bytes, u32 size, u32 *bits)
{
    u8 *known = calloc(1, size);
    u32 at = 0;

    for (u32 p = 0; p < count; p++)
        for (u32 i = 0; parts[p].layout && i < parts[p].layout->count; i++)
            allow(known, size, parts[p].at, parts[p].layout->fields[i].at);
    for (; at + 4 <= size; at += 4) {
        *bits = (u32)(mlx_get((const u8 *)bytes + at, MLX_AT(0, 31, 0)) &
                      ~mlx_get(known + at, MLX_AT(0, 31, 0)));
        if (*bits)
            break;
    }
    free(known);
    return at;
}

void layout_print(FILE *to, const struct part *part, const void *bytes)
{
    for (u32 i = 0; i < part->layout->count; i++) {
        const struct field *f = &part->layout->fields[i];
        u64 value = mlx_get((const u8 *)bytes + part->at, f->at);

        if (value)
            fprintf(to, value < 10 ? " %s=%llu" : " %s=0x%llx", f->name, (unsigned long long)value);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Says what it was given: command line, memory map, modules. Works in 4 MiB. */
#include "tests/guests/lib/guest.h"

struct module {
    u32 start, end, text, reserved;
};

struct range {
    u32 size;
    u64 base, length;
    u32 type;
} PACKED;

void guest_main(const char *cmdline)
{
    const struct module *m = (const void *)(u64)multiboot->mods_addr;

    print("cmdline=%s\n", cmdline);
    check(multiboot->flags & BIT(0) && multiboot->mem_lower >= 600, "memory sizes are given",
          "%u KiB", multiboot->mem_lower);
    for (u32 at = 0; at < multiboot->mmap_length;) {
        const struct range *r = (const void *)(u64)(multiboot->mmap_addr + at);

        print("memory %llx-%llx type %u\n", (unsigned long long)r->base,
              (unsigned long long)(r->base + r->length), r->type);
        at += r->size + 4;
    }
    for (u32 i = 0; i < multiboot->mods_count; i++)
        print("module %s: %u bytes, \"%.16s\"\n", (const char *)(u64)m[i].text,
              m[i].end - m[i].start, (const char *)(u64)m[i].start);
    check(!((u64)m & 3), "the module list is aligned", "%p", (const void *)m);
}

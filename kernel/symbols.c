/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/symbols.h"
#include "kernel/arch.h"
#include "kernel/elf.h"

static const struct elf64_sym *symbols;
static const char *names;
static u64 symbol_count;

void symbols_init(const struct boot_info *boot)
{
    const u8 *file = phys_to_virt(HPA(boot->elf_base));
    const struct elf64_header *h = (const void *)file;
    const struct elf64_shdr *s = (const void *)(file + h->shoff);

    for (unsigned i = 0; i < h->shnum; i++) {
        if (s[i].type != ELF_SHT_SYMTAB || s[i].link >= h->shnum)
            continue;
        symbols = (const void *)(file + s[i].offset);
        symbol_count = s[i].size / sizeof(*symbols);
        names = (const char *)file + s[s[i].link].offset;
    }
}

const char *symbol_find(u64 address, u64 *offset)
{
    const struct elf64_sym *best = NULL;

    for (u64 i = 0; i < symbol_count; i++) {
        const struct elf64_sym *s = &symbols[i];

        if ((s->info & 15) == ELF_STT_FUNC && s->value <= address &&
            address < s->value + MAX(s->size, 1) && (!best || s->value > best->value))
            best = s;
    }
    if (!best)
        return NULL;
    *offset = address - best->value;
    return names + best->name;
}

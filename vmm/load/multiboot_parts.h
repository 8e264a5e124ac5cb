/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Multiboot kernel's file asks to have in memory, collected and checked before anything is written. Between
 * multiboot.c and its files. */
#pragma once
#include "vmm/load/load.h"

#define MULTIBOOT_MAX_PARTS 32
#define MULTIBOOT_LOW       0x600ull /* below: interrupt vectors, BIOS data area, GDT */

struct multiboot_part {
    u64 offset, filesz; /* in the file */
    u64 to, memsz;      /* in memory; zeros behind filesz */
};

struct multiboot_parts {
    const struct load_file *file;
    u64 memory; /* bytes of RAM */
    u64 entry;
    u32 count;
    struct multiboot_part part[MULTIBOOT_MAX_PARTS];
};

/* E_FORMAT, E_RANGE, E_UNSUPPORTED with a sentence: the part is not in the file, not in RAM, over another one, or one too
 * many. Of no bytes: OK, and nothing is added. */
enum err multiboot_parts_add(struct multiboot_parts *p, const struct multiboot_part *part,
                             struct why *why) MUST_CHECK;
/* Is no part in those bytes? */
bool multiboot_parts_free(const struct multiboot_parts *p, u64 from, u64 size);
/* The parts and the entry of an ELF file of either class. */
enum err multiboot_parts_elf(struct multiboot_parts *p, struct why *why) MUST_CHECK;

/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts a kernel by the Multiboot specification 0.6.96 (Multiboot 1): an ELF file of either class (it begins in
 * 32-bit mode), or any file whose header gives the load addresses.
 *
 *     400     BIOS data area          500     GDT
 *     600 - 9fc00, 100000 - end of low RAM: what the file asks for; modules behind it
 *     56 KiB that it leaves free, from 1000 on: information, memory map, module list and all texts
 *
 * The VM needs 4 MiB at least. */
#pragma once
#include "vmm/load/load.h"

#define MULTIBOOT_MAX_MODULES 16

struct multiboot_module {
    const char *text; /* its command line, name first */
    struct load_file file;
};

struct multiboot_image {
    struct load_file kernel;
    const char *name; /* the file's, put before the command line */
    const char *cmdline;
    const struct multiboot_module *modules;
    unsigned module_count;
};

/* The header's fields (specification 3.1.2, 3.1.3), as far as Ferry reads them. */
struct multiboot_header {
    u32 magic, flags, checksum;
    u32 header_address, load_address, load_end, bss_end, entry; /* with flags bit 16 */
};
ASSERT_SIZE(struct multiboot_header, 32);

/* Its place in the file, or NULL; *header is filled as far as the file goes (may be NULL). */
const u8 *multiboot_find_header(const struct load_file *file, struct multiboot_header *header);

/* Writes it all into guest memory, and the vCPU's state at the entry: flat 32-bit protected mode,
 * EAX 2badb002h, EBX the information. E_FORMAT, E_UNSUPPORTED, E_RANGE, or what m->write returns.
 * Says so in why. */
enum err multiboot_load(const struct multiboot_image *image, const struct load_memory *m,
                        struct hvm_state *s, struct why *why) MUST_CHECK;

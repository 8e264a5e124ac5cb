/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader hands to the kernel: one page-aligned block, filled before boot services end.
 * Both are built from this header and come from the same build, so there is a magic number and no
 * versioning. All addresses are physical. */
#pragma once
#include "kernel/types.h"

#define BOOT_MAGIC       0x315952524546ull /* "FERRY1" */
#define BOOT_MAX_REGIONS 512
#define BOOT_MAX_FILES   64
#define BOOT_MAX_CPUS    64
#define BOOT_MAX_NOTES   16

enum boot_region_type {
    BOOT_FREE,     /* RAM, nobody's */
    BOOT_LOADER,   /* RAM that the loader filled: kernel, files, page tables, this block */
    BOOT_FIRMWARE, /* RAM that firmware keeps: run-time services, ACPI tables */
    BOOT_OTHER,    /* not RAM, or unusable */
};

struct boot_region {
    u64 base, size; /* multiples of 4 KiB */
    u32 type;       /* enum boot_region_type */
    u32 reserved;
};

/* A file from the boot volume, in whole pages of its own. */
struct boot_file {
    char name[64]; /* as ferry.cfg names it */
    u64 base, size;
};

struct boot_info {
    u64 magic;
    u64 kernel_base, kernel_size; /* the image in memory, 2 MiB aligned */
    u64 elf_base, elf_size;       /* ferry.elf itself, for its symbols */
    u64 page_table;               /* the loader's: all RAM mapped at identity; below 4 GiB */
    u64 low_page;                 /* a free page below 1 MiB, for starting CPUs */
    u64 rsdp;                     /* ACPI root pointer, or 0 */
    u64 efi_system_table;
    u64 config_base, config_size; /* text of ferry.cfg; size 0 if there is none */
    u32 file_count, region_count, cpu_count, note_count;
    u32 apic_id[BOOT_MAX_CPUS];     /* of the CPUs that MP Services list; the first is this CPU */
    char note[BOOT_MAX_NOTES][120]; /* what the loader has to say to the user */
    struct boot_file file[BOOT_MAX_FILES];
    struct boot_region region[BOOT_MAX_REGIONS];
};

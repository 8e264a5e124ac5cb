/* SPDX-License-Identifier: BSD-2-Clause */
/* The UEFI loader: BOOTX64.EFI. Reads ferry.elf, ferry.cfg and the files that it names from the
 * boot volume, notes what only firmware knows, leaves boot services, enters the kernel.
 * UEFI 2.10; section numbers in the sources are of that. */
#pragma once
#include <efi.h>
#include <efilib.h> /* declarations only: of gnu-efi, crt0 and the relocator are linked */
#include "kernel/boot_info.h"
#include "kernel/err.h"

/* The kernel's link address (linker.ld) and where all RAM appears in it. */
#define KERNEL_LINK_BASE 0xffffffff80000000ull
#define DIRECT_MAP_BASE  0xffff800000000000ull

/* files.c: the boot volume */
EFI_FILE_HANDLE volume_open(EFI_HANDLE image);
/* Reads a whole file into pages of its own, NUL-terminated behind its size. Slashes both ways. */
EFI_STATUS file_read(EFI_FILE_HANDLE volume, const char *path, UINT64 *base, UINT64 *size);

/* elf.c: places the kernel; returns its entry address, or 0 with *why set. */
UINT64 elf_place(struct boot_info *info, const char **why);

/* memory.c */
UINT64 pages_alloc(UINTN pages);                   /* anywhere, zeroed; 0 if there are none */
UINT64 pages_alloc_below(UINTN pages, UINT64 top); /* likewise, ending below top */
/* Maps all RAM and the first 4 GiB at identity and at DIRECT_MAP_BASE, and the kernel at its link
 * address, everything writable: the kernel makes its own tables soon. Returns false without memory. */
bool map_build(struct boot_info *info);
/* Takes the final memory map and leaves boot services. */
EFI_STATUS boot_services_leave(EFI_HANDLE image, struct boot_info *info);

/* mp.c: the CPUs, by MP Services (PI 1.7 vol. 2, 13.4); leaves cpu_count 0 where there are none. */
void cpus_note(struct boot_info *info);

/* A line for the user: on the firmware's console now, in the kernel's log later. */
void note(struct boot_info *info, const char *format, ...) PRINTF_LIKE(2, 3);

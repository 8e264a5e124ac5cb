/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts Linux: a bzImage by the 64-bit boot protocol (Documentation/arch/x86/boot.rst).
 *
 *     500    GDT            7000   zero page       9000 - f000   page tables, 4 GiB as it is
 *     20000  command line   pref_address (100000 and up)  kernel, init_size bytes
 *     below the end of low RAM, page-aligned: initrd */
#pragma once
#include "vmm/load/load.h"

struct linux_image {
    struct load_file kernel; /* bzImage */
    struct load_file initrd; /* size 0: none */
    const char *cmdline;
};

/* Writes it all into guest memory, and the vCPU's state at the kernel's entry. E_FORMAT: the file is
 * not what it claims; E_UNSUPPORTED: too old a protocol, or no 64-bit entry; E_RANGE: it does not
 * fit into memory or the command line is too long; or what m->write returns. Says so in why. */
enum err linux_load(const struct linux_image *image, const struct load_memory *m,
                    struct hvm_state *s, struct why *why) MUST_CHECK;

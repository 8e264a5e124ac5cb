/* SPDX-License-Identifier: BSD-2-Clause */
/* Layouts of the Linux x86 boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst in
 * Linux). For linux.c and its tests. */
#pragma once
#include "kernel/types.h"

/* From offset 1f1h of a bzImage and of the zero page. */
struct linux_header {
    u8 setup_sects;
    u16 root_flags;
    u32 syssize; /* of the protected-mode part, in 16 bytes */
    u16 ram_size, vid_mode, root_dev, boot_flag;
    u8 jump, header_end; /* the header ends at 202h + header_end */
    u32 header;          /* "HdrS" */
    u16 version;
    u32 realmode_swtch;
    u16 start_sys_seg, kernel_version;
    u8 type_of_loader, loadflags;
    u16 setup_move_size;
    u32 code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
    u16 heap_end_ptr;
    u8 ext_loader_ver, ext_loader_type;
    u32 cmd_line_ptr, initrd_addr_max, kernel_alignment;
    u8 relocatable_kernel, min_alignment;
    u16 xloadflags;
    u32 cmdline_size, hardware_subarch;
    u64 hardware_subarch_data;
    u32 payload_offset, payload_length;
    u64 setup_data, pref_address;
    u32 init_size, handover_offset;
} PACKED;
ASSERT_OFFSET(struct linux_header, boot_flag, 0x1fe - 0x1f1);
ASSERT_OFFSET(struct linux_header, header, 0x202 - 0x1f1);
ASSERT_OFFSET(struct linux_header, cmd_line_ptr, 0x228 - 0x1f1);
ASSERT_OFFSET(struct linux_header, xloadflags, 0x236 - 0x1f1);
ASSERT_OFFSET(struct linux_header, pref_address, 0x258 - 0x1f1);
ASSERT_SIZE(struct linux_header, 0x268 - 0x1f1);

struct linux_e820 {
    u64 address, size;
    u32 type;
} PACKED;
ASSERT_SIZE(struct linux_e820, 20);

#define E820_RAM      1
#define E820_RESERVED 2

/* Offsets in a bzImage and, where both have them, in the zero page. */
#define LINUX_HEADER      0x1f1
#define LINUX_HEADER_FROM 0x202 /* header_end counts from here */
#define LINUX_HEADER_TOP  0x290 /* the zero page has room for so much of it */

#define ZERO_PAGE_RSDP         0x70 /* u64 */
#define ZERO_PAGE_E820_ENTRIES 0x1e8
#define ZERO_PAGE_E820         0x2d0

#define LINUX_BOOT_FLAG    0xaa55
#define LINUX_MAGIC        0x53726448u /* "HdrS" */
#define LINUX_VERSION      0x020c      /* the first with xloadflags */
#define LINUX_LOADED_HIGH  0x01
#define LINUX_KERNEL_64    0x01
#define LINUX_OTHER_LOADER 0xff
#define LINUX_VIDEO_NORMAL 0xffff
#define LINUX_ENTRY_64     0x200

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/image.h"
#include "vmm/load/linux_boot.h"
#include "vmm/load/multiboot.h"
#include "kernel/string.h"

#define MULTIBOOT2_MAGIC  0xe85250d6u
#define MULTIBOOT2_SEARCH 32768

/* What a file may be in place of a kernel, by how it begins. */
struct image_look {
    const char *start;
    u8 length;
    const char *sentence;
};

static const struct image_look looks[] = {
    {"\x1f\x8b", 2,
     "the kernel file is compressed with gzip: unpack it, or take vmlinuz (a bzImage) as it is"},
    {"\xfd"
     "7zXZ",
     5, "the kernel file is compressed with xz: unpack it"},
    {"\x28\xb5\x2f\xfd", 4, "the kernel file is compressed with zstd: unpack it"},
    {"0707", 4, "the kernel file is a cpio archive: perhaps an initrd"},
    {"\177ELF", 4,
     "the kernel file is an ELF file without a Multiboot header: for Linux take the bzImage "
     "(vmlinuz)"},
    {"MZ", 2, "the kernel file is an EFI application and not a Linux bzImage"},
};

static bool begins(const struct load_file *f, const char *start, size_t length)
{
    return f->size >= length && memcmp(f->data, start, length) == 0;
}

static bool is_linux(const struct load_file *f)
{
    u32 magic = 0;

    if (f->size >= LINUX_HEADER_FROM + sizeof(magic))
        memcpy(&magic, f->data + LINUX_HEADER_FROM, sizeof(magic));
    return magic == LINUX_MAGIC;
}

static bool is_multiboot2(const struct load_file *f)
{
    u32 word;

    for (size_t at = 0; at < MULTIBOOT2_SEARCH && f->size >= at + sizeof(word); at += 8) {
        memcpy(&word, f->data + at, sizeof(word));
        if (word == MULTIBOOT2_MAGIC)
            return true;
    }
    return false;
}

enum image_kind image_find_kind(const struct load_file *file, struct why *why)
{
    if (is_linux(file))
        return IMAGE_LINUX;
    if (multiboot_find_header(file, NULL))
        return IMAGE_MULTIBOOT;
    if (!file->size) {
        why_set(why, E_FORMAT, "the kernel file is empty");
        return IMAGE_NONE;
    }
    if (is_multiboot2(file)) {
        why_set(why, E_UNSUPPORTED,
                "the kernel file has a Multiboot 2 header; Ferry knows Multiboot 1");
        return IMAGE_NONE;
    }
    for (unsigned n = 0; n < COUNT_OF(looks); n++)
        if (begins(file, looks[n].start, looks[n].length)) {
            why_set(why, E_UNSUPPORTED, "%s", looks[n].sentence);
            return IMAGE_NONE;
        }
    why_set(why, E_FORMAT,
            "the kernel file is neither a Linux bzImage (\"HdrS\" at 202h) nor has it a Multiboot "
            "header in its first 8 KiB");
    return IMAGE_NONE;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a Multiboot kernel: each lies in the file and in RAM, and over no other, so that loading takes no longer
 * than writing the VM's memory once. */
#include "vmm/load/multiboot_parts.h"
#include "vmm/layout.h"
#include "kernel/elf.h"
#include "kernel/string.h"

static bool inside(u64 from, u64 size, u64 low, u64 high)
{
    return from >= low && from <= high && size <= high - from;
}

bool multiboot_parts_free(const struct multiboot_parts *p, u64 from, u64 size)
{
    for (u32 i = 0; i < p->count; i++)
        if (from < p->part[i].to + p->part[i].memsz && p->part[i].to < from + size)
            return false;
    return true;
}

static enum err check_place(const struct multiboot_parts *p, const struct multiboot_part *part,
                            struct why *why)
{
    u64 top = guest_low_top(p->memory);

    if (!inside(part->to, part->memsz, MULTIBOOT_LOW, GUEST_BASE_TOP) &&
        !inside(part->to, part->memsz, GUEST_ROM_TOP, top))
        return why_set(why, E_RANGE,
                       "the kernel wants %llu bytes at %llxh; there is room from 600h to 9fc00h "
                       "and from 100000h to %llxh",
                       (unsigned long long)part->memsz, (unsigned long long)part->to,
                       (unsigned long long)top);
    if (!multiboot_parts_free(p, part->to, part->memsz))
        return why_set(why, E_FORMAT,
                       "the kernel's part at %llxh lies over another one: its file is damaged",
                       (unsigned long long)part->to);
    return OK;
}

enum err multiboot_parts_add(struct multiboot_parts *p, const struct multiboot_part *part,
                             struct why *why)
{
    enum err e;

    if (!part->memsz)
        return OK;
    if (part->offset > p->file->size || part->filesz > p->file->size - part->offset)
        return why_set(why, E_FORMAT,
                       "the kernel file is cut short: its part at %llxh has %llu bytes",
                       (unsigned long long)part->offset, (unsigned long long)part->filesz);
    if (part->memsz < part->filesz)
        return why_set(why, E_FORMAT, "a part of the kernel is larger in the file than in memory");
    e = check_place(p, part, why);
    if (e)
        return e;
    if (p->count == MULTIBOOT_MAX_PARTS)
        return why_set(why, E_UNSUPPORTED, "the kernel has more than %u parts to load",
                       MULTIBOOT_MAX_PARTS);
    p->part[p->count++] = *part;
    return OK;
}

/* --- ELF --------------------------------------------------------------------------------------- */

struct elf32_header {
    u32 magic;
    u8 class, data, version, abi;
    u8 padding[8];
    u16 type, machine;
    u32 file_version, entry, phoff, shoff, flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
ASSERT_SIZE(struct elf32_header, 52);

struct elf32_phdr {
    u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
ASSERT_SIZE(struct elf32_phdr, 32);

/* What both classes have in common. */
struct program_headers {
    u64 entry, offset;
    u32 size, count;
    bool wide;
};

static enum err read_header(const struct load_file *f, struct program_headers *h, struct why *why)
{
    struct elf64_header wide = {0};
    struct elf32_header narrow = {0};

    memcpy(&narrow, f->data, MIN(f->size, sizeof(narrow)));
    memcpy(&wide, f->data, MIN(f->size, sizeof(wide)));
    if (narrow.magic != ELF_MAGIC)
        return why_set(
            why, E_FORMAT,
            "the Multiboot header has no addresses (flags bit 16), and the file is not ELF");
    if (narrow.class == ELF_CLASS_32 && narrow.machine == ELF_MACHINE_386)
        *h = (struct program_headers){narrow.entry, narrow.phoff, narrow.phentsize, narrow.phnum,
                                      false};
    else if (narrow.class == ELF_CLASS_64 && narrow.machine == ELF_MACHINE_X86_64)
        *h = (struct program_headers){wide.entry, wide.phoff, wide.phentsize, wide.phnum, true};
    else
        return why_set(why, E_UNSUPPORTED, "the kernel is an ELF file, but not of an x86 CPU");
    if (h->size != (h->wide ? sizeof(struct elf64_phdr) : sizeof(struct elf32_phdr)) ||
        h->offset > f->size || (u64)h->count * h->size > f->size - h->offset)
        return why_set(why, E_FORMAT, "the kernel's ELF program headers lie outside the file");
    return OK;
}

/* As one of the larger class. */
static struct elf64_phdr program_header(const struct load_file *f, const struct program_headers *h,
                                        u32 number)
{
    const u8 *at = f->data + h->offset + (u64)number * h->size;
    struct elf64_phdr wide;
    struct elf32_phdr narrow;

    if (h->wide) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, at, sizeof(narrow));
    return (struct elf64_phdr){.type = narrow.type,
                               .offset = narrow.offset,
                               .vaddr = narrow.vaddr,
                               .paddr = narrow.paddr,
                               .filesz = narrow.filesz,
                               .memsz = narrow.memsz};
}

enum err multiboot_parts_elf(struct multiboot_parts *p, struct why *why)
{
    struct program_headers h = {0};
    enum err e = read_header(p->file, &h, why);

    if (e)
        return e;
    p->entry = h.entry;
    for (u32 i = 0; !e && i < h.count; i++) {
        struct elf64_phdr ph = program_header(p->file, &h, i);

        if (ph.type != ELF_PT_LOAD)
            continue;
        e = multiboot_parts_add(
            p, &(struct multiboot_part){ph.offset, ph.filesz, ph.paddr, ph.memsz}, why);
        /* An entry that is a virtual address is meant where its segment is loaded. */
        if (!e && h.entry - ph.vaddr < ph.memsz)
            p->entry = ph.paddr + (h.entry - ph.vaddr);
    }
    if (!e && p->entry > ~0u)
        e = why_set(why, E_RANGE, "the kernel begins at %llxh, above 4 GiB",
                    (unsigned long long)p->entry);
    return e;
}

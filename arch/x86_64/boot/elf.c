/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/boot/loader.h"
#include "kernel/elf.h"
#include "kernel/string.h"

static const struct elf64_header *header(const struct boot_info *info)
{
    const struct elf64_header *h = (const void *)info->elf_base;

    if (info->elf_size < sizeof(*h) || h->magic != ELF_MAGIC || h->class != ELF_CLASS_64 ||
        h->machine != ELF_MACHINE_X86_64 || h->phentsize != sizeof(struct elf64_phdr) ||
        h->phoff > info->elf_size ||
        h->phnum * sizeof(struct elf64_phdr) > info->elf_size - h->phoff)
        return NULL;
    return h;
}

static bool segment_fits(const struct boot_info *info, const struct elf64_phdr *p)
{
    return p->vaddr >= KERNEL_LINK_BASE && p->memsz <= MIB(64) && p->filesz <= p->memsz &&
           p->offset <= info->elf_size && p->filesz <= info->elf_size - p->offset &&
           p->vaddr - KERNEL_LINK_BASE <= MIB(64);
}

/* The kernel's pages, aligned to 2 MiB, so that its mapping may use large pages. */
static u64 alloc_image(u64 size)
{
    u64 base = pages_alloc((size + LARGE_SIZE) / PAGE_SIZE);

    return base ? ALIGN_UP(base, LARGE_SIZE) : 0;
}

UINT64 elf_place(struct boot_info *info, const char **why)
{
    const struct elf64_header *h = header(info);
    const struct elf64_phdr *p;

    *why = "ferry.elf is damaged: not an ELF image for x86-64";
    if (!h)
        return 0;
    p = (const void *)(info->elf_base + h->phoff);
    for (unsigned i = 0; i < h->phnum; i++) {
        if (p[i].type != ELF_PT_LOAD)
            continue;
        if (!segment_fits(info, &p[i]))
            return 0;
        info->kernel_size = MAX(info->kernel_size, p[i].vaddr - KERNEL_LINK_BASE + p[i].memsz);
    }
    info->kernel_size = ALIGN_UP(info->kernel_size, PAGE_SIZE);
    info->kernel_base = alloc_image(info->kernel_size);
    *why = "firmware has no memory left for the kernel";
    if (!info->kernel_base)
        return 0;
    for (unsigned i = 0; i < h->phnum; i++)
        if (p[i].type == ELF_PT_LOAD)
            memcpy((void *)(info->kernel_base + p[i].vaddr - KERNEL_LINK_BASE),
                   (const void *)(info->elf_base + p[i].offset), p[i].filesz);
    return h->entry;
}

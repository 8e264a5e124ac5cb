/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/linux.h"
#include "vmm/load/linux_boot.h"
#include "vmm/layout.h"
#include "kernel/string.h"

#define ZERO_PAGE   0x7000ull
#define STACK_TOP   0x8ff0ull
#define PAGE_TABLES 0x9000ull /* PML4, PDPT, four page directories */
#define CMDLINE     0x20000ull
#define KERNEL_LOW  0x100000ull

#define BOOT_CS 0x10
#define BOOT_DS 0x18

struct linux_loader {
    const struct linux_image *image;
    const struct load_memory *m;
    struct why *why;
    struct linux_header header;
    size_t setup_size;  /* bytes of the file before the protected-mode part */
    size_t kernel_size; /* of the protected-mode part */
    u64 kernel;         /* where it goes */
    u64 initrd;
};

static enum err check_magic(struct linux_loader *l)
{
    const struct linux_header *h = &l->header;

    if (l->image->kernel.size < LINUX_HEADER + sizeof(*h))
        return why_set(l->why, E_FORMAT,
                       "the kernel file has %llu bytes: too short for a bzImage header",
                       (unsigned long long)l->image->kernel.size);
    memcpy(&l->header, l->image->kernel.data + LINUX_HEADER, sizeof(l->header));
    if (h->boot_flag != LINUX_BOOT_FLAG || h->header != LINUX_MAGIC)
        return why_set(l->why, E_FORMAT,
                       "the kernel file is not a bzImage: no \"HdrS\" at offset 202h");
    if (h->version < LINUX_VERSION)
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel speaks boot protocol %u.%02u; Ferry needs 2.12 (Linux 3.8)",
                       h->version >> 8, h->version & 0xff);
    if (!(h->xloadflags & LINUX_KERNEL_64))
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel has no 64-bit entry (xloadflags bit 0): it is a 32-bit kernel");
    if (!(h->loadflags & LINUX_LOADED_HIGH))
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel is a zImage (loadflags bit 0 is 0): build a bzImage");
    return OK;
}

/* The sizes that the header claims, against the file's. */
static enum err check_sizes(struct linux_loader *l)
{
    const struct linux_header *h = &l->header;
    u64 file = l->image->kernel.size, claimed = (u64)h->syssize * 16;

    if (h->header_end < LINUX_HEADER + sizeof(*h) - LINUX_HEADER_FROM)
        return why_set(l->why, E_FORMAT,
                       "the kernel's header ends at %xh, before the fields of its protocol version",
                       LINUX_HEADER_FROM + h->header_end);
    l->setup_size = ((h->setup_sects ? h->setup_sects : 4u) + 1) * 512;
    if (l->setup_size >= file)
        return why_set(l->why, E_FORMAT,
                       "the kernel file ends inside its set-up part (%llu of %llu bytes)",
                       (unsigned long long)file, (unsigned long long)l->setup_size);
    l->kernel_size = file - l->setup_size;
    if (!claimed || claimed > l->kernel_size + 15) /* the last unit may be in part */
        return why_set(
            l->why, E_FORMAT,
            "the kernel file is cut short: %llu bytes follow the set-up part, its header "
            "says %llu",
            (unsigned long long)l->kernel_size, (unsigned long long)claimed);
    l->kernel_size = MIN(l->kernel_size, claimed);
    if (h->init_size < l->kernel_size || l->kernel_size <= LINUX_ENTRY_64)
        return why_set(l->why, E_FORMAT,
                       "the kernel's header asks for %u bytes of memory for %llu bytes of kernel",
                       h->init_size, (unsigned long long)l->kernel_size);
    return OK;
}

/* Where it prefers to be, or as near above as its alignment allows: a kernel that finds itself lower moves there by
 * itself, and takes init_size bytes there in any case. */
static enum err place_kernel(struct linux_loader *l)
{
    const struct linux_header *h = &l->header;
    u64 alignment = h->kernel_alignment, top = guest_low_top(l->m->size), need;

    l->kernel = h->pref_address;
    if (l->kernel < KERNEL_LOW || l->kernel & PAGE_MASK) {
        if (!h->relocatable_kernel)
            return why_set(l->why, E_RANGE,
                           "the kernel wants to be at address %llxh and cannot be moved",
                           (unsigned long long)h->pref_address);
        if (alignment < PAGE_SIZE || alignment & (alignment - 1))
            return why_set(l->why, E_FORMAT,
                           "the kernel's header asks for an alignment of %xh bytes",
                           h->kernel_alignment);
        l->kernel = ALIGN_UP(MAX(l->kernel, KERNEL_LOW), alignment);
    }
    if (l->kernel <= top && h->init_size <= top - l->kernel)
        return OK;
    need = (MIN(l->kernel, U64_MAX / 2) + h->init_size + l->image->initrd.size + MIB(1) - 1) >> 20;
    return why_set(l->why, E_RANGE,
                   "the kernel needs %llu MiB of memory, with its initrd; the VM has %llu MiB%s",
                   (unsigned long long)need, (unsigned long long)(l->m->size >> 20),
                   need > GUEST_LOW_LIMIT >> 20 ? ", of which 3 GiB can be used for it" : "");
}

static enum err place_initrd(struct linux_loader *l)
{
    u64 size = ALIGN_UP(l->image->initrd.size, PAGE_SIZE);
    u64 low = ALIGN_UP(l->kernel + l->header.init_size, PAGE_SIZE);
    u64 top = MIN(guest_low_top(l->m->size), (u64)l->header.initrd_addr_max + 1);
    u64 room;

    top = ALIGN_DOWN(top, PAGE_SIZE);
    room = top > low ? top - low : 0;
    if (!size)
        return OK;
    if (size > room)
        return why_set(l->why, E_RANGE,
                       "the initrd has %llu KiB, and %llu KiB are free above the kernel and below "
                       "%llxh: give the VM more memory",
                       (unsigned long long)(size >> 10), (unsigned long long)(room >> 10),
                       (unsigned long long)top);
    l->initrd = top - size;
    return OK;
}

static enum err check_cmdline(struct linux_loader *l)
{
    u64 room = MIN((u64)l->header.cmdline_size, GUEST_BASE_TOP - CMDLINE - 1);
    u64 length = strlen(l->image->cmdline);

    if (length <= room)
        return OK;
    return why_set(l->why, E_RANGE, "the command line has %llu characters; this kernel takes %llu",
                   (unsigned long long)length, (unsigned long long)room);
}

static unsigned fill_e820(struct linux_e820 map[5], u64 memory)
{
    unsigned n = 4;

    map[0] = (struct linux_e820){0, GUEST_BASE_TOP, E820_RAM};
    map[1] = (struct linux_e820){GUEST_BASE_TOP, 0xa0000 - GUEST_BASE_TOP, E820_RESERVED};
    map[2] = (struct linux_e820){GUEST_ROM_BASE, GUEST_ROM_TOP - GUEST_ROM_BASE, E820_RESERVED};
    map[3] = (struct linux_e820){GUEST_ROM_TOP, guest_low_top(memory) - GUEST_ROM_TOP, E820_RAM};
    if (guest_high_top(memory) > GUEST_HIGH_BASE)
        map[n++] = (struct linux_e820){GUEST_HIGH_BASE, guest_high_top(memory) - GUEST_HIGH_BASE,
                                       E820_RAM};
    return n;
}

static enum err write_at(const struct linux_loader *l, u64 to, const void *from, size_t size)
{
    return l->m->write(l->m->ctx, GPA(to), from, size);
}

static enum err write_zero_page(struct linux_loader *l)
{
    struct linux_header *h = &l->header;
    size_t header_size = MIN(LINUX_HEADER_FROM + h->header_end, LINUX_HEADER_TOP) - LINUX_HEADER;
    struct linux_e820 map[5];
    u8 entries = (u8)fill_e820(map, l->m->size);
    u64 rsdp = GUEST_ROM_BASE;
    enum err e;

    h->vid_mode = LINUX_VIDEO_NORMAL;
    h->type_of_loader = LINUX_OTHER_LOADER;
    h->code32_start = (u32)l->kernel;
    h->ramdisk_image = (u32)l->initrd;
    h->ramdisk_size = (u32)l->image->initrd.size;
    h->cmd_line_ptr = CMDLINE;
    h->setup_data = 0;
    e = load_zero(l->m, ZERO_PAGE, ZERO_PAGE + PAGE_SIZE);
    if (e == OK) /* also what newer protocols have behind the fields we know */
        e = write_at(l, ZERO_PAGE + LINUX_HEADER, l->image->kernel.data + LINUX_HEADER,
                     MIN(header_size, l->image->kernel.size - LINUX_HEADER));
    if (e == OK)
        e = write_at(l, ZERO_PAGE + LINUX_HEADER, h, sizeof(*h));
    if (e == OK)
        e = write_at(l, ZERO_PAGE + ZERO_PAGE_RSDP, &rsdp, sizeof(rsdp));
    if (e == OK)
        e = write_at(l, ZERO_PAGE + ZERO_PAGE_E820_ENTRIES, &entries, sizeof(entries));
    if (e == OK)
        e = write_at(l, ZERO_PAGE + ZERO_PAGE_E820, map, entries * sizeof(map[0]));
    return e;
}

#define ENTRY_TABLE 0x03ull /* present, writable */
#define ENTRY_LARGE 0x83ull

static enum err write_entries(const struct linux_loader *l, u64 to, u64 first, u64 step,
                              unsigned count)
{
    u64 entries[64];
    enum err e = OK;

    for (unsigned n = 0; e == OK && n < count;) {
        unsigned some = MIN(count - n, COUNT_OF(entries));

        for (unsigned k = 0; k < some; k++)
            entries[k] = first + (n + k) * step;
        e = write_at(l, to + n * 8, entries, some * 8);
        n += some;
    }
    return e;
}

/* 4 GiB at their own addresses, by pages of 2 MiB. */
static enum err write_page_tables(const struct linux_loader *l)
{
    u64 pml4 = PAGE_TABLES, pdpt = pml4 + PAGE_SIZE, directories = pdpt + PAGE_SIZE;
    enum err e = load_zero(l->m, pml4, directories);

    if (e == OK)
        e = write_entries(l, pml4, pdpt | ENTRY_TABLE, 0, 1);
    if (e == OK)
        e = write_entries(l, pdpt, directories | ENTRY_TABLE, PAGE_SIZE, 4);
    if (e == OK)
        e = write_entries(l, directories, ENTRY_LARGE, LARGE_SIZE, 4 * 512);
    return e;
}

static const u64 gdt[4] = {
    [BOOT_CS / 8] = 0x00af9b000000ffff, /* 64-bit code */
    [BOOT_DS / 8] = 0x00cf93000000ffff,
};

static enum err write_all(struct linux_loader *l)
{
    const struct linux_image *i = l->image;
    enum err e = load_explain(write_zero_page(l), "the zero page", l->why);

    if (e == OK)
        e = load_explain(write_page_tables(l), "page tables", l->why);
    if (e == OK)
        e = load_explain(write_at(l, LOAD_GDT, gdt, sizeof(gdt)), "the GDT", l->why);
    if (e == OK)
        e = load_explain(load_text(l->m, CMDLINE, i->cmdline), "the command line", l->why);
    if (e == OK)
        e = load_explain(write_at(l, l->kernel, i->kernel.data + l->setup_size, l->kernel_size),
                         "the kernel", l->why);
    if (e == OK && i->initrd.size)
        e = load_explain(write_at(l, l->initrd, i->initrd.data, i->initrd.size), "the initrd",
                         l->why);
    return e;
}

static void fill_state(const struct linux_loader *l, struct hvm_state *s)
{
    load_flat_state(s, BOOT_CS, BOOT_DS, 0xa09b);
    s->mode.cr0 |= CR0_PG | CR0_WP;
    s->mode.cr3 = PAGE_TABLES;
    s->mode.cr4 = CR4_PAE;
    s->mode.efer = EFER_LME | EFER_LMA;
    s->gdtr = (struct hvm_table){.base = LOAD_GDT, .limit = sizeof(gdt) - 1};
    s->rip = l->kernel + LINUX_ENTRY_64;
    s->gpr[REG_RSI] = ZERO_PAGE;
    s->gpr[REG_RSP] = STACK_TOP;
}

enum err linux_load(const struct linux_image *image, const struct load_memory *m,
                    struct hvm_state *s, struct why *why)
{
    struct linux_loader l = {.image = image, .m = m, .why = why};
    enum err e = check_magic(&l);

    if (e == OK)
        e = check_sizes(&l);
    if (e == OK)
        e = place_kernel(&l);
    if (e == OK)
        e = place_initrd(&l);
    if (e == OK)
        e = check_cmdline(&l);
    if (e == OK)
        e = write_all(&l);
    if (e == OK)
        fill_state(&l, s);
    return e;
}

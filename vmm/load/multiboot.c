/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads a kernel by the Multiboot specification: finds its header, its parts and a place for the boot information, then
 * writes all of it. */
#include "vmm/load/multiboot.h"
#include "vmm/layout.h"
#include "vmm/load/multiboot_parts.h"
#include "kernel/string.h"

#define MAGIC        0x1badb002u
#define BOOT_MAGIC   0x2badb002u
#define SEARCH       8192
#define MEMORY_LEAST MIB(4)
#define FLAG_ADDRESS BIT(16)
#define FLAGS_NEEDED 0xffffu /* a loader must know all of these bits that are set */
/* Modules on page boundaries, memory information; and a video mode, which a VM without a display does not get: the
 * information does not say that it has one. */
#define FLAGS_KNOWN 0x7u

#define INFO_SIZE 0xe000ull

/* The BIOS data area, as far as kernels without ACPI look at it. */
#define BDA_COM1        0x400 /* u16: I/O port */
#define BDA_EBDA        0x40e /* u16: segment of the extended area */
#define BDA_EQUIPMENT   0x410 /* u16 */
#define BDA_MEMORY      0x413 /* u16: KiB below the extended area */
#define EQUIPMENT_FPU   BIT(1)
#define EQUIPMENT_1_COM BIT(9)

#define CODE 0x08
#define DATA 0x10

/* Boot information (specification 3.3). */
struct multiboot_info {
    u32 flags;
    u32 mem_lower, mem_upper; /* KiB */
    u32 boot_device, cmdline, mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
    u32 drives_length, drives_addr, config_table, boot_loader_name;
};
ASSERT_OFFSET(struct multiboot_info, mmap_length, 44);
ASSERT_SIZE(struct multiboot_info, 68);
#define INFO_MEMORY  BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MMAP    BIT(6)
#define INFO_LOADER  BIT(9)

struct multiboot_mod {
    u32 start, end, text, reserved;
};
ASSERT_SIZE(struct multiboot_mod, 16);

struct multiboot_range {
    u32 size; /* of the rest */
    u64 base, length;
    u32 type; /* 1: RAM */
} PACKED;
ASSERT_SIZE(struct multiboot_range, 24);

struct multiboot_loader {
    const struct multiboot_image *image;
    const struct load_memory *m;
    struct why *why;
    struct multiboot_header header;
    size_t header_at; /* in the file */
    struct multiboot_parts parts;
    u64 top;  /* end of what is loaded above 1 MiB */
    u64 info; /* INFO_SIZE bytes */
    u64 text; /* where the next text goes in them */
};

const u8 *multiboot_find_header(const struct load_file *file, struct multiboot_header *header)
{
    struct multiboot_header h;

    for (size_t at = 0; at < SEARCH && file->size >= at + 12; at += 4) {
        memset(&h, 0, sizeof(h));
        memcpy(&h, file->data + at, MIN(file->size - at, sizeof(h)));
        if (h.magic != MAGIC || h.magic + h.flags + h.checksum != 0)
            continue;
        if (header)
            *header = h;
        return file->data + at;
    }
    return NULL;
}

/* The header gives the addresses (flags bit 16). */
static enum err find_by_header(struct multiboot_loader *l)
{
    const struct multiboot_header *h = &l->header;
    u64 before = (u64)h->header_address - h->load_address, offset, filesz, memsz;

    if (l->image->kernel.size - l->header_at < sizeof(*h))
        return why_set(l->why, E_FORMAT, "the kernel file ends inside its Multiboot header");
    if (h->load_address > h->header_address || before > l->header_at)
        return why_set(
            l->why, E_FORMAT,
            "the Multiboot header lies at %xh, %llu bytes into the file, and wants to be "
            "loaded from %xh: that is before the file begins",
            h->header_address, (unsigned long long)l->header_at, h->load_address);
    offset = l->header_at - before;
    filesz = h->load_end ? (u64)h->load_end - h->load_address : l->image->kernel.size - offset;
    if (h->load_end && h->load_end < h->load_address)
        return why_set(l->why, E_FORMAT, "the Multiboot header's load end %xh is below its start",
                       h->load_end);
    if (h->bss_end && h->bss_end < h->load_address + filesz)
        return why_set(l->why, E_FORMAT, "the Multiboot header's bss end %xh is below its data",
                       h->bss_end);
    memsz = h->bss_end ? (u64)h->bss_end - h->load_address : filesz;
    l->parts.entry = h->entry;
    return multiboot_parts_add(
        &l->parts, &(struct multiboot_part){offset, filesz, h->load_address, memsz}, l->why);
}

static enum err write_parts(struct multiboot_loader *l)
{
    enum err e = OK;

    for (u32 i = 0; !e && i < l->parts.count; i++) {
        const struct multiboot_part *p = &l->parts.part[i];

        if (p->filesz)
            e = l->m->write(l->m->ctx, GPA(p->to), l->image->kernel.data + p->offset, p->filesz);
        if (!e)
            e = load_zero(l->m, p->to + p->filesz, p->to + p->memsz);
        l->top = MAX(l->top, p->to + p->memsz);
    }
    return load_explain(e, "the kernel", l->why);
}

/* --- boot information ---------------------------------------------------------------------------- */

/* The lowest pages that the kernel leaves free. */
static enum err place_info(struct multiboot_loader *l)
{
    for (u64 at = PAGE_SIZE; at + INFO_SIZE <= GUEST_BASE_TOP; at += PAGE_SIZE) {
        if (!multiboot_parts_free(&l->parts, at, INFO_SIZE))
            continue;
        l->info = at;
        return OK;
    }
    return why_set(l->why, E_RANGE,
                   "the kernel leaves no %llu KiB free below 9fc00h for its boot information",
                   INFO_SIZE >> 10);
}

/* Adds a text to the information area; its address, or 0 when the area is full. */
static u64 add_text(struct multiboot_loader *l, const char *text)
{
    u64 at = l->text, size = strlen(text) + 1;

    if (size > l->info + INFO_SIZE - at || load_text(l->m, at, text) != OK)
        return 0;
    l->text = at + size;
    return at;
}

/* The file's name and the command line, with a space between them. */
static u64 add_cmdline(struct multiboot_loader *l)
{
    u64 at = add_text(l, l->image->name);

    if (!at || !l->image->cmdline[0])
        return at;
    l->text--;
    if (!add_text(l, " "))
        return 0;
    l->text--;
    return add_text(l, l->image->cmdline) ? at : 0;
}

static enum err too_much_text(const struct multiboot_loader *l)
{
    return why_set(l->why, E_RANGE,
                   "the command lines of the kernel and its modules are longer than %llu bytes",
                   (unsigned long long)(INFO_SIZE - 2048));
}

/* Modules lie behind the kernel, each from a page of its own. */
static enum err load_module(struct multiboot_loader *l, const struct multiboot_module *module,
                            struct multiboot_mod *entry)
{
    u64 at = ALIGN_UP(l->top, PAGE_SIZE), size = module->file.size;
    u64 text = add_text(l, module->text);

    if (!text)
        return too_much_text(l);
    if (at > guest_low_top(l->m->size) || size > guest_low_top(l->m->size) - at)
        return why_set(
            l->why, E_RANGE,
            "module %s has %llu KiB and does not fit behind the kernel: give the VM more "
            "memory",
            module->text, (unsigned long long)(size >> 10));
    *entry = (struct multiboot_mod){(u32)at, (u32)(at + size), (u32)text, 0};
    l->top = at + size;
    if (!size)
        return OK;
    return load_explain(l->m->write(l->m->ctx, GPA(at), module->file.data, size), "a module",
                        l->why);
}

static unsigned fill_map(struct multiboot_range map[3], u64 memory)
{
    u64 low = guest_low_top(memory), high = guest_high_top(memory);

    map[0] = (struct multiboot_range){20, 0, GUEST_BASE_TOP, 1};
    map[1] = (struct multiboot_range){20, GUEST_ROM_TOP, low - GUEST_ROM_TOP, 1};
    map[2] = (struct multiboot_range){20, GUEST_HIGH_BASE, high - GUEST_HIGH_BASE, 1};
    return high > GUEST_HIGH_BASE ? 3 : 2;
}

/* information | memory map | module list | texts */
struct info_area {
    struct multiboot_info info;
    struct multiboot_range map[3];
    struct multiboot_mod mods[MULTIBOOT_MAX_MODULES];
};
_Static_assert(sizeof(struct info_area) < 2048, "most of the area is for texts");

static enum err load_info(struct multiboot_loader *l)
{
    const struct multiboot_image *i = l->image;
    struct info_area a = {0};
    struct multiboot_info *info = &a.info;
    enum err e = OK;

    l->text = l->info + sizeof(a);
    info->flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER;
    info->mem_lower = GUEST_BASE_TOP >> 10;
    info->mem_upper = (u32)((guest_low_top(l->m->size) - GUEST_ROM_TOP) >> 10);
    info->mmap_addr = (u32)(l->info + offsetof(struct info_area, map));
    info->mmap_length = fill_map(a.map, l->m->size) * (u32)sizeof(a.map[0]);
    info->mods_addr = (u32)(l->info + offsetof(struct info_area, mods));
    info->mods_count = i->module_count;
    info->boot_loader_name = (u32)add_text(l, "Ferry");
    info->cmdline = (u32)add_cmdline(l);
    if (!info->cmdline)
        return too_much_text(l);
    for (unsigned n = 0; e == OK && n < i->module_count; n++)
        e = load_module(l, &i->modules[n], &a.mods[n]);
    if (e == OK)
        e = load_explain(l->m->write(l->m->ctx, GPA(l->info), &a, sizeof(a)), "boot information",
                         l->why);
    return e;
}

static enum err check(struct multiboot_loader *l)
{
    const u8 *at = multiboot_find_header(&l->image->kernel, &l->header);

    if (!at)
        return why_set(l->why, E_FORMAT,
                       "the kernel file has no Multiboot header in its first 8 KiB");
    l->header_at = (size_t)(at - l->image->kernel.data);
    if (l->header.flags & FLAGS_NEEDED & ~FLAGS_KNOWN)
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel wants Multiboot flags %04xh; Ferry knows bits 0 to 2",
                       l->header.flags & FLAGS_NEEDED);
    if (l->m->size < MEMORY_LEAST)
        return why_set(l->why, E_RANGE, "memory %llu KiB: a Multiboot kernel needs 4 MiB at least",
                       (unsigned long long)(l->m->size >> 10));
    if (l->image->module_count > MULTIBOOT_MAX_MODULES)
        return why_set(l->why, E_RANGE, "%u modules: %u at most", l->image->module_count,
                       MULTIBOOT_MAX_MODULES);
    return OK;
}

static enum err write_bios_data(const struct load_memory *m)
{
    static const struct {
        u16 at, value;
    } words[] = {{BDA_COM1, PORT_COM1},
                 {BDA_EBDA, GUEST_BASE_TOP >> 4},
                 {BDA_EQUIPMENT, EQUIPMENT_FPU | EQUIPMENT_1_COM},
                 {BDA_MEMORY, GUEST_BASE_TOP >> 10}};
    enum err e = OK;

    for (unsigned i = 0; !e && i < COUNT_OF(words); i++)
        e = m->write(m->ctx, GPA(words[i].at), &words[i].value, sizeof(words[i].value));
    return e;
}

static const u64 gdt[3] = {
    [CODE / 8] = 0x00cf9b000000ffff,
    [DATA / 8] = 0x00cf93000000ffff,
};

static void fill_state(const struct multiboot_loader *l, struct hvm_state *s)
{
    load_flat_state(s, CODE, DATA, 0xc09b);
    s->gdtr = (struct hvm_table){.base = LOAD_GDT, .limit = sizeof(gdt) - 1};
    s->rip = l->parts.entry;
    s->gpr[REG_RAX] = BOOT_MAGIC;
    s->gpr[REG_RBX] = l->info;
}

enum err multiboot_load(const struct multiboot_image *image, const struct load_memory *m,
                        struct hvm_state *s, struct why *why)
{
    struct multiboot_loader l = {.image = image,
                                 .m = m,
                                 .why = why,
                                 .top = GUEST_ROM_TOP,
                                 .parts = {.file = &image->kernel, .memory = m->size}};
    enum err e = check(&l);

    if (e == OK)
        e = l.header.flags & FLAG_ADDRESS ? find_by_header(&l) : multiboot_parts_elf(&l.parts, why);
    if (e == OK)
        e = place_info(&l);
    if (e == OK)
        e = write_parts(&l);
    if (e == OK)
        e = load_info(&l);
    if (e == OK)
        e = load_explain(write_bios_data(m), "the BIOS data area", why);
    if (e == OK)
        e = load_explain(m->write(m->ctx, GPA(LOAD_GDT), gdt, sizeof(gdt)), "the GDT", why);
    if (e == OK)
        fill_state(&l, s);
    return e;
}

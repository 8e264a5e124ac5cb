#include "vmm/load/multiboot.h"
#include "vmm/layout.h"
#include "kernel/elf.h"
#include "kernel/string.h"

#define MAGIC        0x1badb002u
#define BOOT_MAGIC   0x2badb002u
#define SEARCH       8192
#define MEMORY_LEAST MIB(4)
#define FLAG_VIDEO   BIT(2)
#define FLAG_ADDRESS BIT(16)
#define FLAGS_NEEDED 0xffffu /* a loader must know all of these bits that are set */
#define FLAGS_KNOWN  0x3u    /* modules on page boundaries, memory information */

#define INFO       0x1000ull
#define INFO_TOP   0xf000ull
#define LOW_BOTTOM 0x10000ull

#define CODE 0x08
#define DATA 0x10

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
    u64 top;          /* end of what is loaded above 1 MiB */
    u64 entry;
    u64 text; /* where the next text goes, in INFO ... INFO_TOP */
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

static bool inside(u64 from, u64 size, u64 low, u64 high)
{
    return from >= low && from <= high && size <= high - from;
}

/* Copies `filesz` bytes of the file, and zeros up to `memsz`, to where RAM is free for it. */
static enum err load_part(struct multiboot_loader *l, u64 offset, u64 filesz, u64 memsz, u64 to)
{
    const struct load_file *f = &l->image->kernel;
    enum err e;

    if (offset > f->size || filesz > f->size - offset)
        return why_set(l->why, E_FORMAT,
                       "the kernel file is cut short: its part at %llxh has %llu bytes",
                       (unsigned long long)offset, (unsigned long long)filesz);
    if (memsz < filesz)
        return why_set(l->why, E_FORMAT,
                       "a part of the kernel is larger in the file than in memory");
    if (!inside(to, memsz, LOW_BOTTOM, GUEST_BASE_TOP) &&
        !inside(to, memsz, GUEST_ROM_TOP, guest_low_top(l->m->size)))
        return why_set(l->why, E_RANGE,
                       "the kernel wants %llu bytes at %llxh; there is room from 10000h to 9fc00h "
                       "and from 100000h to %llxh",
                       (unsigned long long)memsz, (unsigned long long)to,
                       (unsigned long long)guest_low_top(l->m->size));
    e = filesz ? l->m->write(l->m->ctx, GPA(to), f->data + offset, filesz) : OK;
    if (e == OK)
        e = load_zero(l->m, to + filesz, to + memsz);
    l->top = MAX(l->top, to + memsz);
    return load_explain(e, "the kernel", l->why);
}

/* The header gives the addresses (flags bit 16). */
static enum err load_by_header(struct multiboot_loader *l)
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
    l->entry = h->entry;
    return load_part(l, offset, filesz, memsz, h->load_address);
}

static enum err check_elf(struct multiboot_loader *l, struct elf32_header *h)
{
    const struct load_file *f = &l->image->kernel;

    if (f->size < sizeof(*h))
        return why_set(l->why, E_FORMAT, "the kernel file ends inside its ELF header");
    memcpy(h, f->data, sizeof(*h));
    if (h->magic != ELF_MAGIC)
        return why_set(
            l->why, E_FORMAT,
            "the Multiboot header has no addresses (flags bit 16), and the file is not ELF");
    if (h->class != ELF_CLASS_32 || h->machine != ELF_MACHINE_386)
        return why_set(
            l->why, E_UNSUPPORTED,
            "the kernel is not a 32-bit x86 ELF file: convert it (objcopy -O elf32-i386)");
    if (h->phentsize != sizeof(struct elf32_phdr) || h->phoff > f->size ||
        (u64)h->phnum * h->phentsize > f->size - h->phoff)
        return why_set(l->why, E_FORMAT, "the kernel's ELF program headers lie outside the file");
    return OK;
}

static enum err load_elf(struct multiboot_loader *l)
{
    struct elf32_header h;
    struct elf32_phdr p;
    enum err e = check_elf(l, &h);

    if (e != OK)
        return e;
    l->entry = h.entry;
    for (unsigned n = 0; e == OK && n < h.phnum; n++) {
        memcpy(&p, l->image->kernel.data + h.phoff + n * sizeof(p), sizeof(p));
        if (p.type != ELF_PT_LOAD || !p.memsz)
            continue;
        e = load_part(l, p.offset, p.filesz, p.memsz, p.paddr);
        /* An entry that is a virtual address is meant where its segment is loaded. */
        if (h.entry - p.vaddr < p.memsz)
            l->entry = (u64)p.paddr + (h.entry - p.vaddr);
    }
    return e;
}

/* Adds a text to the information area; its address, or 0 when the area is full. */
static u64 add_text(struct multiboot_loader *l, const char *text)
{
    u64 at = l->text, size = strlen(text) + 1;

    if (size > INFO_TOP - at || load_text(l->m, at, text) != OK)
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
                   (unsigned long long)(INFO_TOP - INFO - 2048));
}

/* Modules lie behind the kernel, each from a page of its own. */
static enum err load_module(struct multiboot_loader *l, const struct multiboot_module *module,
                            struct multiboot_mod *entry)
{
    u64 at = ALIGN_UP(l->top, PAGE_SIZE), size = module->file.size;
    u64 text = add_text(l, module->text);

    if (!text)
        return too_much_text(l);
    if (!inside(at, size, GUEST_ROM_TOP, guest_low_top(l->m->size)))
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

    l->text = INFO + sizeof(a);
    info->flags = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_LOADER;
    info->mem_lower = GUEST_BASE_TOP >> 10;
    info->mem_upper = (u32)((guest_low_top(l->m->size) - GUEST_ROM_TOP) >> 10);
    info->mmap_addr = INFO + offsetof(struct info_area, map);
    info->mmap_length = fill_map(a.map, l->m->size) * (u32)sizeof(a.map[0]);
    info->mods_addr = INFO + offsetof(struct info_area, mods);
    info->mods_count = i->module_count;
    info->boot_loader_name = (u32)add_text(l, "Ferry");
    info->cmdline = (u32)add_cmdline(l);
    if (!info->cmdline)
        return too_much_text(l);
    for (unsigned n = 0; e == OK && n < i->module_count; n++)
        e = load_module(l, &i->modules[n], &a.mods[n]);
    if (e == OK)
        e = load_explain(l->m->write(l->m->ctx, GPA(INFO), &a, sizeof(a)), "boot information",
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
    if (l->header.flags & FLAG_VIDEO)
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel wants a video mode (Multiboot flags bit 2); the VM has a serial "
                       "console only");
    if (l->header.flags & FLAGS_NEEDED & ~FLAGS_KNOWN)
        return why_set(l->why, E_UNSUPPORTED,
                       "the kernel wants Multiboot flags %04xh; Ferry knows bits 0 and 1",
                       l->header.flags & FLAGS_NEEDED);
    if (l->m->size < MEMORY_LEAST)
        return why_set(l->why, E_RANGE, "memory %llu KiB: a Multiboot kernel needs 4 MiB at least",
                       (unsigned long long)(l->m->size >> 10));
    if (l->image->module_count > MULTIBOOT_MAX_MODULES)
        return why_set(l->why, E_RANGE, "%u modules: %u at most", l->image->module_count,
                       MULTIBOOT_MAX_MODULES);
    return OK;
}

static const u64 gdt[3] = {
    [CODE / 8] = 0x00cf9b000000ffff,
    [DATA / 8] = 0x00cf93000000ffff,
};

static void fill_state(const struct multiboot_loader *l, struct hvm_state *s)
{
    load_flat_state(s, CODE, DATA, 0xc09b);
    s->gdtr = (struct hvm_table){.base = LOAD_GDT, .limit = sizeof(gdt) - 1};
    s->rip = l->entry;
    s->gpr[REG_RAX] = BOOT_MAGIC;
    s->gpr[REG_RBX] = INFO;
}

enum err multiboot_load(const struct multiboot_image *image, const struct load_memory *m,
                        struct hvm_state *s, struct why *why)
{
    struct multiboot_loader l = {.image = image, .m = m, .why = why, .top = GUEST_ROM_TOP};
    enum err e = check(&l);

    if (e == OK)
        e = l.header.flags & FLAG_ADDRESS ? load_by_header(&l) : load_elf(&l);
    if (e == OK)
        e = load_info(&l);
    if (e == OK)
        e = load_explain(m->write(m->ctx, GPA(LOAD_GDT), gdt, sizeof(gdt)), "the GDT", why);
    if (e == OK)
        fill_state(&l, s);
    return e;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The Multiboot loader and the look at what a file is. */
#include "load_ram.h"
#include "kernel/elf.h"
#include "vmm/load/image.h"
#include "vmm/load/multiboot.h"

#define HEADER_AT 0x100

static u8 file[8192];
static u8 payload[5000];
static struct multiboot_module modules[2];
static struct multiboot_image image;
static struct hvm_state state_out;
static struct why why;

struct elf_file {
    u8 ident[16];
    u16 type, machine;
    u32 version, entry, phoff, shoff, flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    struct {
        u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
    } part[2];
};
static struct elf_file *const elf = (struct elf_file *)file;

static void put_header(u32 flags, const u32 addresses[5])
{
    struct multiboot_header h = {.magic = 0x1badb002, .flags = flags};

    h.checksum = -(h.magic + h.flags);
    memcpy(&h.header_address, addresses, 20);
    memcpy(file + HEADER_AT, &h, sizeof(h));
}

static void good_elf(void)
{
    static const u32 none[5];

    memset(file, 0x11, sizeof(file));
    memset(payload, 0x99, sizeof(payload));
    *elf = (struct elf_file){.ident = {0x7f, 'E', 'L', 'F', 1, 1, 1},
                             .type = 2,
                             .machine = 3,
                             .version = 1,
                             .entry = 0xc0100020,
                             .phoff = 52,
                             .ehsize = 52,
                             .phentsize = 32,
                             .phnum = 2};
    elf->part[0].type = elf->part[1].type = 1;
    elf->part[0].vaddr = 0xc0100000;
    elf->part[0].paddr = 0x100000;
    elf->part[0].offset = 0;
    elf->part[0].filesz = elf->part[0].memsz = 4096;
    elf->part[1].vaddr = 0xc0200000;
    elf->part[1].paddr = 0x200000;
    elf->part[1].offset = 4096;
    elf->part[1].filesz = 100;
    elf->part[1].memsz = 5000;
    put_header(3, none);
    modules[0] = (struct multiboot_module){"first a=b", {payload, sizeof(payload)}};
    modules[1] = (struct multiboot_module){"second", {payload, 0}};
    image = (struct multiboot_image){.kernel = {file, sizeof(file)},
                                     .name = "hello.elf",
                                     .cmdline = "one two",
                                     .modules = modules,
                                     .module_count = 2};
}

/* Loaded by the addresses in its header: from 40h of the file to 1 MiB. */
static void good_addresses(void)
{
    static const u32 addresses[5] = {0x1000c0, 0x100000, 0x100800, 0x101000, 0x100010};

    good_elf();
    memset(file, 0x22, HEADER_AT);
    put_header(0x10003, addresses);
}

static enum err load(u64 memory)
{
    struct load_memory m = ram_of(memory);

    why.text[0] = 0;
    return multiboot_load(&image, &m, &state_out, &why);
}

static void refused(u64 memory, enum err want, const char *words)
{
    assert_int_equal(load(memory), want);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" says nothing of \"%s\"", why.text, words);
}

static void an_elf_file_is_loaded_by_its_program_headers(void **state)
{
    (void)state;
    good_elf();
    assert_int_equal(load(MIB(4)), OK);
    assert_memory_equal(ram + 0x100000, file, 4096);
    assert_memory_equal(ram + 0x200000, file + 4096, 100);
    for (unsigned n = 100; n < 5000; n++)
        assert_int_equal(ram[0x200000 + n], 0);
    assert_int_equal(ram[0x200000 + 5000], 0xcc);
    assert_int_equal(state_out.rip, 0x100020); /* its virtual entry, where it was loaded */
    assert_int_equal(state_out.gpr[REG_RAX], 0x2badb002);
    assert_int_equal(state_out.mode.cr0 & (CR0_PE | CR0_PG), CR0_PE);
    assert_int_equal(state_out.mode.seg[SEG_CS].attr, 0xc09b);
}

static void the_information_says_what_was_loaded(void **state)
{
    u64 info, mods, map;

    (void)state;
    good_elf();
    assert_int_equal(load(MIB(8)), OK);
    info = state_out.gpr[REG_RBX];
    assert_int_equal(ram32(info), 0x24d);
    assert_int_equal(ram32(info + 4), 639);
    assert_int_equal(ram32(info + 8), 7 * 1024);
    assert_string_equal((char *)ram + ram32(info + 16), "hello.elf one two");
    assert_string_equal((char *)ram + ram32(info + 64), "Ferry");
    assert_int_equal(ram32(info + 20), 2);
    mods = ram32(info + 24);
    assert_int_equal(ram32(mods), 0x202000);
    assert_int_equal(ram32(mods + 4), 0x202000 + sizeof(payload));
    assert_string_equal((char *)ram + ram32(mods + 8), "first a=b");
    assert_memory_equal(ram + 0x202000, payload, sizeof(payload));
    assert_int_equal(ram32(mods + 16), 0x204000);
    assert_int_equal(ram32(mods + 20), 0x204000);
    assert_int_equal(ram32(info + 44), 48);
    map = ram32(info + 48);
    assert_int_equal(ram32(map), 20);
    assert_int_equal(ram64(map + 12), 0x9fc00);
    assert_int_equal(ram64(map + 28), 0x100000);
    assert_int_equal(ram64(map + 36), MIB(7));
}

static void without_a_command_line_the_name_stands_alone(void **state)
{
    (void)state;
    good_elf();
    image.cmdline = "";
    assert_int_equal(load(MIB(4)), OK);
    assert_string_equal((char *)ram + ram32(state_out.gpr[REG_RBX] + 16), "hello.elf");
}

static void a_header_with_addresses_is_obeyed(void **state)
{
    (void)state;
    good_addresses();
    assert_int_equal(load(MIB(4)), OK);
    assert_memory_equal(ram + 0x100000, file + 0x40, 0x800);
    assert_int_equal(ram[0x100800], 0);
    assert_int_equal(ram[0x100fff], 0);
    assert_int_equal(state_out.rip, 0x100010);
    put_header(0x10000, (const u32[5]){0x1000c0, 0x100000, 0, 0, 0x100010});
    assert_int_equal(load(MIB(4)), OK);
    assert_memory_equal(ram + 0x100000, file + 0x40, sizeof(file) - 0x40);
}

static void a_kernel_may_lie_where_the_information_usually_is(void **state)
{
    u64 info;

    (void)state;
    for (u32 at = 0x600; at <= 0x9000; at += 0x400) {
        good_elf();
        elf->part[1].paddr = at;
        assert_int_equal(load(MIB(4)), OK);
        info = state_out.gpr[REG_RBX];
        assert_true(info >= at + 5000 || info + 0xe000 <= at);
        assert_memory_equal(ram + at, file + 4096, 100);
        assert_string_equal((char *)ram + ram32(info + 16), "hello.elf one two");
    }
}

static void the_bios_data_area_says_where_low_memory_ends(void **state)
{
    (void)state;
    good_elf();
    assert_int_equal(load(MIB(4)), OK);
    assert_int_equal(ram32(0x400) & 0xffff, 0x3f8);
    assert_int_equal(ram32(0x40e) & 0xffff, 0x9fc0);
    assert_int_equal(ram32(0x413) & 0xffff, 639);
}

static void a_kernel_that_would_like_a_video_mode_starts_without(void **state)
{
    (void)state;
    good_elf();
    put_header(7, (const u32[5]){0});
    assert_int_equal(load(MIB(4)), OK);
    assert_int_equal(ram32(state_out.gpr[REG_RBX]) & ~0x24du, 0);
}

static void an_elf_file_of_64_bits_is_loaded_too(void **state)
{
    static const u8 ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    struct elf64_header *h = (void *)file;
    struct elf64_phdr *p = (void *)(file + sizeof(*h));

    (void)state;
    good_elf();
    memset(file, 0, HEADER_AT);
    memcpy(file, ident, sizeof(ident));
    h->type = 2;
    h->machine = ELF_MACHINE_X86_64;
    h->entry = 0xffffffff80100040;
    h->phoff = sizeof(*h);
    h->phentsize = sizeof(*p);
    h->phnum = 1;
    *p = (struct elf64_phdr){.type = ELF_PT_LOAD,
                             .vaddr = 0xffffffff80100000,
                             .paddr = 0x100000,
                             .filesz = 4096,
                             .memsz = 5000};
    assert_int_equal(load(MIB(4)), OK);
    assert_memory_equal(ram + 0x100000, file, 4096);
    assert_int_equal(ram[0x100000 + 4999], 0);
    assert_int_equal(state_out.rip, 0x100040);
    h->entry = 0x123456789;
    refused(MIB(4), E_RANGE, "above 4 GiB");
}

static void a_file_of_very_many_parts_is_refused_at_once(void **state)
{
    struct elf_file *f;

    (void)state;
    good_elf();
    f = elf;
    f->phnum = 200;
    for (unsigned i = 0; i < 200; i++) {
        u32 part[8] = {1, 0, 0x100000, 0x100000, 0, 0x200000, 0, 0};

        memcpy(file + 1024 + 32 * i, part, sizeof(part));
    }
    f->phoff = 1024;
    refused(MIB(4), E_FORMAT, "over another one");
    for (unsigned i = 0; i < 200; i++)
        memcpy(file + 1024 + 32 * i + 12, &(u32){0x100000 + i * 4096}, 4),
            memcpy(file + 1024 + 32 * i + 20, &(u32){4096}, 4);
    refused(MIB(4), E_UNSUPPORTED, "more than 32 parts");
}

static void hostile_headers_are_refused_in_words(void **state)
{
    (void)state;
    good_elf();
    put_header(0x83, (const u32[5]){0});
    refused(MIB(4), E_UNSUPPORTED, "0083h");
    file[HEADER_AT + 8] ^= 1;
    refused(MIB(4), E_FORMAT, "no Multiboot header");
    good_elf();
    refused(MIB(2), E_RANGE, "4 MiB");
    elf->ident[4] = 2; /* of 64 bits, for a 386 */
    refused(MIB(4), E_UNSUPPORTED, "not of an x86 CPU");
    good_elf();
    elf->phnum = 0xffff;
    refused(MIB(4), E_FORMAT, "program headers");
    good_elf();
    elf->phoff = ~0u;
    refused(MIB(4), E_FORMAT, "program headers");
    good_elf();
    elf->part[1].offset = ~0u;
    refused(MIB(4), E_FORMAT, "cut short");
    good_elf();
    elf->part[1].filesz = ~0u;
    refused(MIB(4), E_FORMAT, "cut short");
    good_elf();
    elf->part[1].memsz = 50;
    refused(MIB(4), E_FORMAT, "larger");
    good_elf();
    elf->part[1].memsz = ~0u;
    refused(MIB(4), E_RANGE, "room");
    good_elf();
    elf->part[1].paddr = 0x500; /* over the GDT */
    refused(MIB(4), E_RANGE, "room");
    good_elf();
    elf->part[1].paddr = 0x1000; /* all of low memory */
    elf->part[1].memsz = 0x9ec00;
    refused(MIB(4), E_RANGE, "boot information");
    good_elf();
    elf->part[1].paddr = 0x100fff;
    refused(MIB(4), E_FORMAT, "over another one");
    good_elf();
    elf->part[1].paddr = 0xfffff000;
    refused(MIB(4), E_RANGE, "room");
    good_elf();
    elf->ident[0] = 0;
    refused(MIB(4), E_FORMAT, "not ELF");
    good_elf();
    image.cmdline = memset((char[60000]){0}, 'x', 59999);
    refused(MIB(4), E_RANGE, "command lines");
    good_elf();
    modules[0].file.size = MIB(3);
    refused(MIB(4), E_RANGE, "does not fit");
    good_elf();
    image.module_count = 17;
    refused(MIB(4), E_RANGE, "17 modules");
}

static void hostile_addresses_are_refused_in_words(void **state)
{
    (void)state;
    good_addresses();
    put_header(0x10003, (const u32[5]){0x100000, 0x1000c0, 0, 0, 0});
    refused(MIB(4), E_FORMAT, "before the file begins");
    put_header(0x10003, (const u32[5]){0x200000, 0x100000, 0, 0, 0});
    refused(MIB(4), E_FORMAT, "before the file begins");
    put_header(0x10003, (const u32[5]){0x1000c0, 0x100000, 0xfffff, 0, 0});
    refused(MIB(4), E_FORMAT, "load end");
    put_header(0x10003, (const u32[5]){0x1000c0, 0x100000, 0x100800, 0x100001, 0});
    refused(MIB(4), E_FORMAT, "bss end");
    put_header(0x10003, (const u32[5]){0x1000c0, 0x100000, 0x200000, 0, 0});
    refused(MIB(4), E_FORMAT, "cut short");
    put_header(0x10003, (const u32[5]){0x1000c0, 0x100000, 0, ~0u, 0});
    refused(MIB(4), E_RANGE, "room");
    image.kernel.size = HEADER_AT + 12;
    refused(MIB(4), E_FORMAT, "ends inside");
}

static void every_failing_write_is_passed_up(void **state)
{
    enum err e = E_NOMEM;

    (void)state;
    good_elf();
    for (unsigned n = 0; e != OK; n++) {
        struct load_memory m = ram_of(MIB(4));

        ram_writes_left = n;
        e = multiboot_load(&image, &m, &state_out, &why);
        assert_true(n < 100);
    }
}

static enum image_kind kind_of(const void *data, size_t size)
{
    struct load_file f = {data, size};

    why.text[0] = 0;
    return image_find_kind(&f, &why);
}

static void a_file_is_told_by_its_first_bytes(void **state)
{
    static u8 bzimage[1024] = {[0x202] = 'H', 'd', 'r', 'S'};
    static u8 second[64] = {[16] = 0xd6, 0x50, 0x52, 0xe8};

    (void)state;
    good_elf();
    assert_int_equal(kind_of(file, sizeof(file)), IMAGE_MULTIBOOT);
    assert_int_equal(kind_of(bzimage, sizeof(bzimage)), IMAGE_LINUX);
    assert_int_equal(kind_of(second, sizeof(second)), IMAGE_NONE);
    assert_non_null(strstr(why.text, "Multiboot 2"));
    assert_int_equal(kind_of("\x1f\x8b\x08", 3), IMAGE_NONE);
    assert_non_null(strstr(why.text, "gzip"));
    assert_int_equal(kind_of("\x7f"
                             "ELF",
                             4),
                     IMAGE_NONE);
    assert_non_null(strstr(why.text, "bzImage"));
    assert_int_equal(kind_of("", 0), IMAGE_NONE);
    assert_non_null(strstr(why.text, "empty"));
    assert_int_equal(kind_of("hello", 5), IMAGE_NONE);
    assert_non_null(strstr(why.text, "neither"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_elf_file_is_loaded_by_its_program_headers),
        cmocka_unit_test(the_information_says_what_was_loaded),
        cmocka_unit_test(without_a_command_line_the_name_stands_alone),
        cmocka_unit_test(a_header_with_addresses_is_obeyed),
        cmocka_unit_test(a_kernel_may_lie_where_the_information_usually_is),
        cmocka_unit_test(the_bios_data_area_says_where_low_memory_ends),
        cmocka_unit_test(a_kernel_that_would_like_a_video_mode_starts_without),
        cmocka_unit_test(an_elf_file_of_64_bits_is_loaded_too),
        cmocka_unit_test(a_file_of_very_many_parts_is_refused_at_once),
        cmocka_unit_test(hostile_headers_are_refused_in_words),
        cmocka_unit_test(hostile_addresses_are_refused_in_words),
        cmocka_unit_test(every_failing_write_is_passed_up),
        cmocka_unit_test(a_file_is_told_by_its_first_bytes),
    };

    return cmocka_run_group_tests(tests, ram_setup, ram_teardown);
}

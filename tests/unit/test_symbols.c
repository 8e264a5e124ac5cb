/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for addresses, from an ELF file in memory. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/elf.h"
#include "kernel/symbols.h"

#define OBJECT 1 /* another type of symbol */

static const char names[] = "\0kernel_main\0panic\0table\0.hidden";

static const struct elf64_sym symbols[] = {
    {0},
    {.name = 13, .info = ELF_STT_FUNC, .value = 0x2000, .size = 0x80},
    {.name = 1, .info = ELF_STT_FUNC | 1 << 4, .value = 0x1000, .size = 0x100},
    {.name = 19, .info = OBJECT, .value = 0x1000, .size = 0x1000},
    {.name = 25, .info = ELF_STT_FUNC, .value = 0x3000, .size = 0},
};

static void load(u64 base)
{
    u8 *file = phys_to_virt(HPA(base));
    struct elf64_header h = {.magic = ELF_MAGIC, .shoff = 0x400, .shnum = 3};
    struct elf64_shdr s[3] = {
        {0},
        {.type = ELF_SHT_SYMTAB, .offset = 0x100, .size = sizeof(symbols), .link = 2},
        {.type = 3, .offset = 0x300, .size = sizeof(names)},
    };
    struct boot_info boot = {.elf_base = base, .elf_size = 0x1000};

    memcpy(file, &h, sizeof(h));
    memcpy(file + 0x100, symbols, sizeof(symbols));
    memcpy(file + 0x300, names, sizeof(names));
    memcpy(file + 0x400, s, sizeof(s));
    symbols_init(&boot);
}

static void assert_named(u64 address, const char *name, u64 offset)
{
    u64 at = ~0ull;
    const char *found = symbol_find(address, &at);

    assert_non_null(found);
    assert_string_equal(found, name);
    assert_int_equal(at, offset);
}

static void an_address_has_the_name_of_its_function(void **state)
{
    u64 offset;

    (void)state;
    fake_reset();
    fake_memory(MIB(2));
    assert_null(symbol_find(0x1000, &offset)); /* before there are any */
    load(MIB(1));
    assert_named(0x1000, "kernel_main", 0);
    assert_named(0x10ff, "kernel_main", 0xff);
    assert_named(0x2001, "panic", 1);
    assert_named(0x3000, ".hidden", 0);
    assert_null(symbol_find(0x1100, &offset));
    assert_null(symbol_find(0x3001, &offset));
    assert_null(symbol_find(0, &offset));
    assert_null(symbol_find(~0ull, &offset));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_the_name_of_its_function),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

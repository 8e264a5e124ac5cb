/* SPDX-License-Identifier: BSD-2-Clause */
/* The Linux loader, with a small file made to look like a bzImage, then with each field wrong. */
#include "load_ram.h"
#include "vmm/load/linux.h"
#include "vmm/load/linux_boot.h"

#define SETUP_SIZE  (5 * 512)
#define KERNEL_SIZE 4096
#define PREFERRED   0x1000000ull

static u8 file[SETUP_SIZE + KERNEL_SIZE];
static u8 initrd[5000];
static struct linux_header *const header = (struct linux_header *)(file + LINUX_HEADER);
static struct linux_image image;
static struct hvm_state state_out;
static struct why why;

static void good_file(void)
{
    memset(file, 0x11, sizeof(file));
    memset(file + SETUP_SIZE, 0x77, KERNEL_SIZE);
    memset(initrd, 0x99, sizeof(initrd));
    *header = (struct linux_header){
        .setup_sects = 4,
        .syssize = KERNEL_SIZE / 16,
        .boot_flag = 0xaa55,
        .jump = 0xeb,
        .header_end = 0x6a, /* 4 bytes more than we know: kernel_info_offset */
        .header = LINUX_MAGIC,
        .version = 0x20f,
        .loadflags = 1,
        .initrd_addr_max = 0x7fffffff,
        .kernel_alignment = 0x200000,
        .relocatable_kernel = 1,
        .xloadflags = 0x3f,
        .cmdline_size = 2047,
        .pref_address = PREFERRED,
        .init_size = 0x800000,
    };
    image = (struct linux_image){.kernel = {file, sizeof(file)},
                                 .initrd = {initrd, sizeof(initrd)},
                                 .cmdline = "console=ttyS0 quiet"};
}

static enum err load(u64 memory)
{
    struct load_memory m = ram_of(memory);

    why.text[0] = 0;
    return linux_load(&image, &m, &state_out, &why);
}

static void refused(u64 memory, enum err want, const char *words)
{
    assert_int_equal(load(memory), want);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" says nothing of \"%s\"", why.text, words);
    good_file();
}

static void a_kernel_is_loaded_where_it_prefers(void **state)
{
    u64 top = MIB(64) - 8192;

    (void)state;
    good_file();
    assert_int_equal(load(MIB(64)), OK);
    assert_memory_equal(ram + PREFERRED, file + SETUP_SIZE, KERNEL_SIZE);
    assert_memory_equal(ram + top, initrd, sizeof(initrd));
    assert_string_equal((char *)ram + 0x20000, "console=ttyS0 quiet");
    assert_int_equal(state_out.rip, PREFERRED + 0x200);
    assert_int_equal(state_out.gpr[REG_RSI], 0x7000);
    assert_int_equal(ram32(0x7000 + 0x218), top);
    assert_int_equal(ram32(0x7000 + 0x21c), sizeof(initrd));
    assert_int_equal(ram32(0x7000 + 0x228), 0x20000);
    assert_int_equal(ram[0x7000 + 0x210], 0xff);
    assert_int_equal(ram64(0x7000 + 0x70), 0xe0000);
    assert_int_equal(ram32(0x7000 + 0x268), 0x11111111); /* handed on unread */
    assert_int_equal(ram32(0x7000 + 0x26c), 0);
    assert_int_equal(ram32(0x7000), 0);
}

static void the_memory_map_names_all_ram(void **state)
{
    (void)state;
    good_file();
    assert_int_equal(load(MIB(64)), OK);
    assert_int_equal(ram[0x71e8], 4);
    assert_int_equal(ram64(0x72d0 + 8), 0x9fc00);
    assert_int_equal(ram64(0x72d0 + 60), 0x100000);
    assert_int_equal(ram64(0x72d0 + 68), MIB(63));
    assert_int_equal(ram32(0x72d0 + 76), 1);
    image.initrd.size = 0;
    header->relocatable_kernel = 1;
    assert_int_equal(load(GIB(5)), OK);
    assert_int_equal(ram[0x71e8], 5);
    assert_int_equal(ram64(0x72d0 + 80), GIB(4));
    assert_int_equal(ram64(0x72d0 + 88), GIB(2));
}

static void the_vcpu_starts_in_64_bit_mode(void **state)
{
    const struct hvm_mode *m = &state_out.mode;

    (void)state;
    good_file();
    assert_int_equal(load(MIB(64)), OK);
    assert_int_equal(m->cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
    assert_true(m->cr4 & CR4_PAE);
    assert_int_equal(m->efer, EFER_LME | EFER_LMA);
    assert_int_equal(m->seg[SEG_CS].selector, 0x10);
    assert_true(m->seg[SEG_CS].attr & SEG_ATTR_L);
    assert_int_equal(m->seg[SEG_DS].selector, 0x18);
    assert_int_equal(state_out.rflags, RFLAGS_FIXED);
    assert_int_equal(ram64(state_out.gdtr.base + 0x10), 0x00af9b000000ffff);
    for (u64 address = 0; address < GIB(4); address += LARGE_SIZE) {
        u64 directory = ram64(0xa000 + (address >> 30) * 8) & ~PAGE_MASK;

        assert_int_equal(ram64(directory + (address >> 21) % 512 * 8), address | 0x83);
    }
    assert_int_equal(ram64(m->cr3), 0xa003);
    assert_int_equal(ram64(m->cr3 + 8), 0);
}

/* It would move up to where it prefers to be by itself, over the end of memory. */
static void a_kernel_that_does_not_fit_where_it_prefers_is_refused(void **state)
{
    (void)state;
    good_file();
    image.initrd.size = 0;
    assert_int_equal(load(MIB(24)), OK);
    assert_int_equal(state_out.rip, PREFERRED + 0x200);
    refused(MIB(24) - 4096, E_RANGE, "needs 24 MiB of memory, with its initrd; the VM has 23 MiB");
    refused(MIB(12), E_RANGE, "needs 25 MiB");
    header->pref_address = 0x1000; /* over the zero page */
    image.initrd.size = 0;
    assert_int_equal(load(MIB(12)), OK);
    assert_int_equal(state_out.rip, 0x200200);
    header->pref_address = PREFERRED + 8;
    assert_int_equal(load(MIB(64)), OK);
    assert_int_equal(state_out.rip, PREFERRED + 0x200200);
}

static void the_initrd_lies_below_the_kernels_limit(void **state)
{
    (void)state;
    good_file();
    header->initrd_addr_max = 0x2ffffff;
    assert_int_equal(load(MIB(64)), OK);
    assert_int_equal(ram32(0x7218), 0x3000000 - 8192);
}

static void hostile_headers_are_refused_in_words(void **state)
{
    (void)state;
    good_file();
    image.kernel.size = 0x260;
    refused(MIB(64), E_FORMAT, "too short");
    image.kernel.size = 0;
    refused(MIB(64), E_FORMAT, "too short");
    header->boot_flag = 0;
    refused(MIB(64), E_FORMAT, "HdrS");
    header->version = 0x20b;
    refused(MIB(64), E_UNSUPPORTED, "2.11");
    header->xloadflags = 0;
    refused(MIB(64), E_UNSUPPORTED, "64-bit");
    header->loadflags = 0;
    refused(MIB(64), E_UNSUPPORTED, "zImage");
    header->header_end = 0;
    refused(MIB(64), E_FORMAT, "header ends");
    header->setup_sects = 255;
    refused(MIB(64), E_FORMAT, "set-up part");
    header->syssize = ~0u;
    refused(MIB(64), E_FORMAT, "cut short");
    header->syssize = 0;
    refused(MIB(64), E_FORMAT, "cut short");
    image.kernel.size -= 16;
    refused(MIB(64), E_FORMAT, "cut short");
    header->init_size = 100;
    refused(MIB(64), E_FORMAT, "memory");
    header->init_size = ~0u;
    refused(MIB(64), E_RANGE,
            "needs 4113 MiB of memory, with its initrd; the VM has 64 MiB, of which");
    header->pref_address = U64_MAX - 4095;
    refused(MIB(64), E_RANGE, "needs");
    header->relocatable_kernel = 0;
    header->pref_address = 8;
    refused(MIB(64), E_RANGE, "cannot be moved");
    header->pref_address = 0;
    header->kernel_alignment = 3;
    refused(MIB(64), E_FORMAT, "alignment");
    header->pref_address = 0;
    header->kernel_alignment = 0;
    refused(MIB(64), E_FORMAT, "alignment");
    header->initrd_addr_max = 0;
    refused(MIB(64), E_RANGE, "initrd");
    header->cmdline_size = 5;
    refused(MIB(64), E_RANGE, "command line");
    header->kernel_alignment = 0x80000000;
    header->pref_address = 0;
    refused(MIB(64), E_RANGE, "needs");
    image.initrd.size = MIB(50);
    refused(MIB(64), E_RANGE, "initrd");
    refused(KIB(512), E_RANGE, "needs");
    refused(4096, E_RANGE, "needs");
}

static void a_setup_of_0_sectors_means_4(void **state)
{
    (void)state;
    good_file();
    header->setup_sects = 0;
    assert_int_equal(load(MIB(64)), OK);
    assert_memory_equal(ram + PREFERRED, file + SETUP_SIZE, KERNEL_SIZE);
}

static void every_failing_write_is_passed_up(void **state)
{
    enum err e = E_NOMEM;
    unsigned n;

    (void)state;
    good_file();
    for (n = 0; e == E_NOMEM; n++) {
        struct load_memory m = ram_of(MIB(64));

        ram_writes_left = n;
        e = linux_load(&image, &m, &state_out, &why);
        if (e != OK)
            assert_non_null(strstr(why.text, "out of memory"));
        assert_true(n < 100);
    }
    assert_int_equal(e, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_is_loaded_where_it_prefers),
        cmocka_unit_test(the_memory_map_names_all_ram),
        cmocka_unit_test(the_vcpu_starts_in_64_bit_mode),
        cmocka_unit_test(a_kernel_that_does_not_fit_where_it_prefers_is_refused),
        cmocka_unit_test(the_initrd_lies_below_the_kernels_limit),
        cmocka_unit_test(hostile_headers_are_refused_in_words),
        cmocka_unit_test(a_setup_of_0_sectors_means_4),
        cmocka_unit_test(every_failing_write_is_passed_up),
    };

    return cmocka_run_group_tests(tests, ram_setup, ram_teardown);
}

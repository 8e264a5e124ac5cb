/* SPDX-License-Identifier: BSD-2-Clause */
/* The loaders of guest kernels, fed with anything; what they write must stay inside the VM. Guests
 * rarely look like kernels by chance, so the first byte says what to repair in the input. */
#include "vmm/load/image.h"
#include "vmm/load/linux.h"
#include "vmm/load/linux_boot.h"
#include "vmm/load/multiboot.h"
#include "vmm/layout.h"
#include "kernel/string.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

#define FILE_MOST 16384

static u8 file[FILE_MOST];

static volatile u8 touched;

static enum err check_write(void *ctx, gpa_t to, const void *from, size_t size)
{
    u64 top = guest_low_top(*(const u64 *)ctx);
    const u8 *bytes = from;

    CHECK(to.v <= top && size <= top - to.v);
    CHECK(to.v >= GUEST_ROM_TOP || to.v + size <= GUEST_BASE_TOP);
    if (size) /* both ends can be read */
        touched = bytes[0] ^ bytes[size - 1];
    return OK;
}

static void repair_linux(size_t size)
{
    struct linux_header h;

    if (size < LINUX_HEADER + sizeof(h))
        return;
    memcpy(&h, file + LINUX_HEADER, sizeof(h));
    h.boot_flag = LINUX_BOOT_FLAG;
    h.header = LINUX_MAGIC;
    h.version |= 0x20f;
    h.xloadflags |= LINUX_KERNEL_64;
    h.loadflags |= LINUX_LOADED_HIGH;
    h.setup_sects &= 7;
    h.syssize &= 0x3ff;
    h.header_end |= 0x66;
    memcpy(file + LINUX_HEADER, &h, sizeof(h));
}

static void repair_multiboot(size_t size)
{
    struct multiboot_header h;

    if (size < 64 + sizeof(h))
        return;
    memcpy(&h, file + 64, sizeof(h));
    h.magic = 0x1badb002;
    h.flags &= 0x10003;
    h.checksum = -(h.magic + h.flags);
    memcpy(file + 64, &h, sizeof(h));
    if (!(h.flags & 0x10000)) {
        static const u8 elf[20] = {0x7f, 'E', 'L', 'F', 1, 1, 1, [16] = 2, [18] = 3};

        memcpy(file, elf, sizeof(elf));
        file[42] = 32;
        file[43] = 0;
    }
}

static void try_linux(const struct load_file *kernel, const struct load_memory *m, u8 choice)
{
    struct linux_image image = {.kernel = *kernel, .cmdline = "console=ttyS0"};
    struct hvm_state state;
    struct why why;

    if (choice & 0x10)
        image.initrd = *kernel;
    if (linux_load(&image, m, &state, &why) != OK)
        return;
    CHECK(state.rip < guest_low_top(m->size) && state.rip >= GUEST_ROM_TOP);
}

static void try_multiboot(const struct load_file *kernel, const struct load_memory *m, u8 choice)
{
    struct multiboot_module modules[2] = {{"one two", *kernel}, {"", {file, 0}}};
    struct multiboot_image image = {.kernel = *kernel,
                                    .name = "kernel",
                                    .cmdline = "a b",
                                    .modules = modules,
                                    .module_count = choice >> 4 & 3};
    struct load_memory small = *m; /* a few GiB of zeros take their time */
    struct hvm_state state;
    struct why why;

    small.size = MIN(m->size, MIB(5));
    if (image.module_count > 2)
        image.module_count = 2;
    if (multiboot_load(&image, &small, &state, &why) == OK)
        CHECK(state.gpr[REG_RAX] == 0x2badb002);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u64 sizes[] = {MIB(1), MIB(4), MIB(64), GIB(5)};
    struct load_file kernel;
    struct load_memory m;
    struct why why;
    u64 memory;
    u8 choice;

    if (size < 1)
        return 0;
    choice = data[0];
    memory = sizes[choice & 3];
    kernel = (struct load_file){.data = file, .size = MIN(size - 1, FILE_MOST)};
    memcpy(file, data + 1, kernel.size);
    if (choice & 4)
        repair_linux(kernel.size);
    if (choice & 8)
        repair_multiboot(kernel.size);
    m = (struct load_memory){.write = check_write, .ctx = &memory, .size = memory};
    (void)image_find_kind(&kernel, &why);
    try_linux(&kernel, &m, choice);
    try_multiboot(&kernel, &m, choice);
    return 0;
}

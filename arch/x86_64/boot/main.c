/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/boot/loader.h"
#include "kernel/config.h"
#include "kernel/string.h"

EFI_SYSTEM_TABLE *ST;

static struct config config; /* too large for the stack */

static void print(const char *text)
{
    for (; *text; text++) {
        CHAR16 out[3] = {(CHAR16)*text, 0, 0};

        if (*text == '\n')
            out[0] = '\r', out[1] = '\n';
        ST->ConOut->OutputString(ST->ConOut, out);
    }
}

void note(struct boot_info *info, const char *format, ...)
{
    char text[sizeof(info->note[0])];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    print("ferry: ");
    print(text);
    print("\n");
    if (info->note_count < BOOT_MAX_NOTES)
        str_copy(info->note[info->note_count++], sizeof(text), text);
}

static EFI_STATUS fail(const char *text)
{
    print("ferry: cannot boot: ");
    print(text);
    print("\n");
    ST->BootServices->Stall(5000000);
    return EFI_LOAD_ERROR;
}

static void load_file(struct boot_info *info, EFI_FILE_HANDLE volume, const char *path)
{
    struct boot_file *f = &info->file[info->file_count];

    for (u32 i = 0; i < info->file_count; i++)
        if (str_equal(info->file[i].name, path))
            return;
    if (info->file_count == BOOT_MAX_FILES) {
        note(info, "%s is left out: %u files at most", path, BOOT_MAX_FILES);
        return;
    }
    if (EFI_ERROR(file_read(volume, path, &f->base, &f->size))) {
        note(info, "cannot read %s, which ferry.cfg names", path);
        return;
    }
    str_copy(f->name, sizeof(f->name), path);
    info->file_count++;
}

static void load_named_files(struct boot_info *info, EFI_FILE_HANDLE volume)
{
    config_parse(&config, (const char *)info->config_base, info->config_size, NULL, NULL);
    for (u32 i = 0; i < config.file_count; i++)
        load_file(info, volume, config.file[i]);
    for (u32 i = 0; i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vm[i];

        if (vm->kernel[0])
            load_file(info, volume, vm->kernel);
        if (vm->initrd[0])
            load_file(info, volume, vm->initrd);
        for (u32 m = 0; m < vm->module_count; m++) {
            char path[CONFIG_PATH];

            config_module_path(vm->module[m], path);
            load_file(info, volume, path);
        }
    }
}

static UINT64 find_rsdp(void)
{
    EFI_GUID acpi2 = ACPI_20_TABLE_GUID, acpi1 = ACPI_TABLE_GUID;
    UINT64 found = 0;

    for (UINTN i = 0; i < ST->NumberOfTableEntries; i++) {
        EFI_CONFIGURATION_TABLE *t = &ST->ConfigurationTable[i];

        if (!memcmp(&t->VendorGuid, &acpi2, sizeof(acpi2)))
            return (UINT64)t->VendorTable;
        if (!memcmp(&t->VendorGuid, &acpi1, sizeof(acpi1)))
            found = (UINT64)t->VendorTable;
    }
    return found;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system); /* crt0 calls it */

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    struct boot_info *info;
    EFI_FILE_HANDLE volume;
    const char *why = NULL;
    UINT64 entry;

    ST = system;
    ST->BootServices->SetWatchdogTimer(0, 0, 0, NULL);
    info = (struct boot_info *)pages_alloc((sizeof(*info) + PAGE_MASK) / PAGE_SIZE);
    if (!info)
        return fail("firmware has no memory left");
    info->magic = BOOT_MAGIC;
    info->efi_system_table = (UINT64)system;
    volume = volume_open(image);
    if (!volume)
        return fail("the boot volume has no file system that firmware can read");
    if (EFI_ERROR(file_read(volume, "ferry.elf", &info->elf_base, &info->elf_size)))
        return fail("ferry.elf is missing from the boot volume, or cannot be read");
    if (EFI_ERROR(file_read(volume, "ferry.cfg", &info->config_base, &info->config_size)))
        note(info, "no ferry.cfg on the boot volume: defaults, and no VMs");
    load_named_files(info, volume);
    info->rsdp = find_rsdp();
    cpus_note(info);
    entry = elf_place(info, &why);
    if (!entry)
        return fail(why);
    info->low_page = pages_alloc_below(1, 0xa0000);
    if (!info->low_page || !map_build(info))
        return fail("firmware has no memory left");
    if (EFI_ERROR(boot_services_leave(image, info)))
        return fail("firmware does not let go of boot services");
    __asm__ volatile("cli; mov %0, %%cr3" : : "r"(info->page_table) : "memory");
    ((void(__attribute__((sysv_abi)) *)(u64))entry)(DIRECT_MAP_BASE + (u64)info);
    __builtin_unreachable();
}

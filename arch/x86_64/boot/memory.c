/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/boot/loader.h"
#include "kernel/string.h"

#define PTE_TABLE 0x03 /* present, writable (SDM 3A 4.5) */
#define PTE_LARGE 0x83 /* and a 2 MiB leaf */

static UINT64 alloc(EFI_ALLOCATE_TYPE how, UINTN pages, UINT64 top)
{
    EFI_PHYSICAL_ADDRESS at = top - 1;

    if (EFI_ERROR(ST->BootServices->AllocatePages(how, EfiLoaderData, pages, &at)))
        return 0;
    memset((void *)at, 0, pages * PAGE_SIZE);
    return at;
}

UINT64 pages_alloc(UINTN pages)
{
    return alloc(AllocateAnyPages, pages, 1);
}

UINT64 pages_alloc_below(UINTN pages, UINT64 top)
{
    return alloc(AllocateMaxAddress, pages, top);
}

/* A copy of the memory map, in pool; NULL if there is none. */
static EFI_MEMORY_DESCRIPTOR *map_take(UINTN *size, UINTN *key, UINTN *stride)
{
    EFI_MEMORY_DESCRIPTOR *map = NULL;
    UINT32 version;
    EFI_STATUS status;

    *size = 0;
    status = ST->BootServices->GetMemoryMap(size, NULL, key, stride, &version);
    *size += 16 * *stride; /* taking the pool memory may split entries */
    if (status != EFI_BUFFER_TOO_SMALL ||
        EFI_ERROR(ST->BootServices->AllocatePool(EfiLoaderData, *size, (void **)&map)))
        return NULL;
    if (EFI_ERROR(ST->BootServices->GetMemoryMap(size, map, key, stride, &version)))
        return NULL;
    return map;
}

/* Which regions are RAM, and whose (7.2, "Memory Type Usage after ExitBootServices"). */
static const u8 region_type[EfiMaxMemoryType] = {
    [EfiReservedMemoryType] = BOOT_OTHER,
    [EfiLoaderCode] = BOOT_LOADER,
    [EfiLoaderData] = BOOT_LOADER,
    [EfiBootServicesCode] = BOOT_FREE,
    [EfiBootServicesData] = BOOT_FREE,
    [EfiRuntimeServicesCode] = BOOT_FIRMWARE,
    [EfiRuntimeServicesData] = BOOT_FIRMWARE,
    [EfiConventionalMemory] = BOOT_FREE,
    [EfiUnusableMemory] = BOOT_OTHER,
    [EfiACPIReclaimMemory] = BOOT_FIRMWARE,
    [EfiACPIMemoryNVS] = BOOT_FIRMWARE,
    [EfiMemoryMappedIO] = BOOT_OTHER,
    [EfiMemoryMappedIOPortSpace] = BOOT_OTHER,
    [EfiPalCode] = BOOT_OTHER,
};

static u64 ram_top(const EFI_MEMORY_DESCRIPTOR *map, UINTN size, UINTN stride)
{
    u64 top = GIB(4);

    for (UINTN at = 0; at < size; at += stride) {
        const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)map + at);

        if (d->Type < EfiMaxMemoryType && region_type[d->Type] != BOOT_OTHER)
            top = MAX(top, d->PhysicalStart + d->NumberOfPages * PAGE_SIZE);
    }
    return ALIGN_UP(top, GIB(1));
}

static u64 *table_at(u64 *table, unsigned index)
{
    if (!table[index])
        table[index] = pages_alloc_below(1, GIB(4)) | PTE_TABLE;
    return table[index] == PTE_TABLE ? NULL : (u64 *)(table[index] & ~0xfffull);
}

static bool map_large(u64 *root, u64 address, u64 to)
{
    u64 *l3 = table_at(root, address >> 39 & 511);
    u64 *l2 = l3 ? table_at(l3, address >> 30 & 511) : NULL;

    if (l2)
        l2[address >> 21 & 511] = to | PTE_LARGE;
    return l2;
}

bool map_build(struct boot_info *info)
{
    UINTN size, key, stride;
    EFI_MEMORY_DESCRIPTOR *map = map_take(&size, &key, &stride);
    u64 *root = (u64 *)pages_alloc_below(1, GIB(4));
    u64 top;

    if (!map || !root)
        return false;
    info->page_table = (u64)root;
    top = ram_top(map, size, stride);
    for (u64 at = 0; at < top; at += LARGE_SIZE)
        if (!map_large(root, at, at))
            return false;
    for (unsigned i = 0; i < 256; i++) /* the direct map is the identity map, seen again */
        root[256 + i] = root[i];
    for (u64 at = 0; at < info->kernel_size; at += LARGE_SIZE)
        if (!map_large(root, KERNEL_LINK_BASE + at, info->kernel_base + at))
            return false;
    return true;
}

static void note_region(struct boot_info *info, u64 base, u64 size, u32 type)
{
    struct boot_region *last = &info->region[info->region_count - 1];

    if (info->region_count && last->type == type && last->base + last->size == base) {
        last->size += size;
        return;
    }
    if (info->region_count < BOOT_MAX_REGIONS)
        info->region[info->region_count++] =
            (struct boot_region){.base = base, .size = size, .type = type};
}

EFI_STATUS boot_services_leave(EFI_HANDLE image, struct boot_info *info)
{
    /* The map may change under the first try; the second is what 7.4.6 prescribes. */
    for (unsigned try = 0; try < 3; try++) {
        UINTN size, key, stride;
        EFI_MEMORY_DESCRIPTOR *map = map_take(&size, &key, &stride);

        if (!map || EFI_ERROR(ST->BootServices->ExitBootServices(image, key)))
            continue;
        for (UINTN at = 0; at < size; at += stride) {
            const EFI_MEMORY_DESCRIPTOR *d = (const void *)((const char *)map + at);
            u32 type = d->Type < EfiMaxMemoryType ? region_type[d->Type] : BOOT_OTHER;

            note_region(info, d->PhysicalStart, d->NumberOfPages * PAGE_SIZE, type);
        }
        return EFI_SUCCESS;
    }
    return EFI_ABORTED;
}

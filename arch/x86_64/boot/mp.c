/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/boot/loader.h"

/* EFI_MP_SERVICES_PROTOCOL (PI 1.7 vol. 2, 13.4.1): the two calls that are used. */
struct processor_info {
    UINT64 apic_id;
    UINT32 status; /* 0: BSP, 1: enabled, 2: healthy */
    UINT32 package, core, thread;
    UINT32 extended[6];
};

struct mp_services {
    EFI_STATUS(EFIAPI *count)(struct mp_services *, UINTN *all, UINTN *enabled);
    EFI_STATUS(EFIAPI *info)(struct mp_services *, UINTN index, struct processor_info *);
};

#define STATUS_BSP     1u
#define STATUS_ENABLED 2u

static EFI_GUID mp_guid = {
    0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};

/* Notes the enabled CPUs that are, or are not, the one we run on. */
static void note_cpus(struct boot_info *info, struct mp_services *mp, UINTN all, UINT32 bsp)
{
    for (UINTN i = 0; i < all && info->cpu_count < BOOT_MAX_CPUS; i++) {
        struct processor_info p;

        if (!EFI_ERROR(mp->info(mp, i, &p)) && (p.status & STATUS_ENABLED) &&
            (p.status & STATUS_BSP) == bsp)
            info->apic_id[info->cpu_count++] = (u32)p.apic_id;
    }
}

void cpus_note(struct boot_info *info)
{
    struct mp_services *mp;
    UINTN all, enabled;

    if (EFI_ERROR(ST->BootServices->LocateProtocol(&mp_guid, NULL, (void **)&mp)) ||
        EFI_ERROR(mp->count(mp, &all, &enabled)))
        return;
    note_cpus(info, mp, all, STATUS_BSP);
    note_cpus(info, mp, all, 0);
}

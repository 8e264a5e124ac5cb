/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables that Ferry needs (ACPI 6.4, chapter 5): MADT for CPUs and the IOAPIC, FADT for the PM
 * timer and the reset register, MCFG for PCI. Where firmware has none, the loader's list of CPUs and
 * the PC's fixed addresses serve. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "kernel/log.h"
#include "kernel/string.h"

struct acpi_info acpi;

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum, reserved[3];
} PACKED;
ASSERT_SIZE(struct rsdp, 36);

struct table {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], oem_table[8];
    u32 oem_revision, creator, creator_revision;
} PACKED;
ASSERT_SIZE(struct table, 36);

#define TABLE_LIMIT MIB(1)

static u8 sum(const void *data, u64 size)
{
    const u8 *p = data;
    u8 s = 0;

    while (size--)
        s += *p++;
    return s;
}

/* Maps a table and checks it; NULL if it is not one. */
static const struct table *table_map(u64 address)
{
    const struct table *t = address ? arch_map_device(HPA(address), sizeof(*t)) : NULL;

    if (!t || t->length < sizeof(*t) || t->length > TABLE_LIMIT)
        return NULL;
    t = arch_map_device(HPA(address), t->length);
    return t && !sum(t, t->length) ? t : NULL;
}

/* --- MADT (5.2.12) ---------------------------------------------------------------------------- */

static void add_cpu(u32 id, u32 flags)
{
    if ((flags & 1) && acpi.cpu_count < BOOT_MAX_CPUS)
        acpi.apic_id[acpi.cpu_count++] = id;
}

static u32 read32(const u8 *p)
{
    u32 v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static void madt_lapic(const u8 *e)
{
    add_cpu(e[3], read32(e + 4));
}

static void madt_ioapic(const u8 *e)
{
    if (acpi.ioapic)
        return;
    acpi.ioapic = read32(e + 4);
    acpi.ioapic_gsi = read32(e + 8);
}

static void madt_override(const u8 *e)
{
    if (e[3] >= 16)
        return;
    acpi.isa_gsi[e[3]] = read32(e + 4);
    acpi.isa_flags[e[3]] = e[8];
}

static void madt_x2apic(const u8 *e)
{
    if (read32(e + 4) >= 255) /* smaller ids have an entry of the older kind as well */
        add_cpu(read32(e + 4), read32(e + 8));
}

static const struct {
    u8 length;
    void (*read)(const u8 *entry);
} madt_entry[] = {
    [0] = {8, madt_lapic},
    [1] = {12, madt_ioapic},
    [2] = {10, madt_override},
    [9] = {16, madt_x2apic},
};

static void madt_read(const struct table *t)
{
    const u8 *p = (const u8 *)t + 44, *end = (const u8 *)t + t->length;

    while (end - p >= 2 && p[1] >= 2 && p[1] <= end - p) {
        if (p[0] < COUNT_OF(madt_entry) && madt_entry[p[0]].read && p[1] >= madt_entry[p[0]].length)
            madt_entry[p[0]].read(p);
        p += p[1];
    }
}

/* --- FADT (5.2.9) and MCFG (PCI Firmware 3.2, 4.1.2) --------------------------------------------- */

static void fadt_read(const struct table *t)
{
    const u8 *p = (const u8 *)t;
    u32 flags;

    if (t->length < 116)
        return;
    flags = read32(p + 112);
    if (read32(p + 76) <= 0xffff)
        acpi.pm_timer_port = (u16)read32(p + 76);
    acpi.pm_timer_32 = flags & BIT(8);
    if (t->length < 129 || !(flags & BIT(10)))
        return;
    acpi.reset_supported = p[116] <= 1;
    acpi.reset_space = p[116];
    memcpy(&acpi.reset_address, p + 120, sizeof(acpi.reset_address));
    acpi.reset_value = p[128];
}

static void mcfg_read(const struct table *t)
{
    const u8 *p = (const u8 *)t + 44;

    if (t->length < 60)
        return;
    memcpy(&acpi.mcfg_base, p, sizeof(acpi.mcfg_base));
    acpi.mcfg_first_bus = p[10];
    acpi.mcfg_last_bus = p[11];
}

static const struct {
    const char *signature;
    void (*read)(const struct table *t);
} known_table[] = {{"APIC", madt_read}, {"FACP", fadt_read}, {"MCFG", mcfg_read}};

static void table_read(u64 address)
{
    const struct table *t = table_map(address);

    for (unsigned i = 0; t && i < COUNT_OF(known_table); i++)
        if (!memcmp(t->signature, known_table[i].signature, 4))
            known_table[i].read(t);
}

static void read_root(const struct rsdp *r)
{
    bool wide = r->revision >= 2 && r->xsdt;
    const struct table *root = table_map(wide ? r->xsdt : r->rsdt);
    unsigned size = wide ? 8 : 4;

    if (!root) {
        log_warn("ACPI: the root table is damaged; its tables are not used");
        return;
    }
    for (u32 at = sizeof(*root); at + size <= root->length; at += size) {
        u64 address = 0;

        memcpy(&address, (const u8 *)root + at, size);
        table_read(address);
    }
}

bool arch_pci_ecam(struct arch_ecam *e)
{
    *e = (struct arch_ecam){HPA(acpi.mcfg_base), acpi.mcfg_first_bus, acpi.mcfg_last_bus};
    return acpi.mcfg_base;
}

void acpi_init(const struct boot_info *boot)
{
    const struct rsdp *r = boot->rsdp ? arch_map_device(HPA(boot->rsdp), sizeof(*r)) : NULL;

    for (unsigned i = 0; i < 16; i++)
        acpi.isa_gsi[i] = i;
    if (r && !memcmp(r->signature, "RSD PTR ", 8))
        read_root(r);
    if (!acpi.ioapic)
        acpi.ioapic = 0xfec00000;
    if (acpi.cpu_count)
        return;
    acpi.cpu_count = boot->cpu_count;
    memcpy(acpi.apic_id, boot->apic_id, sizeof(acpi.apic_id));
}

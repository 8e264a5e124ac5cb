/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/load/acpi.h"
#include "vmm/layout.h"
#include "vmm/load/dsdt.aml.h"
#include "kernel/string.h"

/* ACPI 6.4: 5.2.3.2 (addresses), 5.2.5 (RSDP), 5.2.6 (header), 5.2.8, 5.2.9, 5.2.12. */

struct acpi_address {
    u8 space, bits, offset, access;
    u64 address;
} PACKED;
ASSERT_SIZE(struct acpi_address, 12);

struct acpi_rsdp {
    char signature[8];
    u8 checksum;
    char oem_id[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
} PACKED;
ASSERT_SIZE(struct acpi_rsdp, 36);
#define RSDP_FIRST_PART 20 /* bytes that the first checksum covers */

struct acpi_header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem_id[6], oem_table_id[8];
    u32 oem_revision, creator_id, creator_revision;
} PACKED;
ASSERT_SIZE(struct acpi_header, 36);

struct acpi_xsdt {
    struct acpi_header header;
    u64 table[2];
} PACKED;
ASSERT_SIZE(struct acpi_xsdt, 52);

struct acpi_fadt {
    struct acpi_header header;
    u32 facs, dsdt;
    u8 reserved1, profile;
    u16 sci_interrupt;
    u8 fixed_hardware[61]; /* 48 - 108: not in a hardware-reduced machine */
    u16 boot_flags;
    u8 reserved2;
    u32 flags;
    struct acpi_address reset_register;
    u8 reset_value;
    u16 arm_boot_flags;
    u8 minor_version;
    u64 x_facs, x_dsdt;
    struct acpi_address fixed_blocks[8];
    struct acpi_address sleep_control, sleep_status;
    char hypervisor[8];
} PACKED;
ASSERT_OFFSET(struct acpi_fadt, boot_flags, 109);
ASSERT_OFFSET(struct acpi_fadt, flags, 112);
ASSERT_OFFSET(struct acpi_fadt, reset_register, 116);
ASSERT_OFFSET(struct acpi_fadt, x_dsdt, 140);
ASSERT_OFFSET(struct acpi_fadt, sleep_control, 244);
ASSERT_SIZE(struct acpi_fadt, 276);

#define FADT_REVISION   6
#define FADT_MINOR      4
#define PROFILE_SERVER  4
#define BOOT_LEGACY     BIT(0) /* devices on ISA addresses */
#define BOOT_NO_VGA     BIT(2)
#define FLAG_WBINVD     BIT(0)
#define FLAG_C1         BIT(2) /* HLT works on all CPUs */
#define FLAG_NO_POWER   BIT(4) /* no power button of the fixed kind */
#define FLAG_NO_SLEEP   BIT(5)
#define FLAG_RESET      BIT(10)
#define FLAG_HEADLESS   BIT(12)
#define FLAG_HW_REDUCED BIT(20)

struct acpi_madt {
    struct acpi_header header;
    u32 local_apic, flags;
} PACKED;
ASSERT_SIZE(struct acpi_madt, 44);
#define MADT_HAS_PICS BIT(0)

struct madt_local_apic {
    u8 type, length, processor, apic_id;
    u32 flags;
} PACKED;
ASSERT_SIZE(struct madt_local_apic, 8);

struct madt_ioapic {
    u8 type, length, id, reserved;
    u32 address, gsi_base;
} PACKED;
ASSERT_SIZE(struct madt_ioapic, 12);

struct madt_override {
    u8 type, length, bus, source;
    u32 gsi;
    u16 flags;
} PACKED;
ASSERT_SIZE(struct madt_override, 10);

struct madt {
    struct acpi_madt madt;
    struct madt_ioapic ioapic;
    struct madt_override pit;
    struct madt_local_apic cpu[VM_MAX_VCPUS];
} PACKED;

#define PIT_PIN 2

/* Each table begins at a multiple of 64. */
#define AT_RSDP GUEST_ROM_BASE
#define AT_XSDT (GUEST_ROM_BASE + 0x40)
#define AT_FADT (GUEST_ROM_BASE + 0x80)
#define AT_MADT (GUEST_ROM_BASE + 0x200)
#define AT_DSDT (GUEST_ROM_BASE + 0x400)
_Static_assert(AT_MADT + sizeof(struct madt) <= AT_DSDT, "the MADT fits");
_Static_assert(AT_DSDT + sizeof(dsdt_aml) <= GUEST_ROM_TOP, "the DSDT fits");

/* What makes the sum of all bytes 0. */
static u8 checksum(const void *table, size_t size)
{
    const u8 *bytes = table;
    u8 sum = 0;

    for (size_t n = 0; n < size; n++)
        sum += bytes[n];
    return (u8)-sum;
}

static struct acpi_header header(const char *signature, u8 revision)
{
    struct acpi_header h = {.revision = revision, .oem_revision = 1, .creator_revision = 1};

    memcpy(h.signature, signature, 4);
    memcpy(h.oem_id, "FERRY ", 6);
    memcpy(h.oem_table_id, "FERRYVM ", 8);
    memcpy(&h.creator_id, "FRRY", 4);
    return h;
}

static enum err write_table(const struct load_memory *m, u64 at, struct acpi_header *h, u32 size)
{
    h->length = size;
    h->checksum = 0;
    h->checksum = checksum(h, size);
    return m->write(m->ctx, GPA(at), h, size);
}

static enum err write_rsdp(const struct load_memory *m)
{
    struct acpi_rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = AT_XSDT};

    memcpy(r.signature, "RSD PTR ", 8);
    memcpy(r.oem_id, "FERRY ", 6);
    r.checksum = checksum(&r, RSDP_FIRST_PART);
    r.extended_checksum = checksum(&r, sizeof(r));
    return m->write(m->ctx, GPA(AT_RSDP), &r, sizeof(r));
}

static enum err write_xsdt(const struct load_memory *m)
{
    struct acpi_xsdt x = {.header = header("XSDT", 1), .table = {AT_FADT, AT_MADT}};

    return write_table(m, AT_XSDT, &x.header, sizeof(x));
}

static struct acpi_address io_byte(u16 port)
{
    return (struct acpi_address){.space = 1, .bits = 8, .access = 1, .address = port};
}

static enum err write_fadt(const struct load_memory *m)
{
    struct acpi_fadt f = {
        .header = header("FACP", FADT_REVISION),
        .profile = PROFILE_SERVER,
        .boot_flags = BOOT_LEGACY | BOOT_NO_VGA, /* no 8042; the RTC is there */
        .flags = FLAG_WBINVD | FLAG_C1 | FLAG_NO_POWER | FLAG_NO_SLEEP | FLAG_RESET |
                 FLAG_HEADLESS | FLAG_HW_REDUCED,
        .reset_register = io_byte(PORT_RESET),
        .reset_value = RESET_VALUE,
        .minor_version = FADT_MINOR,
        .x_dsdt = AT_DSDT,
        .sleep_control = io_byte(PORT_SLEEP_CONTROL),
        .sleep_status = io_byte(PORT_SLEEP_STATUS),
    };

    memcpy(f.hypervisor, "FERRY\0\0\0", 8);
    return write_table(m, AT_FADT, &f.header, sizeof(f));
}

static enum err write_madt(const struct load_memory *m, unsigned vcpus)
{
    struct madt t = {
        .madt = {.header = header("APIC", 5),
                 .local_apic = (u32)GUEST_LAPIC,
                 .flags = MADT_HAS_PICS},
        .ioapic = {.type = 1, .length = sizeof(t.ioapic), .address = (u32)GUEST_IOAPIC},
        .pit = {.type = 2, .length = sizeof(t.pit), .source = GSI_PIT, .gsi = PIT_PIN},
    };

    for (unsigned n = 0; n < vcpus; n++)
        t.cpu[n] = (struct madt_local_apic){.type = 0,
                                            .length = sizeof(t.cpu[n]),
                                            .processor = (u8)n,
                                            .apic_id = (u8)n,
                                            .flags = 1};
    return write_table(m, AT_MADT, &t.madt.header,
                       (u32)(offsetof(struct madt, cpu) + vcpus * sizeof(t.cpu[0])));
}

enum err acpi_load(const struct load_memory *m, unsigned vcpus, struct why *why)
{
    enum err e;

    if (vcpus < 1 || vcpus > VM_MAX_VCPUS)
        return why_set(why, E_RANGE, "%u vCPUs: a VM has 1 to %u", vcpus, VM_MAX_VCPUS);
    e = write_rsdp(m);
    if (e == OK)
        e = write_xsdt(m);
    if (e == OK)
        e = write_fadt(m);
    if (e == OK)
        e = write_madt(m, vcpus);
    if (e == OK) /* the compiler has summed it up */
        e = m->write(m->ctx, GPA(AT_DSDT), dsdt_aml, sizeof(dsdt_aml));
    return load_explain(e, "ACPI tables", why);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI on this host: the way to configuration registers, the drivers at start-up, and the `pci` command. */
#include "drivers/pci.h"
#include "kernel/console.h"
#include "kernel/init.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/shell.h"
#include "kernel/string.h"

extern const struct pci_driver pci_table_start[], pci_table_end[];

/* --- by ports (PCI Local Bus 3.0, 3.2.2.3.2) ------------------------------------------------------- */

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc

static struct lock port_lock;

static void select(u8 bus, u8 slot, u8 function, u32 offset)
{
    arch_out32(PORT_ADDRESS,
               1u << 31 | (u32)bus << 16 | (u32)slot << 11 | (u32)function << 8 | offset);
}

static u32 port_read(u8 bus, u8 slot, u8 function, u32 offset)
{
    u32 value;

    lock_acquire(&port_lock);
    select(bus, slot, function, offset);
    value = arch_in32(PORT_DATA);
    lock_release(&port_lock);
    return value;
}

static void port_write(u8 bus, u8 slot, u8 function, u32 offset, u32 value)
{
    lock_acquire(&port_lock);
    select(bus, slot, function, offset);
    arch_out32(PORT_DATA, value);
    lock_release(&port_lock);
}

static const struct pci_access by_ports = {"ports", port_read, port_write};

/* --- by ECAM (PCI Express 5.0, 7.2.2): 4 KiB a function, 1 MiB a bus, mapped when first used ----------- */

static struct arch_ecam ecam;
static u8 *ecam_bus[256];
static struct lock ecam_lock;

static volatile u32 *ecam_register(u8 bus, u8 slot, u8 function, u32 offset)
{
    u8 *at;

    if (bus < ecam.first_bus || bus > ecam.last_bus)
        return NULL;
    lock_acquire(&ecam_lock);
    if (!ecam_bus[bus])
        ecam_bus[bus] = arch_map_device(HPA(ecam.base.v + MIB(bus)), MIB(1));
    at = ecam_bus[bus];
    lock_release(&ecam_lock);
    return at ? (volatile u32 *)(at + ((u32)slot << 15 | (u32)function << 12 | offset)) : NULL;
}

static u32 ecam_read(u8 bus, u8 slot, u8 function, u32 offset)
{
    volatile u32 *r = ecam_register(bus, slot, function, offset);

    return r ? *r : 0xffffffff;
}

static void ecam_write(u8 bus, u8 slot, u8 function, u32 offset, u32 value)
{
    volatile u32 *r = ecam_register(bus, slot, function, offset);

    if (r)
        *r = value;
}

static const struct pci_access by_ecam = {"ECAM", ecam_read, ecam_write};

/* --- start-up -------------------------------------------------------------------------------------- */

static void start_driver(struct pci_device *d)
{
    const struct pci_driver *driver = pci_driver_find(d, pci_table_start, pci_table_end);
    struct why why;

    if (!driver)
        return;
    if (driver->start(d, &why))
        log_warn("PCI %02x:%02x.%u: %s: %s", d->bus, d->slot, d->function, driver->name, why.text);
    else
        d->driver = driver;
}

static void pci_init(const struct boot_info *boot)
{
    const struct pci_access *access = arch_pci_ecam(&ecam) ? &by_ecam : &by_ports;
    static struct shell_hooks hooks = {.stop = pci_stop_all};
    unsigned count = pci_scan(access);

    (void)boot;
    shell_add_hooks(&hooks);
    log_debug("PCI: %u devices, by %s", count, access->name);
    for (unsigned i = 0; i < count; i++)
        start_driver(pci_at(i));
}
INIT_STEP(3, pci_init);

/* --- `pci` ----------------------------------------------------------------------------------------- */

static const struct {
    u8 class, subclass;
    const char *name;
} class_name[] = {
    {1, 1, "IDE controller"}, {1, 6, "SATA controller"}, {1, 8, "NVMe"},
    {1, 0xff, "storage"},     {2, 0, "Ethernet"},        {2, 7, "InfiniBand"},
    {2, 0xff, "network"},     {3, 0xff, "display"},      {4, 0xff, "multimedia"},
    {6, 0, "host bridge"},    {6, 1, "ISA bridge"},      {6, 4, "PCI bridge"},
    {6, 0xff, "bridge"},      {7, 0xff, "serial line"},  {0xc, 3, "USB"},
    {0xc, 5, "SMBus"},        {0xc, 0xff, "serial bus"},
};

static const char *name_of_class(const struct pci_device *d)
{
    for (unsigned i = 0; i < COUNT_OF(class_name); i++)
        if (class_name[i].class == d->class &&
            (class_name[i].subclass == d->subclass || class_name[i].subclass == 0xff))
            return class_name[i].name;
    return "other";
}

static void print_bars(const struct pci_device *d)
{
    for (unsigned n = 0; n < PCI_BARS; n++) {
        const struct pci_bar *b = &d->bar[n];
        bool small = b->size < MIB(1);
        bool bytes = b->size < KIB(1);

        if (!b->size)
            continue;
        console_printf("           BAR %u  %-6s %14llx  %5llu %s%s\n", n,
                       b->io ? "ports" : "memory", (unsigned long long)b->address,
                       (unsigned long long)(bytes ? b->size : b->size >> (small ? 10 : 20)),
                       bytes   ? "bytes"
                       : small ? "KiB"
                               : "MiB",
                       b->address ? "" : ", no address");
    }
}

static enum err run_pci(unsigned argc, char **argv, struct why *why)
{
    const struct pci_device *d;

    if (argc && !str_equal(argv[0], "bars"))
        return why_set(why, E_INVAL, "expected bars, or nothing");
    console_print("place    id         class            driver\n");
    for (unsigned i = 0; (d = pci_at(i)); i++) {
        console_printf("%02x:%02x.%u  %04x:%04x  %-15s  %s\n", d->bus, d->slot, d->function,
                       d->vendor, d->device, name_of_class(d), d->driver ? d->driver->name : "-");
        if (argc)
            print_bars(d);
    }
    return OK;
}
static void complete_bars(struct shell_completion *c)
{
    shell_offer(c, "", "bars");
}
SHELL_COMMAND(pci, .name = "pci", .args = "[bars]", .max = 1, .run = run_pci,
              .help = "the PCI devices, and who drives them", .complete = {complete_bars},
              .more = "`pci bars` also shows where their registers and memory are.");

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define HEADER_MULTI  BIT(23)
#define HEADER_BRIDGE 1
#define BAR_IO        BIT(0)
#define BAR_64        BIT(2)
#define CLASS_BRIDGE  6

static const struct pci_access *access;
static struct pci_device devices[PCI_MAX_DEVICES];
static unsigned device_count;

u32 pci_read(const struct pci_device *d, u32 offset)
{
    return access->read(d->bus, d->slot, d->function, offset);
}

void pci_write(const struct pci_device *d, u32 offset, u32 value)
{
    access->write(d->bus, d->slot, d->function, offset, value);
}

struct pci_device *pci_at(unsigned index)
{
    return index < device_count ? &devices[index] : NULL;
}

void pci_enable(const struct pci_device *d)
{
    u32 command = pci_read(d, PCI_COMMAND) & 0xffff; /* ones in the status half would clear it */

    pci_write(d, PCI_COMMAND,
              command | (u32)(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX));
}

void pci_stop_all(void)
{
    struct pci_device *d;

    for (unsigned i = 0; (d = pci_at(i)); i++)
        if (d->driver && d->driver->stop)
            d->driver->stop(d);
    for (unsigned i = 0; (d = pci_at(i)); i++)
        if (d->driver)
            pci_write(d, PCI_COMMAND, pci_read(d, PCI_COMMAND) & 0xffff & ~(u32)PCI_COMMAND_MASTER);
}

void *pci_map(const struct pci_device *d, unsigned bar)
{
    const struct pci_bar *b = &d->bar[bar];

    if (bar >= PCI_BARS || !b->size || !b->address || b->io)
        return NULL;
    return arch_map_device(HPA(b->address), b->size);
}

/* --- looking at one function ------------------------------------------------------------------- */

/* What sticks of all ones says how large it is (6.2.5.1); the device does not answer meanwhile. */
static u32 probe_bar(const struct pci_device *d, u32 offset, u32 *value)
{
    u32 mask;

    *value = pci_read(d, offset);
    pci_write(d, offset, 0xffffffff);
    mask = pci_read(d, offset);
    pci_write(d, offset, *value);
    return mask;
}

/* Returns how many registers it takes. */
static unsigned read_bar(struct pci_device *d, unsigned n)
{
    struct pci_bar *b = &d->bar[n];
    u32 low, high = 0, high_mask = 0xffffffff;
    u32 mask = probe_bar(d, PCI_BAR + 4 * n, &low);
    bool wide = !(low & BAR_IO) && (low & BAR_64) && n + 1 < PCI_BARS;
    u64 bits;

    if (!mask)
        return 1;
    if (wide)
        high_mask = probe_bar(d, PCI_BAR + 4 * (n + 1), &high);
    b->io = low & BAR_IO;
    bits = b->io ? (mask & 0xfffcu) | 0xffffffffffff0000 : (u64)high_mask << 32 | (mask & ~15u);
    b->size = -bits;
    b->address = b->io ? low & 0xfffcu : (u64)high << 32 | (low & ~15u);
    return wide ? 2 : 1;
}

static void read_bars(struct pci_device *d)
{
    u32 command = pci_read(d, PCI_COMMAND) & 0xffff;
    unsigned count = d->bridge ? 2 : PCI_BARS;

    pci_write(d, PCI_COMMAND, command & ~(u32)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
    for (unsigned n = 0; n < count;)
        n += read_bar(d, n);
    pci_write(d, PCI_COMMAND, command);
}

static bool look_at(u8 bus, u8 slot, u8 function, u32 *header)
{
    struct pci_device *d = &devices[device_count];
    u32 id = access->read(bus, slot, function, PCI_ID), class;

    if ((id & 0xffff) == 0xffff || !id)
        return false;
    *header = access->read(bus, slot, function, PCI_HEADER);
    if (device_count == PCI_MAX_DEVICES) {
        log_warn("PCI: more than %u devices; %02x:%02x.%u is left out", PCI_MAX_DEVICES, bus, slot,
                 function);
        return true;
    }
    class = access->read(bus, slot, function, PCI_CLASS);
    *d = (struct pci_device){.bus = bus, .slot = slot, .function = function};
    d->vendor = (u16)id;
    d->device = id >> 16;
    d->class = class >> 24;
    d->subclass = (u8)(class >> 16);
    d->interface = (u8)(class >> 8);
    d->bridge = (*header >> 16 & 0x7f) == HEADER_BRIDGE;
    /* A host bridge may lose its way to memory while it is asked how large it is. */
    if (d->class != CLASS_BRIDGE)
        read_bars(d);
    device_count++;
    return true;
}

/* --- the buses --------------------------------------------------------------------------------- */

static void scan_slot(u8 bus, u8 slot)
{
    u32 header, other;

    if (!look_at(bus, slot, 0, &header))
        return;
    for (u8 f = 1; f < 8 && header & HEADER_MULTI; f++)
        look_at(bus, slot, f, &other);
}

/* Buses are found behind bridges that were found before; firmware has numbered them, each above the bus that
 * its bridge is on. */
unsigned pci_scan(const struct pci_access *a)
{
    access = a;
    device_count = 0;
    for (u8 slot = 0; slot < 32; slot++)
        scan_slot(0, slot);
    for (unsigned i = 0; i < device_count; i++) {
        const struct pci_device *d = &devices[i];
        u32 buses = d->bridge ? pci_read(d, PCI_BUSES) : 0;
        u8 below = (u8)(buses >> 8);

        for (u8 slot = 0; slot < 32 && below > d->bus; slot++)
            scan_slot(below, slot);
    }
    return device_count;
}

const struct pci_driver *pci_driver_find(const struct pci_device *d, const struct pci_driver *first,
                                         const struct pci_driver *end)
{
    for (; first < end; first++)
        for (const struct pci_id *id = first->ids; id->vendor; id++)
            if (id->vendor == d->vendor && id->device == d->device)
                return first;
    return NULL;
}

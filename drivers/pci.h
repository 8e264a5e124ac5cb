/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI: finding the devices of this host, their registers and memory, and the drivers that want them.
 *
 * At start-up every function of every bus behind the host bridge is looked at, through ECAM where ACPI has an
 * MCFG table, else through the ports CF8h and CFCh (PCI Local Bus 3.0, 3.2.2.3.2). Addresses are those
 * that firmware gave out. A driver is a row of a table that the linker makes. Only the start-up thread finds
 * devices; configuration registers can be used by any thread. */
#pragma once
#include "kernel/arch.h"
#include "kernel/err.h"

#define PCI_MAX_DEVICES 64
#define PCI_BARS        6

/* Offsets in a function's configuration space (PCI Local Bus 3.0, 6.1 and 6.2). */
enum {
    PCI_ID = 0x00,      /* vendor 15:0, device 31:16 */
    PCI_COMMAND = 0x04, /* status 31:16 */
    PCI_CLASS = 0x08,   /* revision 7:0, interface 15:8, subclass 23:16, class 31:24 */
    PCI_HEADER = 0x0c,  /* header type 23:16 */
    PCI_BAR = 0x10,
    PCI_BUSES = 0x18, /* of a bridge: primary 7:0, secondary 15:8 */
};
#define PCI_COMMAND_IO      BIT(0)
#define PCI_COMMAND_MEMORY  BIT(1)
#define PCI_COMMAND_MASTER  BIT(2)
#define PCI_COMMAND_NO_INTX BIT(10)

struct pci_bar {
    u64 address; /* 0: firmware gave none */
    u64 size;    /* 0: the device has no such range */
    bool io;
};

struct pci_device {
    u8 bus, slot, function;
    u16 vendor, device;
    u8 class, subclass, interface;
    bool bridge;
    struct pci_bar bar[PCI_BARS];
    const struct pci_driver *driver; /* that runs it, or NULL */
};

struct pci_driver {
    const char *name;
    const struct pci_id {
        u16 vendor, device;
    } * ids; /* ends with zeros */
    /* Takes the device into use. A refusal is logged, and the device left alone. */
    enum err (*start)(struct pci_device *d, struct why *why);
    /* May be NULL: before reboot and poweroff, ends what the device does for this host. */
    void (*stop)(struct pci_device *d);
};
#define PCI_DRIVER(symbol, ...)                                                                    \
    static const struct pci_driver pci_driver_##symbol                                             \
        __attribute__((used, aligned(8), section(".pci_table." #symbol))) = {__VA_ARGS__}

/* How configuration registers are reached; offset is a multiple of 4. Absent functions read all ones. */
struct pci_access {
    const char *name;
    u32 (*read)(u8 bus, u8 slot, u8 function, u32 offset);
    void (*write)(u8 bus, u8 slot, u8 function, u32 offset, u32 value);
};

u32 pci_read(const struct pci_device *d, u32 offset);
void pci_write(const struct pci_device *d, u32 offset, u32 value);
/* Lets the device answer at its addresses, and read and write memory; no line interrupt. */
void pci_enable(const struct pci_device *d);
/* No device that a driver runs reads or writes memory from here on: what comes after this host uses it otherwise. */
void pci_stop_all(void);
/* Maps a memory range; NULL where there is none or it has no address. */
void *pci_map(const struct pci_device *d, unsigned bar);

/* Finds all devices through that access, which is then used for them. Returns how many. */
unsigned pci_scan(const struct pci_access *access);
/* In the order of their places; NULL behind the last. */
struct pci_device *pci_at(unsigned index);
/* The first driver from first to end that names the device, or NULL. */
const struct pci_driver *pci_driver_find(const struct pci_device *d, const struct pci_driver *first,
                                         const struct pci_driver *end);

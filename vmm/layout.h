/* SPDX-License-Identifier: BSD-2-Clause */
/* Where things are in the machine that a guest sees. Loaders, device models, ACPI tables and the
 * Pmap all take their addresses from here.
 *
 *     0            - 9fc00        RAM (the last KiB below a0000 is reserved, as on a PC)
 *     c0000        - fffff        ROM area, which is RAM that no map mentions: ACPI tables, RSDP at e0000;
 *                                 at ffff0 what a jump to the reset vector does
 *     100000       - low top      RAM; low top is the memory size, 3 GiB at most
 *     c0000000     - ffffffff     devices: IOAPIC fec00000, LAPIC fee00000
 *     100000000    -              the rest of RAM */
#pragma once
#include "kernel/types.h"

#define GUEST_BASE_TOP     0x9fc00ull
#define GUEST_HOLE_BASE    0xa0000ull
#define GUEST_HOLE_TOP     0xc0000ull
#define GUEST_ROM_BASE     0xe0000ull
#define GUEST_ROM_TOP      0x100000ull
#define GUEST_RESET_VECTOR 0xffff0ull    /* ffff:0000 in real mode */
#define GUEST_LOW_LIMIT    0xc0000000ull /* RAM below 4 GiB ends here at the latest */
#define GUEST_HIGH_BASE    0x100000000ull
#define GUEST_IOAPIC       0xfec00000ull
#define GUEST_LAPIC        0xfee00000ull

#define VM_MAX_VCPUS   16
#define VM_IOAPIC_PINS 24

/* Interrupt lines: GSI n is IOAPIC pin n; 0 to 15 reach the PICs too. The PIT is on pin 2 and on
 * PIC input 0, as on a PC (MADT has the override). */
#define GSI_PIT  0
#define GSI_COM1 4
#define GSI_RTC  8

#define PORT_COM1          0x3f8 /* 8 ports */
#define PORT_SLEEP_CONTROL 0x600 /* ACPI hardware-reduced sleep registers (ACPI 6.4 4.8.3.7) */
#define PORT_SLEEP_STATUS  0x601
#define PORT_RESET         0x604 /* ACPI reset register: RESET_VALUE resets the VM */
#define RESET_VALUE        0x01
#define SLEEP_TYPE_S5      5

static inline u64 guest_low_top(u64 memory)
{
    return memory < GUEST_LOW_LIMIT ? memory : GUEST_LOW_LIMIT;
}
/* The end of RAM above 4 GiB, or GUEST_HIGH_BASE where there is none. */
static inline u64 guest_high_top(u64 memory)
{
    return GUEST_HIGH_BASE + (memory - guest_low_top(memory));
}

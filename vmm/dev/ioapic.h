/* SPDX-License-Identifier: BSD-2-Clause */
/* An IOAPIC with 24 pins (Intel 290566-001), version 20h: with the EOI register of later ones.
 * Polarity is kept and not used: lines are virtual, true is asserted.
 *
 * Redirection entry: vector 7:0, delivery 10:8, logical 11, status 12, polarity 13, remote IRR 14,
 * level 15, masked 16, destination 63:56.
 *
 * Pure logic; the caller holds its VM's lock. struct ioapic is the whole state. */
#pragma once
#include "vmm/dev/irqmsg.h"
#include "vmm/layout.h"

#define IOAPIC_VERSION 0x20u

#define REDIRECTION_LEVEL  BIT(15)
#define REDIRECTION_MASKED BIT(16)

struct ioapic {
    u64 redirection[VM_IOAPIC_PINS];
    u32 lines; /* input levels */
    u32 id;    /* bits 27:24 */
    u8 select;
    u8 reserved[7];
};
ASSERT_SIZE(struct ioapic, 208);

/* Carries a message to the local APICs; true: one of them took it. Must not call back. */
struct ioapic_bus {
    bool (*send)(void *context, const struct irq_msg *msg);
    void *context;
};

void ioapic_init(struct ioapic *io);
void ioapic_line(struct ioapic *io, unsigned pin, bool level, const struct ioapic_bus *bus);
/* A local APIC has ended this level-triggered vector: pins still asserted send it again. */
void ioapic_eoi(struct ioapic *io, u8 vector, const struct ioapic_bus *bus);
/* The message that the pin would send now. */
struct irq_msg ioapic_message(const struct ioapic *io, unsigned pin);
/* Could the device be in that state? For one that comes from outside. */
bool ioapic_is_valid(const struct ioapic *io);
/* Offset in the page: 0 select (8 bits), 10 window (32 bits), 40 EOI. */
u32 ioapic_read(const struct ioapic *io, u32 offset);
void ioapic_write(struct ioapic *io, u32 offset, u8 size, u32 value, const struct ioapic_bus *bus);

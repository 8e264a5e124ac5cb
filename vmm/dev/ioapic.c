/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/ioapic.h"
#include "kernel/string.h"

enum { OFFSET_SELECT = 0x00, OFFSET_WINDOW = 0x10, OFFSET_EOI = 0x40 };
enum { REG_ID = 0, REG_VERSION = 1, REG_REDIRECTION = 0x10 };

#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_READ_ONLY  (BIT(12) | ENTRY_REMOTE_IRR)
#define ENTRY_WRITABLE   (0xff0000000001ffffull & ~ENTRY_READ_ONLY)
#define ID_WRITABLE      0x0f000000u

void ioapic_init(struct ioapic *io)
{
    *io = (struct ioapic){0};
    for (unsigned pin = 0; pin < VM_IOAPIC_PINS; pin++)
        io->redirection[pin] = REDIRECTION_MASKED;
}

/* Only these wait for an EOI; the rest are edges whatever the entry says (290566, table "IOREDTBL",
 * delivery mode). */
static bool entry_is_level(u64 entry)
{
    return (entry & REDIRECTION_LEVEL) && (entry >> 8 & 7) <= IRQ_LOWEST;
}

struct irq_msg ioapic_message(const struct ioapic *io, unsigned pin)
{
    u64 entry = io->redirection[pin];

    return (struct irq_msg){
        .dest = (u32)(entry >> 56),
        .vector = (u8)entry,
        .delivery = entry >> 8 & 7,
        .logical = entry >> 11 & 1,
        .level = entry_is_level(entry),
    };
}

static void pin_send(struct ioapic *io, unsigned pin, const struct ioapic_bus *bus)
{
    struct irq_msg msg = ioapic_message(io, pin);

    if (bus->send(bus->context, &msg) && msg.level)
        io->redirection[pin] |= ENTRY_REMOTE_IRR;
}

/* A level-triggered pin that is asserted and not under way is sent. */
static void pin_update(struct ioapic *io, unsigned pin, const struct ioapic_bus *bus)
{
    u64 entry = io->redirection[pin];

    if (entry_is_level(entry) && (io->lines & BIT(pin)) &&
        !(entry & (REDIRECTION_MASKED | ENTRY_REMOTE_IRR)))
        pin_send(io, pin, bus);
}

/* An edge on a masked pin is lost (290566, "Interrupt mask"). */
void ioapic_line(struct ioapic *io, unsigned pin, bool level, const struct ioapic_bus *bus)
{
    u32 bit = (u32)BIT(pin);
    bool rises = level && !(io->lines & bit);

    io->lines = level ? io->lines | bit : io->lines & ~bit;
    if (entry_is_level(io->redirection[pin]))
        pin_update(io, pin, bus);
    else if (rises && !(io->redirection[pin] & REDIRECTION_MASKED))
        pin_send(io, pin, bus);
}

void ioapic_eoi(struct ioapic *io, u8 vector, const struct ioapic_bus *bus)
{
    for (unsigned pin = 0; pin < VM_IOAPIC_PINS; pin++) {
        u64 entry = io->redirection[pin];

        if (!(entry & ENTRY_REMOTE_IRR) || (u8)entry != vector)
            continue;
        io->redirection[pin] &= ~ENTRY_REMOTE_IRR;
        pin_update(io, pin, bus);
    }
}

/* An entry that becomes edge triggered forgets its remote IRR; drivers rely on it. */
static void write_redirection(struct ioapic *io, unsigned index, u32 value,
                              const struct ioapic_bus *bus)
{
    unsigned pin = index / 2;
    u64 entry = io->redirection[pin], read_only = entry & ENTRY_READ_ONLY;

    entry = index & 1 ? (entry & 0xffffffff) | (u64)value << 32 : (entry & ~0xffffffffull) | value;
    entry = (entry & ENTRY_WRITABLE) | read_only;
    if (!entry_is_level(entry))
        entry &= ~ENTRY_REMOTE_IRR;
    io->redirection[pin] = entry;
    pin_update(io, pin, bus);
}

static u32 read_window(const struct ioapic *io)
{
    unsigned index = io->select - REG_REDIRECTION;

    if (io->select == REG_ID)
        return io->id;
    if (io->select == REG_VERSION)
        return IOAPIC_VERSION | (VM_IOAPIC_PINS - 1) << 16;
    if (index < 2 * VM_IOAPIC_PINS)
        return (u32)(io->redirection[index / 2] >> (index & 1 ? 32 : 0));
    return 0;
}

static void write_window(struct ioapic *io, u32 value, const struct ioapic_bus *bus)
{
    unsigned index = io->select - REG_REDIRECTION;

    if (io->select == REG_ID)
        io->id = value & ID_WRITABLE;
    else if (index < 2 * VM_IOAPIC_PINS)
        write_redirection(io, index, value, bus);
}

u32 ioapic_read(const struct ioapic *io, u32 offset)
{
    if (offset == OFFSET_SELECT)
        return io->select;
    return offset == OFFSET_WINDOW ? read_window(io) : 0;
}

void ioapic_write(struct ioapic *io, u32 offset, u8 size, u32 value, const struct ioapic_bus *bus)
{
    if (offset == OFFSET_SELECT)
        io->select = (u8)value;
    else if (offset == OFFSET_WINDOW && size >= 4)
        write_window(io, value, bus);
    else if (offset == OFFSET_EOI)
        ioapic_eoi(io, (u8)value, bus);
}

bool ioapic_is_valid(const struct ioapic *io)
{
    for (unsigned pin = 0; pin < VM_IOAPIC_PINS; pin++) {
        u64 entry = io->redirection[pin];

        if (entry & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR) ||
            ((entry & ENTRY_REMOTE_IRR) && !entry_is_level(entry)))
            return false;
    }
    return mem_is_zero(io->reserved, sizeof(io->reserved)) && !(io->lines >> VM_IOAPIC_PINS) &&
           !(io->id & ~ID_WRITABLE);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/platform.h"

#define PORT_PCI_CONFIG 0xcf8

/* A device of byte-wide ports sees one byte at a time; a whole one sees the access as it is. */
struct port_range {
    u16 first, count;
    bool whole;
    const char *name;
    u32 (*in)(struct platform *p, u16 port, u8 size, const struct vtime *now);
    void (*out)(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now);
};

void platform_init(struct platform *p, unsigned vcpus, u64 boot_seconds,
                   const struct uart_sink *console)
{
    *p = (struct platform){.console = *console};
    irqchip_init(&p->devices.irqchip, vcpus);
    pit_init(&p->devices.pit);
    rtc_init(&p->devices.rtc, boot_seconds);
    uart_init(&p->devices.com1);
    power_init(&p->devices.power);
}

void platform_reset(struct platform *p)
{
    struct uart_sink console = p->console;
    struct rtc rtc = p->devices.rtc;
    u64 unclaimed = p->unclaimed;

    platform_init(p, p->devices.irqchip.vcpus, 0, &console);
    p->devices.rtc = rtc;
    rtc_reset(&p->devices.rtc);
    p->unclaimed = unclaimed;
}

/* ---- Lines ---- */

static void lines_update(struct platform *p)
{
    irqchip_line(&p->devices.irqchip, GSI_COM1, uart_irq(&p->devices.com1));
    irqchip_line(&p->devices.irqchip, GSI_RTC, rtc_irq(&p->devices.rtc));
}

/* OUT of the PIT is low for a clock only in some modes, and looked at later than that: the rise is
 * what counts, and the line falls just before it. */
static void pit_update(struct platform *p, const struct vtime *now)
{
    if (!pit_tick(&p->devices.pit, now))
        return;
    irqchip_line(&p->devices.irqchip, GSI_PIT, false);
    irqchip_line(&p->devices.irqchip, GSI_PIT, true);
}

void platform_tick(struct platform *p, const struct vtime *now)
{
    pit_update(p, now);
    rtc_tick(&p->devices.rtc, now);
    lines_update(p);
}

u64 platform_next(const struct platform *p)
{
    return MIN(pit_next(&p->devices.pit), rtc_next(&p->devices.rtc));
}

bool platform_console_input(struct platform *p, u8 byte)
{
    bool taken = uart_receive(&p->devices.com1, byte);

    lines_update(p);
    return taken;
}

enum power_event platform_take_power(struct platform *p)
{
    enum power_event event = (enum power_event)p->devices.power_event;

    p->devices.power_event = POWER_NONE;
    return event;
}

/* ---- Ports ---- */

static u32 in_pic(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)size;
    (void)now;
    return irqchip_pic_in(&p->devices.irqchip, port);
}

static void out_pic(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    (void)size;
    (void)now;
    irqchip_pic_out(&p->devices.irqchip, port, (u8)value);
}

static u32 in_pit(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)size;
    pit_update(p, now);
    return pit_in(&p->devices.pit, port, now);
}

static void out_pit(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    (void)size;
    pit_update(p, now); /* what happened under the old setting */
    pit_out(&p->devices.pit, port, (u8)value, now);
    if (!pit_irq_level(&p->devices.pit, now))
        irqchip_line(&p->devices.irqchip, GSI_PIT, false);
}

static u32 in_rtc(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)size;
    return rtc_in(&p->devices.rtc, port, now);
}

static void out_rtc(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    (void)size;
    rtc_out(&p->devices.rtc, port, (u8)value, now);
}

static u32 in_com1(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)size;
    (void)now;
    return uart_read(&p->devices.com1, port - PORT_COM1);
}

static void out_com1(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    (void)size;
    (void)now;
    if (uart_write(&p->devices.com1, port - PORT_COM1, (u8)value, &p->console))
        irqchip_line(&p->devices.irqchip, GSI_COM1, false);
}

static u32 in_power(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)size;
    (void)now;
    return power_in(&p->devices.power, port);
}

static void out_power(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    enum power_event event = power_out(&p->devices.power, port, (u8)value);

    (void)size;
    (void)now;
    if (event != POWER_NONE)
        p->devices.power_event = event;
}

/* No host bridge: all ones. A byte at cf9 is the chipset's reset register, even so. */
static u32 in_pci(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    if (port == PORT_RESET_CONTROL && size == 1)
        return in_power(p, port, size, now);
    return 0xffffffff;
}

static void out_pci(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    if (port == PORT_RESET_CONTROL && size == 1)
        out_power(p, port, size, value, now);
}

/* Ports that software writes to pass a microsecond, or to show a code. */
static u32 in_nothing(struct platform *p, u16 port, u8 size, const struct vtime *now)
{
    (void)p;
    (void)port;
    (void)size;
    (void)now;
    return 0xffffffff;
}

static void out_nothing(struct platform *p, u16 port, u8 size, u32 value, const struct vtime *now)
{
    (void)p;
    (void)port;
    (void)size;
    (void)value;
    (void)now;
}

/* clang-format off */
static const struct port_range ranges[] = {
    {PIC_PORT_MASTER,       2, .name = "PIC",                 .in = in_pic,     .out = out_pic},
    {PIT_PORT,      PIT_PORTS, .name = "PIT",                 .in = in_pit,     .out = out_pit},
    {PORT_KEYBOARD_DATA,    1, .name = "keyboard controller", .in = in_power,   .out = out_power},
    {PIT_PORT_GATE,         1, .name = "PIT gate",            .in = in_pit,     .out = out_pit},
    {PORT_KEYBOARD_COMMAND, 1, .name = "keyboard controller", .in = in_power,   .out = out_power},
    {RTC_PORT,      RTC_PORTS, .name = "RTC",                 .in = in_rtc,     .out = out_rtc},
    {0x80,                  1, .name = "POST code",           .in = in_nothing, .out = out_nothing},
    {PORT_SYSTEM_CONTROL,   1, .name = "system control",      .in = in_power,   .out = out_power},
    {PIC_PORT_SLAVE,        2, .name = "PIC",                 .in = in_pic,     .out = out_pic},
    {0xed,                  1, .name = "I/O delay",           .in = in_nothing, .out = out_nothing},
    {PORT_COM1,    UART_PORTS, .name = "COM1",                .in = in_com1,    .out = out_com1},
    {PIC_PORT_ELCR,         2, .name = "PIC ELCR",            .in = in_pic,     .out = out_pic},
    {PORT_SLEEP_CONTROL,    2, .name = "ACPI sleep",          .in = in_power,   .out = out_power},
    {PORT_RESET,            1, .name = "ACPI reset",          .in = in_power,   .out = out_power},
    {PORT_PCI_CONFIG,       8, .name = "PCI configuration",   .in = in_pci,     .out = out_pci,
                               .whole = true},
};
/* clang-format on */

static const struct port_range *find_range(u32 port)
{
    for (unsigned i = 0; i < COUNT_OF(ranges); i++)
        if (port - ranges[i].first < ranges[i].count)
            return &ranges[i];
    return NULL;
}

const char *platform_port_name(u16 port)
{
    const struct port_range *range = find_range(port);

    return range ? range->name : NULL;
}

static u32 all_ones(u8 size)
{
    return size < 4 ? (1u << 8 * size) - 1 : 0xffffffff;
}

static bool in_bytes(struct platform *p, u16 port, u8 size, const struct vtime *now, u32 *value)
{
    bool claimed = false;

    for (u8 i = 0; i < size; i++) {
        const struct port_range *range = find_range((u32)port + i);
        u32 byte = range && !range->whole ? range->in(p, (u16)(port + i), 1, now) & 0xff : 0xff;

        claimed |= range && !range->whole;
        *value = (*value & ~(0xffu << 8 * i)) | byte << 8 * i;
    }
    return claimed;
}

static bool out_bytes(struct platform *p, u16 port, u8 size, const struct vtime *now, u32 value)
{
    bool claimed = false;

    for (u8 i = 0; i < size; i++) {
        const struct port_range *range = find_range((u32)port + i);

        if (!range || range->whole)
            continue;
        range->out(p, (u16)(port + i), 1, value >> 8 * i & 0xff, now);
        claimed = true;
    }
    return claimed;
}

/* vCPU 0 sleeps until platform_next: it has to know when another one has moved that forward. */
static void clock_update(struct platform *p, unsigned cpu, u64 next_before)
{
    if (cpu && platform_next(p) < next_before)
        p->devices.irqchip.kick |= BIT(0);
}

bool platform_in(struct platform *p, unsigned cpu, u16 port, u8 size, const struct vtime *now,
                 u32 *value)
{
    const struct port_range *range = find_range(port);
    u64 next = platform_next(p);
    bool claimed = true;

    *value = all_ones(size);
    if (range && range->whole)
        *value &= range->in(p, port, size, now);
    else
        claimed = in_bytes(p, port, size, now, value);
    p->unclaimed += !claimed;
    lines_update(p);
    clock_update(p, cpu, next);
    return claimed;
}

bool platform_out(struct platform *p, unsigned cpu, u16 port, u8 size, const struct vtime *now,
                  u32 value)
{
    const struct port_range *range = find_range(port);
    u64 next = platform_next(p);
    bool claimed = true;

    if (range && range->whole)
        range->out(p, port, size, value, now);
    else
        claimed = out_bytes(p, port, size, now, value);
    p->unclaimed += !claimed;
    lines_update(p);
    clock_update(p, cpu, next);
    return claimed;
}

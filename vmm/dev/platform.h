/* SPDX-License-Identifier: BSD-2-Clause */
/* The board: everything that a guest reaches through I/O ports, and the lines between the devices
 * and the interrupt controllers.
 *
 * The caller holds its VM's lock around every call, and looks at devices.irqchip.kick and
 * platform_take_power afterwards. `devices` is the whole state, and plain data: save and load are a
 * copy; the rest belongs to the host. */
#pragma once
#include "vmm/dev/irqchip.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/power.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/uart.h"

struct platform_devices {
    struct irqchip irqchip;
    struct pit pit;
    struct rtc rtc;
    struct uart com1;
    struct power power;
    u32 power_event; /* enum power_event: asked for, and not taken yet */
    u32 reserved;
};

struct platform {
    struct platform_devices devices;
    struct uart_sink console; /* where COM1's output goes */
    u64 unclaimed;            /* port accesses that no device answered */
};

/* boot_seconds: UTC at guest time 0, in seconds since 1970. The sink is called during platform_out;
 * it must not call back. */
void platform_init(struct platform *p, unsigned vcpus, u64 boot_seconds,
                   const struct uart_sink *console);
/* As the reset button: everything but the clock and the CMOS memory. */
void platform_reset(struct platform *p);

/* Port I/O of a vCPU. size 1, 2 or 4. false: no device there (all ones, write ignored). */
bool platform_in(struct platform *p, unsigned cpu, u16 port, u8 size, const struct vtime *now,
                 u32 *value);
bool platform_out(struct platform *p, unsigned cpu, u16 port, u8 size, const struct vtime *now,
                  u32 value);
/* The device at a port, for logs; NULL: none. */
const char *platform_port_name(u16 port);

/* The PIT and the RTC: guest ns of the next event, and bringing them up to now. vCPU 0 does that:
 * it is kicked when the port access of another one brings the next event forward. */
u64 platform_next(const struct platform *p);
void platform_tick(struct platform *p, const struct vtime *now);

/* A byte typed at COM1; false: no room now, offer it again later. */
bool platform_console_input(struct platform *p, u8 byte);

/* What the guest asked for since the last call. */
enum power_event platform_take_power(struct platform *p);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/power.h"
#include "vmm/layout.h"
#include "kernel/string.h"

#define SLEEP_ENABLE        0x20 /* SLP_EN */
#define SLEEP_TYPE(control) (((control) >> 2) & 7)

#define RESET_CPU 0x04 /* cf9: its rising edge resets */
#define CF9_KEPT  0x0e

#define FAST_RESET 0x01 /* 92: its rising edge resets */
#define A20        0x02

/* Commands f0 to ff pulse the controller's outputs that are 0 in bits 3:0; output 0 is reset. */
#define PULSE(command)       (((command)&0xf0) == 0xf0)
#define PULSE_RESET(command) (PULSE(command) && !((command)&1))

void power_init(struct power *p)
{
    *p = (struct power){.system_control = A20};
}

u8 power_in(const struct power *p, u16 port)
{
    switch (port) {
    case PORT_SLEEP_CONTROL: return p->sleep_control;
    case PORT_SLEEP_STATUS:
    case PORT_RESET: return 0;
    case PORT_SYSTEM_CONTROL: return p->system_control;
    case PORT_RESET_CONTROL: return p->reset_control;
    default: return 0xff; /* all ones at 64: no keyboard controller */
    }
}

static bool rises(u8 before, u8 after, u8 bit)
{
    return after & ~before & bit;
}

static enum power_event write_sleep_control(struct power *p, u8 value)
{
    p->sleep_control = value & (u8)~SLEEP_ENABLE;
    return (value & SLEEP_ENABLE) && SLEEP_TYPE(value) == SLEEP_TYPE_S5 ? POWER_OFF : POWER_NONE;
}

static enum power_event write_reset_control(struct power *p, u8 value)
{
    bool reset = rises(p->reset_control, value, RESET_CPU);

    p->reset_control = value & CF9_KEPT;
    return reset ? POWER_RESET : POWER_NONE;
}

static enum power_event write_system_control(struct power *p, u8 value)
{
    bool reset = rises(p->system_control, value, FAST_RESET);

    p->system_control = value & (FAST_RESET | A20);
    return reset ? POWER_RESET : POWER_NONE;
}

enum power_event power_out(struct power *p, u16 port, u8 value)
{
    switch (port) {
    case PORT_SLEEP_CONTROL: return write_sleep_control(p, value);
    case PORT_RESET: return value == RESET_VALUE ? POWER_RESET : POWER_NONE;
    case PORT_RESET_CONTROL: return write_reset_control(p, value);
    case PORT_SYSTEM_CONTROL: return write_system_control(p, value);
    case PORT_KEYBOARD_COMMAND: return PULSE_RESET(value) ? POWER_RESET : POWER_NONE;
    default: return POWER_NONE;
    }
}

bool power_is_valid(const struct power *p)
{
    return mem_is_zero(p->reserved, sizeof(p->reserved)) && !(p->reset_control & (u8)~CF9_KEPT) &&
           !(p->system_control & (u8) ~(FAST_RESET | A20)) && !(p->sleep_control & SLEEP_ENABLE);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Every way in which a PC lets its software end the machine:
 *
 *     600, 601   ACPI sleep control and status (ACPI 6.4 4.8.3.7)
 *     604        ACPI reset register (FADT)
 *     cf9        reset control of the chipset
 *     92         fast reset and A20 of the PS/2
 *     60, 64     keyboard controller: absent, but for its reset pulse
 *
 * Pure logic; the caller acts on the result. struct power is the whole state. */
#pragma once
#include "kernel/types.h"

#define PORT_KEYBOARD_DATA    0x60
#define PORT_KEYBOARD_COMMAND 0x64
#define PORT_SYSTEM_CONTROL   0x92
#define PORT_RESET_CONTROL    0xcf9

enum power_event { POWER_NONE, POWER_OFF, POWER_RESET };

struct power {
    u8 reset_control;  /* cf9 */
    u8 system_control; /* 92 */
    u8 sleep_control;  /* 600, without SLP_EN */
    u8 reserved[5];
};
ASSERT_SIZE(struct power, 8);

void power_init(struct power *p);
/* Could the device be in that state? For one that comes from outside. */
bool power_is_valid(const struct power *p);
/* The ports above; any other reads all ones and ignores writes. */
u8 power_in(const struct power *p, u16 port);
enum power_event power_out(struct power *p, u16 port, u8 value) MUST_CHECK;

/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets itself by each way that a PC has, one a boot, and counts the boots in CMOS memory, which stays. */
#include "tests/guests/lib/guest.h"

static u8 cmos_read(u8 reg)
{
    out8(0x70, reg);
    return in8(0x71);
}

static void cmos_write(u8 reg, u8 value)
{
    out8(0x70, reg);
    out8(0x71, value);
}

void guest_main(const char *cmdline)
{
    static const struct {
        u16 port;
        u8 value;
    } ways[] = {{PORT_RESET, RESET_VALUE}, {0xcf9, 6}, {0x64, 0xfe}, {0x92, 1}};
    u8 boot = cmos_read(0x40);

    (void)cmdline;
    print("boot %u\n", boot);
    if (boot < COUNT_OF(ways)) {
        cmos_write(0x40, boot + 1);
        out8(ways[boot].port, ways[boot].value);
        for (;;)
            __builtin_ia32_pause();
    }
    check(boot == COUNT_OF(ways), "each way resets once", "%u", boot);
}

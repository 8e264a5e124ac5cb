/* SPDX-License-Identifier: BSD-2-Clause */
/* The MC146818 real-time clock with 128 bytes of CMOS memory, at ports 70 (index) and 71 (data).
 *
 * Its time is computed: base_seconds plus the guest's time. Registers 0 to 9 and 32h (century) are
 * filled in from it when they are read, and it is set from them when they are written; while
 * register B has SET they are plain memory. Seconds begin where the guest's ns are a multiple of
 * 10^9. Pure logic; the caller holds its VM's lock. struct rtc is the whole state. */
#pragma once
#include "vmm/dev/vtime.h"

#define RTC_PORT  0x70
#define RTC_PORTS 2

struct rtc {
    s64 base_seconds; /* since 1970-01-01 00:00:00, at guest time 0 */
    u64 seen_ns;      /* events up to here are in reg_c */
    u8 cmos[128];
    u8 index;
    u8 reg_a, reg_b, reg_c;
    u8 reserved[4];
};
ASSERT_SIZE(struct rtc, 152);

/* boot_seconds: wall clock (UTC) at guest time 0, in seconds since 1970. */
void rtc_init(struct rtc *r, u64 boot_seconds);
/* Reset leaves the time and the memory, and takes the interrupt enables back. */
void rtc_reset(struct rtc *r);
u8 rtc_in(struct rtc *r, u16 port, const struct vtime *now);
void rtc_out(struct rtc *r, u16 port, u8 value, const struct vtime *now);
/* The level of IRQ 8, as of the last tick. */
bool rtc_irq(const struct rtc *r);
/* Notes everything that has happened up to now. */
void rtc_tick(struct rtc *r, const struct vtime *now);
/* Guest ns when the line rises next, or VTIME_NEVER. */
u64 rtc_next(const struct rtc *r);

/* The state as it travels, after a tick: its time goes with the guest's, and seen_ns is 0. */
void rtc_save(const struct rtc *r, struct rtc *saved);
bool rtc_is_valid(const struct rtc *saved);
void rtc_load(struct rtc *r, const struct rtc *saved, const struct vtime *now);

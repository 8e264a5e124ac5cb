/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/rtc.h"
#include "vmm/dev/calendar.h"
#include "vmm/dev/scale.h"
#include "kernel/string.h"

enum {
    REG_SECOND = 0,
    REG_SECOND_ALARM,
    REG_MINUTE,
    REG_MINUTE_ALARM,
    REG_HOUR,
    REG_HOUR_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_CENTURY = 0x32
};

#define A_UIP         0x80
#define A_DIVIDER     0x70
#define A_DIVIDER_32K 0x20 /* the time base that a PC has; with others nothing happens */
#define A_RATE        0x0f
#define B_SET         0x80
#define B_PERIODIC    0x40
#define B_ALARM       0x20
#define B_UPDATE      0x10
#define B_BINARY      0x04
#define B_24H         0x02
#define C_IRQ         0x80
#define C_ALL         0x70 /* PF, AF, UF: at the places of their enables in B */
#define D_VALID       0x80
#define HOUR_PM       0x80
#define ALARM_ANY     0xc0 /* this and above: any value matches */
#define INDEX_MASK    0x7f

#define BASE_HZ 32768u
#define UPDATE_NS                                                                                  \
    2228000u /* UIP is set 244 us before the update and until its end, 1984 us later */

void rtc_init(struct rtc *r, u64 boot_seconds)
{
    *r = (struct rtc){
        .base_seconds = (s64)MIN(boot_seconds, (u64)CALENDAR_SECONDS_MAX),
        .reg_a = A_DIVIDER_32K | 6,
        .reg_b = B_24H,
    };
}

void rtc_reset(struct rtc *r)
{
    r->reg_b &= (u8)~C_ALL;
    r->reg_c = 0;
}

static bool clock_runs(const struct rtc *r)
{
    return !(r->reg_b & B_SET) && (r->reg_a & A_DIVIDER) == A_DIVIDER_32K;
}

static u8 encode(const struct rtc *r, unsigned n)
{
    return (u8)(r->reg_b & B_BINARY ? n : n / 10 % 10 << 4 | n % 10);
}

static unsigned decode(const struct rtc *r, u8 v)
{
    return r->reg_b & B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

static u8 encode_hour(const struct rtc *r, unsigned hour)
{
    if (r->reg_b & B_24H)
        return encode(r, hour);
    return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static unsigned decode_hour(const struct rtc *r, u8 v)
{
    if (r->reg_b & B_24H)
        return decode(r, v);
    return decode(r, v & (u8)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

static s64 seconds_at(const struct rtc *r, u64 second)
{
    return r->base_seconds + (s64)second;
}

static void time_to_registers(struct rtc *r, const struct vtime *now)
{
    struct calendar c = calendar_from_seconds(seconds_at(r, now->ns / NS_PER_SECOND));

    r->cmos[REG_SECOND] = encode(r, c.second);
    r->cmos[REG_MINUTE] = encode(r, c.minute);
    r->cmos[REG_HOUR] = encode_hour(r, c.hour);
    r->cmos[REG_WEEKDAY] = encode(r, c.weekday);
    r->cmos[REG_DAY] = encode(r, c.day);
    r->cmos[REG_MONTH] = encode(r, c.month);
    r->cmos[REG_YEAR] = encode(r, c.year % 100);
    r->cmos[REG_CENTURY] = encode(r, c.year / 100 % 100);
}

static void time_from_registers(struct rtc *r, const struct vtime *now)
{
    struct calendar c = {
        .second = decode(r, r->cmos[REG_SECOND]),
        .minute = decode(r, r->cmos[REG_MINUTE]),
        .hour = decode_hour(r, r->cmos[REG_HOUR]),
        .day = decode(r, r->cmos[REG_DAY]),
        .month = decode(r, r->cmos[REG_MONTH]),
        .year = decode(r, r->cmos[REG_CENTURY]) * 100 + decode(r, r->cmos[REG_YEAR]),
    };

    r->base_seconds = calendar_to_seconds(&c) - (s64)(now->ns / NS_PER_SECOND);
}

static bool is_time(u8 reg)
{
    return reg == REG_CENTURY || (reg <= REG_YEAR && (reg > REG_HOUR_ALARM || !(reg & 1)));
}

static bool alarm_field(const struct rtc *r, u8 reg, unsigned decoded, unsigned limit, u64 *allowed)
{
    bool any = r->cmos[reg] >= ALARM_ANY;

    *allowed = any ? BIT(limit) - 1 : decoded < limit ? BIT(decoded) : 0;
    return *allowed;
}

/* The first second of guest time, from `second` on, at which the alarm goes off. */
static u64 alarm_next(const struct rtc *r, u64 second)
{
    u64 hours, minutes, seconds;
    u32 start = calendar_second_of_day(seconds_at(r, second));
    u32 h = start / 3600, m = start / 60 % 60, s = start % 60;

    if (!alarm_field(r, REG_HOUR_ALARM, decode_hour(r, r->cmos[REG_HOUR_ALARM]), 24, &hours) ||
        !alarm_field(r, REG_MINUTE_ALARM, decode(r, r->cmos[REG_MINUTE_ALARM]), 60, &minutes) ||
        !alarm_field(r, REG_SECOND_ALARM, decode(r, r->cmos[REG_SECOND_ALARM]), 60, &seconds))
        return VTIME_NEVER;
    for (u32 step = 0; step <= 24; step++, m = s = 0) {
        u32 hour = (h + step) % 24;

        if (!(hours & BIT(hour)))
            continue;
        for (; m < 60; m++, s = 0)
            for (; (minutes & BIT(m)) && s < 60; s++)
                if (seconds & BIT(s))
                    return second + (h + step) * 3600 + m * 60 + s - start;
    }
    return VTIME_NEVER;
}

/* Periodic rate n is 32768 Hz >> (n - 1); 1 and 2 stand for 8 and 9 (MC146818 table 5). */
static unsigned period_shift(const struct rtc *r)
{
    unsigned rate = r->reg_a & A_RATE;

    return rate < 3 ? rate + 6 : rate - 1;
}

static bool has_period(const struct rtc *r)
{
    return (r->reg_a & A_RATE) && (r->reg_a & A_DIVIDER) == A_DIVIDER_32K;
}

static u64 period_index(const struct rtc *r, u64 ns)
{
    return scale_down(ns, NS_PER_SECOND, BASE_HZ) >> period_shift(r);
}

void rtc_tick(struct rtc *r, const struct vtime *now)
{
    u64 from = r->seen_ns / NS_PER_SECOND, to = now->ns / NS_PER_SECOND;

    if (now->ns <= r->seen_ns)
        return;
    if (has_period(r) && period_index(r, r->seen_ns) != period_index(r, now->ns))
        r->reg_c |= B_PERIODIC;
    if (clock_runs(r) && from != to) {
        r->reg_c |= B_UPDATE;
        if (alarm_next(r, from + 1) <= to)
            r->reg_c |= B_ALARM;
    }
    r->seen_ns = now->ns;
}

bool rtc_irq(const struct rtc *r)
{
    return r->reg_b & r->reg_c & C_ALL;
}

u64 rtc_next(const struct rtc *r)
{
    u64 second = r->seen_ns / NS_PER_SECOND + 1, next = VTIME_NEVER;

    if (rtc_irq(r))
        return VTIME_NEVER; /* the line is up until register C is read */
    if ((r->reg_b & B_PERIODIC) && has_period(r))
        next =
            scale_up((period_index(r, r->seen_ns) + 1) << period_shift(r), BASE_HZ, NS_PER_SECOND);
    if ((r->reg_b & B_ALARM) && clock_runs(r))
        next = MIN(next, scale_up(alarm_next(r, second), 1, NS_PER_SECOND));
    if ((r->reg_b & B_UPDATE) && clock_runs(r))
        next = MIN(next, scale_up(second, 1, NS_PER_SECOND));
    return next;
}

static u8 read_a(const struct rtc *r, const struct vtime *now)
{
    bool updating = clock_runs(r) && now->ns % NS_PER_SECOND >= NS_PER_SECOND - UPDATE_NS;

    return r->reg_a | (updating ? A_UIP : 0);
}

static u8 read_c(struct rtc *r)
{
    u8 value = r->reg_c | (rtc_irq(r) ? C_IRQ : 0);

    r->reg_c = 0;
    return value;
}

u8 rtc_in(struct rtc *r, u16 port, const struct vtime *now)
{
    u8 reg = r->index & INDEX_MASK;

    if (port == RTC_PORT)
        return 0xff; /* write only */
    rtc_tick(r, now);
    if (is_time(reg) && !(r->reg_b & B_SET))
        time_to_registers(r, now);
    switch (reg) {
    case REG_A: return read_a(r, now);
    case REG_B: return r->reg_b;
    case REG_C: return read_c(r);
    case REG_D: return D_VALID;
    default: return r->cmos[reg];
    }
}

/* The registers stand still when SET is set, and become the time when it is cleared. */
static void write_b(struct rtc *r, u8 value, const struct vtime *now)
{
    if (value & ~r->reg_b & B_SET)
        time_to_registers(r, now);
    if (value & B_SET)
        value &= (u8)~B_UPDATE;
    if (~value & r->reg_b & B_SET) {
        r->reg_b = value;
        time_from_registers(r, now);
    }
    r->reg_b = value;
}

static void write_time(struct rtc *r, u8 reg, u8 value, const struct vtime *now)
{
    if (r->reg_b & B_SET) {
        r->cmos[reg] = value;
        return;
    }
    time_to_registers(r, now);
    r->cmos[reg] = value;
    time_from_registers(r, now);
}

void rtc_out(struct rtc *r, u16 port, u8 value, const struct vtime *now)
{
    u8 reg = r->index & INDEX_MASK;

    if (port == RTC_PORT) {
        r->index = value; /* bit 7 is the PC's NMI mask */
        return;
    }
    rtc_tick(r, now);
    switch (reg) {
    case REG_A: r->reg_a = value & (u8)~A_UIP; break;
    case REG_B: write_b(r, value, now); break;
    case REG_C:
    case REG_D: break; /* read only */
    default:
        if (is_time(reg))
            write_time(r, reg, value, now);
        else
            r->cmos[reg] = value;
    }
}

/* --- save and load -------------------------------------------------------------------------------- */

void rtc_save(const struct rtc *r, struct rtc *saved)
{
    *saved = *r;
    saved->seen_ns = 0;
}

bool rtc_is_valid(const struct rtc *saved)
{
    s64 most = CALENDAR_SECONDS_MAX * 4; /* two digits that are none make 165 */

    return mem_is_zero(saved->reserved, sizeof(saved->reserved)) && !saved->seen_ns &&
           saved->base_seconds <= most && saved->base_seconds >= -most && !(saved->reg_a & A_UIP) &&
           !(saved->reg_c & (u8)~C_ALL);
}

void rtc_load(struct rtc *r, const struct rtc *saved, const struct vtime *now)
{
    *r = *saved;
    r->seen_ns = now->ns;
}

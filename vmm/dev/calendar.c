/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/calendar.h"

#define DAY            86400
#define DAYS_400_YEARS 146097
#define DAYS_TO_1970   719528 /* from 0000-01-01 */

static bool is_leap(u32 year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static u32 month_days(u32 year, u32 month)
{
    static const u8 days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0000-01-01 to the 1st of January of the year; the year 0 is a leap year. */
static s64 days_before_year(u32 year)
{
    u32 y = year ? year - 1 : 0;

    return (s64)year * 365 + (year ? y / 4 - y / 100 + y / 400 + 1 : 0);
}

u32 calendar_second_of_day(s64 seconds)
{
    s64 rest = seconds % DAY;

    return (u32)(rest < 0 ? rest + DAY : rest);
}

struct calendar calendar_from_seconds(s64 seconds)
{
    u32 rest = calendar_second_of_day(seconds);
    s64 days = (seconds - rest) / DAY + DAYS_TO_1970;
    struct calendar c = {.hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60};

    if (days < 0)
        days = 0;
    c.weekday = (u32)((days + 6) % 7) + 1; /* 0000-01-01 was a Saturday */
    c.year = (u32)(days * 400 / DAYS_400_YEARS);
    while (days_before_year(c.year + 1) <= days)
        c.year++;
    while (days_before_year(c.year) > days)
        c.year--;
    days -= days_before_year(c.year);
    for (c.month = 1; days >= month_days(c.year, c.month); c.month++)
        days -= month_days(c.year, c.month);
    c.day = (u32)days + 1;
    return c;
}

s64 calendar_to_seconds(const struct calendar *c)
{
    u32 month = MIN(MAX(c->month, 1), 12), day = MIN(MAX(c->day, 1), 31);
    s64 days = days_before_year(c->year) - DAYS_TO_1970;

    for (u32 m = 1; m < month; m++)
        days += month_days(c->year, m);
    days += day - 1;
    return days * DAY + (s64)c->hour * 3600 + c->minute * 60 + c->second;
}

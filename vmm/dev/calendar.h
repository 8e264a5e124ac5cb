/* SPDX-License-Identifier: BSD-2-Clause */
/* Dates of the Gregorian calendar, and seconds since 1970-01-01 00:00:00. */
#pragma once
#include "kernel/types.h"

struct calendar {
    u32 year;  /* 0 to 9999 and some */
    u32 month; /* 1 to 12 */
    u32 day;   /* 1 to 31 */
    u32 hour, minute, second;
    u32 weekday; /* 1 is Sunday; not needed as input */
};

#define CALENDAR_SECONDS_MAX 253402300799ll /* 9999-12-31 23:59:59 */

struct calendar calendar_from_seconds(s64 seconds);
/* A month or day out of range is moved into it, a larger hour, minute or second is carried on. */
s64 calendar_to_seconds(const struct calendar *c);
u32 calendar_second_of_day(s64 seconds);

/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast the TSC runs: measured against a timer of known rate, because CPUID leaf 15h is absent on
 * many CPUs and wrong on some. The ACPI PM timer where there is one, else channel 2 of the PIT. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "kernel/log.h"
#include "kernel/panic.h"

struct reference {
    const char *name;
    u32 hz;
    u32 mask;          /* the counter's width */
    u32 (*read)(void); /* counts up */
};

#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_GATE     0x61

static u32 pm_timer_read(void)
{
    return arch_in32(acpi.pm_timer_port);
}

static u32 pit_read(void)
{
    u32 low, high;

    arch_out8(PIT_COMMAND, 0x80); /* latch channel 2 (8254 data sheet, "Counter Latch Command") */
    low = arch_in8(PIT_CHANNEL2);
    high = arch_in8(PIT_CHANNEL2);
    return 0xffff - (high << 8 | low);
}

/* Channel 2 counts down from 65,535 in mode 0, with its gate on and the speaker off. */
static void pit_start(void)
{
    arch_out8(PIT_GATE, (arch_in8(PIT_GATE) & 0xfc) | 1);
    arch_out8(PIT_COMMAND, 0xb0);
    arch_out8(PIT_CHANNEL2, 0xff);
    arch_out8(PIT_CHANNEL2, 0xff);
}

static const struct reference pit = {"PIT", 1193182, 0xffff, pit_read};
static struct reference pm_timer = {"ACPI PM timer", 3579545, 0xffffff, pm_timer_read};

static const struct reference *used;
static u32 khz;

struct sample {
    u64 tsc;
    u32 count;
};

/* One moment on both clocks: of several tries the one that took least time. */
static struct sample sample_take(const struct reference *r)
{
    struct sample best = {0};
    u64 least = U64_MAX;

    for (unsigned i = 0; i < 16; i++) {
        u64 before = arch_tsc(), after;
        u32 count = r->read();

        after = arch_tsc();
        if (after - before >= least)
            continue;
        least = after - before;
        best = (struct sample){before + least / 2, count};
    }
    return best;
}

/* Counts for about 40 ms; 0 if the reference stands still. */
static u32 measure(const struct reference *r)
{
    u32 span = r->hz / 25, passed = 0, last;
    struct sample from, to;

    if (r == &pit)
        pit_start();
    from = sample_take(r);
    last = from.count;
    for (u64 tries = 0; passed < span; tries++) {
        u32 count = r->read();

        passed += (count - last) & r->mask;
        last = count;
        if (!passed && tries > 100000)
            return 0;
    }
    to = sample_take(r);
    passed = (to.count - from.count) & r->mask;
    return passed ? (u32)((to.tsc - from.tsc) * r->hz / passed / 1000) : 0;
}

void clock_calibrate(void)
{
    if (acpi.pm_timer_32)
        pm_timer.mask = 0xffffffff;
    used = acpi.pm_timer_port ? &pm_timer : &pit;
    khz = measure(used);
    if (!khz && used == &pm_timer) {
        used = &pit;
        khz = measure(used);
    }
    if (!khz)
        panic("no clock: neither the ACPI PM timer nor the PIT counts");
}

u32 arch_tsc_khz(void)
{
    return khz;
}

const char *arch_clock_source(void)
{
    return used->name;
}

bool arch_tsc_invariant(void)
{
    u32 r[4];

    arch_cpuid(0x80000000, 0, r);
    if (r[0] < 0x80000007)
        return false;
    arch_cpuid(0x80000007, 0, r);
    return r[3] & BIT(8);
}

void clock_wait_us(u64 us)
{
    u64 end = arch_tsc() + us * khz / 1000;

    while (arch_tsc() < end)
        arch_relax();
}

/* --- the battery-backed clock ---------------------------------------------------------------- */

static u8 cmos(u8 reg)
{
    arch_out8(0x70, reg | 0x80);
    return arch_in8(0x71);
}

static u32 from_bcd(u8 v, bool binary)
{
    return binary ? v : (v >> 4) * 10u + (v & 15);
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static u64 days_to(u32 year, u32 month, u32 day)
{
    u32 y = month <= 2 ? year - 1 : year;
    u32 era = y / 400, of_era = y % 400;
    u32 of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097ull + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

u64 arch_wall_clock_at_boot(void)
{
    u8 status = cmos(0x0b);
    bool binary = status & 4;
    u32 hour;

    for (unsigned tries = 0; (cmos(0x0a) & 0x80) && tries < 100000; tries++)
        arch_relax();
    hour = from_bcd(cmos(4) & 0x7f, binary);
    if (!(status & 2) && (cmos(4) & 0x80))
        hour = hour % 12 + 12;
    return days_to(2000 + from_bcd(cmos(9), binary), from_bcd(cmos(8), binary),
                   from_bcd(cmos(7), binary)) *
               86400 +
           hour * 3600 + from_bcd(cmos(2), binary) * 60 + from_bcd(cmos(0), binary);
}

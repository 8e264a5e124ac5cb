/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/rtc.h"
#include "vmm/dev/scale.h"

#define BOOT 1709210096u /* Thursday 2024-02-29 12:34:56 */

static struct rtc r;
static struct vtime now;

static int setup(void **state)
{
    (void)state;
    rtc_init(&r, BOOT);
    now = (struct vtime){.tsc_khz = 1000000};
    return 0;
}

static u8 get(u8 reg)
{
    rtc_out(&r, 0x70, reg, &now);
    return rtc_in(&r, 0x71, &now);
}

static void set(u8 reg, u8 value)
{
    rtc_out(&r, 0x70, reg, &now);
    rtc_out(&r, 0x71, value, &now);
}

static void the_time_is_bcd_in_24_hours(void **state)
{
    (void)state;
    assert_int_equal(get(0), 0x56);
    assert_int_equal(get(2), 0x34);
    assert_int_equal(get(4), 0x12);
    assert_int_equal(get(6), 0x05);
    assert_int_equal(get(7), 0x29);
    assert_int_equal(get(8), 0x02);
    assert_int_equal(get(9), 0x24);
    assert_int_equal(get(0x32), 0x20);
    assert_int_equal(get(0x0a), 0x26);
    assert_int_equal(get(0x0b), 0x02);
    assert_int_equal(get(0x0d), 0x80);
    now.ns = 24ull * 3600 * NS_PER_SECOND;
    assert_int_equal(get(7), 0x01);
    assert_int_equal(get(8), 0x03);
}

static void binary_and_12_hours_are_honoured(void **state)
{
    (void)state;
    set(0x0b, 0x04);
    assert_int_equal(get(0), 56);
    assert_int_equal(get(4), 0x80 | 12); /* noon is 12 PM */
    set(4, 12);                          /* midnight */
    assert_int_equal(get(4), 12);
    set(0x0b, 0x06);
    assert_int_equal(get(4), 0);
    set(4, 23);
    set(0x0b, 0x00);
    assert_int_equal(get(4), 0x91);
}

static void the_guest_sets_the_time_under_set(void **state)
{
    (void)state;
    set(0x0b, 0x82);
    set(0, 0x00);
    set(2, 0x59);
    set(4, 0x23);
    set(7, 0x31);
    set(8, 0x12);
    set(9, 0x99);
    now.ns += 5 * NS_PER_SECOND;
    assert_int_equal(get(0), 0x00); /* stands still */
    set(0x0b, 0x02);
    assert_int_equal(get(0), 0x00);
    now.ns += 60 * NS_PER_SECOND;
    assert_int_equal(get(9), 0x00);
    assert_int_equal(get(0x32), 0x21);
    assert_int_equal(get(8), 0x01);
}

static void update_in_progress_precedes_the_second(void **state)
{
    (void)state;
    assert_int_equal(get(0x0a) & 0x80, 0);
    now.ns = NS_PER_SECOND - 244000;
    assert_int_equal(get(0x0a) & 0x80, 0x80);
    assert_int_equal(get(0), 0x56);
    now.ns = NS_PER_SECOND;
    assert_int_equal(get(0x0a) & 0x80, 0);
    assert_int_equal(get(0), 0x57);
}

static void update_interrupts_come_every_second_until_c_is_read(void **state)
{
    (void)state;
    assert_int_equal(rtc_next(&r), VTIME_NEVER);
    set(0x0b, 0x12);
    assert_int_equal(rtc_next(&r), NS_PER_SECOND);
    now.ns = NS_PER_SECOND;
    rtc_tick(&r, &now);
    assert_true(rtc_irq(&r));
    assert_int_equal(rtc_next(&r), VTIME_NEVER);
    assert_int_equal(get(0x0c) & 0x90, 0x90);
    assert_false(rtc_irq(&r));
    assert_int_equal(get(0x0c), 0);
    assert_int_equal(rtc_next(&r), 2ull * NS_PER_SECOND);
}

static void the_alarm_goes_off_at_its_time(void **state)
{
    (void)state;
    set(1, 0x05);
    set(3, 0x36);
    set(5, 0x12);
    set(0x0b, 0x22);
    assert_int_equal(rtc_next(&r), 69ull * NS_PER_SECOND);
    now.ns = 68ull * NS_PER_SECOND;
    rtc_tick(&r, &now);
    assert_false(rtc_irq(&r));
    now.ns = 200ull * NS_PER_SECOND; /* seen late */
    rtc_tick(&r, &now);
    assert_int_equal(get(0x0c) & 0xa0, 0xa0);
    assert_int_equal(rtc_next(&r), (69ull + 86400) * NS_PER_SECOND);
}

static void alarm_wildcards_match_anything(void **state)
{
    (void)state;
    set(1, 0x00);
    set(3, 0xff);
    set(5, 0xc0);
    set(0x0b, 0x22);
    assert_int_equal(rtc_next(&r), 4ull * NS_PER_SECOND);
    set(3, 0x34); /* this minute has passed: the next hour's */
    assert_int_equal(rtc_next(&r), (4ull + 59 * 60) * NS_PER_SECOND);
    set(5, 0x12); /* tomorrow */
    assert_int_equal(rtc_next(&r), (4ull - 60 + 86400) * NS_PER_SECOND);
    set(3, 0x77); /* no such minute */
    assert_int_equal(rtc_next(&r), VTIME_NEVER);
}

static void periodic_interrupts_have_their_rate(void **state)
{
    unsigned count = 0;

    (void)state;
    set(0x0b, 0x42); /* 1024 Hz */
    while ((now.ns = rtc_next(&r)) <= NS_PER_SECOND) {
        rtc_tick(&r, &now);
        assert_int_equal(get(0x0c) & 0xc0, 0xc0);
        count++;
    }
    assert_int_equal(count, 1024);
    set(0x0a, 0x20);
    assert_int_equal(rtc_next(&r), VTIME_NEVER);
    set(0x0a, 0x70); /* divider held in reset */
    assert_int_equal(rtc_next(&r), VTIME_NEVER);
}

static void cmos_memory_keeps_what_is_written(void **state)
{
    (void)state;
    for (u8 i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            set(i, i ^ 0x5a);
    now.ns += NS_PER_SECOND;
    for (u8 i = 0x0e; i < 0x80; i++)
        if (i != 0x32)
            assert_int_equal(get(i | 0x80), i ^ 0x5a); /* bit 7 is the NMI mask */
    set(0x0d, 0);
    assert_int_equal(get(0x0d), 0x80);
}

static void random_registers_are_harmless(void **state)
{
    u64 seed = 11;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        u64 v = unit_random(&seed);
        u8 reg = (u8)(v >> 8) % (v & 0x10000 ? 14 : 128);

        if (v & 0x20000)
            set(reg, (u8)v);
        else
            (void)get(reg);
        now.ns += v >> 36;
        rtc_tick(&r, &now);
        assert_true(rtc_next(&r) > now.ns);
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_time_is_bcd_in_24_hours),
        T(binary_and_12_hours_are_honoured),
        T(the_guest_sets_the_time_under_set),
        T(update_in_progress_precedes_the_second),
        T(update_interrupts_come_every_second_until_c_is_read),
        T(the_alarm_goes_off_at_its_time),
        T(alarm_wildcards_match_anything),
        T(periodic_interrupts_have_their_rate),
        T(cmos_memory_keeps_what_is_written),
        T(random_registers_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/calendar.h"
#include "vmm/dev/scale.h"

static void large_values_do_not_overflow_on_the_way(void **state)
{
    (void)state;
    assert_int_equal(scale_down(NS_PER_SECOND * 1000000000ull, NS_PER_SECOND, 1193182),
                     1193182ull * 1000000000);
    assert_int_equal(scale_down(999999999, NS_PER_SECOND, 1193182), 1193181);
    assert_int_equal(scale_up(1, 1193182, NS_PER_SECOND), 839);
}

static void a_result_that_does_not_fit_is_never(void **state)
{
    (void)state;
    assert_int_equal(scale_up(U64_MAX, 50000, 1000000), U64_MAX);
    assert_int_equal(scale_down(U64_MAX, 1, 2), U64_MAX);
    assert_int_equal(add_saturated(U64_MAX - 1, 2), U64_MAX);
    assert_int_equal(add_saturated(1, 2), 3);
}

static void a_timer_set_for_scale_up_has_expired_then(void **state)
{
    u64 seed = 1;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        u64 ticks = unit_random(&seed) >> 24;

        assert_true(scale_down(scale_up(ticks, 1193182, NS_PER_SECOND), NS_PER_SECOND, 1193182) >=
                    ticks);
        assert_true(scale_down(scale_up(ticks, 1193182, NS_PER_SECOND) - 1, NS_PER_SECOND,
                               1193182) < ticks ||
                    !ticks);
    }
}

static void assert_date(s64 seconds, u32 year, u32 month, u32 day, u32 weekday)
{
    struct calendar c = calendar_from_seconds(seconds);

    assert_int_equal(c.year, year);
    assert_int_equal(c.month, month);
    assert_int_equal(c.day, day);
    assert_int_equal(c.weekday, weekday);
    assert_int_equal(calendar_to_seconds(&c), seconds);
}

static void dates_are_those_of_the_gregorian_calendar(void **state)
{
    (void)state;
    assert_date(0, 1970, 1, 1, 5);
    assert_date(-1, 1969, 12, 31, 4);
    assert_date(951782400, 2000, 2, 29, 3);
    assert_date(1709164800, 2024, 2, 29, 5);
    assert_date(4107456000, 2100, 2, 28, 1);
    assert_date(4107542400, 2100, 3, 1, 2);
    assert_date(CALENDAR_SECONDS_MAX, 9999, 12, 31, 6);
    assert_int_equal(calendar_second_of_day(-1), 86399);
}

static void every_day_of_eight_centuries_comes_back(void **state)
{
    (void)state;
    for (s64 day = -135000; day < 160000; day++) {
        struct calendar c = calendar_from_seconds(day * 86400 + 12345);

        assert_int_equal(calendar_to_seconds(&c), day * 86400 + 12345);
    }
}

static void fields_out_of_range_stay_harmless(void **state)
{
    struct calendar c = {.year = 2024, .month = 0, .day = 0};
    struct calendar wild = {.year = 16665, .month = 165, .day = 165, .hour = 165, .second = 165};

    (void)state;
    assert_int_equal(calendar_to_seconds(&c), 1704067200);
    assert_true(calendar_to_seconds(&wild) > CALENDAR_SECONDS_MAX);
    assert_int_equal(calendar_from_seconds(-99999999999ll).year, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_values_do_not_overflow_on_the_way),
        cmocka_unit_test(a_result_that_does_not_fit_is_never),
        cmocka_unit_test(a_timer_set_for_scale_up_has_expired_then),
        cmocka_unit_test(dates_are_those_of_the_gregorian_calendar),
        cmocka_unit_test(every_day_of_eight_centuries_comes_back),
        cmocka_unit_test(fields_out_of_range_stay_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Limits of how often something may happen. */
#include "unit.h"
#include "kernel/rate.h"

static void a_burst_is_allowed_and_then_one_in_each_period(void **state)
{
    struct rate r = {0};

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(rate_take(&r, 1000, 100, 8), 0);
    assert_int_equal(rate_take(&r, 1000, 100, 8), 100);
    assert_int_equal(rate_take(&r, 1060, 100, 8), 40);
    assert_int_equal(rate_take(&r, 1100, 100, 8), 0);
    assert_int_equal(rate_take(&r, 1100, 100, 8), 100);
}

static void a_quiet_time_gives_the_burst_back_and_no_more(void **state)
{
    struct rate r = {0};
    unsigned n = 0;

    (void)state;
    while (!rate_take(&r, 1000, 100, 3))
        n++;
    assert_int_equal(n, 3);
    for (n = 0; !rate_take(&r, 1000000, 100, 3);)
        n++;
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_allowed_and_then_one_in_each_period),
        cmocka_unit_test(a_quiet_time_gives_the_burst_back_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

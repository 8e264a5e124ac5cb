/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/window.h"
#include "unit.h"

#define TRIP 20000 /* ns */

static struct window w;

static int setup(void **state)
{
    const struct window_limits limits = {.first = 64, .most = 100};

    (void)state;
    window_init(&w, &limits);
    window_sample(&w, TRIP);
    w.threshold = 64; /* no slow start */
    return 0;
}

static void a_rare_loss_on_an_even_line_takes_an_eighth(void **state)
{
    (void)state;
    w.since_loss = 128;
    window_loss(&w);
    assert_int_equal(w.size, 56);
}

static void losses_close_together_take_three_tenths(void **state)
{
    (void)state;
    w.since_loss = 128;
    window_loss(&w);
    window_grow(&w, 20);
    window_loss(&w);
    assert_int_equal(w.size, 39);
}

static void a_loss_where_packets_queue_takes_three_tenths(void **state)
{
    (void)state;
    w.since_loss = 1000;
    for (u32 i = 0; i < 20; i++)
        window_sample(&w, 2 * TRIP);
    window_loss(&w);
    assert_int_equal(w.size, 44);
}

static void it_grows_by_one_a_window_and_by_two_where_there_is_room(void **state)
{
    (void)state;
    window_grow(&w, 64);
    assert_int_equal(w.size, 65);
    window_grow(&w, 65); /* two windows without a loss, now */
    window_grow(&w, 67);
    assert_int_equal(w.size, 68);
    for (u32 i = 0; i < 100; i++)
        window_grow(&w, 100);
    assert_int_equal(w.size, 100);
}

static void nothing_makes_it_vanish(void **state)
{
    (void)state;
    for (u32 i = 0; i < 100; i++)
        window_loss(&w);
    assert_int_equal(w.size, 1);
    window_collapse(&w);
    assert_int_equal(w.size, 1);
    window_grow(&w, 1);
    assert_int_equal(w.size, 2);
}

static void it_waits_half_a_round_trip_longer_than_that_even_on_an_even_line(void **state)
{
    (void)state;
    w.limits.wait_least = 1;
    for (u32 i = 0; i < 100; i++)
        window_sample(&w, TRIP);
    assert_in_range(window_wait(&w, U64_MAX), TRIP * 3 / 2 - 10, TRIP * 3 / 2 + 10);
    assert_int_equal(window_wait(&w, TRIP), TRIP);
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_rare_loss_on_an_even_line_takes_an_eighth),
        T(losses_close_together_take_three_tenths),
        T(a_loss_where_packets_queue_takes_three_tenths),
        T(it_grows_by_one_a_window_and_by_two_where_there_is_room),
        T(nothing_makes_it_vanish),
        T(it_waits_half_a_round_trip_longer_than_that_even_on_an_even_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

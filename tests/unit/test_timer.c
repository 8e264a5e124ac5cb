/* SPDX-License-Identifier: BSD-2-Clause */
/* Timers of one CPU, over a clock that only the test moves. */
#include <stdio.h>
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/late.h"
#include "kernel/log.h"
#include "kernel/timer.h"

#define COUNT 200

struct probe {
    struct timer timer;
    unsigned number;
};

static struct probe probes[COUNT];
static unsigned order[4 * COUNT], fired;
static u64 fired_at[4 * COUNT];

static void note(struct timer *t)
{
    fired_at[fired] = time_now();
    order[fired++] = CONTAINER_OF(t, struct probe, timer)->number;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fired = 0;
    for (unsigned i = 0; i < COUNT; i++)
        probes[i] = (struct probe){.timer = {.fn = note}, .number = i};
    return 0;
}

static void time_is_what_the_tsc_says(void **state)
{
    (void)state;
    assert_int_equal(time_now(), SEC(1));
    fake_advance(MSEC(1500));
    assert_int_equal(time_now(), MSEC(2500));
    assert_int_equal(tsc_to_time(time_to_tsc(SEC(5))), SEC(5));
    assert_int_equal(tsc_to_ns(1000), 1000);
    assert_int_equal(time_to_tsc(U64_MAX), U64_MAX);
    assert_true(time_to_tsc(U64_MAX / 2) > U64_MAX / 4);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    timer_arm(&probes[0].timer, SEC(3));
    timer_arm(&probes[1].timer, SEC(2));
    timer_arm(&probes[2].timer, SEC(4));
    timer_arm(&probes[3].timer, SEC(2));
    timer_run();
    assert_int_equal(fired, 0);
    fake_advance(SEC(2));
    timer_run();
    assert_int_equal(fired, 3);
    assert_int_equal(order[0], 1); /* equal ones in the order of arming */
    assert_int_equal(order[1], 3);
    assert_int_equal(order[2], 0);
    fake_advance(SEC(1));
    timer_run();
    timer_run();
    assert_int_equal(fired, 4);
    assert_int_equal(order[3], 2);
}

static void the_hardware_is_set_to_the_first(void **state)
{
    (void)state;
    timer_arm(&probes[0].timer, SEC(3));
    assert_int_equal(fake_seen.timer, time_to_tsc(SEC(3)));
    timer_arm(&probes[1].timer, SEC(2));
    assert_int_equal(fake_seen.timer, time_to_tsc(SEC(2)));
    timer_arm(&probes[2].timer, SEC(4));
    assert_int_equal(fake_seen.timer, time_to_tsc(SEC(2)));
    fake_advance(MSEC(1500));
    timer_run();
    timer_program();
    assert_int_equal(fake_seen.timer, time_to_tsc(SEC(3)));
    fake_advance(SEC(9));
    timer_run();
    timer_program();
    assert_int_equal(fired, 3);
    assert_int_equal(fake_seen.timer, U64_MAX);
}

static void a_timer_in_the_past_fires_at_once(void **state)
{
    (void)state;
    timer_arm(&probes[0].timer, 1);
    assert_true(fake_seen.timer <= arch_tsc());
    timer_run();
    assert_int_equal(fired, 1);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    (void)state;
    timer_cancel(&probes[0].timer); /* one that was never armed */
    timer_arm(&probes[0].timer, SEC(2));
    timer_arm(&probes[1].timer, SEC(2));
    timer_cancel(&probes[0].timer);
    timer_cancel(&probes[0].timer);
    timer_arm(&probes[1].timer, U64_MAX); /* only cancels */
    assert_null(probes[1].timer.cpu);
    fake_advance(SEC(5));
    timer_run();
    assert_int_equal(fired, 0);
    timer_arm(&probes[2].timer, SEC(7));
    timer_cancel_wait(&probes[2].timer);
    fake_advance(SEC(5));
    timer_run();
    assert_int_equal(fired, 0);
}

static void a_timer_can_be_moved(void **state)
{
    (void)state;
    timer_arm(&probes[0].timer, SEC(2));
    timer_arm(&probes[0].timer, SEC(4));
    fake_advance(SEC(2));
    timer_run();
    assert_int_equal(fired, 0);
    timer_arm(&probes[0].timer, SEC(3));
    timer_run();
    assert_int_equal(fired, 1);
}

static void tick(struct timer *t)
{
    note(t);
    if (fired < 5)
        timer_arm(t, t->deadline + MSEC(10));
}

static void a_timer_can_arm_itself_again(void **state)
{
    (void)state;
    probes[7].timer.fn = tick;
    timer_arm(&probes[7].timer, SEC(2));
    for (unsigned i = 0; i < 100; i++) {
        fake_advance(MSEC(20));
        timer_run();
    }
    assert_int_equal(fired, 5);
    assert_null(probes[7].timer.cpu);
}

static void cancel_next(struct timer *t)
{
    note(t);
    timer_cancel(&probes[9].timer);
}

static void a_timer_can_cancel_another_that_is_due(void **state)
{
    (void)state;
    probes[8].timer.fn = cancel_next;
    timer_arm(&probes[8].timer, SEC(2));
    timer_arm(&probes[9].timer, SEC(2));
    fake_advance(SEC(3));
    timer_run();
    assert_int_equal(fired, 1);
    assert_int_equal(order[0], 8);
}

static void any_number_fires_exactly_once_and_never_early(void **state)
{
    static u64 deadline[COUNT];
    unsigned armed = 0;
    u64 seed = 3;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        deadline[i] = U64_MAX;
    for (unsigned round = 0; round < 3 * COUNT; round++) {
        unsigned i = (unsigned)(unit_random(&seed) % COUNT);

        armed += deadline[i] == U64_MAX;
        deadline[i] = time_now() + unit_random(&seed) % MSEC(400);
        timer_arm(&probes[i].timer, deadline[i]);
        fake_advance(unit_random(&seed) % MSEC(2));
        for (unsigned before = fired; before == fired && fired < armed;) {
            timer_run();
            break;
        }
        for (unsigned k = 0; k < fired; k++)
            if (deadline[order[k]] != U64_MAX) {
                assert_true(fired_at[k] >= deadline[order[k]]);
                deadline[order[k]] = U64_MAX;
                armed--;
            }
        fired = 0;
    }
    fake_advance(SEC(1));
    timer_run();
    assert_int_equal(fired, armed);
}

static char said[2][120];

static void remember(void *ctx, u64 ns, enum log_level level, const char *text)
{
    (void)ctx, (void)ns, (void)level;
    memmove(said[0], said[1], sizeof(said[0]));
    snprintf(said[1], sizeof(said[1]), "%s", text);
}

static void run_late(u64 worked, u64 waited)
{
    timer_arm(&probes[0].timer, time_now());
    fake_advance(worked);
    late_wait_begin(cpu_this());
    fake_advance(waited);
    memset(said, 0, sizeof(said));
    timer_run();
    late_wait_end(cpu_this());
    log_walk(LOG_DEBUG, remember, NULL);
}

static void a_late_timer_is_blamed_on_the_machine_if_the_cpu_waited_for_it(void **state)
{
    (void)state;
    run_late(MSEC(5), MSEC(700));
    assert_non_null(
        strstr(said[1], "the machine stood still: CPU 0's timer interrupt came 700 ms"));
}

static void a_late_timer_is_blamed_on_the_thread_that_kept_the_cpu(void **state)
{
    (void)state;
    run_late(MSEC(300), MSEC(5));
    assert_non_null(strstr(said[1], "CPU 0's timers ran 300 ms late: thread none did not yield"));
    run_late(MSEC(300), MSEC(200));
    assert_non_null(strstr(said[0], "stood still"));
    assert_non_null(strstr(said[1], "did not yield"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(time_is_what_the_tsc_says),
        TEST(timers_fire_in_the_order_of_their_deadlines),
        TEST(the_hardware_is_set_to_the_first),
        TEST(a_timer_in_the_past_fires_at_once),
        TEST(a_cancelled_timer_does_not_fire),
        TEST(a_timer_can_be_moved),
        TEST(a_timer_can_arm_itself_again),
        TEST(a_timer_can_cancel_another_that_is_due),
        TEST(any_number_fires_exactly_once_and_never_early),
        TEST(a_late_timer_is_blamed_on_the_machine_if_the_cpu_waited_for_it),
        TEST(a_late_timer_is_blamed_on_the_thread_that_kept_the_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

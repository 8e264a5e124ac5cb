/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler with real switches of stacks, on one CPU whose time only the test moves. */
#include <stdio.h>
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/thread.h"

/* Letters in the order in which threads did something. */
static char story[256];
static unsigned alive;

static void tell(char c)
{
    size_t n = strlen(story);

    assert_true(n + 1 < sizeof(story));
    story[n] = c;
    story[n + 1] = '\0';
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(17));
    thread_init();
    story[0] = '\0';
    alive = 0;
    return 0;
}

static struct thread *spawn(const char *name, void (*entry)(void *), void *argument)
{
    struct thread *t;

    assert_int_equal(thread_create(&t, name, entry, argument), OK);
    alive++;
    return t;
}

/* Lets the others run until they have ended. */
static void join(void)
{
    while (alive)
        thread_sleep(MSEC(1));
}

static void say_once(void *argument)
{
    tell(*(const char *)argument);
    alive--;
}

static void threads_run_in_the_order_in_which_they_became_ready(void **state)
{
    (void)state;
    spawn("a", say_once, "a");
    spawn("b", say_once, "b");
    spawn("c", say_once, "c");
    assert_string_equal(story, ""); /* nobody takes the CPU from this thread */
    join();
    assert_string_equal(story, "abc");
}

static void sleep_then_say(void *argument)
{
    const char *text = argument;
    u64 end = time_now() + MSEC(text[1] - '0');

    thread_sleep(MSEC(text[1] - '0'));
    assert_int_equal(time_now(), end);
    tell(text[0]);
    alive--;
}

static void sleepers_wake_exactly_when_they_wanted_to(void **state)
{
    (void)state;
    spawn("a", sleep_then_say, "a7");
    spawn("b", sleep_then_say, "b3");
    spawn("c", sleep_then_say, "c5");
    join();
    assert_string_equal(story, "bca");
}

static bool flag;

static void wait_for_flag(void *argument)
{
    while (!flag)
        thread_block();
    tell(*(const char *)argument);
    alive--;
}

static void a_wake_that_comes_first_is_remembered(void **state)
{
    struct thread *t = spawn("w", wait_for_flag, "w");

    (void)state;
    flag = true;
    thread_wake(t); /* it has not even started */
    join();
    thread_wake(thread_current());
    thread_block(); /* returns at once, or the test would hang */
    assert_string_equal(story, "w");
    flag = false;
}

static void a_wake_for_another_reason_does_not_cut_a_sleep_short(void **state)
{
    u64 end = time_now() + MSEC(50);

    (void)state;
    thread_wake(thread_current());
    thread_sleep(MSEC(50));
    assert_int_equal(time_now(), end);
    thread_wake(thread_current());
    thread_sleep_until(end + SEC(1)); /* this one may be */
    assert_int_equal(time_now(), end);
}

static u64 busy_until;

/* Uses the CPU a millisecond at a time, as a guest does that is interrupted now and then. */
static void burn(void *unused)
{
    (void)unused;
    while (time_now() < busy_until) {
        fake_advance(MSEC(1));
        thread_interrupted();
    }
    alive--;
}

static u64 times[8];

static bool note_times(void *ctx, struct thread *t)
{
    (void)ctx;
    if (!strncmp(t->name, "busy", 4))
        times[t->name[4] - '0'] = t->cpu_time;
    return true;
}

static void check_times(void *ctx)
{
    unsigned count = *(unsigned *)ctx;

    thread_sleep_until(busy_until - MSEC(20)); /* while they all still run */
    thread_walk(note_times, NULL);
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < count; k++)
            assert_true(times[i] < times[k] + 2 * THREAD_SLICE);
    assert_true(times[0] > SEC(2) / count * 9 / 10);
    alive--;
}

static void busy_threads_share_the_cpu_evenly(void **state)
{
    static unsigned count;

    (void)state;
    for (count = 1; count <= 5; count++) {
        char name[THREAD_NAME];

        busy_until = time_now() + SEC(2);
        for (unsigned i = 0; i < count; i++) {
            snprintf(name, sizeof(name), "busy%u", i);
            spawn(name, burn, NULL);
        }
        spawn("judge", check_times, &count);
        join();
    }
}

static u64 worst_latency;

static void nap(void *unused)
{
    (void)unused;
    while (time_now() < busy_until) {
        u64 due = time_now() + MSEC(7);

        thread_sleep(MSEC(7));
        worst_latency = MAX(worst_latency, time_now() - due);
        fake_advance(USEC(50));
    }
    alive--;
}

static void who_mostly_sleeps_gets_the_cpu_when_it_wakes(void **state)
{
    (void)state;
    worst_latency = 0;
    busy_until = time_now() + SEC(2);
    spawn("busy0", burn, NULL);
    spawn("busy1", burn, NULL);
    spawn("napper", nap, NULL);
    join();
    assert_true(worst_latency <= MSEC(2));
}

static void the_slice_of_a_lone_thread_is_renewed(void **state)
{
    (void)state;
    fake_advance(THREAD_SLICE * 3);
    thread_yield();
    assert_int_equal(thread_slice_end(), time_now() + THREAD_SLICE);
    assert_int_equal(fake_seen.timer, time_to_tsc(thread_slice_end()));
}

/* Nobody has taken the timer's interrupt: some emulators lose one. */
static void a_slice_whose_interrupt_was_lost_is_renewed_too(void **state)
{
    (void)state;
    thread_yield();
    for (unsigned i = 0; i < 3; i++) {
        assert_false(timer_is_due(arch_tsc()));
        fake_advance(THREAD_SLICE + 1);
        assert_true(timer_is_due(arch_tsc()));
        thread_interrupted();
        assert_int_equal(fake_seen.timer, time_to_tsc(time_now() + THREAD_SLICE));
    }
}

static u64 free_frames(void)
{
    struct frame_stats s;

    frames_stats(&s);
    return s.count[FRAME_FREE];
}

static void a_thread_that_ends_leaves_nothing_behind(void **state)
{
    unsigned stacks = fake_seen.stacks;
    u64 before;

    (void)state;
    thread_put(spawn("a", say_once, "a")); /* the heap takes a frame or two for good */
    join();
    before = free_frames();
    for (unsigned i = 0; i < 100; i++) {
        thread_put(spawn("a", sleep_then_say, "a1"));
        join();
    }
    assert_int_equal(fake_seen.stacks, stacks);
    assert_int_equal(free_frames(), before);
}

static void a_thread_that_has_ended_can_be_woken_by_its_maker_until_he_puts_it(void **state)
{
    struct thread *t = spawn("a", say_once, "a");
    void *other;

    (void)state;
    join();
    thread_sleep(MSEC(1)); /* it is off its stack */
    other = heap_alloc(sizeof(*t));
    assert_ptr_not_equal(other, t);
    thread_wake(t);
    assert_int_equal(t->state, THREAD_DEAD);
    thread_put(t);
    assert_ptr_equal(heap_alloc(sizeof(*t)), t); /* the heap has it again */
    heap_free(t);
    heap_free(other);
}

static void without_memory_no_thread_is_made(void **state)
{
    unsigned stacks = fake_seen.stacks;
    struct thread *t;

    (void)state;
    while (heap_alloc(PAGE_SIZE))
        ;
    while (heap_alloc(sizeof(struct thread)))
        ;
    assert_int_equal(thread_create(&t, "none", say_once, "x"), E_NOMEM);
    assert_int_equal(fake_seen.stacks, stacks);
}

static void left(struct thread *t)
{
    assert_ptr_equal(t, thread_current());
    tell('-');
}

static void entered(struct thread *t)
{
    assert_ptr_equal(t, thread_current());
    tell('+');
}

static void hooked(void *unused)
{
    struct thread *t = thread_current();

    (void)unused;
    t->on_enter = entered;
    t->on_leave = left;
    tell('1');
    thread_sleep(MSEC(1));
    tell('2');
    thread_yield(); /* nobody else is ready: it stays */
    tell('3');
    t->on_enter = t->on_leave = NULL;
    alive--;
}

static void a_thread_is_told_when_it_loses_and_gets_the_cpu(void **state)
{
    (void)state;
    spawn("hooked", hooked, NULL);
    while (alive)
        thread_sleep(MSEC(10));
    assert_string_equal(story, "1-+23");
}

static void waking_a_thread_kicks_an_idle_cpu(void **state)
{
    struct thread *t = spawn("w", wait_for_flag, "w");

    (void)state;
    thread_sleep(MSEC(1)); /* it blocks */
    cpu_count = 3;
    cpus[2].idling = true;
    flag = true;
    thread_wake(t);
    assert_int_equal(fake_seen.kicks, 1);
    assert_int_equal(fake_seen.kicked, 2);
    assert_false(cpus[2].idling);
    cpu_count = 1;
    join();
    flag = false;
}

static bool count_named(void *ctx, struct thread *t)
{
    ++*(unsigned *)ctx;
    return strcmp(t->name, "stop") != 0;
}

static void all_threads_can_be_walked(void **state)
{
    unsigned count = 0;

    (void)state;
    spawn("a", say_once, "a");
    spawn("stop", say_once, "b");
    spawn("c", say_once, "c");
    thread_walk(count_named, &count);
    assert_int_equal(count, 4); /* main, idle/0, a, stop */
    join();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(threads_run_in_the_order_in_which_they_became_ready),
        TEST(sleepers_wake_exactly_when_they_wanted_to),
        TEST(a_wake_that_comes_first_is_remembered),
        TEST(a_wake_for_another_reason_does_not_cut_a_sleep_short),
        TEST(busy_threads_share_the_cpu_evenly),
        TEST(who_mostly_sleeps_gets_the_cpu_when_it_wakes),
        TEST(the_slice_of_a_lone_thread_is_renewed),
        TEST(a_slice_whose_interrupt_was_lost_is_renewed_too),
        TEST(a_thread_that_ends_leaves_nothing_behind),
        TEST(a_thread_that_has_ended_can_be_woken_by_its_maker_until_he_puts_it),
        TEST(without_memory_no_thread_is_made),
        TEST(a_thread_is_told_when_it_loses_and_gets_the_cpu),
        TEST(waking_a_thread_kicks_an_idle_cpu),
        TEST(all_threads_can_be_walked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

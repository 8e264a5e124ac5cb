/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's lines and input, and the log. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/thread.h"

static char sent[4096];
static size_t sent_size;

static void capture(const char *text, size_t size)
{
    assert_true(sent_size + size < sizeof(sent));
    memcpy(sent + sent_size, text, size);
    sent_size += size;
    sent[sent_size] = '\0';
}

static const struct console_driver driver = {"capture", capture};

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(9));
    thread_init();
    console_attach(&driver);
    console_set_poll(NULL);
    console_edit("", 0, "", 0);
    sent_size = 0;
    sent[0] = '\0';
    log_set_console_level(LOG_WARN);
    return 0;
}

static void assert_sent(const char *text)
{
    assert_string_equal(sent, text);
    sent_size = 0;
    sent[0] = '\0';
}

static void a_driver_can_ask_whether_there_is_room_for_input(void **state)
{
    unsigned n = 0;

    (void)state;
    while (console_read(0) >= 0)
        ;
    for (; console_has_room(); n++)
        console_receive((u8)n);
    assert_true(n >= 256);
    assert_int_equal(console_read(0), 0);
    assert_true(console_has_room());
    console_receive((u8)n);
    assert_false(console_has_room());
    for (unsigned i = 1; i <= n; i++)
        assert_int_equal(console_read(0), (u8)i);
    assert_int_equal(console_read(0), -1);
}

static void a_line_feed_becomes_cr_lf(void **state)
{
    (void)state;
    console_print("a\nb\n\nc");
    assert_sent("a\r\nb\r\n\r\nc");
    console_printf("%u\n", 5);
    assert_sent("5\r\n");
    console_write("x\0y", 3);
    assert_int_equal(sent_size, 3);
}

static void a_guests_cr_lf_stays_as_it_is(void **state)
{
    (void)state;
    console_print("a\r\nb\r");
    console_print("\nc\n\n");
    assert_sent("a\r\nb\r\nc\r\n\r\n");
}

static void a_line_of_the_log_goes_above_what_is_edited(void **state)
{
    (void)state;
    console_edit("> ab", 4, "\r> ab", 5);
    assert_sent("> ab");
    console_print_above("news\n");
    assert_sent("\r\033[Knews\r\n\r> ab");
    console_edit("\n", 1, "", 0);
    console_print_above("news\n");
    assert_sent("\r\nnews\r\n");
}

static void a_line_of_the_log_does_not_break_a_row(void **state)
{
    (void)state;
    console_print("CPU  0  ");
    console_print_above("news\n");
    console_print_above("more\n");
    assert_sent("CPU  0  ");
    console_print("idle\nCPU");
    assert_sent("idle\r\nCPU");
    console_print("  1\n");
    assert_sent("  1\r\nnews\r\nmore\r\n");
}

static void lines_that_waited_come_in_their_order_above_what_is_edited(void **state)
{
    (void)state;
    console_print("50 %");
    console_print_above("first\n");
    assert_sent("50 %");
    console_edit("> ab", 4, "\r> ab", 5);
    assert_sent("> ab\r\033[Kfirst\r\n\r> ab");
    console_print_above("second\n");
    assert_sent("\r\033[Ksecond\r\n\r> ab");
}

static void the_log_waits_while_a_guest_has_the_terminal(void **state)
{
    char line[81];

    (void)state;
    console_keep_whole(true);
    console_print("boot\r\n");
    console_print_above("news\n");
    console_print("guest# \r\n");
    assert_sent("boot\r\nguest# \r\n");
    console_keep_whole(false);
    assert_sent("news\r\n");

    console_keep_whole(true);
    memset(line, 'x', 79);
    strcpy(line + 79, "\n");
    for (unsigned i = 0; i < 30; i++)
        console_print_above(line);
    console_keep_whole(false);
    assert_non_null(strstr(sent, "x\r\n[5 more lines: see log]\r\n"));
    assert_int_equal(sent_size, 25 * 81 + strlen("[5 more lines: see log]\r\n"));
}

/* A line of 115,200 baud. */
static void send_slowly(const char *text, size_t size)
{
    (void)text;
    fake_advance(size * USEC(87));
}

static u64 fired_at;

static void note_time(struct timer *t)
{
    (void)t;
    fired_at = time_now();
}

static void long_output_on_a_slow_line_does_not_hold_up_timers(void **state)
{
    static const struct console_driver slow = {"slow", send_slowly};
    struct timer timer = {.fn = note_time};
    static char text[20000];
    u64 due = time_now() + MSEC(30);

    (void)state;
    console_attach(&slow);
    memset(text, 'x', sizeof(text));
    for (size_t at = 79; at < sizeof(text); at += 80)
        text[at] = '\n';
    timer_arm(&timer, due);
    console_write(text, sizeof(text));
    assert_true(fired_at >= due);
    assert_true(fired_at < due + MSEC(15));
}

static void input_waits_until_it_is_read(void **state)
{
    (void)state;
    console_receive('a');
    console_receive(0xff);
    assert_int_equal(console_read(0), 'a');
    assert_int_equal(console_read(U64_MAX), 0xff);
    assert_int_equal(console_read(0), -1);
    for (unsigned i = 0; i < 5000; i++)
        console_receive((u8)i);
    for (unsigned i = 0; i < 1024; i++)
        assert_int_equal(console_read(0), (u8)i);
    assert_int_equal(console_read(0), -1); /* what did not fit is gone */
}

static void reading_ends_with_its_time(void **state)
{
    u64 before = time_now();

    (void)state;
    assert_int_equal(console_read(MSEC(130)), -1);
    assert_int_equal(time_now() - before, MSEC(130));
}

static unsigned polls;

static void poll(void)
{
    if (++polls == 3)
        console_receive('p');
}

static void a_line_without_interrupt_is_polled(void **state)
{
    u64 before = time_now();

    (void)state;
    polls = 0;
    console_set_poll(poll);
    assert_int_equal(console_read(U64_MAX), 'p');
    assert_true(time_now() - before <= MSEC(40));
}

/* --- the log ---------------------------------------------------------------------------------- */

static unsigned walked;
static char first[256], last[256];

static void on_line(void *ctx, u64 ns, enum log_level level, const char *text)
{
    assert_int_equal(ns, SEC(1));
    assert_true(level <= *(enum log_level *)ctx);
    strcpy(walked++ ? last : first, text);
}

static void walk(enum log_level level)
{
    walked = 0;
    log_walk(level, on_line, &level);
}

static void the_log_keeps_all_levels_and_shows_some(void **state)
{
    (void)state;
    log_debug("one %u", 1);
    log_info("two");
    log_warn("three");
    log_error("four");
    assert_sent("[    1.000] warning: three\r\n[    1.000] error: four\r\n");
    walk(LOG_DEBUG);
    assert_int_equal(walked, 4);
    assert_string_equal(first, "one 1");
    assert_string_equal(last, "four");
    walk(LOG_WARN);
    assert_int_equal(walked, 2);
    assert_string_equal(first, "three");
}

static void a_full_log_loses_its_oldest_lines(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        log_debug("line %u", i);
    walk(LOG_DEBUG);
    assert_int_equal(walked, 512);
    assert_string_equal(first, "line 488");
    assert_string_equal(last, "line 999");
}

static void a_long_line_is_cut(void **state)
{
    char text[300];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_debug("%s", text);
    walk(LOG_DEBUG);
    assert_int_equal(strlen(last), 243);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_driver_can_ask_whether_there_is_room_for_input),
        TEST(a_line_feed_becomes_cr_lf),
        TEST(a_guests_cr_lf_stays_as_it_is),
        TEST(a_line_of_the_log_goes_above_what_is_edited),
        TEST(a_line_of_the_log_does_not_break_a_row),
        TEST(lines_that_waited_come_in_their_order_above_what_is_edited),
        TEST(the_log_waits_while_a_guest_has_the_terminal),
        TEST(long_output_on_a_slow_line_does_not_hold_up_timers),
        TEST(input_waits_until_it_is_read),
        TEST(reading_ends_with_its_time),
        TEST(a_line_without_interrupt_is_polled),
        TEST(the_log_keeps_all_levels_and_shows_some),
        TEST(a_full_log_loses_its_oldest_lines),
        TEST(a_long_line_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

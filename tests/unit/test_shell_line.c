/* SPDX-License-Identifier: BSD-2-Clause */
/* The line editor, seen on a terminal. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/shell/line.h"

#define UP    "\033[A"
#define DOWN  "\033[B"
#define RIGHT "\033[C"
#define LEFT  "\033[D"
#define ENTER "\r"

static struct line line;

static void draw(void *ctx, const char *update, size_t size, const char *image, size_t image_size)
{
    (void)ctx;
    assert_true(image_size <= LINE_IMAGE && size <= LINE_IMAGE);
    console_edit(update, size, image, image_size);
}

/* Types the bytes; ends lines as the shell does. */
static enum line_event type(const char *bytes)
{
    enum line_event event = LINE_MORE;

    for (; *bytes; bytes++) {
        event = line_input(&line, (u8)*bytes);
        if ((event == LINE_DONE || event == LINE_ABANDONED) && bytes[1])
            line_begin(&line);
    }
    return event;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_terminal_attach();
    memset(&line, 0, sizeof(line));
    line.prompt = "alpha> ";
    line.draw = draw;
    line_begin(&line);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_false(fake_terminal.wrapped);
    return 0;
}

/* What the user sees, and where the cursor blinks; the prompt is 7 wide. */
static void assert_sees(const char *row, unsigned cursor)
{
    char text[128] = "alpha> ";

    strcat(text, row);
    while (text[strlen(text) - 1] == ' ')
        text[strlen(text) - 1] = '\0';
    assert_string_equal(fake_terminal_line(), text);
    assert_int_equal(fake_terminal.column, 7 + cursor);
}

static void what_is_typed_stands_behind_the_prompt(void **state)
{
    (void)state;
    assert_sees("", 0);
    type("vm list");
    assert_sees("vm list", 7);
    assert_int_equal(type(ENTER), LINE_DONE);
    assert_string_equal(line.text, "vm list");
    assert_int_equal(fake_terminal.row, 1);
    assert_int_equal(fake_terminal.column, 0);
}

static void a_character_at_the_end_costs_one_byte_on_the_line(void **state)
{
    u64 before = fake_terminal.bytes;

    (void)state;
    type("vm");
    assert_int_equal(fake_terminal.bytes - before, 2);
}

static void text_goes_in_where_the_cursor_is(void **state)
{
    (void)state;
    type("vm lst" LEFT LEFT "i");
    assert_sees("vm list", 5);
    type(RIGHT RIGHT RIGHT "!");
    assert_sees("vm list!", 8);
}

static void keys_of_all_kinds_of_terminals_move(void **state)
{
    static const char *const home[] = {"\001",    "\033[H",  "\033OH",
                                       "\033[1~", "\033[7~", "\033[1;5H"};
    static const char *const end[] = {"\005",    "\033[F",  "\033OF",
                                      "\033[4~", "\033[8~", "\033[1;2F"};

    (void)state;
    type("abc");
    for (unsigned i = 0; i < COUNT_OF(home); i++) {
        type(home[i]);
        assert_sees("abc", 0);
        type(end[i]);
        assert_sees("abc", 3);
    }
    type("\002\002");
    assert_sees("abc", 1);
    type("\006");
    assert_sees("abc", 2);
    type(LEFT LEFT LEFT LEFT);
    assert_sees("abc", 0);
    type("\033OC");
    assert_sees("abc", 1);
}

static void deleting_takes_what_it_should(void **state)
{
    (void)state;
    type("abcdef\177");
    assert_sees("abcde", 5);
    type("\b" LEFT LEFT "\033[3~");
    assert_sees("abd", 2);
    type("\004\004");
    assert_sees("ab", 2);
    type("\001\177");
    assert_sees("ab", 0);
    type("\013");
    assert_sees("", 0);
    type("one two  three\027");
    assert_sees("one two  ", 9);
    type("\027");
    assert_sees("one ", 4);
    type("two" LEFT LEFT "\025");
    assert_sees("wo", 0);
    type("\005x\001" RIGHT "\013");
    assert_sees("w", 1);
}

static void the_arrows_bring_back_earlier_lines(void **state)
{
    (void)state;
    type("first\rsecond\rsecond\r\rhalf");
    type(UP);
    assert_sees("second", 6);
    type(UP);
    assert_sees("first", 5);
    type(UP);
    assert_sees("first", 5);
    type(DOWN DOWN);
    assert_sees("half", 4);
    type(DOWN);
    assert_sees("half", 4);
    type("\020 more\r");
    assert_string_equal(line.text, "second more");
}

static void thirty_two_lines_are_remembered(void **state)
{
    char text[8] = "l00\r";

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        text[1] = (char)('0' + i / 10);
        text[2] = (char)('0' + i % 10);
        type(text);
        line_begin(&line);
    }
    for (unsigned i = 0; i < 40; i++)
        type(UP);
    assert_sees("l08", 3);
}

static void ctrl_c_abandons_the_line(void **state)
{
    (void)state;
    assert_int_equal(type("vm destroy web\003"), LINE_ABANDONED);
    assert_string_equal(fake_terminal_row(0), "alpha> vm destroy web^C");
    line_begin(&line);
    assert_sees("", 0);
    type(UP);
    assert_sees("", 0);
}

static void ctrl_l_clears_the_screen_and_keeps_the_line(void **state)
{
    (void)state;
    type("one\rtwo\rthree" LEFT "\014");
    assert_int_equal(fake_terminal.row, 0);
    assert_sees("three", 4);
    assert_string_equal(fake_terminal_row(1), "");
}

static void a_line_longer_than_the_row_slides_under_it(void **state)
{
    char digits[201];

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        digits[i] = (char)('0' + i % 10);
    digits[200] = '\0';
    type(digits);
    assert_int_equal(fake_terminal.row, 0);
    assert_int_equal(fake_terminal_line()[7], '<');
    assert_int_equal(fake_terminal_line()[fake_terminal.column - 1], '9');
    type("\001");
    assert_memory_equal(fake_terminal_line(), "alpha> 0123", 11);
    assert_int_equal(fake_terminal_line()[78], '>');
    assert_int_equal(fake_terminal.column, 7);
    for (unsigned i = 0; i < 100; i++)
        type(RIGHT);
    assert_int_equal(fake_terminal_line()[fake_terminal.column], '0');
    assert_int_equal(fake_terminal_line()[fake_terminal.column + 1], '1');
    type("x");
    assert_int_equal(fake_terminal_line()[fake_terminal.column - 1], 'x');
    for (unsigned i = 0; i < 60; i++)
        type(LEFT);
    assert_int_equal(fake_terminal_line()[fake_terminal.column], '1');
    type("\005" ENTER);
    assert_int_equal(line.length, 201);
    assert_int_equal(line.text[100], 'x');
}

/* Wherever the cursor goes, it stands on the character that is next in the text. */
static void the_cursor_is_always_on_its_character(void **state)
{
    u64 seed = 7;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char letter[2] = {(char)('a' + unit_random(&seed) % 26), '\0'};
        unsigned key = (unsigned)(unit_random(&seed) % 200);

        type(key < 40     ? LEFT
             : key < 70   ? RIGHT
             : key < 74   ? "\001"
             : key < 78   ? "\005"
             : key < 98   ? "\177"
             : key < 108  ? "\033[3~"
             : key == 108 ? "\027"
                          : letter);
        assert_true(fake_terminal.column < FAKE_COLUMNS - 1);
        if (line.cursor < line.length)
            assert_int_equal(fake_terminal.cell[0][fake_terminal.column], line.text[line.cursor]);
        if (line.cursor && line.from < line.cursor - 1)
            assert_int_equal(fake_terminal.cell[0][fake_terminal.column - 1],
                             line.text[line.cursor - 1]);
        assert_int_equal(strlen(line.text), line.length);
        assert_int_equal(fake_terminal.row, 0);
    }
}

static void a_full_line_takes_no_more(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        type("x");
    assert_int_equal(line.length, SHELL_LINE - 1);
    type(LEFT "y");
    assert_int_equal(line.length, SHELL_LINE - 1);
    assert_null(strchr(line.text, 'y'));
}

static void what_terminals_send_otherwise_does_nothing(void **state)
{
    (void)state;
    type("ab\033[15~\033[200~\033[1;2;3;4P\033OP\033[I\033x\200\377\303\244\000c");
    assert_sees("ab", 2);
    type("\033[99999999999999999999~\033[;3~\033[>0c");
    assert_sees("ab", 2);
    type("c");
    assert_sees("abc", 3);
}

static void the_escape_key_alone_does_not_eat_enter(void **state)
{
    (void)state;
    assert_int_equal(type("info\033\r"), LINE_DONE);
    assert_string_equal(line.text, "info");
}

static void cr_lf_and_lf_alone_end_one_line(void **state)
{
    (void)state;
    assert_int_equal(type("a\r"), LINE_DONE);
    line_begin(&line);
    assert_int_equal(type("\n"), LINE_MORE);
    assert_int_equal(type("b\n"), LINE_DONE);
    line_begin(&line);
    assert_int_equal(type("\n"), LINE_DONE);
}

static void tabs_in_a_row_are_counted(void **state)
{
    (void)state;
    assert_int_equal(type("v\t"), LINE_TAB);
    assert_int_equal(line.tabs, 1);
    assert_int_equal(type("\t"), LINE_TAB);
    assert_int_equal(line.tabs, 2);
    type("m\t");
    assert_int_equal(line.tabs, 1);
}

static void a_log_line_goes_above_the_line_that_is_edited(void **state)
{
    (void)state;
    type("vm start web" LEFT LEFT LEFT);
    log_warn("VM db has stopped: triple fault");
    assert_string_equal(fake_terminal_row(0),
                        "[    1.000] warning: VM db has stopped: triple fault");
    assert_int_equal(fake_terminal.row, 1);
    assert_sees("vm start web", 9);
    type("x");
    assert_sees("vm start xweb", 10);
    type(ENTER);
    log_warn("second");
    assert_string_equal(fake_terminal_row(2), "[    1.000] warning: second");
    assert_string_equal(fake_terminal_row(3), "");
}

/* A program that reads the terminal waits for the prompt: it comes once a line. */
static unsigned prompts;

static void count_prompts(const char *text, size_t size)
{
    fake_terminal_write(text, size);
    for (; size >= 7; size--)
        prompts += !memcmp(text++, "alpha> ", 7);
}

static void a_log_line_does_not_write_the_prompt_again(void **state)
{
    static const struct console_driver driver = {"counting", count_prompts};

    (void)state;
    console_attach(&driver);
    prompts = 0;
    type("one\rtwo");
    assert_int_equal(prompts, 1);
    log_warn("news");
    type(LEFT);
    log_warn("more");
    assert_sees("two", 2);
    assert_int_equal(prompts, 1);
}

static void editing_does_not_write_the_prompt_again(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        type("0123456789012345678901234567890123456789" LEFT RIGHT "\001\005");
    fake_terminal.cell[0][0] = '#'; /* would be drawn over */
    type("more" LEFT "\177" UP DOWN);
    assert_int_equal(fake_terminal.cell[0][0], '#');
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_typed_stands_behind_the_prompt),
        TEST(a_character_at_the_end_costs_one_byte_on_the_line),
        TEST(text_goes_in_where_the_cursor_is),
        TEST(keys_of_all_kinds_of_terminals_move),
        TEST(deleting_takes_what_it_should),
        TEST(the_arrows_bring_back_earlier_lines),
        TEST(thirty_two_lines_are_remembered),
        TEST(ctrl_c_abandons_the_line),
        TEST(ctrl_l_clears_the_screen_and_keeps_the_line),
        TEST(a_line_longer_than_the_row_slides_under_it),
        TEST(the_cursor_is_always_on_its_character),
        TEST(a_full_line_takes_no_more),
        TEST(what_terminals_send_otherwise_does_nothing),
        TEST(the_escape_key_alone_does_not_eat_enter),
        TEST(cr_lf_and_lf_alone_end_one_line),
        TEST(tabs_in_a_row_are_counted),
        TEST(a_log_line_goes_above_the_line_that_is_edited),
        TEST(a_log_line_does_not_write_the_prompt_again),
        TEST(editing_does_not_write_the_prompt_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

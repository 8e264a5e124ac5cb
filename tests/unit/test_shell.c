/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands: cutting a line, finding and running, help, and completion, with a table of the test's own. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/console.h"
#include "kernel/shell/complete.h"

/* --- a table ----------------------------------------------------------------------------------- */

static const char *ran;
static unsigned ran_argc;
static char ran_argv[SHELL_WORDS][SHELL_LINE];

static enum err note(const char *name, unsigned argc, char **argv)
{
    ran = name;
    ran_argc = argc;
    for (unsigned i = 0; i < argc; i++)
        strcpy(ran_argv[i], argv[i]);
    return OK;
}

static enum err run_list(unsigned argc, char **argv, struct why *why)
{
    (void)why;
    return note("vm list", argc, argv);
}

static enum err run_start(unsigned argc, char **argv, struct why *why)
{
    (void)why;
    return note("vm start", argc, argv);
}

static enum err run_type(unsigned argc, char **argv, struct why *why)
{
    (void)why;
    return note("vm type", argc, argv);
}

static enum err run_vmstat(unsigned argc, char **argv, struct why *why)
{
    note("vmstat", argc, argv);
    return why_set(why, E_STATE, "not now");
}

static const char *const names[] = {"web-1", "web-2", "db", NULL};

static void complete_name(struct shell_completion *c)
{
    for (unsigned i = 0; names[i]; i++)
        shell_offer(c, "", names[i]);
}

static void complete_option(struct shell_completion *c)
{
    assert_string_equal(shell_completion_arg(c, 0), "web-1");
    shell_offer(c, "kernel=", "");
    shell_offer(c, "kernel=", "vmlinuz");
    shell_offer(c, "memory=", "");
}

static const struct shell_command commands[] = {
    {"help", "[COMMAND]", "list the commands", NULL, 0, 2, false, run_list, {complete_commands}},
    {"vm list", NULL, "all VMs", NULL, 0, 0, false, run_list, {NULL}},
    {"vm start",
     "NAME [OPTION]...",
     "run a VM",
     "More about it.\nAnd more.",
     1,
     4,
     false,
     run_start,
     {complete_name, complete_option}},
    {"vm type", "NAME TEXT...", "type at a VM", NULL, 2, 2, true, run_type, {complete_name}},
    {"vmstat", "", "a word of its own", NULL, 0, 9, false, run_vmstat, {NULL}},
};
static const struct shell_table table = {commands, commands + COUNT_OF(commands)};

static struct line line;
static struct shell_completion completion;

static void draw(void *ctx, const char *update, size_t size, const char *image, size_t image_size)
{
    (void)ctx;
    console_edit(update, size, image, image_size);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_terminal_attach();
    memset(&line, 0, sizeof(line));
    line.prompt = "> ";
    line.draw = draw;
    line_begin(&line);
    ran = NULL;
    return 0;
}

static void type(const char *bytes)
{
    for (; *bytes; bytes++)
        if (line_input(&line, (u8)*bytes) == LINE_TAB)
            complete_line(&completion, &table, &line);
}

static struct why why;

static enum err run(const char *text)
{
    why.text[0] = '\0';
    return table_run(&table, text, &why);
}

/* --- cutting ----------------------------------------------------------------------------------- */

static void blanks_part_words_and_quotes_keep_them(void **state)
{
    static const char *const expected[] = {"vm",         "a=b c",       "",   "x y",
                                           "say \"hi\"", "back\\slash", "end"};
    struct words w;

    (void)state;
    assert_int_equal(
        words_parse(&w, "  vm a=\"b c\" \"\"  x\" \"y \"say \\\"hi\\\"\" \"back\\\\\"slash end ",
                    &why),
        OK);
    assert_int_equal(w.count, COUNT_OF(expected));
    for (unsigned i = 0; i < w.count; i++)
        assert_string_equal(w.word[i], expected[i]);
    assert_true(w.blank);
    assert_int_equal(w.at[1], 5);
}

static void a_backslash_means_itself_outside_quotes(void **state)
{
    struct words w;

    (void)state;
    assert_int_equal(words_parse(&w, "a\\b \"c\\d\" e\\\\f", &why), OK);
    assert_string_equal(w.word[0], "a\\b");
    assert_string_equal(w.word[1], "c\\d");
    assert_string_equal(w.word[2], "e\\\\f");
}

static void an_open_quote_is_refused(void **state)
{
    struct words w;

    (void)state;
    assert_int_equal(words_parse(&w, "vm create \"a b", &why), E_FORMAT);
    assert_string_equal(why.text, "a quote (\") is not closed");
    assert_int_equal(words_parse(&w, "x\"", &why), E_FORMAT);
}

static void as_many_words_as_there_is_room_for(void **state)
{
    char text[SHELL_LINE] = "";
    struct words w;

    (void)state;
    for (unsigned i = 0; i < SHELL_WORDS; i++)
        strcat(text, "w ");
    assert_int_equal(words_parse(&w, text, &why), OK);
    assert_int_equal(w.count, SHELL_WORDS);
    strcat(text, "w");
    assert_int_equal(words_parse(&w, text, &why), E_RANGE);
    assert_string_equal(why.text, "the line has more than 24 words");
}

static void any_line_can_be_cut(void **state)
{
    static const char letters[] = "a \"\\=  ";
    u64 seed = 99;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char text[SHELL_LINE];
        size_t n = unit_random(&seed) % (i % 100 ? 60 : SHELL_LINE);
        struct words w;

        for (size_t k = 0; k < n; k++)
            text[k] = letters[unit_random(&seed) % (sizeof(letters) - 1)];
        text[n] = '\0';
        words_cut(&w, text);
        for (unsigned k = 0; k < w.count; k++)
            assert_true(strlen(w.word[k]) <= n && w.at[k] < n);
        (void)run(text);
    }
}

/* --- running ----------------------------------------------------------------------------------- */

static void a_command_gets_its_arguments(void **state)
{
    (void)state;
    assert_int_equal(run("vm start \"web 1\" a b"), OK);
    assert_string_equal(ran, "vm start");
    assert_int_equal(ran_argc, 3);
    assert_string_equal(ran_argv[0], "web 1");
    assert_string_equal(ran_argv[2], "b");
    assert_int_equal(run("   vm   list  "), OK);
    assert_string_equal(ran, "vm list");
    assert_int_equal(ran_argc, 0);
}

static void an_empty_line_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(run(""), OK);
    assert_int_equal(run("    "), OK);
    assert_null(ran);
}

static void the_refusal_of_a_command_comes_through(void **state)
{
    (void)state;
    assert_int_equal(run("vmstat x"), E_STATE);
    assert_string_equal(why.text, "not now");
}

static void the_rest_of_the_line_stays_as_it_was_typed(void **state)
{
    (void)state;
    assert_int_equal(run("vm type web echo \"a  b\"  it's \"open"), OK);
    assert_int_equal(ran_argc, 2);
    assert_string_equal(ran_argv[0], "web");
    assert_string_equal(ran_argv[1], "echo \"a  b\"  it's \"open");
    assert_int_equal(run("vm type \"web"), E_FORMAT);
}

static void wrong_numbers_of_arguments_say_what_was_expected(void **state)
{
    (void)state;
    assert_int_equal(run("vm start"), E_INVAL);
    assert_string_equal(why.text, "expected: vm start NAME [OPTION]...; `help vm start` says more");
    assert_int_equal(run("vm start a b c d e"), E_INVAL);
    assert_int_equal(run("vm list all"), E_INVAL);
    assert_string_equal(why.text, "vm list takes no arguments");
    assert_null(ran);
}

static void an_unknown_command_says_what_is_near(void **state)
{
    static const struct {
        const char *line, *words;
    } wrong[] = {
        {"vm lst", "there is no command 'vm lst' (did you mean 'vm list'?)"},
        {"vn list", "there is no command 'vn list' (did you mean 'vm list'?)"},
        {"hepl", "(did you mean 'help'?)"},
        {"vm", "vm needs a second word: list, start, type"},
        {"vm frobnicate", "there is no command 'vm frobnicate'; `help vm` lists them"},
        {"frobnicate", "there is no command 'frobnicate'; `help` lists them"},
        {"frobnicate it now", "there is no command 'frobnicate'; `help` lists them"},
        {"x", "there is no command 'x'; `help` lists them"},
        {"\"vm list\"", "there is no command 'vm list'"},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_not_equal(run(wrong[i].line), OK);
        if (!strstr(why.text, wrong[i].words))
            fail_msg("%s: %s", wrong[i].line, why.text);
    }
    assert_null(ran);
}

/* --- help -------------------------------------------------------------------------------------- */

static enum err help(char *first, char *second)
{
    char *word[] = {first, second};

    return table_help(&table, word, (unsigned)(first != NULL) + (second != NULL), &why);
}

static void help_lists_and_explains(void **state)
{
    (void)state;
    assert_int_equal(help(NULL, NULL), OK);
    assert_true(fake_terminal_shows("vm start        run a VM"));
    assert_true(fake_terminal_shows("vmstat"));
    fake_terminal_attach();
    assert_int_equal(help("vm", NULL), OK);
    assert_true(fake_terminal_shows("vm type"));
    assert_false(fake_terminal_shows("vmstat"));
    fake_terminal_attach();
    assert_int_equal(help("vm", "start"), OK);
    assert_string_equal(fake_terminal_row(0), "vm start NAME [OPTION]...");
    assert_string_equal(fake_terminal_row(1), "    run a VM.");
    assert_string_equal(fake_terminal_row(3), "    And more.");
    assert_int_equal(help("vm", "list"), OK);
    assert_int_equal(help("vm", "stat"), E_NOENT);
    assert_int_equal(help("help", "vm"), E_NOENT);
    assert_false(fake_terminal.wrapped);
}

/* --- completion -------------------------------------------------------------------------------- */

static void assert_line(const char *before, const char *after)
{
    line_begin(&line);
    type(before);
    if (strcmp(line.text, after))
        fail_msg("'%s' became '%s', not '%s'", before, line.text, after);
    assert_int_equal(line.cursor, line.length);
}

static void tab_completes_what_is_certain(void **state)
{
    (void)state;
    assert_line("h\t", "help ");
    assert_line("v\t", "vm");
    assert_line("vms\t", "vmstat ");
    assert_line("vm \t", "vm ");
    assert_line("vm l\t", "vm list ");
    assert_line("vm st\t", "vm start ");
    assert_line("vm start w\t", "vm start web-");
    assert_line("vm start d\t", "vm start db ");
    assert_line("vm start web-1 k\t", "vm start web-1 kernel=");
    assert_line("vm start web-1 kernel=v\t", "vm start web-1 kernel=vmlinuz ");
    assert_line("vm start web-1 mem\t", "vm start web-1 memory=");
    assert_line("vm start web-1 x m\t", "vm start web-1 x memory=");
    assert_line("vm type d\t", "vm type db ");
    assert_line("help v\t", "help vm");
    assert_line("help vm s\t", "help vm start ");
}

static void tab_does_nothing_where_nothing_can_stand(void **state)
{
    (void)state;
    assert_line("x\t\t", "x");
    assert_line("vm list \t\t", "vm list ");
    assert_line("vm start \"w\t\t", "vm start \"w");
    assert_line("vm start web-1 a b c \t\t", "vm start web-1 a b c ");
    assert_line("help vm start \t\t", "help vm start ");
    assert_int_equal(fake_terminal.row, 0);
}

static void the_second_tab_lists(void **state)
{
    (void)state;
    type("vm start w\t");
    assert_int_equal(fake_terminal.row, 0);
    type("\t");
    assert_int_equal(fake_terminal.row, 0);
    type("\t");
    assert_string_equal(fake_terminal_row(0), "> vm start web-");
    assert_string_equal(fake_terminal_row(1), "web-1  web-2");
    assert_string_equal(fake_terminal_row(2), "> vm start web-");
    assert_int_equal(fake_terminal.column, 15);
    type("2\r");
    assert_string_equal(line.text, "vm start web-2");
}

static void an_empty_line_lists_all_commands(void **state)
{
    (void)state;
    type("\t\t");
    assert_string_equal(fake_terminal_row(1), "help    vm      vmstat");
    assert_string_equal(fake_terminal_line(), ">");
}

static void completion_works_in_the_middle_of_a_line(void **state)
{
    (void)state;
    type("vm st web\001\033[C\033[C\033[C\033[C\033[C\t");
    assert_string_equal(line.text, "vm start  web");
    assert_int_equal(line.cursor, 9);
}

static void many_names_are_listed_in_columns(void **state)
{
    char text[COMPLETION_WORD];

    (void)state;
    completion = (struct shell_completion){.prefix = ""};
    for (unsigned i = 0; i < 200; i++) {
        strcpy(text, "name-000");
        text[5] = (char)('0' + i / 100);
        text[6] = (char)('0' + i / 10 % 10);
        text[7] = (char)('0' + i % 10);
        shell_offer(&completion, "", text);
        shell_offer(&completion, "", text);
    }
    assert_int_equal(completion.count, COMPLETION_MAX);
    assert_string_equal(completion.common, "name-");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    shell_offer(&completion, "too long: ", text);
    assert_string_equal(completion.common, "name-");
}

/* --- output ------------------------------------------------------------------------------------ */

static void long_text_is_broken_at_blanks(void **state)
{
    (void)state;
    fake_terminal_attach();
    shell_row("label", "%s",
              "a row whose text is so long that it does not fit on one line of the terminal, "
              "and goes on below itself");
    assert_string_equal(
        fake_terminal_row(0),
        "label       a row whose text is so long that it does not fit on one line of the");
    assert_string_equal(fake_terminal_row(1), "            terminal, and goes on below itself");
    shell_print_wrapped(
        0, 2,
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234");
    assert_string_equal(fake_terminal_row(3), "  901234");
    shell_print_wrapped(0, 2, "");
    assert_string_equal(fake_terminal_row(4), "");
    assert_int_equal(fake_terminal.row, 5);
    assert_false(fake_terminal.wrapped);
}

static void durations_read_like_a_clock(void **state)
{
    char text[24];

    (void)state;
    assert_string_equal(shell_duration(text, 0), "00:00:00");
    assert_string_equal(shell_duration(text, 3723999999999), "01:02:03");
    assert_string_equal(shell_duration(text, 90061000000000), "1d 01:01:01");
    assert_string_equal(shell_duration(text, U64_MAX), "213503d 23:34:33");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(blanks_part_words_and_quotes_keep_them),
        TEST(a_backslash_means_itself_outside_quotes),
        TEST(an_open_quote_is_refused),
        TEST(as_many_words_as_there_is_room_for),
        TEST(any_line_can_be_cut),
        TEST(a_command_gets_its_arguments),
        TEST(an_empty_line_does_nothing),
        TEST(the_refusal_of_a_command_comes_through),
        TEST(the_rest_of_the_line_stays_as_it_was_typed),
        TEST(wrong_numbers_of_arguments_say_what_was_expected),
        TEST(an_unknown_command_says_what_is_near),
        TEST(help_lists_and_explains),
        TEST(tab_completes_what_is_certain),
        TEST(tab_does_nothing_where_nothing_can_stand),
        TEST(the_second_tab_lists),
        TEST(an_empty_line_lists_all_commands),
        TEST(completion_works_in_the_middle_of_a_line),
        TEST(many_names_are_listed_in_columns),
        TEST(long_text_is_broken_at_blanks),
        TEST(durations_read_like_a_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

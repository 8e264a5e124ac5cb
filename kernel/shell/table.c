/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/shell/table.h"
#include "kernel/console.h"
#include "kernel/string.h"

#define NAME_SIZE 40

unsigned command_words(const struct shell_command *c)
{
    return strchr(c->name, ' ') ? 2 : 1;
}

bool command_begins(const struct shell_command *c, const char *word)
{
    const char *space = strchr(c->name, ' ');
    size_t n = space ? (size_t)(space - c->name) : strlen(c->name);

    return strlen(word) == n && strncmp(c->name, word, n) == 0;
}

const char *command_second(const struct shell_command *c)
{
    const char *space = strchr(c->name, ' ');

    return space ? space + 1 : NULL;
}

static bool matches(const struct shell_command *c, char *const *word, unsigned count)
{
    const char *second = command_second(c);

    return count >= command_words(c) && command_begins(c, word[0]) &&
           (!second || str_equal(second, word[1]));
}

const struct shell_command *table_find(const struct shell_table *t, char *const *word,
                                       unsigned count)
{
    const struct shell_command *found = NULL;

    TABLE_FOR_EACH(c, t)
    if (matches(c, word, count) && (!found || command_words(c) > command_words(found)))
        found = c;
    return found;
}

/* --- what is near ------------------------------------------------------------------------------ */

const char *shell_near(char *buffer, size_t size, const char *word,
                       const char *(*next)(void *ctx, unsigned index), void *ctx)
{
    const char *candidate; /* next() may use one buffer for all */
    unsigned best = 3;

    buffer[0] = '\0';
    for (unsigned i = 0; (candidate = next(ctx, i)); i++) {
        unsigned distance = str_distance(word, candidate);

        if (distance < best && distance < strlen(candidate)) {
            best = distance;
            str_format(buffer, size, " (did you mean '%s'?)", candidate);
        }
    }
    return buffer;
}

struct near_scan {
    const struct shell_table *table;
    bool whole; /* names, rather than first words */
    char first[NAME_SIZE];
};

static const char *near_next(void *ctx, unsigned index)
{
    struct near_scan *s = ctx;

    if (index >= (unsigned)(s->table->end - s->table->first))
        return NULL;
    if (s->whole)
        return s->table->first[index].name;
    str_copy(s->first, sizeof(s->first), s->table->first[index].name);
    if (strchr(s->first, ' '))
        *strchr(s->first, ' ') = '\0';
    return s->first;
}

static bool is_group(const struct shell_table *t, const char *word)
{
    TABLE_FOR_EACH(c, t)
    if (command_words(c) == 2 && command_begins(c, word))
        return true;
    return false;
}

static enum err group_alone(const struct shell_table *t, const char *word, struct why *why)
{
    char list[160];
    size_t n = 0;

    list[0] = '\0';
    TABLE_FOR_EACH(c, t)
    if (command_second(c) && command_begins(c, word) && n < sizeof(list))
        n += (size_t)str_format(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
                                command_second(c));
    return why_set(why, E_INVAL, "%s needs a second word: %s", word, list);
}

enum err table_unknown(const struct shell_table *t, char *const *word, unsigned count,
                       struct why *why)
{
    struct near_scan scan = {.table = t};
    char name[NAME_SIZE], near[NAME_SIZE + 20];

    if (is_group(t, word[0]) && count < 2)
        return group_alone(t, word[0], why);
    str_copy(name, sizeof(name), word[0]);
    shell_near(near, sizeof(near), name, near_next, &scan);
    if (count > 1 && (is_group(t, word[0]) || near[0])) {
        struct near_scan whole = {.table = t, .whole = true};
        char both[NAME_SIZE], both_near[NAME_SIZE + 20];

        str_format(both, sizeof(both), "%s %s", word[0], word[1]);
        shell_near(both_near, sizeof(both_near), both, near_next, &whole);
        if (is_group(t, word[0]) || both_near[0])
            return why_set(why, E_NOENT, "there is no command '%s'%s; `help %s` lists them", both,
                           both_near, is_group(t, word[0]) ? word[0] : "");
    }
    return why_set(why, E_NOENT, "there is no command '%s'%s; `help` lists them", name, near);
}

/* --- running ----------------------------------------------------------------------------------- */

/* Joins the last argument with what follows it, as it stands on the line. */
static unsigned take_rest(const struct shell_command *c, const struct words *w, char *line,
                          char **argv, unsigned argc)
{
    unsigned index = c->max - 1u;

    if (argc <= index)
        return argc;
    argv[index] = line + w->at[command_words(c) + index];
    return c->max;
}

static enum err run(const struct shell_command *c, struct words *w, char *line, struct why *why)
{
    unsigned skip = command_words(c), argc = w->count - skip;
    char **argv = w->word + skip;

    if (c->rest)
        argc = take_rest(c, w, line, argv, argc);
    if (argc < c->min || argc > c->max)
        return why_set(why, E_INVAL,
                       c->max ? "expected: %s %s; `help %s` says more" : "%s takes no arguments",
                       c->name, c->args, c->name);
    return c->run(argc, argv, why);
}

enum err table_run(const struct shell_table *t, const char *line, struct why *why)
{
    static struct words w; /* one line at a time; it is large for a stack */
    static char copy[SHELL_LINE];
    const struct shell_command *c;
    bool rest = false;
    enum err e;

    str_copy(copy, sizeof(copy), line);
    e = words_parse(&w, copy, why);
    if (!w.count)
        return OK;
    c = table_find(t, w.word, w.count);
    rest = c && c->rest && w.count >= command_words(c) + c->max;
    if (e && !rest)
        return e;
    return c ? run(c, &w, copy, why) : table_unknown(t, w.word, w.count, why);
}

/* --- help -------------------------------------------------------------------------------------- */

static void print_short(const struct shell_command *c)
{
    console_printf("  %-14s  %s\n", c->name, c->help);
}

static void print_long(const struct shell_command *c)
{
    unsigned column = (unsigned)strlen(c->name) + 1;

    console_printf("%s ", c->name);
    shell_print_wrapped(column, column, c->args ? c->args : "");
    console_printf("    %s.\n", c->help);
    for (const char *from = c->more; from && *from;) {
        char paragraph[512];
        const char *end = strchr(from, '\n');
        size_t length = end ? (size_t)(end - from) : strlen(from);

        str_format(paragraph, sizeof(paragraph), "%.*s", (int)length, from);
        console_print("    ");
        shell_print_wrapped(4, 4, paragraph);
        from += length + (end != NULL);
    }
}

static void help_group(const struct shell_table *t, const char *word)
{
    TABLE_FOR_EACH(c, t)
    if (command_begins(c, word))
        print_short(c);
    console_printf("`help %s COMMAND` says all about one.\n", word);
}

static void help_all(const struct shell_table *t)
{
    TABLE_FOR_EACH(c, t)
    print_short(c);
    console_print(
        "`help COMMAND` says all about one. TAB completes; arrow keys edit and recall.\n");
}

enum err table_help(const struct shell_table *t, char *const *word, unsigned count, struct why *why)
{
    const struct shell_command *c = table_find(t, word, count);

    if (!count)
        help_all(t);
    else if (c && command_words(c) == count)
        print_long(c);
    else if (count == 1 && is_group(t, word[0]))
        help_group(t, word[0]);
    else
        return table_unknown(t, word, count, why);
    return OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/shell/complete.h"
#include "kernel/console.h"
#include "kernel/string.h"

unsigned shell_completion_argc(const struct shell_completion *c)
{
    return c->index - c->first;
}

const char *shell_completion_arg(const struct shell_completion *c, unsigned index)
{
    return c->words.word[c->first + index];
}

void shell_offer(struct shell_completion *c, const char *before, const char *text)
{
    char word[COMPLETION_WORD];
    size_t same = 0;

    if (str_format(word, sizeof(word), "%s%s", before, text) >= COMPLETION_WORD ||
        !str_starts(word, c->prefix))
        return;
    for (unsigned i = 0; i < MIN(c->count, COMPLETION_MAX); i++)
        if (str_equal(c->offer[i], word))
            return;
    if (!c->count)
        str_copy(c->common, sizeof(c->common), word);
    while (c->common[same] && c->common[same] == word[same])
        same++;
    c->common[same] = '\0';
    if (c->count < COMPLETION_MAX)
        str_copy(c->offer[c->count++], COMPLETION_WORD, word);
}

void shell_complete_nothing(struct shell_completion *c)
{
    (void)c;
}

/* --- what can stand there -------------------------------------------------------------------- */

/* The first words of all commands, or the second words of those that begin with `first`. */
static void offer_names(struct shell_completion *c, const char *first)
{
    TABLE_FOR_EACH(row, c->table)
    {
        char word[COMPLETION_WORD];

        str_copy(word, sizeof(word), row->name);
        if (strchr(word, ' '))
            *strchr(word, ' ') = '\0';
        if (!first)
            shell_offer(c, word, "");
        else if (command_second(row) && str_equal(word, first))
            shell_offer(c, command_second(row), "");
    }
}

void complete_commands(struct shell_completion *c)
{
    unsigned argc = shell_completion_argc(c);

    if (argc < 2)
        offer_names(c, argc ? shell_completion_arg(c, 0) : NULL);
}

static void offer_arguments(struct shell_completion *c, const struct shell_command *command)
{
    unsigned argument, slot = 0;

    c->first = command_words(command);
    argument = shell_completion_argc(c);
    if (argument >= command->max)
        return;
    while (slot + 1 < SHELL_COMPLETERS && slot < argument && command->complete[slot + 1])
        slot++;
    if (command->complete[slot])
        command->complete[slot](c);
}

static void gather(struct shell_completion *c)
{
    const struct shell_command *command = table_find(c->table, c->words.word, c->index);

    c->count = 0;
    c->common[0] = '\0';
    if (!c->index)
        offer_names(c, NULL);
    if (c->index == 1)
        offer_names(c, c->words.word[0]);
    if (command)
        offer_arguments(c, command);
}

/* --- what the user sees ---------------------------------------------------------------------- */

static void list(struct shell_completion *c)
{
    unsigned width = 1, columns;

    for (unsigned i = 0; i < c->count; i++)
        width = MAX(width, (unsigned)strlen(c->offer[i]) + 2);
    columns = MAX((SHELL_COLUMNS - 1) / width, 1u);
    for (unsigned i = 0; i < c->count; i++) {
        bool last = i % columns == columns - 1 || i + 1 == c->count;

        console_printf("%-*s%s", last ? 0 : (int)width, c->offer[i], last ? "\n" : "");
    }
}

static void type_certain(struct shell_completion *c, struct line *l)
{
    char certain[COMPLETION_WORD + 1];
    size_t n = strlen(c->common);
    bool whole = c->count == 1 && n && c->common[n - 1] != '=';

    str_format(certain, sizeof(certain), "%s%s", c->common + strlen(c->prefix), whole ? " " : "");
    if (certain[0])
        l->tabs = 0;
    line_insert(l, certain);
}

void complete_line(struct shell_completion *c, const struct shell_table *t, struct line *l)
{
    char before[SHELL_LINE];

    str_format(before, sizeof(before), "%.*s", (int)l->cursor, l->text);
    words_cut(&c->words, before);
    c->table = t;
    c->first = 0;
    c->index = c->words.count - !c->words.blank;
    c->prefix = c->words.blank ? "" : c->words.word[c->index];
    if (c->words.open || c->words.count == SHELL_WORDS)
        return;
    gather(c);
    if (!c->count)
        return;
    if (l->tabs > 1 && c->count > 1 && str_equal(c->common, c->prefix)) {
        console_edit("\n", 1, "", 0);
        list(c);
        line_redraw(l);
        return;
    }
    type_certain(c, l);
}

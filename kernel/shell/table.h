/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands: finding one, running a line, and what `help` prints. It is handed in, so that a
 * test can bring its own. */
#pragma once
#include "kernel/shell.h"
#include "kernel/shell/parse.h"

struct shell_table {
    const struct shell_command *first, *end;
};

#define TABLE_FOR_EACH(var, table)                                                                 \
    for (const struct shell_command *var = (table)->first; var < (table)->end; var++)

/* How many words the name has: 1 or 2. */
unsigned command_words(const struct shell_command *c);
/* Is `word` the first word of its name? */
bool command_begins(const struct shell_command *c, const char *word);
/* The second word of its name, or NULL. */
const char *command_second(const struct shell_command *c);
/* The command that the words begin with; NULL if there is none. */
const struct shell_command *table_find(const struct shell_table *t, char *const *word,
                                       unsigned count);
/* Writes what is wrong with words that begin with no command, and what is near. */
enum err table_unknown(const struct shell_table *t, char *const *word, unsigned count,
                       struct why *why);
/* Carries out a line; an empty one does nothing. */
enum err table_run(const struct shell_table *t, const char *line, struct why *why) MUST_CHECK;
/* The list of commands, those that begin with a word, or all about one. */
enum err table_help(const struct shell_table *t, char *const *word, unsigned count,
                    struct why *why) MUST_CHECK;

/* SPDX-License-Identifier: BSD-2-Clause */
/* Completion with TAB: what may stand at the end of a line, and as much of it as is certain. */
#pragma once
#include "kernel/shell/line.h"
#include "kernel/shell/table.h"

#define COMPLETION_MAX  96 /* words that are listed */
#define COMPLETION_WORD 96 /* with its end */

struct shell_completion {
    const struct shell_table *table;
    struct words words;
    unsigned first; /* the command's first argument in words */
    unsigned index; /* the word to complete */
    const char *prefix;
    unsigned count;
    char common[COMPLETION_WORD];
    char offer[COMPLETION_MAX][COMPLETION_WORD];
};

/* Types into the line what is certain behind its cursor; where nothing is, the second TAB lists what
 * there is. */
void complete_line(struct shell_completion *c, const struct shell_table *t, struct line *l);
/* A completer for words of the table itself: the arguments of `help`. */
void complete_commands(struct shell_completion *c);

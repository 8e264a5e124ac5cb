/* SPDX-License-Identifier: BSD-2-Clause */
/* A command line cut into words. Blanks separate words; "..." keeps blanks, also in the middle of a word,
 * and in it \" and \\ stand for " and \. */
#pragma once
#include "kernel/shell.h"

struct words {
    unsigned count;
    char *word[SHELL_WORDS];
    size_t at[SHELL_WORDS]; /* where it begins on the line */
    bool open;              /* the line ended within a quote */
    bool blank;             /* the line ends with a blank behind the last word, or has no word */
    char text[SHELL_LINE + SHELL_WORDS];
};

/* Cuts as much as fits. The line is shorter than SHELL_LINE. */
void words_cut(struct words *w, const char *line);
/* The same for a line that is to be carried out: E_FORMAT where a quote stays open, E_RANGE for too many
 * words. */
enum err words_parse(struct words *w, const char *line, struct why *why) MUST_CHECK;

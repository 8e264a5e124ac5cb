/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/shell/parse.h"
#include "kernel/string.h"

/* Copies one word without its quotes; returns what follows it on the line. */
static const char *cut_word(struct words *w, const char *line, char **to)
{
    bool quoted = false;

    for (; *line && (quoted || *line != ' '); line++) {
        if (*line == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && *line == '\\' && (line[1] == '"' || line[1] == '\\'))
            line++;
        *(*to)++ = *line;
    }
    *(*to)++ = '\0';
    w->open = quoted;
    return line;
}

/* Returns where it stopped: the end of the line, or the first word too many. */
static const char *cut_all(struct words *w, const char *line)
{
    const char *start = line;
    char *to = w->text;

    w->count = 0;
    w->open = false;
    w->blank = true;
    for (;;) {
        while (*line == ' ')
            line++, w->blank = true;
        if (!*line || w->count == SHELL_WORDS)
            return line;
        w->at[w->count] = (size_t)(line - start);
        w->word[w->count++] = to;
        w->blank = false;
        line = cut_word(w, line, &to);
    }
}

void words_cut(struct words *w, const char *line)
{
    cut_all(w, line);
}

enum err words_parse(struct words *w, const char *line, struct why *why)
{
    if (*cut_all(w, line))
        return why_set(why, E_RANGE, "the line has more than %u words", SHELL_WORDS);
    if (w->open)
        return why_set(why, E_FORMAT, "a quote (\") is not closed");
    return OK;
}

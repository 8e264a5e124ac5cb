/* SPDX-License-Identifier: BSD-2-Clause */
/* The line editor: bytes of a terminal in, drawing commands for it out. One row of the terminal; a line
 * that is longer slides under it, with < and > where there is more.
 *
 * It knows nothing of the console: output goes to draw(), which gets what to write now, and what draws
 * the row anew whenever something else was written in between (empty: the row is left). */
#pragma once
#include "kernel/shell.h"

#define LINE_HISTORY 32
#define LINE_IMAGE   192 /* the longest drawing of the row */

struct line {
    /* Set by the owner. */
    const char *prompt; /* up to 40 characters, the last a blank */
    void (*draw)(void *ctx, const char *update, size_t size, const char *image, size_t image_size);
    void *ctx;
    /* The editor's own; text and length are for everyone to read. */
    char text[SHELL_LINE];
    size_t length, cursor;
    size_t from;   /* first character that is shown */
    unsigned tabs; /* TABs in a row */
    u8 escape;     /* inside a terminal's escape sequence */
    unsigned parameter;
    bool after_cr;
    char history[LINE_HISTORY][SHELL_LINE];
    unsigned written; /* history lines ever */
    unsigned back;    /* how far back the user has gone, 0: at the new line */
    char draft[SHELL_LINE];
};

enum line_event {
    LINE_MORE,      /* nothing for the owner */
    LINE_DONE,      /* Enter: text is complete, and in the history */
    LINE_ABANDONED, /* Ctrl-C */
    LINE_TAB,       /* complete it: see tabs */
};

/* Begins an empty line and draws the prompt. */
void line_begin(struct line *l);
enum line_event line_input(struct line *l, u8 byte);
/* Types text at the cursor, as far as there is room. */
void line_insert(struct line *l, const char *text);
/* Draws the row anew, after the owner wrote something. */
void line_redraw(struct line *l);

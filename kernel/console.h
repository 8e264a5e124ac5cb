/* SPDX-License-Identifier: BSD-2-Clause */
/* The console: one serial line that the log and the shell write to, and the shell reads. */
#pragma once
#include "kernel/types.h"

/* A driver's side. write() may wait for the line. */
struct console_driver {
    const char *name;
    void (*write)(const char *text, size_t size);
};
void console_attach(const struct console_driver *driver);
/* A byte came in (from an interrupt handler or a poll). Wakes the reader. It needs room, which only the reader makes: a
 * driver whose line has flow control asks first, and leaves what has none with the other side. */
void console_receive(u8 byte);
bool console_has_room(void);
/* Registers a function that the reading thread calls before it sleeps: to poll a line whose
 * interrupt may be missing. */
void console_set_poll(void (*poll)(void));

/* Writes text; "\n" becomes CR LF. The line may be slow, so others run in between: for threads that hold no
 * lock. A line of the log may come between two lines of the text, not within one. */
void console_write(const char *text, size_t size);
void console_print(const char *text);
void console_printf(const char *format, ...) PRINTF_LIKE(1, 2);
/* Writes to the row that the user edits, and keeps what draws that row anew (up to 192 bytes); an empty
 * image ends the editing. */
void console_edit(const char *update, size_t size, const char *image, size_t image_size);
/* A line that nobody asked for (the log): it goes above the row that is being edited; where another row is not
 * at its end, it waits for that end, with up to 2 KiB of others. */
void console_print_above(const char *line);
/* From true to false, such lines wait altogether: for output that is not lines, like a guest's. */
void console_keep_whole(bool whole);
/* The next byte of input, or -1 if none came within that time (U64_MAX: for ever). One reader. */
int console_read(u64 timeout_ns);
/* For panic and the way out, when all other CPUs are stopped: breaks the lock that one of them may hold, and
 * lets no other thread run from here on. */
void console_last_words(void);

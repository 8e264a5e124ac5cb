/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine that unit tests run on: kernel/arch.h over memory of the build host, with a clock that only
 * the test moves, and threads on stacks of their own.
 *
 * There is one CPU. When its threads all sleep it is idle, and time jumps to the next timer. */
#pragma once
#include "kernel/types.h"

/* Begins anew: time 1 s, CPU 0 idle-less, no memory, no thread. Threads of an earlier test are forgotten. */
void fake_reset(void);
/* RAM of that many bytes for arch_direct_map, from physical address 0; the first MiB is left out of the
 * frame allocator, which gets the rest. Zeroed, and only what is touched costs memory. */
void fake_memory(u64 size);
/* All of it is free again, whatever it was used for. Who still points to it must forget that, the heap too. */
void fake_memory_again(void);
/* Time goes on. A thread that has the CPU burns it. */
void fake_advance(u64 ns);

/* The fault point of that number (kernel/fault_point.h; each allocation passes one), counted from now on, fails, once.
 * 0: none does. */
void fake_fail_at(u64 number);
/* Was that many fault points passed? */
bool fake_has_failed(void);

/* What the kernel asked of the hardware. */
struct fake_seen {
    u64 timer;       /* what the timer is set to, as TSC; U64_MAX: nothing */
    unsigned kicks;  /* of other CPUs */
    u32 kicked;      /* the latest of them */
    unsigned stacks; /* in use */
};
extern struct fake_seen fake_seen;

/* --- a panic ------------------------------------------------------------------------------------ */

/* assert_panics(frame_put(f), "twice"): the statement runs in a child process, and must end in a panic whose
 * text has these words. */
#define assert_panics(statement, words)                                                            \
    do {                                                                                           \
        if (fake_panic_fork()) {                                                                   \
            statement;                                                                             \
            fake_panic_missing();                                                                  \
        }                                                                                          \
        assert_true(fake_panic_said(words));                                                       \
    } while (0)
bool fake_panic_fork(void);
NORETURN void fake_panic_missing(void);
bool fake_panic_said(const char *words);

/* --- a terminal ----------------------------------------------------------------------------------- */

#define FAKE_ROWS    24
#define FAKE_COLUMNS 80

/* What a user sees of the bytes that were written to the console: a VT100 as far as Ferry uses one. */
struct fake_terminal {
    char cell[FAKE_ROWS][FAKE_COLUMNS + 1]; /* each row a text, padded with blanks */
    unsigned row, column;
    bool wrapped; /* something ran over the right edge */
    u64 bytes, bells;
};
extern struct fake_terminal fake_terminal;

/* Clears it and makes it the console. */
void fake_terminal_attach(void);
void fake_terminal_write(const char *text, size_t size);
/* A row without the blanks at its end; static, good until the next call. */
const char *fake_terminal_row(unsigned row);
/* The row that the cursor is in. */
const char *fake_terminal_line(void);
/* Is that text anywhere on the screen, in one row? */
bool fake_terminal_shows(const char *text);

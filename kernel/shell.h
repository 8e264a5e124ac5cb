/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell on the console: who may add a command, and how.
 *
 * A command is a row of a table that the linker makes, put there by SHELL_COMMAND where its handler is
 * defined. Handlers run one at a time on the shell's thread, may block, and print with console_printf
 * in lines of at most 79 characters. A refusal is a sentence in `why`; the shell prints it. */
#pragma once
#include "kernel/err.h"

#define SHELL_LINE       1024 /* of a command line, with its end */
#define SHELL_WORDS      24   /* on it */
#define SHELL_COLUMNS    80   /* of the terminal */
#define SHELL_COMPLETERS 4

struct shell_completion;
/* Offers what may stand at the place of an argument. */
typedef void shell_completer(struct shell_completion *c);

struct shell_command {
    const char *name; /* one word or two: "cpu", "vm create" */
    const char *args; /* synopsis: "NAME [reset]"; NULL if it takes none */
    const char *help; /* one line, up to 58 characters, no full stop */
    const char *more; /* paragraphs between "\n", or NULL */
    u8 min, max;      /* how many arguments */
    bool rest;        /* the last argument is the rest of the line as it was typed */
    /* argv holds the arguments without the name, and may be written to. */
    enum err (*run)(unsigned argc, char **argv, struct why *why);
    /* For each argument; the last one that is there serves those behind it, too. */
    shell_completer *complete[SHELL_COMPLETERS];
};

#define SHELL_COMMAND(symbol, ...)                                                                 \
    static const struct shell_command shell_command_##symbol                                       \
        __attribute__((used, aligned(8), section(".shell_table." #symbol))) = {__VA_ARGS__}

/* --- for completers ---------------------------------------------------------------------------- */

/* The arguments in front of the one to be completed. */
unsigned shell_completion_argc(const struct shell_completion *c);
const char *shell_completion_arg(const struct shell_completion *c, unsigned index);
/* A word that may stand here, `before` and `text` joined; one that ends in '=' gets no blank. */
void shell_offer(struct shell_completion *c, const char *before, const char *text);
/* For an argument that only the user can know. */
void shell_complete_nothing(struct shell_completion *c);

/* --- for handlers ------------------------------------------------------------------------------ */

/* "Memory      1,024 MiB": one row of a list of properties; long values go on below themselves. */
void shell_row(const char *label, const char *format, ...) PRINTF_LIKE(2, 3);
/* A row of counters; what never happened is left out. */
void shell_counter(const char *what, u64 n);
/* Text in lines of at most 79 characters, broken at blanks; the lines behind the first begin with
 * `indent` blanks. The first begins in column `column`. */
void shell_print_wrapped(unsigned column, unsigned indent, const char *text);
/* " (did you mean 'web'?)" if `word` is close to one of those that next() gives until NULL, or "". */
const char *shell_near(char *buffer, size_t size, const char *word,
                       const char *(*next)(void *ctx, unsigned index), void *ctx);
/* "1d 02:03:04" or "02:03:04". */
const char *shell_duration(char buffer[24], u64 ns);

/* --- for other layers --------------------------------------------------------------------------- */

/* What a layer above the kernel has to say in the kernel's own commands; any may be NULL. */
struct shell_hooks {
    void (*begin)(
        void); /* before each command: nothing that an earlier one found is used any more */
    void (*info)(void); /* rows for `info` */
    void (*mem)(void);  /* rows for `mem` */
    /* Before reboot and poweroff: hands over what others need of this host. An error stops them, and why says what would be
     * lost. */
    enum err (*leave)(struct why *why);
    void (*going_down)(
        void);          /* then ends orderly what runs, and says so; before reboot and poweroff */
    void (*stop)(void); /* stops hardware, after all that: the last thing that happens here */
    struct shell_hooks *next;
};
/* At start-up, before the shell runs. */
void shell_add_hooks(struct shell_hooks *hooks);
/* Calls the `begin` hooks; for the shell. */
void shell_begin_command(void);

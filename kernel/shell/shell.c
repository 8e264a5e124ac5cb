/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's thread: reads lines, runs them. */
#include "kernel/shell.h"
#include "kernel/console.h"
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/shell/complete.h"
#include "kernel/string.h"
#include "kernel/thread.h"

extern const struct shell_command shell_table_start[], shell_table_end[];

static const struct shell_table table = {shell_table_start, shell_table_end};
static struct line line;
static struct shell_completion completion;

static void draw(void *ctx, const char *update, size_t size, const char *image, size_t image_size)
{
    (void)ctx;
    console_edit(update, size, image, image_size);
}

static void run_line(void)
{
    struct why why;

    shell_begin_command();
    if (table_run(&table, line.text, &why)) {
        console_print("error: ");
        shell_print_wrapped(7, 4, why.text);
    }
}

static void shell_thread(void *unused)
{
    char prompt[CONFIG_NAME + 2];

    (void)unused;
    str_format(prompt, sizeof(prompt), "%s> ", host_config.host);
    line.prompt = prompt;
    line.draw = draw;
    log_set_console_level(LOG_WARN);
    console_print("Ferry is up. `help` lists the commands.\n");
    for (line_begin(&line);;) {
        int byte = console_read(U64_MAX);
        enum line_event event = line_input(&line, (u8)byte);

        if (event == LINE_TAB)
            complete_line(&completion, &table, &line);
        if (event == LINE_DONE)
            run_line();
        if (event == LINE_DONE || event == LINE_ABANDONED)
            line_begin(&line);
    }
}

static void start_shell(const struct boot_info *boot)
{
    struct thread *t;

    (void)boot;
    if (thread_create(&t, "shell", shell_thread, NULL))
        log_error("no memory for the shell");
}
INIT_STEP(5, start_shell);

static enum err run_help(unsigned argc, char **argv, struct why *why)
{
    return table_help(&table, argv, argc, why);
}

SHELL_COMMAND(help, .name = "help", .args = "[COMMAND]",
              .help = "list the commands, or say all about one", .max = 2, .run = run_help,
              .complete = {complete_commands});

/* SPDX-License-Identifier: BSD-2-Clause */
/* Text on the shell's terminal, 79 characters a line. */
#include "kernel/console.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/timer.h"

#define LABEL_WIDTH 12

/* How much of the text goes on a line with so many cells: up to a blank, or all there is room for. */
static size_t fitting(const char *text, size_t cells)
{
    size_t n = strlen(text), at = cells;

    if (n <= cells)
        return n;
    while (at && text[at] != ' ')
        at--;
    return at ? at : cells;
}

void shell_print_wrapped(unsigned column, unsigned indent, const char *text)
{
    do {
        size_t n = fitting(text, SHELL_COLUMNS - 1 - MIN(column, SHELL_COLUMNS - 2));

        console_write(text, n);
        console_write("\n", 1);
        text += n;
        while (*text == ' ')
            text++;
        if (*text)
            console_printf("%*s", (int)indent, "");
        column = indent;
    } while (*text);
}

void shell_row(const char *label, const char *format, ...)
{
    static char text[768]; /* the shell's thread alone prints rows */
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    console_printf("%-*s", LABEL_WIDTH, label);
    shell_print_wrapped(LABEL_WIDTH, LABEL_WIDTH, text);
}

void shell_counter(const char *what, u64 n)
{
    if (n)
        console_printf("  %-44s %14llu\n", what, (unsigned long long)n);
}

const char *shell_duration(char buffer[24], u64 ns)
{
    u64 s = ns / SEC(1), days = s / 86400;
    int n = 0;

    if (days)
        n = str_format(buffer, 24, "%llud ", (unsigned long long)days);
    str_format(buffer + n, (size_t)(24 - n), "%02u:%02u:%02u", (unsigned)(s / 3600 % 24),
               (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    return buffer;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "kernel/console.h"

struct fake_terminal fake_terminal;
static char escape[16];
static size_t escape_length;

static void clear(unsigned row, unsigned from)
{
    memset(fake_terminal.cell[row] + from, ' ', FAKE_COLUMNS - from);
    fake_terminal.cell[row][FAKE_COLUMNS] = '\0';
}

static void clear_all(void)
{
    for (unsigned row = 0; row < FAKE_ROWS; row++)
        clear(row, 0);
}

static void line_feed(void)
{
    if (fake_terminal.row + 1 < FAKE_ROWS) {
        fake_terminal.row++;
        return;
    }
    memmove(fake_terminal.cell[0], fake_terminal.cell[1],
            sizeof(fake_terminal.cell[0]) * (FAKE_ROWS - 1));
    clear(FAKE_ROWS - 1, 0);
}

/* ECMA-48: ED, EL, CUP, CUF, SGR. */
static void obey(char final, unsigned n)
{
    struct fake_terminal *t = &fake_terminal;

    if (final == 'J')
        clear_all();
    else if (final == 'K')
        clear(t->row, t->column);
    else if (final == 'H')
        t->row = t->column = 0;
    else if (final == 'C')
        t->column = MIN(t->column + MAX(n, 1u), FAKE_COLUMNS - 1u);
    else if (final != 'm')
        t->wrapped = true; /* nothing that Ferry should send */
}

static void escape_byte(char c)
{
    unsigned n = 0;

    escape[escape_length++] = c;
    escape[escape_length] = '\0';
    if (escape_length == sizeof(escape) - 1)
        escape_length = 0;
    if (escape_length > 2 && c >= '@' && c <= '~') {
        sscanf(escape + 2, "%u", &n);
        obey(c, n);
        escape_length = 0;
    }
}

static void put(char c)
{
    struct fake_terminal *t = &fake_terminal;

    if (c == '\r') {
        t->column = 0;
    } else if (c == '\n') {
        line_feed();
    } else if (c == '\a') {
        t->bells++;
    } else {
        if (t->column == FAKE_COLUMNS) {
            t->wrapped = true;
            t->column = 0;
            line_feed();
        }
        t->cell[t->row][t->column++] = c;
    }
}

void fake_terminal_write(const char *text, size_t size)
{
    fake_terminal.bytes += size;
    for (; size--; text++)
        if (escape_length || *text == '\033')
            escape_byte(*text);
        else
            put(*text);
}

void fake_terminal_attach(void)
{
    static const struct console_driver driver = {"fake terminal", fake_terminal_write};

    fake_terminal = (struct fake_terminal){0};
    escape_length = 0;
    clear_all();
    console_attach(&driver);
}

const char *fake_terminal_row(unsigned row)
{
    static char text[FAKE_COLUMNS + 1];
    size_t n = FAKE_COLUMNS;

    memcpy(text, fake_terminal.cell[row], sizeof(text));
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    return text;
}

const char *fake_terminal_line(void)
{
    return fake_terminal_row(fake_terminal.row);
}

bool fake_terminal_shows(const char *text)
{
    for (unsigned row = 0; row < FAKE_ROWS; row++)
        if (strstr(fake_terminal.cell[row], text))
            return true;
    return false;
}

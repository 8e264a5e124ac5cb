/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/shell/line.h"
#include "kernel/string.h"

#define CTRL(c) ((c) - '@')
#define ESC     0x1b
#define DEL     0x7f

enum { ESCAPE_NONE, ESCAPE_BEGUN, ESCAPE_FIRST, ESCAPE_REST };

/* --- drawing --------------------------------------------------------------------------------- */

/* Cells for text: the last column stays free, so that the terminal never wraps. */
static size_t room(const struct line *l)
{
    return SHELL_COLUMNS - 1 - strlen(l->prompt);
}

/* Keeps the cursor in sight, and off the cells that < and > stand in. */
static void slide(struct line *l)
{
    size_t cells = room(l);

    if (l->length < cells)
        l->from = 0;
    else if ((l->from && l->cursor <= l->from) || l->cursor + 1 >= l->from + cells)
        l->from = l->cursor > cells / 2 ? l->cursor - cells / 2 : 0;
}

/* The prompt, in the ways to draw it. Programs that read the terminal wait for it to know that a command
 * is done, so it is written as it stands only where a line begins. */
enum { PROMPT_NEW, PROMPT_AGAIN, PROMPT_LEFT };

static size_t draw_prompt(const struct line *l, char image[LINE_IMAGE], int how)
{
    size_t width = strlen(l->prompt);

    if (how == PROMPT_NEW || !width)
        return (size_t)str_format(image, LINE_IMAGE, "\r%s", l->prompt);
    if (how == PROMPT_AGAIN) /* its last blank is one that the cursor steps over */
        return (size_t)str_format(image, LINE_IMAGE, "\r\x1b[K%.*s\x1b[C", (int)width - 1,
                                  l->prompt);
    return (size_t)str_format(image, LINE_IMAGE, "\r\x1b[%uC", (unsigned)width);
}

/* What draws the row from anywhere on it. */
static size_t draw_image(const struct line *l, char image[LINE_IMAGE], int prompt)
{
    size_t width = strlen(l->prompt), shown = MIN(l->length - l->from, room(l));
    size_t head = draw_prompt(l, image, prompt), n = head;

    n += (size_t)str_format(image + n, LINE_IMAGE - n, "%.*s\x1b[K", (int)shown, l->text + l->from);
    if (l->from)
        image[head] = '<';
    if (l->from + shown < l->length)
        image[head + shown - 1] = '>';
    if (l->cursor < l->length)
        n += (size_t)str_format(image + n, LINE_IMAGE - n, "\r\x1b[%uC",
                                (unsigned)(width + l->cursor - l->from));
    return n;
}

/* Sends an update, and what would draw the whole row again. */
static void draw(struct line *l, const char *update, size_t size)
{
    char image[LINE_IMAGE];
    size_t image_size = draw_image(l, image, PROMPT_AGAIN);

    l->draw(l->ctx, update, size, image, image_size);
}

void line_redraw(struct line *l)
{
    char update[LINE_IMAGE];

    slide(l);
    draw(l, update, draw_image(l, update, PROMPT_NEW));
}

/* After a change to the text or the cursor. */
static void refresh(struct line *l)
{
    char update[LINE_IMAGE];

    slide(l);
    draw(l, update, draw_image(l, update, PROMPT_LEFT));
}

/* The row stays as it is on the screen, and the cursor goes below it. */
static void leave_row(struct line *l, const char *text)
{
    l->draw(l->ctx, text, strlen(text), "", 0);
}

static void clear_screen(struct line *l)
{
    l->draw(l->ctx, "\x1b[H\x1b[2J", 7, "", 0);
    line_redraw(l);
}

/* --- changing the text ------------------------------------------------------------------------- */

static void set_text(struct line *l, const char *text)
{
    str_copy(l->text, sizeof(l->text), text);
    l->length = l->cursor = strlen(l->text);
    refresh(l);
}

static void insert(struct line *l, const char *text, size_t size)
{
    size = MIN(size, sizeof(l->text) - 1 - l->length);
    memmove(l->text + l->cursor + size, l->text + l->cursor, l->length + 1 - l->cursor);
    memcpy(l->text + l->cursor, text, size);
    l->cursor += size;
    l->length += size;
}

void line_insert(struct line *l, const char *text)
{
    size_t had = l->length, from = l->from, size = strlen(text);

    insert(l, text, size);
    slide(l);
    if (l->cursor != l->length || l->from != from || l->length != had + size)
        refresh(l);
    else /* at the end of a line that fits, the text itself is all that the terminal needs */
        draw(l, text, size);
}

/* Takes out [from, to), and puts the cursor there. */
static void cut(struct line *l, size_t from, size_t to)
{
    memmove(l->text + from, l->text + to, l->length + 1 - to);
    l->length -= to - from;
    l->cursor = from;
    refresh(l);
}

static size_t word_begin(const struct line *l)
{
    size_t at = l->cursor;

    while (at && l->text[at - 1] == ' ')
        at--;
    while (at && l->text[at - 1] != ' ')
        at--;
    return at;
}

/* --- history --------------------------------------------------------------------------------- */

static void remember(struct line *l)
{
    const char *last = l->history[(l->written - 1) % LINE_HISTORY];

    if (l->length && !(l->written && str_equal(last, l->text)))
        memcpy(l->history[l->written++ % LINE_HISTORY], l->text, l->length + 1);
}

static void recall(struct line *l, unsigned back)
{
    if (back > MIN(l->written, LINE_HISTORY))
        return;
    if (!l->back)
        memcpy(l->draft, l->text, l->length + 1);
    l->back = back;
    set_text(l, back ? l->history[(l->written - back) % LINE_HISTORY] : l->draft);
}

/* --- keys ------------------------------------------------------------------------------------ */

static void key_home(struct line *l)
{
    l->cursor = 0;
    refresh(l);
}

static void key_end(struct line *l)
{
    l->cursor = l->length;
    refresh(l);
}

static void key_left(struct line *l)
{
    l->cursor -= l->cursor > 0;
    refresh(l);
}

static void key_right(struct line *l)
{
    l->cursor += l->cursor < l->length;
    refresh(l);
}

static void key_up(struct line *l)
{
    recall(l, l->back + 1);
}

static void key_down(struct line *l)
{
    if (l->back)
        recall(l, l->back - 1);
}

static void key_backspace(struct line *l)
{
    if (l->cursor)
        cut(l, l->cursor - 1, l->cursor);
}

static void key_delete(struct line *l)
{
    if (l->cursor < l->length)
        cut(l, l->cursor, l->cursor + 1);
}

static void key_kill_right(struct line *l)
{
    cut(l, l->cursor, l->length);
}

static void key_kill_left(struct line *l)
{
    cut(l, 0, l->cursor);
}

static void key_kill_word(struct line *l)
{
    cut(l, word_begin(l), l->cursor);
}

struct key {
    u8 code; /* a control character, or what ends an escape sequence */
    u8 parameter;
    void (*press)(struct line *l);
};

static const struct key control_keys[] = {
    {CTRL('A'), 0, key_home},       {CTRL('B'), 0, key_left},      {CTRL('D'), 0, key_delete},
    {CTRL('E'), 0, key_end},        {CTRL('F'), 0, key_right},     {CTRL('H'), 0, key_backspace},
    {CTRL('K'), 0, key_kill_right}, {CTRL('L'), 0, clear_screen},  {CTRL('N'), 0, key_down},
    {CTRL('P'), 0, key_up},         {CTRL('U'), 0, key_kill_left}, {CTRL('W'), 0, key_kill_word},
    {DEL, 0, key_backspace},
};

/* ESC [ ... and ESC O ...: ECMA-48 with the keys of VT100, VT220, xterm and rxvt. The letters come with
 * modifiers as parameters, which do not matter here. */
static const struct key letter_keys[] = {
    {'A', 0, key_up},   {'B', 0, key_down}, {'C', 0, key_right},
    {'D', 0, key_left}, {'H', 0, key_home}, {'F', 0, key_end},
};
static const struct key tilde_keys[] = {
    {'~', 1, key_home}, {'~', 3, key_delete}, {'~', 4, key_end},
    {'~', 7, key_home}, {'~', 8, key_end},
};

static void press(struct line *l, const struct key *keys, size_t count, u8 code, unsigned parameter)
{
    for (size_t i = 0; i < count; i++)
        if (keys[i].code == code && keys[i].parameter == parameter) {
            keys[i].press(l);
            return;
        }
}

static void escape_input(struct line *l, u8 byte)
{
    if (l->escape == ESCAPE_BEGUN) {
        l->escape = byte == '[' || byte == 'O' ? ESCAPE_FIRST : ESCAPE_NONE;
        l->parameter = 0;
    } else if (byte >= '0' && byte <= '9') {
        if (l->escape == ESCAPE_FIRST)
            l->parameter = MIN(l->parameter * 10 + byte - '0', 1000);
    } else if (byte < 0x40) { /* between parameters; those behind the first change nothing here */
        l->escape = ESCAPE_REST;
    } else {
        l->escape = ESCAPE_NONE;
        press(l, letter_keys, COUNT_OF(letter_keys), byte, 0);
        press(l, tilde_keys, COUNT_OF(tilde_keys), byte, l->parameter);
    }
}

void line_begin(struct line *l)
{
    l->text[0] = '\0';
    l->length = l->cursor = l->from = 0;
    l->tabs = l->back = 0;
    line_redraw(l);
}

static enum line_event end_line(struct line *l)
{
    remember(l);
    leave_row(l, "\n");
    return LINE_DONE;
}

static enum line_event byte_input(struct line *l, u8 byte)
{
    if (byte == CTRL('I')) {
        l->tabs++;
        return LINE_TAB;
    }
    l->tabs = 0;
    if (byte == CTRL('C')) {
        leave_row(l, "^C\n");
        return LINE_ABANDONED;
    }
    if (byte == ESC)
        l->escape = ESCAPE_BEGUN;
    else if (byte >= ' ' && byte < DEL)
        line_insert(l, (char[]){(char)byte, '\0'});
    else
        press(l, control_keys, COUNT_OF(control_keys), byte, 0);
    return LINE_MORE;
}

enum line_event line_input(struct line *l, u8 byte)
{
    bool after_cr = l->after_cr;

    l->after_cr = byte == '\r';
    if (byte <
        ' ') /* a control character ends a sequence that went wrong, or the Escape key alone */
        l->escape = ESCAPE_NONE;
    if (l->escape) {
        escape_input(l, byte);
        return LINE_MORE;
    }
    if (byte == '\n' && after_cr) /* of a terminal that sends both */
        return LINE_MORE;
    if (byte == '\r' || byte == '\n')
        return end_line(l);
    return byte_input(l, byte);
}

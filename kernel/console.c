/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/console.h"
#include "kernel/lock.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/timer.h"

#define INPUT_SIZE  1024
#define POLL_PERIOD MSEC(20)
#define PIECE       128 /* bytes that are written without giving way: 11 ms at 115,200 baud */

static const struct console_driver *console;
static void (*poll_line)(void);
static struct lock output_lock;
static bool last_words; /* all other CPUs are stopped: no thread may run any more */
static u8 input[INPUT_SIZE];
static u32 input_head, input_tail; /* written by the receiving side, read by the reader */
static struct thread *reader;
static char edited[192]; /* draws the row that is being edited, if there is one */
static size_t edited_size;
static bool at_line_start = true; /* of the output */
static bool kept_whole;           /* nothing may come between two bytes of the output */
static char waiting[2048];        /* lines of the log that wait for their place */
static size_t waiting_size;
static unsigned waiting_lost;

void console_attach(const struct console_driver *driver)
{
    console = driver;
}

void console_set_poll(void (*poll)(void))
{
    poll_line = poll;
}

bool console_has_room(void)
{
    return input_head - __atomic_load_n(&input_tail, __ATOMIC_ACQUIRE) < INPUT_SIZE;
}

void console_receive(u8 byte)
{
    u32 head = input_head;

    if (console_has_room()) {
        input[head % INPUT_SIZE] = byte;
        __atomic_store_n(&input_head, head + 1, __ATOMIC_RELEASE);
    }
    if (reader)
        thread_wake(reader);
}

/* Before the driver is there, which only a panic sees, the firmware's serial line has to do. */
static void put(const char *text, size_t size)
{
    if (console)
        console->write(text, size);
    else
        arch_early_print(text, size);
}

/* The lock is held. A guest ends its lines with CR LF already. */
static void put_lines(const char *text, size_t size)
{
    static char last;
    size_t from = 0;

    for (size_t at = 0; at < size; at++) {
        if (text[at] == '\n' && (at ? text[at - 1] : last) != '\r') {
            put(text + from, at - from);
            put("\r\n", 2);
            from = at + 1;
        }
    }
    put(text + from, size - from);
    if (size) {
        last = text[size - 1];
        at_line_start = last == '\n';
    }
}

/* Lines that wait go where a row ends, or above the one that is being edited. The lock is held. */
static void put_waiting(void)
{
    char more[64];

    if (!waiting_size || kept_whole || (!at_line_start && !edited_size))
        return;
    if (edited_size)
        put_lines("\r\x1b[K", 4);
    put_lines(waiting, waiting_size);
    if (waiting_lost) {
        str_format(more, sizeof(more), "[%u more lines: see log]\n", waiting_lost);
        put_lines(more, strlen(more));
    }
    waiting_size = 0;
    waiting_lost = 0;
    put_lines(edited, edited_size);
}

/* The lock is held. */
static void put_text(const char *text, size_t size)
{
    put_lines(text, size);
    put_waiting();
}

/* How much of a text to write in one go: whole lines, if there are. */
static size_t piece_size(const char *text, size_t size)
{
    size_t n = MIN(size, PIECE);

    if (n == size)
        return n;
    while (n && text[n - 1] != '\n')
        n--;
    return n ? n : PIECE;
}

void console_write(const char *text, size_t size)
{
    while (size) {
        size_t n = piece_size(text, size);

        lock_acquire(&output_lock);
        put_text(text, n);
        lock_release(&output_lock);
        text += n;
        size -= n;
        if (!last_words && thread_current())
            thread_yield();
    }
}

void console_edit(const char *update, size_t size, const char *image, size_t image_size)
{
    lock_acquire(&output_lock);
    edited_size = MIN(image_size, sizeof(edited));
    memcpy(edited, image, edited_size);
    put_text(update, size);
    lock_release(&output_lock);
}

static void wait_for_place(const char *line, size_t size)
{
    if (waiting_lost || size > sizeof(waiting) - waiting_size) {
        waiting_lost++;
        return;
    }
    memcpy(waiting + waiting_size, line, size);
    waiting_size += size;
}

void console_print_above(const char *line)
{
    lock_acquire(&output_lock);
    wait_for_place(line, strlen(line));
    put_waiting();
    lock_release(&output_lock);
}

void console_keep_whole(bool whole)
{
    lock_acquire(&output_lock);
    kept_whole = whole;
    put_waiting();
    lock_release(&output_lock);
}

void console_print(const char *text)
{
    console_write(text, strlen(text));
}

void console_printf(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    console_print(text);
}

static bool take(int *byte)
{
    u32 tail = input_tail;

    if (tail == __atomic_load_n(&input_head, __ATOMIC_ACQUIRE))
        return false;
    *byte = input[tail % INPUT_SIZE];
    __atomic_store_n(&input_tail, tail + 1, __ATOMIC_RELEASE);
    return true;
}

int console_read(u64 timeout_ns)
{
    u64 now = time_now(), end = timeout_ns > U64_MAX - now ? U64_MAX : now + timeout_ns;
    int byte;

    reader = thread_current();
    for (;;) {
        if (poll_line)
            poll_line();
        if (take(&byte))
            return byte;
        now = time_now();
        if (now >= end)
            return -1;
        thread_sleep_until(MIN(end, now + POLL_PERIOD));
    }
}

void console_last_words(void)
{
    last_words = true;
    kept_whole = false;
    lock_release(&output_lock);
    console_print(at_line_start ? "" : "\n");
}

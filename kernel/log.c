/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/log.h"
#include "kernel/console.h"
#include "kernel/lock.h"
#include "kernel/string.h"
#include "kernel/timer.h"

#define LOG_LINES 512
#define LOG_TEXT  244

struct entry {
    u64 ns;
    u32 level;
    char text[LOG_TEXT];
};
ASSERT_SIZE(struct entry, 256);

static struct entry ring[LOG_LINES];
static u64 written; /* lines ever; the newest is at (written - 1) % LOG_LINES */
static struct lock log_lock;
static enum log_level console_level = LOG_INFO;

void log_set_console_level(enum log_level level)
{
    console_level = level;
}

static void show(const struct entry *e)
{
    char line[LOG_TEXT + 32];

    str_format(line, sizeof(line), "[%5llu.%03llu] %s%s\n",
               (unsigned long long)(e->ns / 1000000000),
               (unsigned long long)(e->ns / 1000000 % 1000),
               e->level == LOG_ERROR  ? "error: "
               : e->level == LOG_WARN ? "warning: "
                                      : "",
               e->text);
    console_print_above(line);
}

void log_line(enum log_level level, const char *format, ...)
{
    struct entry e = {.ns = time_now(), .level = level};
    va_list args;

    va_start(args, format);
    str_vformat(e.text, sizeof(e.text), format, args);
    va_end(args);
    lock_acquire(&log_lock);
    ring[written++ % LOG_LINES] = e;
    lock_release(&log_lock);
    if (level <= console_level)
        show(&e);
}

void log_walk(enum log_level level, void (*line)(void *, u64, enum log_level, const char *),
              void *ctx)
{
    u64 end = written;
    u64 at = end > LOG_LINES ? end - LOG_LINES : 0;

    for (; at < end; at++) {
        struct entry e;

        lock_acquire(&log_lock);
        e = ring[at % LOG_LINES];
        lock_release(&log_lock);
        if (e.level <= level)
            line(ctx, e.ns, e.level, e.text);
    }
}

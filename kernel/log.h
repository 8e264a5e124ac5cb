/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: lines with a time and a level, kept in a ring in memory, and shown on the console from
 * a level on. `log` in the shell prints the ring. Any context, any CPU. */
#pragma once
#include "kernel/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };

void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

/* Lines up to this level also go to the console; LOG_INFO at boot, LOG_WARN once the shell runs. */
void log_set_console_level(enum log_level level);
/* Calls line() for every line that is still there and is at most `level`, oldest first. The lines
 * are copied one by one, so others may log meanwhile. */
void log_walk(enum log_level level,
              void (*line)(void *ctx, u64 ns, enum log_level level, const char *text), void *ctx);

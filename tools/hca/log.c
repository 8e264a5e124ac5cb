/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdarg.h>
#include "tools/hca/hca.h"

static void say(struct hca *h, const char *prefix, const char *format, va_list args)
{
    u64 ms = h->now() / 1000000;

    fprintf(h->log, "%llu.%03llu %s", (unsigned long long)(ms / 1000),
            (unsigned long long)(ms % 1000), prefix);
    vfprintf(h->log, format, args);
    fputc('\n', h->log);
    fflush(h->log);
}

void hca_log(struct hca *h, int level, const char *format, ...)
{
    va_list args;

    if (level > h->options.level)
        return;
    va_start(args, format);
    say(h, "", format, args);
    va_end(args);
}

/* FNV-1a: the same sentence has the same number in every build. */
static u32 number_of(const char *sentence)
{
    u32 hash = 2166136261u;

    while (*sentence)
        hash = (hash ^ (u8)*sentence++) * 16777619u;
    return hash | 1;
}

enum mlx_status hca_refuse(struct hca *h, enum mlx_status status, const char *format, ...)
{
    va_list args;

    h->refused++;
    h->syndrome = number_of(format);
    if (h->log) {
        va_start(args, format);
        say(h, "refused: ", format, args);
        va_end(args);
    }
    return status;
}

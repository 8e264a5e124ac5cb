/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/err.h"
#include "kernel/string.h"

const char *err_name(enum err e)
{
    static const char *const names[ERR_COUNT] = {
        [OK] = "ok",
        [E_INVAL] = "malformed argument",
        [E_NOMEM] = "out of memory",
        [E_NOENT] = "not found",
        [E_EXIST] = "already there",
        [E_RANGE] = "out of range",
        [E_UNSUPPORTED] = "not supported",
        [E_STATE] = "not in this state",
        [E_AGAIN] = "not yet",
        [E_TIMEOUT] = "timed out",
        [E_IO] = "device error",
        [E_FORMAT] = "malformed data",
    };

    return (unsigned)e < ERR_COUNT && names[e] ? names[e] : "unknown error";
}

enum err why_set(struct why *why, enum err e, const char *format, ...)
{
    va_list args;

    if (why) {
        va_start(args, format);
        str_vformat(why->text, sizeof(why->text), format, args);
        va_end(args);
    }
    return e;
}

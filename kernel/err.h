/* SPDX-License-Identifier: BSD-2-Clause */
/* What went wrong, as a small closed set, and why, as a sentence for a person.
 *
 * A function that can fail returns enum err. One whose refusal a user will read also takes a
 * struct why and says in it what is wrong and what would help; callers pass it up unchanged. */
#pragma once
#include "kernel/types.h"

enum err {
    OK = 0,
    E_INVAL,       /* an argument is malformed */
    E_NOMEM,       /* no frame or table entry is left */
    E_NOENT,       /* nothing has that name or address */
    E_EXIST,       /* the name or place is taken */
    E_RANGE,       /* an address, index or length is out of range */
    E_UNSUPPORTED, /* the CPU, firmware or format lacks what is needed */
    E_STATE,       /* not in the present state */
    E_AGAIN,       /* not yet: it is on its way */
    E_TIMEOUT,     /* the other side did not answer in time */
    E_IO,          /* a device failed */
    E_FORMAT,      /* data from outside does not have the layout that it claims */
    ERR_COUNT
};

/* The name of an error for logs: "out of memory". Never NULL. */
const char *err_name(enum err e);

struct why {
    char text[200];
};

/* Writes the sentence and returns e, so that a refusal is one line:
 *     return why_set(why, E_RANGE, "memory %llu MiB: at least 4 MiB are needed", mib);
 * why may be NULL. */
enum err why_set(struct why *why, enum err e, const char *format, ...) PRINTF_LIKE(3, 4);

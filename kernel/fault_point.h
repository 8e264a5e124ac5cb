/* SPDX-License-Identifier: BSD-2-Clause */
/* Places where a test can make something fail: `if (fault_point()) return E_...`. They are numbered in the order in which
 * they are passed, so a test fails the first, the second, ... until a run needs no more. In the image there is nothing
 * of it. */
#pragma once
#include "kernel/types.h"

#ifdef FERRY_HOST
/* true: fail here. */
bool fault_point(void);
#else
static inline bool fault_point(void)
{
    return false;
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/* Resets itself as fast as it can. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    (void)cmdline;
    out8(PORT_RESET, RESET_VALUE);
}

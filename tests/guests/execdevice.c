/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs code where the local APIC is: the VM stops and says so. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    (void)cmdline;
    print("jumping\n");
    ((void (*)(void))(GUEST_LAPIC + 0x100))();
    check(false, "code in a device does not run", "it did");
}

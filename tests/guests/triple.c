/* SPDX-License-Identifier: BSD-2-Clause */
/* A fault with no IDT to deliver it: the VM stops as by a triple fault. */
#include "tests/guests/lib/guest.h"

void guest_main(const char *cmdline)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED none = {0, 0};

    (void)cmdline;
    print("going down\n");
    __asm__ volatile("lidt %0; ud2" : : "m"(none));
}

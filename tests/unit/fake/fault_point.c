/* SPDX-License-Identifier: BSD-2-Clause */
/* Fault points on the build host: counted, and one of them fails. */
#include "kernel/fault_point.h"
#include "fake.h"

static u64 passed, fails_at;

void fake_fail_at(u64 number)
{
    passed = 0;
    fails_at = number;
}

bool fake_has_failed(void)
{
    return fails_at && passed >= fails_at;
}

bool fault_point(void)
{
    return ++passed == fails_at;
}

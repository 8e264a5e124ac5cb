/* SPDX-License-Identifier: BSD-2-Clause */
/* The time that a guest sees, as device models take it: an argument, never asked for. */
#pragma once
#include "kernel/types.h"

struct vtime {
    u64 ns; /* guest nanoseconds since its power-on; runs backwards by a moment where vCPUs change CPUs */
    u64 tsc;     /* the guest's time-stamp counter at that moment */
    u32 tsc_khz; /* and its rate */
};

#define VTIME_NEVER U64_MAX

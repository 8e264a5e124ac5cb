/* SPDX-License-Identifier: BSD-2-Clause */
/* Start-up steps, by level. A module that has one says so where it is defined; the linker makes
 * the table, and kernel/main.c runs it on the boot CPU in order, after frames, heap and threads are
 * there. No step may fail the boot: it logs what is missing and leaves it off. */
#pragma once
#include "kernel/types.h"

struct boot_info;

struct init_step {
    const char *name;
    void (*run)(const struct boot_info *boot);
};

/* Levels: 0 console, 1 virtualisation, 2 CPUs, 3 devices, 4 VMs and network, 5 shell. */
#define INIT_STEP(level, fn)                                                                       \
    static const struct init_step init_step_##fn                                                   \
        __attribute__((used, aligned(8), section(".init_table." #level "." #fn))) = {#fn, fn}

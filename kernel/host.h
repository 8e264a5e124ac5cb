/* SPDX-License-Identifier: BSD-2-Clause */
/* This host: its configuration and the files that the loader brought. Read-only after start-up. */
#pragma once
#include "kernel/boot_info.h"
#include "kernel/config.h"

extern struct config host_config;
extern const struct boot_info *host_boot;

/* The file of that name from the boot volume, or NULL. */
const struct boot_file *host_file(const char *name);

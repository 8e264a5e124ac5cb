/* SPDX-License-Identifier: BSD-2-Clause */
/* Names for addresses, from the ELF file that the loader left in memory. */
#pragma once
#include "kernel/boot_info.h"

void symbols_init(const struct boot_info *boot);
/* The function at the address and the offset in it; NULL if none is known. */
const char *symbol_find(u64 address, u64 *offset);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The arguments of `vm create`, turned into what a section of ferry.cfg gives. */
#pragma once
#include "kernel/config.h"

/* argv: NAME [like OTHER] [key=value]...; base is OTHER's configuration, or NULL for none. A key stands
 * for the key of ferry.cfg; modules replace those of base. E_INVAL. */
enum err create_parse(struct config_vm *vm, unsigned argc, char **argv,
                      const struct config_vm *base, struct why *why) MUST_CHECK;
/* The options: "kernel=" and so on, index from 0; NULL behind the last. */
const char *create_option(unsigned index);

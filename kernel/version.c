/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/version.h"

#ifndef FERRY_BUILD /* tools/make/version.mk defines it in a checkout */
#define FERRY_BUILD "unknown"
#endif

const char ferry_build[] = FERRY_BUILD;

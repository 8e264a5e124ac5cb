/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once
#include "kernel/types.h"

/* The n-th run of the scenarios of claims.c. */
void claims_run(u64 n);

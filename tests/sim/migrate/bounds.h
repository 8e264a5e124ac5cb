/* SPDX-License-Identifier: BSD-2-Clause */
/* What one peer can make a host do: scenario n. */
#pragma once
#include "kernel/types.h"

void bounds_run(u64 n);

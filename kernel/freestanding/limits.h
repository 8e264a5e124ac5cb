/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once
#define UINT_MAX   __INT_MAX__ * 2U + 1U
#define ULLONG_MAX __LONG_LONG_MAX__ * 2ULL + 1ULL

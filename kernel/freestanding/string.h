/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once
#include "kernel/string.h"

/* SPDX-License-Identifier: BSD-2-Clause */
/* Which build of Ferry this is: the commit that it was made from, with "-dirty" if there was more. */
#pragma once

extern const char ferry_build[];

/* SPDX-License-Identifier: BSD-2-Clause */
/* The 16 SSE registers, to memory and back, as instructions without VEX know them: the upper halves of the YMM
 * registers, MXCSR and the x87 are neither looked at nor changed, and XCR0 does not matter. */
#pragma once
#include "kernel/types.h"

struct xmm {
    u8 reg[16][16];
};

static inline void xmm_save(struct xmm *x)
{
    __asm__ volatile("movups %%xmm0, 0x00(%0); movups %%xmm1, 0x10(%0);"
                     "movups %%xmm2, 0x20(%0); movups %%xmm3, 0x30(%0);"
                     "movups %%xmm4, 0x40(%0); movups %%xmm5, 0x50(%0);"
                     "movups %%xmm6, 0x60(%0); movups %%xmm7, 0x70(%0);"
                     "movups %%xmm8, 0x80(%0); movups %%xmm9, 0x90(%0);"
                     "movups %%xmm10, 0xa0(%0); movups %%xmm11, 0xb0(%0);"
                     "movups %%xmm12, 0xc0(%0); movups %%xmm13, 0xd0(%0);"
                     "movups %%xmm14, 0xe0(%0); movups %%xmm15, 0xf0(%0)"
                     :
                     : "r"(x)
                     : "memory");
}

static inline void xmm_load(const struct xmm *x)
{
    __asm__ volatile("movups 0x00(%0), %%xmm0; movups 0x10(%0), %%xmm1;"
                     "movups 0x20(%0), %%xmm2; movups 0x30(%0), %%xmm3;"
                     "movups 0x40(%0), %%xmm4; movups 0x50(%0), %%xmm5;"
                     "movups 0x60(%0), %%xmm6; movups 0x70(%0), %%xmm7;"
                     "movups 0x80(%0), %%xmm8; movups 0x90(%0), %%xmm9;"
                     "movups 0xa0(%0), %%xmm10; movups 0xb0(%0), %%xmm11;"
                     "movups 0xc0(%0), %%xmm12; movups 0xd0(%0), %%xmm13;"
                     "movups 0xe0(%0), %%xmm14; movups 0xf0(%0), %%xmm15"
                     :
                     : "r"(x)
                     : "memory");
}

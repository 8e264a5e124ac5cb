/* SPDX-License-Identifier: BSD-2-Clause */
/* An interrupt message, as an IOAPIC or a local APIC sends it (SDM 3A 11.6.1, 11.11.2). */
#pragma once
#include "kernel/types.h"

enum irq_delivery {
    IRQ_FIXED = 0,
    IRQ_LOWEST = 1,
    IRQ_SMI = 2,
    IRQ_NMI = 4,
    IRQ_INIT = 5,
    IRQ_SIPI = 6,
    IRQ_EXTINT = 7
};

struct irq_msg {
    u32 dest; /* 8 bits, or 32 from an x2APIC; all ones is everyone */
    u8 vector;
    u8 delivery; /* enum irq_delivery, or the reserved 3 */
    bool logical;
    bool level;
    bool wide; /* dest has 32 bits */
};

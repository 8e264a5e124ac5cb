/* SPDX-License-Identifier: BSD-2-Clause */
/* The interrupt controllers of one virtual machine, wired as on a PC:
 *
 *     GSI 0 (PIT) -+-> PIC input 0          PIC INTR -+-> IOAPIC pin 0
 *                  +-> IOAPIC pin 2                   +-> LINT0 of vCPU 0
 *     GSI 1, 3-15 ---> PIC input n and IOAPIC pin n
 *     GSI 16-23   ---> IOAPIC pin n
 *
 * vCPU n has APIC id n. While the local APIC of vCPU 0 is disabled, in hardware or by software,
 * LINT0 is its plain INTR pin.
 *
 * The caller holds its VM's lock around every call. After any of them `kick` may have gained bits:
 * vCPUs that have something new to look at; the caller takes them, clears them, and wakes or
 * interrupts those vCPUs. struct irqchip is the whole state, kick included. */
#pragma once
#include "vmm/dev/ioapic.h"
#include "vmm/dev/lapic.h"
#include "vmm/dev/pic.h"
#include "vmm/layout.h"

/* Requests to a vCPU that are not interrupts; its loop clears them by the take functions. */
struct irqchip_cpu {
    u8 init_pending;
    u8 sipi_pending;
    u8 sipi_vector; /* start at vector << 12 */
    u8 nmi_pending;
};

struct irqchip {
    u64 kick;
    u32 vcpus;
    u32 pic_intr; /* level of INTR as of the last change */
    struct irqchip_cpu cpu[VM_MAX_VCPUS];
    struct lapic lapic[VM_MAX_VCPUS];
    struct ioapic ioapic;
    struct pic pic;
};

/* vcpus: 1 to VM_MAX_VCPUS. */
void irqchip_init(struct irqchip *chip, unsigned vcpus);

/* Level of a GSI; false: there is no such line (above 23, or 2). */
bool irqchip_line(struct irqchip *chip, unsigned gsi, bool level);

/* The vector to inject now, or -1; changes nothing. accept takes it (it is in service then). */
int irqchip_pending_vector(const struct irqchip *chip, unsigned cpu);
int irqchip_accept(struct irqchip *chip, unsigned cpu);
/* It was accepted, or the NMI taken, and the delivery was interrupted by an exception: it is due behind that. */
void irqchip_give_back(struct irqchip *chip, unsigned cpu, u8 vector);
void irqchip_give_back_nmi(struct irqchip *chip, unsigned cpu);
/* Is there anything that ends a HLT (with interrupts enabled)? */
bool irqchip_has_work(const struct irqchip *chip, unsigned cpu);

/* Each returns true once for a pending request. INIT resets the local APIC, and withdraws a SIPI
 * that came before it; a vCPU that does not wait for a SIPI takes it and ignores it. */
bool irqchip_take_init(struct irqchip *chip, unsigned cpu);
bool irqchip_take_sipi(struct irqchip *chip, unsigned cpu, u8 *vector);
bool irqchip_take_nmi(struct irqchip *chip, unsigned cpu);

/* MSRs 1b, 6e0, 800 to 8ff; false: #GP. */
bool irqchip_owns_msr(u32 msr);
bool irqchip_read_msr(struct irqchip *chip, unsigned cpu, u32 msr, u64 *value,
                      const struct vtime *now);
bool irqchip_write_msr(struct irqchip *chip, unsigned cpu, u32 msr, u64 value,
                       const struct vtime *now);

/* The pages GUEST_LAPIC and GUEST_IOAPIC. size 1, 2, 4 or 8; of 8 the low half counts. */
bool irqchip_owns_gpa(gpa_t gpa);
u32 irqchip_mmio_read(struct irqchip *chip, unsigned cpu, gpa_t gpa, u8 size,
                      const struct vtime *now);
void irqchip_mmio_write(struct irqchip *chip, unsigned cpu, gpa_t gpa, u8 size, u32 value,
                        const struct vtime *now);

/* Ports of the PICs: 20, 21, a0, a1, 4d0, 4d1. */
u8 irqchip_pic_in(struct irqchip *chip, u16 port);
void irqchip_pic_out(struct irqchip *chip, u16 port, u8 value);

/* The local APIC timer of a vCPU. */
u64 irqchip_next(const struct irqchip *chip, unsigned cpu, const struct vtime *now);
void irqchip_tick(struct irqchip *chip, unsigned cpu, const struct vtime *now);

/* CR8 is the TPR's upper half. */
u8 irqchip_get_cr8(const struct irqchip *chip, unsigned cpu);
void irqchip_set_cr8(struct irqchip *chip, unsigned cpu, u8 cr8);

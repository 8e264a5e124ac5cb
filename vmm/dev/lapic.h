/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC (SDM 3A chapter 11): xAPIC registers at GUEST_LAPIC, or x2APIC MSRs 800 to 8ff, one
 * table of registers for both; IA32_APIC_BASE and IA32_TSC_DEADLINE. Its timer counts
 * LAPIC_TIMER_HZ, before the divider. SMI, CMCI and EOI-broadcast suppression are absent.
 *
 * Pure logic; the caller holds its VM's lock. struct lapic is the whole state. What a register
 * write makes the rest of the machine do is returned as a struct lapic_action. */
#pragma once
#include "vmm/dev/irqmsg.h"
#include "vmm/dev/vtime.h"

#define LAPIC_TIMER_HZ 1000000000u /* a tick is a nanosecond */
#define LAPIC_VERSION  0x00050014u /* integrated APIC, LVT entries 0 to 5 */

#define MSR_APIC_BASE    0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC       0x800
#define MSR_X2APIC_LAST  0x8ff

#define APIC_BASE_BSP    BIT(8)
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)

/* The order of their registers, 320 to 370. */
enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PMC, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
#define LVT_MASKED        0x10000u
#define LVT_DELIVERY(lvt) (((lvt) >> 8) & 7)

struct lapic {
    u64 base;          /* IA32_APIC_BASE */
    u64 timer_expires; /* one-shot and periodic: guest ns, or VTIME_NEVER */
    u64 tsc_deadline;  /* IA32_TSC_DEADLINE; 0: disarmed */
    u32 id;
    u32 tpr;
    u32 ldr, dfr; /* xAPIC; the LDR of an x2APIC follows from its id */
    u32 svr;
    u32 esr, esr_pending; /* as read, and as gathered for the next ESR write */
    u32 icr_low, icr_high;
    u32 timer_initial, timer_divide;
    u32 lvt[LVT_COUNT];
    u32 irr[8], isr[8], tmr[8];
    u32 reserved;
};
ASSERT_SIZE(struct lapic, 192);

struct lapic_action {
    enum { LAPIC_NOTHING, LAPIC_EOI, LAPIC_IPI } kind;
    u8 vector; /* EOI: of a level-triggered interrupt, to be told to the IOAPIC */
    u32 icr;   /* IPI: ICR bits 31:0 */
    u32 dest;  /* IPI: 8 bits, or 32 from an x2APIC */
};

/* Power-on state; bsp: IA32_APIC_BASE says that this is the bootstrap processor. */
void lapic_init(struct lapic *l, u32 id, bool bsp);
/* INIT: everything but the id and IA32_APIC_BASE (SDM 3A 11.4.7.3). */
void lapic_reset(struct lapic *l);

bool lapic_enabled(const struct lapic *l);          /* IA32_APIC_BASE */
bool lapic_software_enabled(const struct lapic *l); /* and SVR */
bool lapic_is_x2apic(const struct lapic *l);

/* Registers. MSR 1b, 6e0 and 800 to 8ff; false: #GP. */
bool lapic_read_msr(struct lapic *l, u32 msr, u64 *value, const struct vtime *now);
bool lapic_write_msr(struct lapic *l, u32 msr, u64 value, const struct vtime *now,
                     struct lapic_action *action);
/* Offset 0 to fff in the page, size in bytes. Whatever is not a register, or not a whole aligned
 * one, is ignored; all ones and ignored where xAPIC mode is off. */
u32 lapic_read_mmio(struct lapic *l, u32 offset, u8 size, const struct vtime *now);
void lapic_write_mmio(struct lapic *l, u32 offset, u8 size, u32 value, const struct vtime *now,
                      struct lapic_action *action);
u8 lapic_get_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, u8 cr8); /* bits 3:0 */

/* Is this APIC among the destinations? */
bool lapic_matches(const struct lapic *l, const struct irq_msg *msg);
/* A fixed interrupt arrives; false: refused (the APIC is disabled, or the vector is below 16). */
bool lapic_accept(struct lapic *l, u8 vector, bool level);
/* Bits of the ESR. Notes an error; the error LVT may raise its interrupt. */
#define ESR_SEND_VECTOR     0x20u
#define ESR_RECEIVE_VECTOR  0x40u
#define ESR_ILLEGAL_ADDRESS 0x80u
void lapic_error(struct lapic *l, u32 bit);

/* PPR (SDM 3A 11.8.3.1). */
u8 lapic_ppr(const struct lapic *l);
/* The vector that is due now, PPR considered, or -1; take moves it from the IRR to the ISR. */
int lapic_pending(const struct lapic *l);
int lapic_take(struct lapic *l);
/* It was taken and could not be delivered: it is pending again. False: it was not taken here. */
bool lapic_give_back(struct lapic *l, u8 vector);
/* Ends the interrupt in service; true: it was level triggered, and *vector is to be told. */
bool lapic_eoi(struct lapic *l, u8 *vector);

/* The state as it travels, after a tick: timer_expires is the time left, or VTIME_NEVER. bsp and id are those of its place. */
void lapic_save(const struct lapic *l, struct lapic *saved, const struct vtime *now);
bool lapic_is_valid(const struct lapic *saved, u32 id, bool bsp);
void lapic_load(struct lapic *l, const struct lapic *saved, const struct vtime *now);

/* Timer (lapic_timer.c). */
void lapic_tick(struct lapic *l, const struct vtime *now);
/* Guest ns when the timer's interrupt comes next; VTIME_NEVER where none will. */
u64 lapic_next(const struct lapic *l, const struct vtime *now);
u32 lapic_timer_count(const struct lapic *l, const struct vtime *now);
/* Each expects lapic_tick first, so that what has expired under the old setting counts. */
void lapic_timer_set_count(struct lapic *l, u32 initial, const struct vtime *now);
void lapic_timer_set_divide(struct lapic *l, u32 divide, const struct vtime *now);
void lapic_timer_set_lvt(struct lapic *l, u32 lvt);
void lapic_timer_set_deadline(struct lapic *l, u64 tsc);
u64 lapic_timer_deadline(const struct lapic *l);
/* Of a state that travels: can the timer be in it? */
bool lapic_timer_is_valid(const struct lapic *saved);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Local APIC: modes, priorities, acceptance and destinations. Registers are in lapic_regs.c. */
#include "vmm/dev/lapic.h"
#include "vmm/layout.h"

#define SVR_ENABLE 0x100u
#define SVR_RESET  0xffu
#define CLASS(v)   ((v)&0xf0u)

void lapic_reset(struct lapic *l)
{
    *l = (struct lapic){
        .base = l->base,
        .id = l->id,
        .timer_expires = VTIME_NEVER,
        .dfr = 0xffffffff,
        .svr = SVR_RESET,
    };
    for (unsigned i = 0; i < LVT_COUNT; i++)
        l->lvt[i] = LVT_MASKED;
}

void lapic_init(struct lapic *l, u32 id, bool bsp)
{
    l->id = id;
    l->base = GUEST_LAPIC | APIC_BASE_ENABLE | (bsp ? APIC_BASE_BSP : 0);
    lapic_reset(l);
}

bool lapic_enabled(const struct lapic *l)
{
    return l->base & APIC_BASE_ENABLE;
}

bool lapic_software_enabled(const struct lapic *l)
{
    return lapic_enabled(l) && (l->svr & SVR_ENABLE);
}

bool lapic_is_x2apic(const struct lapic *l)
{
    return l->base & APIC_BASE_X2APIC;
}

static void set_bit(u32 *bank, u8 vector)
{
    bank[vector / 32] |= 1u << vector % 32;
}

static void clear_bit(u32 *bank, u8 vector)
{
    bank[vector / 32] &= ~(1u << vector % 32);
}

static bool test_bit(const u32 *bank, u8 vector)
{
    return bank[vector / 32] >> vector % 32 & 1;
}

/* The highest vector in a bank of 256 bits, or -1. */
static int highest(const u32 *bank)
{
    for (int i = 7; i >= 0; i--)
        if (bank[i])
            return i * 32 + 31 - __builtin_clz(bank[i]);
    return -1;
}

u8 lapic_ppr(const struct lapic *l)
{
    int serving = highest(l->isr);
    u32 isrv = serving < 0 ? 0 : (u32)serving;

    return (u8)(CLASS(l->tpr) >= CLASS(isrv) ? l->tpr : CLASS(isrv));
}

int lapic_pending(const struct lapic *l)
{
    int vector = highest(l->irr);

    if (!lapic_enabled(l) || vector < 0 || CLASS((u32)vector) <= CLASS((u32)lapic_ppr(l)))
        return -1;
    return vector;
}

int lapic_take(struct lapic *l)
{
    int vector = lapic_pending(l);

    if (vector >= 0) {
        clear_bit(l->irr, (u8)vector);
        set_bit(l->isr, (u8)vector);
    }
    return vector;
}

bool lapic_give_back(struct lapic *l, u8 vector)
{
    bool taken = l->isr[vector / 32] >> vector % 32 & 1;

    if (taken) {
        clear_bit(l->isr, vector);
        set_bit(l->irr, vector);
    }
    return taken;
}

bool lapic_eoi(struct lapic *l, u8 *vector)
{
    int serving = highest(l->isr);

    if (serving < 0)
        return false;
    *vector = (u8)serving;
    clear_bit(l->isr, *vector);
    return test_bit(l->tmr, *vector);
}

void lapic_error(struct lapic *l, u32 bit)
{
    u32 lvt = l->lvt[LVT_ERROR];

    l->esr_pending |= bit;
    if (lvt & LVT_MASKED)
        return;
    if ((u8)lvt < 16) /* not delivered; it must not raise itself again */
        l->esr_pending |= ESR_RECEIVE_VECTOR;
    else
        lapic_accept(l, (u8)lvt, false);
}

bool lapic_accept(struct lapic *l, u8 vector, bool level)
{
    if (!lapic_software_enabled(l))
        return false;
    if (vector < 16) {
        lapic_error(l, ESR_RECEIVE_VECTOR);
        return false;
    }
    set_bit(l->irr, vector);
    if (level)
        set_bit(l->tmr, vector);
    else
        clear_bit(l->tmr, vector);
    return true;
}

/* SDM 3A 11.12.10.2: cluster 31:16, one bit of 15:0 in it. */
static bool matches_x2apic_logical(const struct lapic *l, u32 dest)
{
    return dest >> 16 == l->id >> 4 && (dest >> (l->id & 15) & 1);
}

/* SDM 3A 11.6.2.2: the flat model compares 8 bits, the cluster model 4 and 4. */
static bool matches_xapic_logical(const struct lapic *l, u32 dest)
{
    u32 own = l->ldr >> 24;

    switch (l->dfr >> 28) {
    case 0xf: return own & dest;
    case 0x0: return dest >> 4 == own >> 4 && (own & dest & 0xf);
    default: return false;
    }
}

bool lapic_matches(const struct lapic *l, const struct irq_msg *msg)
{
    if (msg->dest == (msg->wide ? 0xffffffff : 0xff))
        return true;
    if (!msg->logical)
        return msg->dest == l->id;
    if (lapic_is_x2apic(l))
        return matches_x2apic_logical(l, msg->dest);
    return msg->dest <= 0xff && matches_xapic_logical(l, msg->dest);
}

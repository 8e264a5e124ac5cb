/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's registers: one table for xAPIC (offset n0h in the page) and x2APIC (MSR
 * 800h + n). SDM 3A table 11-1 and table 11-6. */
#include "vmm/dev/lapic.h"
#include "vmm/layout.h"

enum { REG_EOI = 0x0b, REG_ICR_LOW = 0x30, REG_ICR_HIGH = 0x31, REG_LVT = 0x32, REG_COUNT = 0x40 };

/* Who may do what: X is xAPIC, X2 is x2APIC. */
#define X_READ   0x1
#define X_WRITE  0x2
#define X2_READ  0x4
#define X2_WRITE 0x8
#define READ     (X_READ | X2_READ)
#define WRITE    (X_WRITE | X2_WRITE)

#define SVR_VALID         0x1ffu
#define SVR_ENABLE        0x100u
#define LVT_VECTOR        0xffu
#define LVT_MODE          0x700u
#define LVT_STATUS        0x1000u /* delivery status: read only */
#define LVT_POLARITY      0x2000u
#define LVT_REMOTE_IRR    0x4000u /* read only */
#define LVT_LEVEL         0x8000u
#define LVT_TIMER_MODE    0x60000u
#define ICR_VALID         0xccfffu /* vector, modes, level, trigger, shorthand */
#define ICR_STATUS        0x1000u  /* delivery status: always idle */
#define ICR_VECTOR(icr)   ((u8)(icr))
#define ICR_DELIVERY(icr) (((icr) >> 8) & 7)
#define ICR_SELF          0x40000u

struct row {
    u8 access;
    u8 bank;     /* 7 for the eight registers of a 256-bit bank, else 0 */
    u16 offset;  /* into struct lapic, where there is no function */
    u32 valid;   /* bits that a write may set; a write of others is #GP in x2APIC mode... */
    u32 ignored; /* ...but for these */
    u32 (*read)(const struct lapic *l, const struct vtime *now);
    void (*write)(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a);
};

static u32 read_id(const struct lapic *l, const struct vtime *now)
{
    (void)now;
    return lapic_is_x2apic(l) ? l->id : l->id << 24;
}

static u32 read_version(const struct lapic *l, const struct vtime *now)
{
    (void)l;
    (void)now;
    return LAPIC_VERSION;
}

static u32 read_ppr(const struct lapic *l, const struct vtime *now)
{
    (void)now;
    return lapic_ppr(l);
}

/* Arbitration priority: the highest class of TPR, ISR and IRR; with its subclass if it is the
 * TPR's (SDM 3A 11.6.2.4). What is pending is always of a higher class than the PPR. */
static u32 read_apr(const struct lapic *l, const struct vtime *now)
{
    int vector = lapic_pending(l);

    (void)now;
    return vector >= 0 ? (u32)vector & 0xf0 : lapic_ppr(l);
}

/* SDM 3A 11.12.10.2. */
static u32 read_ldr(const struct lapic *l, const struct vtime *now)
{
    (void)now;
    return lapic_is_x2apic(l) ? (l->id >> 4) << 16 | 1u << (l->id & 15) : l->ldr;
}

static void write_eoi(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a)
{
    (void)value;
    (void)now;
    if (lapic_eoi(l, &a->vector))
        a->kind = LAPIC_EOI;
}

static void write_dfr(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a)
{
    (void)now;
    (void)a;
    l->dfr = value | 0x0fffffff;
}

/* Software disable masks every LVT entry (SDM 3A 11.4.7.2). */
static void write_svr(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a)
{
    (void)now;
    (void)a;
    l->svr = value;
    for (unsigned i = 0; !(value & SVR_ENABLE) && i < LVT_COUNT; i++)
        l->lvt[i] |= LVT_MASKED;
}

/* A write makes the errors since the last one readable (SDM 3A 11.5.3). */
static void write_esr(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a)
{
    (void)value;
    (void)now;
    (void)a;
    l->esr = l->esr_pending;
    l->esr_pending = 0;
}

static u32 masked_while_disabled(const struct lapic *l, u32 lvt)
{
    return l->svr & SVR_ENABLE ? lvt : lvt | LVT_MASKED;
}

static void write_lvt_timer(struct lapic *l, u32 value, const struct vtime *now,
                            struct lapic_action *a)
{
    (void)now;
    (void)a;
    lapic_timer_set_lvt(l, masked_while_disabled(l, value));
}

#define WRITE_LVT(name, which)                                                                     \
    static void name(struct lapic *l, u32 value, const struct vtime *now, struct lapic_action *a)  \
    {                                                                                              \
        (void)now;                                                                                 \
        (void)a;                                                                                   \
        l->lvt[which] = masked_while_disabled(l, value);                                           \
    }
WRITE_LVT(write_lvt_thermal, LVT_THERMAL)
WRITE_LVT(write_lvt_pmc, LVT_PMC)
WRITE_LVT(write_lvt_lint0, LVT_LINT0)
WRITE_LVT(write_lvt_lint1, LVT_LINT1)
WRITE_LVT(write_lvt_error, LVT_ERROR)

static void write_initial_count(struct lapic *l, u32 value, const struct vtime *now,
                                struct lapic_action *a)
{
    (void)a;
    lapic_timer_set_count(l, value, now);
}

static void write_divide(struct lapic *l, u32 value, const struct vtime *now,
                         struct lapic_action *a)
{
    (void)a;
    lapic_timer_set_divide(l, value, now);
}

/* A vector below 16 is not sent (SDM 3A 11.5.3, "send illegal vector"). */
static void send_ipi(struct lapic *l, u32 icr, u32 dest, struct lapic_action *a)
{
    u32 delivery = ICR_DELIVERY(icr);

    if (delivery <= IRQ_LOWEST && ICR_VECTOR(icr) < 16) {
        lapic_error(l, ESR_SEND_VECTOR);
        return;
    }
    a->kind = LAPIC_IPI;
    a->icr = icr;
    a->dest = dest;
}

static void write_icr_low(struct lapic *l, u32 value, const struct vtime *now,
                          struct lapic_action *a)
{
    (void)now;
    l->icr_low = value;
    send_ipi(l, value, l->icr_high >> 24, a);
}

static void write_self_ipi(struct lapic *l, u32 value, const struct vtime *now,
                           struct lapic_action *a)
{
    (void)now;
    send_ipi(l, ICR_SELF | value, 0, a);
}

#define FIELD(name) .offset = offsetof(struct lapic, name)
#define LVT(n)      .offset = offsetof(struct lapic, lvt) + (n) * sizeof(u32)
#define LVT_BASIC   (LVT_VECTOR | LVT_MASKED)
#define LVT_LINT    (LVT_BASIC | LVT_MODE | LVT_POLARITY | LVT_LEVEL)

/* clang-format off */
static const struct row rows[REG_COUNT] = {
    [0x02] = {READ, .read = read_id},
    [0x03] = {READ, .read = read_version},
    [0x08] = {READ | WRITE, FIELD(tpr), .valid = 0xff},
    [0x09] = {X_READ, .read = read_apr},
    [0x0a] = {READ, .read = read_ppr},
    [REG_EOI] = {WRITE, .write = write_eoi},
    [0x0d] = {READ | X_WRITE, FIELD(ldr), .valid = 0xff000000, .read = read_ldr},
    [0x0e] = {X_READ | X_WRITE, FIELD(dfr), .valid = 0xf0000000, .write = write_dfr},
    [0x0f] = {READ | WRITE, FIELD(svr), .valid = SVR_VALID, .write = write_svr},
    [0x10 ... 0x17] = {READ, FIELD(isr), .bank = 7},
    [0x18 ... 0x1f] = {READ, FIELD(tmr), .bank = 7},
    [0x20 ... 0x27] = {READ, FIELD(irr), .bank = 7},
    [0x28] = {READ | WRITE, FIELD(esr), .write = write_esr},
    [REG_ICR_LOW] = {READ | WRITE, FIELD(icr_low), .valid = ICR_VALID, .ignored = ICR_STATUS,
                     .write = write_icr_low},
    [REG_ICR_HIGH] = {X_READ | X_WRITE, FIELD(icr_high), .valid = 0xff000000},
    [REG_LVT + LVT_TIMER] = {READ | WRITE, LVT(LVT_TIMER), .valid = LVT_BASIC | LVT_TIMER_MODE,
                             .ignored = LVT_STATUS, .write = write_lvt_timer},
    [REG_LVT + LVT_THERMAL] = {READ | WRITE, LVT(LVT_THERMAL), .valid = LVT_BASIC | LVT_MODE,
                               .ignored = LVT_STATUS, .write = write_lvt_thermal},
    [REG_LVT + LVT_PMC] = {READ | WRITE, LVT(LVT_PMC), .valid = LVT_BASIC | LVT_MODE,
                           .ignored = LVT_STATUS, .write = write_lvt_pmc},
    [REG_LVT + LVT_LINT0] = {READ | WRITE, LVT(LVT_LINT0), .valid = LVT_LINT,
                             .ignored = LVT_STATUS | LVT_REMOTE_IRR, .write = write_lvt_lint0},
    [REG_LVT + LVT_LINT1] = {READ | WRITE, LVT(LVT_LINT1), .valid = LVT_LINT,
                             .ignored = LVT_STATUS | LVT_REMOTE_IRR, .write = write_lvt_lint1},
    [REG_LVT + LVT_ERROR] = {READ | WRITE, LVT(LVT_ERROR), .valid = LVT_BASIC,
                             .ignored = LVT_STATUS, .write = write_lvt_error},
    [0x38] = {READ | WRITE, FIELD(timer_initial), .valid = 0xffffffff,
              .write = write_initial_count},
    [0x39] = {READ, .read = lapic_timer_count},
    [0x3e] = {READ | WRITE, FIELD(timer_divide), .valid = 0xb, .write = write_divide},
    [0x3f] = {X2_WRITE, .valid = 0xff, .write = write_self_ipi},
};
/* clang-format on */

static u32 *row_field(struct lapic *l, const struct row *row, unsigned reg)
{
    return (u32 *)((char *)l + row->offset) + (reg & row->bank);
}

static u32 row_read(struct lapic *l, unsigned reg, const struct vtime *now)
{
    const struct row *row = &rows[reg];

    lapic_tick(l, now);
    return row->read ? row->read(l, now) : *row_field(l, row, reg);
}

static void row_write(struct lapic *l, unsigned reg, u32 value, const struct vtime *now,
                      struct lapic_action *a)
{
    const struct row *row = &rows[reg];

    lapic_tick(l, now);
    if (row->write)
        row->write(l, value & row->valid, now, a);
    else
        *row_field(l, row, reg) = value & row->valid;
}

/* The ways between the modes (SDM 3A 11.12.5): not into x2APIC from disabled, and not from x2APIC
 * back to xAPIC but through disabled. Disabling is a reset. The base does not move. */
static bool write_base(struct lapic *l, u64 value)
{
    u64 mode_bits = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    u64 from = l->base & mode_bits, to = value & mode_bits;

    if ((value & ~(mode_bits | APIC_BASE_BSP)) != GUEST_LAPIC || to == APIC_BASE_X2APIC)
        return false;
    if (from == 0 && to == mode_bits)
        return false;
    if (from == mode_bits && to == APIC_BASE_ENABLE)
        return false;
    l->base = (l->base & ~mode_bits) | to;
    if (from && !to)
        lapic_reset(l);
    return true;
}

bool lapic_read_msr(struct lapic *l, u32 msr, u64 *value, const struct vtime *now)
{
    u32 reg = msr - MSR_X2APIC;

    if (msr == MSR_APIC_BASE) {
        *value = l->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        lapic_tick(l, now);
        *value = lapic_timer_deadline(l);
        return true;
    }
    if (!lapic_is_x2apic(l) || reg >= REG_COUNT || !(rows[reg].access & X2_READ))
        return false;
    *value = row_read(l, reg, now);
    if (reg == REG_ICR_LOW)
        *value |= (u64)l->icr_high << 32;
    return true;
}

static bool write_x2apic(struct lapic *l, u32 reg, u64 value, const struct vtime *now,
                         struct lapic_action *action)
{
    if (reg >= REG_COUNT || !(rows[reg].access & X2_WRITE) ||
        ((u32)value & ~(rows[reg].valid | rows[reg].ignored)))
        return false;
    if (reg == REG_ICR_LOW) { /* the one register of 64 bits: the destination is above */
        l->icr_low = (u32)value & rows[reg].valid;
        l->icr_high = (u32)(value >> 32);
        send_ipi(l, l->icr_low, l->icr_high, action);
        return true;
    }
    if (value >> 32)
        return false;
    row_write(l, reg, (u32)value, now, action);
    return true;
}

bool lapic_write_msr(struct lapic *l, u32 msr, u64 value, const struct vtime *now,
                     struct lapic_action *action)
{
    *action = (struct lapic_action){.kind = LAPIC_NOTHING};
    if (msr == MSR_APIC_BASE)
        return write_base(l, value);
    if (msr == MSR_TSC_DEADLINE) {
        lapic_tick(l, now);
        lapic_timer_set_deadline(l, value);
        lapic_tick(l, now); /* it may have passed already */
        return true;
    }
    return lapic_is_x2apic(l) && write_x2apic(l, msr - MSR_X2APIC, value, now, action);
}

static bool mmio_is_on(const struct lapic *l)
{
    return lapic_enabled(l) && !lapic_is_x2apic(l);
}

/* Is there such a register? If not, that is an error of its own kind (SDM 3A 11.5.3). */
static bool mmio_register(struct lapic *l, unsigned reg, u8 access)
{
    if (reg < REG_COUNT && (rows[reg].access & access))
        return true;
    if (reg >= REG_COUNT || !(rows[reg].access & (X_READ | X_WRITE)))
        lapic_error(l, ESR_ILLEGAL_ADDRESS);
    return false;
}

u32 lapic_read_mmio(struct lapic *l, u32 offset, u8 size, const struct vtime *now)
{
    u32 byte = offset & 15, reg = (offset & 0xfff) >> 4;

    if (!mmio_is_on(l))
        return 0xffffffff;
    if (byte > 3 || (byte && byte + size > 4) || !mmio_register(l, reg, X_READ))
        return 0;
    return row_read(l, reg, now) >> 8 * byte;
}

void lapic_write_mmio(struct lapic *l, u32 offset, u8 size, u32 value, const struct vtime *now,
                      struct lapic_action *action)
{
    u32 reg = (offset & 0xfff) >> 4;

    *action = (struct lapic_action){.kind = LAPIC_NOTHING};
    if (!mmio_is_on(l) || (offset & 15) || size < 4 || !mmio_register(l, reg, X_WRITE))
        return;
    row_write(l, reg, value, now, action);
}

u8 lapic_get_cr8(const struct lapic *l)
{
    return (u8)(l->tpr >> 4 & 15);
}

void lapic_set_cr8(struct lapic *l, u8 cr8)
{
    l->tpr = (cr8 & 15u) << 4;
}

/* --- save and load -------------------------------------------------------------------------------- */

void lapic_save(const struct lapic *l, struct lapic *saved, const struct vtime *now)
{
    *saved = *l;
    if (l->timer_expires != VTIME_NEVER)
        saved->timer_expires = l->timer_expires - MIN(now->ns, l->timer_expires);
}

void lapic_load(struct lapic *l, const struct lapic *saved, const struct vtime *now)
{
    *l = *saved;
    if (saved->timer_expires != VTIME_NEVER)
        l->timer_expires = now->ns + saved->timer_expires;
}

static bool base_is_valid(const struct lapic *l, bool bsp)
{
    u64 mode = l->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC);

    return l->base == (GUEST_LAPIC | mode | (bsp ? APIC_BASE_BSP : 0)) && mode != APIC_BASE_X2APIC;
}

static bool lvt_is_valid(const struct lapic *l)
{
    for (unsigned i = 0; i < LVT_COUNT; i++)
        if (l->lvt[i] & ~rows[REG_LVT + i].valid)
            return false;
    return true;
}

bool lapic_is_valid(const struct lapic *l, u32 id, bool bsp)
{
    u32 low_vectors = (l->irr[0] | l->isr[0] | l->tmr[0]) & 0xffff;

    return base_is_valid(l, bsp) && lvt_is_valid(l) && l->id == id && l->tpr <= 0xff &&
           !low_vectors && !(l->ldr & 0xffffff) && (l->dfr | 0xf0000000) == 0xffffffff &&
           !(l->svr & ~SVR_VALID) && l->esr <= 0xff && l->esr_pending <= 0xff &&
           !(l->icr_low & ~ICR_VALID) && !(l->timer_divide & ~0xbu) && !l->reserved &&
           lapic_timer_is_valid(l);
}

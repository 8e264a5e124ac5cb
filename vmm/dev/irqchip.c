/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/irqchip.h"

#define BSP         0
#define PIN_EXTINT  0 /* IOAPIC pin of the PIC's INTR */
#define PIN_PIT     2
#define PIC_LINES   16
#define IOAPIC_MASK 0xffu

/* ICR (SDM 3A figure 11-12). */
#define ICR_LOGICAL        BIT(11)
#define ICR_ASSERT         BIT(14)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
enum { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

void irqchip_init(struct irqchip *chip, unsigned vcpus)
{
    *chip = (struct irqchip){.vcpus = MIN(vcpus, VM_MAX_VCPUS)};
    for (unsigned i = 0; i < VM_MAX_VCPUS; i++)
        lapic_init(&chip->lapic[i], i, i == BSP);
    ioapic_init(&chip->ioapic);
    pic_init(&chip->pic);
}

static void kick(struct irqchip *chip, unsigned cpu)
{
    chip->kick |= BIT(cpu);
}

/* ---- Messages ---- */

static bool deliver_fixed(struct irqchip *chip, unsigned cpu, const struct irq_msg *msg)
{
    if (!lapic_accept(&chip->lapic[cpu], msg->vector, msg->level))
        return false;
    kick(chip, cpu);
    return true;
}

static bool deliver_nmi(struct irqchip *chip, unsigned cpu, const struct irq_msg *msg)
{
    (void)msg;
    chip->cpu[cpu].nmi_pending = 1;
    kick(chip, cpu);
    return true;
}

static bool deliver_init(struct irqchip *chip, unsigned cpu, const struct irq_msg *msg)
{
    (void)msg;
    chip->cpu[cpu].init_pending = 1;
    chip->cpu[cpu].sipi_pending = 0;
    kick(chip, cpu);
    return true;
}

static bool deliver_sipi(struct irqchip *chip, unsigned cpu, const struct irq_msg *msg)
{
    chip->cpu[cpu].sipi_pending = 1;
    chip->cpu[cpu].sipi_vector = msg->vector;
    kick(chip, cpu);
    return true;
}

/* By delivery mode. SMI has no handler here, and ExtINT is a level that takes_pic looks at. */
static bool (*const deliver[8])(struct irqchip *, unsigned, const struct irq_msg *) = {
    [IRQ_FIXED] = deliver_fixed, [IRQ_LOWEST] = deliver_fixed, [IRQ_NMI] = deliver_nmi,
    [IRQ_INIT] = deliver_init,   [IRQ_SIPI] = deliver_sipi,
};

/* Of several, the one whose priority is lowest; the first of equals. */
static u64 lowest_priority(const struct irqchip *chip, u64 cpus)
{
    u64 best = 0;
    u32 best_ppr = 0;

    for (unsigned i = 0; i < chip->vcpus; i++) {
        const struct lapic *l = &chip->lapic[i];

        if (!(cpus & BIT(i)) || !lapic_software_enabled(l))
            continue;
        if (!best || lapic_ppr(l) < best_ppr) {
            best = BIT(i);
            best_ppr = lapic_ppr(l);
        }
    }
    return best;
}

static bool deliver_to(struct irqchip *chip, u64 cpus, const struct irq_msg *msg)
{
    bool taken = false;

    if (msg->delivery == IRQ_LOWEST)
        cpus = lowest_priority(chip, cpus);
    for (unsigned i = 0; i < chip->vcpus && deliver[msg->delivery]; i++)
        if ((cpus & BIT(i)) && lapic_enabled(&chip->lapic[i]))
            taken |= deliver[msg->delivery](chip, i, msg);
    return taken;
}

static u64 destinations(const struct irqchip *chip, const struct irq_msg *msg)
{
    u64 cpus = 0;

    for (unsigned i = 0; i < chip->vcpus; i++)
        if (lapic_matches(&chip->lapic[i], msg))
            cpus |= BIT(i);
    return cpus;
}

static bool send_message(void *context, const struct irq_msg *msg)
{
    struct irqchip *chip = context;

    return deliver_to(chip, destinations(chip, msg), msg);
}

static struct ioapic_bus bus_of(struct irqchip *chip)
{
    return (struct ioapic_bus){send_message, chip};
}

/* Combinations that the SDM calls invalid (3A table 11-3) go nowhere; so does the INIT level
 * de-assert, which processors of today ignore. IPIs are edges. */
static void send_ipi(struct irqchip *chip, unsigned cpu, const struct lapic_action *action)
{
    u32 icr = action->icr, shorthand = ICR_SHORTHAND(icr);
    struct irq_msg msg = {
        .dest = action->dest,
        .vector = (u8)icr,
        .delivery = icr >> 8 & 7,
        .logical = icr & ICR_LOGICAL,
        .wide = lapic_is_x2apic(&chip->lapic[cpu]),
    };
    u64 all = BIT(chip->vcpus) - 1;
    u64 cpus[4] = {[TO_SELF] = BIT(cpu), [TO_ALL] = all, [TO_OTHERS] = all & ~BIT(cpu)};

    if ((shorthand == TO_SELF || shorthand == TO_ALL) && msg.delivery != IRQ_FIXED)
        return;
    if (msg.delivery == IRQ_INIT && !(icr & ICR_ASSERT))
        return;
    if (shorthand == TO_DEST)
        cpus[TO_DEST] = destinations(chip, &msg);
    deliver_to(chip, cpus[shorthand], &msg);
}

static void act(struct irqchip *chip, unsigned cpu, const struct lapic_action *action)
{
    struct ioapic_bus bus = bus_of(chip);

    if (action->kind == LAPIC_IPI)
        send_ipi(chip, cpu, action);
    else if (action->kind == LAPIC_EOI)
        ioapic_eoi(&chip->ioapic, action->vector, &bus);
}

/* ---- The PICs and the virtual wire ---- */

/* Does INTR of the PICs reach this vCPU as ExtINT? By LINT0, or by the IOAPIC's pin 0. */
static bool takes_pic(const struct irqchip *chip, unsigned cpu)
{
    const struct lapic *l = &chip->lapic[cpu];
    u32 lint0 = l->lvt[LVT_LINT0];
    struct irq_msg msg = ioapic_message(&chip->ioapic, PIN_EXTINT);

    if (cpu == BSP && (!lapic_software_enabled(l) ||
                       (!(lint0 & LVT_MASKED) && LVT_DELIVERY(lint0) == IRQ_EXTINT)))
        return true;
    return lapic_enabled(l) && msg.delivery == IRQ_EXTINT &&
           !(chip->ioapic.redirection[PIN_EXTINT] & REDIRECTION_MASKED) && lapic_matches(l, &msg);
}

/* LINT0 as an edge in its other modes. */
static void lint0_rises(struct irqchip *chip)
{
    u32 lvt = chip->lapic[BSP].lvt[LVT_LINT0];
    struct irq_msg msg = {.vector = (u8)lvt, .delivery = LVT_DELIVERY(lvt)};

    if (!(lvt & LVT_MASKED) && (msg.delivery == IRQ_FIXED || msg.delivery == IRQ_NMI))
        deliver_to(chip, BIT(BSP), &msg);
}

/* After whatever may have moved INTR. */
static void pic_update(struct irqchip *chip)
{
    struct ioapic_bus bus = bus_of(chip);
    bool intr = pic_intr(&chip->pic), rises = intr && !chip->pic_intr;

    chip->pic_intr = intr;
    ioapic_line(&chip->ioapic, PIN_EXTINT, intr, &bus);
    if (rises)
        lint0_rises(chip);
    for (unsigned i = 0; i < chip->vcpus && intr; i++)
        if (takes_pic(chip, i))
            kick(chip, i);
}

u8 irqchip_pic_in(struct irqchip *chip, u16 port)
{
    u8 value = pic_in(&chip->pic, port);

    pic_update(chip); /* a poll acknowledges */
    return value;
}

void irqchip_pic_out(struct irqchip *chip, u16 port, u8 value)
{
    pic_out(&chip->pic, port, value);
    pic_update(chip);
}

bool irqchip_line(struct irqchip *chip, unsigned gsi, bool level)
{
    struct ioapic_bus bus = bus_of(chip);

    if (gsi >= VM_IOAPIC_PINS || gsi == PIC_CASCADE)
        return false;
    ioapic_line(&chip->ioapic, gsi == GSI_PIT ? PIN_PIT : gsi, level, &bus);
    if (gsi < PIC_LINES) {
        pic_line(&chip->pic, gsi, level);
        pic_update(chip);
    }
    return true;
}

/* ---- The vCPU's side ---- */

static bool pic_due(const struct irqchip *chip, unsigned cpu)
{
    return chip->pic_intr && takes_pic(chip, cpu);
}

int irqchip_pending_vector(const struct irqchip *chip, unsigned cpu)
{
    return pic_due(chip, cpu) ? pic_vector(&chip->pic) : lapic_pending(&chip->lapic[cpu]);
}

int irqchip_accept(struct irqchip *chip, unsigned cpu)
{
    int vector;

    if (!pic_due(chip, cpu))
        return lapic_take(&chip->lapic[cpu]);
    vector = pic_acknowledge(&chip->pic);
    pic_update(chip);
    return vector;
}

void irqchip_give_back(struct irqchip *chip, unsigned cpu, u8 vector)
{
    if (lapic_give_back(&chip->lapic[cpu], vector))
        return;
    pic_give_back(&chip->pic, vector);
    pic_update(chip);
}

void irqchip_give_back_nmi(struct irqchip *chip, unsigned cpu)
{
    chip->cpu[cpu].nmi_pending = 1;
}

bool irqchip_has_work(const struct irqchip *chip, unsigned cpu)
{
    const struct irqchip_cpu *c = &chip->cpu[cpu];

    return c->init_pending || c->sipi_pending || c->nmi_pending ||
           irqchip_pending_vector(chip, cpu) >= 0;
}

bool irqchip_take_init(struct irqchip *chip, unsigned cpu)
{
    struct irqchip_cpu *c = &chip->cpu[cpu];

    if (!c->init_pending)
        return false;
    c->init_pending = 0;
    c->nmi_pending = 0;
    lapic_reset(&chip->lapic[cpu]);
    return true;
}

bool irqchip_take_sipi(struct irqchip *chip, unsigned cpu, u8 *vector)
{
    struct irqchip_cpu *c = &chip->cpu[cpu];

    if (!c->sipi_pending)
        return false;
    c->sipi_pending = 0;
    *vector = c->sipi_vector;
    return true;
}

bool irqchip_take_nmi(struct irqchip *chip, unsigned cpu)
{
    bool pending = chip->cpu[cpu].nmi_pending;

    chip->cpu[cpu].nmi_pending = 0;
    return pending;
}

bool irqchip_owns_msr(u32 msr)
{
    return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
           (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST);
}

bool irqchip_read_msr(struct irqchip *chip, unsigned cpu, u32 msr, u64 *value,
                      const struct vtime *now)
{
    return lapic_read_msr(&chip->lapic[cpu], msr, value, now);
}

bool irqchip_write_msr(struct irqchip *chip, unsigned cpu, u32 msr, u64 value,
                       const struct vtime *now)
{
    struct lapic_action action;

    if (!lapic_write_msr(&chip->lapic[cpu], msr, value, now, &action))
        return false;
    act(chip, cpu, &action);
    return true;
}

bool irqchip_owns_gpa(gpa_t gpa)
{
    u64 page = ALIGN_DOWN(gpa.v, PAGE_SIZE);

    return page == GUEST_LAPIC || page == GUEST_IOAPIC;
}

u32 irqchip_mmio_read(struct irqchip *chip, unsigned cpu, gpa_t gpa, u8 size,
                      const struct vtime *now)
{
    u32 offset = (u32)(gpa.v & PAGE_MASK), value;

    if (ALIGN_DOWN(gpa.v, PAGE_SIZE) == GUEST_IOAPIC)
        value = ioapic_read(&chip->ioapic, offset & IOAPIC_MASK);
    else
        value = lapic_read_mmio(&chip->lapic[cpu], offset, size, now);
    return size < 4 ? value & ((1u << 8 * size) - 1) : value;
}

void irqchip_mmio_write(struct irqchip *chip, unsigned cpu, gpa_t gpa, u8 size, u32 value,
                        const struct vtime *now)
{
    u32 offset = (u32)(gpa.v & PAGE_MASK);
    struct ioapic_bus bus = bus_of(chip);
    struct lapic_action action;

    if (ALIGN_DOWN(gpa.v, PAGE_SIZE) == GUEST_IOAPIC) {
        ioapic_write(&chip->ioapic, offset & IOAPIC_MASK, size, value, &bus);
        return;
    }
    lapic_write_mmio(&chip->lapic[cpu], offset, size, value, now, &action);
    act(chip, cpu, &action);
}

u64 irqchip_next(const struct irqchip *chip, unsigned cpu, const struct vtime *now)
{
    return lapic_next(&chip->lapic[cpu], now);
}

void irqchip_tick(struct irqchip *chip, unsigned cpu, const struct vtime *now)
{
    struct lapic *l = &chip->lapic[cpu];
    int before = lapic_pending(l);

    lapic_tick(l, now);
    if (lapic_pending(l) != before)
        kick(chip, cpu);
}

u8 irqchip_get_cr8(const struct irqchip *chip, unsigned cpu)
{
    return lapic_get_cr8(&chip->lapic[cpu]);
}

void irqchip_set_cr8(struct irqchip *chip, unsigned cpu, u8 cr8)
{
    lapic_set_cr8(&chip->lapic[cpu], cr8);
}

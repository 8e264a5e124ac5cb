/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/dev/irqchip.h: where messages go, and how lines become vectors. */
#include "tests/unit/unit.h"
#include "vmm/dev/irqchip.h"

#define CPUS 4
#define ALL  0xfu

static struct irqchip chip;
static struct vtime now;

static void apic(unsigned cpu, u32 offset, u32 value)
{
    irqchip_mmio_write(&chip, cpu, GPA(GUEST_LAPIC + offset), 4, value, &now);
}

static u32 apic_get(unsigned cpu, u32 offset)
{
    return irqchip_mmio_read(&chip, cpu, GPA(GUEST_LAPIC + offset), 4, &now);
}

static void route(unsigned pin, u32 low, u8 dest)
{
    irqchip_mmio_write(&chip, 0, GPA(GUEST_IOAPIC), 4, 0x11 + 2 * pin, &now);
    irqchip_mmio_write(&chip, 0, GPA(GUEST_IOAPIC + 0x10), 4, (u32)dest << 24, &now);
    irqchip_mmio_write(&chip, 0, GPA(GUEST_IOAPIC), 1, 0x10 + 2 * pin, &now);
    irqchip_mmio_write(&chip, 0, GPA(GUEST_IOAPIC + 0x10), 4, low, &now);
}

static int setup(void **state)
{
    (void)state;
    now = (struct vtime){.ns = 1000, .tsc = 1000, .tsc_khz = 1000000};
    irqchip_init(&chip, CPUS);
    for (unsigned i = 0; i < CPUS; i++) {
        apic(i, 0xf0, 0x1ff);
        apic(i, 0xd0, 1u << (24 + i)); /* flat logical id */
    }
    chip.kick = 0;
    return 0;
}

static int setup_x2apic(void **state)
{
    setup(state);
    for (unsigned i = 0; i < CPUS; i++) {
        u64 base;

        assert_true(irqchip_read_msr(&chip, i, MSR_APIC_BASE, &base, &now));
        assert_true(irqchip_write_msr(&chip, i, MSR_APIC_BASE, base | APIC_BASE_X2APIC, &now));
    }
    return 0;
}

static u64 taken(void)
{
    u64 kick = chip.kick;

    chip.kick = 0;
    return kick;
}

/* The set of vCPUs that have this vector pending; and takes it from them. */
static u64 receivers(int vector)
{
    u64 set = 0;

    for (unsigned i = 0; i < CPUS; i++)
        if (irqchip_pending_vector(&chip, i) == vector) {
            assert_true(irqchip_has_work(&chip, i));
            assert_int_equal(irqchip_accept(&chip, i), vector);
            apic(i, 0xb0, 0);
            (void)irqchip_write_msr(&chip, i, MSR_X2APIC + 0xb, 0, &now);
            set |= BIT(i);
        }
    return set;
}

static void ipi(unsigned cpu, u32 low, u8 dest)
{
    apic(cpu, 0x310, (u32)dest << 24);
    apic(cpu, 0x300, low);
}

static void physical_ipis_reach_their_target(void **state)
{
    (void)state;
    ipi(0, 0x4051, 2);
    assert_int_equal(taken(), BIT(2));
    assert_int_equal(receivers(0x51), BIT(2));
    ipi(3, 0x4052, 0xff);
    assert_int_equal(receivers(0x52), ALL);
    ipi(3, 0x4053, 9); /* nobody */
    assert_int_equal(receivers(0x53), 0);
}

static void shorthands_need_no_destination(void **state)
{
    (void)state;
    ipi(1, 0x44051, 0);
    assert_int_equal(receivers(0x51), BIT(1));
    ipi(1, 0x84051, 0);
    assert_int_equal(receivers(0x51), ALL);
    ipi(1, 0xc4051, 0);
    assert_int_equal(receivers(0x51), ALL & ~BIT(1));
    taken();
    ipi(1, 0x44500, 0); /* INIT to self is invalid */
    ipi(1, 0x84400, 0); /* NMI to all including self too */
    assert_int_equal(taken(), 0);
}

static void logical_flat_and_cluster_destinations(void **state)
{
    (void)state;
    ipi(0, 0x4851, 0x06);
    assert_int_equal(receivers(0x51), BIT(1) | BIT(2));
    for (unsigned i = 0; i < CPUS; i++) {
        apic(i, 0xe0, 0x0fffffff);
        apic(i, 0xd0, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    ipi(0, 0x4851, 0x13);
    assert_int_equal(receivers(0x51), BIT(2) | BIT(3));
    ipi(0, 0x4851, 0x02);
    assert_int_equal(receivers(0x51), BIT(1));
    ipi(0, 0x4851, 0x21);
    assert_int_equal(receivers(0x51), 0);
}

static void x2apic_destinations_have_32_bits(void **state)
{
    (void)state;
    assert_true(irqchip_write_msr(&chip, 0, 0x830, 3ull << 32 | 0x51, &now));
    assert_int_equal(receivers(0x51), BIT(3));
    assert_true(irqchip_write_msr(&chip, 0, 0x830, 0xffull << 32 | 0x51, &now));
    assert_int_equal(receivers(0x51), 0); /* not a broadcast */
    assert_true(irqchip_write_msr(&chip, 0, 0x830, 0xffffffffull << 32 | 0x51, &now));
    assert_int_equal(receivers(0x51), ALL);
    assert_true(irqchip_write_msr(&chip, 0, 0x830, 0x0000000aull << 32 | 0x851, &now));
    assert_int_equal(receivers(0x51), BIT(1) | BIT(3));
    assert_true(irqchip_write_msr(&chip, 0, 0x830, 0x0001000aull << 32 | 0x851, &now));
    assert_int_equal(receivers(0x51), 0);
    assert_true(irqchip_write_msr(&chip, 2, 0x83f, 0x77, &now));
    assert_int_equal(receivers(0x77), BIT(2));
}

static void lowest_priority_picks_one(void **state)
{
    (void)state;
    apic(0, 0x80, 0x30);
    apic(1, 0x80, 0x20);
    apic(2, 0x80, 0x10);
    apic(3, 0x80, 0x40);
    ipi(0, 0x4951, 0x0f);
    assert_int_equal(receivers(0x51), BIT(2));
    apic(2, 0xf0, 0xff); /* software disabled: not a candidate */
    ipi(0, 0x4951, 0x0f);
    assert_int_equal(receivers(0x51), BIT(1));
}

static void the_start_up_sequence_reaches_an_application_processor(void **state)
{
    u8 vector = 0;

    (void)state;
    ipi(0, 0xc500, 1); /* INIT, level, assert */
    assert_int_equal(taken(), BIT(1));
    assert_true(irqchip_has_work(&chip, 1));
    ipi(0, 0x8500, 1); /* de-assert */
    assert_int_equal(taken(), 0);
    ipi(0, 0x4699, 1);
    assert_int_equal(taken(), BIT(1));
    assert_true(irqchip_take_init(&chip, 1));
    assert_false(irqchip_take_init(&chip, 1));
    assert_int_equal(apic_get(1, 0xf0), 0xff); /* its APIC was reset */
    assert_true(irqchip_take_sipi(&chip, 1, &vector));
    assert_int_equal(vector, 0x99);
    assert_false(irqchip_take_sipi(&chip, 1, &vector));
    assert_false(irqchip_has_work(&chip, 1));
    ipi(0, 0x4699, 1);
    ipi(0, 0xc500, 1); /* a later INIT withdraws the SIPI */
    assert_false(irqchip_take_sipi(&chip, 1, &vector));
}

static void nmis_are_taken_once(void **state)
{
    (void)state;
    ipi(0, 0xc4400, 0);
    assert_int_equal(taken(), ALL & ~1u);
    assert_false(irqchip_take_nmi(&chip, 0));
    assert_true(irqchip_take_nmi(&chip, 3));
    assert_false(irqchip_take_nmi(&chip, 3));
    assert_true(irqchip_has_work(&chip, 2));
}

static void a_disabled_apic_gets_nothing(void **state)
{
    (void)state;
    assert_true(irqchip_write_msr(&chip, 2, MSR_APIC_BASE, GUEST_LAPIC, &now));
    ipi(0, 0xc4400, 0);
    ipi(0, 0x4051, 0xff);
    ipi(0, 0xc500, 2);
    assert_false(irqchip_has_work(&chip, 2));
    assert_true(irqchip_has_work(&chip, 1));
}

static void a_level_line_comes_back_until_it_is_lowered(void **state)
{
    (void)state;
    route(20, 0x8071, 1);
    assert_true(irqchip_line(&chip, 20, true));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(taken(), BIT(1));
        assert_int_equal(irqchip_accept(&chip, 1), 0x71);
        assert_int_equal(irqchip_pending_vector(&chip, 1), -1);
        apic(1, 0xb0, 0);
        assert_int_equal(irqchip_pending_vector(&chip, 1), 0x71);
    }
    irqchip_accept(&chip, 1);
    irqchip_line(&chip, 20, false);
    taken();
    apic(1, 0xb0, 0);
    assert_int_equal(taken(), 0);
    assert_int_equal(irqchip_pending_vector(&chip, 1), -1);
}

static void the_pit_is_on_pin_2_and_gsi_2_is_no_line(void **state)
{
    (void)state;
    route(2, 0x30, 3);
    assert_true(irqchip_line(&chip, GSI_PIT, true));
    assert_int_equal(receivers(0x30), BIT(3));
    assert_false(irqchip_line(&chip, 2, true));
    assert_false(irqchip_line(&chip, 24, true));
    assert_false(irqchip_line(&chip, 4000000000u, true));
}

static void unmask_the_pic(void)
{
    static const u8 words[] = {0x11, 0x20, 0x04, 0x01};

    for (unsigned i = 0; i < COUNT_OF(words); i++)
        irqchip_pic_out(&chip, i ? 0x21 : 0x20, words[i]);
}

static void the_virtual_wire_brings_the_pic_to_the_first_vcpu(void **state)
{
    (void)state;
    unmask_the_pic();
    irqchip_line(&chip, 4, true);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1); /* LINT0 is masked */
    apic(0, 0x350, 0x700);
    apic(1, 0x350, 0x700); /* the other vCPUs have no wire */
    assert_int_equal(irqchip_pending_vector(&chip, 0), 0x24);
    assert_int_equal(irqchip_pending_vector(&chip, 1), -1);
    apic(0, 0x80, 0xf0); /* the TPR does not hold ExtINT back */
    assert_int_equal(irqchip_accept(&chip, 0), 0x24);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    assert_int_equal(irqchip_pic_in(&chip, 0x21), 0);
    irqchip_pic_out(&chip, 0x20, 0x20);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
}

static void an_interrupt_that_could_not_be_delivered_is_due_again(void **state)
{
    (void)state;
    ipi(0, 0x4055, 0); /* lapic_accept of 55h by itself */
    assert_int_equal(irqchip_accept(&chip, 0), 0x55);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    irqchip_give_back(&chip, 0, 0x55);
    assert_int_equal(irqchip_pending_vector(&chip, 0), 0x55);
    assert_int_equal(irqchip_accept(&chip, 0), 0x55);
    unmask_the_pic();
    apic(0, 0x350, 0x700);
    irqchip_line(&chip, 4, true);
    assert_int_equal(irqchip_accept(&chip, 0), 0x24);
    irqchip_give_back(&chip, 0, 0x24);
    assert_int_equal(irqchip_pending_vector(&chip, 0), 0x24);
    assert_int_equal(irqchip_accept(&chip, 0), 0x24);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    irqchip_give_back(&chip, 0, 0x27); /* a spurious one is not asked for by anybody */
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    irqchip_give_back_nmi(&chip, 0);
    assert_true(irqchip_take_nmi(&chip, 0));
}

static void an_interrupt_of_the_second_pic_is_due_again_too(void **state)
{
    static const u8 words[] = {0x11, 0x28, 0x02, 0x01};

    (void)state;
    unmask_the_pic();
    for (unsigned i = 0; i < COUNT_OF(words); i++)
        irqchip_pic_out(&chip, i ? 0xa1 : 0xa0, words[i]);
    apic(0, 0x350, 0x700);
    irqchip_line(&chip, 12, true);
    assert_int_equal(irqchip_accept(&chip, 0), 0x2c);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    irqchip_give_back(&chip, 0, 0x2c);
    assert_int_equal(irqchip_accept(&chip, 0), 0x2c);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
}

static void a_disabled_apic_leaves_the_intr_pin(void **state)
{
    (void)state;
    unmask_the_pic();
    apic(0, 0xf0, 0xff);
    irqchip_line(&chip, 3, true);
    assert_int_equal(taken(), BIT(0));
    assert_int_equal(irqchip_accept(&chip, 0), 0x23);
    assert_true(irqchip_write_msr(&chip, 0, MSR_APIC_BASE, GUEST_LAPIC | APIC_BASE_BSP, &now));
    irqchip_pic_out(&chip, 0x20, 0x20);
    irqchip_line(&chip, 1, true);
    assert_int_equal(irqchip_accept(&chip, 0), 0x21);
}

static void lint0_can_deliver_a_fixed_vector_or_an_nmi(void **state)
{
    (void)state;
    unmask_the_pic();
    apic(0, 0x350, 0x31);
    irqchip_line(&chip, 4, true);
    assert_int_equal(receivers(0x31), BIT(0));
    irqchip_pic_out(&chip, 0x21, 0xff);
    apic(0, 0x350, 0x400);
    irqchip_pic_out(&chip, 0x21, 0);
    assert_true(irqchip_take_nmi(&chip, 0));
}

static void an_ioapic_pin_can_pass_the_pic_to_any_vcpu(void **state)
{
    (void)state;
    unmask_the_pic();
    route(0, 0x700, 2);
    irqchip_line(&chip, 4, true);
    assert_int_equal(taken(), BIT(2));
    assert_int_equal(irqchip_pending_vector(&chip, 2), 0x24);
    assert_int_equal(irqchip_pending_vector(&chip, 0), -1);
    assert_int_equal(irqchip_accept(&chip, 2), 0x24);
}

static void timers_kick_their_vcpu(void **state)
{
    (void)state;
    apic(1, 0x320, 0xec);
    apic(1, 0x3e0, 0xb);
    apic(1, 0x380, 500);
    assert_int_equal(irqchip_next(&chip, 0, &now), VTIME_NEVER);
    assert_int_equal(irqchip_next(&chip, 1, &now), 1500);
    now.ns = 1500;
    irqchip_tick(&chip, 1, &now);
    assert_int_equal(taken(), BIT(1));
    irqchip_tick(&chip, 1, &now);
    assert_int_equal(taken(), 0);
    assert_int_equal(receivers(0xec), BIT(1));
}

static void pages_and_msrs_have_their_owner(void **state)
{
    (void)state;
    assert_true(irqchip_owns_gpa(GPA(GUEST_LAPIC + 0xfff)));
    assert_true(irqchip_owns_gpa(GPA(GUEST_IOAPIC)));
    assert_false(irqchip_owns_gpa(GPA(GUEST_LAPIC + 0x1000)));
    assert_false(irqchip_owns_gpa(GPA(GUEST_LAPIC | 1ull << 32)));
    assert_true(irqchip_owns_msr(0x1b) && irqchip_owns_msr(0x6e0) && irqchip_owns_msr(0x8ff));
    assert_false(irqchip_owns_msr(0x900) || irqchip_owns_msr(0x7ff) || irqchip_owns_msr(0x10));
    irqchip_mmio_write(&chip, 0, GPA(GUEST_IOAPIC), 2, 1, &now);
    assert_int_equal(irqchip_mmio_read(&chip, 0, GPA(GUEST_IOAPIC + 0x10), 1, &now), 0x20);
    assert_int_equal(irqchip_mmio_read(&chip, 0, GPA(GUEST_IOAPIC), 1, &now), 1);
}

static void a_hostile_guest_cannot_upset_it(void **state)
{
    u64 seed = 23;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        u64 r = unit_random(&seed), v = unit_random(&seed) >> (unit_random(&seed) & 63);
        unsigned cpu = r & 3;
        u64 page = r & 0x10 ? GUEST_LAPIC : GUEST_IOAPIC;
        u32 offset = (r & 0x20 ? (r >> 8 & 0x3f) << 4 : r >> 8) & 0xfff;
        u8 vector;

        switch (r >> 60) {
        case 0:
            (void)irqchip_write_msr(&chip, cpu, MSR_APIC_BASE, GUEST_LAPIC | (v & 0xd00), &now);
            break;
        case 1:
        case 2:
        case 3: (void)irqchip_write_msr(&chip, cpu, 0x800 + offset / 16, v, &now); break;
        case 4: (void)irqchip_write_msr(&chip, cpu, MSR_TSC_DEADLINE, v, &now); break;
        case 5: irqchip_line(&chip, (unsigned)v % 32, r & 0x40); break;
        case 6: irqchip_pic_out(&chip, (r & 0x40 ? 0x20 : 0xa0) + (r >> 7 & 1), (u8)v); break;
        case 7: (void)irqchip_accept(&chip, cpu); break;
        case 8:
            (void)irqchip_take_init(&chip, cpu);
            (void)irqchip_take_sipi(&chip, cpu, &vector);
            break;
        case 9:
            now.ns += v >> 30;
            now.tsc += v >> 29;
            irqchip_tick(&chip, cpu, &now);
            break;
        case 10: irqchip_set_cr8(&chip, cpu, (u8)v); break;
        default:
            irqchip_mmio_write(&chip, cpu, GPA(page + offset), (u8)(1u << (r >> 40 & 3)), (u32)v,
                               &now);
            (void)irqchip_mmio_read(&chip, cpu, GPA(page + offset), 4, &now);
        }
        assert_int_equal(chip.kick & ~(u64)ALL, 0);
        assert_true(irqchip_pending_vector(&chip, cpu) <= 255);
        assert_int_equal(irqchip_has_work(&chip, cpu) || irqchip_pending_vector(&chip, cpu) < 0, 1);
        (void)irqchip_next(&chip, cpu, &now);
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(physical_ipis_reach_their_target),
        T(shorthands_need_no_destination),
        T(logical_flat_and_cluster_destinations),
        cmocka_unit_test_setup(x2apic_destinations_have_32_bits, setup_x2apic),
        T(lowest_priority_picks_one),
        T(the_start_up_sequence_reaches_an_application_processor),
        T(nmis_are_taken_once),
        T(a_disabled_apic_gets_nothing),
        T(a_level_line_comes_back_until_it_is_lowered),
        T(the_pit_is_on_pin_2_and_gsi_2_is_no_line),
        T(the_virtual_wire_brings_the_pic_to_the_first_vcpu),
        T(an_interrupt_that_could_not_be_delivered_is_due_again),
        T(an_interrupt_of_the_second_pic_is_due_again_too),
        T(a_disabled_apic_leaves_the_intr_pin),
        T(lint0_can_deliver_a_fixed_vector_or_an_nmi),
        T(an_ioapic_pin_can_pass_the_pic_to_any_vcpu),
        T(timers_kick_their_vcpu),
        T(pages_and_msrs_have_their_owner),
        T(a_hostile_guest_cannot_upset_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/ioapic.h"

static struct ioapic io;
static struct irq_msg last;
static unsigned sent;
static bool accepted;

static bool send(void *context, const struct irq_msg *msg)
{
    (void)context;
    last = *msg;
    sent++;
    return accepted;
}

static const struct ioapic_bus bus = {send, NULL};

static int setup(void **state)
{
    (void)state;
    ioapic_init(&io);
    sent = 0;
    accepted = true;
    return 0;
}

static u32 get(u8 reg)
{
    ioapic_write(&io, 0, 4, reg, &bus);
    return ioapic_read(&io, 0x10);
}

static void set(u8 reg, u32 value)
{
    ioapic_write(&io, 0, 1, reg, &bus); /* select takes a byte */
    ioapic_write(&io, 0x10, 4, value, &bus);
}

static void route(unsigned pin, u32 low, u8 dest)
{
    set((u8)(0x11 + 2 * pin), (u32)dest << 24);
    set((u8)(0x10 + 2 * pin), low);
}

static void line(unsigned pin, bool level)
{
    ioapic_line(&io, pin, level, &bus);
}

static void it_is_version_20_with_24_pins(void **state)
{
    (void)state;
    assert_int_equal(get(1), 0x00170020);
    set(0, 0xffffffff);
    assert_int_equal(get(0), 0x0f000000);
    set(1, 0);
    assert_int_equal(get(1), 0x00170020);
    for (unsigned pin = 0; pin < VM_IOAPIC_PINS; pin++)
        assert_int_equal(get((u8)(0x10 + 2 * pin)), 0x10000);
    assert_int_equal(get(0x40), 0);
    assert_int_equal(get(0xff), 0);
}

static void an_edge_is_sent_once_and_is_lost_while_masked(void **state)
{
    (void)state;
    line(4, true);
    route(4, 0x44, 1); /* unmasking does not bring it back */
    assert_int_equal(sent, 0);
    line(4, true);
    assert_int_equal(sent, 0);
    line(4, false);
    line(4, true);
    assert_int_equal(sent, 1);
    assert_int_equal(last.vector, 0x44);
    assert_int_equal(last.dest, 1);
    assert_false(last.level || last.logical || last.wide);
}

static void a_level_is_sent_again_after_its_eoi(void **state)
{
    (void)state;
    route(11, 0x18051 | 0x900, 3); /* lowest priority, logical, level, masked */
    line(11, true);
    assert_int_equal(sent, 0);
    route(11, 0x8051 | 0x900, 3);
    assert_int_equal(sent, 1);
    assert_true(last.level && last.logical);
    assert_int_equal(get(0x26) & 0x4000, 0x4000); /* remote IRR */
    line(11, false);
    line(11, true);
    assert_int_equal(sent, 1);
    ioapic_eoi(&io, 0x52, &bus);
    assert_int_equal(sent, 1);
    ioapic_eoi(&io, 0x51, &bus);
    assert_int_equal(sent, 2);
    line(11, false);
    ioapic_write(&io, 0x40, 4, 0x51, &bus); /* the EOI register does the same */
    assert_int_equal(sent, 2);
    assert_int_equal(get(0x26) & 0x4000, 0);
}

static void an_eoi_while_masked_waits_for_the_unmask(void **state)
{
    (void)state;
    route(5, 0x8060, 0);
    line(5, true);
    set(0x1a, 0x18060);
    ioapic_eoi(&io, 0x60, &bus);
    assert_int_equal(sent, 1);
    set(0x1a, 0x8060);
    assert_int_equal(sent, 2);
}

static void becoming_edge_clears_the_remote_irr(void **state)
{
    (void)state;
    route(5, 0x8060, 0);
    line(5, true);
    line(5, false);
    set(0x1a, 0x10060);
    assert_int_equal(get(0x1a), 0x10060);
    set(0x1a, 0x18060);
    assert_int_equal(get(0x1a), 0x18060);
    set(0x1a, 0xffffffff); /* reserved and read-only bits stay */
    assert_int_equal(get(0x1a), 0x1afff);
}

static void a_refused_level_is_not_under_way(void **state)
{
    (void)state;
    accepted = false;
    route(5, 0x8060, 0);
    line(5, true);
    assert_int_equal(get(0x1a) & 0x4000, 0);
    accepted = true;
    line(5, true);
    assert_int_equal(get(0x1a) & 0x4000, 0x4000);
}

static void nmi_pins_are_edges_whatever_the_entry_says(void **state)
{
    (void)state;
    route(6, 0x8400, 0);
    line(6, true);
    assert_int_equal(sent, 1);
    assert_false(last.level);
    assert_int_equal(last.delivery, IRQ_NMI);
    assert_int_equal(get(0x1c) & 0x4000, 0);
}

static void random_accesses_are_harmless(void **state)
{
    u64 seed = 17;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        u64 r = unit_random(&seed);

        ioapic_write(&io, (u32)(r >> 8 & 7) * 0x10, (u8)(1u << (r & 3)), (u32)(r >> 32), &bus);
        (void)ioapic_read(&io, (u32)(r >> 8 & 0xff));
        line((unsigned)(r >> 40) % VM_IOAPIC_PINS, r & 0x1000000);
        ioapic_eoi(&io, (u8)(r >> 16), &bus);
    }
    assert_true(sent > 0);
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_version_20_with_24_pins),
        T(an_edge_is_sent_once_and_is_lost_while_masked),
        T(a_level_is_sent_again_after_its_eoi),
        T(an_eoi_while_masked_waits_for_the_unmask),
        T(becoming_edge_clears_the_remote_irr),
        T(a_refused_level_is_not_under_way),
        T(nmi_pins_are_edges_whatever_the_entry_says),
        T(random_accesses_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/platform.h"

static struct platform p;
static struct vtime now;
static char output[64];
static unsigned output_count;

static void put(void *context, u8 byte)
{
    (void)context;
    output[output_count++ % sizeof(output)] = (char)byte;
}

static const struct uart_sink sink = {put, NULL};

static u32 in(u16 port, u8 size)
{
    u32 value = 0x12345678;

    (void)platform_in(&p, 0, port, size, &now, &value);
    return value;
}

static bool out(u16 port, u8 size, u32 value)
{
    return platform_out(&p, 0, port, size, &now, value);
}

static struct irqchip *chip(void)
{
    return &p.devices.irqchip;
}

static void init_pic(u8 mask)
{
    out(0x20, 1, 0x11);
    out(0x21, 1, 0x20);
    out(0x21, 1, 0x04);
    out(0x21, 1, 0x01);
    out(0xa0, 1, 0x11);
    out(0xa1, 1, 0x28);
    out(0xa1, 1, 0x02);
    out(0xa1, 1, 0x01);
    out(0x21, 1, mask);
}

static int setup(void **state)
{
    (void)state;
    platform_init(&p, 2, 1709210096, &sink);
    now = (struct vtime){.ns = 0, .tsc_khz = 1000000};
    output_count = 0;
    init_pic(0);
    return 0;
}

static void unclaimed_ports_read_all_ones_and_are_counted(void **state)
{
    u32 value = 0;

    (void)state;
    assert_false(platform_in(&p, 0, 0x2f8, 1, &now, &value));
    assert_int_equal(value, 0xff);
    assert_false(platform_in(&p, 0, 0x1234, 2, &now, &value));
    assert_int_equal(value, 0xffff);
    assert_false(platform_in(&p, 0, 0xffff, 4, &now, &value));
    assert_int_equal(value, 0xffffffff);
    assert_false(out(0x3d4, 2, 0));
    assert_int_equal(p.unclaimed, 4);
    assert_null(platform_port_name(0x2f8));
    assert_string_equal(platform_port_name(0x3ff), "COM1");
    assert_null(platform_port_name(0x400));
}

static void wide_accesses_to_byte_devices_are_split(void **state)
{
    u32 value;

    (void)state;
    assert_true(out(0x70, 2, 0x5a << 8 | 0x40)); /* index and data in one */
    assert_int_equal(in(0x71, 1), 0x5a);
    assert_int_equal(in(0x3fa, 4) & 0xff00ff, 0x000001);     /* IIR, LCR, MCR, LSR */
    assert_true(platform_in(&p, 0, 0x3fe, 4, &now, &value)); /* half of it is there */
    assert_int_equal(value >> 16, 0xffff);
    assert_int_equal(p.unclaimed, 0);
}

static void there_is_no_pci_host_bridge(void **state)
{
    (void)state;
    assert_true(out(0xcfb, 1, 1));
    assert_true(out(0xcf8, 4, 0x80000000));
    assert_int_equal(in(0xcf8, 4), 0xffffffff);
    assert_int_equal(in(0xcfc, 4), 0xffffffff);
    assert_int_equal(in(0xcfe, 2), 0xffff);
    out(0xcf8, 4, 0x80000600); /* does not touch the byte at cf9 */
    assert_int_equal(platform_take_power(&p), POWER_NONE);
    out(0xcf9, 1, 0x02);
    out(0xcf9, 1, 0x06);
    assert_int_equal(platform_take_power(&p), POWER_RESET);
    assert_int_equal(p.unclaimed, 0);
}

static void power_requests_are_taken_once(void **state)
{
    (void)state;
    out(PORT_SLEEP_CONTROL, 1, SLEEP_TYPE_S5 << 2 | 0x20);
    assert_int_equal(platform_take_power(&p), POWER_OFF);
    assert_int_equal(platform_take_power(&p), POWER_NONE);
    out(0x64, 1, 0xfe);
    assert_int_equal(platform_take_power(&p), POWER_RESET);
}

static void the_console_works_both_ways_with_interrupts(void **state)
{
    (void)state;
    out(0x3fa, 1, 1);
    out(0x3fc, 1, 0x0b);
    out(0x3f9, 1, 1);
    out(0x3f8, 1, 'h');
    out(0x3f8, 1, 'i');
    assert_int_equal(output_count, 2);
    assert_memory_equal(output, "hi", 2);
    assert_int_equal(irqchip_pending_vector(chip(), 0), -1);
    chip()->kick = 0;
    assert_true(platform_console_input(&p, 'x'));
    assert_int_equal(chip()->kick, 1);
    assert_int_equal(irqchip_accept(chip(), 0), 0x24);
    assert_int_equal(in(0x3f8, 1), 'x');
    out(0x20, 1, 0x20);
    assert_int_equal(irqchip_pending_vector(chip(), 0), -1);
}

static void writing_without_reading_the_iir_interrupts_every_time(void **state)
{
    (void)state;
    out(0x3fc, 1, 0x08);
    out(0x3f9, 1, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(irqchip_accept(chip(), 0), 0x24);
        out(0x3f8, 1, 'x');
        out(0x20, 1, 0x20);
    }
}

static void every_pit_period_is_an_interrupt(void **state)
{
    (void)state;
    assert_int_equal(platform_next(&p), VTIME_NEVER);
    out(0x43, 1, 0x34);
    out(0x40, 1, 4772 & 0xff); /* HZ=250 */
    out(0x40, 1, 4772 >> 8);
    for (int i = 0; i < 250; i++) {
        assert_int_equal(irqchip_pending_vector(chip(), 0), -1);
        now.ns = platform_next(&p);
        platform_tick(&p, &now);
        assert_int_equal(irqchip_accept(chip(), 0), 0x20);
        out(0x20, 1, 0x20);
    }
    assert_in_range(now.ns, 999000000, 1001000000);
}

static void a_late_look_at_the_pit_still_gives_its_interrupt(void **state)
{
    (void)state;
    out(0x43, 1, 0x34);
    out(0x40, 1, 0);
    out(0x40, 1, 0);
    now.ns = 10000000000;
    out(0x43, 1, 0x30); /* reprogrammed before anyone ticked */
    assert_int_equal(irqchip_accept(chip(), 0), 0x20);
}

static void another_vcpu_that_sets_a_timer_kicks_the_first(void **state)
{
    (void)state;
    chip()->kick = 0;
    platform_out(&p, 1, 0x43, 1, &now, 0x30);
    platform_out(&p, 1, 0x40, 1, &now, 0xff);
    assert_int_equal(chip()->kick, 0);
    platform_out(&p, 1, 0x40, 1, &now, 0xff);
    assert_int_equal(chip()->kick, 1);
}

static void the_rtc_is_on_irq_8(void **state)
{
    (void)state;
    out(0x70, 1, 0x0b);
    out(0x71, 1, 0x12);
    now.ns = platform_next(&p);
    assert_int_equal(now.ns, 1000000000);
    platform_tick(&p, &now);
    assert_int_equal(irqchip_accept(chip(), 0), 0x28);
    out(0x70, 1, 0x0c);
    assert_int_equal(in(0x71, 1) & 0x90, 0x90);
    assert_int_equal(platform_next(&p), 2000000000);
}

static void reset_keeps_the_clock_and_the_cmos(void **state)
{
    (void)state;
    out(0x70, 2, 0x77 << 8 | 0x50);
    out(0x70, 2, 0x52 << 8 | 0x0b); /* periodic and update interrupts */
    out(0x3ff, 1, 0xaa);
    platform_reset(&p);
    assert_int_equal(in(0x3ff, 1), 0);
    assert_int_equal(in(0x21, 1), 0xff);
    assert_int_equal(chip()->vcpus, 2);
    out(0x70, 1, 0x50);
    assert_int_equal(in(0x71, 1), 0x77);
    out(0x70, 1, 0x09);
    assert_int_equal(in(0x71, 1), 0x24);
    assert_int_equal(platform_next(&p), VTIME_NEVER);
    out(0x3f8, 1, 'z');
    assert_int_equal(output_count, 1);
}

static void random_port_io_is_harmless(void **state)
{
    u64 seed = 31;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        u64 r = unit_random(&seed);
        u16 port = (u16)(r >> 8);
        u8 size = (u8)(1u << (r & 3) % 3);

        if (r & 0x10) /* mostly where something is */
            port = (u16)(r & 0x20 ? port & 0xff : 0x3f0 + (port & 0x31f));
        if (r & 0x40)
            out(port, size, (u32)(r >> 32));
        else
            (void)in(port, size);
        now.ns += r >> 44;
        platform_tick(&p, &now);
        assert_true(platform_next(&p) > now.ns);
        (void)platform_console_input(&p, (u8)r);
        (void)irqchip_accept(chip(), 0);
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(unclaimed_ports_read_all_ones_and_are_counted),
        T(wide_accesses_to_byte_devices_are_split),
        T(there_is_no_pci_host_bridge),
        T(power_requests_are_taken_once),
        T(the_console_works_both_ways_with_interrupts),
        T(writing_without_reading_the_iir_interrupts_every_time),
        T(every_pit_period_is_an_interrupt),
        T(a_late_look_at_the_pit_still_gives_its_interrupt),
        T(another_vcpu_that_sets_a_timer_kicks_the_first),
        T(the_rtc_is_on_irq_8),
        T(reset_keeps_the_clock_and_the_cmos),
        T(random_port_io_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

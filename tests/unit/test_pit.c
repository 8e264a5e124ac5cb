/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/dev/pit.h, by what Linux's TSC calibration and clock events do to it. */
#include "tests/unit/unit.h"
#include "vmm/dev/pit.h"
#include "vmm/dev/scale.h"

static struct pit p;
static struct vtime now;

static int setup(void **state)
{
    (void)state;
    pit_init(&p);
    now = (struct vtime){.ns = 12345678901ull, .tsc_khz = 1000000};
    return 0;
}

static u8 in(u16 port)
{
    return pit_in(&p, port, &now);
}

static void out(u16 port, u8 value)
{
    pit_out(&p, port, value, &now);
}

static void wait_ticks(u64 ticks)
{
    now.ns += scale_up(ticks, PIT_HZ, NS_PER_SECOND);
}

static u16 read_count(u16 port)
{
    u8 low = in(port);

    return (u16)(low | in(port) << 8);
}

static void set_channel_0(u8 control, u16 count)
{
    out(0x43, control);
    out(0x40, (u8)count);
    out(0x40, (u8)(count >> 8));
}

static void a_moment_before_its_start_a_channel_has_counted_nothing(void **state)
{
    struct pit saved;

    (void)state;
    now.ns = 1000000;
    set_channel_0(0x34, 1193); /* rate generator, 1 kHz */
    out(0x61, 1);
    out(0x43, 0xb0); /* channel 2: one-shot */
    out(0x42, 0);
    out(0x42, 0x10);
    now.ns--;
    assert_false(pit_tick(&p, &now));
    assert_int_equal(p.channel[0].edges, 0);
    assert_int_equal(read_count(0x42), 0x1000);
    pit_save(&p, &saved, &now);
    assert_int_equal(saved.channel[0].before_ns, 0);
    out(0x61, 0); /* the gate falls: what has been counted is kept */
    assert_int_equal(p.channel[2].before_ns, 0);
    wait_ticks(1200);
    assert_true(pit_tick(&p, &now));
    assert_int_equal(p.channel[0].edges, 1);
}

static void the_quick_calibration_sees_the_high_byte_fall_one_by_one(void **state)
{
    (void)state;
    out(0x61, (u8)((in(0x61) & ~2) | 1));
    out(0x43, 0xb0);
    out(0x42, 0xff);
    out(0x42, 0xff);
    for (int msb = 0xff; msb > 0x80; msb--) {
        u64 start = now.ns, step = 0;

        for (;; now.ns += 1500, step++) { /* an exit and back */
            u16 count = read_count(0x42);

            assert_true(count >> 8 == msb || count >> 8 == msb - 1);
            if (count >> 8 != msb)
                break;
        }
        assert_in_range(now.ns - start, 200000, 217000); /* 256 ticks are 214.6 us */
        assert_true(step > 50);
    }
}

static void the_slow_calibration_waits_for_out2(void **state)
{
    u16 latch = PIT_HZ / 100;
    u64 start;

    (void)state;
    out(0x61, (u8)((in(0x61) & ~2) | 1));
    out(0x43, 0xb0);
    out(0x42, latch & 0xff);
    assert_int_equal(in(0x61) & 0x20, 0);
    out(0x42, latch >> 8);
    start = now.ns;
    while (!(in(0x61) & 0x20))
        now.ns += 1000;
    assert_in_range(now.ns - start, 9990000, 10010000);
    now.ns += 1000000000;
    assert_int_equal(in(0x61) & 0x20, 0x20); /* it stays up */
}

static void the_gate_pauses_mode_0(void **state)
{
    u16 before;

    (void)state;
    out(0x61, 1);
    out(0x43, 0xb0);
    out(0x42, 0xff);
    out(0x42, 0xff);
    wait_ticks(1000);
    out(0x61, 0);
    before = read_count(0x42);
    assert_in_range(before, 0xffff - 1001, 0xffff - 999);
    wait_ticks(5000);
    assert_int_equal(read_count(0x42), before);
    out(0x61, 1);
    wait_ticks(1000);
    assert_in_range(read_count(0x42), before - 1001, before - 999);
}

static void port_61_keeps_its_bits_and_toggles_refresh(void **state)
{
    u8 first = in(0x61) & 0x10;

    (void)state;
    now.ns += 15085;
    assert_int_not_equal(in(0x61) & 0x10, first);
    out(0x61, 0xff);
    assert_int_equal(in(0x61) & 0xcf, 0x0f);
}

static void channel_0_rises_at_its_rate(void **state)
{
    u64 start = now.ns, last;

    (void)state;
    assert_int_equal(pit_next(&p), VTIME_NEVER);
    set_channel_0(0x34, 1193); /* HZ=1000 */
    for (int i = 1; i <= 1000; i++) {
        last = pit_next(&p);
        now.ns = last - 1;
        assert_false(pit_tick(&p, &now));
        now.ns = last;
        assert_true(pit_tick(&p, &now));
        assert_false(pit_tick(&p, &now));
    }
    assert_in_range(now.ns - start, 999800000, 999900000); /* 1,193,000 ticks, no drift */
}

static void many_missed_periods_are_one_rise(void **state)
{
    (void)state;
    set_channel_0(0x34, 1193);
    now.ns += 3600ull * NS_PER_SECOND;
    assert_true(pit_tick(&p, &now));
    assert_false(pit_tick(&p, &now));
    assert_true(pit_next(&p) > now.ns && pit_next(&p) < now.ns + 1001000);
}

static void a_one_shot_rises_once(void **state)
{
    (void)state;
    set_channel_0(0x38, 5000); /* mode 4, Linux's one-shot */
    assert_true(pit_irq_level(&p, &now));
    now.ns = pit_next(&p);
    assert_true(pit_tick(&p, &now));
    assert_int_equal(pit_next(&p), VTIME_NEVER);
    set_channel_0(0x30, 5000);
    assert_false(pit_irq_level(&p, &now));
    now.ns = pit_next(&p);
    assert_true(pit_irq_level(&p, &now));
    assert_true(pit_tick(&p, &now));
    assert_int_equal(pit_next(&p), VTIME_NEVER);
    now.ns += NS_PER_SECOND;
    assert_false(pit_tick(&p, &now));
}

static void a_latched_count_stands_still_until_it_is_read(void **state)
{
    u16 latched;

    (void)state;
    set_channel_0(0x34, 0);
    wait_ticks(100);
    out(0x43, 0x00);
    wait_ticks(100);
    out(0x43, 0x00); /* ignored: the first one has not been read */
    latched = read_count(0x40);
    assert_in_range(latched, 65536 - 101, 65536 - 99);
    assert_in_range(read_count(0x40), 65536 - 202, 65536 - 199);
}

static void read_back_gives_status_before_count(void **state)
{
    (void)state;
    out(0x43, 0x34);
    out(0x43, 0xe2);                  /* status of channel 0 */
    assert_int_equal(in(0x40), 0xf4); /* OUT high, null count */
    out(0x40, 0x10);
    out(0x40, 0x00);
    out(0x43, 0xc2); /* count and status */
    assert_int_equal(in(0x40), 0xb4);
    assert_int_equal(read_count(0x40), 0x0010);
}

static void a_square_wave_counts_by_two_and_halves_its_time(void **state)
{
    (void)state;
    set_channel_0(0x36, 1000);
    assert_int_equal(read_count(0x40), 1000);
    wait_ticks(100);
    assert_in_range(read_count(0x40), 796, 800);
    assert_true(pit_irq_level(&p, &now));
    wait_ticks(450);
    assert_false(pit_irq_level(&p, &now));
    wait_ticks(500);
    assert_true(pit_irq_level(&p, &now));
}

static void bcd_counts_in_decimal(void **state)
{
    (void)state;
    out(0x43, 0x31);
    out(0x40, 0x00);
    out(0x40, 0x10); /* 1000 */
    wait_ticks(1);
    assert_int_equal(read_count(0x40), 0x0999);
    wait_ticks(1000);
    assert_int_equal(read_count(0x40), 0x9999);
}

static void the_hardware_one_shot_waits_for_the_gate(void **state)
{
    (void)state;
    out(0x61, 0);
    out(0x43, 0xb2); /* channel 2, mode 1 */
    out(0x42, 0x00);
    out(0x42, 0x10);
    assert_int_equal(in(0x61) & 0x20, 0x20);
    out(0x61, 1);
    assert_int_equal(in(0x61) & 0x20, 0);
    wait_ticks(0x1000);
    assert_int_equal(in(0x61) & 0x20, 0x20);
    out(0x61, 0);
    out(0x61, 1);
    assert_int_equal(in(0x61) & 0x20, 0);
}

static void random_programming_is_harmless(void **state)
{
    static const u16 ports[] = {0x40, 0x41, 0x42, 0x43, 0x61};
    u64 seed = 5;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        u64 r = unit_random(&seed);
        u16 port = ports[(r >> 20) % COUNT_OF(ports)];

        if (r & 0x100)
            out(port, (u8)r);
        else
            (void)in(port);
        now.ns += r & 0x200 ? r >> 40 : (r >> 40) & 0xfff;
        (void)pit_tick(&p, &now);
        (void)pit_irq_level(&p, &now);
        assert_true(pit_next(&p) > now.ns);
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_moment_before_its_start_a_channel_has_counted_nothing),
        T(the_quick_calibration_sees_the_high_byte_fall_one_by_one),
        T(the_slow_calibration_waits_for_out2),
        T(the_gate_pauses_mode_0),
        T(port_61_keeps_its_bits_and_toggles_refresh),
        T(channel_0_rises_at_its_rate),
        T(many_missed_periods_are_one_rise),
        T(a_one_shot_rises_once),
        T(a_latched_count_stands_still_until_it_is_read),
        T(read_back_gives_status_before_count),
        T(a_square_wave_counts_by_two_and_halves_its_time),
        T(bcd_counts_in_decimal),
        T(the_hardware_one_shot_waits_for_the_gate),
        T(random_programming_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

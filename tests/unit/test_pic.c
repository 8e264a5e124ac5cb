/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/pic.h"

static struct pic p;

static void init_chip(u16 port, u8 base, u8 icw3, u8 icw4)
{
    pic_out(&p, port, 0x11);
    pic_out(&p, port + 1, base);
    pic_out(&p, port + 1, icw3);
    pic_out(&p, port + 1, icw4);
}

/* As Linux's init_8259A leaves them, but unmasked. */
static int setup(void **state)
{
    (void)state;
    pic_init(&p);
    init_chip(0x20, 0x30, 4, 1);
    init_chip(0xa0, 0x38, 2, 1);
    return 0;
}

static void pulse(unsigned line)
{
    pic_line(&p, line, true);
    pic_line(&p, line, false);
}

static void before_initialisation_everything_is_masked(void **state)
{
    (void)state;
    pic_init(&p);
    for (unsigned i = 0; i < 16; i++)
        pulse(i);
    assert_false(pic_intr(&p));
}

static void the_mask_register_reads_back_for_probing(void **state)
{
    (void)state;
    pic_out(&p, 0xa1, 0xff);
    pic_out(&p, 0x21, 0xfb);
    assert_int_equal(pic_in(&p, 0x21), 0xfb);
    assert_int_equal(pic_in(&p, 0xa1), 0xff);
}

static void an_edge_interrupts_once_and_waits_for_its_eoi(void **state)
{
    (void)state;
    pic_line(&p, 4, true);
    assert_true(pic_intr(&p));
    assert_int_equal(pic_vector(&p), 0x34);
    assert_int_equal(pic_acknowledge(&p), 0x34);
    assert_false(pic_intr(&p));
    pic_line(&p, 4, false);
    pic_line(&p, 4, true);
    assert_false(pic_intr(&p)); /* in service */
    pic_out(&p, 0x20, 0x64);    /* specific EOI */
    assert_true(pic_intr(&p));
    assert_int_equal(pic_acknowledge(&p), 0x34);
    pic_out(&p, 0x20, 0x20);
    assert_false(pic_intr(&p)); /* the line is still up: no edge */
}

static void a_higher_input_interrupts_a_lower_one(void **state)
{
    (void)state;
    pulse(4);
    assert_int_equal(pic_acknowledge(&p), 0x34);
    pulse(5);
    assert_false(pic_intr(&p));
    pulse(0);
    assert_int_equal(pic_acknowledge(&p), 0x30);
    pic_out(&p, 0x20, 0x20); /* ends 0, the highest in service */
    pic_out(&p, 0x20, 0x0b);
    assert_int_equal(pic_in(&p, 0x20), 0x10);
    pic_out(&p, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&p), 0x35);
}

static void the_slave_comes_through_input_two(void **state)
{
    (void)state;
    pulse(8);
    pulse(3);
    assert_int_equal(pic_acknowledge(&p), 0x38); /* before 3: input 2 is higher */
    pic_out(&p, 0x20, 0x0b);
    pic_out(&p, 0xa0, 0x0b);
    assert_int_equal(pic_in(&p, 0x20), 0x04);
    assert_int_equal(pic_in(&p, 0xa0), 0x01);
    pic_out(&p, 0xa0, 0x60); /* Linux: specific EOI to both */
    pic_out(&p, 0x20, 0x62);
    assert_int_equal(pic_acknowledge(&p), 0x33);
}

static void two_slave_interrupts_follow_each_other(void **state)
{
    (void)state;
    pulse(12);
    pulse(10);
    assert_int_equal(pic_acknowledge(&p), 0x3a);
    assert_false(pic_intr(&p));
    pic_out(&p, 0xa0, 0x20);
    pic_out(&p, 0x20, 0x20);
    assert_int_equal(pic_acknowledge(&p), 0x3c);
}

static void what_goes_away_before_inta_is_spurious(void **state)
{
    (void)state;
    pic_out(&p, 0x4d0, 0x20); /* 5 is level triggered */
    pic_line(&p, 5, true);
    assert_true(pic_intr(&p));
    pic_line(&p, 5, false);
    assert_false(pic_intr(&p));
    assert_int_equal(pic_acknowledge(&p), 0x37);
    pic_out(&p, 0x20, 0x0b);
    assert_int_equal(pic_in(&p, 0x20), 0); /* not in service */
}

static void a_level_interrupts_again_while_it_lasts(void **state)
{
    (void)state;
    pic_out(&p, 0x4d1, 0xff);
    assert_int_equal(pic_in(&p, 0x4d1), 0xde); /* 8 and 13 cannot be */
    pic_line(&p, 11, true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pic_acknowledge(&p), 0x3b);
        pic_out(&p, 0xa0, 0x20);
        pic_out(&p, 0x20, 0x20);
        assert_true(pic_intr(&p));
    }
    pic_line(&p, 11, false);
    assert_false(pic_intr(&p));
}

static void auto_eoi_leaves_nothing_in_service(void **state)
{
    (void)state;
    init_chip(0x20, 0x30, 4, 3);
    pulse(1);
    assert_int_equal(pic_acknowledge(&p), 0x31);
    pic_out(&p, 0x20, 0x0b);
    assert_int_equal(pic_in(&p, 0x20), 0);
    pulse(1);
    assert_int_equal(pic_acknowledge(&p), 0x31);
}

static void rotation_puts_the_ended_input_last(void **state)
{
    (void)state;
    pulse(0);
    pulse(1);
    assert_int_equal(pic_acknowledge(&p), 0x30);
    pic_out(&p, 0x20, 0xa0); /* rotate on non-specific EOI */
    pulse(0);
    assert_int_equal(pic_acknowledge(&p), 0x31);
    pic_out(&p, 0x20, 0xc7); /* set priority: 7 lowest again */
    assert_int_equal(pic_acknowledge(&p), 0x30);
}

static void special_mask_lets_lower_inputs_in(void **state)
{
    (void)state;
    pulse(1);
    pulse(6);
    assert_int_equal(pic_acknowledge(&p), 0x31);
    pic_out(&p, 0x21, 0x02);
    assert_false(pic_intr(&p));
    pic_out(&p, 0x20, 0x68);
    assert_int_equal(pic_acknowledge(&p), 0x36);
}

static void polling_acknowledges(void **state)
{
    (void)state;
    pulse(6);
    pic_out(&p, 0x20, 0x0c);
    assert_int_equal(pic_in(&p, 0x20), 0x86);
    assert_false(pic_intr(&p));
    pic_out(&p, 0x20, 0x0c);
    assert_int_equal(pic_in(&p, 0x20), 0x00);
}

static void random_accesses_keep_vectors_in_their_blocks(void **state)
{
    static const u16 ports[] = {0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1};
    u64 seed = 3;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        u64 r = unit_random(&seed);
        u16 port = ports[(r >> 20) % COUNT_OF(ports)];

        if (r & 0x100)
            pic_out(&p, port, (u8)r);
        else
            (void)pic_in(&p, port);
        pic_line(&p, (r >> 32) % 20, r & 0x200);
        if (r & 0x400) {
            u8 expected = pic_vector(&p);

            assert_int_equal(pic_acknowledge(&p), expected);
        }
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(before_initialisation_everything_is_masked),
        T(the_mask_register_reads_back_for_probing),
        T(an_edge_interrupts_once_and_waits_for_its_eoi),
        T(a_higher_input_interrupts_a_lower_one),
        T(the_slave_comes_through_input_two),
        T(two_slave_interrupts_follow_each_other),
        T(what_goes_away_before_inta_is_spurious),
        T(a_level_interrupts_again_while_it_lasts),
        T(auto_eoi_leaves_nothing_in_service),
        T(rotation_puts_the_ended_input_last),
        T(special_mask_lets_lower_inputs_in),
        T(polling_acknowledges),
        T(random_accesses_keep_vectors_in_their_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

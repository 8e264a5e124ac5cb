/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/power.h"
#include "vmm/layout.h"

static struct power p;

static int setup(void **state)
{
    (void)state;
    power_init(&p);
    return 0;
}

static void s5_in_the_sleep_register_powers_off(void **state)
{
    (void)state;
    assert_int_equal(power_out(&p, PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2), POWER_NONE);
    assert_int_equal(power_in(&p, PORT_SLEEP_CONTROL), SLEEP_TYPE_S5 << 2);
    assert_int_equal(power_out(&p, PORT_SLEEP_CONTROL, 3 << 2 | 0x20), POWER_NONE);
    assert_int_equal(power_out(&p, PORT_SLEEP_CONTROL, SLEEP_TYPE_S5 << 2 | 0x20), POWER_OFF);
    assert_int_equal(power_in(&p, PORT_SLEEP_STATUS), 0);
}

static void the_reset_register_wants_its_value(void **state)
{
    (void)state;
    assert_int_equal(power_out(&p, PORT_RESET, 0), POWER_NONE);
    assert_int_equal(power_out(&p, PORT_RESET, 0xff), POWER_NONE);
    assert_int_equal(power_out(&p, PORT_RESET, RESET_VALUE), POWER_RESET);
}

static void cf9_resets_on_the_rising_edge(void **state)
{
    (void)state;
    assert_int_equal(power_out(&p, 0xcf9, 0x02), POWER_NONE);
    assert_int_equal(power_in(&p, 0xcf9), 0x02);
    assert_int_equal(power_out(&p, 0xcf9, 0x06), POWER_RESET);
    assert_int_equal(power_out(&p, 0xcf9, 0x06), POWER_NONE);
}

static void port_92_has_a20_and_fast_reset(void **state)
{
    (void)state;
    assert_int_equal(power_in(&p, 0x92), 2);
    assert_int_equal(power_out(&p, 0x92, 2), POWER_NONE);
    assert_int_equal(power_out(&p, 0x92, 3), POWER_RESET);
}

static void the_keyboard_controller_is_absent_but_resets(void **state)
{
    (void)state;
    assert_int_equal(power_in(&p, 0x64), 0xff);
    assert_int_equal(power_in(&p, 0x60), 0xff);
    assert_int_equal(power_out(&p, 0x64, 0xff), POWER_NONE);
    assert_int_equal(power_out(&p, 0x64, 0xae), POWER_NONE);
    assert_int_equal(power_out(&p, 0x60, 0xfe), POWER_NONE);
    assert_int_equal(power_out(&p, 0x64, 0xfe), POWER_RESET);
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(s5_in_the_sleep_register_powers_off),
        T(the_reset_register_wants_its_value),
        T(cf9_resets_on_the_rising_edge),
        T(port_92_has_a20_and_fast_reset),
        T(the_keyboard_controller_is_absent_but_resets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

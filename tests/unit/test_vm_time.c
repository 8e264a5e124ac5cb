/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/vm_time.c: when the host must wake a guest that is younger or older than the host itself. */
#include "unit.h"
#include "fake/fake.h"
#include "fake/vm_world.h"
#include "kernel/timer.h"

#define UPTIME SEC(300)

static struct vm_world world;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    vm_world_make(&world, VM_RUNNING);
    fake_advance(UPTIME - time_now());
    return 0;
}

static u64 guest_ns(void)
{
    return vcpu_time(&world.vm.vcpu[0]).ns;
}

static void a_guest_that_is_younger_than_its_host_is_woken_on_time(void **state)
{
    (void)state;
    vm_set_time(&world.vm, SEC(100), 0);
    assert_int_equal(guest_ns(), SEC(100));
    assert_int_equal(vm_host_time(&world.vm, SEC(100) + MSEC(1)), UPTIME + MSEC(1));
}

static void a_guest_that_is_older_than_its_host_is_woken_on_time(void **state)
{
    (void)state;
    vm_set_time(&world.vm, SEC(36000), 0);
    assert_int_equal(guest_ns(), SEC(36000));
    assert_int_equal(vm_host_time(&world.vm, SEC(36000) + MSEC(1)), UPTIME + MSEC(1));
    fake_advance(SEC(5));
    assert_int_equal(guest_ns(), SEC(36005));
}

static void a_time_before_the_host_booted_is_the_boot(void **state)
{
    (void)state;
    vm_set_time(&world.vm, SEC(36000), 0);
    assert_int_equal(vm_host_time(&world.vm, SEC(36000) - UPTIME), 0);
    assert_int_equal(vm_host_time(&world.vm, SEC(36000) - UPTIME - 1), 0);
    assert_int_equal(vm_host_time(&world.vm, 0), 0);
}

static void never_is_never_on_the_host_too(void **state)
{
    (void)state;
    vm_set_time(&world.vm, SEC(36000), 0);
    assert_int_equal(vm_host_time(&world.vm, VTIME_NEVER), U64_MAX);
    vm_set_time(&world.vm, SEC(1), 0);
    assert_int_equal(vm_host_time(&world.vm, VTIME_NEVER), U64_MAX);
    assert_int_equal(vm_host_time(&world.vm, VTIME_NEVER - 1), U64_MAX); /* saturated */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_guest_that_is_younger_than_its_host_is_woken_on_time, setup),
        cmocka_unit_test_setup(a_guest_that_is_older_than_its_host_is_woken_on_time, setup),
        cmocka_unit_test_setup(a_time_before_the_host_booted_is_the_boot, setup),
        cmocka_unit_test_setup(never_is_never_on_the_host_too, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

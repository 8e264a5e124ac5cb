/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/unit.h"
#include "vmm/dev/lapic.h"
#include "vmm/layout.h"

enum {
    ID = 0x02,
    VERSION = 0x03,
    TPR = 0x08,
    APR = 0x09,
    PPR = 0x0a,
    EOI = 0x0b,
    LDR = 0x0d,
    DFR = 0x0e,
    SVR = 0x0f,
    ISR = 0x10,
    TMR = 0x18,
    IRR = 0x20,
    ESR = 0x28,
    ICR = 0x30,
    ICR_HIGH = 0x31,
    LVT = 0x32,
    INITIAL = 0x38,
    CURRENT = 0x39,
    DIVIDE = 0x3e,
    SELF = 0x3f
};

#define KHZ            2500000u
#define TIMER_PERIODIC 0x20000u
#define TIMER_DEADLINE 0x40000u
#define X2APIC_BASE    (GUEST_LAPIC | APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP)
#define XAPIC_BASE     (GUEST_LAPIC | APIC_BASE_ENABLE | APIC_BASE_BSP)

static struct lapic l;
static struct vtime now;
static struct lapic_action action;

static void at(u64 ns)
{
    now = (struct vtime){.ns = ns, .tsc = ns * 5 / 2, .tsc_khz = KHZ};
}

static u32 mmio(unsigned reg)
{
    return lapic_read_mmio(&l, reg << 4, 4, &now);
}

static void set_mmio(unsigned reg, u32 value)
{
    lapic_write_mmio(&l, reg << 4, 4, value, &now, &action);
}

static bool set_msr(u32 msr, u64 value)
{
    return lapic_write_msr(&l, msr, value, &now, &action);
}

static u64 msr(u32 number)
{
    u64 value = 0xdead;

    assert_true(lapic_read_msr(&l, number, &value, &now));
    return value;
}

static int setup(void **state)
{
    (void)state;
    lapic_init(&l, 0, true);
    at(1000000);
    set_mmio(SVR, 0x1ff);
    return 0;
}

static int setup_x2apic(void **state)
{
    setup(state);
    assert_true(set_msr(MSR_APIC_BASE, X2APIC_BASE));
    return 0;
}

static void registers_have_their_reset_values(void **state)
{
    (void)state;
    lapic_init(&l, 3, false);
    assert_int_equal(mmio(ID), 3u << 24);
    assert_int_equal(mmio(VERSION), 0x50014);
    assert_int_equal(mmio(SVR), 0xff);
    assert_int_equal(mmio(DFR), 0xffffffff);
    for (unsigned i = 0; i < LVT_COUNT; i++)
        assert_int_equal(mmio(LVT + i), LVT_MASKED);
    assert_int_equal(msr(MSR_APIC_BASE), GUEST_LAPIC | APIC_BASE_ENABLE);
    lapic_init(&l, 0, true);
    assert_int_equal(msr(MSR_APIC_BASE), XAPIC_BASE);
}

static void priorities_follow_the_tpr_and_what_is_in_service(void **state)
{
    (void)state;
    assert_int_equal(lapic_pending(&l), -1);
    assert_true(lapic_accept(&l, 0x35, false));
    assert_true(lapic_accept(&l, 0x51, false));
    set_mmio(TPR, 0x5f);
    assert_int_equal(lapic_pending(&l), -1); /* class 5 is not above 5 */
    assert_int_equal(mmio(PPR), 0x5f);
    set_mmio(TPR, 0x40);
    assert_int_equal(mmio(APR), 0x50);
    assert_int_equal(lapic_take(&l), 0x51);
    assert_int_equal(mmio(PPR), 0x50);
    assert_int_equal(mmio(ISR + 2), 1u << 17);
    set_mmio(TPR, 0);
    assert_int_equal(lapic_pending(&l), -1);
    set_mmio(EOI, 0);
    assert_int_equal(lapic_take(&l), 0x35);
    assert_int_equal(mmio(IRR + 1), 0);
}

static void an_eoi_of_a_level_interrupt_is_told(void **state)
{
    (void)state;
    lapic_accept(&l, 0x41, true);
    assert_int_equal(mmio(TMR + 2), 2);
    assert_int_equal(lapic_take(&l), 0x41);
    set_mmio(EOI, 0x1234);
    assert_int_equal(action.kind, LAPIC_EOI);
    assert_int_equal(action.vector, 0x41);
    set_mmio(EOI, 0);
    assert_int_equal(action.kind, LAPIC_NOTHING);
    lapic_accept(&l, 0x41, false);
    lapic_take(&l);
    set_mmio(EOI, 0);
    assert_int_equal(action.kind, LAPIC_NOTHING);
}

static void cr8_is_the_upper_half_of_the_tpr(void **state)
{
    (void)state;
    lapic_set_cr8(&l, 0xf5);
    assert_int_equal(mmio(TPR), 0x50);
    set_mmio(TPR, 0xab);
    assert_int_equal(lapic_get_cr8(&l), 0xa);
}

static void software_disable_masks_the_lvt_and_refuses_interrupts(void **state)
{
    (void)state;
    set_mmio(LVT + LVT_LINT0, 0x700);
    assert_int_equal(mmio(LVT + LVT_LINT0), 0x700);
    set_mmio(SVR, 0xff);
    assert_int_equal(mmio(LVT + LVT_LINT0), 0x10700);
    set_mmio(LVT + LVT_LINT0, 0x700);
    assert_int_equal(mmio(LVT + LVT_LINT0), 0x10700);
    assert_false(lapic_accept(&l, 0x40, false));
}

static void odd_mmio_accesses_are_harmless(void **state)
{
    (void)state;
    set_mmio(TPR, 0x20);
    lapic_write_mmio(&l, 0x81, 4, 0xff, &now, &action);
    lapic_write_mmio(&l, 0x84, 4, 0xff, &now, &action);
    lapic_write_mmio(&l, 0x80, 1, 0xff, &now, &action);
    assert_int_equal(mmio(TPR), 0x20);
    assert_int_equal(lapic_read_mmio(&l, 0x84, 4, &now), 0);
    assert_int_equal(lapic_read_mmio(&l, 0x31, 1, &now) & 0xff, 0x00);
    assert_int_equal(lapic_read_mmio(&l, 0x32, 1, &now) & 0xff, 0x05);
    set_mmio(VERSION, 0xffffffff);
    assert_int_equal(mmio(VERSION), LAPIC_VERSION);
    for (u32 offset = 0; offset < 0x1000; offset++)
        for (u8 size = 1; size <= 8; size *= 2) {
            (void)lapic_read_mmio(&l, offset, size, &now);
            lapic_write_mmio(&l, offset, size, 0xffffffff, &now, &action);
        }
}

static void errors_are_gathered_until_the_esr_is_written(void **state)
{
    (void)state;
    set_mmio(LVT + LVT_ERROR, 0xfe);
    set_mmio(ICR, 0x05);
    assert_int_equal(action.kind, LAPIC_NOTHING);
    assert_int_equal(lapic_take(&l), 0xfe);
    assert_false(lapic_accept(&l, 0x0f, false));
    (void)mmio(0x04);
    assert_int_equal(mmio(ESR), 0);
    set_mmio(ESR, 0);
    assert_int_equal(mmio(ESR), 0xe0);
    set_mmio(ESR, 0);
    assert_int_equal(mmio(ESR), 0);
    set_mmio(LVT + LVT_ERROR, 0x01); /* an error vector that is an error: no recursion */
    assert_false(lapic_accept(&l, 0, false));
}

static void an_icr_write_is_an_action(void **state)
{
    (void)state;
    set_mmio(ICR_HIGH, 0x03ffffff);
    assert_int_equal(mmio(ICR_HIGH), 0x03000000);
    set_mmio(ICR, 0x000c4540 | 0xfff00000);
    assert_int_equal(action.kind, LAPIC_IPI);
    assert_int_equal(action.icr, 0x000c4540);
    assert_int_equal(action.dest, 3);
    assert_int_equal(mmio(ICR), 0x000c4540);
}

static void the_one_shot_timer_fires_once(void **state)
{
    (void)state;
    set_mmio(DIVIDE, 0xb); /* by 1 */
    set_mmio(LVT, 0xec);
    set_mmio(INITIAL, 5000);
    assert_int_equal(mmio(CURRENT), 5000);
    assert_int_equal(lapic_next(&l, &now), 1005000);
    at(1004000);
    assert_int_equal(mmio(CURRENT), 1000);
    at(1005000);
    lapic_tick(&l, &now);
    assert_int_equal(lapic_take(&l), 0xec);
    assert_int_equal(mmio(CURRENT), 0);
    assert_int_equal(mmio(INITIAL), 5000);
    assert_int_equal(lapic_next(&l, &now), VTIME_NEVER);
}

static void the_periodic_timer_keeps_its_phase(void **state)
{
    (void)state;
    set_mmio(DIVIDE, 0x3); /* by 16 */
    set_mmio(LVT, TIMER_PERIODIC | 0xec);
    set_mmio(INITIAL, 1000);
    assert_int_equal(lapic_next(&l, &now), 1016000);
    at(1016000 + 16000 * 7 + 160); /* seven more went by unseen */
    lapic_tick(&l, &now);
    assert_int_equal(lapic_take(&l), 0xec);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(lapic_next(&l, &now), 1016000 + 16000 * 8);
    assert_int_equal(mmio(CURRENT), 990);
    set_mmio(INITIAL, 0);
    assert_int_equal(lapic_next(&l, &now), VTIME_NEVER);
}

static void a_new_divider_keeps_what_is_left_of_the_count(void **state)
{
    (void)state;
    set_mmio(LVT, 0xec);
    set_mmio(INITIAL, 1000); /* by 2 after reset */
    at(1001000);
    assert_int_equal(mmio(CURRENT), 500);
    set_mmio(DIVIDE, 0xa); /* by 128 */
    assert_int_equal(mmio(CURRENT), 500);
    assert_int_equal(lapic_next(&l, &now), 1001000 + 64000);
}

static void a_masked_timer_runs_out_in_silence(void **state)
{
    (void)state;
    set_mmio(LVT, 0xec | LVT_MASKED);
    set_mmio(INITIAL, 1000);
    assert_int_equal(lapic_next(&l, &now), VTIME_NEVER);
    at(1100000);
    set_mmio(LVT, 0xec);
    assert_int_equal(lapic_pending(&l), -1);
    assert_int_equal(lapic_next(&l, &now), VTIME_NEVER);
}

static void the_tsc_deadline_is_converted_to_guest_time(void **state)
{
    (void)state;
    assert_true(set_msr(MSR_TSC_DEADLINE, now.tsc + 10)); /* not in that mode: ignored */
    assert_int_equal(msr(MSR_TSC_DEADLINE), 0);
    set_mmio(LVT, TIMER_DEADLINE | 0xec);
    assert_true(set_msr(MSR_TSC_DEADLINE, now.tsc + 25001));
    assert_int_equal(msr(MSR_TSC_DEADLINE), now.tsc + 25001);
    assert_int_equal(lapic_next(&l, &now), now.ns + 10001); /* rounded up */
    set_mmio(INITIAL, 77);                                  /* ignored in this mode */
    assert_int_equal(mmio(INITIAL), 0);
    at(now.ns + 10001);
    lapic_tick(&l, &now);
    assert_int_equal(lapic_take(&l), 0xec);
    assert_int_equal(msr(MSR_TSC_DEADLINE), 0);
    set_mmio(EOI, 0);
    assert_true(set_msr(MSR_TSC_DEADLINE, 1)); /* long ago */
    assert_int_equal(lapic_take(&l), 0xec);
    assert_true(set_msr(MSR_TSC_DEADLINE, U64_MAX));
    assert_true(lapic_next(&l, &now) > 1ull << 60);
    set_mmio(LVT, 0xec); /* leaving the mode disarms */
    set_mmio(LVT, TIMER_DEADLINE | 0xec);
    assert_int_equal(msr(MSR_TSC_DEADLINE), 0);
}

static void a_far_deadline_on_a_slow_clock_is_never(void **state)
{
    (void)state;
    now.tsc_khz = 50000;
    set_mmio(LVT, TIMER_DEADLINE | 0xec);
    assert_true(set_msr(MSR_TSC_DEADLINE, U64_MAX));
    assert_int_equal(lapic_next(&l, &now), VTIME_NEVER);
}

static void modes_change_only_along_the_allowed_ways(void **state)
{
    (void)state;
    assert_false(set_msr(MSR_APIC_BASE, GUEST_LAPIC | APIC_BASE_X2APIC));
    assert_false(set_msr(MSR_APIC_BASE, 0xfee01000 | APIC_BASE_ENABLE));
    assert_false(set_msr(MSR_APIC_BASE, XAPIC_BASE | 1));
    assert_false(set_msr(MSR_APIC_BASE, XAPIC_BASE | BIT(40)));
    assert_true(set_msr(MSR_APIC_BASE, XAPIC_BASE));
    assert_true(set_msr(MSR_APIC_BASE, X2APIC_BASE));
    assert_int_equal(mmio(VERSION), 0xffffffff);
    assert_false(set_msr(MSR_APIC_BASE, XAPIC_BASE));
    assert_int_equal(msr(MSR_X2APIC + SVR), 0x1ff);
    assert_true(set_msr(MSR_APIC_BASE, GUEST_LAPIC));
    assert_int_equal(msr(MSR_APIC_BASE), GUEST_LAPIC | APIC_BASE_BSP); /* BSP is fixed */
    assert_int_equal(mmio(VERSION), 0xffffffff);
    assert_false(lapic_accept(&l, 0x40, false));
    assert_false(set_msr(MSR_APIC_BASE, X2APIC_BASE));
    assert_true(set_msr(MSR_APIC_BASE, XAPIC_BASE));
    assert_int_equal(mmio(SVR), 0xff); /* disabling was a reset */
}

static void x2apic_registers_refuse_what_the_manual_refuses(void **state)
{
    u64 v;

    (void)state;
    assert_int_equal(msr(MSR_X2APIC + ID), 0);
    assert_int_equal(msr(MSR_X2APIC + LDR), 1);
    assert_false(set_msr(MSR_X2APIC + ID, 0));
    assert_false(set_msr(MSR_X2APIC + LDR, 0));
    assert_false(set_msr(MSR_X2APIC + TPR, 0x100));
    assert_false(set_msr(MSR_X2APIC + TPR, 1ull << 32));
    assert_false(set_msr(MSR_X2APIC + EOI, 1));
    assert_true(set_msr(MSR_X2APIC + EOI, 0));
    assert_false(set_msr(MSR_X2APIC + ESR, 1));
    assert_true(set_msr(MSR_X2APIC + ESR, 0));
    assert_false(set_msr(MSR_X2APIC + LVT, 0x80000000));
    assert_true(set_msr(MSR_X2APIC + LVT, 0x310ec));
    assert_int_equal(msr(MSR_X2APIC + LVT), 0x300ec);
    assert_false(lapic_read_msr(&l, MSR_X2APIC + EOI, &v, &now));
    assert_false(lapic_read_msr(&l, MSR_X2APIC + DFR, &v, &now));
    assert_false(lapic_read_msr(&l, MSR_X2APIC + ICR_HIGH, &v, &now));
    assert_false(lapic_read_msr(&l, MSR_X2APIC + SELF, &v, &now));
    assert_false(lapic_read_msr(&l, MSR_X2APIC + 0x40, &v, &now));
    assert_false(lapic_read_msr(&l, MSR_X2APIC_LAST, &v, &now));
    assert_false(set_msr(MSR_X2APIC + ICR, 0x2040)); /* reserved bit 13 */
    assert_true(set_msr(MSR_X2APIC + ICR, 0x1234567800004840));
    assert_int_equal(action.kind, LAPIC_IPI);
    assert_int_equal(action.dest, 0x12345678);
    assert_int_equal(msr(MSR_X2APIC + ICR), 0x1234567800004840);
    assert_true(set_msr(MSR_X2APIC + SELF, 0x55));
    assert_int_equal(action.icr, 0x40055);
    assert_false(set_msr(MSR_X2APIC + SELF, 0x155));
}

static void x2apic_msrs_fault_in_xapic_mode(void **state)
{
    u64 v;

    (void)state;
    for (u32 m = MSR_X2APIC; m <= MSR_X2APIC_LAST; m++) {
        assert_false(lapic_read_msr(&l, m, &v, &now));
        assert_false(set_msr(m, 0));
    }
}

static void every_x2apic_msr_survives_random_values(void **state)
{
    u64 seed = 99, v;

    for (int round = 0; round < 400; round++) {
        if (round % 16 == 0)
            setup_x2apic(state);
        for (u32 m = MSR_X2APIC; m <= MSR_X2APIC_LAST; m++) {
            u64 r = unit_random(&seed) >> (unit_random(&seed) & 63);
            bool wrote = set_msr(m, r), read = lapic_read_msr(&l, m, &v, &now);

            if (m >= MSR_X2APIC + 0x40 || (m > MSR_X2APIC + 3 && m < MSR_X2APIC + TPR)) {
                assert_false(wrote);
                assert_false(read);
            }
            if (m != MSR_X2APIC + ICR && r >> 32)
                assert_false(wrote);
        }
        now.ns += unit_random(&seed) >> 34;
        now.tsc += unit_random(&seed) >> 34;
        lapic_tick(&l, &now);
        assert_true(lapic_next(&l, &now) >= now.ns);
        (void)lapic_take(&l);
    }
}

#define T(test)  cmocka_unit_test_setup(test, setup)
#define T2(test) cmocka_unit_test_setup(test, setup_x2apic)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(registers_have_their_reset_values),
        T(priorities_follow_the_tpr_and_what_is_in_service),
        T(an_eoi_of_a_level_interrupt_is_told),
        T(cr8_is_the_upper_half_of_the_tpr),
        T(software_disable_masks_the_lvt_and_refuses_interrupts),
        T(odd_mmio_accesses_are_harmless),
        T(errors_are_gathered_until_the_esr_is_written),
        T(an_icr_write_is_an_action),
        T(the_one_shot_timer_fires_once),
        T(the_periodic_timer_keeps_its_phase),
        T(a_new_divider_keeps_what_is_left_of_the_count),
        T(a_masked_timer_runs_out_in_silence),
        T(the_tsc_deadline_is_converted_to_guest_time),
        T(a_far_deadline_on_a_slow_clock_is_never),
        T(modes_change_only_along_the_allowed_ways),
        T2(x2apic_registers_refuse_what_the_manual_refuses),
        T(x2apic_msrs_fault_in_xapic_mode),
        T2(every_x2apic_msr_survives_random_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/exits.c: what an exit does to an event that was on its way. */
#include "unit.h"
#include "fake/fake.h"
#include "fake/vm_world.h"
#include "kernel/shell.h"

static struct vm_world world;

void shell_add_hooks(struct shell_hooks *hooks)
{
    (void)hooks;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    vm_world_make(&world, VM_RUNNING);
    return 0;
}

/* An event that was being delivered when #DB was intercepted. */
static struct vcpu *interrupt_delivery(enum hvm_event_type type, u8 vector)
{
    struct vcpu *v = &world.vm.vcpu[0];
    struct hvm_exit exit = {.kind = EXIT_EXCEPTION,
                            .event = {.valid = true, .type = EVENT_EXCEPTION, .vector = VEC_DB}};

    v->hvm.event = (struct hvm_event){.valid = true, .type = (u8)type, .vector = vector};
    vcpu_handle_exit(v, &exit);
    assert_true(v->hvm.event.valid);
    assert_int_equal(v->hvm.event.type, EVENT_EXCEPTION);
    assert_int_equal(v->hvm.event.vector, VEC_DB);
    return v;
}

static void an_interrupt_whose_delivery_raised_an_exception_comes_behind_it(void **state)
{
    struct irqchip *chip = &world.vm.platform.devices.irqchip;
    struct vtime now = {0};

    (void)state;
    irqchip_mmio_write(chip, 0, GPA(GUEST_LAPIC + 0xf0), 4, 0x1ff, &now);
    irqchip_mmio_write(chip, 0, GPA(GUEST_LAPIC + 0x300), 4, 0x40041, &now); /* to itself */
    assert_int_equal(irqchip_accept(chip, 0), 0x41);
    assert_true(interrupt_delivery(EVENT_IRQ, 0x41)->kicked);
    assert_int_equal(irqchip_pending_vector(chip, 0), 0x41);
}

static void an_nmi_whose_delivery_raised_an_exception_comes_behind_it(void **state)
{
    (void)state;
    assert_true(interrupt_delivery(EVENT_NMI, VEC_NMI)->kicked);
    assert_true(irqchip_take_nmi(&world.vm.platform.devices.irqchip, 0));
}

static void what_the_instruction_raises_again_by_itself_is_not_kept(void **state)
{
    (void)state;
    interrupt_delivery(EVENT_SOFT_INT, 0x80);
    assert_false(irqchip_has_work(&world.vm.platform.devices.irqchip, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_interrupt_whose_delivery_raised_an_exception_comes_behind_it,
                               setup),
        cmocka_unit_test_setup(an_nmi_whose_delivery_raised_an_exception_comes_behind_it, setup),
        cmocka_unit_test_setup(what_the_instruction_raises_again_by_itself_is_not_kept, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/state: a VM's whole state goes out and in again, and nothing else goes in. */
#include <stdlib.h>
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "fake/vm_world.h"
#include "kernel/timer.h"
#include "vmm/state/layout.h"
#include "vmm/state/state.h"

static struct vm_world from, to;
static u8 first[65536] ALIGNED(8), second[65536] ALIGNED(8);
static u64 first_size;
static struct why why;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    vm_world_make(&from, VM_MOVING);
    vm_world_use(&from);
    fake_advance(SEC(7));
    vm_world_make(&to, VM_INCOMING);
    first_size = sizeof(first);
    assert_int_equal(vm_state_save(&from.vm, first, &first_size), OK);
    assert_true(first_size <= vm_state_size(&from.vm));
    why.text[0] = '\0';
    return 0;
}

static u64 save_again(struct vm_world *w)
{
    u64 size = sizeof(second);

    w->vm.state = VM_MOVING;
    assert_int_equal(vm_state_save(&w->vm, second, &size), OK);
    return size;
}

static struct state_section *section(u16 type, u16 instance)
{
    for (u64 at = sizeof(struct state_header); at < first_size;) {
        struct state_section *s = (void *)(first + at);

        if (s->type == type && s->instance == instance)
            return s;
        at += sizeof(*s) + ALIGN_UP(s->length, 8);
    }
    fail_msg("no section %u of %u", type, instance);
    return NULL;
}

static void *content(u16 type, u16 instance)
{
    return section(type, instance) + 1;
}

/* --- it is all there -------------------------------------------------------------------------------- */

static void save_load_save_gives_the_same_bytes(void **state)
{
    (void)state;
    assert_int_equal(vm_state_load(&to.vm, first, first_size, 0, &why), OK);
    fake_advance(SEC(3)); /* it stands still until it runs */
    assert_int_equal(save_again(&to), first_size);
    assert_memory_equal(first, second, first_size);
    assert_int_equal(save_again(&from), first_size);
    assert_memory_equal(first, second, first_size);
}

static void every_part_that_is_loaded_is_that_which_was_saved(void **state)
{
    struct platform_devices *a = &from.vm.platform.devices, *b = &to.vm.platform.devices;

    (void)state;
    assert_int_equal(vm_state_load(&to.vm, first, first_size, 0, &why), OK);
    for (unsigned i = 0; i < WORLD_VCPUS; i++) {
        assert_memory_equal(from.cpu[i].gpr, to.cpu[i].gpr, sizeof(from.cpu[i].gpr));
        assert_int_equal(from.cpu[i].rip, to.cpu[i].rip);
        assert_memory_equal(from.cpu[i].msr, to.cpu[i].msr, sizeof(from.cpu[i].msr));
        assert_memory_equal(from.fpu[i], to.fpu[i], sizeof(from.fpu[i]));
        assert_int_equal(from.cpu[i].sti_shadow, to.cpu[i].sti_shadow);
        assert_int_equal(from.cpu[i].nmi_blocked, to.cpu[i].nmi_blocked);
        assert_int_equal(from.vm.vcpu[i].activity, to.vm.vcpu[i].activity);
        assert_int_equal(from.vm.vcpu[i].tsc_adjust, to.vm.vcpu[i].tsc_adjust);
        assert_int_equal(from.vm.vcpu[i].kvmclock, to.vm.vcpu[i].kvmclock);
        assert_int_equal(a->irqchip.cpu[i].nmi_pending, b->irqchip.cpu[i].nmi_pending);
        assert_memory_equal(a->irqchip.lapic[i].irr, b->irqchip.lapic[i].irr, 96);
    }
    assert_true(to.cpu[0].event.valid && to.cpu[0].event.vector == VEC_PF &&
                to.cpu[0].event.code == 6);
    assert_true(b->irqchip.cpu[2].init_pending && b->irqchip.cpu[2].sipi_vector == 0x12);
    assert_true(b->irqchip.ioapic.redirection[19] & BIT(14)); /* remote IRR */
    assert_memory_equal(&a->irqchip.ioapic, &b->irqchip.ioapic, sizeof(a->irqchip.ioapic));
    assert_memory_equal(&a->irqchip.pic, &b->irqchip.pic, sizeof(a->irqchip.pic));
    assert_int_equal(a->irqchip.pic_intr, b->irqchip.pic_intr);
    assert_memory_equal(&a->com1, &b->com1, sizeof(a->com1));
    assert_memory_equal(&a->power, &b->power, sizeof(a->power));
    assert_int_equal(b->power_event, POWER_RESET);
    assert_int_equal(to.vm.resets, 3);
    assert_memory_equal(to.vm.console.input, "hello", 5);
}

/* --- time ----------------------------------------------------------------------------------------------- */

static struct vtime time_of(struct vm_world *w)
{
    return vcpu_time(&w->vm.vcpu[1]);
}

static void guest_time_and_tsc_go_on_by_what_has_passed(void **state)
{
    struct vtime before = time_of(&from), after;

    (void)state;
    assert_int_equal(vm_state_load(&to.vm, first, first_size, MSEC(250), &why), OK);
    after = time_of(&to);
    assert_int_equal(after.ns - before.ns, MSEC(250));
    assert_int_equal(after.tsc - before.tsc, MSEC(250)); /* 1 GHz */
    fake_advance(SEC(1));
    to.vm.state = VM_RUNNING; /* as vm_arrive does: what passed in between counts */
    assert_int_equal(time_of(&to).ns - after.ns, SEC(1));
    assert_int_equal(time_of(&to).tsc - after.tsc, SEC(1));
}

static void a_paused_vm_stays_so_and_no_time_passes_for_it(void **state)
{
    struct vtime before = time_of(&from);
    u64 size = sizeof(first);

    (void)state;
    from.vm.held_in = VM_PAUSED;
    assert_int_equal(vm_state_save(&from.vm, first, &size), OK);
    assert_int_equal(vm_state_load(&to.vm, first, size, SEC(5), &why), OK);
    assert_int_equal(to.vm.held_in, VM_PAUSED);
    assert_int_equal(time_of(&to).ns, before.ns);
}

/* What is left of each timer is the same on both hosts. */
static void timers_have_as_much_left_as_before(void **state)
{
    struct irqchip *a = &from.vm.platform.devices.irqchip, *b = &to.vm.platform.devices.irqchip;
    struct vtime now_a, now_b;

    (void)state;
    fake_advance(SEC(100));
    assert_int_equal(vm_state_load(&to.vm, first, first_size, 0, &why), OK);
    for (unsigned i = 0; i < WORLD_VCPUS; i++) {
        now_a = vcpu_time(&from.vm.vcpu[i]);
        now_b = vcpu_time(&to.vm.vcpu[i]);
        assert_int_equal(irqchip_next(a, i, &now_a) - now_a.ns,
                         irqchip_next(b, i, &now_b) - now_b.ns);
        assert_int_equal(lapic_timer_count(&a->lapic[i], &now_a),
                         lapic_timer_count(&b->lapic[i], &now_b));
    }
    assert_int_not_equal(irqchip_next(b, 0, &now_b), VTIME_NEVER);
    assert_int_not_equal(irqchip_next(b, 1, &now_b), VTIME_NEVER);
    assert_int_equal(pit_next(&from.vm.platform.devices.pit) - now_a.ns,
                     pit_next(&to.vm.platform.devices.pit) - now_b.ns);
    assert_int_equal(rtc_next(&from.vm.platform.devices.rtc) - now_a.ns,
                     rtc_next(&to.vm.platform.devices.rtc) - now_b.ns);
}

static void timers_run_out_while_it_stands_still(void **state)
{
    struct irqchip *chip = &to.vm.platform.devices.irqchip;
    struct vtime now;

    (void)state;
    assert_int_equal(vm_state_load(&to.vm, first, first_size, SEC(1), &why), OK);
    now = time_of(&to);
    irqchip_tick(chip, 1, &now);
    platform_tick(&to.vm.platform, &now);
    assert_int_equal(chip->lapic[1].tsc_deadline, 0);
    assert_true(chip->lapic[1].irr[0x50 / 32] & 1u << 0x50 % 32);
    assert_true(rtc_irq(&to.vm.platform.devices.rtc));
}

/* The guest's own reckoning neither jumps nor runs on at the old rate. */
static void kvmclock_goes_on_where_the_tsc_has_another_rate(void **state)
{
    struct state_vm *s = content(STATE_VM, 0);
    u64 said, tsc;

    (void)state;
    s->tsc_khz = 1000400; /* 400 ppm more than here */
    said = clock_read(&from.vm.clock, 1000400, s->tsc);
    assert_int_equal(vm_state_load(&to.vm, first, first_size, SEC(1), &why), OK);
    tsc = to.vm.stopped_tsc + to.vm.tsc_offset;
    assert_int_equal(tsc - s->tsc, 1000400000);
    assert_in_range(clock_read(&to.vm.clock, 1000000, tsc) - said, SEC(1) - 10, SEC(1) + 10);
    assert_true(to.vm.vcpu[0].clock_due);
    s->tsc_khz = 1000600;
    assert_int_equal(vm_state_load(&to.vm, first, first_size, 0, &why), E_UNSUPPORTED);
    assert_non_null(strstr(why.text, "500 ppm"));
}

/* --- what is refused ------------------------------------------------------------------------------------- */

static struct vm_world untouched;

static void assert_refused(enum err expected, const char *words)
{
    enum err e;

    memcpy(&untouched, &to, sizeof(to));
    e = vm_state_load(&to.vm, first, first_size, 0, &why);
    to.vm.lock = untouched.vm.lock;
    if (e != expected || !strstr(why.text, words))
        fail_msg("%s: %s instead of '%s'", err_name(e), why.text, words);
    assert_memory_equal(&untouched, &to, sizeof(to));
}

static void what_is_no_state_or_not_whole_is_refused(void **state)
{
    struct state_header *h = (void *)first;
    struct state_section *s;
    u64 whole = first_size;

    (void)state;
    for (first_size = 0; first_size < whole; first_size += 8)
        assert_refused(E_FORMAT, "");
    first_size = whole;
    h->version = 2;
    assert_refused(E_FORMAT, "layout 2");
    h->version = STATE_VERSION;
    h->magic[0] = 'X';
    assert_refused(E_FORMAT, "no state");
    h->magic[0] = 'F';
    s = section(STATE_PIT, 0);
    s->type = STATE_RTC;
    assert_refused(E_FORMAT, "'PIT'");
    s->type = STATE_PIT;
    s->length = 0xffffffff;
    assert_refused(E_FORMAT, "'PIT'");
    s->length = sizeof(struct pit);
    s = section(STATE_CPU, 1);
    s->instance = 7;
    assert_refused(E_FORMAT, "'registers' 1");
    s->instance = 1;
    s = section(STATE_INPUT, 0);
    ((u8 *)(s + 1))[7] = 1;
    assert_refused(E_FORMAT, "behind it");
}

static void another_machine_is_refused(void **state)
{
    struct state_vm *s = content(STATE_VM, 0);
    struct cpuid_policy *p = content(STATE_CPUID, 0);

    (void)state;
    s->memory += PAGE_SIZE;
    assert_refused(E_RANGE, "3 vCPUs and 65540 KiB");
    s->memory -= PAGE_SIZE;
    memcpy(s->backend, "VMX", 4);
    assert_refused(E_UNSUPPORTED, "run by VMX");
    memcpy(s->backend, "SVM", 4);
    p->leaf[0].regs.ecx ^= 1;
    assert_refused(E_RANGE, "CPUID");
    p->leaf[0].regs.ecx ^= 1;
    to.vm.state = VM_RUNNING;
    assert_refused(E_STATE, "neither incoming nor held");
}

struct change {
    u16 type, instance;
    u32 offset;
    u8 size;
    u64 value;
    enum err e;
    const char *words;
};

#define CPU(field, value, words)                                                                   \
    {                                                                                              \
        STATE_CPU, 1, offsetof(struct state_cpu, field), sizeof(((struct state_cpu *)0)->field),   \
            value, E_RANGE, words                                                                  \
    }
#define DEVICE(type, layout, field, value, words)                                                  \
    {                                                                                              \
        type, 0, offsetof(layout, field), sizeof(((layout *)0)->field), value, E_RANGE, words      \
    }

static const struct change changes[] = {
    CPU(rflags, 0x8246, "RFLAGS"),
    CPU(rflags, 0x244, "RFLAGS"),
    CPU(cr0, 0x80000032, "control"),
    CPU(cr0, BIT(32) | 0x80050033, "control"),
    CPU(cr4, BIT(22), "control"),
    CPU(efer, 0x101, "control"),
    CPU(efer, EFER_SVME | 0xd01, "control"),
    CPU(xcr0, 4, "XCR0"),
    CPU(xcr0, 0xff, "XCR0"),
    CPU(dr6, BIT(32), "debug"),
    CPU(dr7, BIT(40), "debug"),
    CPU(pending_debug, 0x10, "debug"),
    CPU(segment[2].attr, 0xf00, "segments"),
    CPU(msr[HVM_MSR_LSTAR], 0x0000800000000000, "MSRs"),
    CPU(msr[HVM_MSR_KERNEL_GS_BASE], 0x7fff800000000000, "MSRs"),
    CPU(msr[HVM_MSR_PAT], 2, "MSRs"),
    CPU(msr[HVM_MSR_TSC_AUX], BIT(32), "MSRs"),
    CPU(kvmclock, 0x5003, "kvmclock"),
    CPU(kvmclock, MIB(64) | 1, "kvmclock"),
    CPU(event_vector, 1, "event"),
    CPU(event_valid, 2, "event"),
    CPU(mov_ss_shadow, 1, "activity"),
    CPU(nmi_blocked, 2, "activity"),
    CPU(activity, 3, "activity"),
    CPU(wall_at, 0x5000, "kvmclock"),
    CPU(zero2[0], 1, "reserved"),
    {STATE_FPU, 2, 512, 8, 0xe7, E_UNSUPPORTED, "vector state"},
    {STATE_FPU, 2, 520, 8, BIT(63) | 7, E_RANGE, "XSAVE"},
    {STATE_FPU, 2, 24, 4, 0x10000, E_RANGE, "XSAVE"},
    DEVICE(STATE_LAPIC, struct lapic, base, 0xfee00c00, "local APIC"),
    DEVICE(STATE_LAPIC, struct lapic, id, 1, "local APIC"),
    DEVICE(STATE_LAPIC, struct lapic, irr[0], 1, "local APIC"),
    DEVICE(STATE_LAPIC, struct lapic, lvt[0], 0x80000, "local APIC"),
    DEVICE(STATE_LAPIC, struct lapic, timer_expires, SEC(1000), "local APIC"),
    DEVICE(STATE_LAPIC, struct lapic, tsc_deadline, 1, "local APIC"),
    DEVICE(STATE_IRQCHIP, struct state_irqchip, cpu[0].init_pending, 2, "requests"),
    DEVICE(STATE_IRQCHIP, struct state_irqchip, cpu[3].init_pending, 1, "requests"),
    DEVICE(STATE_IOAPIC, struct ioapic, redirection[3], BIT(14), "IOAPIC"),
    DEVICE(STATE_IOAPIC, struct ioapic, redirection[3], BIT(17), "IOAPIC"),
    DEVICE(STATE_IOAPIC, struct ioapic, lines, BIT(24), "IOAPIC"),
    DEVICE(STATE_PIC, struct pic, chip[0].lowest, 8, "PIC"),
    DEVICE(STATE_PIC, struct pic, chip[1].icw, 5, "PIC"),
    DEVICE(STATE_PIC, struct pic, chip[0].elcr, 1, "PIC"),
    DEVICE(STATE_PIT, struct pit, channel[0].count, 0, "PIT"),
    DEVICE(STATE_PIT, struct pit, channel[0].count, 65537, "PIT"),
    DEVICE(STATE_PIT, struct pit, channel[0].mode, 6, "PIT"),
    DEVICE(STATE_PIT, struct pit, channel[1].access, 0, "PIT"),
    DEVICE(STATE_PIT, struct pit, channel[0].edges, BIT(50), "PIT"),
    DEVICE(STATE_PIT, struct pit, channel[2].before_ns, BIT(62), "PIT"),
    DEVICE(STATE_RTC, struct rtc, base_seconds, BIT(45), "RTC"),
    DEVICE(STATE_RTC, struct rtc, reg_c, 0x80, "RTC"),
    DEVICE(STATE_COM1, struct uart, rx_first, 16, "UART"),
    DEVICE(STATE_COM1, struct uart, rx_count, 17, "UART"),
    DEVICE(STATE_COM1, struct uart, fcr, 0x80, "UART"),
    DEVICE(STATE_POWER, struct state_power, event, 3, "power"),
    DEVICE(STATE_VM, struct state_vm, ns, BIT(62), "time"),
    DEVICE(STATE_VM, struct state_vm, tsc, BIT(63), "time"),
    DEVICE(STATE_VM, struct state_vm, clock_tsc, BIT(54), "time"), /* later than its TSC */
    DEVICE(STATE_VM, struct state_vm, clock_ns, BIT(62), "time"),
    DEVICE(STATE_VM, struct state_vm, runs, 2, "time"),
};

static void values_that_cannot_be_are_refused_and_change_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT_OF(changes); i++) {
        const struct change *c = &changes[i];
        u8 *at = (u8 *)content(c->type, c->instance) + c->offset, kept[8];

        memcpy(kept, at, c->size);
        memcpy(at, &c->value, c->size);
        assert_refused(c->e, c->words);
        memcpy(at, kept, c->size);
    }
    assert_int_equal(vm_state_load(&to.vm, first, first_size, 0, &why), OK);
}

static void a_state_is_saved_of_a_held_vm_only_and_where_there_is_room(void **state)
{
    u64 size = vm_state_size(&from.vm) - 1;

    (void)state;
    assert_int_equal(vm_state_save(&from.vm, second, &size), E_RANGE);
    size = sizeof(second);
    from.vm.state = VM_RUNNING;
    assert_int_equal(vm_state_save(&from.vm, second, &size), E_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(save_load_save_gives_the_same_bytes, setup),
        cmocka_unit_test_setup(every_part_that_is_loaded_is_that_which_was_saved, setup),
        cmocka_unit_test_setup(guest_time_and_tsc_go_on_by_what_has_passed, setup),
        cmocka_unit_test_setup(a_paused_vm_stays_so_and_no_time_passes_for_it, setup),
        cmocka_unit_test_setup(timers_have_as_much_left_as_before, setup),
        cmocka_unit_test_setup(timers_run_out_while_it_stands_still, setup),
        cmocka_unit_test_setup(kvmclock_goes_on_where_the_tsc_has_another_rate, setup),
        cmocka_unit_test_setup(what_is_no_state_or_not_whole_is_refused, setup),
        cmocka_unit_test_setup(another_machine_is_refused, setup),
        cmocka_unit_test_setup(values_that_cannot_be_are_refused_and_change_nothing, setup),
        cmocka_unit_test_setup(a_state_is_saved_of_a_held_vm_only_and_where_there_is_room, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

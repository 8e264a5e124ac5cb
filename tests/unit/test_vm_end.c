/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/vm_end.c: the end of a VM, and pointers to it that are older. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/shell.h"
#include "vmm/share/share.h"
#include "vmm/vm.h"

extern const struct ptab_format npt_format;
static unsigned cpus_made;

static enum err cpu_create(struct hvm_vcpu *v)
{
    v->arch = v;
    cpus_made++;
    return OK;
}

static void cpu_destroy(struct hvm_vcpu *v)
{
    v->arch = NULL;
    cpus_made--;
}

static const struct hvm_ops ops = {
    .slat_format = &npt_format, .vcpu_create = cpu_create, .vcpu_destroy = cpu_destroy};
const struct hvm_ops *hvm = &ops;

u32 arch_fpu_size(void)
{
    return 832;
}

static const struct cpuid_policy cpuid = {.vcpus = 2, .xcr0 = 7, .count = 1};
static const struct config_vm config = {
    .name = "web", .group = "default", .memory = MIB(8), .vcpus = 2};
static struct why why;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(64));
    thread_init();
    cpus_made = 0;
    why.text[0] = '\0';
    return 0;
}

static struct vm *make(void)
{
    struct vm *vm;

    if (vm_make(&vm, &config, VM_OFF, &cpuid, &why))
        fail_msg("%s", why.text);
    thread_sleep(MSEC(1)); /* its threads run, and park */
    return vm;
}

/* The shell is not here: its commands begin where the test says so. */
void shell_add_hooks(struct shell_hooks *hooks)
{
    (void)hooks;
}

static bool count_thread(void *ctx, struct thread *t)
{
    unsigned *threads = ctx;

    (*threads)++;
    return t;
}

static unsigned threads(void)
{
    unsigned n = 0;

    thread_walk(count_thread, &n);
    return n;
}

static void a_pointer_to_a_vm_that_was_destroyed_can_kick_it_and_finds_it_dying(void **state)
{
    unsigned before = threads();
    struct vm *vm = make();

    (void)state;
    assert_int_equal(threads(), before + 2);
    assert_int_equal(vm_destroy(vm, &why), OK);
    thread_sleep(MSEC(1));
    assert_int_equal(threads(), before);
    assert_int_equal(cpus_made, 0);
    assert_null(vm_find("web"));
    for (u32 i = 0; i < config.vcpus; i++)
        assert_int_equal(vm->vcpu[i].thread->state, THREAD_DEAD);
    vm_kick_all(vm); /* as one who found it before */
    assert_int_equal(vm->state, VM_DYING);
    assert_int_equal(vm_start(vm, &why), E_STATE);
    assert_int_equal(vm_stop(vm, &why), E_STATE);
    assert_int_equal(vm_pause(vm, &why), E_STATE);
    assert_int_equal(vm_resume(vm, &why), E_STATE);
    assert_int_equal(vm_destroy(vm, &why), E_STATE);
    vm_free_ended();
}

static void nothing_is_left_of_vms_that_ended_when_the_next_command_begins(void **state)
{
    u64 before = 0;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(vm_destroy(make(), &why), OK);
        thread_sleep(MSEC(1));
        vm_free_ended();
        if (i == 4) /* the heap keeps some for good */
            before = frames_free();
    }
    assert_int_equal(frames_free(), before);
}

static void a_vm_that_is_claimed_or_being_started_is_not_destroyed(void **state)
{
    struct vm *vm = make();

    (void)state;
    vm->claimed = true;
    assert_int_equal(vm_destroy(vm, &why), E_STATE);
    assert_non_null(strstr(why.text, "being moved"));
    vm->claimed = false;
    vm->starting = true;
    assert_int_equal(vm_destroy(vm, &why), E_STATE);
    assert_non_null(strstr(why.text, "being started"));
    vm->starting = false;
    assert_int_equal(vm_destroy(vm, &why), OK);
    vm_free_ended();
}

static void a_vm_can_be_asked_for_without_a_pointer(void **state)
{
    struct config_vm found;
    enum vm_state is;

    (void)state;
    assert_false(vm_query("web", &found, &is));
    struct vm *vm = make();
    assert_true(vm_query("web", &found, &is));
    assert_int_equal(is, VM_OFF);
    assert_int_equal(found.memory, MIB(8));
    assert_int_equal(vm_destroy(vm, &why), OK);
    assert_false(vm_query("web", NULL, &is));
    vm_free_ended();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_pointer_to_a_vm_that_was_destroyed_can_kick_it_and_finds_it_dying),
        TEST(nothing_is_left_of_vms_that_ended_when_the_next_command_begins),
        TEST(a_vm_that_is_claimed_or_being_started_is_not_destroyed),
        TEST(a_vm_can_be_asked_for_without_a_pointer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

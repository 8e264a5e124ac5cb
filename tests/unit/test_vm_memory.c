/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM is made and ended, and each allocation on the way fails once. */
#include <string.h>
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/string.h"
#include "kernel/shell.h"
#include "kernel/thread.h"
#include "unit.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/share/share.h"
#include "vmm/vm.h"

extern const struct ptab_format npt_format;

/* --- a CPU whose vCPUs are a block of memory each -------------------------------------------------- */

static enum err vcpu_make(struct hvm_vcpu *v)
{
    v->arch = heap_alloc(256);
    return v->arch ? OK : E_NOMEM;
}

static void vcpu_end(struct hvm_vcpu *v)
{
    heap_free(v->arch);
    v->arch = NULL;
}

static const struct hvm_ops ops = {
    .name = "fake", .slat_format = &npt_format, .vcpu_create = vcpu_make, .vcpu_destroy = vcpu_end};
const struct hvm_ops *hvm = &ops;

u32 arch_fpu_size(void)
{
    return 832;
}

/* Its commands begin where a test says so. */
void shell_add_hooks(struct shell_hooks *hooks)
{
    (void)hooks;
}

/* --- the tests ------------------------------------------------------------------------------------- */

static const struct config_vm config = {
    .name = "one", .group = "lab", .memory = MIB(16), .vcpus = 4};
static struct why why;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(64));
    thread_init();
    return share_start(MIB(64) / PAGE_SIZE);
}

static enum err make_and_touch(struct vm **vm)
{
    enum err e = vm_create(vm, &config, &why);
    u64 value = 7;

    for (u64 at = 0; !e && at < MIB(16); at += MIB(3))
        if (guest_mem_write(&(*vm)->pmap, GPA(at), &value, sizeof(value)))
            (void)!guest_mem_write(&(*vm)->pmap, GPA(at), &value, sizeof(value)); /* once more */
    return e;
}

static void end_vm(struct vm *vm)
{
    assert_int_equal(vm_destroy(vm, &why), OK);
    assert_null(vm_find("one"));
    vm_free_ended();
}

static void a_vm_that_lacks_memory_at_any_point_leaves_nothing_behind(void **state)
{
    struct vm *vm;
    u64 before, n = 0;
    unsigned stacks;

    (void)state;
    assert_int_equal(make_and_touch(&vm), OK);
    end_vm(vm);
    thread_sleep(MSEC(100)); /* the ends of threads are taken away */
    before = frames_free();
    stacks = fake_seen.stacks;
    for (;;) {
        enum err e;

        why.text[0] = '\0';
        fake_fail_at(++n);
        e = make_and_touch(&vm);
        if (!fake_has_failed())
            break;
        fake_fail_at(0);
        if (e) {
            assert_int_equal(e, E_NOMEM);
            assert_true(strstr(why.text, "no memory for") != NULL);
            assert_null(vm_find("one"));
        } else {
            end_vm(vm);
        }
        thread_sleep(MSEC(100));
        assert_int_equal(frames_free(), before);
        assert_int_equal(fake_seen.stacks, stacks);
    }
    fake_fail_at(0);
    assert_true(n > 15);
    end_vm(vm);
}

/* As vm_starve leaves it. */
static struct vm *starved(const char *name, u64 since)
{
    struct config_vm c = config;
    struct vm *vm;

    str_copy(c.name, sizeof(c.name), name);
    assert_int_equal(vm_create(&vm, &c, &why), OK);
    vm->state = VM_PAUSED;
    vm->starved = true;
    vm->starved_at = since;
    return vm;
}

/* Whether it goes on; if so it is turned off again, before its vCPUs get a CPU. */
static bool goes_on(struct vm *vm)
{
    bool runs = vm->state == VM_RUNNING;

    if (runs)
        vm->state = VM_OFF;
    return runs;
}

static void vms_that_wait_for_memory_go_on_in_turn(void **state)
{
    struct vm *late = starved("late", SEC(3)), *first = starved("first", SEC(1)),
              *next = starved("next", SEC(2));

    (void)state;
    while (frames_free() > MIB(6) / PAGE_SIZE)
        assert_true(frame_alloc(0, FRAME_KERNEL, 0).v != 0);
    vm_feed();
    assert_true(goes_on(first));
    assert_false(goes_on(next) || goes_on(late));
    vm_feed(); /* what is free is the first one's still */
    assert_false(goes_on(next) || goes_on(late));
    fake_advance(SEC(1) + 1);
    vm_feed();
    assert_true(goes_on(next));
    assert_false(goes_on(late));
    fake_advance(SEC(1) + 1);
    while (frames_free() > MIB(4) / PAGE_SIZE)
        assert_true(frame_alloc(0, FRAME_KERNEL, 0).v != 0);
    vm_feed();
    assert_false(goes_on(late));
}

static void page_tables_and_records_are_part_of_admission(void **state)
{
    static struct vm vm;
    u64 reserve = MIB(8) / PAGE_SIZE, room = frames_free() - reserve;

    (void)state;
    vm.config = config;
    vm.config.memory = room * PAGE_SIZE;
    assert_int_equal(vm_admit(&vm, &why), E_NOMEM);
    vm.config.memory = (room - pmap_tables_most(room)) * PAGE_SIZE;
    assert_int_equal(vm_admit(&vm, &why), OK);
    assert_in_range(pmap_tables_most(room), room / 256, room / 256 + 2);
}

/* Reads 2 MiB apart, each of which wants a frame of records and a page table. */
static void tables_do_not_take_the_hosts_last_frames(void **state)
{
    struct config_vm large = config;
    enum err e = OK;
    struct vm *vm;
    u64 value, left;

    (void)state;
    large.memory = GIB(4);
    assert_int_equal(vm_create(&vm, &large, &why), OK);
    while (frames_free() > MIB(5) / PAGE_SIZE)
        assert_true(frame_alloc(0, FRAME_KERNEL, 0).v != 0);
    for (u64 at = 0; !e && at < GIB(2); at += MIB(2))
        e = guest_mem_read(&vm->pmap, GPA(at), &value, sizeof(value));
    left = frames_free();
    assert_int_equal(e, E_NOMEM);
    assert_true(left > MIB(4) / PAGE_SIZE - 4);
    assert_int_equal(guest_mem_read(&vm->pmap, GPA(0), &value, sizeof(value)), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_vm_that_lacks_memory_at_any_point_leaves_nothing_behind, setup),
        cmocka_unit_test_setup(page_tables_and_records_are_part_of_admission, setup),
        cmocka_unit_test_setup(tables_do_not_take_the_hosts_last_frames, setup),
        cmocka_unit_test_setup(vms_that_wait_for_memory_go_on_in_turn, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

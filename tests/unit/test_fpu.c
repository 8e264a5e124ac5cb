/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's own use of the SSE registers. */
#include "unit.h"
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/xmm.h"
#include "fake/fake.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void xmm_fill(u8 first)
{
    struct xmm x;

    for (u32 i = 0; i < sizeof(x); i++)
        ((u8 *)&x)[i] = (u8)(first + i);
    xmm_load(&x);
}

/* What a guest finds again that left `first` on: the compiler's own code between may not touch it. */
static struct xmm after_own_use(u8 first)
{
    struct xmm x;

    xmm_fill(first);
    arch_fpu_begin();
    xmm_fill(77);
    arch_fpu_end();
    xmm_save(&x);
    return x;
}

static void what_a_guest_left_in_the_registers_is_kept(void **state)
{
    struct hvm_vcpu *loaded = (struct hvm_vcpu *)(uintptr_t)64;
    struct xmm x;

    (void)state;
    cpu_this()->vcpu = loaded;
    x = after_own_use(5);
    for (u32 i = 0; i < sizeof(x); i++)
        assert_int_equal(((u8 *)&x)[i], (u8)(5 + i));
    assert_false(fpu_own_use());
}

static void without_a_guest_nothing_is_saved(void **state)
{
    struct xmm x;

    (void)state;
    x = after_own_use(5);
    for (u32 i = 0; i < sizeof(x); i++)
        assert_int_equal(((u8 *)&x)[i], (u8)(77 + i));
}

static void begin_and_end(unsigned begins, unsigned ends)
{
    while (begins--)
        arch_fpu_begin();
    while (ends--)
        arch_fpu_end();
}

static void uses_do_not_nest(void **state)
{
    (void)state;
    assert_panics(begin_and_end(2, 0), "arch_fpu_begin within another");
    assert_panics(begin_and_end(1, 2), "arch_fpu_end without arch_fpu_begin");
    begin_and_end(1, 1);
    begin_and_end(1, 1);
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_a_guest_left_in_the_registers_is_kept),
        T(without_a_guest_nothing_is_saved),
        T(uses_do_not_nest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

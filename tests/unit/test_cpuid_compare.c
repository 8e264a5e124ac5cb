/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/cpuid_compare.c: what keeps a VM of one host from running on another. */
#include <string.h>
#include "unit.h"
#include "vmm/cpuid.h"

static struct cpuid_policy own, given;
static char said[2048];

static void note(void *ctx, const char *what)
{
    (void)ctx;
    strcat(strcat(said, what), "; ");
}

static struct cpuid_regs *leaf(struct cpuid_policy *p, u32 number, u32 subleaf)
{
    for (u32 n = 0; n < p->count; n++)
        if (p->leaf[n].leaf == number && p->leaf[n].subleaf == subleaf)
            return &p->leaf[n].regs;
    p->leaf[p->count] = (struct cpuid_leaf){.leaf = number, .subleaf = subleaf};
    return &p->leaf[p->count++].regs;
}

static int setup(void **state)
{
    (void)state;
    own = (struct cpuid_policy){.vcpus = 2, .xcr0 = 7};
    memcpy(&leaf(&own, 0, 0)->ebx, "Auth", 4);
    memcpy(&leaf(&own, 0, 0)->edx, "enti", 4);
    memcpy(&leaf(&own, 0, 0)->ecx, "cAMD", 4);
    leaf(&own, 1, 0)->ecx = BIT(20) | BIT(28);
    leaf(&own, 7, 0)->ebx = BIT(3) | BIT(5);
    leaf(&own, 0x80000008, 0)->eax = 0x3028;
    given = own;
    said[0] = '\0';
    return 0;
}

static void the_same_is_compatible_and_so_is_less(void **state)
{
    (void)state;
    assert_false(cpuid_compare(&given, &own, note, NULL));
    leaf(&given, 7, 0)->ebx = 0;
    leaf(&given, 0x80000008, 0)->eax = 0x3024;
    given.xcr0 = 3;
    assert_false(cpuid_compare(&given, &own, note, NULL));
    assert_string_equal(said, "");
}

static void each_missing_feature_is_named(void **state)
{
    (void)state;
    leaf(&given, 7, 0)->ebx |= BIT(29) | BIT(31);
    leaf(&given, 0x80000001, 0)->edx = BIT(27);
    leaf(&given, 0xd, 1)->eax = BIT(1);
    assert_true(cpuid_compare(&given, &own, note, NULL));
    assert_string_equal(said, "SHA (CPUID 7 EBX bit 29); a feature (CPUID 7 EBX bit 31); "
                              "XSAVEC (CPUID d.1 EAX bit 1); RDTSCP (CPUID 80000001 EDX bit 27); ");
}

static void another_vendor_width_or_xcr0_is_named(void **state)
{
    (void)state;
    memcpy(&leaf(&given, 0, 0)->ebx, "Genu", 4);
    leaf(&given, 0x80000008, 0)->eax = 0x302e;
    given.xcr0 = 0xff;
    assert_true(cpuid_compare(&given, &own, note, NULL));
    assert_non_null(strstr(said, "a CPU of its vendor (GenuenticAMD, and this is AuthenticAMD); "));
    assert_non_null(strstr(said, "46 bits of physical address (this CPU has 40); "));
    assert_non_null(strstr(said, "what XCR0 may have; "));
}

static void a_table_from_nowhere_is_refused(void **state)
{
    (void)state;
    given.count = CPUID_MAX_LEAVES + 1;
    assert_true(cpuid_compare(&given, &own, note, NULL));
    given = own;
    given.vcpus = 3;
    assert_true(cpuid_compare(&given, &own, note, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_is_compatible_and_so_is_less, setup),
        cmocka_unit_test_setup(each_missing_feature_is_named, setup),
        cmocka_unit_test_setup(another_vendor_width_or_xcr0_is_named, setup),
        cmocka_unit_test_setup(a_table_from_nowhere_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

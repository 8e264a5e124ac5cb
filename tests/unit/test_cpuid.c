/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPUID policy over made-up hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "vmm/cpuid.h"
#include "vmm/layout.h"

struct fake_leaf {
    u32 leaf, subleaf;
    struct cpuid_regs regs;
};

struct fake_host {
    const char *vendor;
    u32 max_basic, max_extended;
    const struct fake_leaf *leaf;
    unsigned count;
};

/* A host which has every feature bit that there is, but where a leaf says otherwise. */
static void fake_cpuid(void *ctx, u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
    const struct fake_host *h = ctx;

    *out = (struct cpuid_regs){~0u, ~0u, ~0u, ~0u};
    if (leaf == 0 || leaf == 0x80000000) {
        out->eax = leaf ? h->max_extended : h->max_basic;
        memcpy(&out->ebx, h->vendor, 4);
        memcpy(&out->edx, h->vendor + 4, 4);
        memcpy(&out->ecx, h->vendor + 8, 4);
    }
    for (unsigned n = 0; n < h->count; n++)
        if (h->leaf[n].leaf == leaf && h->leaf[n].subleaf == subleaf)
            *out = h->leaf[n].regs;
}

static const struct fake_leaf intel_leaves[] = {
    {1, 0, {0x000506e3, 0x07100800, ~0u, ~0u}},
    {4, 0, {0x1c004121, 0x01c0003f, 0x3f, 0}},
    {4, 1, {0x1c004122, 0x01c0003f, 0x3f, 0}},
    {4, 2, {0x1c004143, 0x00c0003f, 0x3ff, 0}},
    {4, 3, {0x1c03c163, 0x03c0003f, 0x1fff, 6}},
    {4, 4, {0, 0, 0, 0}},
    {0xd, 0, {0x2ff, 0xa88, 0xa88, 0}},
    {0x15, 0, {1, 70, 0x1000000, 0}}, /* a lie: the TSC of this machine runs at 50 MHz */
    {0x16, 0, {3500, 3500, 100, 0}},
    {0x80000008, 0, {0x3930, ~0u, ~0u, ~0u}},
};
static struct fake_host intel = {"GenuineIntel", 0x16, 0x80000008, intel_leaves,
                                 COUNT_OF(intel_leaves)};

static const struct fake_leaf amd_leaves[] = {
    {1, 0, {0x00800f12, 0x00200800, 0xfff83203, 0x178bfbff}},
    {7, 0, {0, 0x209c01a9, 0, 0}},
    {0xd, 0, {7, 832, 832, 0}},
    {0xd, 1, {0xf, 832, 0, 0}},
    {0x80000001, 0, {0x00800f12, 0x40000000, 0x35c233ff, 0x2fd3fbff}},
    {0x80000008, 0, {0x3030, 0x1007, 0x403f, 0}},
    {0x8000001d, 0, {0x4121, 0x01c0003f, 0x3f, 0}},
    {0x8000001d, 1, {0xc163, 0x03c0003f, 0x1fff, 1}},
    {0x8000001d, 2, {0, 0, 0, 0}},
};
static struct fake_host amd = {"AuthenticAMD", 0xd, 0x8000001f, amd_leaves, COUNT_OF(amd_leaves)};

static struct cpuid_policy build(struct fake_host *h, unsigned vcpus, bool invariant)
{
    struct cpuid_host host = {.ctx = h, .cpuid = fake_cpuid};
    struct cpuid_config config = {.vcpus = vcpus, .invariant_tsc = invariant};
    struct cpuid_policy p;
    struct why why;

    assert_int_equal(cpuid_build(&p, &host, &config, &why), OK);
    assert_true(p.count <= CPUID_MAX_LEAVES);
    return p;
}

static struct cpuid_regs query(const struct cpuid_policy *p, u32 index, u32 leaf, u32 subleaf)
{
    struct cpuid_vcpu v = {.index = index, .cr4 = CR4_OSXSAVE, .xcr0 = 1};
    struct cpuid_regs r;

    cpuid_query(p, &v, leaf, subleaf, &r);
    return r;
}

static void vendor_and_model_are_the_hosts(void **state)
{
    struct cpuid_policy p = build(&intel, 2, true);

    (void)state;
    assert_int_equal(query(&p, 0, 0, 0).eax, 0xd);
    assert_int_equal(query(&p, 0, 0, 0).ebx, 0x756e6547);
    assert_int_equal(query(&p, 0, 1, 0).eax, 0x506e3);
    assert_int_equal(query(&p, 0, 0x80000000, 0).eax, 0x80000008);
}

static void what_ferry_does_not_carry_is_hidden(void **state)
{
    struct cpuid_policy p = build(&intel, 2, true);
    struct cpuid_regs one = query(&p, 0, 1, 0), seven = query(&p, 0, 7, 0);

    (void)state;
    /* DTES64 MONITOR DS-CPL VMX SMX EIST TM2 SDBG xTPR PDCM PCID DCA */
    assert_int_equal(one.ecx & (0x1fc | BIT(11) | BIT(14) | BIT(15) | BIT(17) | BIT(18)), 0);
    assert_int_equal(one.edx & (BIT(12) | BIT(21) | BIT(22) | BIT(29)), 0); /* MTRR DS ACPI TM */
    assert_true(one.edx & BIT(16));                                         /* PAT */
    /* SGX HLE INVPCID RTM PQM MPX, PT, AVX-512 */
    assert_int_equal(seven.ebx & 0xdc215c14 & ~(BIT(20) | BIT(24) | BIT(29) | BIT(23)), 0);
    assert_int_equal(seven.ecx & (BIT(3) | BIT(4) | BIT(7) | BIT(16) | BIT(30)), 0);
    assert_int_equal(seven.edx & 0xfc000000, 0);
    assert_int_equal(seven.eax, 0);
    assert_int_equal(query(&p, 0, 7, 1).eax, 0);
    assert_int_equal(query(&p, 0, 0xa, 0).eax, 0);
    assert_int_equal(query(&p, 0, 5, 0).edx, 0);
    assert_int_equal(query(&p, 0, 0x12, 0).eax, 0);
    p = build(&amd, 2, true);
    assert_int_equal(query(&p, 0, 0x80000001, 0).ecx & BIT(2), 0); /* SVM */
    assert_int_equal(query(&p, 0, 0x8000000a, 0).edx, 0);
    assert_int_equal(query(&p, 0, 0x8000001f, 0).eax, 0);
    assert_int_equal(query(&p, 0, 0x80000008, 0).ebx, 5);
}

static void a_leaf_15h_that_lies_is_not_passed_on(void **state)
{
    struct cpuid_policy p = build(&intel, 1, true);

    (void)state;
    assert_int_equal(query(&p, 0, 0x15, 0).eax | query(&p, 0, 0x15, 0).ebx, 0);
    assert_int_equal(query(&p, 0, 0x16, 0).eax, 0);
}

static void the_hypervisor_is_shown_as_one_that_linux_knows(void **state)
{
    struct cpuid_policy p = build(&amd, 1, true);
    struct cpuid_regs r = query(&p, 0, 0x40000000, 7);

    (void)state;
    assert_memory_equal(&r.ebx, "KVMKVMKVM\0\0\0", 12);
    assert_int_equal(r.eax, 0x40000001);
    assert_int_equal(query(&p, 0, 0x40000001, 0).eax, 0x0100000a);
    assert_int_equal(query(&p, 0, 0x40000100, 0).ebx, 0);
    assert_true(query(&p, 0, 1, 0).ecx & BIT(31));
    assert_true(query(&p, 0, 1, 0).ecx & BIT(21)); /* x2APIC */
    assert_true(query(&p, 0, 1, 0).ecx & BIT(24)); /* TSC deadline */
}

static void topology_is_the_same_in_all_leaves(void **state)
{
    struct cpuid_policy p = build(&intel, 6, true);

    (void)state;
    assert_int_equal(query(&p, 5, 1, 0).ebx, 0x05080800);
    assert_true(query(&p, 5, 1, 0).edx & BIT(28));
    assert_int_equal(query(&p, 5, 4, 0).eax, 0x1c000121);
    assert_int_equal(query(&p, 5, 4, 3).eax, 0x1c01c163);
    assert_int_equal(query(&p, 5, 4, 4).eax, 0);
    assert_int_equal(query(&p, 5, 0xb, 0).eax, 0);
    assert_int_equal(query(&p, 5, 0xb, 0).ecx, 0x100);
    assert_int_equal(query(&p, 5, 0xb, 1).eax, 3);
    assert_int_equal(query(&p, 5, 0xb, 1).ebx, 6);
    assert_int_equal(query(&p, 5, 0xb, 1).ecx, 0x201);
    assert_int_equal(query(&p, 5, 0xb, 1).edx, 5);
    assert_int_equal(query(&p, 5, 0xb, 2).ecx, 2);
    assert_int_equal(query(&p, 5, 0xb, 2).edx, 5);
    p = build(&amd, 6, true);
    assert_int_equal(query(&p, 5, 1, 0).ebx, 0x05060800);
    assert_int_equal(query(&p, 5, 0x80000008, 0).ecx, 0x3005);
    assert_int_equal(query(&p, 5, 0x8000001d, 1).eax, 0x1c163);
    assert_int_equal(query(&p, 5, 0x8000001e, 0).eax, 5);
    assert_int_equal(query(&p, 5, 0x8000001e, 0).ebx, 5);
    assert_true(query(&p, 5, 0x80000001, 0).ecx & BIT(22));
    p = build(&amd, 1, true);
    assert_false(query(&p, 0, 1, 0).edx & BIT(28));
    assert_false(query(&p, 0, 0x80000001, 0).ecx & BIT(1));
}

static void osxsave_and_the_area_follow_the_vcpu(void **state)
{
    struct cpuid_policy p = build(&intel, 1, true);
    struct cpuid_vcpu v = {.index = 0, .cr4 = 0, .xcr0 = 1};
    struct cpuid_regs r;

    (void)state;
    cpuid_query(&p, &v, 1, 0, &r);
    assert_false(r.ecx & BIT(27));
    v.cr4 = CR4_OSXSAVE;
    cpuid_query(&p, &v, 1, 0, &r);
    assert_true(r.ecx & BIT(27));
    cpuid_query(&p, &v, 0xd, 0, &r);
    assert_int_equal(r.eax, 7);
    assert_int_equal(r.ebx, 576);
    assert_int_equal(r.ecx, 832);
    v.xcr0 = 7;
    cpuid_query(&p, &v, 0xd, 0, &r);
    assert_int_equal(r.ebx, 832);
    cpuid_query(&p, &v, 0xd, 1, &r);
    assert_int_equal(r.eax, 7); /* no XSAVES */
    assert_int_equal(r.ebx, 832);
    cpuid_query(&p, &v, 0xd, 2, &r);
    assert_int_equal(r.eax, 256);
    assert_int_equal(r.ebx, 576);
    cpuid_query(&p, &v, 0xd, 5, &r);
    assert_int_equal(r.eax, 0);
}

static void xcr0_takes_what_the_host_can_save(void **state)
{
    struct cpuid_policy p = build(&intel, 1, true);

    (void)state;
    assert_true(cpuid_xcr0_valid(&p, 1));
    assert_true(cpuid_xcr0_valid(&p, 7));
    assert_false(cpuid_xcr0_valid(&p, 0));
    assert_false(cpuid_xcr0_valid(&p, 5));
    assert_false(cpuid_xcr0_valid(&p, 0xe7));
    assert_false(cpuid_xcr0_valid(&p, 0x207));
}

static void a_host_without_xsave_shows_no_avx(void **state)
{
    static const struct fake_leaf leaves[] = {
        {1, 0, {0x600f12, 0x00010800, ~(u32)BIT(26), ~0u}},
        {0x80000001, 0, {0, 0, ~0u, ~0u & ~(u32)BIT(27)}},
    };
    struct fake_host h = {"AuthenticAMD", 0xd, 0x80000008, leaves, COUNT_OF(leaves)};
    struct cpuid_policy p = build(&h, 2, false);

    (void)state;
    assert_int_equal(p.xcr0, 0);
    assert_int_equal(query(&p, 0, 1, 0).ecx & (BIT(12) | BIT(26) | BIT(27) | BIT(28) | BIT(29)), 0);
    assert_int_equal(query(&p, 0, 7, 0).ebx & BIT(5), 0);
    assert_int_equal(query(&p, 0, 7, 0).ecx & BIT(22), 0); /* RDPID goes with RDTSCP */
    assert_int_equal(query(&p, 0, 0x80000001, 0).ecx & (BIT(11) | BIT(16) | BIT(22)), 0);
    assert_int_equal(query(&p, 0, 0xd, 0).ebx, 0);
    assert_int_equal(query(&p, 0, 0x8000001e, 0).eax | query(&p, 1, 0x8000001e, 0).eax, 0);
    assert_false(cpuid_xcr0_valid(&p, 1));
}

static void invariant_tsc_is_as_told(void **state)
{
    struct cpuid_policy p = build(&amd, 1, false);

    (void)state;
    assert_int_equal(query(&p, 0, 0x80000007, 0).edx, 0);
    assert_false(query(&p, 0, 7, 0).ebx & BIT(1)); /* TSC_ADJUST */
    p = build(&amd, 1, true);
    assert_int_equal(query(&p, 0, 0x80000007, 0).edx, BIT(8));
    assert_true(query(&p, 0, 7, 0).ebx & BIT(1));
}

static void hosts_that_will_not_do_are_refused_in_words(void **state)
{
    struct fake_host old = {"GenuineIntel", 5, 0x80000004, NULL, 0};
    struct cpuid_host host = {.ctx = &old, .cpuid = fake_cpuid};
    struct cpuid_config config = {.vcpus = 1};
    struct cpuid_policy p;
    struct why why;

    (void)state;
    assert_int_equal(cpuid_build(&p, &host, &config, &why), E_UNSUPPORTED);
    assert_non_null(strstr(why.text, "80000008h"));
    host.ctx = &intel;
    config.vcpus = VM_MAX_VCPUS + 1;
    assert_int_equal(cpuid_build(&p, &host, &config, &why), E_RANGE);
    config.vcpus = 0;
    assert_int_equal(cpuid_build(&p, &host, &config, &why), E_RANGE);
}

/* All bits of all leaves: the table must be large enough for any host. */
static void a_host_that_answers_ones_everywhere_fits(void **state)
{
    struct fake_host ones = {"AuthenticAMD", ~0u, 0x8000ffff, NULL, 0};
    struct cpuid_policy p = build(&ones, VM_MAX_VCPUS, true);

    (void)state;
    assert_true(p.count < CPUID_MAX_LEAVES);
    ones.vendor = "GenuineIntel";
    p = build(&ones, VM_MAX_VCPUS, true);
    assert_true(p.count < CPUID_MAX_LEAVES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vendor_and_model_are_the_hosts),
        cmocka_unit_test(what_ferry_does_not_carry_is_hidden),
        cmocka_unit_test(a_leaf_15h_that_lies_is_not_passed_on),
        cmocka_unit_test(the_hypervisor_is_shown_as_one_that_linux_knows),
        cmocka_unit_test(topology_is_the_same_in_all_leaves),
        cmocka_unit_test(osxsave_and_the_area_follow_the_vcpu),
        cmocka_unit_test(xcr0_takes_what_the_host_can_save),
        cmocka_unit_test(a_host_without_xsave_shows_no_avx),
        cmocka_unit_test(invariant_tsc_is_as_told),
        cmocka_unit_test(hosts_that_will_not_do_are_refused_in_words),
        cmocka_unit_test(a_host_that_answers_ones_everywhere_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

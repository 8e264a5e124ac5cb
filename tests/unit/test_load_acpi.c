/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables: they are found from the RSDP as an operating system finds them, their sums are
 * 0, and iasl takes each apart without complaint. */
#include "load_ram.h"
#include <stdio.h>
#include <unistd.h>
#include "vmm/load/acpi.h"

static struct why why;

static void load(unsigned vcpus)
{
    struct load_memory m = ram_of(MIB(4));

    assert_int_equal(acpi_load(&m, vcpus, &why), OK);
}

static u8 sum(u64 at, u64 size)
{
    u8 total = 0;

    while (size--)
        total += ram[at++];
    return total;
}

/* The table with that signature, reached from the RSDP. */
static u64 find_table(const char *signature)
{
    u64 xsdt = ram64(GUEST_ROM_BASE + 24);
    u64 count = (ram32(xsdt + 4) - 36) / 8;

    for (u64 n = 0; n < count; n++) {
        u64 at = ram64(xsdt + 36 + 8 * n);

        if (memcmp(ram + at, signature, 4) == 0)
            return at;
    }
    fail();
    return 0;
}

static void the_rsdp_leads_to_tables_that_add_up(void **state)
{
    u64 fadt, madt;

    (void)state;
    load(3);
    assert_memory_equal(ram + GUEST_ROM_BASE, "RSD PTR ", 8);
    assert_int_equal(sum(GUEST_ROM_BASE, 20), 0);
    assert_int_equal(sum(GUEST_ROM_BASE, 36), 0);
    fadt = find_table("FACP");
    madt = find_table("APIC");
    assert_int_equal(sum(ram64(GUEST_ROM_BASE + 24), 52), 0);
    assert_int_equal(sum(fadt, ram32(fadt + 4)), 0);
    assert_int_equal(sum(madt, ram32(madt + 4)), 0);
    assert_memory_equal(ram + ram64(fadt + 140), "DSDT", 4);
    assert_int_equal(sum(ram64(fadt + 140), ram32(ram64(fadt + 140) + 4)), 0);
}

static void the_fadt_names_the_power_registers(void **state)
{
    u64 fadt;

    (void)state;
    load(1);
    fadt = find_table("FACP");
    assert_int_equal(ram32(fadt + 112) & (BIT(20) | BIT(10)), BIT(20) | BIT(10));
    assert_int_equal(ram64(fadt + 120), PORT_RESET);
    assert_int_equal(ram[fadt + 128], RESET_VALUE);
    assert_int_equal(ram64(fadt + 248), PORT_SLEEP_CONTROL);
    assert_int_equal(ram64(fadt + 260), PORT_SLEEP_STATUS);
    assert_int_equal(ram[fadt + 109] & (BIT(1) | BIT(2) | BIT(5)), BIT(2));
}

static void the_madt_has_an_entry_a_vcpu(void **state)
{
    (void)state;
    for (unsigned vcpus = 1; vcpus <= VM_MAX_VCPUS; vcpus++) {
        unsigned count[3] = {0};
        u64 madt, at;

        load(vcpus);
        madt = find_table("APIC");
        assert_int_equal(ram32(madt + 36), GUEST_LAPIC);
        for (at = madt + 44; at < madt + ram32(madt + 4); at += ram[at + 1]) {
            assert_true(ram[at] < 3);
            if (ram[at] == 0)
                assert_int_equal(ram[at + 3], count[0]);
            count[ram[at]]++;
        }
        assert_int_equal(at, madt + ram32(madt + 4));
        assert_int_equal(count[0], vcpus);
        assert_int_equal(count[1], 1);
        assert_int_equal(count[2], 1);
    }
}

static void disassemble(const char *folder, const char *name, u64 at)
{
    char path[256], command[600], line[512];
    FILE *f, *log;

    snprintf(path, sizeof(path), "%s/%s.aml", folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(ram + at, 1, ram32(at + 4), f), ram32(at + 4));
    fclose(f);
    snprintf(command, sizeof(command), "cd %s && iasl -d %s.aml 2>&1 && cat %s.dsl", folder, name,
             name);
    log = popen(command, "r");
    assert_non_null(log);
    while (fgets(line, sizeof(line), log))
        if (strstr(line, "rror") || strstr(line, "arning") || strstr(line, "nvalid") ||
            strstr(line, "Unknown") || strstr(line, "ncorrect"))
            fail_msg("iasl on %s: %s", name, line);
    assert_int_equal(pclose(log), 0);
}

static void iasl_takes_them_apart(void **state)
{
    char folder[] = "/tmp/ferry-acpi-XXXXXX", command[64];

    (void)state;
    if (system("command -v iasl >/dev/null") != 0)
        skip();
    load(VM_MAX_VCPUS);
    assert_non_null(mkdtemp(folder));
    disassemble(folder, "xsdt", ram64(GUEST_ROM_BASE + 24));
    disassemble(folder, "facp", find_table("FACP"));
    disassemble(folder, "apic", find_table("APIC"));
    disassemble(folder, "dsdt", ram64(find_table("FACP") + 140));
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void a_bad_number_of_vcpus_is_refused(void **state)
{
    struct load_memory m = ram_of(MIB(4));

    (void)state;
    assert_int_equal(acpi_load(&m, 0, &why), E_RANGE);
    assert_int_equal(acpi_load(&m, VM_MAX_VCPUS + 1, &why), E_RANGE);
    ram_writes_left = 2;
    assert_int_equal(acpi_load(&m, 1, &why), E_NOMEM);
    assert_non_null(strstr(why.text, "ACPI"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rsdp_leads_to_tables_that_add_up),
        cmocka_unit_test(the_fadt_names_the_power_registers),
        cmocka_unit_test(the_madt_has_an_entry_a_vcpu),
        cmocka_unit_test(iasl_takes_them_apart),
        cmocka_unit_test(a_bad_number_of_vcpus_is_refused),
    };

    return cmocka_run_group_tests(tests, ram_setup, ram_teardown);
}

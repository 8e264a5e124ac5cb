/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding PCI devices, in a configuration space that the test makes up. */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "drivers/pci.h"

struct function {
    u8 bus, slot, function;
    u32 config[16];
    u32 mask[16]; /* bits that a write changes */
};

static struct function functions[96];
static unsigned function_count;

static struct function *find(u8 bus, u8 slot, u8 function)
{
    for (unsigned i = 0; i < function_count; i++) {
        struct function *f = &functions[i];

        if (f->bus == bus && f->slot == slot && f->function == function)
            return f;
    }
    return NULL;
}

static u32 config_read(u8 bus, u8 slot, u8 function, u32 offset)
{
    const struct function *f = find(bus, slot, function);

    assert_true(offset % 4 == 0 && offset < 64);
    return f ? f->config[offset / 4] : 0xffffffff;
}

static void config_write(u8 bus, u8 slot, u8 function, u32 offset, u32 value)
{
    struct function *f = find(bus, slot, function);

    assert_non_null(f);
    f->config[offset / 4] =
        (f->config[offset / 4] & ~f->mask[offset / 4]) | (value & f->mask[offset / 4]);
}

static const struct pci_access access = {"test", config_read, config_write};

static struct function *add(u8 bus, u8 slot, u8 function, u32 id, u32 class, u32 header)
{
    struct function *f = &functions[function_count++];

    *f = (struct function){.bus = bus, .slot = slot, .function = function};
    f->config[0] = id;
    f->config[1] = 3;
    f->mask[1] = 0x7ff;
    f->config[2] = class;
    f->config[3] = header << 16;
    return f;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    function_count = 0;
    return 0;
}

static void ranges_are_measured_and_left_as_they_were(void **state)
{
    struct function *f = add(0, 3, 0, 0x100e8086, 0x02000003, 0);
    const struct pci_device *d;

    (void)state;
    f->config[4] = 0xfebc0000;
    f->mask[4] = 0xfffe0000;
    f->config[5] = 0xc041;
    f->mask[5] = 0xffffffc0;
    f->config[6] = 0x0000000c;
    f->mask[6] = 0xfff00000;
    f->config[7] = 0x00000080;
    f->mask[7] = 0xffffffff;
    assert_int_equal(pci_scan(&access), 1);
    d = pci_at(0);
    assert_null(pci_at(1));
    assert_int_equal(d->vendor, 0x8086);
    assert_int_equal(d->device, 0x100e);
    assert_int_equal(d->class, 2);
    assert_int_equal(d->bar[0].address, 0xfebc0000);
    assert_int_equal(d->bar[0].size, KIB(128));
    assert_true(d->bar[1].io);
    assert_int_equal(d->bar[1].address, 0xc040);
    assert_int_equal(d->bar[1].size, 64);
    assert_int_equal(d->bar[2].address, 0x8000000000);
    assert_int_equal(d->bar[2].size, MIB(1));
    assert_int_equal(d->bar[3].size, 0); /* the upper half of the one before */
    assert_int_equal(f->config[4], 0xfebc0000);
    assert_int_equal(f->config[1], 3);
}

static void buses_behind_bridges_are_found_and_a_loop_ends(void **state)
{
    struct function *bridge = add(0, 1, 0, 0x00011b36, 0x06040000, 1);
    struct function *loop = add(5, 2, 0, 0x00021b36, 0x06040000, 1);

    (void)state;
    bridge->config[6] = 0x00050500;
    loop->config[6] = 0x00050500; /* leads to its own bus */
    add(5, 0, 0, 0x101515b3, 0x02000000, 0);
    assert_int_equal(pci_scan(&access), 3);
    assert_int_equal(pci_at(1)->bus, 5);
    assert_int_equal(pci_at(1)->vendor, 0x15b3);
}

static void further_functions_count_only_where_the_first_says_so(void **state)
{
    (void)state;
    add(0, 1, 0, 0x00011b36, 0, 0x80);
    add(0, 1, 7, 0x00021b36, 0, 0);
    add(0, 2, 0, 0x00031b36, 0, 0);
    add(0, 2, 3, 0x00041b36, 0, 0);
    assert_int_equal(pci_scan(&access), 3);
}

static void more_devices_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 80; i++)
        add(0, (u8)(i / 8), i % 8, 0x00011b36, 0, 0x80);
    assert_int_equal(pci_scan(&access), PCI_MAX_DEVICES);
}

static void a_driver_is_found_by_the_ids_that_it_names(void **state)
{
    static const struct pci_id one[] = {{0x8086, 1}, {0, 0}},
                               two[] = {{0x8086, 2}, {0x8086, 3}, {0, 0}};
    static const struct pci_driver drivers[] = {{"one", one, NULL}, {"two", two, NULL}};
    struct pci_device d = {.vendor = 0x8086, .device = 3};

    (void)state;
    assert_string_equal(pci_driver_find(&d, drivers, drivers + 2)->name, "two");
    d.device = 4;
    assert_null(pci_driver_find(&d, drivers, drivers + 2));
}

static void devices_that_are_driven_are_stopped_from_writing_to_memory(void **state)
{
    static const struct pci_driver driver = {.name = "test"};
    struct function *driven = add(0, 3, 0, 0x100e8086, 0x02000003, 0);
    struct function *other = add(0, 4, 0, 0x12345678, 0x0c033000, 0);

    (void)state;
    driven->config[1] = other->config[1] = 0x02b00007;
    assert_int_equal(pci_scan(&access), 2);
    pci_at(0)->driver = &driver;
    pci_stop_all();
    assert_int_equal(driven->config[1] & 0xffff, 3);
    assert_int_equal(other->config[1] & 0xffff, 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(ranges_are_measured_and_left_as_they_were),
        TEST(buses_behind_bridges_are_found_and_a_loop_ends),
        TEST(further_functions_count_only_where_the_first_says_so),
        TEST(more_devices_than_there_is_room_for_are_left_out),
        TEST(devices_that_are_driven_are_stopped_from_writing_to_memory),
        TEST(a_driver_is_found_by_the_ids_that_it_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* guest_walk over small page tables in an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "vmm/walk.h"

#define RAM_SIZE 0x8000

static struct {
    u8 ram[RAM_SIZE];
    unsigned races; /* so many cmpxchg find another value */
    unsigned changes;
    bool not_now; /* beyond the end of RAM: it cannot be had at the moment */
} guest;

static enum err guest_read(void *ctx, gpa_t at, unsigned size, u64 *entry)
{
    (void)ctx;
    assert_int_equal(at.v % size, 0);
    if (at.v > RAM_SIZE - size)
        return guest.not_now ? E_NOMEM : E_RANGE;
    *entry = 0;
    memcpy(entry, guest.ram + at.v, size);
    return OK;
}

static enum err guest_cmpxchg(void *ctx, gpa_t at, unsigned size, u64 old, u64 new)
{
    (void)ctx;
    if (memcmp(guest.ram + at.v, &old, size) != 0)
        return E_STATE;
    if (guest.races) {
        guest.races--;
        return E_STATE;
    }
    guest.changes++;
    memcpy(guest.ram + at.v, &new, size);
    return OK;
}

static const struct walk_mem mem = {.phys_bits = 40, .read = guest_read, .cmpxchg = guest_cmpxchg};

static void set64(u64 at, u64 entry)
{
    memcpy(guest.ram + at, &entry, 8);
}

static void set32(u64 at, u32 entry)
{
    memcpy(guest.ram + at, &entry, 4);
}

static u64 get64(u64 at)
{
    u64 entry;

    memcpy(&entry, guest.ram + at, 8);
    return entry;
}

/* linear 0000_0080_4040_5xxx -> 0x123456xxx through tables at 1000, 2000, 3000, 4000 */
#define LINEAR 0x8040405678ull

static struct hvm_mode four_level(u64 leaf)
{
    memset(&guest, 0, sizeof(guest));
    set64(0x1000 + 8 * 1, 0x2000 | 7);
    set64(0x2000 + 8 * 1, 0x3000 | 7);
    set64(0x3000 + 8 * 2, 0x4000 | 7);
    set64(0x4000 + 8 * 5, 0x123456000 | leaf);
    return (struct hvm_mode){.cr0 = CR0_PE | CR0_PG | CR0_WP,
                             .cr3 = 0x1000,
                             .cr4 = CR4_PAE,
                             .efer = EFER_LME | EFER_LMA | EFER_NXE};
}

static void expect_ok(const struct hvm_mode *m, u64 linear, u32 access, u8 cpl, u64 want)
{
    gpa_t gpa = GPA(0);
    u32 code = 0;

    assert_int_equal(guest_walk(m, linear, access, cpl, &mem, &gpa, &code), WALK_OK);
    assert_int_equal(gpa.v, want);
}

static void expect_fault(const struct hvm_mode *m, u64 linear, u32 access, u8 cpl, u32 want)
{
    gpa_t gpa = GPA(0);
    u32 code = 0;

    assert_int_equal(guest_walk(m, linear, access, cpl, &mem, &gpa, &code), WALK_FAULT);
    assert_int_equal(code, want);
}

static enum walk_result walk(const struct hvm_mode *m, u64 linear, u32 access)
{
    gpa_t gpa;
    u32 code;

    return guest_walk(m, linear, access, 0, &mem, &gpa, &code);
}

static void without_paging_an_address_is_itself(void **state)
{
    struct hvm_mode m = {.cr0 = CR0_PE};

    (void)state;
    expect_ok(&m, 0x12345678, PAGE_ACCESS_WRITE, 3, 0x12345678);
}

static void four_levels_are_walked_and_marked(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 3, 0x123456678);
    assert_int_equal(guest.changes, 4);
    assert_int_equal(get64(0x1008), 0x2027);
    assert_int_equal(get64(0x4028), 0x123456027);
    expect_ok(&m, LINEAR, PAGE_ACCESS_WRITE, 3, 0x123456678);
    assert_int_equal(get64(0x4028), 0x123456067);
    assert_int_equal(get64(0x3010), 0x4027);
    expect_ok(&m, LINEAR, PAGE_ACCESS_EXEC, 3, 0x123456678);
    assert_int_equal(guest.changes, 5);
}

static void a_peek_marks_nothing(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    expect_ok(&m, LINEAR, PAGE_ACCESS_WRITE | WALK_PEEK, 3, 0x123456678);
    assert_int_equal(guest.changes, 0);
}

static void large_pages_end_the_walk(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    set64(0x3010, 0x12600000 | 0x1087); /* 2 MiB, PAT */
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 0, 0x12605678);
    set64(0x2008, 0x80000000 | 0x87); /* 1 GiB */
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 0, 0x80405678);
    set64(0x2008, 0x80200000 | 0x87);
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 0, PF_PRESENT | PF_RESERVED);
    set64(0x1008, 0x2000 | 0x87);
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 3, PF_PRESENT | PF_RESERVED | PF_USER);
}

static void missing_rights_fault_with_their_code(void **state)
{
    struct hvm_mode m = four_level(5); /* user, read only */

    (void)state;
    expect_fault(&m, LINEAR, PAGE_ACCESS_WRITE, 3, PF_PRESENT | PF_WRITE | PF_USER);
    expect_fault(&m, LINEAR, PAGE_ACCESS_WRITE, 0, PF_PRESENT | PF_WRITE);
    m.cr0 &= ~CR0_WP;
    expect_ok(&m, LINEAR, PAGE_ACCESS_WRITE, 0, 0x123456678);
    expect_fault(&m, LINEAR, PAGE_ACCESS_WRITE, 3, PF_PRESENT | PF_WRITE | PF_USER);
    m = four_level(3); /* supervisor */
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 3, PF_PRESENT | PF_USER);
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ | WALK_IMPLICIT, 3, 0x123456678);
    m = four_level(7);
    set64(0x2008, 0x3000 | 5); /* the right is missing higher up */
    expect_fault(&m, LINEAR, PAGE_ACCESS_WRITE, 3, PF_PRESENT | PF_WRITE | PF_USER);
    m = four_level(6);
    expect_fault(&m, LINEAR, PAGE_ACCESS_WRITE, 0, PF_WRITE);
    assert_int_equal(guest.changes, 0);
}

static void no_execute_needs_nxe(void **state)
{
    struct hvm_mode m = four_level(7 | BIT(63));

    (void)state;
    expect_fault(&m, LINEAR, PAGE_ACCESS_EXEC, 3, PF_PRESENT | PF_USER | PF_FETCH);
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 3, 0x123456678);
    m.efer &= ~EFER_NXE;
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 3, PF_PRESENT | PF_RESERVED | PF_USER);
    expect_fault(&m, LINEAR, PAGE_ACCESS_EXEC, 0, PF_PRESENT | PF_RESERVED);
}

static void smep_and_smap_keep_the_supervisor_out(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    m.cr4 |= CR4_SMEP | CR4_SMAP;
    expect_fault(&m, LINEAR, PAGE_ACCESS_EXEC, 0, PF_PRESENT | PF_FETCH);
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 0, PF_PRESENT);
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ | WALK_AC, 0, 0x123456678);
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ | WALK_AC | WALK_IMPLICIT, 3, PF_PRESENT);
    expect_ok(&m, LINEAR, PAGE_ACCESS_EXEC, 3, 0x123456678);
}

static void addresses_beyond_the_physical_width_are_reserved(void **state)
{
    struct hvm_mode m = four_level(7 | BIT(40));

    (void)state;
    expect_fault(&m, LINEAR, PAGE_ACCESS_READ, 0, PF_PRESENT | PF_RESERVED);
}

static void what_cannot_be_walked_is_said_to_be_so(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    assert_int_equal(walk(&m, 0x0000800000000000, PAGE_ACCESS_READ), WALK_NOT_CANONICAL);
    assert_int_equal(walk(&m, 0xffff800000000000, PAGE_ACCESS_READ), WALK_FAULT);
    set64(0x2008, 0x5000000 | 7);
    assert_int_equal(walk(&m, LINEAR, PAGE_ACCESS_READ), WALK_NO_TABLE);
    guest.not_now = true;
    assert_int_equal(walk(&m, LINEAR, PAGE_ACCESS_READ), WALK_BUSY);
    m.cr4 |= CR4_LA57;
    assert_int_equal(walk(&m, LINEAR, PAGE_ACCESS_READ), WALK_UNSUPPORTED);
}

/* Every entry of the only table points to the table itself. */
static void a_loop_of_tables_ends(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    for (unsigned n = 0; n < 512; n++)
        set64(0x1000 + 8 * n, 0x1000 | 7);
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 0, 0x1678);
}

static void tables_that_change_are_read_again(void **state)
{
    struct hvm_mode m = four_level(7);

    (void)state;
    guest.races = 2;
    expect_ok(&m, LINEAR, PAGE_ACCESS_READ, 0, 0x123456678);
    m = four_level(7);
    guest.races = 1000;
    assert_int_equal(walk(&m, LINEAR, PAGE_ACCESS_READ), WALK_BUSY);
}

static void pae_has_four_entries_at_the_top(void **state)
{
    struct hvm_mode m = {.cr0 = CR0_PE | CR0_PG, .cr3 = 0x1020, .cr4 = CR4_PAE};

    (void)state;
    memset(&guest, 0, sizeof(guest));
    set64(0x1020 + 8 * 3, 0x2000 | 1);
    set64(0x2000 + 8 * 2, 0x3000 | 7);
    set64(0x3000 + 8 * 5, 0x2123456000 | 7);
    expect_ok(&m, 0xffffffffc0405678, PAGE_ACCESS_WRITE, 3, 0x2123456678);
    assert_int_equal(get64(0x1038), 0x2001);
    assert_int_equal(get64(0x3028), 0x2123456067);
    set64(0x2010, 0x600000 | 0x87);
    expect_ok(&m, 0xc0405678, PAGE_ACCESS_READ, 3, 0x605678);
    set64(0x2010, BIT(55) | 0x600000 | 0x87);
    expect_fault(&m, 0xc0405678, PAGE_ACCESS_READ, 0, PF_PRESENT | PF_RESERVED);
    set64(0x1038, 0x2003);
    expect_fault(&m, 0xc0405678, PAGE_ACCESS_READ, 0, PF_PRESENT | PF_RESERVED);
}

static void thirty_two_bit_paging_knows_4_mib_pages(void **state)
{
    struct hvm_mode m = {.cr0 = CR0_PE | CR0_PG, .cr3 = 0x1fff};

    (void)state;
    memset(&guest, 0, sizeof(guest));
    set32(0x1000 + 4 * 0x301, 0x2000 | 0x87);
    set32(0x2000 + 4 * 5, 0x23456000 | 7);
    expect_ok(&m, 0xc0405678, PAGE_ACCESS_READ, 3, 0x23456678); /* no PSE: PS is ignored */
    m.cr4 = CR4_PSE;
    set32(0x1000 + 4 * 0x301, 0x00c00000 | 3 << 13 | 0x87);
    expect_ok(&m, 0xc0405678, PAGE_ACCESS_WRITE, 3, 0x300c05678);
    expect_fault(&m, 0xc0005678, PAGE_ACCESS_EXEC, 3, PF_USER);
    set32(0x1000 + 4 * 0x301, 0x00e00000 | 0x87);
    expect_fault(&m, 0xc0405678, PAGE_ACCESS_READ, 0, PF_PRESENT | PF_RESERVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_paging_an_address_is_itself),
        cmocka_unit_test(four_levels_are_walked_and_marked),
        cmocka_unit_test(a_peek_marks_nothing),
        cmocka_unit_test(large_pages_end_the_walk),
        cmocka_unit_test(missing_rights_fault_with_their_code),
        cmocka_unit_test(no_execute_needs_nxe),
        cmocka_unit_test(smep_and_smap_keep_the_supervisor_out),
        cmocka_unit_test(addresses_beyond_the_physical_width_are_reserved),
        cmocka_unit_test(what_cannot_be_walked_is_said_to_be_so),
        cmocka_unit_test(a_loop_of_tables_ends),
        cmocka_unit_test(tables_that_change_are_read_again),
        cmocka_unit_test(pae_has_four_entries_at_the_top),
        cmocka_unit_test(thirty_two_bit_paging_knows_4_mib_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

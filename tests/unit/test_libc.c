/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/libc.c under other names, beside the build host's own. */
#include "tests/unit/unit.h"

#define memcpy  own_memcpy
#define memmove own_memmove
#define memset  own_memset
#define memcmp  own_memcmp
#define strlen  own_strlen
#define strcmp  own_strcmp
#define strncmp own_strncmp
#define strchr  own_strchr
#include "kernel/libc.c"

static void memmove_copies_overlapping_bytes_both_ways(void **state)
{
    char up[] = "0123456789", down[] = "0123456789", same[] = "01";

    (void)state;
    assert_ptr_equal(memmove(up + 2, up, 8), up + 2);
    assert_string_equal(up, "0101234567");
    memmove(down, down + 2, 8);
    assert_string_equal(down, "2345678989");
    memmove(same, same, 2);
    memmove(same + 1, same, 0);
    assert_string_equal(same, "01");
}

static void memcpy_and_memset_touch_exactly_their_range(void **state)
{
    char a[8] = "abcdefg", b[8] = "0000000";

    (void)state;
    assert_ptr_equal(memcpy(b + 1, a + 1, 3), b + 1);
    assert_string_equal(b, "0bcd000");
    assert_ptr_equal(memset(b + 2, 'x', 2), b + 2);
    assert_string_equal(b, "0bxx000");
}

static void comparisons_order_bytes_as_unsigned(void **state)
{
    (void)state;
    assert_true(memcmp("a\x80", "a\x7f", 2) > 0);
    assert_int_equal(memcmp("ab", "ac", 1), 0);
    assert_true(strcmp("\xff", "a") > 0);
    assert_true(strcmp("a", "ab") < 0);
    assert_int_equal(strcmp("ab", "ab"), 0);
    assert_int_equal(strncmp("abc", "abd", 2), 0);
    assert_int_equal(strncmp("a", "a", 9), 0);
}

static void strchr_finds_the_first_and_the_terminator(void **state)
{
    const char *s = "banana";

    (void)state;
    assert_int_equal(strlen(s), 6);
    assert_ptr_equal(strchr(s, 'a'), s + 1);
    assert_ptr_equal(strchr(s, 0), s + 6);
    assert_null(strchr(s, 'x'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memmove_copies_overlapping_bytes_both_ways),
        cmocka_unit_test(memcpy_and_memset_touch_exactly_their_range),
        cmocka_unit_test(comparisons_order_bytes_as_unsigned),
        cmocka_unit_test(strchr_finds_the_first_and_the_terminator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/string.h: numbers, sizes, distances, printf; the printf of the build host is the oracle. */
#include <stdio.h>
#include "tests/unit/unit.h"
#include "kernel/string.h"
#include "kernel/err.h"

#define AGREES(...)                                                                                \
    do {                                                                                           \
        char ours[128], theirs[128];                                                               \
        assert_int_equal(str_format(ours, sizeof(ours), __VA_ARGS__),                              \
                         snprintf(theirs, sizeof(theirs), __VA_ARGS__));                           \
        assert_string_equal(ours, theirs);                                                         \
    } while (0)

static void format_agrees_with_the_host(void **state)
{
    (void)state;
    AGREES("plain");
    AGREES("%d %i %d", 0, -1, INT32_MIN);
    AGREES("%lld|%lld", (long long)INT64_MIN, (long long)INT64_MAX);
    AGREES("%u %lu %llu %zu", 4000000000u, 5ul, ~0ull, (size_t)7);
    AGREES("%x|%08x|%8x|%-8x|%X", 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu, 0xbeefu);
    AGREES("%016llx", 0x123456789abcdefull);
    AGREES("%+d|% d|%+d", 5, 5, -5);
    AGREES("%05d|%-5d|%5d|%.3d|%8.3d", -42, -42, -42, 7, 7);
    AGREES("%.0d|%.0d", 0, 1);
    AGREES("%08d|%08d", 0, -9);
    AGREES("%s|%10s|%-10s|%.2s|%.*s|%*s", "abc", "abc", "abc", "abc", 1, "abc", -6, "ab");
    AGREES("%c%5c%-3c|", 'a', 'b', 'c');
    AGREES("100%%");
    AGREES("%p", (void *)0x1234);
}

static void format_truncates_and_returns_the_full_length(void **state)
{
    char buffer[5] = "????";

    (void)state;
    assert_int_equal(str_format(buffer, sizeof(buffer), "%s", "ferryboat"), 9);
    assert_string_equal(buffer, "ferr");
    assert_int_equal(str_format(NULL, 0, "%d", 12345), 5);
    assert_int_equal(str_format(buffer, 1, "x"), 1);
    assert_string_equal(buffer, "");
}

static void format_prints_a_null_string_as_such(void **state)
{
    const char *volatile nothing = NULL;
    char buffer[16];

    (void)state;
    str_format(buffer, sizeof(buffer), "%s", nothing);
    assert_string_equal(buffer, "(null)");
}

static void copy_truncates_and_says_so(void **state)
{
    char buffer[4];

    (void)state;
    assert_true(str_copy(buffer, sizeof(buffer), "abc"));
    assert_string_equal(buffer, "abc");
    assert_false(str_copy(buffer, sizeof(buffer), "abcd"));
    assert_string_equal(buffer, "abc");
    assert_false(str_copy(buffer, 0, "a"));
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    static const char *const bad[] = {"",
                                      "0x",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "12a",
                                      "0xg",
                                      "1.5",
                                      "18446744073709551616",
                                      "0x10000000000000000"};
    u64 v = 99;

    (void)state;
    assert_true(str_to_u64("0", &v) && v == 0);
    assert_true(str_to_u64("18446744073709551615", &v) && v == U64_MAX);
    assert_true(str_to_u64("0xFFffffffffffffff", &v) && v == U64_MAX);
    v = 99;
    for (unsigned i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_u64(bad[i], &v));
    assert_int_equal(v, 99);
}

static void sizes_have_binary_units(void **state)
{
    u64 v = 99;

    (void)state;
    assert_true(str_to_size("64M", &v) && v == 67108864);
    assert_true(str_to_size("1k", &v) && v == 1024);
    assert_true(str_to_size("3G", &v) && v == GIB(3));
    assert_true(str_to_size("2T", &v) && v == GIB(2048));
    assert_true(str_to_size("4096", &v) && v == 4096);
    v = 99;
    assert_false(str_to_size("M", &v));
    assert_false(str_to_size("64MB", &v));
    assert_false(str_to_size("1P", &v));
    assert_false(str_to_size("17179869184G", &v));
    assert_int_equal(v, 99);
}

static void distance_counts_edits_and_swaps(void **state)
{
    char a[64], b[64];

    (void)state;
    assert_int_equal(str_distance("", ""), 0);
    assert_int_equal(str_distance("start", "start"), 0);
    assert_int_equal(str_distance("", "abc"), 3);
    assert_int_equal(str_distance("strat", "start"), 1);
    assert_int_equal(str_distance("kitten", "sitting"), 3);
    assert_int_equal(str_distance("infos", "info"), 1);
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    a[63] = b[63] = 0;
    assert_int_equal(str_distance(a, b), 31);
}

static void every_error_has_a_name(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++)
        assert_string_not_equal(err_name((enum err)e), "unknown error");
    assert_string_equal(err_name(E_NOMEM), "out of memory");
    assert_string_equal(err_name((enum err)77), "unknown error");
}

static void why_keeps_the_sentence_and_returns_the_error(void **state)
{
    struct why why;

    (void)state;
    assert_int_equal(why_set(&why, E_RANGE, "memory %llu MiB", 2ull), E_RANGE);
    assert_string_equal(why.text, "memory 2 MiB");
    assert_int_equal(why_set(NULL, E_IO, "nobody reads this"), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_agrees_with_the_host),
        cmocka_unit_test(format_truncates_and_returns_the_full_length),
        cmocka_unit_test(format_prints_a_null_string_as_such),
        cmocka_unit_test(copy_truncates_and_says_so),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(sizes_have_binary_units),
        cmocka_unit_test(distance_counts_edits_and_swaps),
        cmocka_unit_test(every_error_has_a_name),
        cmocka_unit_test(why_keeps_the_sentence_and_returns_the_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

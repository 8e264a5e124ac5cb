/* SPDX-License-Identifier: BSD-2-Clause */
/* The text by which two ends of an RDMA connection find each other. */
#include <string.h>
#include "unit.h"
#include "drivers/net/rdma/exchange.h"

static struct why why;

static const struct rdma_text hello = {
    .word = RDMA_HELLO,
    .id = 77,
    .end = {.qpn = 0x123456,
            .psn = 0xfedcba,
            .gid = {[10] = 0xff, 0xff, 10, 0, 0, 1},
            .mtu = 1024,
            .addr = 0x700000000000,
            .key = 0xdeadbeef,
            .length = MIB(2),
            .message = MIB(1),
            .mode = RDMA_ECHO,
            .access = 15},
};

static enum err read_text(struct rdma_text *t, const char *text)
{
    why.text[0] = '\0';
    return rdma_text_read(t, text, (u32)strlen(text), &why);
}

static void what_is_written_is_read_back(void **state)
{
    char text[RDMA_TEXT], again[RDMA_TEXT];
    struct rdma_text t;
    u32 size;

    (void)state;
    for (enum rdma_word word = 0; word < RDMA_WORDS; word++) {
        struct rdma_text from = {.word = word, .id = 5};

        if (word == RDMA_HELLO || word == RDMA_READY)
            from.end = hello.end;
        if (word == RDMA_REFUSED)
            strcpy(from.reason, "there is no room");
        size = rdma_text_write(text, &from);
        assert_int_equal(size, strlen(text));
        assert_int_equal(read_text(&t, text), OK);
        assert_int_equal(rdma_text_write(again, &t), size);
        assert_string_equal(again, text);
    }
}

static void the_longest_message_fits(void **state)
{
    struct rdma_text t = {.word = RDMA_READY, .id = UINT32_MAX};
    char text[RDMA_TEXT];

    (void)state;
    memset(&t.end, 0xff, sizeof(t.end));
    assert_true(rdma_text_write(text, &t) < RDMA_TEXT);
    t.word = RDMA_REFUSED;
    memset(t.reason, 'x', sizeof(t.reason) - 1);
    assert_true(rdma_text_write(text, &t) < RDMA_TEXT);
}

static void every_cut_of_a_message_is_refused(void **state)
{
    char text[RDMA_TEXT];
    u32 size = rdma_text_write(text, &hello);
    struct rdma_text t;

    (void)state;
    for (u32 n = 0; n < size - 1; n++) /* "access=15" without its end is a number, too */
        assert_int_equal(rdma_text_read(&t, text, n, &why), E_FORMAT);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "does not begin"},
        {"ferry-rdma 2 bye id=1", "does not begin"},
        {"ferry-rdma 1 jump id=1", "not a word"},
        {"ferry-rdma 1 bye", "id="},
        {"ferry-rdma 1 bye id=4294967296", "id="},
        {"ferry-rdma 1 hello id=1 qpn=1", "qpn is no number"},
        {"ferry-rdma 1 hello id=1 qpn=2 qpn=2", "qpn is there twice"},
        {"ferry-rdma 1 hello id=1 qpn=2", "psn is missing"},
        {"ferry-rdma 1 hello id=1 loose", "no '='"},
        {"ferry-rdma 1 hello id=1 gid=00", "gid is not"},
        {"ferry-rdma 1 bye id=1\n\n", "not a line"},
    };
    struct rdma_text t;

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(read_text(&t, cases[i].text), E_FORMAT);
        if (!strstr(why.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", why.text, cases[i].says);
    }
}

static void names_of_later_versions_are_passed_over(void **state)
{
    char text[RDMA_TEXT + 16];
    struct rdma_text t;

    (void)state;
    rdma_text_write(text, &hello);
    strcat(text, " colour=blue\n");
    assert_int_equal(read_text(&t, text), OK);
    assert_memory_equal(&t.end, &hello.end, sizeof(t.end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_longest_message_fits),
        cmocka_unit_test(every_cut_of_a_message_is_refused),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(names_of_later_versions_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

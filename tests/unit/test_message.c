/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages: what is sealed is accepted once, and nothing else is; what they say is read within their bounds. */
#include <stdlib.h>
#include <string.h>
#include "fake/fake.h"
#include "migrate/message.h"
#include "unit.h"

static const struct key key = {{1, 2, 3}}, other = {{1, 2, 4}};
static struct why why;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* A message that ends where its memory does. */
static struct message_text *make_text(const char *text, enum message_type type)
{
    u32 count = (u32)strlen(text);
    struct message_text *m = calloc(1, sizeof(*m) + count);

    m->l.count = count;
    memcpy(m->text, text, count);
    message_seal(&m->l.h, type, (u32)sizeof(*m) + count, 7, &key);
    return m;
}

static void what_was_sealed_is_accepted_in_its_turn(void **state)
{
    struct message_text *m = make_text("no room", MESSAGE_REFUSE);
    u32 size = m->l.h.size;

    (void)state;
    assert_int_equal(message_check(m, size, 7, &key, &why), OK);
    assert_int_equal(message_check(m, size, 8, &key, &why), E_STATE);
    assert_int_equal(message_check(m, size, 7, &other, &why), E_INVAL);
    assert_int_equal(message_check(m, size - 1, 7, &key, &why), E_FORMAT);
    m->text[0]++;
    assert_int_equal(message_check(m, size, 7, &key, &why), E_INVAL);
    free(m);
}

static void a_count_that_is_not_its_length_is_refused(void **state)
{
    struct message_text *m = make_text("no room", MESSAGE_ABORT);

    (void)state;
    m->l.count++;
    message_seal(&m->l.h, MESSAGE_ABORT, m->l.h.size, 7, &key);
    assert_int_equal(message_check(m, m->l.h.size, 7, &key, &why), E_FORMAT);
    free(m);
}

static void a_text_ends_with_its_message(void **state)
{
    struct message_text *m = make_text("no room", MESSAGE_REFUSE);
    char text[40], little[4];

    (void)state;
    message_read_text(m, text, sizeof(text));
    assert_string_equal(text, "no room");
    message_read_text(m, little, sizeof(little));
    assert_string_equal(little, "no ");
    free(m);
}

static void what_a_terminal_obeys_is_not_passed_on(void **state)
{
    struct message_text *m = make_text("no\x1b[2Jroom\n", MESSAGE_REFUSE);
    char text[40];

    (void)state;
    message_read_text(m, text, sizeof(text));
    assert_string_equal(text, "no?[2Jroom?");
    free(m);
}

static void numbers_in_a_row_are_one_run(void **state)
{
    struct message_run_of run[8];
    u32 count = 0;

    (void)state;
    message_add_run(run, &count, 5);
    message_add_run(run, &count, 6);
    message_add_run(run, &count, 8);
    message_add_run(run, &count, 7);
    assert_int_equal(count, 3);
    assert_int_equal(run[0].first, 5);
    assert_int_equal(run[0].count, 2);
    assert_int_equal(run[1].first, 8);
    assert_int_equal(run[2].first, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_sealed_is_accepted_in_its_turn, setup),
        cmocka_unit_test_setup(a_count_that_is_not_its_length_is_refused, setup),
        cmocka_unit_test_setup(a_text_ends_with_its_message, setup),
        cmocka_unit_test_setup(what_a_terminal_obeys_is_not_passed_on, setup),
        cmocka_unit_test_setup(numbers_in_a_row_are_one_run, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

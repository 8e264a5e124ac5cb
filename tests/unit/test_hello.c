/* SPDX-License-Identifier: BSD-2-Clause */
/* Hellos: whose nonce is fresh, and that a session is opened once. */
#include <string.h>
#include "fake/fake.h"
#include "migrate/hello.h"
#include "unit.h"

static const struct key own = {{1, 2, 3}};
static const ip4_t from = {0x0a000001}, elsewhere = {0x0a000002};

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

/* An open whose nonce and cookie were given at a time. */
static struct hello opened(u8 number, u64 at)
{
    struct hello h = {.session = {.name = {"alpha", "beta"}, .nonce[0].b[0] = number}};

    h.session.nonce[1] = hello_nonce_for(&own, from, &h.session, hello_slot(at));
    h.cookie = hello_cookie_for(&own, from, &h.session);
    return h;
}

static void a_nonce_is_fresh_for_a_while_and_for_who_asked(void **state)
{
    struct hello h = opened(1, SEC(100));

    (void)state;
    assert_true(hello_is_fresh(&own, from, &h, SEC(100)));
    assert_true(hello_is_fresh(&own, from, &h, SEC(119)));
    assert_false(hello_is_fresh(&own, from, &h, SEC(120)));
    assert_false(hello_is_fresh(&own, elsewhere, &h, SEC(100)));
    h.session.incarnation[0]++;
    assert_false(hello_is_fresh(&own, from, &h, SEC(100)));
}

static void a_session_is_opened_once_while_its_nonce_is_fresh(void **state)
{
    struct hello one = opened(1, SEC(109)), two = opened(2, SEC(109));
    struct hello_seen seen = {0};

    (void)state;
    assert_true(hello_is_first(&seen, &one.session, SEC(109)));
    assert_true(hello_is_first(&seen, &two.session, SEC(109)));
    for (u64 now = SEC(109); hello_is_fresh(&own, from, &one, now); now += MSEC(500)) {
        assert_false(hello_is_first(&seen, &one.session, now));
        assert_false(hello_is_first(&seen, &two.session, now));
    }
}

static void many_sessions_at_once_wait_until_the_first_can_be_forgotten(void **state)
{
    struct hello more = opened(100, SEC(101));
    struct hello_seen seen = {0};

    (void)state;
    for (u8 i = 0; i < HELLO_SESSIONS; i++) {
        struct hello h = opened(i, SEC(100));

        assert_true(hello_is_first(&seen, &h.session, SEC(100) + i));
    }
    assert_false(hello_is_first(&seen, &more.session, SEC(101)));
    assert_true(hello_is_first(&seen, &more.session, SEC(120)));
    assert_false(hello_is_first(&seen, &more.session, SEC(120)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_nonce_is_fresh_for_a_while_and_for_who_asked, setup),
        cmocka_unit_test_setup(a_session_is_opened_once_while_its_nonce_is_fresh, setup),
        cmocka_unit_test_setup(many_sessions_at_once_wait_until_the_first_can_be_forgotten, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

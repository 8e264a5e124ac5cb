/* SPDX-License-Identifier: BSD-2-Clause */
/* A NIC's thread: who has a turn, when it sleeps, and what is padded. */
#include "unit.h"
#include "fake/ether.h"
#include "fake/fake.h"

struct counted {
    struct ether_service service;
    unsigned polls, more;
    u64 deadline, last;
    bool busy;
};

static struct fake_ether nic;
static struct counted one, two;

static struct counted *of(struct ether_service *s)
{
    return CONTAINER_OF(s, struct counted, service);
}

static bool poll(struct ether_service *s)
{
    struct counted *c = of(s);

    c->polls++;
    c->last = time_now();
    if (c->last >= c->deadline)
        c->deadline = U64_MAX;
    fake_advance(USEC(1)); /* a turn takes its time */
    return c->more && c->more--;
}

static u64 deadline(struct ether_service *s)
{
    return of(s)->deadline;
}

static bool busy(struct ether_service *s)
{
    return of(s)->busy;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(9));
    thread_init();
    fake_ether_init(&nic, (mac_t){{2, 0, 0, 0, 0, 1}});
    nic.ether.link = true;
    one = two = (struct counted){.service = {poll, deadline, busy, NULL}, .deadline = U64_MAX};
    ether_add_service(&nic.ether, &one.service);
    return 0;
}

static void a_quiet_nic_is_looked_at_every_5_ms(void **state)
{
    (void)state;
    fake_advance(SEC(2));
    assert_int_equal(ether_start(&nic.ether), OK);
    thread_sleep(MSEC(1000));
    assert_in_range(one.polls, 150, 210);
}

static void after_a_frame_it_is_looked_at_every_millisecond_for_a_second(void **state)
{
    u8 frame[64] = {0};

    (void)state;
    fake_advance(SEC(2));
    assert_int_equal(ether_start(&nic.ether), OK);
    thread_sleep(MSEC(10));
    ether_received(&nic.ether, frame, sizeof(frame));
    one.polls = 0;
    thread_sleep(MSEC(500));
    assert_in_range(one.polls, 450, 510);
}

static void a_service_has_its_turn_by_its_deadline_and_at_once_when_kicked(void **state)
{
    u64 due;

    (void)state;
    fake_advance(SEC(2));
    assert_int_equal(ether_start(&nic.ether), OK);
    thread_sleep(MSEC(20));
    due = one.deadline = time_now() + USEC(300);
    ether_kick(&nic.ether);
    thread_sleep(USEC(100));
    assert_true(one.last < due);
    thread_sleep(USEC(250));
    assert_in_range(one.last, due, due + USEC(20));
}

static void while_there_is_more_it_does_not_sleep_and_others_have_their_turns(void **state)
{
    u64 start;

    (void)state;
    ether_add_service(&nic.ether, &two.service); /* also later */
    assert_int_equal(ether_start(&nic.ether), OK);
    one.more = 100;
    start = time_now();
    thread_sleep(USEC(400));
    assert_true(one.polls > 100 && two.polls > 100);
    assert_true(time_now() < start + MSEC(1));
}

static void a_busy_service_is_polled_for_a_while_and_then_by_the_millisecond(void **state)
{
    (void)state;
    fake_advance(SEC(2));
    one.busy = true;
    assert_int_equal(ether_start(&nic.ether), OK);
    thread_sleep(USEC(150));
    assert_true(one.polls > 50);
    thread_sleep(MSEC(2));
    one.polls = 0;
    thread_sleep(MSEC(20));
    assert_in_range(one.polls, 15, 22); /* whoever does not answer costs little */
}

static void a_short_frame_is_padded_with_zeros(void **state)
{
    u8 *buffer = ether_take(&nic.ether);
    const u8 *sent;
    u32 size;

    (void)state;
    memset(buffer, 0xff, 100);
    ether_send(&nic.ether, buffer, 20);
    sent = fake_ether_last(&nic, &size);
    assert_int_equal(size, ETHER_MIN);
    for (u32 i = 0; i < ETHER_MIN; i++)
        assert_int_equal(sent[i], i < 20 ? 0xff : 0);
}

static void no_free_buffer_is_counted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FAKE_ETHER_BUFFERS; i++)
        assert_non_null(ether_take(&nic.ether));
    assert_null(ether_take(&nic.ether));
    assert_int_equal(nic.ether.counters.no_room, 1);
    ether_give_back(&nic.ether, nic.buffer[3]);
    assert_ptr_equal(ether_take(&nic.ether), nic.buffer[3]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_quiet_nic_is_looked_at_every_5_ms),
        TEST(after_a_frame_it_is_looked_at_every_millisecond_for_a_second),
        TEST(a_service_has_its_turn_by_its_deadline_and_at_once_when_kicked),
        TEST(while_there_is_more_it_does_not_sleep_and_others_have_their_turns),
        TEST(a_busy_service_is_polled_for_a_while_and_then_by_the_millisecond),
        TEST(a_short_frame_is_padded_with_zeros),
        TEST(no_free_buffer_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Leases: slots of frames that are lent. (What lies behind keys, and what a peer does with them: tests/sim/migrate.) */
#include "fake/fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "migrate/agent.h"
#include "unit.h"

static struct agent agent;
static struct peer peer = {.agent = &agent};
static struct lease lease;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(64));
    agent.leases = 1;
    lease = (struct lease){.used = true, .peer = &peer};
    return 0;
}

static hpa_t shared(void)
{
    hpa_t frame = frame_alloc(0, FRAME_SHARED, 1);

    assert_int_not_equal(frame.v, 0);
    return frame;
}

/* Lends so many frames at once; returns the first slot. */
static u32 lend(u32 count)
{
    u32 first;
    hpa_t *room = lease_room(&lease, &first);

    assert_non_null(room);
    for (u32 i = 0; i < count; i++)
        room[i] = shared();
    lease_add(&lease, count);
    return first;
}

static void end(void)
{
    lease_void(&lease);
    assert_false(lease_poll(&lease));
    assert_int_equal(agent.leases, 0);
}

static void a_lent_frame_has_a_user_more_until_the_lease_ends(void **state)
{
    u32 slot = lend(2);
    hpa_t frame = lease_frame(&lease, slot + 1);

    (void)state;
    assert_int_equal(frame_users(frame), 2);
    assert_int_equal(lease.slots, 2);
    end();
    assert_int_equal(frame_users(frame), 1);
}

static void there_is_always_room_for_some_in_a_row(void **state)
{
    u32 before = 0;

    (void)state;
    for (unsigned i = 0; i < 3 * LEASE_CHUNK; i += LEASE_SOME - 1) {
        u32 first = lend(LEASE_SOME - 1);

        assert_true(!i || first > before);
        assert_true(first % LEASE_CHUNK + LEASE_SOME <= LEASE_CHUNK);
        for (u32 k = 0; k < LEASE_SOME - 1; k++)
            assert_int_equal(frame_users(lease_frame(&lease, first + k)), 2);
        before = first + LEASE_SOME - 2;
    }
    assert_int_equal(lease_frame(&lease, before + 1).v, 0);
    assert_int_equal(lease_frame(&lease, ~0u).v, 0);
    end();
}

static void room_that_is_not_used_costs_nothing(void **state)
{
    u32 first, again;

    (void)state;
    assert_non_null(lease_room(&lease, &first));
    lease_add(&lease, 0);
    assert_non_null(lease_room(&lease, &again));
    assert_int_equal(first, again);
    assert_int_equal(lease.slots, 0);
    end();
}

static void slots_that_nobody_was_told_of_cannot_be_returned(void **state)
{
    u32 slot = lend(3);
    hpa_t frame = lease_frame(&lease, slot);

    (void)state;
    assert_false(lease_return(&lease, slot, 1));
    assert_false(lease_return(&lease, slot + 3, 1));
    assert_false(lease_return(&lease, ~0u, 2));
    assert_int_equal(frame_users(frame), 2);
    assert_int_equal(lease.left, 3);
    end();
}

/* 5 GiB of pages, and more. */
static void a_lease_has_as_many_slots_as_there_is_memory(void **state)
{
    hpa_t frame = shared();
    u32 first = 0, before;

    (void)state;
    for (unsigned i = 0; i < BIT(21); i += LEASE_SOME) {
        hpa_t *room = lease_room(&lease, &first);

        assert_non_null(room);
        for (u32 k = 0; k < LEASE_SOME; k++)
            room[k] = frame;
        lease_add(&lease, LEASE_SOME);
    }
    before = first + LEASE_SOME - 1;
    assert_int_equal(lease.slots, BIT(21));
    assert_int_equal(lease_frame(&lease, before).v, frame.v);
    end();
    assert_int_equal(frame_users(frame), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_lent_frame_has_a_user_more_until_the_lease_ends),
        TEST(there_is_always_room_for_some_in_a_row),
        TEST(room_that_is_not_used_costs_nothing),
        TEST(slots_that_nobody_was_told_of_cannot_be_returned),
        TEST(a_lease_has_as_many_slots_as_there_is_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

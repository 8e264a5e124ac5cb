/* SPDX-License-Identifier: BSD-2-Clause */
/* The states of a page: every pair is allowed or prohibited, and says why not. */
#include "unit.h"
#include "vmm/memory/page.h"

static void every_pair_of_states_is_allowed_or_has_a_reason(void **state)
{
    (void)state;
    for (unsigned from = 0; from < PAGE_STATE_COUNT; from++)
        for (unsigned to = 0; to < PAGE_STATE_COUNT; to++) {
            const char *reason = NULL;

            if (!page_may_become(from, to, &reason) && !reason)
                fail_msg("%s to %s: no reason", page_state_name[from], page_state_name[to]);
        }
}

static void the_only_copy_of_a_page_is_never_given_up(void **state)
{
    (void)state;
    assert_false(page_may_become(PAGE_PRIVATE, PAGE_REMOTE, NULL));
    assert_false(page_may_become(PAGE_PRIVATE, PAGE_CACHED, NULL));
    assert_false(page_may_become(PAGE_SHARED, PAGE_REMOTE, NULL));
}

static void devices_stay_devices(void **state)
{
    (void)state;
    for (unsigned s = 0; s < PAGE_MMIO; s++) {
        assert_false(page_may_become(s, PAGE_MMIO, NULL));
        assert_false(page_may_become(PAGE_MMIO, s, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_states_is_allowed_or_has_a_reason),
        cmocka_unit_test(the_only_copy_of_a_page_is_never_given_up),
        cmocka_unit_test(devices_stay_devices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

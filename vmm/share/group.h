/* Trust groups: VMs of one share pages among themselves, and with nobody else. What a guest can learn by the time that a write
 * takes (whether some other VM has a page of that content) stays within the group.
 *
 * Hashes are keyed by the group's secret. Hosts that have it in common, from ferry.cfg, come to the same hash for the same
 * page; without one the key is made up at each boot. Any thread. */
#pragma once
#include "kernel/err.h"

#define SHARE_GROUPS 64 /* that there may be at a time and after another: they are not forgotten */

/* The number of a group, from 1; it is made if there is none of that name. E_NOMEM: there are too many. */
enum err share_group(const char *name, u16 *group) MUST_CHECK;
u16 share_group_count(void);
const char *share_group_name(u16 group);
/* Does its secret stand in ferry.cfg? */
bool share_group_has_secret(u16 group);
/* Of the hashes of its pages (page_hash). */
u64 share_key(u16 group);
/* The hash of what a SHARED frame of the group holds, of which the caller has a user. The frame remembers it. */
u64 share_hash(u16 group, hpa_t frame);

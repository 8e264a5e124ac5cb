/* SPDX-License-Identifier: BSD-2-Clause */
/* Trust groups: VMs of one share pages among themselves, and with nobody else. What a guest can learn by the time that a write
 * takes (whether some other VM has a page of that content) stays within the group.
 *
 * Hashes are keyed by the group's secret. Hosts that have it in common, from ferry.cfg, come to the same hash for the same
 * page; without one the key is made of random numbers when the group is made. Any thread. */
#pragma once
#include "kernel/config.h"
#include "kernel/err.h"

/* One VM more in the group of that name, which is made if there is none; the empty name is a group of that VM alone. Its number
 * is never 0. E_NOMEM. */
enum err share_group_join(const char *name, u16 *group) MUST_CHECK;
/* One VM less. A group ends with its last VM, unless its secret stands in ferry.cfg. 0 is no group. */
void share_group_leave(u16 group);
struct share_group_info {
    char name[CONFIG_NAME];
    u32 vms;
    bool has_secret; /* it stands in ferry.cfg */
};
/* Groups that have a name, by an index from 0; false behind the last. */
bool share_group_at(unsigned index, struct share_group_info *info);
/* Of the hashes of its pages (page_hash). The scanner has it at hand: pmap.hash_key. */
u64 share_key(u16 group);
/* The hash of what a SHARED frame of the group holds, of which the caller has a user. The frame remembers it. */
u64 share_hash(u16 group, hpa_t frame);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/memory/page.h"

const char *const page_state_name[PAGE_STATE_COUNT] = {
    [PAGE_EMPTY] = "empty",   [PAGE_PRIVATE] = "private", [PAGE_SHARED] = "shared",
    [PAGE_REMOTE] = "remote", [PAGE_CACHED] = "cached",   [PAGE_MMIO] = "device",
};

/* The transitions that there are, and what makes them. */
static const char *const transition[PAGE_STATE_COUNT][PAGE_STATE_COUNT] = {
    [PAGE_EMPTY][PAGE_PRIVATE] = "first touch, or arrival of a private page",
    [PAGE_EMPTY][PAGE_SHARED] = "arrival of a page whose frame this VM shows elsewhere",
    [PAGE_EMPTY][PAGE_REMOTE] = "arrival of a description",
    [PAGE_PRIVATE][PAGE_EMPTY] = "found zero, or memory given back",
    [PAGE_PRIVATE][PAGE_SHARED] = "merge, or becoming lent",
    [PAGE_SHARED][PAGE_PRIVATE] = "copy on write",
    [PAGE_SHARED][PAGE_EMPTY] = "memory given back",
    [PAGE_REMOTE][PAGE_PRIVATE] = "remote copy on write, or drained",
    [PAGE_REMOTE][PAGE_SHARED] = "takeover by a local frame, or home again",
    [PAGE_REMOTE][PAGE_CACHED] = "read by the guest",
    [PAGE_REMOTE][PAGE_EMPTY] = "memory given back",
    [PAGE_CACHED][PAGE_PRIVATE] = "copy on write, or drained",
    [PAGE_CACHED][PAGE_SHARED] = "takeover by a local frame, or home again",
    [PAGE_CACHED][PAGE_REMOTE] = "copy evicted",
    [PAGE_CACHED][PAGE_EMPTY] = "memory given back",
};

#define FROM_MMIO "a device's place in the address space is fixed for the life of the VM"
#define TO_MMIO   "RAM does not become a device: where devices are is fixed for the life of the VM"

/* The transitions that must not be, each with its reason. */
static const char *const prohibited[PAGE_STATE_COUNT][PAGE_STATE_COUNT] = {
    [PAGE_EMPTY][PAGE_CACHED] =
        "a copy needs the description of what it is a copy of: REMOTE comes first",
    [PAGE_PRIVATE][PAGE_REMOTE] = "the only copy of its bytes would be given up",
    [PAGE_PRIVATE][PAGE_CACHED] = "nobody lent it: there is no lease that the copy belongs to",
    [PAGE_SHARED][PAGE_REMOTE] = "the bytes are here, and a fetch could fail",
    [PAGE_SHARED][PAGE_CACHED] = "the bytes are here already, and without a lease",
    [PAGE_EMPTY][PAGE_MMIO] = TO_MMIO,
    [PAGE_PRIVATE][PAGE_MMIO] = TO_MMIO,
    [PAGE_SHARED][PAGE_MMIO] = TO_MMIO,
    [PAGE_REMOTE][PAGE_MMIO] = TO_MMIO,
    [PAGE_CACHED][PAGE_MMIO] = TO_MMIO,
    [PAGE_MMIO][PAGE_EMPTY] = FROM_MMIO,
    [PAGE_MMIO][PAGE_PRIVATE] = FROM_MMIO,
    [PAGE_MMIO][PAGE_SHARED] = FROM_MMIO,
    [PAGE_MMIO][PAGE_REMOTE] = FROM_MMIO,
    [PAGE_MMIO][PAGE_CACHED] = FROM_MMIO,
};

bool page_may_become(enum page_state from, enum page_state to, const char **reason)
{
    if (from == to || transition[from][to])
        return true;
    if (reason)
        *reason = prohibited[from][to];
    return false;
}

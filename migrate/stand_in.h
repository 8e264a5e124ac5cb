/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM of this host that is off makes way for the same one, which comes running from another host. If that does not arrive
 * after all, it is there again. By the agent's thread. */
#pragma once
#include "kernel/config.h"
#include "kernel/err.h"

/* Destroys the VM of that name, if there is one, and remembers how it was made. E_STATE: it is in use; E_NOMEM. */
enum err stand_in_make_way(const struct config_vm *c, struct why *why) MUST_CHECK;
/* The VM that came is here to stay; or it is gone, and the one that made way for it, if any did, is wanted again. */
void stand_in_end(const char *name, bool is_wanted);

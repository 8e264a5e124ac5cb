/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent of this host, on a thread of its own. */
#pragma once
#include "migrate/agent.h"

/* Our agent, or NULL: why says what is missing. What is in there belongs to its thread: others may look, and take what
 * they see for what it was a moment ago. */
struct agent *agent_host(struct why *why);
/* Has fn run on the agent's thread, and returns what it returns. */
enum err agent_call(enum err (*fn)(struct agent *a, void *ctx, struct why *why), void *ctx,
                    struct why *why) MUST_CHECK;

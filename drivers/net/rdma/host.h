/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device is this host's for RDMA: a card whose link is active, else soft-RoCE over the NIC. */
#pragma once
#include "drivers/net/verbs.h"

/* NULL: there is none. It may be another one when links come and go; objects stay with the device that made them. */
struct verbs_device *rdma_host(void);
/* Says why there is none. */
enum err rdma_host_missing(struct why *why);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Soft-RoCE on this host's NIC: made at boot where there is a NIC and an address. */
#pragma once
#include "drivers/net/roce/device.h"

/* The device of this host, or NULL; from start-up on for good. */
struct verbs_device *roce_host(void);
/* Why roce_host() is NULL, as a sentence; returns E_STATE. */
enum err roce_host_missing(struct why *why);
/* A number that a stranger does not guess easily and that differs from boot to boot: for first packet numbers. Not for
 * secrets: it comes from the clocks and the MAC. */
u64 roce_random(void);

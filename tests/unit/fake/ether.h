/* SPDX-License-Identifier: BSD-2-Clause */
/* A NIC that only remembers: what is sent stays in sent[], and a test hands it frames by ether_received. */
#pragma once
#include "drivers/net/ether.h"

#define FAKE_ETHER_SENT    64
#define FAKE_ETHER_BUFFERS 24

struct fake_ether {
    struct ether ether;
    u8 buffer[FAKE_ETHER_BUFFERS][ETHER_HEADER + ETHER_MTU];
    bool taken[FAKE_ETHER_BUFFERS];
    u8 sent[FAKE_ETHER_SENT][ETHER_HEADER + ETHER_MTU];
    u32 sent_size[FAKE_ETHER_SENT];
    unsigned sent_count; /* ever; sent[] has the last of them, from the start again */
};

void fake_ether_init(struct fake_ether *f, mac_t mac);
/* Buffers that are out. */
unsigned fake_ether_taken(const struct fake_ether *f);
/* The latest frame that was sent, and how long it is. */
const u8 *fake_ether_last(const struct fake_ether *f, u32 *size);

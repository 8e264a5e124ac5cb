/* SPDX-License-Identifier: BSD-2-Clause */
/* Soft-RoCE: verbs over any Ethernet NIC. This header is the whole seam to the NIC's driver:
 *
 *     roce_device_create   once, when the NIC is up and has its address
 *     roce_receive         for each received frame that is UDP to port 4791, whole, from its Ethernet header on
 *     roce_poll            when work was posted (port->kick says so), after frames were received, when
 *                          roce_deadline has come, and when frame_begin failed and there is room again
 *
 * They may be called by any thread; they take the device's lock, so port's functions are called under it and must
 * neither block nor call back. Frames are at most port->mtu + 14 bytes. */
#pragma once
#include "drivers/net/roce/rc.h"
#include "drivers/net/verbs.h"

struct roce_port {
    const char *name; /* stays the caller's, as does all that is pointed to */
    u8 mac[6];
    u32 ip;  /* host order */
    u32 mtu; /* of Ethernet, bytes: 1,500 carries a path MTU of 1,024 */
    /* Room for a frame of that size in the send ring, or NULL: none now. frame_send sends what was begun last;
     * a begin without a send is forgotten. Short frames are padded by the NIC or its driver. */
    u8 *(*frame_begin)(void *nic, u32 size);
    void (*frame_send)(void *nic, u32 size);
    /* There is something for roce_poll to do: wakes the thread that calls it. May be NULL. */
    void (*kick)(void *nic);
    void *nic;
    void (*show)(struct verbs_device *device); /* rows for `rdma`; may be NULL */
    u64 (*now)(void);                          /* ns; time_now */
    /* heap_alloc and heap_free: zeroed, aligned to 16, NULL without memory. Not used for data. */
    void *(*alloc)(size_t size);
    void (*free)(void *p);
    struct window_limits window; /* zeros: the defaults */
    u32 first_qpn;               /* random: queue pair numbers begin there */
    u32 first_mr;                /* random: keys begin there */
};

/* E_UNSUPPORTED where the NIC's frames are too small, E_NOMEM. */
enum err roce_device_create(const struct roce_port *port, struct verbs_device **device,
                            struct why *why) MUST_CHECK;
/* E_STATE while anything of it is in use. */
enum err roce_device_destroy(struct verbs_device *device, struct why *why) MUST_CHECK;

/* Why a frame was dropped, or ROCE_OK; it is counted already. Its answers are sent by roce_poll. */
enum roce_drop roce_receive(struct verbs_device *device, const u8 *frame, u32 size);
/* Sends at most about 64 frames. true: there is more to send; call again, after the NIC has had its turn. */
bool roce_poll(struct verbs_device *device);
/* When roce_poll is wanted at the latest, ns; U64_MAX: not before something happens. */
u64 roce_deadline(struct verbs_device *device);
/* Is work outstanding: does the NIC have to be polled? */
bool roce_is_busy(struct verbs_device *device);

struct roce_counters {
    u64 dropped[ROCE_DROP_COUNT]; /* [ROCE_OK]: taken */
    u64 rc[RC_COUNTERS];          /* of all queue pairs that there are and were */
};
void roce_counters(struct verbs_device *device, struct roce_counters *c);

/* SPDX-License-Identifier: BSD-2-Clause */
/* A fabric at the level of the verbs, for the simulator: devices of hosts whose queue pairs do what a reliable connection
 * promises, in order, with delays, and fail as real ones do. A request that is cut off may have been executed or not; a
 * WRITE that is cut off may have been executed in part; the requester sees an error after a time-out, and all behind it is
 * flushed. A key is good until its end was told. All chance comes from one seed; time is the fake machine's. */
#pragma once
#include "drivers/net/verbs.h"

#define FABRIC_HOSTS 5

struct fabric;

struct fabric *fabric_create(u64 seed, u64 delay_ns, u64 jitter_ns);
void fabric_destroy(struct fabric *f);
u64 fabric_random(struct fabric *f);
u32 fabric_below(struct fabric *f, u32 n);

/* A host's device, anew: with other numbers and keys, and nothing of before it. The old one is as if it had lost its power. */
struct verbs_device *fabric_boot(struct fabric *f, u32 host);
void fabric_kill(struct fabric *f, u32 host);
/* Nothing passes between two hosts from now on; or it does again. */
void fabric_cut(struct fabric *f, u32 a, u32 b, bool cut);
bool fabric_is_cut(const struct fabric *f, u32 a, u32 b);
/* So many of 100 requests come late, and so many ends of keys: something was lost and sent again. */
void fabric_lose(struct fabric *f, u32 percent);
/* Somebody meddles with the next message of any queue pair: it arrives changed, or twice. */
enum fabric_forgery { FORGERY_NONE, FORGERY_CHANGED, FORGERY_TWICE };
void fabric_forge(struct fabric *f, enum fabric_forgery forgery);
/* How many such have come to a host since it was booted. */
u32 fabric_forged(const struct fabric *f, u32 host);
/* Does what is due now; and when there is something next. */
void fabric_run(struct fabric *f);
u64 fabric_next(const struct fabric *f);
/* What a host has posted since it was booted: WRITEs, doorbells that started some, completions that told of some. */
struct fabric_writes {
    u64 posted, doorbells, completions;
};
struct fabric_writes fabric_writes(const struct fabric *f, u32 host);
/* Keys that can be used, or whose end was not told yet. */
u32 fabric_keys(const struct fabric *f, u32 host);
/* The frames of a host that another one can write, or read. */
void fabric_each_writable(const struct fabric *f, u32 host, void (*fn)(void *ctx, hpa_t frame),
                          void *ctx);
void fabric_each_readable(const struct fabric *f, u32 host, void (*fn)(void *ctx, hpa_t frame),
                          void *ctx);
/* Somebody who has heard of every key READs a word through the n-th of those that are good, or WRITEs one. False: there are
 * fewer. */
bool fabric_reach(struct fabric *f, u32 host, u32 n, u32 page, bool write);
/* Told before a WRITE or READ touches memory; for checks. May be NULL. */
extern void (*fabric_touches)(u32 host, hpa_t frame, bool write);

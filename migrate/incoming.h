/* SPDX-License-Identifier: BSD-2-Clause */
/* The target's side of a migration: grants, what pages hold, hand-off. */
#pragma once
#include "drivers/net/verbs.h"
#include "migrate/borrow.h"
#include "migrate/message.h"

#define GRANT_MOST 512

/* Frames that the source may write until the hand-off. */
struct grant {
    struct verbs_mr *mr;
    struct verbs_end end;
};

struct incoming {
    struct grant **grant;
    u32 grants, room;
    struct grant state;
    hpa_t state_frames;
    u32 state_order;
    u64 state_size;
    hpa_t *held; /* frames that pages lost while somebody could still write them */
    u64 holds, holds_room;
    hpa_t *
        alias; /* frames that several pages show and the source may write: they are of no trust group yet */
    u64 aliases, alias_room;
    struct borrow *borrow;
    u32 markers;
    bool has_final;
    struct message_final final;
    bool closing;
    bool source_ended; /* it has said ABORT, and writes no more */
    u64 close_at;      /* aborted: the keys are closed then, whatever it says */
};

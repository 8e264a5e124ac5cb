/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: who has each 4 KiB of host memory, and how many use it.
 *
 * A buddy allocator over one array with 24 bytes for every frame. A block of 2^order frames is
 * allocated to a kind, and has a user count: frame_get adds a user, frame_put drops one and frees
 * the block with its last. The count stands at the block's first frame. Any context. */
#pragma once
#include "kernel/boot_info.h"
#include "kernel/err.h"

enum frame_kind {
    FRAME_UNUSABLE, /* not RAM, or firmware's */
    FRAME_FREE,
    FRAME_BOOT,       /* from the loader: kernel image, files */
    FRAME_KERNEL,     /* heap, stacks, the frame array */
    FRAME_PAGE_TABLE, /* the kernel's own, and second-level tables */
    FRAME_GUEST,      /* a guest's memory */
    FRAME_SHARED,     /* equal pages of guests; the owner is their trust group */
    FRAME_KIND_COUNT
};
extern const char *const frame_kind_name[FRAME_KIND_COUNT];

#define FRAME_MAX_ORDER   18 /* 1 GiB */
#define FRAME_LARGE_ORDER 9  /* 2 MiB */

/* Of an allocated frame, for whoever has it; 0 at first. Of a shared one: the pages that show it (vmm/memory/rmap.h), and the
 * hash of what they hold (share_hash). */
struct frame_pages {
    u64 hash;
    u32 first, count;
};

struct frame {
    union {
        struct {
            u32 next, prev; /* of a free block, in its order's list: frame numbers, 0 none */
        };
        struct frame_pages pages;
    };
    u32 users; /* of an allocated block, at its first frame */
    u16 owner; /* id of the VM that it was allocated for, 0: the host */
    u8 kind;   /* enum frame_kind */
    u8 order : 7;
    u8 head : 1; /* the first frame of a block */
};
ASSERT_SIZE(struct frame, 24);

extern struct frame *frame_array; /* by frame number; frames.c alone changes it */

/* Takes all that boot says is free, places the array there, and counts the rest by kind. */
void frames_init(const struct boot_info *boot);
/* For tests: the array is the caller's, zeroed, for frames 0 to count - 1; then frames_add. */
void frames_init_array(struct frame *array, u64 count);
/* Hands RAM [base, base + size) to the allocator. */
void frames_add(u64 base, u64 size);

/* 2^order frames with one user, aligned to their size. HPA(0) when there are none. FRAME_KERNEL and FRAME_PAGE_TABLE
 * come cleared, of what firmware left there too: an emulator that translates code keeps a page slow to write for as long
 * as a line of firmware's code stands in it. A guest's come as they are: whoever takes one fills it. */
hpa_t frame_alloc(unsigned order, enum frame_kind kind, u16 owner) MUST_CHECK;
/* Of any frame of a block. */
void frame_get(hpa_t frame);
void frames_get(const hpa_t frame[], u64 count);
/* Returns the users that are left. */
u32 frame_put(hpa_t frame);
u32 frame_users(hpa_t frame);
const struct frame *frame_info(hpa_t frame);
/* Of an allocated block of one frame. Whoever has it guards what is in there. */
static inline struct frame_pages *frame_pages(hpa_t frame)
{
    return &frame_array[frame.v / PAGE_SIZE].pages;
}
/* Adds a user if the frame is of that kind and owner, and in use; false if not. What was remembered of a frame may be
 * out of date: this asks and takes in one. */
bool frame_get_if(hpa_t frame, enum frame_kind kind, u16 owner);
/* Of a single frame with one user: it is now of that kind and owner. False where it has more users. */
bool frame_claim(hpa_t frame, enum frame_kind kind, u16 owner);
/* Of a shared frame, whoever uses it: it belongs to that trust group now. */
void frame_set_group(hpa_t frame, u16 group);
/* Makes an allocated block 2^order blocks of one frame, each with the users that the block had. */
void frame_split(hpa_t frame);

struct frame_stats {
    u64 count[FRAME_KIND_COUNT]; /* frames of each kind */
    u64 ram;                     /* frames that are RAM */
    u64 largest_free;            /* order of the largest free block */
    u64 shared_users;            /* of all frames that are FRAME_SHARED */
};
void frames_stats(struct frame_stats *s);
u64 frames_free(void);
/* Frames of FRAME_GUEST and FRAME_PAGE_TABLE that were allocated for that owner. */
u64 frames_owned(u16 owner);

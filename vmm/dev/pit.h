/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8254 interval timer (Intel 231164-005) with port 61h of the PC around it:
 *
 *     channel 0  gate high        OUT -> IRQ 0
 *     channel 1  gate high        OUT -> nothing
 *     channel 2  gate = 61h.0     OUT -> 61h.5
 *
 * The count is computed from the time when it is asked for. Differences that software can see: a
 * new count takes effect at once (the chip ends the period first in modes 2 and 3), and the clock
 * that the chip spends on loading is not counted.
 * Pure logic; the caller holds its VM's lock. struct pit is the whole state. */
#pragma once
#include "vmm/dev/vtime.h"

#define PIT_HZ        1193182u
#define PIT_PORT      0x40 /* three channels, then the control word */
#define PIT_PORTS     4
#define PIT_PORT_GATE 0x61

struct pit_channel {
    u64 since_ns;  /* counting started or went on at this time */
    u64 before_ns; /* and had gone on for so long before */
    u64 edges;     /* rising edges of OUT since the start that pit_tick has reported */
    u32 count;     /* 1 to 65536 (10000 in BCD); 0: none yet */
    u16 latch;
    u8 latch_bytes; /* of the latch that are still to be read */
    u8 status;
    u8 status_latched;
    u8 mode;   /* 0 to 5 */
    u8 access; /* 1: low byte, 2: high byte, 3: low then high */
    u8 bcd;
    u8 gate;
    u8 started;   /* the count has been taken up */
    u8 counting;  /* and is running now */
    u8 read_high; /* the next byte in access 3 is the high one */
    u8 write_high;
    u8 write_low; /* the low byte that waits for it */
    u8 reserved[6];
};
ASSERT_SIZE(struct pit_channel, 48);

struct pit {
    struct pit_channel channel[3];
    u8 port61; /* bits 3:0 as written */
    u8 reserved[7];
};
ASSERT_SIZE(struct pit, 152);

void pit_init(struct pit *p);
/* Ports 40 to 43 and 61. */
u8 pit_in(struct pit *p, u16 port, const struct vtime *now);
void pit_out(struct pit *p, u16 port, u8 value, const struct vtime *now);
/* Channel 0's OUT now. */
bool pit_irq_level(const struct pit *p, const struct vtime *now);
/* Has channel 0's OUT risen since the last call? Several rises are one. */
bool pit_tick(struct pit *p, const struct vtime *now);
/* Guest ns when it will rise next, or VTIME_NEVER. */
u64 pit_next(const struct pit *p);

/* The state as it travels: nothing in it is an absolute time. What has been counted is in before_ns, and since_ns is 0. */
void pit_save(const struct pit *p, struct pit *saved, const struct vtime *now);
bool pit_is_valid(const struct pit *saved);
void pit_load(struct pit *p, const struct pit *saved, const struct vtime *now);

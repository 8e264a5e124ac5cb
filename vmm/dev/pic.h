/* SPDX-License-Identifier: BSD-2-Clause */
/* The two 8259A interrupt controllers of a PC (Intel 231468-003), with the ELCR ports.
 *
 *     lines 0-7  -> master (20, 21, 4d0) -> INTR
 *     lines 8-15 -> slave  (a0, a1, 4d1) -> master's input 2
 *
 * Pure logic; the caller holds its VM's lock. struct pic is the whole state. */
#pragma once
#include "kernel/types.h"

#define PIC_PORT_MASTER 0x20
#define PIC_PORT_SLAVE  0xa0
#define PIC_PORT_ELCR   0x4d0
#define PIC_CASCADE     2 /* the master's input that the slave is on */

struct pic_chip {
    u8 irr, imr, isr;
    u8 lines;  /* input levels */
    u8 elcr;   /* 1: level triggered */
    u8 base;   /* vector of input 0 */
    u8 lowest; /* the input with the lowest priority */
    u8 icw;    /* initialisation word that comes next: 2, 3 or 4; 0: none */
    u8 icw1, icw4;
    u8 read_isr;        /* OCW3: a read gives the ISR, not the IRR */
    u8 special_mask;    /* OCW3 */
    u8 poll;            /* OCW3: the next read acknowledges */
    u8 rotate_auto_eoi; /* OCW2 */
    u8 reserved[2];
};

struct pic {
    struct pic_chip chip[2]; /* master, slave */
};
ASSERT_SIZE(struct pic, 32);

/* As firmware leaves them: vectors 08 and 70, everything masked. */
void pic_init(struct pic *p);
/* The level of line 0 to 15; 2 is the cascade and is ignored. */
void pic_line(struct pic *p, unsigned line, bool level);
/* The level of INTR. */
bool pic_intr(const struct pic *p);
/* The vector that pic_acknowledge would return now. Changes nothing. */
u8 pic_vector(const struct pic *p);
/* INTA. Where nothing is pending (any more) that is input 7, spurious: not in service. */
u8 pic_acknowledge(struct pic *p);
/* It was acknowledged and could not be delivered: it is requested again. */
void pic_give_back(struct pic *p, u8 vector);
/* Could the device be in that state? For one that comes from outside. */
bool pic_is_valid(const struct pic *p);
/* Ports 20, 21, a0, a1, 4d0, 4d1; no others. */
u8 pic_in(struct pic *p, u16 port);
void pic_out(struct pic *p, u16 port, u8 value);

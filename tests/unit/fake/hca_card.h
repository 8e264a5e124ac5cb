/* SPDX-License-Identifier: BSD-2-Clause */
/* The HCA model with a little memory of its own, and just enough of a driver to hand it commands and work: for its unit tests
 * and its fuzzer. One at a time. */
#pragma once
#include "tools/hca/hca.h"

#define CARD_MEMORY MIB(16)
#define CARD_CMDQ   MIB(1)
#define CARD_BOXES  MIB(2) /* mailboxes: input, then output from CARD_OUT on */
#define CARD_OUT    MIB(3)
#define CARD_PAGES  MIB(4) /* given to firmware */
#define CARD_FREE   MIB(8) /* the test's */
/* Bytes that a driver's BAR must have for its doorbells to be found (hca_bar.c): some UARs. */
#define HCA_BAR_UARS ((HCA_FIRST_UAR + 8) * MLX_UAR_SIZE)

struct card {
    struct hca hca;
    u8 *memory;
    u64 time;
    u8 token;
    u32 page_next;
};
extern struct card card;

void card_init(u8 port_type);
void card_free(void);
/* A card in use is as after power-on again; its memory keeps what is there. */
void card_reset(u8 port_type);
u8 *card_at(u64 gpa);

/* An entry, signed, with its chains. Not rung. */
u8 *card_entry(const u8 *in, u32 in_size, u32 out_size);
void card_sign(u8 *entry);
/* Rings slot 0; the delivery status. */
u32 card_ring(void);
/* The whole of it. The command's status; 0x100 | delivery status where it was not delivered. out may be NULL. */
u32 card_command(const u8 *in, u32 in_size, u8 *out, u32 out_size);
/* A command of 16 bytes with one number; *number (may be NULL) is what it returns. */
u32 card_simple(enum mlx_opcode opcode, u32 op_mod, u32 value, u32 *number);
/* Before card_bring_up: atomics of 8 bytes in the host's order. The status. */
u32 card_allow_atomics(void);
/* From off to INIT_HCA. */
void card_bring_up(void);
/* A UAR, an EQ for that events, a CQ, a PD. Numbers. */
u32 card_uar(void);
u32 card_eq(u32 uar, u64 mask);
u32 card_cq(u32 uar, u32 eqn, u64 at, u64 record);
u32 card_mkey(const u8 mkc[64], const u64 *mtts, u32 count, u32 *index);
u32 card_qp(const u8 qpc[MLX_QPC_SIZE], u64 at, u32 pages, u32 *qpn);
/* Turns until nothing is left to do. */
void card_run(void);

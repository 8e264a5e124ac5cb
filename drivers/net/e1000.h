/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers and descriptors of Intel's 8254x (317453-006, chapters 3 and 13). For e1000.c. */
#pragma once
#include "kernel/err.h"

/* 13.4 Main register descriptions: offsets */
enum {
    E1000_CTRL = 0x0000,
    E1000_STATUS = 0x0008,
    E1000_EERD = 0x0014,
    E1000_ICR = 0x00c0,
    E1000_IMC = 0x00d8,
    E1000_RCTL = 0x0100,
    E1000_TCTL = 0x0400,
    E1000_TIPG = 0x0410,
    E1000_RDBA = 0x2800,
    E1000_RDT = 0x2818,
    E1000_TDBA = 0x3800,
    E1000_TDT = 0x3818,
    E1000_MPC = 0x4010,
    E1000_MTA = 0x5200,
    E1000_RAL = 0x5400,
    E1000_RAH = 0x5404,
};
/* Both rings have their registers in this order. */
enum {
    E1000_RING_LOW = 0x00,
    E1000_RING_HIGH = 0x04,
    E1000_RING_SIZE = 0x08,
    E1000_RING_HEAD = 0x10,
    E1000_RING_TAIL = 0x18,
};

#define E1000_CTRL_LINK_UP   BIT(6)
#define E1000_CTRL_RESET     (1u << 26)
#define E1000_STATUS_LINK    BIT(1)
#define E1000_EERD_START     1u
#define E1000_EERD_DONE      (1u << 4)
#define E1000_RCTL_ON        (1u << 1)
#define E1000_RCTL_BROADCAST (1u << 15)
#define E1000_RCTL_STRIP_FCS (1u << 26)
#define E1000_TCTL_ON        (1u << 1)
#define E1000_TCTL_PAD       (1u << 3)
#define E1000_TCTL_COLLISION (15u << 4 | 64u << 12) /* threshold and distance for full duplex */
#define E1000_RAH_VALID      (1u << 31)

/* How registers are reached. On the build host a test has them. */
#ifdef FERRY_HOST
u32 e1000_read(const volatile u32 *regs, u32 reg);
void e1000_write(volatile u32 *regs, u32 reg, u32 value);
void e1000_pause(void);
#else
static inline u32 e1000_read(const volatile u32 *regs, u32 reg)
{
    return regs[reg / 4];
}
static inline void e1000_write(volatile u32 *regs, u32 reg, u32 value)
{
    regs[reg / 4] = value;
}
static inline void e1000_pause(void)
{
    __builtin_ia32_pause();
}
#endif

struct pci_device;
/* Of its row in the table of drivers. */
enum err e1000_start(struct pci_device *d, struct why *why);

/* 3.2.3 Receive descriptor */
struct e1000_rx {
    u64 address;
    u16 length, checksum;
    u8 status, errors;
    u16 special;
};
ASSERT_SIZE(struct e1000_rx, 16);
#define E1000_RX_DONE 0x01
#define E1000_RX_END  0x02

/* 3.3.3 Legacy transmit descriptor */
struct e1000_tx {
    u64 address;
    u16 length;
    u8 checksum_offset, command, status, checksum_start;
    u16 special;
};
ASSERT_SIZE(struct e1000_tx, 16);
#define E1000_TX_END    0x01
#define E1000_TX_FCS    0x02
#define E1000_TX_REPORT 0x08
#define E1000_TX_DONE   0x01

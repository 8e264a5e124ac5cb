/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page table entries are those of host paging, walked as user accesses (APM 2, 15.25.5):
 *
 *      63                          51                  12 11          7   6   5       2   1   0
 *     +----+----------------------+----------------------+-----------+---+---+---+---+---+---+---+
 *     | NX |                      | frame                |           | PS| D | A |   |U/S|R/W| P |
 *     +----+----------------------+----------------------+-----------+---+---+---+---+---+---+---+
 *
 * The CPU sets A and D; the guest's page walks count as writes to its page tables. */
#include "kernel/ptab.h"

#define NPT_PRESENT BIT(0)
#define NPT_WRITE   BIT(1)
#define NPT_USER    BIT(2)
#define NPT_PCD     BIT(4)
#define NPT_USED    BIT(5)
#define NPT_DIRTY   BIT(6)
#define NPT_LARGE   BIT(7)
#define NPT_NX      BIT(63)

static u64 npt_leaf(hpa_t to, u32 prot, enum memory_type type, unsigned level)
{
    return to.v | NPT_USER | (prot ? NPT_PRESENT : 0) | (prot & PROT_WRITE ? NPT_WRITE : 0) |
           (prot & PROT_EXEC ? 0 : NPT_NX) | (type == MEMORY_UC ? NPT_PCD : 0) |
           (level > 1 ? NPT_LARGE : 0);
}

static u32 npt_prot(u64 e)
{
    return PROT_READ | (e & NPT_WRITE ? PROT_WRITE : 0) | (e & NPT_NX ? 0 : PROT_EXEC);
}

extern const struct ptab_format npt_format;
const struct ptab_format npt_format = {
    .name = "NPT",
    .leaf = npt_leaf,
    .prot = npt_prot,
    .table = NPT_PRESENT | NPT_WRITE | NPT_USER,
    .present = NPT_PRESENT,
    .dirty = NPT_DIRTY,
    .accessed = NPT_USED,
};

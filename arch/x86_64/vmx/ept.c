/* SPDX-License-Identifier: BSD-2-Clause */
/* Extended page table entries (SDM 3C 28.3.2):
 *
 *      63                                  12 11          8   7   6   5       3   2   1   0
 *     +--------------------------------------+-----------+---+---+-----------+---+---+---+
 *     | frame                                |   D   A   | PS|IPT| mem. type | X | W | R |
 *     +--------------------------------------+-----------+---+---+-----------+---+---+---+ */
#include "arch/x86_64/vmx/vmx.h"

#define EPT_R     BIT(0)
#define EPT_W     BIT(1)
#define EPT_X     BIT(2)
#define EPT_RWX   (EPT_R | EPT_W | EPT_X)
#define EPT_WB    (6ull << 3)
#define EPT_UC    (0ull << 3)
#define EPT_LARGE BIT(7)
#define EPT_USED  BIT(8)
#define EPT_DIRTY BIT(9)

#define EPTP_WB     6ull
#define EPTP_LEVELS (3ull << 3) /* four, less one */
#define EPTP_DIRTY  BIT(6)      /* the CPU keeps accessed and dirty bits */

u64 ept_pointer(hpa_t root)
{
    return root.v | EPTP_WB | EPTP_LEVELS | EPTP_DIRTY;
}

static u64 ept_leaf(hpa_t to, u32 prot, enum memory_type type, unsigned level)
{
    return to.v | (prot & PROT_READ ? EPT_R : 0) | (prot & PROT_WRITE ? EPT_W : 0) |
           (prot & PROT_EXEC ? EPT_X : 0) | (type == MEMORY_WB ? EPT_WB : EPT_UC) |
           (level > 1 ? EPT_LARGE : 0);
}

static u32 ept_prot(u64 e)
{
    return (u32)((e & EPT_R ? PROT_READ : 0) | (e & EPT_W ? PROT_WRITE : 0) |
                 (e & EPT_X ? PROT_EXEC : 0));
}

const struct ptab_format ept_format = {
    .name = "EPT",
    .leaf = ept_leaf,
    .prot = ept_prot,
    .table = EPT_RWX,
    .present = EPT_RWX,
    .dirty = EPT_DIRTY,
    .accessed = EPT_USED,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/* The entry format of host paging (SDM 3A 4.5):
 *
 *      63   62        52 51                    12 11        8   7   6   5   4   3   2   1   0
 *     +----+------------+------------------------+-----------+----+---+---+---+---+---+---+---+
 *     | XD |            | frame                  |           | PS | D | A |PCD|PWT|U/S|R/W| P |
 *     +----+------------+------------------------+-----------+----+---+---+---+---+---+---+---+ */
#include "arch/x86_64/cpu/cpu_arch.h"

#define PTE_PRESENT  BIT(0)
#define PTE_WRITE    BIT(1)
#define PTE_PCD      BIT(4)
#define PTE_ACCESSED BIT(5)
#define PTE_DIRTY    BIT(6)
#define PTE_LARGE    BIT(7)
#define PTE_NX       BIT(63)

static u64 host_leaf(hpa_t to, u32 prot, enum memory_type type, unsigned level)
{
    return to.v | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | (prot & PROT_WRITE ? PTE_WRITE : 0) |
           (prot & PROT_EXEC ? 0 : PTE_NX) | (type == MEMORY_UC ? PTE_PCD : 0) |
           (level > 1 ? PTE_LARGE : 0);
}

static u32 host_prot(u64 e)
{
    return PROT_READ | (e & PTE_WRITE ? PROT_WRITE : 0) | (e & PTE_NX ? 0 : PROT_EXEC);
}

const struct ptab_format host_format = {
    .name = "host",
    .leaf = host_leaf,
    .prot = host_prot,
    .table = PTE_PRESENT | PTE_WRITE,
    .present = PTE_PRESENT,
};

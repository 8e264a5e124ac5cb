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
#define PTE_FRAME    0x000ffffffffff000ull

static u64 host_leaf(hpa_t to, u32 prot, enum memory_type type, unsigned level)
{
    return to.v | PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | (prot & PROT_WRITE ? PTE_WRITE : 0) |
           (prot & PROT_EXEC ? 0 : PTE_NX) | (type == MEMORY_UC ? PTE_PCD : 0) |
           (level > 1 ? PTE_LARGE : 0);
}

static u64 host_table(hpa_t to)
{
    return to.v | PTE_PRESENT | PTE_WRITE;
}

static bool host_present(u64 e)
{
    return e & PTE_PRESENT;
}

static bool host_is_leaf(u64 e, unsigned level)
{
    return level == 1 || (e & PTE_LARGE);
}

static hpa_t host_address(u64 e)
{
    return HPA(e & PTE_FRAME);
}

static u32 host_prot(u64 e)
{
    return PROT_READ | (e & PTE_WRITE ? PROT_WRITE : 0) | (e & PTE_NX ? 0 : PROT_EXEC);
}

const struct ptab_format host_format = {
    .name = "host",
    .leaf = host_leaf,
    .table = host_table,
    .present = host_present,
    .is_leaf = host_is_leaf,
    .address = host_address,
    .prot = host_prot,
};

/* SPDX-License-Identifier: BSD-2-Clause */
/* Touches addresses where no memory is, by many instructions: reads give ones, writes go nowhere. */
#include "tests/guests/lib/guest.h"

static void touch(u64 address)
{
    volatile u8 *b = (volatile u8 *)address;
    volatile u16 *w = (volatile u16 *)address;
    volatile u32 *d = (volatile u32 *)address;
    volatile u64 *q = (volatile u64 *)address;
    u64 movzx, before = 0x1111111111111111ull, count = 3, to = address;

    check(*b == 0xff && *w == 0xffff && *d == 0xffffffff && *q == ~0ull, "reads give ones", "%llx",
          (unsigned long long)address);
    *b = 1, *w = 2, *d = 3, *q = 4;
    __asm__ volatile("movzbq (%1), %0" : "=r"(movzx) : "r"(address));
    __asm__ volatile("orl $1, (%0); addw $5, (%0); andb $3, (%0); incq (%0); notl (%0)"
                     :
                     : "r"(address)
                     : "memory");
    __asm__ volatile("xchg %0, (%1)" : "+r"(before) : "r"(address) : "memory");
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(7) : "memory");
    count = 2, to = address;
    __asm__ volatile("rep movsl" : "+S"(to), "+c"(count) : "D"((u64)guest_end) : "memory");
    check(movzx == 0xff && before == ~0ull && *(u32 *)guest_end == 0xffffffff,
          "and so do other instructions", "%llx: %llx %llx", (unsigned long long)address,
          (unsigned long long)movzx, (unsigned long long)before);
    check(*q == ~0ull, "writes go nowhere", "%llx", (unsigned long long)*q);
}

void guest_main(const char *cmdline)
{
    u64 end = 0x100000 + multiboot->mem_upper * 1024ull;

    (void)cmdline;
    touch(0xa0000);
    touch(0xbfff8);
    touch(ALIGN_UP(end, LARGE_SIZE) + 0x1000);
    touch(0xd0000000);
    touch(0xfffffff0);
    touch(0x1ffff0000ull);
}

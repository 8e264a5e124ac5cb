/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/heap.h"
#include "kernel/panic.h"

#define GDT_CODE 0x00af9b000000ffffull /* 64-bit code, DPL 0 (SDM 3A 3.4.5) */
#define GDT_DATA 0x00cf93000000ffffull

static u64 idt[512]; /* 256 gates of 16 bytes */

struct table_pointer {
    u16 limit;
    const void *base;
} PACKED;

void tables_load_early(struct cpu *c)
{
    c->self = c;
    c->stack_canary = arch_tsc() << 8; /* a zero byte ends what overruns as a string */
    list_init(&c->timers);
    msr_write(MSR_FS_BASE, (u64)c); /* for compiled libraries: see struct cpu */
    msr_write(MSR_GS_BASE, (u64)c);
}

static void fill_gdt(struct cpu_arch *a)
{
    u64 tss = (u64)&a->tss;

    a->gdt[SEL_CODE / 8] = GDT_CODE;
    a->gdt[SEL_DATA / 8] = GDT_DATA;
    a->gdt[SEL_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
                          (tss >> 24 & 0xff) << 56;
    a->gdt[SEL_TSS / 8 + 1] = tss >> 32;
    a->tss.io_map = sizeof(struct tss);
}

static void load_gdt(const struct cpu_arch *a)
{
    struct table_pointer p = {sizeof(a->gdt) - 1, a->gdt};

    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %2, %%ds\n\t"
                     "mov %2, %%es\n\t"
                     "mov %2, %%ss\n\t"
                     "mov %3, %%fs\n\t"
                     "mov %3, %%gs\n\t"
                     "ltr %w4\n\t"
                     "lldt %w3"
                     :
                     : "m"(p), "i"(SEL_CODE), "r"(SEL_DATA), "r"(0), "r"(SEL_TSS)
                     : "rax", "memory");
}

void tables_load(struct cpu *c)
{
    struct cpu_arch *a = heap_alloc(sizeof(*a));
    struct table_pointer p = {sizeof(idt) - 1, idt};

    if (!a)
        panic("no memory for the tables of CPU %u", c->index);
    c->arch = a;
    for (unsigned i = 0; i < IST_COUNT; i++)
        a->tss.ist[i] = (u64)arch_stack_alloc();
    fill_gdt(a);
    load_gdt(a);
    tables_load_early(c); /* loading a GS selector cleared the base */
    if (!idt[0])
        traps_fill_idt(idt);
    __asm__ volatile("lidt %0" : : "m"(p));
}

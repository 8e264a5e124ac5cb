/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug exceptions as an exception test of a kernel makes them: INT1, single step behind MOV SS, and DR7.GD. */
#include "tests/guests/lib/guest.h"

#define TF 0x100ull
#define GD 0x2000ull

static volatile u32 hits;
static volatile u64 seen_dr7;
static u64 behind;

static void int1(void *unused)
{
    (void)unused;
    __asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0; .byte 0xf1; 1:"
                     : "=m"(behind)
                     :
                     : "rax", "memory");
}

static void on_debug(void)
{
    hits++;
    __asm__ volatile("mov %%dr7, %0" : "=r"(seen_dr7)); /* raises #DB if GD is still set */
}

static u64 debug_status(void)
{
    u64 value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static void step_over_mov_ss(void)
{
    __asm__ volatile("mov %%ss, %%ax\n"
                     "pushfq\n"
                     "pushfq\n"
                     "orq %0, (%%rsp)\n"
                     "popfq\n"
                     "mov %%ax, %%ss\n"
                     ".byte 0xf1\n"
                     "nop\n"
                     "popfq\n"
                     :
                     : "i"(TF)
                     : "rax", "cc", "memory");
}

static void check_int1(void)
{
    for (unsigned i = 0; i < 100; i++)
        __asm__ volatile(".byte 0xf1");
    check(hits == 100, "INT1 in a loop raises one exception each", "%u of 100", hits);
    hits = 0;
    step_over_mov_ss();
    check(hits >= 2, "INT1 behind MOV SS with TF set stops nothing", "%u exceptions", hits);
}

void guest_main(const char *cmdline)
{
    struct fault fault;
    bool raised;

    (void)cmdline;
    raised = faults(int1, NULL, &fault);
    check(raised && fault.vector == 1 && fault.rip == behind, "INT1 pushes the RIP behind it",
          "vector %llu, %llx, %llx is behind it", (unsigned long long)fault.vector,
          (unsigned long long)fault.rip, (unsigned long long)behind);
    on_vector(1, on_debug, false);
    check_int1();
    __asm__ volatile("mov %0, %%dr6; mov %1, %%dr7" : : "r"(0xffff0ff0ull), "r"(0x400ull | GD));
    hits = 0;
    (void)debug_status();
    check(hits == 1 && !(seen_dr7 & GD), "a handler of #DB finds GD clear", "%u, DR7 %llx", hits,
          (unsigned long long)seen_dr7);
}

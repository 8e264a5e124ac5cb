/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills vector registers, MXCSR and DR0 to DR3 with a pattern of its own, halts and works, and finds them as they were:
 * several such VMs, and vCPUs, run side by side. */
#include "tests/guests/lib/guest.h"
#include "kernel/hvm.h"

static volatile u32 bad, done;
static u64 patterns[VM_MAX_VCPUS][4];

static void run(u32 cpu)
{
    u64 *p = patterns[cpu], seed = option("seed", 1), rounds = option("rounds", 100);
    u32 mxcsr = 0x1f80 | (cpu & 3) << 13, got;

    for (unsigned i = 0; i < 4; i++)
        p[i] = (seed * 64 + cpu * 4 + i) * 0x9e3779b97f4a7c15ull;
    __asm__ volatile("mov %0, %%cr4" : : "r"(0x620ull | CR4_OSXSAVE));
    __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
    __asm__ volatile("vmovdqu (%0), %%ymm3; vmovdqu (%0), %%ymm15; ldmxcsr %1"
                     :
                     : "r"(p), "m"(mxcsr));
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr3" : : "r"(p[0] >> 20), "r"(p[1] >> 20));
    for (u64 r = 0; r < rounds; r++) {
        u64 a[4], b[4], dr0, dr3;

        if (r % 8 == 0) { /* leave the CPU for a moment */
            wrmsr(0x6e0, rdtsc() + 20000);
            halt();
        } else {
            for (volatile int i = 0; i < 20000; i++)
                ;
        }
        __asm__ volatile("vmovdqu %%ymm3, (%0); vmovdqu %%ymm15, (%1); stmxcsr %2"
                         :
                         : "r"(a), "r"(b), "m"(got)
                         : "memory");
        __asm__ volatile("mov %%dr0, %0; mov %%dr3, %1" : "=r"(dr0), "=r"(dr3));
        if (memcmp(a, p, 32) || memcmp(b, p, 32) || got != mxcsr || dr0 != p[0] >> 20 ||
            dr3 != p[1] >> 20)
            __atomic_add_fetch(&bad, 1, __ATOMIC_SEQ_CST);
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

static void woken(void)
{
}

void guest_other_cpu(unsigned number)
{
    lapic_write(0x320, 0x60 | 2 << 17);
    run(number);
    for (;;)
        halt();
}

void guest_main(const char *cmdline)
{
    u32 cpus = (u32)option("cpus", 2);

    (void)cmdline;
    on_vector(0x60, woken, true);
    lapic_enable(true);
    lapic_write(0x320, 0x60 | 2 << 17);
    check(cpus_start(cpus) == cpus, "all vCPUs start", "they do not");
    run(0);
    while (done < cpus)
        __builtin_ia32_pause();
    check(!bad, "registers stay as they were", "%u times they did not", bad);
}

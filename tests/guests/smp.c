/* SPDX-License-Identifier: BSD-2-Clause */
/* All vCPUs at once: an atomic counter, the TSC, and interrupts from each to the next. */
#include "tests/guests/lib/guest.h"

#define ROUNDS 20000

static volatile u64 total, last_tsc, backwards;
static volatile u32 pings[VM_MAX_VCPUS + 1], done;

static void on_ping(void)
{
    pings[lapic_read(0x20) >> 24]++;
}

static void work(void)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        u64 before = __atomic_load_n(&last_tsc, __ATOMIC_SEQ_CST), now;

        __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
        __asm__ volatile("lfence" : : : "memory");
        now = rdtsc();
        if (now < before)
            __atomic_add_fetch(&backwards, 1, __ATOMIC_SEQ_CST);
        __atomic_store_n(&last_tsc, now, __ATOMIC_SEQ_CST);
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

void guest_other_cpu(unsigned number)
{
    (void)number;
    work();
    for (;;)
        halt();
}

void guest_main(const char *cmdline)
{
    u32 cpus = (u32)option("cpus", 2);

    (void)cmdline;
    on_vector(0x50, on_ping, true);
    check(cpus_start(cpus) == cpus, "all vCPUs start", "they do not");
    work();
    for (u64 i = 0; i < 10000000 && done < cpus; i++)
        __builtin_ia32_pause();
    check(total == (u64)cpus * ROUNDS, "no count is lost", "%llu", (unsigned long long)total);
    /* last_tsc is read and written by both at once: a step back shows only where a clock is far off. */
    print("tsc stepped back %llu times\n", (unsigned long long)backwards);
    for (u32 round = 0; round < 50; round++) {
        u32 before = pings[1];

        lapic_send(1, 0x4050);
        for (u64 i = 0; i < 10000000 && pings[1] == before; i++)
            __builtin_ia32_pause();
    }
    check(pings[1] == 50, "every IPI wakes the halted vCPU", "%u of 50", pings[1]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel/arch.h on the build host. */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#undef PROT_READ /* kernel/ptab.h has its own */
#undef PROT_WRITE
#undef PROT_EXEC
#include "fake.h"
#include "kernel/arch.h"
#include "kernel/frames.h"
#include "kernel/timer.h"

#define HOST_READ_WRITE 3       /* of mmap */
#define TSC_KHZ         1000000 /* one tick is 1 ns */

u8 *arch_direct_map;
struct fake_seen fake_seen;
static u64 tsc;
static struct frame *memory_frames;
static u64 memory_size;

static void *map(u64 size)
{
    void *p = mmap(NULL, size, HOST_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return p;
}

void fake_memory(u64 size)
{
    u64 count = size / PAGE_SIZE;

    /* Memory of earlier tests stays mapped: the heap's free lists still point to it. */
    arch_direct_map = map(size);
    memory_frames = map(count * sizeof(struct frame));
    memory_size = size;
    frames_init_array(memory_frames, count);
    frames_add(MIB(1), size - MIB(1));
}

void fake_memory_again(void)
{
    u64 count = memory_size / PAGE_SIZE;

    memset(memory_frames, 0, count * sizeof(struct frame));
    frames_init_array(memory_frames, count);
    frames_add(MIB(1), memory_size - MIB(1));
}

void fake_reset(void)
{
    memset(cpus, 0, sizeof(cpus));
    cpu_count = 1;
    for (u32 i = 0; i < MAX_CPUS; i++) {
        cpus[i].self = &cpus[i];
        cpus[i].index = i;
        list_init(&cpus[i].timers);
    }
    fake_seen = (struct fake_seen){.timer = U64_MAX};
    tsc = 1;
    time_init();
    fake_advance(SEC(1));
}

void fake_advance(u64 ns)
{
    tsc += ns;
}

struct cpu *cpu_this(void)
{
    return &cpus[0];
}

u64 arch_tsc(void)
{
    return tsc;
}

u32 arch_tsc_khz(void)
{
    return TSC_KHZ;
}

void arch_timer_set(u64 at)
{
    fake_seen.timer = at;
}

/* The CPU sleeps until its timer fires. */
void arch_idle(void)
{
    if (fake_seen.timer == U64_MAX) {
        fprintf(stderr, "all threads sleep, and nothing will wake one\n");
        abort();
    }
    tsc = MAX(tsc, fake_seen.timer);
}

void arch_irq_window(void)
{
}

void arch_kick(u32 cpu)
{
    fake_seen.kicks++;
    fake_seen.kicked = cpu;
}

void arch_nudge(u32 cpu)
{
    arch_kick(cpu);
}

void arch_early_print(const char *text, size_t size)
{
    fwrite(text, 1, size, stderr);
}

/* The same in each run, and no two alike. */
bool arch_random(void *out, size_t size)
{
    static u64 state = 0x9e3779b97f4a7c15ull;
    u8 *byte = out;

    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        byte[i] = (u8)(state >> 32);
    }
    return true;
}

void *arch_map_device(hpa_t address, u64 size)
{
    (void)size;
    return phys_to_virt(address);
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* `cpu`: what the CPUs and the threads do. */
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/shell.h"
#include "kernel/string.h"
#include "kernel/thread.h"

#define SAMPLE      MSEC(200)
#define THREADS_MAX 128

struct cpu_sample {
    u64 at, idle;
};

struct thread_sample {
    const struct thread *thread;
    char name[THREAD_NAME];
    enum thread_state state;
    u32 cpu;
    u64 time;   /* ns, ever */
    u64 recent; /* ns, within the sample */
};

struct thread_list {
    u32 count, left_out;
    u64 now;
    struct thread_sample thread[THREADS_MAX];
};

/* An idle CPU counts its idle time when it wakes. */
static void sample_cpus(struct cpu_sample *s)
{
    for (u32 i = 0; i < cpu_count; i++)
        if (cpus[i].idling)
            arch_kick(i);
    thread_sleep(MSEC(1));
    for (u32 i = 0; i < cpu_count; i++)
        s[i] = (struct cpu_sample){time_now(), cpus[i].idle_ns};
}

/* Under the scheduler's lock. */
static bool sample_thread(void *ctx, struct thread *t)
{
    struct thread_list *list = ctx;
    struct thread_sample *s = &list->thread[list->count];

    if (t == cpus[t->last_cpu].idle)
        return true;
    if (list->count == THREADS_MAX) {
        list->left_out++;
        return true;
    }
    *s = (struct thread_sample){
        .thread = t, .state = t->state, .cpu = t->last_cpu, .time = t->cpu_time};
    memcpy(s->name, t->name, sizeof(s->name));
    if (t->state == THREAD_RUNNING && list->now > t->started)
        s->time += list->now - t->started;
    list->count++;
    return true;
}

static void sample_threads(struct thread_list *list)
{
    list->count = list->left_out = 0;
    list->now = time_now();
    thread_walk(sample_thread, list);
}

/* What each thread of the list had since an earlier one; both are in the order of creation. */
static void subtract(struct thread_list *list, const struct thread_list *before)
{
    for (u32 i = 0, j = 0; i < list->count; i++) {
        struct thread_sample *s = &list->thread[i];

        while (j < before->count && before->thread[j].thread != s->thread)
            j++;
        if (j < before->count && s->time > before->thread[j].time)
            s->recent = s->time - before->thread[j].time;
    }
}

static unsigned permille(u64 part, u64 whole)
{
    return whole ? (unsigned)MIN(part * 1000 / whole, 1000) : 0;
}

static void print_cpus(const struct cpu_sample *before, const struct cpu_sample *after)
{
    console_print("CPU  APIC id  idle %      interrupts  thread\n");
    for (u32 i = 0; i < cpu_count; i++) {
        const struct thread *t = cpus[i].current;
        unsigned idle = permille(after[i].idle - before[i].idle, after[i].at - before[i].at);

        console_printf("%3u  %7u  %4u.%u  %14llu  %s\n", i, cpus[i].hardware_id, idle / 10,
                       idle % 10, (unsigned long long)cpus[i].interrupts, t ? t->name : "");
    }
}

static void print_threads(const struct thread_list *list, u64 length)
{
    static const char *const state_name[] = {[THREAD_READY] = "ready",
                                             [THREAD_RUNNING] = "running",
                                             [THREAD_BLOCKED] = "blocked",
                                             [THREAD_DEAD] = "dead"};

    console_printf("\n%-31s  %-8s  %13s  %5s  %s\n", "thread", "state", "CPU time", "CPU %",
                   "last CPU");
    for (u32 i = 0; i < list->count; i++) {
        const struct thread_sample *s = &list->thread[i];
        unsigned used = permille(s->recent, length);

        console_printf("%-31s  %-8s  %7llu.%03llu s  %3u.%u  %8u\n", s->name, state_name[s->state],
                       (unsigned long long)(s->time / SEC(1)),
                       (unsigned long long)(s->time / MSEC(1) % 1000), used / 10, used % 10,
                       s->cpu);
    }
    if (list->left_out)
        console_printf("and %u more\n", list->left_out);
}

static enum err run_cpu(unsigned argc, char **argv, struct why *why)
{
    static struct cpu_sample before[MAX_CPUS], after[MAX_CPUS]; /* large for a stack */
    static struct thread_list first, second;

    (void)argc, (void)argv, (void)why;
    sample_cpus(before);
    sample_threads(&first);
    thread_sleep(SAMPLE);
    sample_cpus(after);
    sample_threads(&second);
    subtract(&second, &first);
    print_cpus(before, after);
    print_threads(&second, second.now - first.now);
    return OK;
}
SHELL_COMMAND(
    cpu, .name = "cpu", .help = "what the CPUs and threads do", .run = run_cpu,
    .more = "Shares are those of the last fifth of a second; CPU time is since the thread began. A "
            "vCPU's thread is called VM/number.");

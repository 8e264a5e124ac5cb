/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel threads and the scheduler. A thread keeps the CPU until it blocks, sleeps or yields; a
 * guest is left at the latest when its thread's time slice ends, and its thread then yields.
 *
 * One queue serves all CPUs, ordered by the run time that each thread has had (virtual run time,
 * in ns): the one that had least goes first, so CPU-bound threads share the CPUs evenly and a thread
 * that mostly sleeps, as the shell does, gets the CPU as soon as it wakes. */
#pragma once
#include "kernel/cpu.h"
#include "kernel/err.h"
#include "kernel/timer.h"

#define THREAD_NAME  32
#define THREAD_SLICE MSEC(10)

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

struct thread {
    struct list link; /* in the run queue */
    char name[THREAD_NAME];
    enum thread_state state;
    bool wake_pending; /* woken while it ran: its next block returns at once */
    u64 vruntime;      /* ns */
    u64 cpu_time;      /* ns */
    u64 started;       /* when it got the CPU */
    u64 slice_end;
    u32 last_cpu;
    void *stack_top, *stack_pointer;
    void (*entry)(void *);
    void *argument;
    struct timer timer; /* for thread_sleep_until */
    /* Called on the CPU that the thread is about to leave, or has just got; may be NULL. */
    void (*on_leave)(struct thread *t);
    void (*on_enter)(struct thread *t);
    void *owner; /* for those two */
    struct list all;
    u32 references; /* its own until it has ended, and its maker's */
};

/* E_NOMEM. The thread is ready at once. Its maker may use *t, also when it has ended, until thread_put. */
enum err thread_create(struct thread **t, const char *name, void (*entry)(void *),
                       void *argument) MUST_CHECK;
void thread_put(struct thread *t);
NORETURN void thread_exit(void);
struct thread *thread_current(void);

/* Blocks until thread_wake, which may have come before: then it returns at once. A wake can be for
 * another reason, so callers look at their condition again. */
void thread_block(void);
/* Of a thread that cannot be freed meanwhile; nothing happens if it has ended. */
void thread_wake(struct thread *t);
/* Blocks until then, or until a wake. */
void thread_sleep_until(u64 ns);
void thread_sleep(u64 ns);
/* Lets interrupts and timers in, and another thread run if it has more right to. */
void thread_yield(void);
/* After something may have interrupted this thread's guest: lets it in, and yields if the time slice is
 * over or another thread should run. */
void thread_interrupted(void);
/* Should this thread yield? Cheap. */
static inline bool thread_should_yield(void)
{
    return cpu_this()->resched;
}
/* When the running thread must give way, in ns; U64_MAX on an idle CPU. */
u64 thread_slice_end(void);

/* The boot CPU's present flow becomes a thread; then the other CPUs enter. */
void thread_init(void);
NORETURN void thread_cpu_enter(void);
/* All threads, for `cpu` and panic. Stops when fn returns false. */
void thread_walk(bool (*fn)(void *ctx, struct thread *t), void *ctx);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Time, and callbacks at a time. */
#pragma once
#include "kernel/cpu.h"

#define USEC(n) ((u64)(n)*1000)
#define MSEC(n) ((u64)(n)*1000000)
#define SEC(n)  ((u64)(n)*1000000000)

/* Nanoseconds since boot, by the calibrated TSC. */
u64 time_now(void);
u64 time_to_tsc(u64 ns);
u64 tsc_to_time(u64 tsc);
/* A length of time in TSC ticks, in nanoseconds. */
u64 tsc_to_ns(u64 ticks);
void time_init(void);

/* A timer belongs to its owner, who zeroes it before first use and sets fn. fn runs on the CPU that
 * armed the timer, in the context of whatever thread runs there: it may take locks and wake
 * threads, and must not block. */
struct timer {
    struct list link;
    u64 deadline; /* ns */
    void (*fn)(struct timer *t);
    struct cpu *cpu; /* where it is queued, or NULL */
};

/* Sets or moves the deadline; U64_MAX only cancels. */
void timer_arm(struct timer *t, u64 deadline_ns);
/* Afterwards fn will not start; it may be running at this moment on another CPU. */
void timer_cancel(struct timer *t);
/* Afterwards fn does not run either: what it touches may be freed. Not from fn itself, and not under a
 * lock that fn takes. */
void timer_cancel_wait(struct timer *t);
/* Runs what is due on this CPU. The caller sees to it that timer_program follows. */
void timer_run(void);
/* Must the timer's interrupt of this CPU have come by that TSC value? One that comes while the kernel handles an exit is
 * pending, and ends the guest as soon as it is entered; but Bochs forgets it where the guest, too, has interrupts off. */
static inline bool timer_is_due(u64 tsc)
{
    u64 armed = cpu_this()->timer_armed;

    return armed && tsc > armed;
}
/* Sets the hardware timer for what comes next: the first timer or the end of the running thread's time slice. */
void timer_program(void);

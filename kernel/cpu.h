/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel knows of each CPU. A CPU reaches its own through cpu_this(). */
#pragma once
#include "kernel/list.h"
#include "kernel/types.h"

#define MAX_CPUS 64

struct thread;
struct timer;

struct cpu {
    struct cpu *self; /* offset 0: cpu_this reads it through GS */
    u32 index;        /* 0 is the boot CPU */
    u32 hardware_id;  /* APIC id */
    struct thread *current;
    struct thread *idle;
    bool idling;                 /* may be in arch_idle: kick it when there is work */
    bool resched;                /* another thread should run here */
    u64 stack_canary;            /* at %fs:28h, where libraries of the x86-64 ABI look for it */
    u64 timer_armed;             /* TSC value that the hardware timer is set to; 0: it has fired */
    struct list timers;          /* pending, by deadline; guarded by timer_lock */
    struct timer *timer_running; /* whose callback runs here now */
    u32 timer_lock;              /* a struct lock; see kernel/timer.c */
    u64 waits_since; /* TSC value at which it halted or entered a guest; 0: a thread works */
    u64 idle_ns;     /* time spent idle */
    u64 nudged_at;   /* TSC, when it was last sent an NMI so that it leaves its guest */
    u32 stray_nmis;  /* others, of which the log is to be told where its lock is not held */
    u64 interrupts;
    void *hvm;             /* the backend's */
    struct hvm_vcpu *vcpu; /* loaded here now */
    void *arch;
};

ASSERT_OFFSET(struct cpu, stack_canary, 0x28);

extern struct cpu cpus[MAX_CPUS];
extern u32 cpu_count; /* that are up */

#ifdef FERRY_HOST
struct cpu *cpu_this(void);
#else
static inline struct cpu *cpu_this(void)
{
    struct cpu *c;

    /* volatile: a thread may go on on another CPU after any call */
    __asm__ volatile("mov %%gs:0, %0" : "=r"(c));
    return c;
}
#endif

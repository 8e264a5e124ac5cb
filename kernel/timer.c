/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/timer.h"
#include "kernel/late.h"
#include "kernel/lock.h"
#include "kernel/thread.h"

/* ns = ticks * tsc_mult >> 32, and ticks = ns * ns_mult >> 32 */
static u64 tsc_base, tsc_mult, ns_mult;

void time_init(void)
{
    tsc_mult = (1000000ull << 32) / arch_tsc_khz();
    ns_mult = ((u64)arch_tsc_khz() << 32) / 1000000;
    tsc_base = arch_tsc();
}

u64 tsc_to_ns(u64 ticks)
{
    return (u64)(((unsigned __int128)ticks * tsc_mult) >> 32);
}

u64 tsc_to_time(u64 tsc)
{
    return tsc_to_ns(tsc - tsc_base);
}

u64 time_to_tsc(u64 ns)
{
    unsigned __int128 ticks = ((unsigned __int128)ns * ns_mult) >> 32;

    return ticks > U64_MAX - tsc_base ? U64_MAX : tsc_base + (u64)ticks;
}

u64 time_now(void)
{
    return tsc_base ? tsc_to_time(arch_tsc()) : 0;
}

static struct lock *timers_lock(struct cpu *c)
{
    return (struct lock *)&c->timer_lock;
}

static bool unlink(struct timer *t)
{
    struct cpu *c = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);

    if (!c)
        return true;
    lock_acquire(timers_lock(c));
    if (t->cpu == c) {
        list_remove(&t->link);
        t->cpu = NULL;
    }
    lock_release(timers_lock(c));
    return t->cpu == NULL;
}

void timer_cancel(struct timer *t)
{
    while (!unlink(t))
        ;
}

void timer_cancel_wait(struct timer *t)
{
    timer_cancel(t);
    for (u32 i = 0; i < cpu_count; i++)
        while (__atomic_load_n(&cpus[i].timer_running, __ATOMIC_ACQUIRE) == t)
            arch_relax();
}

void timer_arm(struct timer *t, u64 deadline_ns)
{
    struct cpu *c = cpu_this();
    struct timer *at;

    timer_cancel(t);
    if (deadline_ns == U64_MAX)
        return;
    lock_acquire(timers_lock(c));
    t->deadline = deadline_ns;
    t->cpu = c;
    LIST_FOR_EACH(at, &c->timers, link)
    {
        if (at->deadline > deadline_ns)
            break;
    }
    list_insert_before(&at->link, &t->link);
    lock_release(timers_lock(c));
    if (c->timers.next == &t->link)
        timer_program();
}

/* Takes the first due timer off this CPU's queue. */
static struct timer *pop_due(struct cpu *c, u64 now)
{
    struct timer *t = NULL;

    lock_acquire(timers_lock(c));
    if (!list_empty(&c->timers)) {
        t = CONTAINER_OF(c->timers.next, struct timer, link);
        if (t->deadline <= now) {
            list_remove(&t->link);
            t->cpu = NULL;
        } else {
            t = NULL;
        }
    }
    c->timer_running = t;
    lock_release(timers_lock(c));
    return t;
}

void timer_program(void)
{
    struct cpu *c = cpu_this();
    u64 next = thread_slice_end(), tsc;

    lock_acquire(timers_lock(c));
    if (!list_empty(&c->timers))
        next = MIN(next, CONTAINER_OF(c->timers.next, struct timer, link)->deadline);
    lock_release(timers_lock(c));
    tsc = next == U64_MAX ? U64_MAX : time_to_tsc(next);
    if (tsc == c->timer_armed)
        return;
    c->timer_armed = tsc;
    arch_timer_set(tsc);
}

void timer_run(void)
{
    struct cpu *c = cpu_this();
    u64 now = time_now();
    struct timer *t = pop_due(c, now);

    if (t)
        late_check(c, t->deadline, now);
    for (; t; t = pop_due(c, time_now())) {
        t->fn(t);
        __atomic_store_n(&c->timer_running, NULL, __ATOMIC_RELEASE);
    }
}

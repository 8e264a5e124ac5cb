/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/thread.h"
#include "kernel/heap.h"
#include "kernel/late.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/string.h"

/* A thread that wakes is at most this far behind the others, and is switched to only when it is
 * this far ahead of the one that runs. */
#define WAKE_CREDIT MSEC(5)
#define WAKE_MARGIN MSEC(1)

struct cpu cpus[MAX_CPUS];
u32 cpu_count = 1;

static struct lock sched_lock;
static struct list ready; /* by vruntime */
static struct list all_threads;
static u64 min_vruntime; /* of what has run so far; only grows */

struct thread *thread_current(void)
{
    return cpu_this()->current;
}

u64 thread_slice_end(void)
{
    struct cpu *c = cpu_this();

    return c->current && c->current != c->idle ? c->current->slice_end : U64_MAX;
}

static void enqueue(struct thread *t)
{
    struct thread *at;

    t->state = THREAD_READY;
    LIST_FOR_EACH(at, &ready, link)
    {
        if (at->vruntime > t->vruntime)
            break;
    }
    list_insert_before(&at->link, &t->link);
}

/* The first of the queue, or one of the first few that ran here last: its cache is warm. */
static struct thread *dequeue(struct cpu *c)
{
    struct thread *first, *t;

    if (list_empty(&ready))
        return c->idle;
    first = CONTAINER_OF(ready.next, struct thread, link);
    LIST_FOR_EACH(t, &ready, link)
    {
        if (t->vruntime > first->vruntime + WAKE_MARGIN)
            break;
        if (t->last_cpu == c->index) {
            first = t;
            break;
        }
    }
    list_remove(&first->link);
    return first;
}

static void account(struct thread *t, u64 now)
{
    u64 ran = now - t->started, low;

    t->cpu_time += ran;
    t->vruntime += ran;
    t->started = now;
    if (t == cpu_this()->idle)
        return;
    low = t->vruntime;
    if (!list_empty(&ready))
        low = MIN(low, CONTAINER_OF(ready.next, struct thread, link)->vruntime);
    min_vruntime = MAX(min_vruntime, low);
}

void thread_put(struct thread *t)
{
    if (!__atomic_sub_fetch(&t->references, 1, __ATOMIC_ACQ_REL))
        heap_free(t);
}

static void reap(struct thread *dead)
{
    list_remove(&dead->all);
    lock_release(&sched_lock);
    if (dead->stack_top) /* the boot CPU's first thread has none of its own */
        arch_stack_free(dead->stack_top);
    thread_put(dead);
}

/* The first thing on the new thread's stack after a switch; the lock is held. */
static void finish_switch(struct thread *previous)
{
    struct thread *t = thread_current();

    t->started = time_now();
    t->slice_end = t->started + THREAD_SLICE;
    t->last_cpu = cpu_this()->index;
    if (previous && previous->state == THREAD_DEAD)
        reap(previous);
    else
        lock_release(&sched_lock);
    timer_program();
    if (t->on_enter)
        t->on_enter(t);
}

static struct thread *switched_from[MAX_CPUS];

/* Gives the CPU to the next thread. The lock is held, and the present one is where it belongs. */
static void switch_away(void)
{
    struct cpu *c = cpu_this();
    struct thread *from = c->current, *to = dequeue(c);

    c->resched = false;
    c->idling = to == c->idle;
    to->state = THREAD_RUNNING;
    if (to == from) {
        if (time_now() >= from->slice_end)
            from->slice_end = time_now() + THREAD_SLICE;
        lock_release(&sched_lock);
        timer_program();
        return;
    }
    account(from, time_now());
    if (from->on_leave)
        from->on_leave(from);
    c->current = to;
    switched_from[c->index] = from;
    arch_context_switch(&from->stack_pointer, to->stack_pointer);
    finish_switch(switched_from[cpu_this()->index]);
}

static void thread_start(void *argument)
{
    struct thread *t = argument;

    finish_switch(switched_from[cpu_this()->index]);
    t->entry(t->argument);
    thread_exit();
}

/* Finds a CPU for a thread that has just become ready: an idle one, or this one if what runs here
 * has less right to it. */
static void place(struct thread *t)
{
    struct cpu *c = &cpus[t->last_cpu], *me = cpu_this();

    for (u32 i = 0; i < cpu_count && !c->idling; i++)
        if (cpus[i].idling)
            c = &cpus[i];
    if (c->idling) {
        c->idling = false;
        if (c != me)
            arch_kick(c->index);
        return;
    }
    for (u32 i = 0; i < cpu_count; i++) {
        struct cpu *other = &cpus[(me->index + i) % cpu_count];

        if (other->current && other->current->vruntime > t->vruntime + WAKE_MARGIN) {
            other->resched = true;
            if (other != me)
                arch_kick(other->index);
            return;
        }
    }
}

void thread_wake(struct thread *t)
{
    lock_acquire(&sched_lock);
    if (t->state == THREAD_BLOCKED) {
        if (t->vruntime + WAKE_CREDIT < min_vruntime)
            t->vruntime = min_vruntime - WAKE_CREDIT;
        enqueue(t);
        place(t);
    } else {
        t->wake_pending = true;
    }
    lock_release(&sched_lock);
}

void thread_block(void)
{
    struct thread *t = thread_current();

    lock_acquire(&sched_lock);
    if (t->wake_pending) {
        t->wake_pending = false;
        lock_release(&sched_lock);
        return;
    }
    t->state = THREAD_BLOCKED;
    switch_away();
    t->wake_pending = false;
}

static void wake_sleeper(struct timer *timer)
{
    thread_wake(CONTAINER_OF(timer, struct thread, timer));
}

void thread_sleep_until(u64 ns)
{
    struct thread *t = thread_current();

    t->timer.fn = wake_sleeper;
    timer_arm(&t->timer, ns);
    thread_block();
    timer_cancel(&t->timer);
}

void thread_sleep(u64 ns)
{
    u64 end = time_now() + ns;

    while (time_now() < end)
        thread_sleep_until(end);
}

/* To itself if nobody else is ready. */
static void give_way(void)
{
    struct thread *t = thread_current();

    lock_acquire(&sched_lock);
    account(t, time_now());
    enqueue(t);
    switch_away();
}

void thread_yield(void)
{
    arch_irq_window();
    timer_run();
    give_way();
}

void thread_interrupted(void)
{
    arch_irq_window();
    timer_run();
    late_wait_end(cpu_this());
    if (thread_should_yield() || time_now() >= thread_current()->slice_end)
        give_way();
    else
        timer_program();
}

void thread_exit(void)
{
    struct thread *t = thread_current();

    timer_cancel(&t->timer);
    lock_acquire(&sched_lock);
    t->state = THREAD_DEAD;
    switch_away();
    panic("a dead thread was switched to");
}

static struct thread *thread_alloc(const char *name)
{
    struct thread *t = heap_alloc(sizeof(*t));

    if (!t)
        return NULL;
    str_copy(t->name, sizeof(t->name), name);
    list_init(&t->link);
    t->last_cpu = cpu_this()->index;
    return t;
}

enum err thread_create(struct thread **out, const char *name, void (*entry)(void *), void *argument)
{
    struct thread *t = thread_alloc(name);

    if (!t)
        return E_NOMEM;
    t->stack_top = arch_stack_alloc();
    if (!t->stack_top) {
        heap_free(t);
        return E_NOMEM;
    }
    t->entry = entry;
    t->argument = argument;
    t->references = 2;
    t->stack_pointer = arch_context_init(t->stack_top, thread_start, t);
    *out = t;
    lock_acquire(&sched_lock);
    t->vruntime = min_vruntime;
    list_append(&all_threads, &t->all);
    enqueue(t);
    place(t);
    lock_release(&sched_lock);
    return OK;
}

/* Makes the flow that runs now, on this CPU's boot stack, a thread. */
static struct thread *adopt(const char *name)
{
    struct thread *t = thread_alloc(name);

    if (!t)
        panic("no memory for the first threads");
    t->state = THREAD_RUNNING;
    t->references = 1;
    t->started = time_now();
    t->slice_end = t->started + THREAD_SLICE;
    lock_acquire(&sched_lock);
    list_append(&all_threads, &t->all);
    lock_release(&sched_lock);
    return t;
}

static NORETURN void idle_loop(void)
{
    struct cpu *c = cpu_this();

    for (;;) {
        u64 start = time_now();

        late_wait_begin(c); /* from here on, not from the halt: nothing here keeps the CPU */
        lock_acquire(&sched_lock);
        if (!list_empty(&ready)) {
            late_wait_end(c);
            switch_away();
            continue;
        }
        c->idling = true;
        c->resched = false;
        lock_release(&sched_lock);
        arch_idle();
        c->idle_ns += time_now() - start;
        timer_run();
        late_wait_end(c);
        timer_program();
    }
}

static void idle_entry(void *unused)
{
    (void)unused;
    idle_loop();
}

static void name_idle(char *name, u32 cpu)
{
    str_format(name, THREAD_NAME, "idle/%u", cpu);
}

void thread_init(void)
{
    struct cpu *c = cpu_this();
    char name[THREAD_NAME];
    struct thread *idle;

    list_init(&ready);
    list_init(&all_threads);
    c->current = adopt("main");
    name_idle(name, 0);
    if (thread_create(&idle, name, idle_entry, NULL))
        panic("no memory for the first threads");
    lock_acquire(&sched_lock);
    list_remove(&idle->link);
    c->idle = idle;
    lock_release(&sched_lock);
}

void thread_cpu_enter(void)
{
    struct cpu *c = cpu_this();
    char name[THREAD_NAME];

    name_idle(name, c->index);
    c->idle = adopt(name);
    c->current = c->idle;
    idle_loop();
}

void thread_walk(bool (*fn)(void *, struct thread *), void *ctx)
{
    struct thread *t;

    lock_acquire(&sched_lock);
    LIST_FOR_EACH(t, &all_threads, all)
    {
        if (!fn(ctx, t))
            break;
    }
    lock_release(&sched_lock);
}

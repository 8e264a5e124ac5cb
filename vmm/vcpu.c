/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's thread: waits while there is nothing to run, delivers what is due, enters the guest, handles
 * the exit. */
#include "kernel/heap.h"
#include "kernel/late.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "vmm/vm.h"

const char *const vcpu_activity_name[] = {
    [VCPU_ACTIVE] = "active", [VCPU_HALTED] = "halted", [VCPU_WAIT_SIPI] = "not started"};

/* --- other threads' side ---------------------------------------------------------------------- */

void vcpu_kick(struct vcpu *v)
{
    struct thread *t = v->thread; /* NULL only of a VM that could not be made */

    __atomic_store_n(&v->kicked, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST)) {
        if (v->hvm.cpu != cpu_this()->index)
            arch_kick(v->hvm.cpu);
    } else if (t && t != thread_current()) {
        thread_wake(t);
    }
}

static void timer_due(struct timer *t)
{
    vcpu_kick(CONTAINER_OF(t, struct vcpu, timer));
}

static void thread_left(struct thread *t)
{
    hvm->put(&((struct vcpu *)t->owner)->hvm);
}

static void thread_entered(struct thread *t)
{
    hvm->load(&((struct vcpu *)t->owner)->hvm);
}

/* --- waiting --------------------------------------------------------------------------------- */

#define RESET_PERIOD SEC(1) /* a reset costs the host what a start does */
#define RESET_BURST  8
#define RESET_LOOK   MSEC(50)

/* Holds back a guest that resets itself again and again; false: something else is wanted of the VM meanwhile. */
static bool may_reset(struct vm *vm)
{
    u64 wait;

    while ((wait = rate_take(&vm->reset_rate, time_now(), RESET_PERIOD, RESET_BURST))) {
        thread_sleep(MIN(wait, RESET_LOOK));
        if (vm->state != VM_RESETTING)
            return false;
    }
    return true;
}

static void reset_vm(struct vm *vm)
{
    struct why why;

    if (!may_reset(vm))
        return;
    vm->resets++;
    if (vm_boot(vm, &why))
        vm_fail(vm, "cannot restart: %s", why.text);
    else
        vm_run(vm, VM_RESETTING);
}

/* Waits until the VM runs; false when it is to end. The last vCPU to arrive carries out what the guest
 * asked for: a reset, or to be off. */
static bool wait_for_run(struct vcpu *v)
{
    struct vm *vm = v->vm;
    enum vm_state state;
    bool last, reset, release;

    timer_arm(&v->timer, U64_MAX);
    for (;;) {
        lock_acquire(&vm->lock);
        state = vm->state;
        v->parked = state != VM_RUNNING;
        last = v->parked && vm_all_parked(vm);
        reset = last && state == VM_RESETTING;
        release = last && state == VM_OFF && pmap_in_use(&vm->pmap);
        v->parked &= !reset && !release; /* it is busy with the VM until that is done */
        lock_release(&vm->lock);
        if (state == VM_DYING)
            return false;
        if (state == VM_RUNNING)
            return true;
        if (reset)
            reset_vm(vm);
        else if (release)
            vm_release_memory(vm);
        else
            thread_block();
    }
}

static void handle_requests(struct vcpu *v)
{
    struct irqchip *chip = &v->vm->platform.devices.irqchip;
    u8 vector;

    if (irqchip_take_init(chip, v->index)) {
        v->activity = VCPU_WAIT_SIPI;
        v->hvm.event.valid = false;
    }
    if (irqchip_take_sipi(chip, v->index, &vector) && v->activity == VCPU_WAIT_SIPI) {
        vcpu_start_at(v, vector);
        v->activity = VCPU_ACTIVE;
    }
    if (v->activity == VCPU_HALTED && irqchip_has_work(chip, v->index) &&
        ((v->hvm.rflags & RFLAGS_IF) || chip->cpu[v->index].nmi_pending))
        v->activity = VCPU_ACTIVE;
}

/* Guest ns at which something of this vCPU's happens next. */
static u64 next_event(struct vcpu *v, const struct vtime *now)
{
    struct platform *p = &v->vm->platform;
    u64 next = irqchip_next(&p->devices.irqchip, v->index, now);

    return v->index ? next : MIN(next, platform_next(p));
}

static void set_timer(struct vcpu *v, u64 guest_ns)
{
    u64 host = vm_host_time(v->vm, guest_ns);

    if (v->timer.cpu ? v->timer.deadline != host : host != U64_MAX)
        timer_arm(&v->timer, host);
}

/* Gives the guest what was typed, as far as its UART has room. */
static void feed_console(struct vm *vm)
{
    u8 byte;

    while (vm_console_peek(&vm->console, &byte) && platform_console_input(&vm->platform, byte))
        vm_console_take(&vm->console);
}

/* Delivers an NMI or an interrupt if the guest can take it, else asks to be told when it can. */
static void deliver(struct vcpu *v)
{
    struct irqchip *chip = &v->vm->platform.devices.irqchip;
    int vector;

    if (chip->cpu[v->index].nmi_pending && hvm->nmi_ready(&v->hvm)) {
        irqchip_take_nmi(chip, v->index);
        v->hvm.event = (struct hvm_event){.valid = true, .type = EVENT_NMI, .vector = VEC_NMI};
    }
    hvm->want_nmi_window(&v->hvm, chip->cpu[v->index].nmi_pending);
    vector = irqchip_pending_vector(chip, v->index);
    if (vector >= 0 && hvm->irq_ready(&v->hvm)) {
        vector = irqchip_accept(chip, v->index);
        v->hvm.event = (struct hvm_event){.valid = true, .type = EVENT_IRQ, .vector = (u8)vector};
        vector = irqchip_pending_vector(chip, v->index);
    }
    hvm->want_irq_window(&v->hvm, vector >= 0);
    v->hvm.cr8 = irqchip_get_cr8(chip, v->index);
}

/* All vCPUs that have started sleep with interrupts off: nothing can wake them. */
static bool nothing_wakes(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        const struct vcpu *v = &vm->vcpu[i];
        const struct irqchip_cpu *c = &vm->platform.devices.irqchip.cpu[i];

        if (v->activity == VCPU_ACTIVE || c->nmi_pending || c->init_pending ||
            (v->activity == VCPU_HALTED && (v->hvm.rflags & RFLAGS_IF)))
            return false;
    }
    return true;
}

/* Looks at everything that is new. False: there is nothing to run now, and the thread has slept. */
static bool prepare(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct vtime now;
    u64 next;
    bool active, dead;

    __atomic_store_n(&v->kicked, 0, __ATOMIC_SEQ_CST);
    if ((v->clock_due || v->wall_due) && kvmclock_update(v))
        return false;
    lock_acquire(&vm->lock);
    if (vm->state != VM_RUNNING) { /* the kick that said so is gone */
        lock_release(&vm->lock);
        return false;
    }
    now = vcpu_time(v);
    if (!v->index) {
        platform_tick(&vm->platform, &now);
        feed_console(vm);
    }
    irqchip_tick(&vm->platform.devices.irqchip, v->index, &now);
    handle_requests(v);
    active = v->activity == VCPU_ACTIVE;
    dead = !active && nothing_wakes(vm);
    if (active)
        deliver(v);
    next = next_event(v, &now);
    vm->platform.devices.irqchip.kick &= ~BIT(v->index); /* that was for this look at it */
    vm_unlock_devices(vm);
    set_timer(v, next);
    if (dead)
        vm_fail(vm, "every vCPU has halted with interrupts off: nothing can wake it");
    if (!active && !__atomic_load_n(&v->kicked, __ATOMIC_SEQ_CST))
        thread_block();
    return active;
}

/* --- running --------------------------------------------------------------------------------- */

static void run_once(struct vcpu *v)
{
    struct hvm_exit exit;
    u64 start, end;

    __atomic_store_n(&v->in_guest, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&v->kicked, __ATOMIC_SEQ_CST) || thread_should_yield()) {
        v->in_guest = 0;
        if (timer_is_due(arch_tsc())) /* also one that is kicked without end gives way */
            thread_interrupted();
        return;
    }
    v->entered_at = v->hvm.rip;
    v->entered_with = v->hvm.event;
    late_wait_begin(cpu_this());
    hvm->run(&v->hvm, &exit);
    start = arch_tsc();
    __atomic_store_n(&v->in_guest, 0, __ATOMIC_SEQ_CST);
    if (v->hvm.window) {
        v->hvm.window = false;
        v->kicked = 1;
    }
    vcpu_handle_exit(v, &exit);
    late_wait_end(cpu_this());
    end = arch_tsc();
    v->exit_count[exit.kind]++;
    v->exit_cycles[exit.kind] += end - start;
    if (timer_is_due(end))
        thread_interrupted();
}

/* Must this vCPU look at its VM before it enters the guest again? Most exits change nothing. */
static bool must_prepare(const struct vcpu *v)
{
    return __atomic_load_n(&v->kicked, __ATOMIC_RELAXED) || v->activity != VCPU_ACTIVE;
}

/* The vCPU is on a CPU only while its VM runs: a parked one can be looked at and set. */
static void attach(struct vcpu *v)
{
    struct thread *t = thread_current();

    hvm->load(&v->hvm);
    t->owner = v;
    t->on_enter = thread_entered;
    t->on_leave = thread_left;
    v->kicked = 1;
}

static void detach(struct vcpu *v)
{
    struct thread *t = thread_current();

    t->on_enter = t->on_leave = NULL;
    hvm->put(&v->hvm);
}

/* Looks at how a wait for a page ended, once. False: the page did not come, and the VM has stopped. */
static bool page_came(struct vcpu *v)
{
    enum err e = v->page_wait.result;

    v->page_wait.result = OK;
    return e == OK || e == E_STATE || vcpu_memory(v, pmap_gpa(v->page_wait.index), e) == OK;
}

/* A VM that is slowed down sleeps for a part of each slice. */
static void slow_down(struct vcpu *v)
{
    u64 slowed = __atomic_load_n(&v->vm->slowed, __ATOMIC_RELAXED);

    if (time_now() < v->slept + THREAD_SLICE * (100 - slowed) / 100)
        return;
    thread_sleep(THREAD_SLICE * slowed / 100);
    v->slept = time_now();
}

static void vcpu_thread(void *argument)
{
    struct vcpu *v = argument;

    while (wait_for_run(v)) {
        attach(v);
        while (v->vm->state == VM_RUNNING) {
            if (thread_should_yield())
                thread_yield();
            if (v->vm->slowed)
                slow_down(v);
            if (__atomic_load_n(&v->page_wait.waiting, __ATOMIC_ACQUIRE))
                thread_block();
            else if (page_came(v) && (!must_prepare(v) || prepare(v)))
                run_once(v);
        }
        pmap_cancel_wait(&v->vm->pmap, &v->page_wait);
        detach(v);
    }
    timer_cancel_wait(&v->timer);
    lock_acquire(&v->vm->lock);
    v->vm->threads--;
    lock_release(&v->vm->lock);
}

/* --- life ------------------------------------------------------------------------------------ */

enum err vcpu_create(struct vm *vm, u32 index)
{
    struct vcpu *v = &vm->vcpu[index];
    char name[THREAD_NAME];
    enum err e;

    v->vm = vm;
    v->index = index;
    v->timer.fn = timer_due;
    v->hvm.slat = &vm->pmap.slat;
    v->hvm.fpu =
        heap_alloc(MAX(arch_fpu_size(), 2112)); /* above 2 KiB: from whole frames, aligned */
    if (!v->hvm.fpu)
        return E_NOMEM;
    e = hvm->vcpu_create(&v->hvm);
    if (e) {
        heap_free(v->hvm.fpu);
        v->hvm.fpu = NULL;
        return e;
    }
    str_format(name, sizeof(name), "%.24s/%u", vm->config.name, index);
    e = thread_create(&v->thread, name, vcpu_thread, v);
    if (e)
        vcpu_destroy(v);
    else
        vm->threads++; /* before its first wait: the VM is not made yet */
    return e;
}

enum err vcpu_renew(struct vcpu *v)
{
    struct hvm_vcpu new = {.slat = v->hvm.slat, .fpu = v->hvm.fpu};

    hvm->vcpu_destroy(&v->hvm);
    v->hvm = new;
    arch_fpu_init(v->hvm.fpu);
    return hvm->vcpu_create(&v->hvm);
}

void vcpu_destroy(struct vcpu *v)
{
    if (!v->hvm.fpu)
        return;
    if (v->hvm.arch) /* else vcpu_renew has failed */
        hvm->vcpu_destroy(&v->hvm);
    heap_free(v->hvm.fpu);
    v->hvm.fpu = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMs of ferry.cfg: all are made at start-up, and those with `autostart yes` run, once it is known that no other host has
 * them. */
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "vmm/vm.h"

#define AGAIN      MSEC(500)
#define SAID_AFTER SEC(5)

static bool wanted[CONFIG_MAX_VMS];

static void create(const struct config_vm *c, bool *start)
{
    struct why why;
    struct vm *vm;

    *start = false;
    if (vm_create(&vm, c, &why))
        log_error("VM %s of ferry.cfg: %s", c->name, why.text);
    else
        *start = c->autostart;
}

/* Starts it, if it is there and off: the user may have been faster. True: not yet, and why says why. */
static bool try_start(const char *name, struct why *why)
{
    enum err e = E_STATE;
    struct vm *vm;

    if (vm_claim(&vm, name, why))
        return false;
    if (vm->state == VM_OFF)
        e = vm_start(vm, why);
    vm_unclaim(vm);
    if (e && e != E_AGAIN && e != E_STATE)
        log_error("VM %s does not start: %s", name, why->text);
    return e == E_AGAIN;
}

/* One pass over those that are wanted; true: some wait. `say`: tell which, and for what. */
static bool start_wanted(bool say)
{
    bool any = false;
    struct why why;

    for (u32 i = 0; i < host_config.vm_count; i++) {
        const char *name = host_config.vm[i].name;

        if (!wanted[i])
            continue;
        wanted[i] = try_start(name, &why);
        any |= wanted[i];
        if (wanted[i] && say)
            log_warn("VM %s is not started yet: %s", name, why.text);
    }
    return any;
}

static void autostart(void *unused)
{
    u64 began = time_now();
    bool said = false;

    (void)unused;
    for (;;) {
        bool say = !said && time_now() - began > SAID_AFTER;

        if (!start_wanted(say))
            return;
        said |= say;
        thread_sleep(AGAIN);
    }
}

static void create_all(const struct boot_info *boot)
{
    (void)boot;
    for (u32 i = 0; i < host_config.vm_count; i++)
        create(&host_config.vm[i], &wanted[i]);
}
INIT_STEP(4, create_all);

/* Behind agent_start of that level: the agent says what may start. */
static void autostart_all(const struct boot_info *boot)
{
    struct thread *thread;

    (void)boot;
    if (!vm_may_start)
        (void)start_wanted(true);
    else if (thread_create(&thread, "autostart", autostart, NULL))
        log_error("autostart: no memory for its thread");
    else
        thread_put(thread);
}
INIT_STEP(5, autostart_all);

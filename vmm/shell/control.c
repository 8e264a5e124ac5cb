/* SPDX-License-Identifier: BSD-2-Clause */
/* `vm start`, `pause`, `resume`, `stop` and `destroy`. */
#include "kernel/console.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "vmm/shell/shell_vm.h"

#define ASK_LIMIT  SEC(3)
#define ASK_PERIOD MSEC(20)

/* Carries out one of them, and says what became of the VM. */
static enum err control(const char *name, enum err (*act)(struct vm *vm, struct why *why),
                        const char *done, struct why *why)
{
    struct vm *vm;
    enum err e = shell_find_vm(&vm, name, why);

    if (!e)
        e = act(vm, why);
    if (!e)
        console_printf("%s %s.\n", name, done);
    return e;
}

/* Other hosts may have to be asked first. */
static enum err start(struct vm *vm, struct why *why)
{
    u64 end = time_now() + ASK_LIMIT;
    enum err e;

    while ((e = vm_start(vm, why)) == E_AGAIN && time_now() < end)
        thread_sleep(ASK_PERIOD);
    return e;
}

static enum err run_start(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return control(argv[0], start, "runs", why);
}
SHELL_COMMAND(
    vm_start, .name = "vm start", .args = "NAME", .min = 1, .max = 1, .run = run_start,
    .help = "load a VM's kernel and run it", .complete = {shell_complete_vm},
    .more = "For a VM that is off or failed. It begins from nothing: its memory is emptied first.");

static enum err run_pause(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return control(argv[0], vm_pause, "is paused", why);
}
SHELL_COMMAND(vm_pause, .name = "vm pause", .args = "NAME", .min = 1, .max = 1, .run = run_pause,
              .help = "hold a VM; time stands still for it", .complete = {shell_complete_vm});

static enum err run_resume(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return control(argv[0], vm_resume, "runs", why);
}
SHELL_COMMAND(vm_resume, .name = "vm resume", .args = "NAME", .min = 1, .max = 1, .run = run_resume,
              .help = "let a paused VM go on", .complete = {shell_complete_vm});

static enum err run_stop(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return control(argv[0], vm_stop, "is off", why);
}
SHELL_COMMAND(
    vm_stop, .name = "vm stop", .args = "NAME", .min = 1, .max = 1, .run = run_stop,
    .help = "turn a VM off at once", .complete = {shell_complete_vm},
    .more = "As the power switch does: the guest is not asked. What it had in memory is gone.");

static enum err run_destroy(unsigned argc, char **argv, struct why *why)
{
    (void)argc;
    return control(argv[0], vm_destroy, "is gone", why);
}
SHELL_COMMAND(vm_destroy, .name = "vm destroy", .args = "NAME", .min = 1, .max = 1,
              .run = run_destroy, .help = "turn a VM off and forget it",
              .complete = {shell_complete_vm});

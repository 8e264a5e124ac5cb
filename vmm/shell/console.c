/* SPDX-License-Identifier: BSD-2-Clause */
/* `vm console` and `vm type`: a guest's serial line. */
#include "kernel/console.h"
#include "kernel/string.h"
#include "vmm/shell/shell_vm.h"

#define LEAVE      0x1d   /* Ctrl-] */
#define REPLAY     KIB(8) /* of what was written before */
#define CHUNK      256
#define PERIOD     MSEC(20)
#define STUCK_TIME SEC(1) /* after which what was typed is dropped */
#define QUIET_TIME                                                                                 \
    MSEC(400) /* without output, before a change of state is told: not within a line */
#define NOTHING (-1)

struct attached {
    char name[CONFIG_NAME];
    u16 id;
    u64 at;      /* position in the guest's output */
    int pending; /* a byte that the guest has no room for yet, or NOTHING */
    u64 pending_since;
    enum vm_state state; /* the last that was shown */
    u64 output_time;     /* when the guest last wrote */
};

/* It may be gone: whoever destroys it need not ask. */
static struct vm *find(const struct attached *a)
{
    struct vm *vm = vm_find(a->name);

    return vm && vm->id == a->id ? vm : NULL;
}

static void set_reader(struct vm *vm, struct thread *reader)
{
    lock_acquire(&vm->lock);
    vm->console.reader = reader;
    lock_release(&vm->lock);
}

static bool type_byte(struct vm *vm, u8 byte)
{
    bool typed;

    lock_acquire(&vm->lock);
    typed = vm_console_type(&vm->console, byte);
    lock_release(&vm->lock);
    if (typed)
        vcpu_kick(&vm->vcpu[0]);
    return typed;
}

/* Output of the guest to the terminal; false if there was none. */
static bool show_output(struct attached *a, struct vm *vm)
{
    u8 chunk[CHUNK];
    u64 lost;
    size_t n;

    lock_acquire(&vm->lock);
    n = vm_console_read(&vm->console, &a->at, chunk, sizeof(chunk), &lost);
    lock_release(&vm->lock);
    if (lost)
        console_printf("\n[%llu bytes left out]\n", (unsigned long long)lost);
    console_write((const char *)chunk, n);
    return n > 0;
}

static void show_state(struct attached *a, const struct vm *vm)
{
    enum vm_state state = vm->state;

    if (state == a->state || time_now() - a->output_time < QUIET_TIME)
        return;
    a->state = state;
    console_printf("\n[%s: %s%s%s]\n", a->name, vm_state_name[state], vm->reason[0] ? ", " : "",
                   vm->reason);
}

enum input { INPUT_NONE, INPUT_SOME, INPUT_LEAVE };

/* A guest that has taken nothing for a second loses what was typed until now, so that the key that leaves is always
 * seen; and it is said. */
static enum input drop_input(struct attached *a)
{
    unsigned dropped = 0;

    for (; a->pending != NOTHING && a->pending != LEAVE; a->pending = console_read(0))
        dropped++;
    console_printf("\n[%s does not read its serial line: %u bytes of what was typed are lost]\n",
                   a->name, dropped);
    return a->pending == LEAVE ? INPUT_LEAVE : INPUT_SOME;
}

/* Takes what was typed, and hands on one byte. */
static enum input take_input(struct attached *a, struct vm *vm)
{
    bool waited = a->pending != NOTHING;

    if (!waited) {
        a->pending = console_read(0);
        a->pending_since = time_now();
    }
    if (a->pending == LEAVE)
        return INPUT_LEAVE;
    if (a->pending == NOTHING)
        return INPUT_NONE;
    if (!type_byte(vm, (u8)a->pending))
        return time_now() - a->pending_since < STUCK_TIME ? INPUT_NONE : drop_input(a);
    a->pending = NOTHING;
    return INPUT_SOME;
}

static void attach(struct attached *a)
{
    struct vm *vm;

    while ((vm = find(a))) {
        bool output = show_output(a, vm);
        enum input input = take_input(a, vm);

        if (input == INPUT_LEAVE)
            return;
        if (output)
            a->output_time = time_now();
        else
            show_state(a, vm);
        if (!output && input == INPUT_NONE)
            thread_sleep_until(time_now() + PERIOD);
        else if (thread_should_yield())
            thread_yield();
    }
    console_printf("\n[%s is gone]", a->name);
}

static enum err run_console(unsigned argc, char **argv, struct why *why)
{
    struct attached a = {.pending = NOTHING};
    struct vm *vm;
    enum err e = shell_find_vm(&vm, argv[0], why);

    (void)argc;
    if (e)
        return e;
    str_copy(a.name, sizeof(a.name), vm->config.name);
    a.id = vm->id;
    a.state = VM_RUNNING;
    a.at = vm->console.written > REPLAY ? vm->console.written - REPLAY : 0;
    console_printf("[%s: Ctrl-] leaves]\n", a.name);
    set_reader(vm, thread_current());
    console_keep_whole(true);
    attach(&a);
    vm = find(&a);
    if (vm)
        set_reader(vm, NULL);
    console_print("\x1b[0m\n"); /* the guest may have left colours on */
    console_keep_whole(false);
    return OK;
}
SHELL_COMMAND(
    vm_console, .name = "vm console", .args = "NAME", .min = 1, .max = 1, .run = run_console,
    .help = "attach to a VM's serial line", .complete = {shell_complete_vm},
    .more =
        "Shows the last 8 KiB that the guest wrote, and then what it writes; what you type goes to "
        "it. The host's own log lines wait until you leave, with Ctrl-].");

static enum err run_type(unsigned argc, char **argv, struct why *why)
{
    struct vm *vm;
    enum err e = shell_find_vm(&vm, argv[0], why);

    (void)argc;
    for (const char *c = argv[1]; !e && *c; c++)
        if (!type_byte(vm, (u8)*c))
            e = why_set(why, E_STATE,
                        "%s does not read its serial line: only %u characters went through",
                        argv[0], (unsigned)(c - argv[1]));
    if (!e)
        type_byte(vm, '\r');
    return e;
}
SHELL_COMMAND(vm_type, .name = "vm type", .args = "NAME TEXT...", .min = 2, .max = 2, .rest = true,
              .run = run_type, .help = "type a line at a VM's serial line",
              .complete = {shell_complete_vm, shell_complete_nothing},
              .more = "Everything behind the name, as it stands, and Enter.");

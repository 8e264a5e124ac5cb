/* SPDX-License-Identifier: BSD-2-Clause */
/* `vm list` and `vm info`, and what VMs add to `info` and `mem`. */
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/init.h"
#include "kernel/string.h"
#include "vmm/shell/shell_vm.h"

#define NAME_WIDTH 20
#define SAMPLE     MSEC(200)
#define VMS_MAX    64 /* whose CPU use is measured at once */

/* --- vm list --------------------------------------------------------------------------------- */

/* Of the column for names: a longer one gets a line of its own. */
static int name_width(void)
{
    size_t width = 4;
    struct vm *vm;

    for (unsigned i = 0; (vm = vm_at(i)); i++)
        width = MAX(width, strlen(vm->config.name));
    return (int)MIN(width, NAME_WIDTH);
}

static void print_name(const struct vm *vm, int width)
{
    const char *name = vm->config.name;

    if (strlen(name) > (size_t)width)
        console_printf("  %s\n  %-*s", name, width, "");
    else
        console_printf("  %-*s", width, name);
}

/* As much of why it stopped as fits. */
static void print_reason(const struct vm *vm, unsigned column)
{
    int room = (int)(SHELL_COLUMNS - 1 - column);

    if (strlen(vm->reason) <= (size_t)room)
        console_printf("%s\n", vm->reason);
    else
        console_printf("%.*s...\n", room - 3, vm->reason);
}

static void print_vm(struct vm *vm, int width, u64 used, u64 length)
{
    u64 share = length ? used * 1000 / length : 0; /* the two clocks were not read in one moment */
    unsigned permille = (unsigned)MIN(share, vm->config.vcpus * 1000ull);
    bool runs = vm->state == VM_RUNNING || vm->state == VM_PAUSED || vm->state == VM_MOVING;
    char up[24];

    print_name(vm, width);
    console_printf("  %-9s  %5u  %7llu  ", vm_state_name[vm->state], vm->config.vcpus,
                   (unsigned long long)(vm->config.memory >> 20));
    if (!runs) {
        print_reason(vm, (unsigned)width + 31);
        return;
    }
    console_printf("%7llu  %4u.%u  %s\n", (unsigned long long)(vm->pmap.frames >> 8), permille / 10,
                   permille % 10, shell_duration(up, shell_vm_uptime(vm)));
}

static enum err run_list(unsigned argc, char **argv, struct why *why)
{
    static u64 before[VMS_MAX];
    u64 start = time_now(), length;
    int width = name_width();
    struct vm *vm;

    (void)argc, (void)argv, (void)why;
    if (!vm_at(0)) {
        console_print("There is no VM; `vm create` makes one.\n");
        return OK;
    }
    for (unsigned i = 0; i < VMS_MAX && (vm = vm_at(i)); i++)
        before[i] = shell_vm_cpu_time(vm);
    thread_sleep(SAMPLE);
    length = time_now() - start;
    console_printf("  %-*s  %-9s  %5s  %7s  %7s  %6s  %s\n", width, "name", "state", "vCPUs", "MiB",
                   "given", "CPU %", "up");
    for (unsigned i = 0; (vm = vm_at(i)); i++)
        print_vm(vm, width, i < VMS_MAX ? shell_vm_cpu_time(vm) - before[i] : 0, length);
    return OK;
}
SHELL_COMMAND(
    vm_list, .name = "vm list", .help = "all VMs: state, memory, CPU time", .run = run_list,
    .more =
        "`MiB` is the VM's memory and `given` what it has touched of it so far. CPU % is that of "
        "the last fifth of a second, 100 for each CPU.");

/* --- vm info --------------------------------------------------------------------------------- */

static void print_config(const struct config_vm *c)
{
    shell_row("group", "%s", c->group[0] ? c->group : "none: it shares with no other VM");
    shell_row("kernel", "%s", c->kernel[0] ? c->kernel : "none");
    if (c->initrd[0])
        shell_row("initrd", "%s", c->initrd);
    for (u32 i = 0; i < c->module_count; i++)
        shell_row("module", "%s", c->module[i]);
    if (c->cmdline[0])
        shell_row("cmdline", "%s", c->cmdline);
}

static void print_memory(struct vm *vm)
{
    shell_row("memory", "%llu MiB, %llu MiB given in %llu faults",
              (unsigned long long)(vm->config.memory >> 20),
              (unsigned long long)(vm->pmap.frames >> 8), (unsigned long long)vm->pmap.faults);
    shell_row("page table", "%s at %llx, %u KiB", hvm->slat_name,
              (unsigned long long)vm->pmap.slat.table.root.v, vm->pmap.slat.table.tables * 4);
}

static void print_devices(struct vm *vm)
{
    u64 written, unclaimed;
    u32 typed;

    lock_acquire(&vm->lock);
    written = vm->console.written;
    typed = vm->console.input_head;
    unclaimed = vm->platform.unclaimed;
    lock_release(&vm->lock);
    shell_row("COM1", "%llu bytes written, %u typed", (unsigned long long)written, typed);
    shell_row("devices",
              "local and I/O APIC, PIC, PIT, RTC, UART, ACPI power; %llu accesses to ports where "
              "there is none",
              (unsigned long long)unclaimed);
}

static void print_vcpus(struct vm *vm)
{
    u64 before[VM_MAX_VCPUS], start = time_now();

    for (u32 i = 0; i < vm->config.vcpus; i++)
        before[i] = shell_vcpu_exits(&vm->vcpu[i]);
    thread_sleep(SAMPLE);
    console_printf("\n%4s  %-11s  %3s  %12s  %14s  %7s  %16s\n", "vCPU", "activity", "CPU",
                   "CPU time", "exits", "exits/s", "rip");
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *v = &vm->vcpu[i];
        struct shell_thread thread = shell_vcpu_thread(v);
        u64 exits = shell_vcpu_exits(v), ms = thread.cpu_time / MSEC(1),
            length = time_now() - start;
        u64 recent = exits > before[i] ? exits - before[i] : 0; /* someone may have set them to 0 */

        console_printf("%4u  %-11s  %3u  %6llu.%03llu s  %14llu  %7llu  %16llx\n", i,
                       vm->state == VM_OFF ? "-" : vcpu_activity_name[v->activity], thread.last_cpu,
                       (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
                       (unsigned long long)exits,
                       (unsigned long long)(recent * 1000 / MAX(length / MSEC(1), 1)),
                       (unsigned long long)v->hvm.rip);
    }
}

static enum err run_info(unsigned argc, char **argv, struct why *why)
{
    char up[24];
    struct vm *vm;
    enum err e = shell_find_vm(&vm, argv[0], why);

    (void)argc;
    if (e)
        return e;
    shell_row("name", "%s (number %u)", vm->config.name, vm->id);
    shell_row("state", vm->reason[0] ? "%s (%s)" : "%s", vm_state_name[vm->state], vm->reason);
    shell_row("up", "%s, %llu reset%s", shell_duration(up, shell_vm_uptime(vm)),
              (unsigned long long)vm->resets, vm->resets == 1 ? "" : "s");
    print_config(&vm->config);
    print_memory(vm);
    print_devices(vm);
    print_vcpus(vm);
    if (vm->state == VM_FAILED && vm_all_parked(vm))
        shell_registers(vm);
    return OK;
}
SHELL_COMMAND(
    vm_info, .name = "vm info", .args = "NAME", .min = 1, .max = 1, .run = run_info,
    .help = "all about one VM and its vCPUs", .complete = {shell_complete_vm},
    .more =
        "A vCPU that runs shows the rip of its latest exit. `activity` is what the guest does: a "
        "halted vCPU waits for an interrupt. Of a VM that has failed, all registers are shown, and "
        "where "
        "each vCPU was last entered: if that is where it failed, it did not get far.");

/* --- in the kernel's commands ------------------------------------------------------------------ */

static void add_to_info(void)
{
    unsigned count = 0, running = 0;
    struct vm *vm;

    for (; (vm = vm_at(count)); count++)
        running += vm->state == VM_RUNNING;
    shell_row("VMs", "%u, %u of them running", count, running);
}

static void add_to_mem(void)
{
    struct vm *vm;

    if (vm_at(0))
        console_printf("\n  %-*s %12s %12s %12s %12s\n", NAME_WIDTH, "VM", "MiB", "given MiB",
                       "shared MiB", "tables KiB");
    for (unsigned i = 0; (vm = vm_at(i)); i++) {
        print_name(vm, NAME_WIDTH);
        console_printf(
            " %12llu %12llu %12llu %12u\n", (unsigned long long)(vm->config.memory >> 20),
            (unsigned long long)(vm->pmap.frames >> 8),
            (unsigned long long)(vm->pmap.count[PAGE_SHARED] >> 8), vm->pmap.slat.table.tables * 4);
    }
}

static void end_all(void)
{
    struct why why;
    struct vm *vm;

    for (unsigned i = 0; (vm = vm_at(i)); i++) {
        if (vm->state == VM_OFF)
            continue;
        console_printf("%s is %s: it is turned off.\n", vm->config.name, vm_state_name[vm->state]);
        if (vm_stop(vm, &why))
            console_printf("%s\n", why.text);
    }
}

static void add_hooks(const struct boot_info *boot)
{
    static struct shell_hooks hooks = {
        .info = add_to_info, .mem = add_to_mem, .going_down = end_all};

    (void)boot;
    shell_add_hooks(&hooks);
}
INIT_STEP(4, add_hooks);

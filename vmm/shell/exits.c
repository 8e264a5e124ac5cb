/* SPDX-License-Identifier: BSD-2-Clause */
/* `exits`: why guests were left, how often, and what it took. */
#include "kernel/console.h"
#include "kernel/string.h"
#include "vmm/shell/shell_vm.h"

struct totals {
    u64 count[EXIT_KIND_COUNT], cycles[EXIT_KIND_COUNT];
    u64 all_count, all_cycles;
};

static void add_vm(struct totals *t, const struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++)
        for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
            t->count[kind] += vm->vcpu[i].exit_count[kind];
            t->cycles[kind] += vm->vcpu[i].exit_cycles[kind];
            t->all_count += vm->vcpu[i].exit_count[kind];
            t->all_cycles += vm->vcpu[i].exit_cycles[kind];
        }
}

static void print_line(const char *name, u64 count, u64 cycles, u64 all_cycles)
{
    unsigned permille = (unsigned)(all_cycles ? cycles / MAX(all_cycles / 1000, 1) : 0);

    permille = MIN(permille, 1000);
    console_printf("%-20s  %14llu  %18llu  %10llu  %3u.%u\n", name, (unsigned long long)count,
                   (unsigned long long)cycles, (unsigned long long)(count ? cycles / count : 0),
                   permille / 10, permille % 10);
}

/* Those that happened, the one that took most first. */
static unsigned sort_kinds(const struct totals *t, unsigned order[EXIT_KIND_COUNT])
{
    unsigned count = 0;

    for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
        unsigned at = count;

        if (!t->count[kind])
            continue;
        for (; at && t->cycles[order[at - 1]] < t->cycles[kind]; at--)
            order[at] = order[at - 1];
        order[at] = kind;
        count++;
    }
    return count;
}

static void print_totals(const struct totals *t)
{
    unsigned order[EXIT_KIND_COUNT], count = sort_kinds(t, order);

    console_printf("%-20s  %14s  %18s  %10s  %5s\n", "exit", "count", "cycles", "average", "%");
    for (unsigned i = 0; i < count; i++)
        print_line(vcpu_exit_name(order[i]), t->count[order[i]], t->cycles[order[i]],
                   t->all_cycles);
    print_line("all", t->all_count, t->all_cycles, t->all_cycles);
}

static void reset(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        memset(vm->vcpu[i].exit_count, 0, sizeof(vm->vcpu[i].exit_count));
        memset(vm->vcpu[i].exit_cycles, 0, sizeof(vm->vcpu[i].exit_cycles));
    }
}

static enum err run_exits(unsigned argc, char **argv, struct why *why)
{
    struct totals t = {.all_count = 0};
    struct vm *vm = NULL;
    enum err e = argc ? shell_find_vm(&vm, argv[0], why) : OK;

    if (e)
        return e;
    if (argc == 2) {
        if (!str_equal(argv[1], "reset"))
            return why_set(why, E_INVAL, "expected reset or nothing behind the VM's name");
        reset(vm);
        return OK;
    }
    if (vm)
        add_vm(&t, vm);
    else
        for (unsigned i = 0; (vm = vm_at(i)); i++)
            add_vm(&t, vm);
    print_totals(&t);
    return OK;
}

static void complete_reset(struct shell_completion *c)
{
    shell_offer(c, "reset", "");
}
SHELL_COMMAND(exits, .name = "exits", .args = "[NAME [reset]]", .max = 2, .run = run_exits,
              .help = "why guests were left, how often, and what it took",
              .complete = {shell_complete_vm, complete_reset},
              .more = "Of all vCPUs of a VM, or of all VMs; what took most comes first. Cycles are "
                      "those from the "
                      "exit until its work was done. `reset` sets a VM's counters to 0.");

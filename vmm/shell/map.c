/* SPDX-License-Identifier: BSD-2-Clause */
/* The command `vm map`: a guest's memory as a picture. */
#include "kernel/console.h"
#include "vmm/shell/shell_vm.h"

#define COLUMNS 64
#define ROWS    16

static const char state_char[PAGE_STATE_COUNT] = {
    [PAGE_EMPTY] = '.',  [PAGE_PRIVATE] = '#', [PAGE_SHARED] = '=',
    [PAGE_REMOTE] = 'r', [PAGE_CACHED] = 'c',  [PAGE_MMIO] = 'd',
};

/* The state that most pages of a stretch are in. */
static char dominant(struct pmap *p, u64 first, u64 end)
{
    u64 count[PAGE_STATE_COUNT] = {0};
    unsigned most = PAGE_EMPTY;

    lock_acquire(&p->lock);
    for (u64 i = first; i < end; i++)
        count[pmap_state(p, i)]++;
    lock_release(&p->lock);
    for (unsigned s = 0; s < PAGE_STATE_COUNT; s++)
        if (count[s] > count[most])
            most = s;
    return state_char[most];
}

static void print_legend(const struct pmap *p, u64 step)
{
    u64 empty = pmap_pages(p);

    console_printf("\none character: %llu KiB, by the state of most of its pages\n",
                   (unsigned long long)step * 4);
    for (unsigned s = PAGE_PRIVATE; s < PAGE_MMIO; s++)
        empty -= p->count[s];
    for (unsigned s = 0; s < PAGE_MMIO; s++)
        console_printf("  %c %s %llu", state_char[s], page_state_name[s],
                       (unsigned long long)(s ? p->count[s] : empty));
    console_printf(" pages\n");
}

static enum err run_map(unsigned argc, char **argv, struct why *why)
{
    struct vm *vm;
    enum err e = shell_find_vm(&vm, argv[0], why);
    u64 pages, step;

    (void)argc;
    if (e)
        return e;
    pages = pmap_pages(&vm->pmap);
    step = MAX((pages + COLUMNS * ROWS - 1) / (COLUMNS * ROWS), 1);
    for (u64 row = 0; row < pages; row += step * COLUMNS) {
        console_printf("%12llx ", (unsigned long long)pmap_gpa(row).v);
        for (u64 at = row; at < MIN(row + step * COLUMNS, pages); at += step)
            console_printf("%c", dominant(&vm->pmap, at, MIN(at + step, pages)));
        console_printf("\n");
    }
    print_legend(&vm->pmap, step);
    return OK;
}
SHELL_COMMAND(vm_map, .name = "vm map", .args = "NAME", .min = 1, .max = 1, .run = run_map,
              .help = "draws a VM's memory by the state of its pages",
              .complete = {shell_complete_vm});

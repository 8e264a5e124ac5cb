/* SPDX-License-Identifier: BSD-2-Clause */
/* What whole VMs ask of a machine beside fake/arch.c: for tests that link vmm/vm.c. They have a shell_add_hooks of their own. */
#include "kernel/arch.h"
#include "kernel/host.h"
#include "kernel/panic.h"

struct config host_config;
void (*panic_describe_vm)(char *text, size_t size);

void arch_fpu_init(void *state)
{
    (void)state;
}

bool arch_tsc_invariant(void)
{
    return true;
}

u64 arch_wall_clock_at_boot(void)
{
    return 1700000000;
}

u64 arch_xcr0_get(void)
{
    return 7;
}

void arch_xcr0_set(u64 value)
{
    (void)value;
}

const struct boot_file *host_file(const char *name)
{
    (void)name;
    return NULL;
}

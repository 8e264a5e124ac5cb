/* What the shell's commands about VMs have in common. VMs are made and destroyed by the shell's thread
 * alone, so a pointer that it found stays good while it runs a command. */
#pragma once
#include "kernel/shell.h"
#include "vmm/vm.h"

/* The VM of that name; E_NOENT with what is near. */
enum err shell_find_vm(struct vm **vm, const char *name, struct why *why) MUST_CHECK;
/* Offers the names of all VMs. */
void shell_complete_vm(struct shell_completion *c);
/* Guest time since it started, in ns; 0 for one that is off. */
u64 shell_vm_uptime(struct vm *vm);
/* CPU time of all its vCPUs so far, in ns. */
u64 shell_vm_cpu_time(const struct vm *vm);
/* Exits of all kinds so far, of one vCPU. */
u64 shell_vcpu_exits(const struct vcpu *v);

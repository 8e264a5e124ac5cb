/* SPDX-License-Identifier: BSD-2-Clause */
/* What the shell's commands about VMs have in common. A VM that the shell found stays good while it
 * runs a command: it alone destroys VMs, and one that moved away meanwhile (vm_depart) is freed before the next command. */
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
u64 shell_vm_cpu_time(struct vm *vm);
/* What is known of a vCPU's thread: CPU time in ns, and where it ran last. Zeros if it has ended. */
struct shell_thread {
    u64 cpu_time;
    u32 last_cpu;
};
struct shell_thread shell_vcpu_thread(struct vcpu *v);
/* Prints what is in the registers of a VM whose vCPUs are parked: registers.c. */
void shell_registers(struct vm *vm);
/* Exits of all kinds so far, of one vCPU. */
u64 shell_vcpu_exits(const struct vcpu *v);

/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole state of a VM but its memory, as bytes that travel from host to host: registers, FPU, MSRs, interrupt
 * controllers, timers and devices, down to what is half done. Save, load and save again give the same bytes.
 *
 * Buffers are aligned to 8. Times do not travel as such: the guest's clock and TSC do, and timers as what is left of them. */
#pragma once
#include "kernel/err.h"

struct vm;

/* Bytes that vm_state_save needs at most. */
u64 vm_state_size(const struct vm *vm);
/* Writes the state of a VM that is held (vm_hold, vmm/vm.h): its vCPUs are parked, and stay so. What is due by now has
 * happened in the state. *size: in: room, out: used. E_STATE: it is not held. E_RANGE: not enough room. */
enum err vm_state_save(struct vm *vm, void *buffer, u64 *size) MUST_CHECK;
/* Into a VM that is incoming, or held, with the same number of vCPUs, memory and CPUID as the one that was saved. The
 * bytes may come from anywhere: everything is checked first, and nothing is changed when it is refused; why says what is
 * wrong. The VM stays as it is otherwise, until vm_arrive or vm_release.
 *
 * elapsed_ns: how long the guest stood still; its clocks and TSC advance by it, and timers run out accordingly; what
 * passes until it runs counts, too. Of a VM that was paused it is ignored.
 *
 * E_STATE: neither incoming nor held. E_FORMAT: not what vm_state_save writes. E_RANGE: for another kind of VM, or a
 * value that cannot be. E_UNSUPPORTED: this CPU lacks something. */
enum err vm_state_load(struct vm *vm, const void *buffer, u64 size, u64 elapsed_ns,
                       struct why *why) MUST_CHECK;

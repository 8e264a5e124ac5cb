/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a host that can no longer be trusted: says why, with registers, a symbolised
 * backtrace and the VM concerned, and stops all CPUs. Never for anything that a guest, a file or the
 * network can cause. */
#pragma once
#include "kernel/types.h"

NORETURN void panic(const char *format, ...) PRINTF_LIKE(1, 2);
/* The parts, for arch's exception handlers: panic_begin stops the others and claims the console
 * (the first CPU only; later ones halt), then the caller prints, then panic_end. */
void panic_begin(void);
/* From the address where it happened, or 0, down the chain of frame pointers. */
void panic_backtrace(u64 address, const void *frame_pointer);
NORETURN void panic_end(void);
/* A line that says which VM this CPU is working for, or an empty text; set by vmm. */
extern void (*panic_describe_vm)(char *text, size_t size);

/* SPDX-License-Identifier: BSD-2-Clause */
/* A VM's serial line, seen from the host: what the guest has written lately, and what is to be typed at
 * it. Guarded by the VM's lock. */
#pragma once
#include "kernel/types.h"

#define VM_CONSOLE_OUTPUT 65536
#define VM_CONSOLE_INPUT  1024

struct thread;

struct vm_console {
    u64 written; /* bytes ever; output[] has the last of them */
    u32 input_head, input_tail;
    struct thread *reader; /* to wake when there is output, or NULL */
    u8 output[VM_CONSOLE_OUTPUT];
    u8 input[VM_CONSOLE_INPUT];
};

/* The guest wrote a byte. */
void vm_console_put(void *console, u8 byte);
/* Copies output from position *at on, and moves *at; returns the bytes copied. What was
 * overwritten meanwhile is left out, and *lost says how much. */
size_t vm_console_read(struct vm_console *c, u64 *at, u8 *to, size_t size, u64 *lost);
/* Queues a byte for the guest; false if it does not fit. */
bool vm_console_type(struct vm_console *c, u8 byte);
/* The next byte for the guest: look, then take. */
bool vm_console_peek(const struct vm_console *c, u8 *byte);
void vm_console_take(struct vm_console *c);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/console.h"
#include "kernel/string.h"
#include "kernel/thread.h"

void vm_console_put(void *console, u8 byte)
{
    struct vm_console *c = console;

    c->output[c->written++ % VM_CONSOLE_OUTPUT] = byte;
    if (c->reader)
        thread_wake(c->reader);
}

size_t vm_console_read(struct vm_console *c, u64 *at, u8 *to, size_t size, u64 *lost)
{
    size_t n = 0;

    *lost = 0;
    if (c->written - *at > VM_CONSOLE_OUTPUT) {
        *lost = c->written - VM_CONSOLE_OUTPUT - *at;
        *at += *lost;
    }
    while (n < size && *at < c->written)
        to[n++] = c->output[(*at)++ % VM_CONSOLE_OUTPUT];
    return n;
}

bool vm_console_type(struct vm_console *c, u8 byte)
{
    if (c->input_head - c->input_tail == VM_CONSOLE_INPUT)
        return false;
    c->input[c->input_head++ % VM_CONSOLE_INPUT] = byte;
    return true;
}

bool vm_console_peek(const struct vm_console *c, u8 *byte)
{
    *byte = c->input[c->input_tail % VM_CONSOLE_INPUT];
    return c->input_head != c->input_tail;
}

void vm_console_take(struct vm_console *c)
{
    c->input_tail++;
}

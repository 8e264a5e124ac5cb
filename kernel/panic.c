/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/panic.h"
#include "kernel/console.h"
#include "kernel/arch.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"

#define BACKTRACE_DEPTH 24

void (*panic_describe_vm)(char *text, size_t size);
static u32 panicking;

void panic_begin(void)
{
    if (__atomic_exchange_n(&panicking, 1, __ATOMIC_SEQ_CST))
        arch_halt_forever();
    arch_stop_others();
    console_last_words();
    console_printf("\n*** Ferry stops: this host cannot go on.\n");
}

/* A return address may be the end of its function, where the call never returns: `back` 1 looks before it. */
static void print_address(u64 address, u64 back)
{
    u64 offset = 0;
    const char *name = symbol_find(address - back, &offset);

    offset += back;
    if (name)
        console_printf("    %016llx  %s+0x%llx\n", (unsigned long long)address, name,
                       (unsigned long long)offset);
    else
        console_printf("    %016llx\n", (unsigned long long)address);
}

void panic_backtrace(u64 address, const void *frame_pointer)
{
    const u64 *fp = frame_pointer;

    console_print("    backtrace:\n");
    if (address)
        print_address(address, 0);
    for (unsigned i = 0; i < BACKTRACE_DEPTH; i++) {
        u64 next;

        /* A frame pointer in the kernel's half, moving up: anything else ends the chain. */
        if ((u64)fp < 0xffff800000000000ull || (u64)fp & 7 || !fp[1])
            break;
        print_address(fp[1], 1);
        next = fp[0];
        if (next <= (u64)fp || next - (u64)fp > ARCH_STACK_SIZE)
            break;
        fp = (const u64 *)next;
    }
}

void panic_end(void)
{
    struct cpu *c = cpu_this();
    char vm[120] = "";

    if (panic_describe_vm)
        panic_describe_vm(vm, sizeof(vm));
    console_printf("    CPU %u, thread %s%s%s\n", c->index, c->current ? c->current->name : "none",
                   vm[0] ? ", " : "", vm);
    console_print("*** All CPUs are stopped. Reset the machine to start it again.\n");
    arch_halt_forever();
}

void panic(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    panic_begin();
    console_printf("    %s\n", text);
    panic_backtrace(0, __builtin_frame_address(0));
    panic_end();
}

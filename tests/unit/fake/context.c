/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of the kernel as stacks of one thread of the build host. */
#include <stdlib.h>
#include <sys/mman.h>
#undef PROT_READ /* kernel/ptab.h has its own */
#undef PROT_WRITE
#undef PROT_EXEC
#include "fake.h"
#include "kernel/arch.h"

/* Of AddressSanitizer's, or nothing where it is not there. */
void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size)
    __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size)
    __attribute__((weak));

#define HOST_READ_WRITE 3
#define STACK_SIZE      KIB(256) /* of which sanitizers need much */

/* What the kernel takes for a stack pointer is the address of one of these. */
struct context {
    void *sp;
    void (*entry)(void *);
    void *argument;
    const void *bottom; /* of its stack, for AddressSanitizer */
    size_t size;
    void *sanitizer;
};

static struct context *current, *previous;

static struct context *new_context(void)
{
    static struct context pool[1024];
    static unsigned used;

    if (used == COUNT_OF(pool))
        abort(); /* a test with that many threads can make this larger */
    return &pool[used++];
}

void *arch_stack_alloc(void)
{
    u8 *stack = mmap(NULL, STACK_SIZE, HOST_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (stack == MAP_FAILED)
        return NULL;
    fake_seen.stacks++;
    return stack + STACK_SIZE;
}

/* It may be the stack that a thread is ending on, so it is only counted; a test makes few. */
void arch_stack_free(void *top)
{
    (void)top;
    fake_seen.stacks--;
}

/* What the System V ABI asks a function to keep, and the stack pointer. */
__attribute__((naked, noinline)) static void switch_stack(__attribute__((unused)) void **from,
                                                          __attribute__((unused)) void *to)
{
    __asm__("push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
            "mov %rsp, (%rdi)\n"
            "mov %rsi, %rsp\n"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
            "ret");
}

/* The present context has just got the CPU, from `previous`. */
static void arrived(void)
{
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(current->sanitizer, &previous->bottom, &previous->size);
}

static void start(void)
{
    arrived();
    current->entry(current->argument);
}

void *arch_context_init(void *stack_top, void (*entry)(void *), void *argument)
{
    struct context *c = new_context();
    void **stack = stack_top;

    *--stack = NULL; /* so that start() sees an aligned stack */
    *--stack = (void *)start;
    for (unsigned i = 0; i < 6; i++)
        *--stack = NULL;
    *c = (struct context){.sp = stack,
                          .entry = entry,
                          .argument = argument,
                          .bottom = (u8 *)stack_top - STACK_SIZE,
                          .size = STACK_SIZE};
    return c;
}

void arch_context_switch(void **from, void *to)
{
    if (!*from)
        *from = new_context(); /* the flow that was there before any thread */
    previous = *from;
    current = to;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&previous->sanitizer, current->bottom, current->size);
    switch_stack(&previous->sp, current->sp);
    arrived();
}

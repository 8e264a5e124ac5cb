/* SPDX-License-Identifier: BSD-2-Clause */
/* One stub for each of the 256 vectors: pushes a zero where the CPU pushes no error code, then the
 * vector, then the registers in the order of struct trap_frame. */
    .text
    .altmacro
    .macro stub n
    .balign 16
    .if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17 || \n == 21 || \n == 29 || \n == 30)
    push $0
    .endif
    push $\n
    jmp trap_common
    .endm

    .globl trap_stubs
    .balign 16
trap_stubs:
    .set i, 0
    .rept 256
    stub %i
    .set i, i + 1
    .endr

trap_common:
    cld
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    mov %rsp, %rbx
    and $-16, %rsp
    call trap_handle
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp
    iretq

/* void arch_context_switch(void **from, void *to) */
    .globl arch_context_switch
arch_context_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

/* void arch_idle(void). An NMI that comes behind STI goes on behind HLT (traps.c): what it let in may be what
 * would have ended the halt. */
    .globl arch_idle, idle_halt
    .type arch_idle, @function
arch_idle:
    sti
idle_halt:
    hlt
    cli
    ret
    .size arch_idle, . - arch_idle

/* Where a new thread's first switch returns to: entry is in RBX, its argument in R12. */
    .globl context_start
    .type context_start, @function
context_start:
    mov %r12, %rdi
    xor %ebp, %ebp
    call *%rbx
    ud2
    .size context_start, . - context_start

    .section .note.GNU-stack, "", @progbits

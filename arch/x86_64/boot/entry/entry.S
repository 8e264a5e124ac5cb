/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's first instructions on the boot CPU: the loader jumps here in long mode, on its own page
 * tables, with struct boot_info in RDI. Only a stack is missing. */
    .section .text.entry, "ax"
    .globl kernel_entry
kernel_entry:
    cli
    cld
    lea boot_stack_top(%rip), %rsp
    xor %ebp, %ebp
    push $0
    push $0
    call arch_start
    ud2

    .bss
    .balign 16
    .skip 16384
boot_stack_top:

    .section .note.GNU-stack, "", @progbits

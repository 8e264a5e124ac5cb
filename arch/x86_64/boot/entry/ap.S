/* SPDX-License-Identifier: BSD-2-Clause */
/* How every other CPU starts: in real mode at the page that the SIPI names (SDM 3A 8.4.4). This code is
 * copied there, and goes to long mode on the loader's page tables, where that page is mapped at
 * identity, and from there to the kernel proper. The data behind it is filled before each SIPI. */
    .section .rodata
    .globl ap_code, ap_code_end, ap_data
    .balign 16
    .code16
ap_code:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    xor %ebx, %ebx
    mov %ax, %bx
    shl $4, %ebx                                /* where this page is */
    lgdtl ap_gdt_pointer - ap_code
    mov ap_cr3 - ap_code, %eax
    mov %eax, %cr3
    mov $0x20, %eax                             /* CR4.PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax                             /* EFER.LME, NXE */
    wrmsr
    mov $0x80000011, %eax                       /* CR0.PG, ET, PE */
    mov %eax, %cr0
    ljmpl *(ap_far_pointer - ap_code)

    .balign 16
ap_data:
ap_cr3:         .long 0
ap_gdt_pointer: .word 23
                .long 0                         /* page + ap_gdt - ap_code */
ap_far_pointer: .long 0                         /* page + ap_long - ap_code */
                .word 0x08
ap_stack:       .quad 0
ap_entry:       .quad 0                         /* ap_kernel_entry */
ap_kernel_cr3:  .quad 0
    .balign 8
ap_gdt:         .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff

    .code64
    .globl ap_long, ap_gdt
ap_long:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov ap_stack - ap_code(%rbx), %rsp
    mov ap_kernel_cr3 - ap_code(%rbx), %rdx
    mov ap_entry - ap_code(%rbx), %rax
    jmp *%rax
ap_code_end:

/* The kernel's own page tables lack this page, the loader's lack the stacks. */
    .text
    .globl ap_kernel_entry
ap_kernel_entry:
    mov %rdx, %cr3
    xor %ebp, %ebp
    push $0
    jmp ap_start

    .section .note.GNU-stack, "", @progbits

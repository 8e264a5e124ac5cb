/* SPDX-License-Identifier: BSD-2-Clause */
/* bool vmx_enter(struct hvm_vcpu *v, u32 launched)
 *
 * The world switch (SDM 3C 26, 27). RSP, RIP and RFLAGS are in the VMCS; gpr[] is at offset 0 of struct
 * hvm_vcpu. Returns false after an exit, at vmx_exit_point, and true if the CPU refused. */
    .text
    .globl vmx_enter, vmx_exit_point
vmx_enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    mov $0x6c14, %eax                           /* VMCS_HOST_RSP */
    vmwrite %rsp, %rax
    test %esi, %esi                             /* no MOV changes the flags */
    mov 0*8(%rdi), %rax
    mov 1*8(%rdi), %rcx
    mov 2*8(%rdi), %rdx
    mov 3*8(%rdi), %rbx
    mov 5*8(%rdi), %rbp
    mov 6*8(%rdi), %rsi
    mov 8*8(%rdi), %r8
    mov 9*8(%rdi), %r9
    mov 10*8(%rdi), %r10
    mov 11*8(%rdi), %r11
    mov 12*8(%rdi), %r12
    mov 13*8(%rdi), %r13
    mov 14*8(%rdi), %r14
    mov 15*8(%rdi), %r15
    mov 7*8(%rdi), %rdi
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  pop %rdi                                    /* refused: no register of ours was changed but these */
    mov $1, %eax
    jmp 3f
vmx_exit_point:
    xchg %rdi, (%rsp)
    mov %rax, 0*8(%rdi)
    mov %rcx, 1*8(%rdi)
    mov %rdx, 2*8(%rdi)
    mov %rbx, 3*8(%rdi)
    mov %rbp, 5*8(%rdi)
    mov %rsi, 6*8(%rdi)
    mov %r8, 8*8(%rdi)
    mov %r9, 9*8(%rdi)
    mov %r10, 10*8(%rdi)
    mov %r11, 11*8(%rdi)
    mov %r12, 12*8(%rdi)
    mov %r13, 13*8(%rdi)
    mov %r14, 14*8(%rdi)
    mov %r15, 15*8(%rdi)
    pop %rcx
    mov %rcx, 7*8(%rdi)
    xor %eax, %eax
3:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

    .section .note.GNU-stack, "", @progbits

/* SPDX-License-Identifier: BSD-2-Clause */
/* void svm_enter(struct hvm_vcpu *v, u64 vmcb, u64 host_vmcb, bool in_shadow)
 *
 * The world switch (APM 2, 15.5): GIF is off around VMRUN, so that nothing comes between the guest's FS,
 * GS, TR and the host's. RFLAGS.IF is on at VMRUN: with V_INTR_MASKING it is what lets the host's
 * interrupts end the guest. RAX and RSP are in the VMCB; gpr[] is at offset 0 of struct hvm_vcpu.
 *
 * A CPU loads the guest's interrupt shadow from the VMCB. QEMU's TCG does not, but carries the one of the
 * STI before VMRUN into the guest: so there is one where the guest is in a shadow, and only there. */
    .text
    .globl svm_enter
svm_enter:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    mov %rsi, %rax
    test %cl, %cl                               /* nothing below changes the flags */
    clgi
    vmload %rax
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
    sti
    nop
    jz 1f
    sti
1:  vmrun %rax
    cli
    vmsave %rax
    xchg %rdi, (%rsp)
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
    pop %rax
    vmload %rax
    stgi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

    .section .note.GNU-stack, "", @progbits

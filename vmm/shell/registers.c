/* SPDX-License-Identifier: BSD-2-Clause */
/* What a vCPU was left with when its VM failed: as much as a person needs to tell whose fault it was. */
#include "kernel/console.h"
#include "kernel/hvm.h"
#include "vmm/shell/shell_vm.h"

static void print_general(const struct hvm_state *s)
{
    const struct {
        const char *name;
        u64 value;
    } row[] = {
        {"rip", s->rip},          {"rsp", s->gpr[REG_RSP]}, {"rfl", s->rflags},
        {"rax", s->gpr[REG_RAX]}, {"rbx", s->gpr[REG_RBX]}, {"rcx", s->gpr[REG_RCX]},
        {"rdx", s->gpr[REG_RDX]}, {"rsi", s->gpr[REG_RSI]}, {"rdi", s->gpr[REG_RDI]},
        {"rbp", s->gpr[REG_RBP]}, {"r8 ", s->gpr[8]},       {"r9 ", s->gpr[9]},
        {"r10", s->gpr[10]},      {"r11", s->gpr[11]},      {"r12", s->gpr[12]},
        {"r13", s->gpr[13]},      {"r14", s->gpr[14]},      {"r15", s->gpr[15]},
        {"cr0", s->mode.cr0},     {"cr2", s->cr2},          {"cr3", s->mode.cr3},
        {"cr4", s->mode.cr4},     {"efr", s->mode.efer},    {"idt", s->idtr.base},
        {"gdt", s->gdtr.base},
    };

    for (unsigned i = 0; i < COUNT_OF(row); i++)
        console_printf("%s%s %016llx%s", i % 3 ? "  " : "    ", row[i].name,
                       (unsigned long long)row[i].value, i % 3 == 2 ? "\n" : "");
    console_printf("  limits: idt %x, gdt %x\n", s->idtr.limit, s->gdtr.limit);
}

static void print_entry(const struct vcpu *v)
{
    const struct hvm_event *e = &v->entered_with;

    console_printf("    entered last at %llx", (unsigned long long)v->entered_at);
    if (e->valid)
        console_printf(" with %s %u", e->type == EVENT_IRQ ? "interrupt" : "exception", e->vector);
    console_print("\n");
}

void shell_registers(struct vm *vm)
{
    for (u32 i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *v = &vm->vcpu[i];
        struct hvm_state s;

        if (v->activity == VCPU_WAIT_SIPI)
            continue;
        hvm->get_state(&v->hvm, &s);
        console_printf("\nvCPU %u, CS %x, was left with\n", i, s.mode.seg[SEG_CS].selector);
        print_general(&s);
        print_entry(v);
    }
}

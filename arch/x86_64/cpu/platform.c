/* SPDX-License-Identifier: BSD-2-Clause */
/* Small things: ports, CPUID, idling, new contexts, and the ways out. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/console.h"
#include "kernel/host.h"

u8 arch_in8(u16 port)
{
    u8 v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

u32 arch_in32(u16 port)
{
    u32 v;

    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}

void arch_out8(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

void arch_out32(u16 port, u32 value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

void arch_early_print(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        for (unsigned i = 0; i < 100000 && !(arch_in8(0x3fd) & 0x20); i++)
            arch_relax();
        arch_out8(0x3f8, (u8)text[at]);
    }
}

void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
                     : "a"(leaf), "c"(subleaf));
}

void arch_cpu_name(char name[49])
{
    u32 *words = (u32 *)(void *)name;
    u32 r[4];

    name[0] = name[48] = '\0';
    arch_cpuid(0x80000000, 0, r);
    for (u32 i = 0; i < 3 && r[0] >= 0x80000004; i++)
        arch_cpuid(0x80000002 + i, 0, words + 4 * i);
}

void arch_irq_window(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

extern void context_start(void); /* vectors.S */

void *arch_context_init(void *stack_top, void (*entry)(void *), void *argument)
{
    u64 *sp = stack_top;

    *--sp = 0; /* the end of the chain of frames */
    *--sp = (u64)context_start;
    *--sp = 0;             /* rbp */
    *--sp = (u64)entry;    /* rbx */
    *--sp = (u64)argument; /* r12 */
    *--sp = 0;             /* r13 */
    *--sp = 0;             /* r14 */
    *--sp = 0;             /* r15 */
    return sp;
}

void arch_halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* --- the ways out ----------------------------------------------------------------------------- */

/* EFI_RUNTIME_SERVICES.ResetSystem (UEFI 2.10, 8.5.1), in the loader's page tables, where firmware
 * finds itself at the addresses at which it was built up. */

typedef void(__attribute__((ms_abi)) * efi_reset_fn)(u32 type, u64 status, u64 size, void *data);

#define EFI_SYSTEM_RUNTIME_SERVICES 88  /* offset in EFI_SYSTEM_TABLE */
#define EFI_RUNTIME_RESET_SYSTEM    104 /* offset in EFI_RUNTIME_SERVICES */
#define EFI_RESET_COLD              0
#define EFI_RESET_SHUTDOWN          2

#define FIRMWARE_STACK KIB(128) /* 2.3.4 */

static NORETURN void call_firmware(u32 type)
{
    const u8 *system, *services;

    cr3_write(host_boot->page_table);
    system = (const u8 *)host_boot->efi_system_table;
    services = *(const u8 *const *)(system + EFI_SYSTEM_RUNTIME_SERVICES);
    (*(const efi_reset_fn *)(services + EFI_RUNTIME_RESET_SYSTEM))(type, 0, 0, NULL);
    arch_halt_forever();
}

/* On a stack in the image, which the loader's page tables map too; those of threads they do not. */
static NORETURN void efi_reset(u32 type)
{
    static u8 stack[FIRMWARE_STACK] ALIGNED(16);

    __asm__ volatile("mov %0, %%rsp; xor %%ebp, %%ebp; call *%1"
                     :
                     : "r"(stack + sizeof(stack)), "r"(call_firmware), "D"(type)
                     : "memory");
    __builtin_unreachable();
}

static void acpi_reset(void)
{
    volatile u8 *reg;

    if (!acpi.reset_supported)
        return;
    if (acpi.reset_space == 1) {
        arch_out8((u16)acpi.reset_address, acpi.reset_value);
        return;
    }
    reg = arch_map_device(HPA(acpi.reset_address), 1);
    if (reg)
        *reg = acpi.reset_value;
}

void arch_reboot(void)
{
    arch_stop_others();
    acpi_reset();
    clock_wait_us(50000);
    arch_out8(0xcf9, 6);   /* reset control register of PC chip sets */
    arch_out8(0x64, 0xfe); /* the keyboard controller's reset line */
    clock_wait_us(50000);
    efi_reset(EFI_RESET_COLD);
}

void arch_poweroff(void)
{
    arch_stop_others();
    console_last_words();
    console_print("If the power stays on, it is safe to switch it off now.\n");
    efi_reset(EFI_RESET_SHUTDOWN);
}

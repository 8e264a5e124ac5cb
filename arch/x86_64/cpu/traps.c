/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/panic.h"

/* vectors.S */
extern const u8 trap_stubs[]; /* 16 bytes each */
extern const u8 idle_halt[];  /* one byte long */
void trap_handle(struct trap_frame *f);

#define STOP_LIMIT_US 100000u /* a CPU that does not take NMIs cannot be waited for */

static void (*handlers[256])(void);
static bool stop_asked;
static u32 stopped;

static const char *const exception_name[32] = {
    [0] = "divide error",         [1] = "debug",
    [3] = "breakpoint",           [4] = "overflow",
    [5] = "bound range",          [6] = "invalid opcode",
    [7] = "device not available", [8] = "double fault",
    [10] = "invalid TSS",         [11] = "segment not present",
    [12] = "stack fault",         [13] = "general protection",
    [14] = "page fault",          [16] = "x87 error",
    [17] = "alignment check",     [18] = "machine check",
    [19] = "SIMD error",          [21] = "control protection",
};

void trap_connect(u8 vector, void (*handler)(void))
{
    handlers[vector] = handler;
}

/* Gates of 16 bytes (SDM 3A 6.14.1): interrupt gates, DPL 0. */
void traps_fill_idt(u64 *idt)
{
    static const u8 ist[256] = {
        [VEC_NMI] = IST_NMI, [VEC_DF] = IST_DOUBLE_FAULT, [VEC_MC] = IST_MACHINE_CHECK};

    for (unsigned v = 0; v < 256; v++) {
        u64 to = (u64)trap_stubs + v * 16;

        idt[2 * v] = (to & 0xffff) | (u64)SEL_CODE << 16 | (u64)ist[v] << 32 | 0x8eull << 40 |
                     (to >> 16 & 0xffff) << 48;
        idt[2 * v + 1] = to >> 32;
    }
}

static void print_registers(const struct trap_frame *f)
{
    const struct {
        const char *name;
        u64 value;
    } row[] = {
        {"rip", f->rip},     {"rsp", f->rsp},     {"rfl", f->rflags},  {"rax", f->rax},
        {"rbx", f->rbx},     {"rcx", f->rcx},     {"rdx", f->rdx},     {"rsi", f->rsi},
        {"rdi", f->rdi},     {"rbp", f->rbp},     {"r8 ", f->r8},      {"r9 ", f->r9},
        {"r10", f->r10},     {"r11", f->r11},     {"r12", f->r12},     {"r13", f->r13},
        {"r14", f->r14},     {"r15", f->r15},     {"cr0", cr0_read()}, {"cr2", cr2_read()},
        {"cr3", cr3_read()}, {"cr4", cr4_read()},
    };

    for (unsigned i = 0; i < COUNT_OF(row); i++)
        console_printf("%s%s %016llx%s", i % 3 ? "  " : "    ", row[i].name,
                       (unsigned long long)row[i].value, i % 3 == 2 ? "\n" : "");
    console_print("\n");
}

static NORETURN void exception_panic(const struct trap_frame *f)
{
    const char *name = exception_name[f->vector];

    panic_begin();
    console_printf("    %s in the kernel (vector %llu, code %llx)\n", name ? name : "exception",
                   (unsigned long long)f->vector, (unsigned long long)f->code);
    print_registers(f);
    panic_backtrace(f->rip, (const void *)f->rbp);
    panic_end();
}

static void nmi(struct trap_frame *f)
{
    struct cpu *c = cpu_this();

    if (__atomic_load_n(&stop_asked, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
        arch_halt_forever();
    }
    /* Two nudges can be one NMI, or come apart: those of the last second have been asked for. */
    if (arch_tsc() - __atomic_load_n(&c->nudged_at, __ATOMIC_SEQ_CST) > arch_tsc_khz() * 1000ull)
        c->stray_nmis++;
    if (f->rip == (u64)idle_halt)
        f->rip++;
}

void arch_stop_others(void)
{
    u64 end = arch_tsc() + (u64)arch_tsc_khz() * STOP_LIMIT_US / 1000;

    if (__atomic_exchange_n(&stop_asked, true, __ATOMIC_SEQ_CST) || cpu_count == 1)
        return;
    apic_nmi_others();
    while (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) < cpu_count - 1 && arch_tsc() < end)
        arch_relax();
}

/* Interrupts come where no lock is held; NMIs may come anywhere. */
static void tell_of_nmis(struct cpu *c)
{
    u32 count = __atomic_exchange_n(&c->stray_nmis, 0, __ATOMIC_SEQ_CST);

    if (count)
        log_warn("CPU %u: %u NMIs that nobody asked for", c->index, count);
}

void trap_handle(struct trap_frame *f)
{
    if (f->vector == VEC_NMI) {
        nmi(f);
        return;
    }
    if (f->vector < 32)
        exception_panic(f);
    cpu_this()->interrupts++;
    tell_of_nmis(cpu_this());
    if (handlers[f->vector])
        handlers[f->vector]();
    if (f->vector != VECTOR_SPURIOUS)
        apic_eoi();
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* What small test guests are made of. A guest defines guest_main, says PASS or FAIL for each thing that it
 * checked, and returns: the library says DONE and turns the VM off. */
#pragma once
#include "kernel/string.h"
#include "vmm/layout.h"

/* The guest itself, in 64-bit mode, interrupts off. */
void guest_main(const char *cmdline);
/* Runs on every other vCPU after cpus_start; number 1 and up. The default halts. */
void guest_other_cpu(unsigned number);

void print(const char *format, ...) PRINTF_LIKE(1, 2);
void check(bool ok, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
/* DONE, then power off. Does not return. */
NORETURN void guest_end_run(void);
NORETURN void power_off(void);
/* The number behind `key=` on the command line. */
u64 option(const char *key, u64 otherwise);

/* The Multiboot information, as far as guests look at it. */
struct multiboot_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
    u32 syms[4];
    u32 mmap_length, mmap_addr;
};
extern const struct multiboot_info *multiboot;
extern u8 guest_end[]; /* memory from here on is the guest's to use */

/* Calls fn(arg); true if that raised an exception, which is then in fault. */
struct fault {
    u64 vector, code, rip, cr2;
};
bool faults(void (*fn)(void *arg), void *arg, struct fault *fault);
/* An interrupt's handler; it must not fault. The library sends the EOI for vectors from 32 on if `eoi`. */
void on_vector(u8 vector, void (*handler)(void), bool eoi);

/* Local APIC registers, by xAPIC offset, in the mode that it is in. */
u32 lapic_read(u32 reg);
void lapic_write(u32 reg, u32 value);
void lapic_enable(bool x2apic);
void lapic_send(u32 destination, u32 low);
/* Starts the other vCPUs and waits for them; returns how many run, this one included. */
unsigned cpus_start(unsigned expected);
/* Puts the code at page 8 that a SIPI of one's own can start. */
void cpus_prepare(void);

static inline u8 in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}
static inline u16 in16(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "d"(port));
    return v;
}
static inline u32 in32(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "d"(port));
    return v;
}
static inline void out8(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "d"(port));
}
static inline void out16(u16 port, u16 v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "d"(port));
}
static inline void out32(u16 port, u32 v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "d"(port));
}
static inline u64 rdmsr(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}
static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline void cpuid(u32 leaf, u32 subleaf, u32 r[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                     : "a"(leaf), "c"(subleaf));
}
static inline u64 rdtsc(void)
{
    return __builtin_ia32_rdtsc();
}
static inline void halt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The architecture contract: all that generic code may ask of the CPU and the platform. It is
 * implemented in arch/x86_64/cpu, and by a fake for unit tests (tests/unit/fake).
 *
 * Interrupts are off whenever the kernel runs. They are taken only in arch_idle, in
 * arch_irq_window, and by a guest that they make exit; their handlers acknowledge, record and
 * return. So code between two such points is not interrupted, and locks never disable anything. */
#pragma once
#include "kernel/boot_info.h"
#include "kernel/cpu.h"
#include "kernel/err.h"
#include "kernel/hvm.h"

/* --- memory --------------------------------------------------------------------------------- */

/* Where all RAM is mapped. */
extern u8 *arch_direct_map;

static inline void *phys_to_virt(hpa_t address)
{
    return arch_direct_map + address.v;
}
/* Of an address in the direct map. */
static inline hpa_t virt_to_phys(const void *address)
{
    return HPA((u64)((const u8 *)address - arch_direct_map));
}

/* Device registers, uncached; NULL without memory. Never unmapped. */
void *arch_map_device(hpa_t address, u64 size);
/* A kernel stack with an unmapped page below it; returns its top, or NULL without memory. */
void *arch_stack_alloc(void);
void arch_stack_free(void *top);
#define ARCH_STACK_SIZE KIB(16)

/* --- this CPU ------------------------------------------------------------------------------- */

static inline void arch_relax(void)
{
    __builtin_ia32_pause();
}
/* Waits for an interrupt, with interrupts on; they are off again on return. */
void arch_idle(void);
/* Lets pending interrupts in. */
void arch_irq_window(void);
void arch_cpuid(u32 leaf, u32 subleaf, u32 out[4]);
/* The CPU's brand string, 48 characters and NUL. */
void arch_cpu_name(char name[49]);
/* "x2APIC" or "xAPIC", and "TSC deadline" or "count" for its timer. */
const char *arch_apic_mode(void);
const char *arch_timer_mode(void);

/* --- time ----------------------------------------------------------------------------------- */

#ifdef FERRY_HOST
u64 arch_tsc(void);
#else
static inline u64 arch_tsc(void)
{
    return __builtin_ia32_rdtsc();
}
#endif
/* Calibrated at boot against a timer of known rate. */
u32 arch_tsc_khz(void);
/* What the TSC was calibrated against: "ACPI PM timer", "PIT". */
const char *arch_clock_source(void);
/* True if CPUID says that the TSC runs at one rate in all power states. */
bool arch_tsc_invariant(void);
/* Fires this CPU's timer interrupt at that TSC value, or a little earlier, once; U64_MAX: never. Its
 * handler clears cpu->timer_armed. */
void arch_timer_set(u64 tsc);
/* Random bytes for keys and nonces, by the CPU's generator (RDRAND; SDM 1 7.3.17). False: there is none, or it failed. */
bool arch_random(void *out, size_t size) MUST_CHECK;
/* Seconds since 1970 by the battery-backed clock, read at boot. */
u64 arch_wall_clock_at_boot(void);

/* --- other CPUs ----------------------------------------------------------------------------- */

/* Starts all other CPUs; each calls entry() on a stack of its own. Returns how many are up,
 * this one included; the log names those that did not come. */
u32 arch_cpus_start(NORETURN void (*entry)(void));
/* Makes another CPU leave its guest, or wake from arch_idle. */
void arch_kick(u32 cpu);
/* The same by NMI, for a CPU that does not come: Bochs can forget an interrupt that is pending as it enters a guest with
 * interrupts off, and all behind it. */
void arch_nudge(u32 cpu);
/* Stops all other CPUs for good (by NMI), and waits 0.1 s for them. For panic and the way out. */
void arch_stop_others(void);

/* --- threads -------------------------------------------------------------------------------- */

/* Prepares a stack so that the first switch to it calls entry(argument), which never returns.
 * Returns the stack pointer to switch to. */
void *arch_context_init(void *stack_top, void (*entry)(void *), void *argument);
/* Saves the present context's stack pointer in *from and continues the other. */
void arch_context_switch(void **from, void *to);

/* --- FPU ------------------------------------------------------------------------------------ */

/* The XSAVE area of a vCPU: size in bytes, alignment 64, for all features that guests may have. */
u32 arch_fpu_size(void);
void arch_fpu_init(void *area);
/* What guests may have in it (bits of XCR0), and the bits that MXCSR has. */
u64 arch_fpu_features(void);
u32 arch_fpu_mxcsr_mask(void);
void arch_fpu_save(void *area);
void arch_fpu_load(const void *area);
/* XCR0 of this CPU: the guest's, while its vCPU is loaded. Not every CPU lets go of the guest when it
 * writes it, so the register itself is what counts. */
void arch_xcr0_set(u64 xcr0);
u64 arch_xcr0_get(void);

/* The kernel's own use of the SSE registers, in a thread: between these two a thread may use them by
 * instructions without VEX, and must neither block nor yield nor load or put a vCPU. What a guest left in
 * them is kept; where no vCPU is loaded, that is nothing, and they cost next to nothing. No nesting. Only files
 * compiled with vector instructions may be called between them. */
void arch_fpu_begin(void);
void arch_fpu_end(void);

/* --- ports and interrupts, for drivers ------------------------------------------------------- */

u8 arch_in8(u16 port);
u32 arch_in32(u16 port);
void arch_out8(u16 port, u8 value);
void arch_out32(u16 port, u32 value);
/* Connects an ISA interrupt line to a handler on this CPU. E_NOENT where no IOAPIC has it. */
enum err arch_irq_connect(u32 isa_line, void (*handler)(void)) MUST_CHECK;

/* Where PCI configuration space is in memory, if firmware says so (ACPI MCFG, segment 0). */
struct arch_ecam {
    hpa_t base; /* of bus 0 */
    u8 first_bus, last_bus;
};
bool arch_pci_ecam(struct arch_ecam *ecam);

/* Text to COM1 as firmware left it. */
void arch_early_print(const char *text, size_t size);

/* --- the end -------------------------------------------------------------------------------- */

NORETURN void arch_reboot(void);
NORETURN void arch_poweroff(void);
NORETURN void arch_halt_forever(void);

/* --- the kernel's side ---------------------------------------------------------------------- */

/* Called once by arch, on the boot CPU, with its own page tables and interrupt tables loaded. */
NORETURN void kernel_main(const struct boot_info *boot);

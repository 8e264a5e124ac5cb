/* SPDX-License-Identifier: BSD-2-Clause */
/* What only arch/ knows of a CPU, and what its parts offer each other. */
#pragma once
#include "kernel/arch.h"

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS  0x18

#define VECTOR_ISA      0x30 /* and the 15 behind it: ISA lines */
#define VECTOR_TIMER    0xf0
#define VECTOR_KICK     0xf1
#define VECTOR_SPURIOUS 0xff

/* SDM 3A 7.7, "Task Management in 64-bit Mode". */
struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} PACKED;
ASSERT_SIZE(struct tss, 104);

enum { IST_NMI = 1, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT = IST_MACHINE_CHECK };

struct cpu_arch {
    u64 gdt[5];
    struct tss tss;
};

/* tables.c: this CPU's GDT, TSS, GS, and the common IDT. Needs the heap. */
void tables_load(struct cpu *c);
/* Where the boot CPU starts, before the heap: GS only. */
void tables_load_early(struct cpu *c);

/* traps.c */
struct trap_frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, code, rip, cs, rflags, rsp, ss;
};
void trap_connect(u8 vector, void (*handler)(void));
void traps_fill_idt(u64 *idt);

/* address_space.c: the kernel's page tables. */
extern const struct ptab_format host_format;
void address_space_init(const struct boot_info *boot);
void address_space_load(void);
hpa_t address_space_root(void);

/* acpi.c: what the tables say. All zero where firmware has none. */
struct acpi_info {
    u32 cpu_count;
    u32 apic_id[BOOT_MAX_CPUS];
    u64 ioapic;       /* physical address of the first IOAPIC */
    u32 ioapic_gsi;   /* its first interrupt */
    u32 isa_gsi[16];  /* where each ISA line goes */
    u8 isa_flags[16]; /* MPS INTI flags: polarity 1:0, trigger 3:2 */
    u64 mcfg_base;    /* ECAM of segment 0, or 0 */
    u8 mcfg_first_bus, mcfg_last_bus;
    u16 pm_timer_port; /* 0: none */
    bool pm_timer_32;
    bool reset_supported;
    u8 reset_space; /* 0 memory, 1 I/O */
    u8 reset_value;
    u64 reset_address;
};
extern struct acpi_info acpi;
void acpi_init(const struct boot_info *boot);

/* apic.c: this CPU's local APIC. */
void apic_init(void);     /* once: picks the mode */
void apic_cpu_init(void); /* on each CPU */
u32 apic_id(void);
void apic_eoi(void);
/* An NMI to every other CPU. */
void apic_nmi_others(void);
/* Sends the interrupt command; low is ICR 31:0. */
void apic_send(u32 destination, u32 low);
void apic_timer_calibrate(void);
#define ICR_FIXED  0x00000u
#define ICR_NMI    0x00400u
#define ICR_INIT   0x00500u
#define ICR_SIPI   0x00600u
#define ICR_ASSERT 0x04000u
#define ICR_LEVEL  0x08000u
#define ICR_OTHERS 0xc0000u

/* clock.c */
void clock_calibrate(void);
void clock_wait_us(u64 us);

/* fpu.c: CR0, CR4 and XCR0 of this CPU as the kernel keeps them. */
void fpu_cpu_init(void);
/* fpu_own.c: is this CPU between arch_fpu_begin and arch_fpu_end? */
bool fpu_own_use(void);

/* hvm.c: turns virtualisation on on this CPU, if the host has it. */
void hvm_cpu_start(void);

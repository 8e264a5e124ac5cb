/* SPDX-License-Identifier: BSD-2-Clause */
/* From the loader's world to the kernel's: everything that must be there before kernel_main. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/frames.h"

u8 *arch_direct_map = (u8 *)0xffff800000000000ull; /* the loader maps RAM there too */

NORETURN void arch_start(const struct boot_info *boot);

void arch_start(const struct boot_info *boot)
{
    struct cpu *c = &cpus[0];

    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
    tables_load_early(c);
    frames_init(boot);
    address_space_init(boot);
    address_space_load();
    tables_load(c);
    fpu_cpu_init();
    acpi_init(boot);
    clock_calibrate();
    apic_init();
    apic_cpu_init();
    c->hardware_id = apic_id();
    apic_timer_calibrate();
    kernel_main(boot);
}

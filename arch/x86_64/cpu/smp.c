/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the other CPUs: INIT, SIPI, SIPI (SDM 3A 8.4.4.1), one after the other. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/host.h"
#include "kernel/log.h"
#include "kernel/string.h"

extern const u8 ap_code[], ap_code_end[], ap_data[], ap_gdt[], ap_long[], ap_kernel_entry[];
NORETURN void ap_start(void);

/* The data behind ap_data in boot/entry/ap.S. */
struct ap_data {
    u32 cr3;
    u16 gdt_limit;
    u32 gdt_base;
    u32 far_offset;
    u16 far_selector;
    u64 stack;
    u64 entry;
    u64 kernel_cr3;
} PACKED;
ASSERT_OFFSET(struct ap_data, stack, 16);

static NORETURN void (*ap_then)(void);
static u32 ap_up; /* CPUs that have arrived */

void ap_start(void)
{
    struct cpu *c = &cpus[cpu_count];

    address_space_load();
    tables_load_early(c);
    tables_load(c);
    fpu_cpu_init();
    apic_cpu_init();
    hvm_cpu_start();
    __atomic_store_n(&ap_up, ap_up + 1, __ATOMIC_RELEASE);
    ap_then();
}

static bool wait_for(u32 up, u64 us)
{
    for (; us && __atomic_load_n(&ap_up, __ATOMIC_ACQUIRE) != up; us -= 10)
        clock_wait_us(10);
    return __atomic_load_n(&ap_up, __ATOMIC_ACQUIRE) == up;
}

static bool start_one(struct cpu *c, hpa_t page)
{
    struct ap_data *d = phys_to_virt(HPA(page.v + (u64)(ap_data - ap_code)));
    u32 sipi = ICR_SIPI | ICR_ASSERT | (u32)(page.v >> PAGE_SHIFT), up = ap_up + 1;
    void *stack = arch_stack_alloc();

    if (!stack)
        return false;
    d->stack = (u64)stack;
    apic_send(c->hardware_id, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
    apic_send(c->hardware_id, ICR_INIT | ICR_LEVEL);
    clock_wait_us(10000);
    apic_send(c->hardware_id, sipi);
    if (wait_for(up, 10000))
        return true;
    apic_send(c->hardware_id, sipi);
    return wait_for(up, 2000000);
}

static void trampoline_place(hpa_t page)
{
    struct ap_data *d = phys_to_virt(HPA(page.v + (u64)(ap_data - ap_code)));

    memcpy(phys_to_virt(page), ap_code, (size_t)(ap_code_end - ap_code));
    d->cr3 = (u32)host_boot->page_table;
    d->gdt_base = (u32)page.v + (u32)(ap_gdt - ap_code);
    d->far_offset = (u32)page.v + (u32)(ap_long - ap_code);
    d->entry = (u64)ap_kernel_entry;
    d->kernel_cr3 = address_space_root().v;
}

u32 arch_cpus_start(NORETURN void (*entry)(void))
{
    hpa_t page = HPA(host_boot->low_page);

    ap_then = entry;
    trampoline_place(page);
    for (u32 i = 0; i < acpi.cpu_count && cpu_count < MAX_CPUS; i++) {
        struct cpu *c = &cpus[cpu_count];

        if (acpi.apic_id[i] == cpus[0].hardware_id)
            continue;
        c->index = cpu_count;
        c->hardware_id = acpi.apic_id[i];
        if (start_one(c, page))
            cpu_count++;
        else
            log_error("CPU with APIC id %u does not start; going on without it", c->hardware_id);
    }
    return cpu_count;
}

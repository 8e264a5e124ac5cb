/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include "vm_world.h"
#include "fake.h"
#include "kernel/arch.h"
#include "kernel/timer.h"

#define MEMORY MIB(64)

static void get_state(struct hvm_vcpu *v, struct hvm_state *s)
{
    *s = *(struct hvm_state *)v->arch;
}

static void set_state(struct hvm_vcpu *v, const struct hvm_state *s)
{
    *(struct hvm_state *)v->arch = *s;
}

static const struct hvm_ops ops = {.name = "SVM", .get_state = get_state, .set_state = set_state};
const struct hvm_ops *hvm = &ops;

u32 arch_fpu_size(void)
{
    return 832;
}

u64 arch_fpu_features(void)
{
    return 7;
}

u32 arch_fpu_mxcsr_mask(void)
{
    return 0xffff;
}

static void put_nowhere(void *ctx, u8 byte)
{
    (void)ctx;
    (void)byte;
}

static void reset_cpu(struct vm_world *w, unsigned i)
{
    struct vcpu *v = &w->vm.vcpu[i];
    u16 fcw = 0x37f;
    u32 mxcsr = 0x1f80;

    *v = (struct vcpu){.vm = &w->vm, .index = i, .parked = true};
    v->hvm.arch = &w->cpu[i];
    v->hvm.fpu = w->fpu[i];
    w->cpu[i] = (struct hvm_state){.rflags = RFLAGS_FIXED, .xcr0 = XCR0_X87, .mode.cr0 = CR0_ET};
    w->cpu[i].msr[HVM_MSR_PAT] = 0x0007040600070406;
    memset(w->fpu[i], 0, sizeof(w->fpu[i]));
    memcpy(w->fpu[i], &fcw, sizeof(fcw));
    memcpy(w->fpu[i] + 24, &mxcsr, sizeof(mxcsr));
}

void vm_world_make(struct vm_world *w, enum vm_state state)
{
    struct uart_sink sink = {put_nowhere, NULL};

    memset(w, 0, sizeof(*w));
    w->vm.config = (struct config_vm){.name = "web", .memory = MEMORY, .vcpus = WORLD_VCPUS};
    w->vm.state = state;
    w->vm.held_in = VM_RUNNING;
    w->vm.pmap.memory = MEMORY;
    w->vm.cpuid = (struct cpuid_policy){.vcpus = WORLD_VCPUS, .xcr0 = 7, .count = 1};
    w->vm.wall_clock = 1700000000;
    platform_init(&w->vm.platform, WORLD_VCPUS, w->vm.wall_clock, &sink);
    for (unsigned i = 0; i < WORLD_VCPUS; i++)
        reset_cpu(w, i);
    vm_set_time(&w->vm, 0, 0);
}

/* --- a machine in use --------------------------------------------------------------------------------- */

static void out(struct vm_world *w, u16 port, u8 value, const struct vtime *now)
{
    platform_out(&w->vm.platform, 0, port, 1, now, value);
}

static void use_devices(struct vm_world *w, const struct vtime *now)
{
    struct irqchip *chip = &w->vm.platform.devices.irqchip;

    for (unsigned i = 0; i < 4; i++) /* PICs at 28h and 30h; line 1 is in service, line 12 waits */
        out(w, i ? 0x21 : 0x20, (u8[]){0x11, 0x28, 4, 1}[i], now);
    for (unsigned i = 0; i < 4; i++)
        out(w, i ? 0xa1 : 0xa0, (u8[]){0x11, 0x30, 2, 1}[i], now);
    out(w, 0x4d1, 0x10, now);
    irqchip_line(chip, 1, true);
    irqchip_accept(chip, 0);
    irqchip_line(chip, 12, true);
    out(w, 0x43, 0x34,
        now); /* PIT: channel 0 at 100 Hz, 2 one-shot with the gate on, a latch half read */
    out(w, 0x40, 0x9c, now);
    out(w, 0x40, 0x2e, now);
    out(w, 0x61, 1, now);
    out(w, 0x43, 0xb0, now);
    out(w, 0x42, 0x34, now);
    out(w, 0x42, 0x12, now);
    out(w, 0x43, 0x00, now);
    platform_in(&w->vm.platform, 0, 0x40, 1, now, &(u32){0});
    out(w, 0x70, 0x0a, now); /* RTC: 1024 Hz, alarms, a byte of CMOS */
    out(w, 0x71, 0x26, now);
    out(w, 0x70, 0x0b, now);
    out(w, 0x71, 0x72, now);
    out(w, 0x70, 0x55, now);
    out(w, 0x71, 0xa5, now);
    out(w, PORT_COM1 + 2, 0x81, now); /* UART: FIFO, loopback overrun, bytes received */
    out(w, PORT_COM1 + 4, 0x1b, now);
    for (unsigned i = 0; i < 17; i++)
        out(w, PORT_COM1, (u8)i, now);
    out(w, PORT_COM1 + 1, 7, now);
    out(w, 0x92, 2, now);
    out(w, PORT_SLEEP_CONTROL, 4, now);
    out(w, PORT_RESET, RESET_VALUE, now); /* asked for, and not taken yet */
    for (unsigned i = 0; i < 5; i++)
        vm_console_type(&w->vm.console, (u8)("hello"[i]));
}

static void apic(struct vm_world *w, unsigned cpu, u32 offset, u32 value, const struct vtime *now)
{
    irqchip_mmio_write(&w->vm.platform.devices.irqchip, cpu, GPA(GUEST_LAPIC + offset), 4, value,
                       now);
}

static void use_apics(struct vm_world *w, const struct vtime *now)
{
    struct irqchip *chip = &w->vm.platform.devices.irqchip;
    u64 base;

    for (unsigned i = 0; i < WORLD_VCPUS; i++)
        apic(w, i, 0xf0, 0x1ff, now);
    apic(w, 0, 0x320, 0x40 | 1 << 17, now); /* periodic */
    apic(w, 0, 0x3e0, 9, now);
    apic(w, 0, 0x380, 12345, now);
    apic(w, 0, 0xd0, 1u << 24, now);
    apic(w, 0, 0x360, 0x10400, now);
    apic(w, 1, 0x320, 0x50 | 2 << 17, now); /* TSC deadline */
    irqchip_write_msr(chip, 1, MSR_TSC_DEADLINE, now->tsc + 5000000, now);
    irqchip_read_msr(chip, 1, MSR_APIC_BASE, &base, now);
    irqchip_write_msr(chip, 1, MSR_APIC_BASE, base | APIC_BASE_X2APIC, now);
    apic(w, 0, 0x300, 0x4041, now); /* to itself: one in service, one behind it */
    irqchip_accept(chip, 0);
    apic(w, 0, 0x300, 0x4045, now);
    apic(w, 0, 0x310, 2u << 24, now);
    apic(w, 0, 0x300, 0x4500, now); /* INIT and SIPI to vCPU 2 */
    apic(w, 0, 0x300, 0x4612, now);
    apic(w, 0, 0x310, 1u << 24, now);
    apic(w, 0, 0x300, 0x4400, now); /* NMI to vCPU 1 */
    irqchip_mmio_write(chip, 0, GPA(GUEST_IOAPIC), 4, 0x10 + 2 * 19,
                       now); /* level, with remote IRR */
    irqchip_mmio_write(chip, 0, GPA(GUEST_IOAPIC + 0x10), 4, 0x61 | 1 << 15, now);
    irqchip_line(chip, 19, true);
}

static void use_cpu(struct vm_world *w, unsigned i)
{
    struct hvm_state *s = &w->cpu[i];
    struct vcpu *v = &w->vm.vcpu[i];

    *s = (struct hvm_state){.rip = 0xffffffff81000000 + i,
                            .rflags = 0x246,
                            .cr2 = 0x7123,
                            .xcr0 = 7,
                            .dr6 = 0xffff0ff0,
                            .dr7 = 0x400,
                            .mode = {.cr0 = 0x80050033,
                                     .cr3 = 0x1000 * i,
                                     .cr4 = 0x3406f0 & ~CR4_PCIDE,
                                     .efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE},
                            .gdtr = {0xfffffe0000001000, 0x7f},
                            .idtr = {0xfffffe0000000000, 0xfff},
                            .nmi_blocked = i == 0};
    for (unsigned r = 0; r < REG_COUNT; r++)
        s->gpr[r] = (i * 100 + r + 1) * 0x9e3779b97f4a7c15ull;
    for (unsigned n = 0; n < SEG_COUNT; n++)
        s->mode.seg[n] = (struct hvm_segment){
            .base = n * 0x1000, .limit = ~0u, .attr = 0xa09b, .selector = (u16)(8 * n)};
    s->mode.seg[SEG_DS].attr = SEG_ATTR_UNUSABLE;
    s->mode.seg[SEG_SS].attr = SEG_ATTR_UNUSABLE | 0x60;
    for (unsigned n = 0; n < HVM_MSR_COUNT; n++)
        s->msr[n] = 0x1000 + i * 16 + n;
    s->msr[HVM_MSR_PAT] = 0x0407050600070106;
    s->event = i == 0 ? (struct hvm_event){.valid = true,
                                           .has_code = true,
                                           .type = EVENT_EXCEPTION,
                                           .vector = VEC_PF,
                                           .code = 6}
                      : (struct hvm_event){0};
    s->sti_shadow = i == 1;
    v->activity = (enum vcpu_activity)i;
    v->tsc_adjust = i * 1000;
    v->kvmclock = i == 1 ? 0x5001 : 0;
    v->clock_due = i == 1;
    v->wall_due = i == 2;
    v->wall_at = i == 2 ? 0x6000 : 0;
    w->fpu[i][512] = 7; /* XSTATE_BV */
    memset(w->fpu[i] + 576, 0x40 + (int)i, 256);
}

void vm_world_use(struct vm_world *w)
{
    struct vtime now = {.ns = 1000, .tsc = 1000, .tsc_khz = arch_tsc_khz()};

    vm_set_time(&w->vm, SEC(1234) + 567, 999999999);
    w->vm.clock = (struct guest_clock){100, 200};
    w->vm.resets = 3;
    now.ns = SEC(1234) + 567 - MSEC(3); /* a while ago, so that timers are under way */
    now.tsc = 999999999 - 3000000;
    use_devices(w, &now);
    use_apics(w, &now);
    for (unsigned i = 0; i < WORLD_VCPUS; i++)
        use_cpu(w, i);
}

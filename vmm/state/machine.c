/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's own section, its CPUID, its devices; and the table of all sections. */
#include "kernel/string.h"
#include "vmm/state/sections.h"

#define NS_MOST   BIT(62) /* of guest time */
#define TSC_MOST  BIT(63) /* of a guest's TSC, which begins at 0 */
#define PPM_MOST  500     /* between calibrated TSC rates: what a guest's clock corrects */
#define FPU_LEAST 576

/* --- the machine ------------------------------------------------------------------------------------ */

u32 state_get_vm(struct vm *vm, u32 index, const struct vtime *now, void *buffer)
{
    struct state_vm *to = buffer;

    (void)index;
    *to = (struct state_vm){
        .vcpus = vm->config.vcpus,
        .tsc_khz = arch_tsc_khz(),
        .memory = vm->config.memory,
        .ns = now->ns,
        .tsc = now->tsc,
        .clock_tsc = vm->clock.tsc,
        .clock_ns = vm->clock.ns,
        .wall_clock = vm->wall_clock,
        .resets = vm->resets,
        .runs = vm->held_in == VM_RUNNING || vm->starved,
    };
    str_copy(to->backend, sizeof(to->backend), hvm->name);
    return sizeof(*to);
}

static enum err check_rate(const struct state_load *l, u32 khz)
{
    u32 own = arch_tsc_khz(), apart = khz > own ? khz - own : own - khz;

    if ((u64)apart * 1000000 <= (u64)own * PPM_MOST)
        return OK;
    return why_set(l->why, E_UNSUPPORTED,
                   "its TSC runs at %u kHz and this host's at %u: more than %u ppm apart", khz, own,
                   PPM_MOST);
}

/* What a guest takes its TSC for is reckoned from a moment that has been, and like guest time does not wrap, now or later. */
static bool time_is_valid(const struct state_load *l, const struct state_vm *s)
{
    struct guest_clock clock = {s->clock_tsc, s->clock_ns};
    u64 ns_most = NS_MOST - l->elapsed_ns;

    return s->runs <= 1 && s->ns < ns_most && s->tsc < TSC_MOST && s->clock_tsc <= s->tsc &&
           s->clock_ns < NS_MOST && clock_read(&clock, s->tsc_khz, s->tsc) < ns_most;
}

enum err state_check_vm(const struct state_load *l, const void *from, u32 length)
{
    const struct state_vm *s = from;
    const struct vm *vm = l->vm;
    char backend[sizeof(s->backend)] = "";
    enum err e;

    (void)length;
    str_copy(backend, sizeof(backend), hvm->name);
    if (memcmp(s->backend, backend, sizeof(backend)) != 0)
        return why_set(l->why, E_UNSUPPORTED, "it was run by %.8s, and this host has %s",
                       s->backend, hvm->name);
    if (s->vcpus != vm->config.vcpus || s->memory != vm->config.memory)
        return why_set(l->why, E_RANGE,
                       "it is of a VM with %u vCPUs and %llu KiB, and %s has %u and %llu", s->vcpus,
                       (unsigned long long)s->memory >> 10, vm->config.name, vm->config.vcpus,
                       (unsigned long long)vm->config.memory >> 10);
    e = check_rate(l, s->tsc_khz);
    if (!e && (!time_is_valid(l, s) || !mem_is_zero(s->zero, sizeof(s->zero))))
        return why_set(l->why, E_RANGE, "its time cannot be so");
    return e;
}

u32 state_get_cpuid(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)index;
    (void)now;
    memcpy(to, &vm->cpuid, sizeof(vm->cpuid));
    return sizeof(vm->cpuid);
}

enum err state_check_cpuid(const struct state_load *l, const void *from, u32 length)
{
    if (memcmp(from, &l->vm->cpuid, length) != 0)
        return why_set(l->why, E_RANGE, "its CPUID is not the one that %s was made with",
                       l->vm->config.name);
    return OK;
}

/* Checked against what is there already; or set by load.c for all of the VM. */
void state_set_nothing(const struct state_load *l, const void *from, u32 length)
{
    (void)l;
    (void)from;
    (void)length;
}

/* --- devices ---------------------------------------------------------------------------------------- */

static struct platform_devices *devices(struct vm *vm)
{
    return &vm->platform.devices;
}

static enum err refuse(const struct state_load *l, const char *what)
{
    return why_set(l->why, E_RANGE, "its %s cannot be in that state", what);
}

static u32 get_lapic(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    lapic_save(&devices(vm)->irqchip.lapic[index], to, now);
    return sizeof(struct lapic);
}

static enum err check_lapic(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    return lapic_is_valid(from, l->index, !l->index) ? OK : refuse(l, "local APIC");
}

static void set_lapic(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    lapic_load(&devices(l->vm)->irqchip.lapic[l->index], from, &l->now);
}

static u32 get_irqchip(struct vm *vm, u32 index, const struct vtime *now, void *buffer)
{
    struct state_irqchip *to = buffer;

    (void)index;
    (void)now;
    *to = (struct state_irqchip){0};
    memcpy(to->cpu, devices(vm)->irqchip.cpu, vm->config.vcpus * sizeof(to->cpu[0]));
    return sizeof(*to);
}

static enum err check_irqchip(const struct state_load *l, const void *from, u32 length)
{
    const struct state_irqchip *s = from;
    u32 vcpus = l->vm->config.vcpus;
    bool ok = mem_is_zero(s->cpu + vcpus, (VM_MAX_VCPUS - vcpus) * sizeof(s->cpu[0]));

    (void)length;
    for (u32 i = 0; i < vcpus; i++)
        ok = ok && s->cpu[i].init_pending <= 1 && s->cpu[i].sipi_pending <= 1 &&
             s->cpu[i].nmi_pending <= 1;
    return ok ? OK : refuse(l, "interrupt requests");
}

/* Before the PIC's section, which says what INTR is. */
static void set_irqchip(const struct state_load *l, const void *from, u32 length)
{
    struct irqchip *chip = &devices(l->vm)->irqchip;

    (void)length;
    memcpy(chip->cpu, ((const struct state_irqchip *)from)->cpu, sizeof(chip->cpu));
    chip->kick = 0;
}

static u32 get_pic(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)index;
    (void)now;
    memcpy(to, &devices(vm)->irqchip.pic, sizeof(struct pic));
    return sizeof(struct pic);
}

static enum err check_pic(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    return pic_is_valid(from) ? OK : refuse(l, "PIC");
}

static void set_pic(const struct state_load *l, const void *from, u32 length)
{
    struct irqchip *chip = &devices(l->vm)->irqchip;

    memcpy(&chip->pic, from, length);
    chip->pic_intr = pic_intr(&chip->pic);
}

static u32 get_pit(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)index;
    pit_save(&devices(vm)->pit, to, now);
    return sizeof(struct pit);
}

static enum err check_pit(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    return pit_is_valid(from) ? OK : refuse(l, "PIT");
}

static void set_pit(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    pit_load(&devices(l->vm)->pit, from, &l->now);
}

static u32 get_rtc(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)index;
    (void)now;
    rtc_save(&devices(vm)->rtc, to);
    return sizeof(struct rtc);
}

static enum err check_rtc(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    return rtc_is_valid(from) ? OK : refuse(l, "RTC");
}

static void set_rtc(const struct state_load *l, const void *from, u32 length)
{
    (void)length;
    rtc_load(&devices(l->vm)->rtc, from, &l->now);
}

static u32 get_power(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    (void)index;
    (void)now;
    *(struct state_power *)to =
        (struct state_power){.power = devices(vm)->power, .event = devices(vm)->power_event};
    return sizeof(struct state_power);
}

static enum err check_power(const struct state_load *l, const void *from, u32 length)
{
    const struct state_power *s = from;

    (void)length;
    return power_is_valid(&s->power) && s->event <= POWER_RESET &&
                   mem_is_zero(s->zero, sizeof(s->zero))
               ? OK
               : refuse(l, "power control");
}

static void set_power(const struct state_load *l, const void *from, u32 length)
{
    const struct state_power *s = from;

    (void)length;
    devices(l->vm)->power = s->power;
    devices(l->vm)->power_event = s->event;
}

/* Devices without a time in them are a copy. */
#define COPIED(name, member, is_valid, what)                                                       \
    static u32 get_##name(struct vm *vm, u32 index, const struct vtime *now, void *to)             \
    {                                                                                              \
        (void)index;                                                                               \
        (void)now;                                                                                 \
        memcpy(to, &devices(vm)->member, sizeof(devices(vm)->member));                             \
        return sizeof(devices(vm)->member);                                                        \
    }                                                                                              \
    static enum err check_##name(const struct state_load *l, const void *from, u32 length)         \
    {                                                                                              \
        (void)length;                                                                              \
        return is_valid(from) ? OK : refuse(l, what);                                              \
    }                                                                                              \
    static void set_##name(const struct state_load *l, const void *from, u32 length)               \
    {                                                                                              \
        memcpy(&devices(l->vm)->member, from, length);                                             \
    }
COPIED(ioapic, irqchip.ioapic, ioapic_is_valid, "IOAPIC")
COPIED(com1, com1, uart_is_valid, "UART")

/* --- the console ------------------------------------------------------------------------------------- */

static u32 get_input(struct vm *vm, u32 index, const struct vtime *now, void *to)
{
    const struct vm_console *c = &vm->console;
    u32 n = c->input_head - c->input_tail;

    (void)index;
    (void)now;
    for (u32 i = 0; i < n; i++)
        ((u8 *)to)[i] = c->input[(c->input_tail + i) % VM_CONSOLE_INPUT];
    return n;
}

static enum err check_input(const struct state_load *l, const void *from, u32 length)
{
    (void)l;
    (void)from;
    (void)length;
    return OK;
}

static void set_input(const struct state_load *l, const void *from, u32 length)
{
    struct vm_console *c = &l->vm->console;

    c->input_head = c->input_tail = 0;
    for (u32 i = 0; i < length; i++)
        vm_console_type(c, ((const u8 *)from)[i]);
}

/* --- all of them --------------------------------------------------------------------------------------- */

#define ONE(type, name, layout, get, check, set)                                                   \
    {                                                                                              \
        type, false, name, sizeof(layout), sizeof(layout), get, check, set                         \
    }
#define EACH(type, name, layout, get, check, set)                                                  \
    {                                                                                              \
        type, true, name, sizeof(layout), sizeof(layout), get, check, set                          \
    }

const struct state_row state_rows[] = {
    ONE(STATE_VM, "machine", struct state_vm, state_get_vm, state_check_vm, state_set_nothing),
    ONE(STATE_CPUID, "CPUID", struct cpuid_policy, state_get_cpuid, state_check_cpuid,
        state_set_nothing),
    EACH(STATE_CPU, "registers", struct state_cpu, state_get_cpu, state_check_cpu, state_set_cpu),
    {STATE_FPU, true, "FPU", FPU_LEAST, 0, state_get_fpu, state_check_fpu, state_set_fpu},
    EACH(STATE_LAPIC, "local APIC", struct lapic, get_lapic, check_lapic, set_lapic),
    ONE(STATE_IRQCHIP, "interrupt requests", struct state_irqchip, get_irqchip, check_irqchip,
        set_irqchip),
    ONE(STATE_IOAPIC, "IOAPIC", struct ioapic, get_ioapic, check_ioapic, set_ioapic),
    ONE(STATE_PIC, "PIC", struct pic, get_pic, check_pic, set_pic),
    ONE(STATE_PIT, "PIT", struct pit, get_pit, check_pit, set_pit),
    ONE(STATE_RTC, "RTC", struct rtc, get_rtc, check_rtc, set_rtc),
    ONE(STATE_COM1, "UART", struct uart, get_com1, check_com1, set_com1),
    ONE(STATE_POWER, "power control", struct state_power, get_power, check_power, set_power),
    {STATE_INPUT, false, "console input", 0, VM_CONSOLE_INPUT, get_input, check_input, set_input},
};
const u32 state_row_count = COUNT_OF(state_rows);
_Static_assert(COUNT_OF(state_rows) == STATE_TYPE_END - 1, "a row for each section");

u32 state_row_most(const struct state_row *row)
{
    return row->most || !row->per_vcpu ? row->most : arch_fpu_size();
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC (SDM 3A chapter 10) in xAPIC or x2APIC mode, and the IOAPIC for ISA lines. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "arch/x86_64/cpu/msr.h"
#include "kernel/panic.h"
#include "kernel/timer.h"

/* Register offsets in the xAPIC page; the x2APIC MSR is 800h + offset / 16. */
#define REG_ID            0x020
#define REG_EOI           0x0b0
#define REG_SVR           0x0f0
#define REG_ICR           0x300
#define REG_ICR_HIGH      0x310
#define REG_LVT_TIMER     0x320
#define REG_LVT_LINT0     0x350
#define REG_LVT_LINT1     0x360
#define REG_LVT_ERROR     0x370
#define REG_TIMER_INITIAL 0x380
#define REG_TIMER_CURRENT 0x390
#define REG_TIMER_DIVIDE  0x3e0
#define REG_TPR           0x080

#define BASE_ENABLE      BIT(11)
#define BASE_X2APIC      BIT(10)
#define LVT_MASKED       BIT(16)
#define LVT_NMI          0x400u
#define LVT_TSC_DEADLINE BIT(18)
#define ICR_BUSY         BIT(12)

static volatile u32 *page; /* NULL in x2APIC mode */
static bool tsc_deadline;
static u64 ticks_per_tsc; /* LAPIC timer ticks per TSC tick, times 2^32 */

static u32 reg_read(u32 reg)
{
    return page ? page[reg / 4] : (u32)msr_read(MSR_X2APIC_BASE + reg / 16);
}

static void reg_write(u32 reg, u32 value)
{
    if (page)
        page[reg / 4] = value;
    else
        msr_write(MSR_X2APIC_BASE + reg / 16, value);
}

const char *arch_apic_mode(void)
{
    return page ? "xAPIC" : "x2APIC";
}

const char *arch_timer_mode(void)
{
    return tsc_deadline ? "TSC deadline" : "countdown";
}

u32 apic_id(void)
{
    return page ? reg_read(REG_ID) >> 24 : reg_read(REG_ID);
}

void apic_eoi(void)
{
    reg_write(REG_EOI, 0);
}

void apic_send(u32 destination, u32 low)
{
    if (!page) {
        msr_write(MSR_X2APIC_BASE + REG_ICR / 16, (u64)destination << 32 | low);
        return;
    }
    for (u64 end = arch_tsc() + arch_tsc_khz(); reg_read(REG_ICR) & ICR_BUSY && arch_tsc() < end;)
        arch_relax();
    reg_write(REG_ICR_HIGH, destination << 24);
    reg_write(REG_ICR, low);
}

static void timer_fired(void)
{
    cpu_this()->timer_armed = 0; /* whoever runs looks at its timers (timer_run) */
}

static void kicked(void)
{
    /* Its purpose was to end a halt or a guest's run. */
}

void apic_init(void)
{
    u32 r[4];

    arch_cpuid(1, 0, r);
    tsc_deadline = r[2] & BIT(24);
    if (!(r[2] & BIT(21))) {
        page = arch_map_device(HPA(msr_read(MSR_IA32_APIC_BASE) & 0xffffff000ull), PAGE_SIZE);
        if (!page)
            panic("no memory to map the local APIC");
    }
    trap_connect(VECTOR_TIMER, timer_fired);
    trap_connect(VECTOR_KICK, kicked);
}

void apic_cpu_init(void)
{
    u64 base = msr_read(MSR_IA32_APIC_BASE) | BASE_ENABLE;

    msr_write(MSR_IA32_APIC_BASE, base);
    if (!page)
        msr_write(MSR_IA32_APIC_BASE, base | BASE_X2APIC);
    reg_write(REG_SVR, VECTOR_SPURIOUS | BIT(8));
    reg_write(REG_TPR, 0);
    reg_write(REG_LVT_LINT0, LVT_MASKED);
    reg_write(REG_LVT_LINT1, LVT_NMI);
    reg_write(REG_LVT_ERROR, LVT_MASKED);
    reg_write(REG_TIMER_DIVIDE, 0xb); /* by 1 */
    reg_write(REG_LVT_TIMER, VECTOR_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
    /* The mode must be set before a deadline is (10.5.4.1). */
    __asm__ volatile("mfence" : : : "memory");
}

/* Both are counted over the same 10 ms. */
void apic_timer_calibrate(void)
{
    u64 start, ticks, tsc;

    if (tsc_deadline)
        return;
    reg_write(REG_LVT_TIMER, LVT_MASKED);
    reg_write(REG_TIMER_INITIAL, 0xffffffff);
    start = arch_tsc();
    while (arch_tsc() - start < arch_tsc_khz() * 10ull)
        arch_relax();
    ticks = 0xffffffff - reg_read(REG_TIMER_CURRENT);
    tsc = arch_tsc() - start;
    reg_write(REG_TIMER_INITIAL, 0);
    reg_write(REG_LVT_TIMER, VECTOR_TIMER);
    ticks_per_tsc = (ticks << 32) / tsc;
    if (!ticks_per_tsc)
        panic("the local APIC's timer does not count");
}

void arch_timer_set(u64 tsc)
{
    u64 now, ticks;

    if (tsc_deadline) {
        /* 0 disarms; a moment in the past fires at once. */
        msr_write(MSR_IA32_TSC_DEADLINE, tsc == U64_MAX ? 0 : MAX(tsc, 1));
        return;
    }
    if (tsc == U64_MAX) {
        reg_write(REG_TIMER_INITIAL, 0);
        return;
    }
    now = arch_tsc();
    ticks = tsc <= now ? 1 : (u64)(((unsigned __int128)(tsc - now) * ticks_per_tsc) >> 32) + 1;
    reg_write(REG_TIMER_INITIAL, (u32)MIN(ticks, 0xffffffffull));
}

void arch_kick(u32 cpu)
{
    apic_send(cpus[cpu].hardware_id, ICR_FIXED | ICR_ASSERT | VECTOR_KICK);
}

void arch_nudge(u32 cpu)
{
    __atomic_store_n(&cpus[cpu].nudged_at, arch_tsc(), __ATOMIC_SEQ_CST);
    apic_send(cpus[cpu].hardware_id, ICR_NMI | ICR_ASSERT);
}

void apic_nmi_others(void)
{
    apic_send(0, ICR_NMI | ICR_ASSERT | ICR_OTHERS);
}

/* --- IOAPIC (82093AA data sheet, 3.1 and 3.2) ------------------------------------------------------ */

#define IOAPIC_VERSION     0x01
#define IOAPIC_REDIRECTION 0x10
#define REDIRECTION_MASKED BIT(16)
#define REDIRECTION_LEVEL  BIT(15)
#define REDIRECTION_LOW    BIT(13)

static volatile u32 *ioapic;

static u32 ioapic_read(u32 reg)
{
    ioapic[0] = reg;
    return ioapic[4];
}

static void ioapic_write(u32 reg, u32 value)
{
    ioapic[0] = reg;
    ioapic[4] = value;
}

/* Maps the IOAPIC and masks all its pins; false if there is none. */
static bool ioapic_init(void)
{
    u32 version;

    if (ioapic)
        return true;
    ioapic = arch_map_device(HPA(acpi.ioapic), PAGE_SIZE);
    if (!ioapic)
        return false;
    version = ioapic_read(IOAPIC_VERSION);
    if (version == 0xffffffff || !version)
        return false;
    for (u32 pin = 0; pin <= (version >> 16 & 0xff); pin++)
        ioapic_write(IOAPIC_REDIRECTION + 2 * pin, REDIRECTION_MASKED);
    return true;
}

enum err arch_irq_connect(u32 line, void (*handler)(void))
{
    u32 pin, low = VECTOR_ISA + line;

    if (line >= 16 || !ioapic_init())
        return E_NOENT;
    pin = acpi.isa_gsi[line] - acpi.ioapic_gsi;
    if (acpi.isa_gsi[line] < acpi.ioapic_gsi || pin > (ioapic_read(IOAPIC_VERSION) >> 16 & 0xff))
        return E_NOENT;
    low |= (acpi.isa_flags[line] & 3) == 3 ? REDIRECTION_LOW : 0;
    low |= (acpi.isa_flags[line] >> 2 & 3) == 3 ? REDIRECTION_LEVEL : 0;
    trap_connect((u8)(VECTOR_ISA + line), handler);
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin + 1, cpu_this()->hardware_id << 24);
    ioapic_write(IOAPIC_REDIRECTION + 2 * pin, low);
    return OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Fills everything that a machine keeps with patterns, lets timers run on, and looks at all of it again and again while
 * its state is taken out and in from outside (`vm reload`). A line on COM1 begins the second part, which runs inside an
 * NMI handler with another NMI pending; a second line ends it. vCPU 1 sleeps and is woken; vCPU 2 waits for its SIPI. */
#include "tests/guests/lib/guest.h"
#include "kernel/hvm.h"

#define PERIODIC 0x60
#define PIT      0x61
#define DEADLINE 0x62
#define PING     0x63
#define LEVEL    0x21 /* of the lowest class: it stays in service all the time */

#define CHECKED                                                                                    \
    X(general, "general registers")                                                                \
    X(vector, "vector registers, MXCSR and the x87 control word")                                  \
    X(msr, "MSRs")                                                                                 \
    X(debug, "debug registers")                                                                    \
    X(control, "CR2 and descriptor tables")                                                        \
    X(apic, "local APIC and IOAPIC registers")                                                     \
    X(remote_irr, "an interrupt in service, and its remote IRR")                                   \
    X(device, "PIC, UART scratch and CMOS")                                                        \
    X(tsc, "TSC")                                                                                  \
    X(clock, "kvmclock")                                                                           \
    X(nmi, "a blocked NMI")

static struct {
#define X(name, text) volatile u32 name;
    CHECKED
#undef X
} bad;

static volatile u32 periodic, pit, deadline[2], pings, level, nmis, nested, started;
static volatile u64 last_tsc, last_ns;
static volatile bool stop;

static struct clock_page {
    u32 version, zero;
    u64 tsc, ns;
    u32 mul;
    s8 shift;
    u8 flags, zero2[2];
} clocks[2] ALIGNED(64);

/* --- what a vCPU has ---------------------------------------------------------------------------------- */

static const struct {
    u32 msr;
    u64 value;
} msrs[] = {
    {0xc0000081, 0x0013000812345678}, {0xc0000082, 0xffffffff81234560},
    {0xc0000083, 0xffffffff81234568}, {0xc0000084, 0x47700},
    {0xc0000102, 0x00007123456789ab}, {0x174, 0x10},
    {0x175, 0xffffffff80001000},      {0x176, 0xffffffff80002000},
    {0x277, 0x0007010600070106},      {0xc0000103, 0x4321},
    {0xc0000100, 0x0000112233445566}, {0xc0000101, 0x0000665544332211},
};

static u64 pattern(unsigned cpu, unsigned i)
{
    return (cpu * 100 + i + 1) * 0x9e3779b97f4a7c15ull;
}

static void fill(unsigned cpu)
{
    u64 p[4];
    u16 fcw = 0x27f;
    u32 mxcsr = 0x1f80 | (cpu + 1) << 13;

    for (unsigned i = 0; i < 4; i++)
        p[i] = pattern(cpu, i);
    for (unsigned i = 0; i < COUNT_OF(msrs); i++)
        wrmsr(msrs[i].msr, msrs[i].value + 8 * cpu * (msrs[i].msr != 0x277));
    __asm__ volatile("mov %0, %%cr4" : : "r"(0x620ull | CR4_OSXSAVE));
    __asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
    __asm__ volatile("vmovdqu (%0), %%ymm2; vmovdqu (%0), %%ymm14; ldmxcsr %1; fldcw %2"
                     :
                     : "r"(p), "m"(mxcsr), "m"(fcw));
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                     :
                     : "r"(p[0] >> 20), "r"(p[1] >> 20), "r"(p[2] >> 20), "r"(p[3] >> 20));
    __asm__ volatile("mov %0, %%cr2" : : "r"(p[3]));
    wrmsr(0x4b564d01, (u64)&clocks[cpu] | 1);
}

/* Runs for a moment with a pattern in every general register but RSP and RCX, which counts. */
static void check_general(void)
{
    u64 sum;

    __asm__ volatile("push %%rbp\n"
                     "mov $101, %%eax; mov $102, %%ebx; mov $103, %%edx; mov $104, %%esi\n"
                     "mov $105, %%edi; mov $106, %%ebp; mov $107, %%r8d; mov $108, %%r9d\n"
                     "mov $109, %%r10d; mov $110, %%r11d; mov $111, %%r12d; mov $112, %%r13d\n"
                     "mov $113, %%r14d; mov $114, %%r15d\n"
                     "shl $32, %%rax; shl $33, %%rbx; shl $34, %%r8; shl $35, %%r15\n"
                     "mov $20000, %%ecx\n"
                     "1: pause; dec %%ecx; jnz 1b\n"
                     "shr $32, %%rax; shr $33, %%rbx; shr $34, %%r8; shr $35, %%r15\n"
                     "add %%rbx, %%rax; add %%rdx, %%rax; add %%rsi, %%rax; add %%rdi, %%rax\n"
                     "add %%rbp, %%rax; add %%r8, %%rax; add %%r9, %%rax; add %%r10, %%rax\n"
                     "add %%r11, %%rax; add %%r12, %%rax; add %%r13, %%rax; add %%r14, %%rax\n"
                     "add %%r15, %%rax\n"
                     "pop %%rbp\n"
                     : "=a"(sum)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "memory", "cc");
    bad.general += sum != 1505;
}

static void check_registers(unsigned cpu)
{
    u64 p[4], a[4], b[4], dr[4], cr2, cr4;
    u32 mxcsr;
    u16 fcw;
    struct {
        u16 limit;
        u64 base;
    } PACKED idtr;

    for (unsigned i = 0; i < 4; i++)
        p[i] = pattern(cpu, i);
    __asm__ volatile("vmovdqu %%ymm2, (%0); vmovdqu %%ymm14, (%1); stmxcsr %2; fnstcw %3"
                     :
                     : "r"(a), "r"(b), "m"(mxcsr), "m"(fcw)
                     : "memory");
    bad.vector +=
        memcmp(a, p, 32) || memcmp(b, p, 32) || mxcsr != (0x1f80 | (cpu + 1) << 13) || fcw != 0x27f;
    for (unsigned i = 0; i < COUNT_OF(msrs); i++)
        bad.msr += rdmsr(msrs[i].msr) != msrs[i].value + 8 * cpu * (msrs[i].msr != 0x277);
    bad.msr += rdmsr(0x4b564d01) != ((u64)&clocks[cpu] | 1);
    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                     : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
    for (unsigned i = 0; i < 4; i++)
        bad.debug += dr[i] != p[i] >> 20;
    __asm__ volatile("mov %%cr2, %0; mov %%cr4, %1; sidt %2" : "=r"(cr2), "=r"(cr4), "=m"(idtr));
    bad.control += cr2 != p[3] || !(cr4 & CR4_OSXSAVE) || idtr.limit != 4095;
}

/* --- time --------------------------------------------------------------------------------------------- */

static u64 clock_ns(unsigned cpu, u64 tsc)
{
    const volatile struct clock_page *c = &clocks[cpu];
    u64 delta = tsc - c->tsc;

    delta = c->shift < 0 ? delta >> -c->shift : delta << c->shift;
    return c->ns + (u64)((unsigned __int128)delta * c->mul >> 32);
}

/* Neither goes back, on any vCPU. What the other one noted a moment ago is read first. */
static void check_time(unsigned cpu)
{
    u64 before = __atomic_load_n(&last_tsc, __ATOMIC_SEQ_CST), tsc;
    u64 before_ns = __atomic_load_n(&last_ns, __ATOMIC_SEQ_CST), ns;

    __asm__ volatile("lfence" : : : "memory");
    tsc = rdtsc();
    ns = clock_ns(cpu, tsc);
    bad.tsc += tsc < before && before - tsc > 1000000; /* emulated CPUs' TSCs are a little apart */
    bad.clock += ns < before_ns && before_ns - ns > 1000000;
    __atomic_store_n(&last_tsc, tsc, __ATOMIC_SEQ_CST);
    __atomic_store_n(&last_ns, ns, __ATOMIC_SEQ_CST);
}

/* --- the machine -------------------------------------------------------------------------------------- */

static void on_periodic(void)
{
    periodic++;
}
static void on_pit(void)
{
    pit++;
}
static void on_deadline(void)
{
    deadline[lapic_read(0x20) >> 24 & 1]++;
}
static void on_ping(void)
{
    pings++;
}
static void on_level(void) /* no EOI until the end */
{
    level++;
}

static u32 ioapic_read(u32 reg)
{
    *(volatile u32 *)GUEST_IOAPIC = reg;
    return *(volatile u32 *)(GUEST_IOAPIC + 0x10);
}

static void ioapic_write(u32 reg, u32 value)
{
    *(volatile u32 *)GUEST_IOAPIC = reg;
    *(volatile u32 *)(GUEST_IOAPIC + 0x10) = value;
}

static void cmos_write(u8 reg, u8 value)
{
    out8(0x70, reg);
    out8(0x71, value);
}

static u8 cmos_read(u8 reg)
{
    out8(0x70, reg);
    return in8(0x71);
}

static void fill_machine(void)
{
    static const u8 pic[] = {0x11, 0x28, 4, 1}, pic2[] = {0x11, 0x30, 2, 1};

    for (unsigned i = 0; i < 4; i++) {
        out8(i ? 0x21 : 0x20, pic[i]);
        out8(i ? 0xa1 : 0xa0, pic2[i]);
    }
    out8(0x21, 0xfb);
    out8(0xa1, 0xa5);
    cmos_write(0x50, 0x5a);
    out8(PORT_COM1 + 7, 0xc3);
    lapic_write(0xd0, 0x02000000);
    lapic_write(0x360, 0x10400);
    lapic_write(0x3e0, 3); /* by 16 */
    lapic_write(0x320, PERIODIC | 1 << 17);
    lapic_write(0x380, 100000); /* 1.6 ms */
    ioapic_write(0x10 + 2 * 2 + 1, 0);
    ioapic_write(0x10 + 2 * 2, PIT);
    out8(0x43, 0x34);
    out8(0x40, 0x9c);
    out8(0x40, 0x2e); /* 100 Hz */
    ioapic_write(0x10 + 4 * 2 + 1, 0);
    ioapic_write(0x10 + 4 * 2, LEVEL | 1 << 15);
    out8(PORT_COM1 + 4, 8);
    out8(PORT_COM1 + 1, 2); /* the transmitter is empty: the line is up from now on */
}

static void check_machine(void)
{
    bad.apic += lapic_read(0xd0) != 0x02000000 || lapic_read(0x360) != 0x10400 ||
                lapic_read(0x3e0) != 3 || lapic_read(0x380) != 100000 ||
                lapic_read(0xf0) != 0x1ff || lapic_read(0x390) > 100000 ||
                ioapic_read(0x10 + 2 * 2) != PIT;
    bad.remote_irr += level != 1 || (ioapic_read(0x10 + 4 * 2) & 0xffff) != (LEVEL | 0xc000) ||
                      !(lapic_read(0x110) & 1u << (LEVEL - 32));
    bad.device += in8(0x21) != 0xfb || in8(0xa1) != 0xa5 || cmos_read(0x50) != 0x5a ||
                  in8(PORT_COM1 + 7) != 0xc3;
}

/* --- the run ------------------------------------------------------------------------------------------ */

static bool typed(void)
{
    return (in8(PORT_COM1 + 5) & 1) && in8(PORT_COM1) == '\r';
}

static void run_until_typed(bool interrupts)
{
    for (u32 round = 0; !typed(); round++) {
        if (interrupts)
            __asm__ volatile("sti; nop; nop; cli");
        check_general();
        check_registers(0);
        check_machine();
        check_time(0);
        if (round % 16 == 0)
            lapic_send(1, 0x4000 | PING);
        if (interrupts && round % 16 == 8)
            halt();
    }
}

void guest_other_cpu(unsigned number)
{
    started |= 1u << number;
    if (number == 2)
        for (;;)
            __asm__ volatile("cli; hlt");
    fill(1);
    lapic_write(0x320, DEADLINE | 2 << 17);
    while (!stop) {
        wrmsr(0x6e0, rdtsc() + 2000000);
        halt();
        check_registers(1);
        check_time(1);
    }
    for (;;)
        halt();
}

/* The second NMI is pending all the time, and comes when this handler has returned. */
static void on_nmi(void)
{
    static volatile bool inside;

    nested += inside;
    inside = true;
    if (!nmis++) {
        lapic_send(0, 0x4400);
        print("PART 2\n");
        run_until_typed(false);
        bad.nmi += nmis != 1;
    }
    inside = false;
}

static void start_one(unsigned cpu)
{
    u32 others = started;

    lapic_send(cpu, 0x4500);
    lapic_send(cpu, 0x4608);
    for (u64 i = 0; i < 400000000 && started == others; i++)
        __builtin_ia32_pause();
}

static void report(void)
{
#define X(name, text) check(!bad.name, text " stay as they were", "%u times not", bad.name);
    CHECKED
#undef X
}

void guest_main(const char *cmdline)
{
    u64 begin, ticks;

    (void)cmdline;
    lapic_enable(false);
    cpus_prepare();
    on_vector(PERIODIC, on_periodic, true);
    on_vector(PIT, on_pit, true);
    on_vector(DEADLINE, on_deadline, true);
    on_vector(PING, on_ping, true);
    on_vector(LEVEL, on_level, false);
    start_one(1);
    check(started == 2, "vCPU 1 starts, and 2 does not", "%x", started);
    fill(0);
    fill_machine();
    begin = clock_ns(0, rdtsc());
    print("READY\n");
    run_until_typed(true);
    check(periodic && pit && deadline[1] && pings, "all timers tick and IPIs come", "%u %u %u %u",
          periodic, pit, deadline[1], pings);
    ticks = (clock_ns(0, rdtsc()) - begin) / 1600000;
    check(periodic <= ticks + 2, "the periodic timer does not run ahead", "%u of %u", periodic,
          (u32)ticks);
    on_vector(2, on_nmi, false);
    lapic_send(0, 0x4400);
    for (unsigned i = 0; i < 2000 && nmis < 2; i++)
        in8(0x80);
    check(nmis == 2 && !nested, "the second NMI comes after the first", "%u, nested %u", nmis,
          nested);
    periodic = 0;
    for (unsigned i = 0; i < 3; i++)
        halt();
    check(periodic, "the timer still ticks", "%u", periodic);
    start_one(2);
    check(started == 6, "vCPU 2 starts when it is told", "%x", started);
    stop = true;
    report();
    lapic_write(0xb0, 0);
    __asm__ volatile("sti; nop; nop; cli");
    check(level == 2, "the level comes again after its EOI", "%u", level);
}

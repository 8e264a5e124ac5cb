/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts by every way that a PC has them. */
#include "tests/guests/lib/guest.h"

static volatile u32 count[256];
static volatile u32 nested, in_nmi, nmi_seen;

#define HANDLER(v)                                                                                 \
    static void on_##v(void)                                                                       \
    {                                                                                              \
        count[v]++;                                                                                \
    }
HANDLER(32)
HANDLER(64)
HANDLER(65)
HANDLER(66)

static void on_pic(void)
{
    count[40]++;
    out8(0x20, 0x20);
}

/* A second NMI is sent from inside the first: it must wait for its IRET. */
static void on_nmi(void)
{
    nmi_seen++;
    nested |= in_nmi;
    in_nmi = 1;
    if (nmi_seen == 1) {
        lapic_send(0, 0x4400);
        for (volatile int i = 0; i < 1000; i++)
            in8(0x80);
    }
    in_nmi = 0;
}

static u32 at_return;

/* The one that waits comes before the first instruction that the first one interrupted: nothing exits in between. */
static void nmi_comes_at_iret(void)
{
    nmi_seen = in_nmi = 0;
    lapic_send(0, 0x4400);
    at_return = nmi_seen;
}

static bool wait_for(u8 vector, u32 wanted)
{
    for (u64 i = 0; i < 100000 && count[vector] < wanted; i++)
        halt();
    return count[vector] >= wanted;
}

static void pit_start(u16 divisor)
{
    out8(0x43, 0x34);
    out8(0x40, (u8)divisor);
    out8(0x40, (u8)(divisor >> 8));
}

static void ioapic_write(u32 reg, u32 value)
{
    *(volatile u32 *)GUEST_IOAPIC = reg;
    *(volatile u32 *)(GUEST_IOAPIC + 16) = value;
}

/* With interrupts off the guest goes on while the PIC asks. */
static void pic_waits(void)
{
    u32 before = count[40];

    out8(0x20, 0x0a); /* OCW3: the IRR is what is read */
    for (unsigned i = 0; i < 1000000 && !(in8(0x20) & 1); i++)
        ;
    check(in8(0x20) & 1 && count[40] == before, "the PIC waits while interrupts are off", "%u, %u",
          before, count[40]);
    __asm__ volatile("sti; nop; nop; cli");
    check(count[40] == before + 1, "and is heard when they are on", "%u, %u", before, count[40]);
}

static void pit_by_pic(void)
{
    static const u8 init[] = {0x11, 40, 4, 1}, second[] = {0x11, 48, 2, 1};

    for (unsigned i = 0; i < 4; i++) {
        out8(i ? 0x21 : 0x20, init[i]);
        out8(i ? 0xa1 : 0xa0, second[i]);
    }
    on_vector(40, on_pic, false);
    lapic_write(0x350, 0x700); /* LINT0: ExtINT */
    out8(0x21, 0xfe);
    pit_start(11932); /* 100 Hz */
    check(wait_for(40, 3), "PIT through PIC and LINT0", "%u", count[40]);
    pic_waits();
    out8(0x21, 0xff);
}

static void pit_by_ioapic(void)
{
    on_vector(64, on_64, true);
    ioapic_write(0x10 + 2 * 2 + 1, 0);
    ioapic_write(0x10 + 2 * 2, 64);
    check(wait_for(64, 3), "PIT through IOAPIC pin 2", "%u", count[64]);
    ioapic_write(0x10 + 2 * 2, 0x10000);
}

static void lapic_timer(void)
{
    u64 start;

    on_vector(65, on_65, true);
    lapic_write(0x3e0, 0xb);
    lapic_write(0x320, 65);
    lapic_write(0x380, 1000000);
    check(wait_for(65, 1), "LAPIC timer, one-shot", "%u", count[65]);
    lapic_write(0x320, 65 | 1 << 17);
    lapic_write(0x380, 1000000);
    check(wait_for(65, 5), "LAPIC timer, periodic", "%u", count[65]);
    lapic_write(0x380, 0);
    lapic_write(0x320, 65 | 2 << 17);
    __asm__ volatile("sti"); /* a tick may be pending still */
    for (unsigned i = 0; i < 10; i++)
        in8(0x80);
    __asm__ volatile("cli");
    count[65] = 0;
    start = rdtsc();
    wrmsr(0x6e0, start + 3000000);
    check(wait_for(65, 1) && rdtsc() - start >= 3000000, "LAPIC timer, TSC deadline, not early",
          "%u", count[65]);
}

static void sti_shadow(void)
{
    u32 at_first;

    on_vector(66, on_66, true);
    lapic_send(0, 0x4042);
    lapic_send(0, 0x4042); /* pending, IF is off */
    at_first = count[66];
    __asm__ volatile("sti; nop; nop; cli");
    check(!at_first && count[66] == 1, "a self-IPI waits for STI, and two are one", "%u, then %u",
          at_first, count[66]);
    lapic_send(0, 0x4042);
    __asm__ volatile("sti; cli; nop");
    check(count[66] == 1, "STI holds interrupts off for one instruction", "%u", count[66]);
    __asm__ volatile("sti; nop; cli");
}

/* Over the border of large pages that nobody has touched. */
static u64 *const untouched = (u64 *)(MIB(6) - 4);
static volatile u64 found;

static void on_67(void)
{
    count[67]++;
    found = *untouched;
}

/* The instruction behind STI exits once for each page that it writes, and stays in the shadow. */
static void exits_in_the_shadow(void)
{
    on_vector(67, on_67, true);
    lapic_send(0, 0x4043);
    __asm__ volatile("sti; movq $-1, %0; cli" : "=m"(*untouched));
    check(count[67] == 1 && found == ~0ull, "STI's shadow outlives two exits", "%u, %llx",
          count[67], (unsigned long long)found);
}

static void level_triggered(void)
{
    u32 first;

    /* COM1's line stays up while its interrupt is enabled and the transmitter is empty. */
    on_vector(32, on_32, false);
    ioapic_write(0x10 + 4 * 2 + 1, 0);
    ioapic_write(0x10 + 4 * 2, 32 | 1 << 15);
    out8(PORT_COM1 + 4, 8);
    out8(PORT_COM1 + 1, 2);
    __asm__ volatile("sti; nop; nop; cli");
    first = count[32];
    lapic_write(0xb0, 0);
    __asm__ volatile("sti; nop; nop; cli");
    check(first == 1 && count[32] == 2, "a level that stays up comes again after EOI", "%u, %u",
          first, count[32]);
    out8(PORT_COM1 + 1, 0);
    lapic_write(0xb0, 0);
    ioapic_write(0x10 + 4 * 2, 0x10000);
}

void guest_main(const char *cmdline)
{
    (void)cmdline;
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    lapic_enable(false);
    pit_by_pic();
    pit_by_ioapic();
    lapic_timer();
    sti_shadow();
    exits_in_the_shadow();
    level_triggered();
    on_vector(2, on_nmi, false);
    lapic_send(0, 0x4400);
    for (unsigned i = 0; i < 2000 && nmi_seen < 2; i++)
        in8(0x80);
    check(nmi_seen == 2 && !nested, "an NMI waits for the one before it", "%u seen, nested %u",
          nmi_seen, nested);
    nmi_comes_at_iret();
    check(at_return == 2, "... and no longer than for its IRET", "%u seen", at_return);
    lapic_enable(true);
    lapic_timer();
    check(cpus_start(option("cpus", 2)) == option("cpus", 2), "the other vCPU starts",
          "it does not");
}

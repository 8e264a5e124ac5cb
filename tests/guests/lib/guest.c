/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/guest.h"

#define COM1         PORT_COM1
#define SLEEP_ENABLE 0x20

const struct multiboot_info *multiboot;

static unsigned passed, failed;
static struct {
    void (*handler)(void);
    bool eoi;
} vectors[256];
static u64 idt[512];
static bool x2apic_on;

/* One catch at a time, by the vCPU that the checks run on. */
static void *catch_point[5];
static bool catching;
static struct fault caught;

extern const u8 trap_stubs[], ap_code[], ap_code_end[];
extern u32 ap_count;
void guest_start(u32 info);
void ap_start(unsigned number);
void trap_handle(u64 vector, u64 code, u64 rip);

void print(const char *format, ...)
{
    static u32 lock;
    char text[256];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
    for (const char *c = text; *c; c++) {
        if (*c == '\n')
            out8(COM1, '\r');
        out8(COM1, (u8)*c);
    }
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
}

void check(bool ok, const char *name, const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    str_vformat(text, sizeof(text), format, args);
    va_end(args);
    if (ok)
        passed++, print("PASS %s\n", name);
    else
        failed++, print("FAIL %s: %s\n", name, text);
}

void power_off(void)
{
    for (;;)
        out8(PORT_SLEEP_CONTROL, SLEEP_ENABLE | SLEEP_TYPE_S5 << 2);
}

void guest_end_run(void)
{
    print("DONE passed=%u failed=%u\n", passed, failed);
    power_off();
}

u64 option(const char *key, u64 otherwise)
{
    const char *text = (const char *)(u64)multiboot->cmdline;
    size_t n = strlen(key);

    for (; *text; text++)
        if (!strncmp(text, key, n) && text[n] == '=') {
            u64 value = 0;

            for (text += n + 1; *text >= '0' && *text <= '9'; text++)
                value = value * 10 + (u64)(*text - '0');
            return value;
        }
    return otherwise;
}

/* --- exceptions and interrupts ------------------------------------------------------------------- */

bool faults(void (*fn)(void *), void *arg, struct fault *fault)
{
    if (!__builtin_setjmp(catch_point)) {
        catching = true;
        fn(arg);
        catching = false;
        return false;
    }
    *fault = caught;
    return true;
}

void trap_handle(u64 vector, u64 code, u64 rip)
{
    if (vectors[vector].handler) {
        vectors[vector].handler();
        if (vectors[vector].eoi)
            lapic_write(0xb0, 0);
        return;
    }
    if (vector < 32 && catching) {
        catching = false;
        caught = (struct fault){.vector = vector, .code = code, .rip = rip};
        __asm__ volatile("mov %%cr2, %0" : "=r"(caught.cr2));
        __builtin_longjmp(catch_point, 1);
    }
    print("FAIL unexpected trap: vector %u code %x at %llx\n", (unsigned)vector, (unsigned)code,
          (unsigned long long)rip);
    failed++;
    guest_end_run();
}

void on_vector(u8 vector, void (*handler)(void), bool eoi)
{
    vectors[vector].handler = handler;
    vectors[vector].eoi = eoi;
}

static void load_idt(void)
{
    struct {
        u16 limit;
        u64 base;
    } PACKED p = {sizeof(idt) - 1, (u64)idt};

    for (unsigned v = 0; v < 256; v++) {
        u64 to = (u64)trap_stubs + v * 16;

        idt[2 * v] = (to & 0xffff) | 8ull << 16 | 0x8eull << 40 | (to >> 16 & 0xffff) << 48;
        idt[2 * v + 1] = to >> 32;
    }
    __asm__ volatile("lidt %0" : : "m"(p));
}

/* --- the local APIC and other vCPUs --------------------------------------------------------------- */

u32 lapic_read(u32 reg)
{
    return x2apic_on ? (u32)rdmsr(0x800 + reg / 16) : *(volatile u32 *)(GUEST_LAPIC + reg);
}

void lapic_write(u32 reg, u32 value)
{
    if (x2apic_on)
        wrmsr(0x800 + reg / 16, value);
    else
        *(volatile u32 *)(GUEST_LAPIC + reg) = value;
}

void lapic_enable(bool x2apic)
{
    if (x2apic && !x2apic_on)
        wrmsr(0x1b, rdmsr(0x1b) | BIT(10) | BIT(11));
    x2apic_on = x2apic;
    lapic_write(0xf0, 0x1ff);
}

void lapic_send(u32 destination, u32 low)
{
    if (x2apic_on) {
        wrmsr(0x830, (u64)destination << 32 | low);
        return;
    }
    lapic_write(0x310, destination << 24);
    lapic_write(0x300, low);
}

__attribute__((weak)) void guest_other_cpu(unsigned number)
{
    (void)number;
    for (;;)
        __asm__ volatile("cli; hlt");
}

static u32 arrived = 1;

void ap_start(unsigned number)
{
    load_idt();
    if (x2apic_on)
        wrmsr(0x1b, rdmsr(0x1b) | BIT(10) | BIT(11));
    lapic_write(0xf0, 0x1ff);
    __atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
    guest_other_cpu(number);
}

void cpus_prepare(void)
{
    memcpy((void *)0x8000, ap_code, (size_t)(ap_code_end - ap_code));
}

unsigned cpus_start(unsigned expected)
{
    cpus_prepare();
    lapic_enable(x2apic_on);
    lapic_send(0, 0xc4500); /* INIT to all others */
    lapic_send(0, 0xc4608); /* SIPI, page 8 */
    for (u64 i = 0; i < 2000000000 && __atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < expected; i++)
        __builtin_ia32_pause();
    return __atomic_load_n(&arrived, __ATOMIC_SEQ_CST);
}

void guest_start(u32 info)
{
    multiboot = (const struct multiboot_info *)(u64)info;
    load_idt();
    guest_main((const char *)(u64)multiboot->cmdline);
    guest_end_run();
}

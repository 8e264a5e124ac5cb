/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads and writes every I/O port, in all sizes, and by string instructions with good and bad memory. No port but
 * those that end the VM by design may do more than answer. */
#include "tests/guests/lib/guest.h"

/* Ports whose writes power off or reset, or carry this guest's own output. */
static bool left_alone(u32 port, unsigned size)
{
    static const u16 harmful[] = {PORT_SLEEP_CONTROL, PORT_RESET, 0xcf9, 0x92, 0x64};

    for (unsigned i = 0; i < COUNT_OF(harmful); i++)
        if (port <= harmful[i] && port + size > harmful[i])
            return true;
    return port < PORT_COM1 + 8 && port + size > PORT_COM1;
}

static void string_out(void *at)
{
    u64 count = 4, from = (u64)at;

    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x80) : "memory");
}

static void string_in(void *at)
{
    u64 count = 300, to = (u64)at;

    __asm__ volatile("rep insw" : "+D"(to), "+c"(count) : "d"(0x1234) : "memory");
}

void guest_main(const char *cmdline)
{
    u8 *memory = (u8 *)ALIGN_UP((u64)guest_end, PAGE_SIZE);
    u32 values = option("values", 1), absent = 0;
    struct fault f;

    (void)cmdline;
    for (u32 port = 0; port < 65536; port++) {
        absent += in8((u16)port) == 0xff;
        in16((u16)port);
        in32((u16)port);
        for (u32 i = 0; i < values; i++) {
            u32 value = i * 0x9e3779b9u + port * 0x85ebca6bu;

            if (!left_alone(port, 1))
                out8((u16)port, (u8)value);
            if (!left_alone(port, 2))
                out16((u16)port, (u16)value);
            if (!left_alone(port, 4))
                out32((u16)port, value);
        }
    }
    check(absent > 65000, "most ports are absent and read ones", "%u", absent);
    memset(memory, 0, 8192);
    check(!faults(string_in, memory + 4096 - 100, &f) && memory[4096 + 499] == 0xff &&
              !memory[4096 + 500],
          "INS crosses a page and ends where it should", "vector %u", (unsigned)f.vector);
    check(faults(string_out, (void *)0x7000000000ull, &f) && f.vector == 14 &&
              f.cr2 == 0x7000000000ull,
          "OUTS from an unmapped page is a page fault", "vector %u", (unsigned)f.vector);
    check(faults(string_in, (void *)0x800000000000ull, &f) && f.vector == 13,
          "INS to a non-canonical address is a general protection fault", "vector %u",
          (unsigned)f.vector);
}

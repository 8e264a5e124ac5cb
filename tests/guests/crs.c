/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers: what is reserved raises #GP, what is legal works, what this machine lacks is #UD. */
#include "tests/guests/lib/guest.h"
#include "kernel/hvm.h"

#define CR(n)                                                                                      \
    static u64 read_cr##n(void)                                                                    \
    {                                                                                              \
        u64 v;                                                                                     \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                          \
        return v;                                                                                  \
    }                                                                                              \
    static void write_cr##n(void *arg)                                                             \
    {                                                                                              \
        __asm__ volatile("mov %0, %%cr" #n : : "r"((u64)arg) : "memory");                          \
    }
CR(0)
CR(4)
CR(8)

static void write_xcr0(void *arg)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((u32)(u64)arg), "d"((u32)((u64)arg >> 32)));
}

static void write_efer(void *arg)
{
    wrmsr(0xc0000080, (u64)arg);
}

static void do_vmxoff(void *arg)
{
    (void)arg;
    __asm__ volatile("vmxoff");
}

static void do_vmrun(void *arg)
{
    __asm__ volatile("vmrun %%rax" : : "a"(arg));
}

static void do_clgi(void *arg)
{
    (void)arg;
    __asm__ volatile("clgi");
}

static void do_monitor(void *arg)
{
    __asm__ volatile("monitor" : : "a"(arg), "c"(0), "d"(0));
}

static void do_rdpmc(void *arg)
{
    (void)arg;
    __asm__ volatile("rdpmc" : : "c"(0) : "eax", "edx");
}

static void refused(const char *name, void (*fn)(void *), u64 value, u64 vector)
{
    struct fault f = {0};
    bool faulted = faults(fn, (void *)value, &f);

    check(faulted && f.vector == vector, name, "value %llx: %s, vector %u",
          (unsigned long long)value, faulted ? "faulted" : "went through", (unsigned)f.vector);
}

void guest_main(const char *cmdline)
{
    u64 cr0 = read_cr0(), cr4 = read_cr4();
    struct fault f;
    u32 r[4];

    (void)cmdline;
    if (!option("tcg", 0)) { /* which does not check these, and would refuse to enter the guest */
        refused("CR0.PG without PE", write_cr0, cr0 & ~CR0_PE, 13);
        refused("CR0.NW without CD", write_cr0, cr0 | CR0_NW, 13);
        refused("CR0 above bit 31", write_cr0, cr0 | BIT(40), 13);
        refused("CR4.VMXE", write_cr4, cr4 | CR4_VMXE, 13);
        refused("a reserved bit of CR4", write_cr4, cr4 | BIT(31), 13);
        refused("CR4.PAE off in long mode", write_cr4, cr4 & ~CR4_PAE, 13);
    }
    refused("CR8 above 15", write_cr8, 16, 13);
    refused("EFER.SVME", write_efer, rdmsr(0xc0000080) | EFER_SVME, 13);
    refused("EFER.LME off under paging", write_efer, rdmsr(0xc0000080) & ~EFER_LME, 13);
    refused("a reserved bit of EFER", write_efer, rdmsr(0xc0000080) | BIT(40), 13);
    refused("VMXOFF", do_vmxoff, 0, 6);
    refused("VMRUN", do_vmrun, 0x1000, 6);
    refused("CLGI", do_clgi, 0, 6);
    refused("MONITOR", do_monitor, (u64)guest_end, 6);
    refused("RDPMC", do_rdpmc, 0, option("rdpmc", 6));
    check(!faults(write_cr0, (void *)(cr0 | CR0_TS | CR0_AM | CR0_CD), &f) &&
              read_cr0() == (cr0 | CR0_TS | CR0_AM | CR0_CD),
          "legal bits of CR0 stay", "%llx", (unsigned long long)read_cr0());
    write_cr0((void *)cr0);
    check(!faults(write_cr8, (void *)5, &f) && read_cr8() == 5 && lapic_read(0x80) == 0x50,
          "CR8 is the TPR", "%llx, %x", (unsigned long long)read_cr8(), lapic_read(0x80));
    write_cr8((void *)0);
    cpuid(1, 0, r);
    check(!(r[2] & BIT(27)) && (r[2] & BIT(31)), "OSXSAVE is off, a hypervisor is there", "%x",
          r[2]);
    write_cr4((void *)(cr4 | CR4_OSXSAVE));
    cpuid(1, 0, r);
    check(r[2] & BIT(27), "OSXSAVE follows CR4", "%x", r[2]);
    refused("XCR0 without x87", write_xcr0, 2, 13);
    refused("XCR0 with AVX but not SSE", write_xcr0, 5, 13);
    check(!faults(write_xcr0, (void *)7, &f), "XCR0 takes x87, SSE and AVX", "vector %u",
          (unsigned)f.vector);
    cpuid(0xd, 0, r);
    check(r[1] == 832, "CPUID says the size for XCR0", "%u", r[1]);
}

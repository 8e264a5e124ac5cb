/* SPDX-License-Identifier: BSD-2-Clause */
/* What a VM was given on another host, against what this one can give. */
#include "vmm/cpuid.h"
#include "kernel/string.h"

enum reg { EAX, EBX, ECX, EDX };

/* The words of CPUID whose bits are features that software uses once it has seen them. */
static const struct word {
    u32 leaf, subleaf;
    enum reg reg;
    const char *name[32];
} words[] = {
    {1,
     0,
     ECX,
     {[0] = "SSE3",
      [1] = "PCLMULQDQ",
      [9] = "SSSE3",
      [12] = "FMA",
      [13] = "CMPXCHG16B",
      [19] = "SSE4.1",
      [20] = "SSE4.2",
      [21] = "x2APIC",
      [22] = "MOVBE",
      [23] = "POPCNT",
      [24] = "TSC deadline",
      [25] = "AES",
      [26] = "XSAVE",
      [28] = "AVX",
      [29] = "F16C",
      [30] = "RDRAND"}},
    {1,
     0,
     EDX,
     {[0] = "x87",
      [15] = "CMOV",
      [19] = "CLFLUSH",
      [23] = "MMX",
      [24] = "FXSR",
      [25] = "SSE",
      [26] = "SSE2"}},
    {7,
     0,
     EBX,
     {[0] = "FSGSBASE",
      [1] = "TSC_ADJUST",
      [3] = "BMI1",
      [5] = "AVX2",
      [7] = "SMEP",
      [8] = "BMI2",
      [9] = "ERMS",
      [18] = "RDSEED",
      [19] = "ADX",
      [20] = "SMAP",
      [23] = "CLFLUSHOPT",
      [24] = "CLWB",
      [29] = "SHA"}},
    {7, 0, ECX, {[2] = "UMIP", [8] = "GFNI", [9] = "VAES", [10] = "VPCLMULQDQ", [22] = "RDPID"}},
    {7, 0, EDX, {[4] = "FSRM", [10] = "MD_CLEAR", [14] = "SERIALIZE"}},
    {0xd, 0, EAX, {[0] = "x87 state", [1] = "SSE state", [2] = "AVX state"}},
    {0xd, 1, EAX, {[0] = "XSAVEOPT", [1] = "XSAVEC", [2] = "XGETBV with ECX = 1"}},
    {0x40000001, 0, EAX, {[3] = "kvmclock", [24] = "a stable kvmclock"}},
    {0x80000001,
     0,
     ECX,
     {[0] = "LAHF",
      [5] = "ABM",
      [6] = "SSE4A",
      [7] = "misaligned SSE",
      [8] = "PREFETCHW",
      [11] = "XOP",
      [16] = "FMA4",
      [21] = "TBM"}},
    {0x80000001,
     0,
     EDX,
     {[11] = "SYSCALL",
      [20] = "NX",
      [22] = "MMXEXT",
      [26] = "1 GiB pages",
      [27] = "RDTSCP",
      [29] = "64-bit mode"}},
    {0x80000007, 0, EDX, {[8] = "an invariant TSC"}},
    {0x80000008, 0, EBX, {[0] = "CLZERO", [2] = "RstrFpErrPtrs"}},
};

struct report {
    void (*missing)(void *ctx, const char *what);
    void *ctx;
    bool any;
};

static void say(struct report *r, const char *text)
{
    r->any = true;
    r->missing(r->ctx, text);
}

static const struct cpuid_regs *find(const struct cpuid_policy *p, u32 leaf, u32 subleaf)
{
    static const struct cpuid_regs none;

    for (u32 n = 0; n < p->count; n++)
        if (p->leaf[n].leaf == leaf && p->leaf[n].subleaf == subleaf)
            return &p->leaf[n].regs;
    return &none;
}

static u32 value(const struct cpuid_policy *p, const struct word *w)
{
    const struct cpuid_regs *r = find(p, w->leaf, w->subleaf);

    return w->reg == EAX ? r->eax : w->reg == EBX ? r->ebx : w->reg == ECX ? r->ecx : r->edx;
}

static void compare_word(const struct word *w, u32 missing, struct report *r)
{
    static const char *const reg_name[] = {"EAX", "EBX", "ECX", "EDX"};
    char text[80];

    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(missing >> bit & 1))
            continue;
        str_format(text, sizeof(text), "%s (CPUID %x%s %s bit %u)",
                   w->name[bit] ? w->name[bit] : "a feature", w->leaf, w->subleaf ? ".1" : "",
                   reg_name[w->reg], bit);
        say(r, text);
    }
}

static void compare_vendor(const struct cpuid_regs *given, const struct cpuid_regs *own,
                           struct report *r)
{
    char text[80];

    if (given->ebx == own->ebx && given->ecx == own->ecx && given->edx == own->edx)
        return;
    str_format(text, sizeof(text), "a CPU of its vendor (%.4s%.4s%.4s, and this is %.4s%.4s%.4s)",
               (const char *)&given->ebx, (const char *)&given->edx, (const char *)&given->ecx,
               (const char *)&own->ebx, (const char *)&own->edx, (const char *)&own->ecx);
    say(r, text);
}

static void compare_width(u8 given, u8 own, struct report *r)
{
    char text[80];

    if (given <= own)
        return;
    str_format(text, sizeof(text), "%u bits of physical address (this CPU has %u)", given, own);
    say(r, text);
}

bool cpuid_compare(const struct cpuid_policy *given, const struct cpuid_policy *own,
                   void (*missing)(void *ctx, const char *what), void *ctx)
{
    struct report r = {missing, ctx, false};

    if (given->count > CPUID_MAX_LEAVES || given->vcpus != own->vcpus) {
        say(&r, "a CPUID table that makes sense");
        return true;
    }
    compare_vendor(find(given, 0, 0), find(own, 0, 0), &r);
    compare_width((u8)find(given, 0x80000008, 0)->eax, (u8)find(own, 0x80000008, 0)->eax, &r);
    if (given->xcr0 & ~own->xcr0)
        say(&r, "what XCR0 may have");
    for (unsigned i = 0; i < COUNT_OF(words); i++)
        compare_word(&words[i], value(given, &words[i]) & ~value(own, &words[i]), &r);
    return r.any;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/cpuid.h"
#include "vmm/layout.h"
#include "kernel/string.h"

#define MAX_BASIC       0xdu
#define HYPERVISOR_BASE 0x40000000u
#define EXTENDED_BASE   0x80000000u
#define MAX_EXTENDED    0x8000001eu

#define XSAVE_LEGACY 576 /* bytes of the legacy area and the header (SDM 1 13.4) */
#define XSAVE_AVX    256

/* Leaf 1 (SDM 2A table 3-10 and 3-11). */
#define F1C_X2APIC       BIT(21)
#define F1C_TSC_DEADLINE BIT(24)
#define F1C_XSAVE        BIT(26)
#define F1C_OSXSAVE      BIT(27)
#define F1C_AVX          BIT(28)
#define F1C_HYPERVISOR   BIT(31)
#define F1C_WITH_AVX     (BIT(12) | F1C_AVX | BIT(29)) /* FMA, AVX, F16C */
/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
#define F1C_ALLOW                                                                                  \
    (BIT(0) | BIT(1) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) |        \
     F1C_XSAVE | BIT(30) | F1C_WITH_AVX)
#define F1D_APIC BIT(9)
#define F1D_HTT  BIT(28)
/* FPU VME DE PSE TSC MSR PAE MCE CX8 APIC, SEP, PGE MCA CMOV PAT PSE36, CLFSH, MMX FXSR SSE SSE2 */
#define F1D_ALLOW                                                                                  \
    (0x3ff | BIT(11) | BIT(13) | BIT(14) | BIT(15) | BIT(16) | BIT(17) | BIT(19) | BIT(23) |       \
     BIT(24) | BIT(25) | BIT(26))

/* Leaf 7: FSGSBASE BMI1 AVX2 FDP_EXCPTN SMEP BMI2 ERMS NO_FPU_CS_DS RDSEED ADX SMAP CLFLUSHOPT
 * CLWB SHA; UMIP GFNI VAES VPCLMULQDQ RDPID; FSRM MD_CLEAR SERIALIZE */
#define F7B_TSC_ADJUST BIT(1)
#define F7B_AVX2       BIT(5)
#define F7B_ALLOW                                                                                  \
    (BIT(0) | BIT(3) | F7B_AVX2 | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(13) | BIT(18) |          \
     BIT(19) | BIT(20) | BIT(23) | BIT(24) | BIT(29))
#define F7C_RDPID    BIT(22)
#define F7C_WITH_AVX (BIT(9) | BIT(10))
#define F7C_ALLOW    (BIT(2) | BIT(8) | F7C_WITH_AVX | F7C_RDPID)
#define F7D_ALLOW    (BIT(4) | BIT(10) | BIT(14))

/* Leaf 80000001h (APM 3 E.4.2): LAHF ABM SSE4A MISALIGNSSE PREFETCHW XOP FMA4 TBM; SYSCALL NX
 * MMXEXT 1GB RDTSCP LM and copies of leaf 1. */
#define E1C_CMP_LEGACY BIT(1)
#define E1C_TOPOLOGY   BIT(22)
#define E1C_WITH_AVX   (BIT(11) | BIT(16))
#define E1C_ALLOW      (BIT(0) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(21) | E1C_WITH_AVX)
#define E1D_RDTSCP     BIT(27)
#define E1D_LM         BIT(29)
#define E1D_COPIES     (F1D_ALLOW & 0x0183ffff & ~BIT(11))
#define E1D_ALLOW      (E1D_COPIES | BIT(11) | BIT(20) | BIT(22) | BIT(26) | E1D_RDTSCP | E1D_LM)

#define E8B_ALLOW (BIT(0) | BIT(2))          /* CLZERO, RstrFpErrPtrs */
#define FD1_ALLOW (BIT(0) | BIT(1) | BIT(2)) /* XSAVEOPT, XSAVEC, XGETBV with ECX = 1 */

struct builder {
    struct cpuid_policy *p;
    const struct cpuid_host *host;
    const struct cpuid_config *config;
    bool amd; /* or Hygon */
    u32 max_basic, max_extended;
};

static struct cpuid_regs host_leaf(const struct builder *b, u32 leaf, u32 subleaf)
{
    struct cpuid_regs r = {0};
    u32 max = leaf >= EXTENDED_BASE ? b->max_extended : b->max_basic;

    if (leaf <= max)
        b->host->cpuid(b->host->ctx, leaf, subleaf, &r);
    return r;
}

static void add(struct builder *b, u32 leaf, u32 subleaf, struct cpuid_regs r)
{
    b->p->leaf[b->p->count++] = (struct cpuid_leaf){.leaf = leaf, .subleaf = subleaf, .regs = r};
}

static void add_as_found(struct builder *b, u32 leaf)
{
    add(b, leaf, 0, host_leaf(b, leaf, 0));
}

/* Bits of an APIC id that tell the vCPUs apart. */
static u32 id_bits(u32 vcpus)
{
    u32 bits = 0;

    while (BIT(bits) < vcpus)
        bits++;
    return bits;
}

static bool is_amd(const struct cpuid_regs *r)
{
    static const char vendors[2][13] = {"AuthenticAMD", "HygonGenuine"};
    char vendor[12];

    memcpy(vendor, &r->ebx, 4);
    memcpy(vendor + 4, &r->edx, 4);
    memcpy(vendor + 8, &r->ecx, 4);
    return !memcmp(vendor, vendors[0], 12) || !memcmp(vendor, vendors[1], 12);
}

/* XCR0 as the guest may have it: what of x87, SSE and AVX the host can save. */
static u64 find_xcr0(const struct builder *b)
{
    struct cpuid_regs one = host_leaf(b, 1, 0), d = host_leaf(b, 0xd, 0);
    u64 xcr0 = d.eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX);

    if (!(one.ecx & F1C_XSAVE) || (xcr0 & 3) != 3)
        return 0;
    return one.ecx & F1C_AVX ? xcr0 : xcr0 & ~XCR0_AVX;
}

static void add_leaf_0(struct builder *b)
{
    struct cpuid_regs r = host_leaf(b, 0, 0);

    r.eax = MAX_BASIC; /* 0Bh and 0Dh are made here even where the host lacks them */
    add(b, 0, 0, r);
}

static void add_leaf_1(struct builder *b)
{
    struct cpuid_regs r = host_leaf(b, 1, 0);
    u32 vcpus = b->config->vcpus, ids = b->amd ? vcpus : 1u << id_bits(vcpus);

    r.ebx = (r.ebx & 0xff00) | ids << 16; /* CLFLUSH line; the APIC id comes with the query */
    r.ecx &= F1C_ALLOW;
    if (!b->p->xcr0)
        r.ecx &= ~F1C_XSAVE;
    if (!(b->p->xcr0 & XCR0_AVX))
        r.ecx &= ~F1C_WITH_AVX;
    r.ecx |= F1C_X2APIC | F1C_TSC_DEADLINE | F1C_HYPERVISOR;
    r.edx &= F1D_ALLOW;
    r.edx |= F1D_APIC | (vcpus > 1 ? F1D_HTT : 0);
    add(b, 1, 0, r);
}

/* Caches: of level 1 and 2 one a vCPU, of level 3 one for all (SDM leaf 4, APM leaf 8000001Dh). */
static void add_caches(struct builder *b, u32 leaf, bool cores)
{
    u32 last = (1u << id_bits(b->config->vcpus)) - 1;

    for (u32 sub = 0; sub < 8; sub++) {
        struct cpuid_regs r = host_leaf(b, leaf, sub);
        u32 level = (r.eax >> 5) & 7, sharing = level >= 3 ? last : 0;

        if (!(r.eax & 0x1f)) /* no more caches */
            return;
        r.eax = (r.eax & 0x3fff) | sharing << 14 | (cores ? last << 26 : 0);
        add(b, leaf, sub, r);
    }
}

static void add_leaf_7(struct builder *b, bool rdtscp)
{
    struct cpuid_regs r = host_leaf(b, 7, 0);
    bool avx = b->p->xcr0 & XCR0_AVX;

    r.eax = 0;
    r.ebx &= avx ? F7B_ALLOW : F7B_ALLOW & ~F7B_AVX2;
    /* Made by vmm/msr.c, whatever the host has. Linux trusts an invariant TSC without a watchdog only with it. */
    if (b->config->invariant_tsc)
        r.ebx |= F7B_TSC_ADJUST;
    r.ecx &= avx ? F7C_ALLOW : F7C_ALLOW & ~F7C_WITH_AVX;
    if (!rdtscp) /* both read TSC_AUX */
        r.ecx &= ~F7C_RDPID;
    r.edx &= F7D_ALLOW;
    add(b, 7, 0, r);
}

/* Extended topology (SDM 2A leaf 0Bh): a thread level of one, a core level of all. */
static void add_leaf_b(struct builder *b)
{
    u32 vcpus = b->config->vcpus;

    add(b, 0xb, 0, (struct cpuid_regs){.eax = 0, .ebx = 1, .ecx = 1 << 8});
    add(b, 0xb, 1, (struct cpuid_regs){.eax = id_bits(vcpus), .ebx = vcpus, .ecx = 1 | 2 << 8});
}

static u32 xsave_size(u64 xcr0)
{
    return XSAVE_LEGACY + (xcr0 & XCR0_AVX ? XSAVE_AVX : 0);
}

static void add_leaf_d(struct builder *b)
{
    u64 xcr0 = b->p->xcr0;
    struct cpuid_regs sub1 = host_leaf(b, 0xd, 1);

    if (!xcr0)
        return;
    add(b, 0xd, 0, (struct cpuid_regs){.eax = (u32)xcr0, .ecx = xsave_size(xcr0)});
    add(b, 0xd, 1, (struct cpuid_regs){.eax = sub1.eax & FD1_ALLOW});
    if (xcr0 & XCR0_AVX)
        add(b, 0xd, 2, (struct cpuid_regs){.eax = XSAVE_AVX, .ebx = XSAVE_LEGACY});
}

static u32 four_characters(const char *text)
{
    u32 v;

    memcpy(&v, text, 4);
    return v;
}

static void add_hypervisor(struct builder *b)
{
    const char *name = "KVMKVMKVM\0\0\0";
    u32 features = BIT(1) | BIT(3) | BIT(24); /* NOP_IO_DELAY CLOCKSOURCE2 CLOCKSOURCE_STABLE */

    add(b, HYPERVISOR_BASE, 0,
        (struct cpuid_regs){.eax = HYPERVISOR_BASE + 1,
                            .ebx = four_characters(name),
                            .ecx = four_characters(name + 4),
                            .edx = four_characters(name + 8)});
    add(b, HYPERVISOR_BASE + 1, 0, (struct cpuid_regs){.eax = features});
}

static void add_extended_1(struct builder *b)
{
    struct cpuid_regs r = host_leaf(b, EXTENDED_BASE + 1, 0);
    bool topology = b->amd && b->max_extended >= MAX_EXTENDED && (r.ecx & E1C_TOPOLOGY);

    r.ecx &= b->p->xcr0 & XCR0_AVX ? E1C_ALLOW : E1C_ALLOW & ~E1C_WITH_AVX;
    if (b->amd && b->config->vcpus > 1)
        r.ecx |= E1C_CMP_LEGACY;
    if (topology)
        r.ecx |= E1C_TOPOLOGY;
    r.edx &= E1D_ALLOW;
    if (b->amd)
        r.edx |= F1D_APIC;
    add(b, EXTENDED_BASE + 1, 0, r);
    if (topology) {
        add_caches(b, 0x8000001d, false);
        add(b, 0x8000001e, 0, (struct cpuid_regs){0});
    }
}

/* Address widths; for AMD also the number of vCPUs (APM 3 E.4.7). */
static void add_extended_8(struct builder *b)
{
    struct cpuid_regs r = host_leaf(b, EXTENDED_BASE + 8, 0);
    u32 vcpus = b->config->vcpus;

    r.eax = (r.eax & 0xff) | 48 << 8;
    r.ebx &= E8B_ALLOW;
    r.ecx = b->amd ? (vcpus - 1) | id_bits(vcpus) << 12 : 0;
    r.edx = 0;
    add(b, EXTENDED_BASE + 8, 0, r);
}

static void add_extended(struct builder *b)
{
    struct cpuid_regs r = host_leaf(b, EXTENDED_BASE, 0);

    r.eax = MIN(b->max_extended, MAX_EXTENDED);
    add(b, EXTENDED_BASE, 0, r);
    for (u32 n = 2; n <= 6; n++) /* brand, caches and TLBs */
        add_as_found(b, EXTENDED_BASE + n);
    add(b, EXTENDED_BASE + 7, 0, (struct cpuid_regs){.edx = b->config->invariant_tsc ? BIT(8) : 0});
    add_extended_8(b);
    add_as_found(b, 0x80000019);
    add_as_found(b, 0x8000001a);
    add_extended_1(b);
}

static enum err check(struct builder *b, struct why *why)
{
    struct cpuid_regs r;

    if (b->config->vcpus < 1 || b->config->vcpus > VM_MAX_VCPUS)
        return why_set(why, E_RANGE, "%u vCPUs: a VM has 1 to %u", b->config->vcpus, VM_MAX_VCPUS);
    b->host->cpuid(b->host->ctx, 0, 0, &r);
    b->max_basic = r.eax;
    b->amd = is_amd(&r);
    b->host->cpuid(b->host->ctx, EXTENDED_BASE, 0, &r);
    b->max_extended = r.eax;
    if (b->max_extended < EXTENDED_BASE + 8 || b->max_extended > EXTENDED_BASE + 0xffff)
        return why_set(why, E_UNSUPPORTED,
                       "the CPU has no CPUID leaf 80000008h (its last extended leaf is %xh)",
                       b->max_extended);
    if (!(host_leaf(b, EXTENDED_BASE + 1, 0).edx & E1D_LM))
        return why_set(why, E_UNSUPPORTED,
                       "the CPU has no 64-bit mode (CPUID 80000001h EDX bit 29)");
    return OK;
}

enum err cpuid_build(struct cpuid_policy *p, const struct cpuid_host *host,
                     const struct cpuid_config *config, struct why *why)
{
    struct builder b = {.p = p, .host = host, .config = config};
    enum err e;

    memset(p, 0, sizeof(*p));
    e = check(&b, why);
    if (e != OK)
        return e;
    p->vcpus = config->vcpus;
    p->xcr0 = find_xcr0(&b);
    add_leaf_0(&b);
    add_leaf_1(&b);
    add_as_found(&b, 2);
    if (!b.amd)
        add_caches(&b, 4, true);
    add(&b, 6, 0, (struct cpuid_regs){.eax = BIT(2)}); /* the APIC timer never stops */
    add_leaf_7(&b, host_leaf(&b, EXTENDED_BASE + 1, 0).edx & E1D_RDTSCP);
    add_leaf_b(&b);
    add_leaf_d(&b);
    add_hypervisor(&b);
    add_extended(&b);
    return OK;
}

static const struct cpuid_regs *find(const struct cpuid_policy *p, u32 leaf, u32 subleaf)
{
    for (u32 n = 0; n < p->count; n++)
        if (p->leaf[n].leaf == leaf && p->leaf[n].subleaf == subleaf)
            return &p->leaf[n].regs;
    return NULL;
}

/* Only these leaves look at ECX; the others answer the same for any. */
static bool has_subleaves(u32 leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x8000001d;
}

static void show_state(const struct cpuid_policy *p, const struct cpuid_vcpu *v, u32 leaf,
                       u32 subleaf, struct cpuid_regs *r)
{
    if (leaf == 1) {
        r->ebx |= v->index << 24;
        if ((v->cr4 & CR4_OSXSAVE) && p->xcr0)
            r->ecx |= F1C_OSXSAVE;
    } else if (leaf == 0xb) {
        r->ecx |= subleaf & 0xff;
        r->edx = v->index;
    } else if (leaf == 0xd && subleaf <= 1 && p->xcr0) {
        r->ebx = xsave_size(v->xcr0); /* as XCR0 is now; compacted it is the same */
    } else if (leaf == 0x8000001e && find(p, leaf, 0)) {
        r->eax = v->index;
        r->ebx = v->index;
    }
}

void cpuid_query(const struct cpuid_policy *p, const struct cpuid_vcpu *v, u32 leaf, u32 subleaf,
                 struct cpuid_regs *out)
{
    const struct cpuid_regs *r = find(p, leaf, has_subleaves(leaf) ? subleaf : 0);

    *out = r ? *r : (struct cpuid_regs){0};
    show_state(p, v, leaf, subleaf, out);
}

bool cpuid_xcr0_valid(const struct cpuid_policy *p, u64 xcr0)
{
    if (!(xcr0 & XCR0_X87) || (xcr0 & ~p->xcr0))
        return false;
    return !(xcr0 & XCR0_AVX) || (xcr0 & XCR0_SSE);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to addresses without RAM: the instruction is found, and carried out against the device models. An
 * address that no device has reads all ones and swallows writes, as a PC's bus does. */
#include "kernel/string.h"
#include "vmm/insn.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/vm.h"
#include "vmm/walk.h"

/* One instruction's view of memory. */
struct access {
    struct vcpu *v;
    struct hvm_mode mode;
};

static enum err table_read(void *ctx, gpa_t at, unsigned size, u64 *entry)
{
    struct vcpu *v = ctx;

    *entry = 0;
    return vcpu_memory(v, at, guest_mem_read(&v->vm->pmap, at, entry, size));
}

static enum err table_cmpxchg(void *ctx, gpa_t at, unsigned size, u64 old, u64 new)
{
    struct vcpu *v = ctx;

    return vcpu_memory(v, at, guest_mem_cmpxchg(&v->vm->pmap, at, size, old, new));
}

static u8 guest_phys_bits(const struct vcpu *v)
{
    struct cpuid_vcpu state = {.index = v->index};
    struct cpuid_regs r;

    cpuid_query(&v->vm->cpuid, &state, 0x80000008, 0, &r);
    return (u8)r.eax;
}

/* Translates one byte's address for a data access or a fetch; anything but INSN_DONE has been acted on. */
static enum insn_status translate(struct access *a, u64 linear, u32 kind, gpa_t *gpa)
{
    struct vcpu *v = a->v;
    struct walk_mem mem = {v, guest_phys_bits(v), table_read, table_cmpxchg};
    u8 cpl = SEG_ATTR_DPL(a->mode.seg[SEG_SS].attr);
    u32 code;

    if (v->hvm.rflags & BIT(18))
        kind |= WALK_AC;
    switch (guest_walk(&a->mode, linear, kind, cpl, &mem, gpa, &code)) {
    case WALK_OK: return INSN_DONE;
    case WALK_FAULT:
        hvm->set_cr2(&v->hvm, linear);
        vcpu_raise(v, VEC_PF, true, code);
        return INSN_FAULT;
    case WALK_NOT_CANONICAL: vcpu_raise(v, VEC_GP, true, 0); return INSN_FAULT;
    case WALK_BUSY: return INSN_STOP; /* the guest runs the instruction again */
    default:
        vm_fail(v->vm, "vCPU %u: its page tables lead to where no memory is", v->index);
        return INSN_STOP;
    }
}

static void device_read(struct vcpu *v, gpa_t gpa, unsigned size, void *to)
{
    struct vtime now;
    u64 value = U64_MAX;

    if (irqchip_owns_gpa(gpa)) {
        lock_acquire(&v->vm->lock);
        now = vcpu_time(v);
        value = irqchip_mmio_read(&v->vm->platform.devices.irqchip, v->index, gpa, (u8)size, &now);
        vm_unlock_devices(v->vm);
    } else {
        vm_log_once(v->vm, "read where nothing is", ALIGN_DOWN(gpa.v, PAGE_SIZE));
    }
    memcpy(to, &value, size);
}

static void device_write(struct vcpu *v, gpa_t gpa, unsigned size, const void *from)
{
    struct vtime now;
    u64 value = 0;

    if (!irqchip_owns_gpa(gpa)) {
        vm_log_once(v->vm, "write where nothing is", ALIGN_DOWN(gpa.v, PAGE_SIZE));
        return;
    }
    memcpy(&value, from, size);
    lock_acquire(&v->vm->lock);
    now = vcpu_time(v);
    irqchip_mmio_write(&v->vm->platform.devices.irqchip, v->index, gpa, (u8)size, (u32)value, &now);
    vm_unlock_devices(v->vm);
    v->kicked = 1;
}

/* Bytes of an access that lie in the page of its first byte. */
static unsigned first_part(u64 linear, unsigned size)
{
    return MIN(size, (unsigned)(PAGE_SIZE - (linear & PAGE_MASK)));
}

/* Translates both ends of an access, so that a fault on either comes before any effect. */
static enum insn_status translate_both(struct access *a, gva_t at, unsigned size, u32 kind,
                                       gpa_t gpa[2])
{
    unsigned first = first_part(at.v, size);
    enum insn_status s = translate(a, at.v, kind, &gpa[0]);

    if (s == INSN_DONE && first < size)
        s = translate(a, at.v + first, kind, &gpa[1]);
    return s;
}

/* One page's part of an access, from or to memory or a device. */
static enum insn_status part_read(struct access *a, gpa_t gpa, unsigned size, void *to)
{
    enum err e = vcpu_memory(a->v, gpa, guest_mem_read(&a->v->vm->pmap, gpa, to, size));

    if (e == E_RANGE)
        device_read(a->v, gpa, size, to);
    return e && e != E_RANGE ? INSN_STOP : INSN_DONE;
}

static enum insn_status part_write(struct access *a, gpa_t gpa, unsigned size, const void *from)
{
    enum err e = vcpu_memory(a->v, gpa, guest_mem_write(&a->v->vm->pmap, gpa, from, size));

    if (e == E_RANGE)
        device_write(a->v, gpa, size, from);
    return e && e != E_RANGE ? INSN_STOP : INSN_DONE;
}

static enum insn_status part_touch(struct access *a, gpa_t gpa)
{
    enum err e = vcpu_memory(a->v, gpa, guest_mem_touch(&a->v->vm->pmap, gpa));

    return e && e != E_RANGE ? INSN_STOP : INSN_DONE;
}

/* Makes sure that a write can follow, before a device is asked for what is to be written. */
static enum insn_status bus_probe(void *ctx, gva_t at, unsigned size)
{
    struct access *a = ctx;
    gpa_t gpa[2];
    enum insn_status s = translate_both(a, at, size, PAGE_ACCESS_WRITE, gpa);

    if (s == INSN_DONE)
        s = part_touch(a, gpa[0]);
    if (s == INSN_DONE && first_part(at.v, size) < size)
        s = part_touch(a, gpa[1]);
    return s;
}

static enum insn_status bus_read(void *ctx, gva_t at, unsigned size, u64 *value)
{
    struct access *a = ctx;
    unsigned first = first_part(at.v, size);
    u8 bytes[8] = {0};
    gpa_t gpa[2];
    enum insn_status s = translate_both(a, at, size, PAGE_ACCESS_READ, gpa);

    if (s == INSN_DONE)
        s = part_read(a, gpa[0], first, bytes);
    if (s == INSN_DONE && first < size)
        s = part_read(a, gpa[1], size - first, bytes + first);
    memcpy(value, bytes, sizeof(bytes));
    return s;
}

static enum insn_status bus_write(void *ctx, gva_t at, unsigned size, u64 value)
{
    struct access *a = ctx;
    unsigned first = first_part(at.v, size);
    gpa_t gpa[2];
    enum insn_status s = translate_both(a, at, size, PAGE_ACCESS_WRITE, gpa);
    u8 bytes[8];

    memcpy(bytes, &value, sizeof(bytes));
    if (s == INSN_DONE)
        s = part_write(a, gpa[0], first, bytes);
    if (s == INSN_DONE && first < size)
        s = part_write(a, gpa[1], size - first, bytes + first);
    return s;
}

static void bus_raise(void *ctx, u8 vector, u32 code)
{
    vcpu_raise(((struct access *)ctx)->v, vector, true, code);
}

static struct insn_bus bus_of(struct access *a)
{
    return (struct insn_bus){a, bus_probe, bus_read, bus_write, bus_raise};
}

unsigned vcpu_fetch(struct vcpu *v, const struct hvm_mode *m, u8 bytes[INSN_MAX_LENGTH])
{
    struct access a = {v, *m};
    u64 at = v->hvm.rip;
    unsigned first;
    gpa_t gpa;

    if (insn_mode(m, v->hvm.rflags) != INSN_64)
        at = (u32)(m->seg[SEG_CS].base + at);
    first = first_part(at, INSN_MAX_LENGTH);
    if (translate(&a, at, PAGE_ACCESS_EXEC, &gpa) != INSN_DONE ||
        vcpu_memory(v, gpa, guest_mem_read(&v->vm->pmap, gpa, bytes, first)))
        return 0;
    /* The rest may not be there, and the instruction may not need it. */
    if (first < INSN_MAX_LENGTH) {
        struct walk_mem mem = {v, guest_phys_bits(v), table_read, table_cmpxchg};
        u32 code;
        enum walk_result r = guest_walk(m, at + first, PAGE_ACCESS_EXEC | WALK_PEEK,
                                        SEG_ATTR_DPL(m->seg[SEG_SS].attr), &mem, &gpa, &code);
        enum err e = r == WALK_BUSY ? E_AGAIN : E_RANGE;

        if (r == WALK_OK)
            e = vcpu_memory(
                v, gpa, guest_mem_read(&v->vm->pmap, gpa, bytes + first, INSN_MAX_LENGTH - first));
        if (e)
            return e == E_RANGE ? first : 0;
    }
    return INSN_MAX_LENGTH;
}

static void execute(struct access *a, const struct insn *insn)
{
    struct vcpu *v = a->v;
    struct insn_bus bus = bus_of(a);

    switch (insn_execute(insn, &bus, &a->mode, v->hvm.gpr, &v->hvm.rip, &v->hvm.rflags)) {
    case INSN_DONE:
    case INSN_AGAIN: hvm->skip(&v->hvm, 0); break;
    case INSN_REFUSED:
        vm_fail(v->vm,
                "vCPU %u: an instruction at rip %llx touches a device in a way that Ferry does not "
                "know",
                v->index, (unsigned long long)v->hvm.rip);
        break;
    case INSN_FAULT:
    case INSN_STOP: break;
    }
}

void mmio_emulate(struct vcpu *v, gpa_t gpa)
{
    struct access a = {.v = v};
    u8 bytes[INSN_MAX_LENGTH];
    enum insn_mode mode;
    struct insn insn;
    struct why why;
    unsigned n;

    hvm->get_mode(&v->hvm, &a.mode);
    mode = insn_mode(&a.mode, v->hvm.rflags);
    n = vcpu_fetch(v, &a.mode, bytes);
    if (!n)
        return;
    switch (insn_decode(&insn, bytes, n, mode)) {
    case INSN_DECODED: execute(&a, &insn); break;
    case INSN_ILLEGAL: vcpu_raise(v, VEC_UD, false, 0); break;
    default:
        insn_explain(&why, bytes, n, mode);
        vm_fail(v->vm, "vCPU %u at rip %llx, for address %llx: %s", v->index,
                (unsigned long long)v->hvm.rip, (unsigned long long)gpa.v, why.text);
    }
}

/* --- INS and OUTS ---------------------------------------------------------------------------- */

#define STRING_ITERATIONS 64 /* an exit: so that a long one does not hold the CPU */

static void port_access(struct vcpu *v, const struct hvm_exit *exit, u32 *value)
{
    struct vtime now;

    lock_acquire(&v->vm->lock);
    now = vcpu_time(v);
    if (exit->io.in)
        platform_in(&v->vm->platform, v->index, exit->io.port, exit->io.size, &now, value);
    else
        platform_out(&v->vm->platform, v->index, exit->io.port, exit->io.size, &now, *value);
    vm_unlock_devices(v->vm);
    v->kicked = 1;
}

static void masked_add(u64 *reg, s64 delta, u8 address_size)
{
    u64 sum = *reg + (u64)delta;

    if (address_size == 8)
        *reg = sum;
    else if (address_size == 4)
        *reg = (u32)sum;
    else
        *reg = (*reg & ~0xffffull) | (sum & 0xffff);
}

static u64 masked(u64 reg, u8 address_size)
{
    return address_size == 8 ? reg : reg & (BIT(address_size * 8) - 1);
}

/* One iteration; false where a fault was raised instead. */
static bool string_step(struct access *a, const struct hvm_exit *exit)
{
    struct vcpu *v = a->v;
    u64 *index = &v->hvm.gpr[exit->io.in ? REG_RDI : REG_RSI];
    u8 size = exit->io.size, width = exit->io.address_size;
    u8 segment = exit->io.in ? SEG_ES : exit->io.segment;
    u64 value = 0;
    u32 port_value = 0;
    gva_t at;

    if (!insn_linear(&a->mode, v->hvm.rflags, segment, masked(*index, width), size, exit->io.in,
                     &at)) {
        vcpu_raise(v, segment == SEG_SS ? VEC_SS : VEC_GP, true, 0);
        return false;
    }
    if (exit->io.in) {
        if (bus_probe(a, at, size) != INSN_DONE)
            return false;
        port_access(v, exit, &port_value);
        if (bus_write(a, at, size, port_value) != INSN_DONE)
            return false;
    } else {
        if (bus_read(a, at, size, &value) != INSN_DONE)
            return false;
        port_value = (u32)value;
        port_access(v, exit, &port_value);
    }
    masked_add(index, v->hvm.rflags & RFLAGS_DF ? -(s64)size : size, width);
    return true;
}

void io_string(struct vcpu *v, const struct hvm_exit *exit)
{
    struct access a = {.v = v};
    u64 *count = &v->hvm.gpr[REG_RCX];
    u8 width = exit->io.address_size;

    hvm->get_mode(&v->hvm, &a.mode);
    for (unsigned i = 0; i < STRING_ITERATIONS; i++) {
        if (exit->io.rep && !masked(*count, width))
            break;
        if (!string_step(&a, exit))
            return;
        if (!exit->io.rep)
            break;
        masked_add(count, -1, width);
    }
    if (!exit->io.rep || !masked(*count, width))
        hvm->skip(&v->hvm, exit->insn_length);
}

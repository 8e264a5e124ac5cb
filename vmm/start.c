/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a VM begins: the state of a vCPU at reset, what a start-up IPI makes of it, and the guest's first
 * memory contents. */
#include "kernel/host.h"
#include "kernel/string.h"
#include "vmm/load/acpi.h"
#include "vmm/load/image.h"
#include "vmm/load/linux.h"
#include "vmm/load/multiboot.h"
#include "vmm/memory/guest_mem.h"
#include "vmm/vm.h"

#define ATTR_CODE 0x9bu /* present, accessed, 16-bit */
#define ATTR_DATA 0x93u
#define ATTR_LDT  0x82u
#define ATTR_TSS  0x8bu

/* SDM 3A 9.1.1, table 9-1. */
void vcpu_reset_state(struct hvm_state *s)
{
    *s = (struct hvm_state){
        .rip = 0xfff0,
        .rflags = RFLAGS_FIXED,
        .dr6 = 0xffff0ff0,
        .dr7 = 0x400,
        .xcr0 = XCR0_X87,
        .mode = {.cr0 = CR0_CD | CR0_NW | CR0_ET},
        .gdtr = {.limit = 0xffff},
        .idtr = {.limit = 0xffff},
        .msr = {[HVM_MSR_PAT] = 0x0007040600070406ull},
    };
    for (unsigned i = 0; i < SEG_COUNT; i++)
        s->mode.seg[i] = (struct hvm_segment){.limit = 0xffff, .attr = ATTR_DATA};
    s->mode.seg[SEG_CS] = (struct hvm_segment){0xffff0000, 0xffff, ATTR_CODE, 0xf000};
    s->mode.seg[SEG_LDTR].attr = ATTR_LDT;
    s->mode.seg[SEG_TR].attr = ATTR_TSS;
}

/* Real mode at the page that the IPI names (SDM 3A 8.4.4). */
void vcpu_start_at(struct vcpu *v, u8 vector)
{
    struct hvm_state s;

    vcpu_reset_state(&s);
    s.rip = 0;
    s.mode.seg[SEG_CS].selector = (u16)(vector << 8);
    s.mode.seg[SEG_CS].base = (u64)vector << 12;
    hvm->put(&v->hvm);
    hvm->set_state(&v->hvm, &s);
    arch_fpu_init(v->hvm.fpu);
    hvm->load(&v->hvm);
}

/* --- the kernel and what belongs to it ---------------------------------------------------------- */

#define PIECE KIB(64) /* with frames to find and to clear, far below a millisecond */

/* Others run between pieces: files have hundreds of megabytes. */
static enum err memory_write(void *ctx, gpa_t to, const void *from, size_t size)
{
    enum err e = OK;

    for (size_t at = 0, n; !e && at < size; at += n) {
        n = MIN(size - at, PIECE);
        e = guest_mem_write(ctx, GPA(to.v + at), (const u8 *)from + at, n);
        thread_yield();
    }
    return e;
}

static enum err find_file(const char *name, struct load_file *f, struct why *why)
{
    const struct boot_file *file = host_file(name);

    if (!file)
        return why_set(why, E_NOENT,
                       "no file %s: the loader brings only files that ferry.cfg names", name);
    *f = (struct load_file){phys_to_virt(HPA(file->base)), file->size};
    return OK;
}

static enum err load_linux(struct vm *vm, const struct load_file *kernel,
                           const struct load_memory *m, struct hvm_state *boot, struct why *why)
{
    struct linux_image image = {.kernel = *kernel, .cmdline = vm->config.cmdline};
    enum err e = OK;

    if (vm->config.initrd[0])
        e = find_file(vm->config.initrd, &image.initrd, why);
    if (!e)
        e = linux_load(&image, m, boot, why);
    return e;
}

static enum err load_multiboot(struct vm *vm, const struct load_file *kernel,
                               const struct load_memory *m, struct hvm_state *boot, struct why *why)
{
    struct multiboot_module modules[CONFIG_MAX_MODULES];
    struct multiboot_image image = {.kernel = *kernel,
                                    .name = vm->config.kernel,
                                    .cmdline = vm->config.cmdline,
                                    .modules = modules,
                                    .module_count = vm->config.module_count};

    for (u32 i = 0; i < vm->config.module_count; i++) {
        char path[CONFIG_PATH];
        enum err e;

        modules[i].text = vm->config.module[i];
        config_module_path(vm->config.module[i], path);
        e = find_file(path, &modules[i].file, why);
        if (e)
            return e;
    }
    return multiboot_load(&image, m, boot, why);
}

/* What firmware is to a guest that jumps to the reset vector in real mode, as Linux does where ACPI is
 * hardware-reduced and there is no EFI: mov dx, PORT_RESET; mov al, RESET_VALUE; out dx, al; hlt; jmp to it. */
static enum err load_reset_vector(const struct load_memory *m, struct why *why)
{
    static const u8 code[] = {
        0xba, PORT_RESET & 0xff, PORT_RESET >> 8, 0xb0, RESET_VALUE, 0xee, 0xf4, 0xeb, 0xfd};

    return load_explain(m->write(m->ctx, GPA(GUEST_RESET_VECTOR), code, sizeof(code)),
                        "the reset vector", why);
}

enum err vm_load(struct vm *vm, struct hvm_state *boot, struct why *why)
{
    struct load_memory m = {memory_write, &vm->pmap, vm->config.memory};
    struct load_file kernel;
    enum image_kind kind;
    enum err e;

    if (!vm->config.kernel[0])
        return why_set(why, E_INVAL, "%s has no kernel; name one in ferry.cfg or in `vm create`",
                       vm->config.name);
    e = find_file(vm->config.kernel, &kernel, why);
    if (e)
        return e;
    kind = image_find_kind(&kernel, why);
    if (kind == IMAGE_NONE)
        return E_FORMAT;
    e = acpi_load(&m, vm->config.vcpus, why);
    if (!e)
        e = load_reset_vector(&m, why);
    if (e)
        return e;
    return kind == IMAGE_LINUX ? load_linux(vm, &kernel, &m, boot, why)
                               : load_multiboot(vm, &kernel, &m, boot, why);
}

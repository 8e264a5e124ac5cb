/* SPDX-License-Identifier: BSD-2-Clause */
/* Which virtualisation this CPU has: asked of each backend in turn. */
#include "arch/x86_64/cpu/cpu_arch.h"
#include "kernel/init.h"
#include "kernel/log.h"

extern const struct hvm_ops svm_ops, vmx_ops;
const struct hvm_ops *hvm;

static void missing(const char *line)
{
    log_warn("virtualisation: %s", line);
}

static bool vendor_is_intel(void)
{
    u32 r[4];

    arch_cpuid(0, 0, r);
    return r[1] == 0x756e6547; /* "Genu" */
}

void hvm_cpu_start(void)
{
    struct why why;

    if (!hvm || !hvm->cpu_enable(&why))
        return;
    log_error("virtualisation on CPU %u: %s", cpu_this()->index, why.text);
    hvm = NULL;
}

static void hvm_init(const struct boot_info *boot)
{
    const struct hvm_ops *ops = vendor_is_intel() ? &vmx_ops : &svm_ops;

    (void)boot;
    if (!ops->probe(missing)) {
        log_error("no VM can run on this host: what is missing is named above");
        return;
    }
    hvm = ops;
    hvm_cpu_start();
    if (!hvm)
        return;
    log_info("virtualisation: %s with %s", hvm->name, hvm->slat_name);
}
INIT_STEP(1, hvm_init);

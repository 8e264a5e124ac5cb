/* The VMs of ferry.cfg: all are made at start-up, and those with `autostart yes` run. */
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "vmm/vm.h"

static void autostart(const struct boot_info *boot)
{
    struct why why;
    struct vm *vm;

    (void)boot;
    for (u32 i = 0; i < host_config.vm_count; i++) {
        const struct config_vm *c = &host_config.vm[i];

        if (vm_create(&vm, c, &why))
            log_error("VM %s of ferry.cfg: %s", c->name, why.text);
        else if (c->autostart && vm_start(vm, &why))
            log_error("VM %s does not start: %s", c->name, why.text);
    }
}
INIT_STEP(4, autostart);

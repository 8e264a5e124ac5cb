/* SPDX-License-Identifier: BSD-2-Clause */
/* `vm create`. */
#include "kernel/console.h"
#include "kernel/host.h"
#include "kernel/string.h"
#include "vmm/shell/create.h"
#include "vmm/shell/shell_vm.h"

static const char *next_file(void *ctx, unsigned index)
{
    (void)ctx;
    return index < host_boot->file_count ? host_boot->file[index].name : NULL;
}

static enum err check_file(const char *name, struct why *why)
{
    char near[96];

    if (!name[0] || host_file(name))
        return OK;
    return why_set(why, E_NOENT,
                   "there is no file '%s'%s: the loader brings those that ferry.cfg names, in a vm "
                   "or as `file`",
                   name, shell_near(near, sizeof(near), name, next_file, NULL));
}

static enum err check_files(const struct config_vm *vm, struct why *why)
{
    enum err e = check_file(vm->kernel, why);
    char path[CONFIG_PATH];

    if (!e)
        e = check_file(vm->initrd, why);
    for (u32 i = 0; i < vm->module_count && !e; i++) {
        config_module_path(vm->module[i], path);
        e = check_file(path, why);
    }
    if (!e && !vm->kernel[0])
        e = why_set(why, E_INVAL, "a VM needs a kernel: add kernel=FILE");
    return e;
}

static enum err run_create(unsigned argc, char **argv, struct why *why)
{
    static struct config_vm config; /* large for a stack */
    struct vm *like = NULL, *vm;
    enum err e = OK;

    if (argc > 2 && str_equal(argv[1], "like"))
        e = shell_find_vm(&like, argv[2], why);
    if (!e)
        e = create_parse(&config, argc, argv, like ? &like->config : NULL, why);
    if (!e && !like && !config.group[0])
        str_copy(config.group, sizeof(config.group), host_config.default_group);
    if (!e)
        e = check_files(&config, why);
    if (!e)
        e = vm_create(&vm, &config, why);
    if (!e)
        console_printf("%s is made, and off.\n", argv[0]);
    return e;
}

static void complete(struct shell_completion *c)
{
    static const char *const of_file[] = {"kernel=", "initrd=", "module="};
    unsigned argc = shell_completion_argc(c);
    const char *option;

    if (argc == 1)
        shell_offer(c, "like", "");
    if (argc == 2 && str_equal(shell_completion_arg(c, 1), "like")) {
        shell_complete_vm(c);
        return;
    }
    for (unsigned i = 0; (option = create_option(i)); i++)
        shell_offer(c, option, "");
    for (unsigned i = 0; i < COUNT_OF(of_file); i++)
        for (u32 f = 0; f < host_boot->file_count; f++)
            shell_offer(c, of_file[i], host_boot->file[f].name);
}

SHELL_COMMAND(vm_create, .name = "vm create", .min = 1, .max = SHELL_WORDS - 2, .run = run_create,
              .args = "NAME [like OTHER] kernel=FILE [initrd=FILE] [memory=256M] [cpus=1] "
                      "[group=NAME] [module=FILE[,ARGUMENTS]]... [cmdline=\"...\"]",
              .help = "make a VM, which is off", .complete = {shell_complete_nothing, complete},
              .more = "The options are the keys of ferry.cfg (docs/ferry.cfg.md). Files are those "
                      "that the loader "
                      "brought from the boot volume: the ones that ferry.cfg names.\n"
                      "`like OTHER` begins with what another VM has; options change it.\n"
                      "Example: vm create web kernel=vmlinuz initrd=initrd.gz memory=512M cpus=2 "
                      "cmdline=\"console=ttyS0 quiet\"");

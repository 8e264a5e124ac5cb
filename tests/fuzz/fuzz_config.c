/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.cfg comes from a volume that anyone may have written: whatever it says, what is parsed keeps every
 * promise that the rest relies on. The same for a line of the shell. */
#include <stdlib.h>
#include <string.h>
#include "kernel/config.h"
#include "kernel/shell/parse.h"
#include "vmm/shell/create.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static unsigned told, last_line;

static void on_wrong(void *ctx, unsigned line, const char *what)
{
    CHECK(ctx == &told);
    CHECK(line > last_line); /* one complaint a line, in their order */
    for (const char *c = what; *c; c++)
        CHECK(*c >= ' ' && *c <= '~');
    last_line = line;
    told++;
}

static void check_text(const char *text, size_t size)
{
    CHECK(memchr(text, '\0', size));
}

static void check_vm(const struct config_vm *vm)
{
    char path[CONFIG_PATH];

    CHECK(vm->name[0]);
    CHECK(vm->memory >= MIB(4) && vm->memory <= GIB(1024) && !(vm->memory & PAGE_MASK));
    CHECK(vm->vcpus >= 1 && vm->vcpus <= 16);
    CHECK(vm->module_count <= CONFIG_MAX_MODULES);
    check_text(vm->name, sizeof(vm->name));
    check_text(vm->group, sizeof(vm->group));
    check_text(vm->kernel, sizeof(vm->kernel));
    check_text(vm->initrd, sizeof(vm->initrd));
    check_text(vm->cmdline, sizeof(vm->cmdline));
    for (u32 i = 0; i < vm->module_count; i++) {
        check_text(vm->module[i], sizeof(vm->module[i]));
        config_module_path(vm->module[i], path);
        check_text(path, sizeof(path));
        CHECK(path[0]);
    }
}

static void check_config(const char *text, size_t size)
{
    static struct config c;

    told = last_line = 0;
    CHECK(config_parse(&c, text, size, on_wrong, &told) == told);
    CHECK(c.vm_count <= CONFIG_MAX_VMS && c.file_count <= CONFIG_MAX_FILES && c.prefix <= 32);
    CHECK(c.host[0] && c.secret_count <= CONFIG_MAX_SECRETS);
    for (u32 i = 0; i < c.secret_count; i++) {
        check_text(c.secret[i].group, sizeof(c.secret[i].group));
        CHECK(c.secret[i].group[0]);
    }
    check_text(c.host, sizeof(c.host));
    for (u32 i = 0; i < c.file_count; i++)
        check_text(c.file[i], sizeof(c.file[i]));
    for (u32 i = 0; i < c.vm_count; i++) {
        check_vm(&c.vm[i]);
        for (u32 k = 0; k < i; k++)
            CHECK(strcmp(c.vm[i].name, c.vm[k].name));
    }
}

static void check_line(const char *text, size_t size)
{
    static struct words w;
    static struct config_vm vm;
    char line[SHELL_LINE];
    struct why why;

    size = size < sizeof(line) - 1 ? size : sizeof(line) - 1;
    memcpy(line, text, size);
    line[size] = '\0';
    if (words_parse(&w, line, &why)) {
        check_text(why.text, sizeof(why.text));
        return;
    }
    for (unsigned i = 0; i < w.count; i++)
        CHECK(strlen(w.word[i]) <= size && w.at[i] < size);
    if (w.count && !create_parse(&vm, w.count, w.word, NULL, &why))
        check_vm(&vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_config((const char *)data, size);
    check_line((const char *)data, size);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* The options become the text of a section of ferry.cfg, and ferry.cfg's own parser reads it: one set of
 * rules and of messages. */
#include "kernel/shell.h"
#include "kernel/string.h"
#include "vmm/shell/create.h"

#define TEXT_SIZE (SHELL_LINE + sizeof(struct config_vm) + 256)

static const char *const options[] = {
    "kernel=", "initrd=", "memory=", "cpus=", "group=", "module=", "cmdline="};

struct text {
    char text[TEXT_SIZE];
    size_t size;
};

const char *create_option(unsigned index)
{
    return index < COUNT_OF(options) ? options[index] : NULL;
}

static const char *next_option(void *ctx, unsigned index)
{
    (void)ctx;
    return create_option(index);
}

static void add(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->size += (size_t)str_vformat(t->text + t->size, TEXT_SIZE - t->size, format, args);
    va_end(args);
}

static bool has_module(unsigned argc, char **argv)
{
    for (unsigned i = 0; i < argc; i++)
        if (str_starts(argv[i], "module="))
            return true;
    return false;
}

static void add_base(struct text *t, const struct config_vm *base, bool modules)
{
    add(t, "memory %llu\ncpus %u\n", (unsigned long long)base->memory, base->vcpus);
    if (base->group[0])
        add(t, "group %s\n", base->group);
    if (base->kernel[0])
        add(t, "kernel %s\n", base->kernel);
    if (base->initrd[0])
        add(t, "initrd %s\n", base->initrd);
    if (base->cmdline[0])
        add(t, "cmdline %s\n", base->cmdline);
    for (u32 i = 0; modules && i < base->module_count; i++)
        add(t, "module %s\n", base->module[i]);
}

static enum err add_option(struct text *t, char *word, struct why *why)
{
    char *value = strchr(word, '='), near[48], name[32], *comma;

    for (unsigned i = 0; i < COUNT_OF(options); i++) {
        if (!str_starts(word, options[i]))
            continue;
        *value++ = '\0';
        comma = str_equal(word, "module") ? strchr(value, ',') : NULL;
        if (comma)
            *comma = ' ';
        add(t, "%s %s\n", word, value);
        return OK;
    }
    str_format(name, sizeof(name), "%.*s", (int)MIN(value ? value - word + 1 : 30, 30), word);
    return why_set(
        why, E_INVAL,
        "'%s' is no option%s: expected kernel=, initrd=, memory=, cpus=, group=, module= "
        "or cmdline=",
        name, shell_near(near, sizeof(near), name, next_option, NULL));
}

struct complaint {
    struct why *why;
    enum err e;
};

/* Its first complaint counts. */
static void on_wrong(void *ctx, unsigned line, const char *what)
{
    struct complaint *c = ctx;

    (void)line;
    if (!c->e)
        c->e = why_set(c->why, E_INVAL, "%s", what);
}

enum err create_parse(struct config_vm *vm, unsigned argc, char **argv,
                      const struct config_vm *base, struct why *why)
{
    static struct config parsed; /* both are large for a stack */
    static struct text t;
    struct complaint complaint = {.why = why};

    t.size = 0;
    add(&t, "vm %s\n", argv[0]);
    if (base)
        add_base(&t, base, !has_module(argc, argv));
    for (unsigned i = base ? 3 : 1; i < argc; i++) {
        enum err e = add_option(&t, argv[i], why);

        if (e)
            return e;
    }
    config_parse(&parsed, t.text, t.size, on_wrong, &complaint);
    *vm = parsed.vm[0];
    return complaint.e;
}

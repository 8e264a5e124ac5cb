/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's own commands. */
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/shell/complete.h"
#include "kernel/string.h"
#include "kernel/timer.h"
#include "kernel/version.h"

static struct shell_hooks *hooks;

void shell_add_hooks(struct shell_hooks *h)
{
    struct shell_hooks **end = &hooks;

    while (*end)
        end = &(*end)->next;
    *end = h;
}

#define CALL_HOOKS(what)                                                                           \
    for (struct shell_hooks *h = hooks; h; h = h->next)                                            \
        if (h->what)                                                                               \
    h->what()

void shell_begin_command(void)
{
    CALL_HOOKS(begin);
}

/* --- info ------------------------------------------------------------------------------------ */

static void row_address(void)
{
    const u8 *a = host_config.address;

    if (host_config.prefix)
        shell_row("address", "%u.%u.%u.%u/%u", a[0], a[1], a[2], a[3], host_config.prefix);
    else
        shell_row("address", "none: ferry.cfg has no `address`");
}

static enum err run_info(unsigned argc, char **argv, struct why *why)
{
    struct frame_stats s;
    char cpu[49], up[24];

    (void)argc, (void)argv, (void)why;
    frames_stats(&s);
    arch_cpu_name(cpu);
    shell_row("host", "%s", host_config.host);
    shell_row("version", "Ferry, build %s", ferry_build);
    shell_row("up", "%s", shell_duration(up, time_now()));
    shell_row("CPU", "%u x %s", cpu_count, cpu);
    shell_row("guests by",
              hvm ? "%s with %s%s" : "nothing: this CPU lacks what is needed; see `log`",
              hvm ? hvm->name : "", hvm ? hvm->slat_name : "",
              hvm && hvm->logs_dirty && hvm->logs_dirty() ? ", dirty pages logged (PML)" : "");
    shell_row("TSC", "%u.%03u MHz by %s%s", arch_tsc_khz() / 1000, arch_tsc_khz() % 1000,
              arch_clock_source(), arch_tsc_invariant() ? ", invariant" : "");
    shell_row("interrupts", "%s, timer by %s", arch_apic_mode(), arch_timer_mode());
    shell_row("memory", "%llu MiB, %llu MiB free", (unsigned long long)(s.ram >> 8),
              (unsigned long long)(s.count[FRAME_FREE] >> 8));
    row_address();
    CALL_HOOKS(info);
    return OK;
}
SHELL_COMMAND(info, .name = "info", .help = "what this host is", .run = run_info);

/* --- mem ------------------------------------------------------------------------------------- */

static void print_frames(const char *what, u64 frames)
{
    console_printf("%-20s %12llu %12llu\n", what, (unsigned long long)(frames >> 8),
                   (unsigned long long)frames);
}

static enum err run_mem(unsigned argc, char **argv, struct why *why)
{
    struct frame_stats s;
    u64 image = host_boot->kernel_size / PAGE_SIZE;

    (void)argc, (void)argv, (void)why;
    frames_stats(&s);
    console_printf("%-20s %12s %12s\n", "", "MiB", "frames");
    for (unsigned k = FRAME_FREE; k < FRAME_KIND_COUNT; k++)
        print_frames(frame_kind_name[k], s.count[k]);
    print_frames("all", s.ram);
    print_frames("largest free block", s.count[FRAME_FREE] ? 1ull << s.largest_free : 0);
    print_frames("Ferry itself", image + s.count[FRAME_KERNEL] + s.count[FRAME_PAGE_TABLE]);
    CALL_HOOKS(mem);
    return OK;
}
SHELL_COMMAND(mem, .name = "mem", .help = "who has the memory", .run = run_mem,
              .more = "Ferry itself is its image, its heap and stacks, and all page tables.");

/* --- log ------------------------------------------------------------------------------------- */

static const char *const level_name[LOG_LEVEL_COUNT] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};

static void print_line(void *ctx, u64 ns, enum log_level level, const char *text)
{
    const char *mark = level == LOG_ERROR ? "error: " : level == LOG_WARN ? "warning: " : "";
    char line[300];

    (void)ctx;
    str_format(line, sizeof(line), "[%5llu.%03llu] %s%s", (unsigned long long)(ns / SEC(1)),
               (unsigned long long)(ns / MSEC(1) % 1000), mark, text);
    shell_print_wrapped(0, 12, line);
}

static enum err run_log(unsigned argc, char **argv, struct why *why)
{
    for (unsigned level = 0; argc && level < LOG_LEVEL_COUNT; level++)
        if (str_equal(level_name[level], argv[0])) {
            log_walk(level, print_line, NULL);
            return OK;
        }
    if (argc)
        return why_set(why, E_INVAL, "'%.20s' is no level: expected error, warn, info or debug",
                       argv[0]);
    log_walk(LOG_INFO, print_line, NULL);
    return OK;
}

static void complete_level(struct shell_completion *c)
{
    for (unsigned level = 0; level < LOG_LEVEL_COUNT; level++)
        shell_offer(c, level_name[level], "");
}
SHELL_COMMAND(
    log, .name = "log", .args = "[error|warn|info|debug]", .max = 1, .run = run_log,
    .help = "the last lines of the log, up to a level (info)", .complete = {complete_level},
    .more = "Lines come with the seconds since boot. Warnings and errors are also shown when they "
            "come; the last 512 lines of all levels are kept.");

/* --- the ways out ------------------------------------------------------------------------------ */

/* Ends what is here, in order; `--force`: whatever others lose by that. */
static enum err leave(unsigned argc, char **argv, const char *how, struct why *why)
{
    enum err e = OK;

    if (argc && !str_equal(argv[0], "--force"))
        return why_set(why, E_INVAL, "'%.20s' is not `--force`", argv[0]);
    for (struct shell_hooks *h = hooks; h && !e; h = h->next)
        e = h->leave ? h->leave(why) : OK;
    if (e && !argc)
        return e;
    if (e)
        shell_print_wrapped(0, 0, why->text);
    CALL_HOOKS(going_down);
    console_printf("This host %s.\n", how);
    CALL_HOOKS(stop);
    return OK;
}

static void complete_force(struct shell_completion *c)
{
    shell_offer(c, "--force", "");
}

#define LEAVE_MORE                                                                                 \
    "What other hosts borrow from this one is handed to them first. If that cannot be done, or a " \
    "VM is on its way, nothing happens; with --force it does, and says which VMs are lost."

static enum err run_reboot(unsigned argc, char **argv, struct why *why)
{
    enum err e = leave(argc, argv, "restarts", why);

    if (e)
        return e;
    arch_reboot();
}
SHELL_COMMAND(reboot, .name = "reboot", .args = "[--force]", .max = 1,
              .help = "stop all VMs and restart this host", .run = run_reboot,
              .complete = {complete_force}, .more = LEAVE_MORE);

static enum err run_poweroff(unsigned argc, char **argv, struct why *why)
{
    enum err e = leave(argc, argv, "powers off", why);

    if (e)
        return e;
    arch_poweroff();
}
SHELL_COMMAND(poweroff, .name = "poweroff", .args = "[--force]", .max = 1,
              .help = "stop all VMs and turn this host off", .run = run_poweroff,
              .complete = {complete_force}, .more = LEAVE_MORE);

/* --- panic ----------------------------------------------------------------------------------- */

static void fault(void)
{
    volatile u8 *nowhere = (u8 *)~0ull; /* far above the kernel's image */

    *nowhere = 0;
}

static u32 overflow_stack(u32 depth)
{
    volatile u8 fill[1024];

    fill[depth % sizeof(fill)] = (u8)depth;
    return depth ? overflow_stack(depth + 1) + fill[depth % sizeof(fill)] : 0;
}

static enum err run_panic(unsigned argc, char **argv, struct why *why)
{
    if (!argc)
        panic("the user asked for it");
    if (str_equal(argv[0], "fault"))
        fault();
    else if (str_equal(argv[0], "stack"))
        overflow_stack(1);
    return why_set(why, E_INVAL, "expected fault or stack, or nothing");
}

static void complete_panic(struct shell_completion *c)
{
    shell_offer(c, "fault", "");
    shell_offer(c, "stack", "");
}
SHELL_COMMAND(
    panic, .name = "panic", .args = "[fault|stack]", .max = 1, .run = run_panic,
    .help = "end this host and all its VMs at once", .complete = {complete_panic},
    .more = "For trying what a crash leaves on the console: a panic, a page fault, or a stack that "
            "overflows. Nothing is stopped in order; the machine must be reset.");

/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's start on the boot CPU: the order in which everything comes up. */
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/frames.h"
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"

extern const struct init_step init_table_start[], init_table_end[];

struct config host_config;
const struct boot_info *host_boot;

static void config_line_wrong(void *ctx, unsigned line, const char *what)
{
    (void)ctx;
    log_warn("ferry.cfg line %u: %s", line, what);
}

static void read_config(const struct boot_info *boot)
{
    const char *text = phys_to_virt(HPA(boot->config_base));
    unsigned wrong = config_parse(&host_config, text, boot->config_size, config_line_wrong, NULL);

    if (wrong)
        log_warn("ferry.cfg: %u wrong line%s left out; docs/ferry.cfg.md describes them", wrong,
                 wrong == 1 ? "" : "s");
    for (u32 i = 0; i < boot->note_count; i++)
        log_warn("loader: %s", boot->note[i]);
}

const struct boot_file *host_file(const char *name)
{
    for (u32 i = 0; i < host_boot->file_count; i++)
        if (str_equal(host_boot->file[i].name, name))
            return &host_boot->file[i];
    return NULL;
}

static void say_hello(void)
{
    struct frame_stats s;
    char cpu[49];

    frames_stats(&s);
    arch_cpu_name(cpu);
    log_info("Ferry, host %s: %u CPU%s, %llu MiB of memory", host_config.host, cpu_count,
             cpu_count == 1 ? "" : "s", (unsigned long long)(s.ram * PAGE_SIZE >> 20));
    log_info("CPU: %s, TSC %u.%03u MHz by %s", cpu, arch_tsc_khz() / 1000, arch_tsc_khz() % 1000,
             arch_clock_source());
}

static void start_cpus(const struct boot_info *boot)
{
    (void)boot;
    arch_cpus_start(thread_cpu_enter);
    say_hello();
}
INIT_STEP(2, start_cpus);

void kernel_main(const struct boot_info *boot)
{
    host_boot = boot;
    time_init();
    symbols_init(boot);
    thread_init();
    read_config(boot);
    for (const struct init_step *s = init_table_start; s < init_table_end; s++)
        s->run(boot);
    thread_exit();
}

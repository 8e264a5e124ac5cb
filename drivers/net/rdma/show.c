/* The command `rdma`: the device of this host, and what came and went. */
#include "drivers/net/ip/ip.h"
#include "drivers/net/roce/nic.h"
#include "kernel/console.h"
#include "kernel/shell.h"

static void print_counter(const char *what, u64 n)
{
    if (n)
        console_printf("  %-44s %14llu\n", what, (unsigned long long)n);
}

static void print_gid(const u8 gid[16])
{
    char text[40];

    for (unsigned i = 0; i < 8; i++)
        str_format(text + 5 * i, sizeof(text) - 5 * i, "%02x%02x%s", gid[2 * i], gid[2 * i + 1],
                   i < 7 ? ":" : "");
    shell_row("GID", "%s", text);
}

static enum err run_rdma(unsigned argc, char **argv, struct why *why)
{
    struct verbs_device *device = roce_host();
    struct roce_counters c;
    struct verbs_port port;
    char text[IP4_TEXT];

    (void)argc, (void)argv;
    if (!device)
        return roce_host_missing(why);
    if (verbs_query_port(device, &port))
        return why_set(why, E_IO, "%s does not tell its port's state", device->name);
    roce_counters(device, &c);
    shell_row("device", "%s, RoCEv2 in software", device->name);
    shell_row("port", "%s, path MTU %u", port.active ? "active" : "down", port.active_mtu);
    shell_row("address", "%s", ip4_text(text, (ip4_t){port.ip}));
    print_gid(port.gid);
    console_print("\n");
    print_counter("packets taken", c.dropped[ROCE_OK]);
    for (unsigned i = ROCE_OK + 1; i < ROCE_DROP_COUNT; i++)
        print_counter(roce_drop_name(i), c.dropped[i]);
    for (unsigned i = 0; i < RC_COUNTERS; i++)
        print_counter(rc_counter_name[i], c.rc[i]);
    return OK;
}
SHELL_COMMAND(
    rdma, .name = "rdma", .help = "the RDMA device, and what came and went", .run = run_rdma,
    .more = "Packets that are dropped are counted by the reason; what never happened is left "
            "out.");

/* SPDX-License-Identifier: BSD-2-Clause */
/* The command `rdma`: the device of this host, and what came and went. */
#include "drivers/net/ip/ip.h"
#include "drivers/net/rdma/host.h"
#include "kernel/console.h"
#include "kernel/shell.h"

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
    struct verbs_device *device = rdma_host();
    struct verbs_port port;
    char text[IP4_TEXT], mac[MAC_TEXT];
    mac_t m;

    (void)argc, (void)argv;
    if (!device)
        return rdma_host_missing(why);
    if (verbs_query_port(device, &port))
        return why_set(why, E_IO, "%s does not tell its port's state", device->name);
    memcpy(m.b, port.mac, sizeof(m.b));
    shell_row("port", "%s, path MTU %u, MAC %s", port.active ? "active" : "down", port.active_mtu,
              mac_text(mac, m));
    shell_row("address", "%s", ip4_text(text, (ip4_t){port.ip}));
    print_gid(port.gid);
    device->ops->show(device);
    return OK;
}
SHELL_COMMAND(
    rdma, .name = "rdma", .help = "the RDMA device, and what came and went", .run = run_rdma,
    .more =
        "A card with an active link, else RoCE in software over the NIC. Packets that are dropped "
        "are counted by the reason; what never happened is left out.");

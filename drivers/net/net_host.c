/* SPDX-License-Identifier: BSD-2-Clause */
/* The network of this host: what starts it, and the commands `net` and `ping`. */
#include "drivers/net/ip/ip.h"
#include "kernel/console.h"
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/shell.h"

#define PING_WAIT   SEC(1)
#define PING_PERIOD MSEC(200)
#define PING_DATA   56
#define PING_MAX    10000
#define CTRL_C      3

static struct ip stack;
static bool running;

struct ip *ip_host(void)
{
    return running ? &stack : NULL;
}

enum err ip_host_missing(struct why *why)
{
    if (!ether_host())
        return why_set(why, E_STATE, "this host has no NIC that Ferry drives; see `pci`");
    if (!host_config.prefix)
        return why_set(why, E_STATE,
                       "this host has no address: ferry.cfg needs `address 192.0.2.1/24`");
    return why_set(why, E_STATE, "the network did not start; see `log`");
}

static void net_start(const struct boot_info *boot)
{
    struct ether *e = ether_host();
    const u8 *a = host_config.address;

    (void)boot;
    if (!e)
        return;
    if (host_config.prefix) {
        ip_start(&stack, e, IP4(a[0], a[1], a[2], a[3]), host_config.prefix);
        running = true;
    }
    if (ether_start(e)) {
        log_warn("network: no memory for its thread");
        running = false;
    }
}
INIT_STEP(4, net_start);

/* --- `net` ----------------------------------------------------------------------------------------- */

static void print_nic(const struct ether *e)
{
    const struct ether_counters *c = &e->counters;
    char mac[MAC_TEXT];

    shell_row("NIC", "%s, %s, link %s, MTU %u", e->name, mac_text(mac, e->mac),
              e->ops->link((struct ether *)e) ? "up" : "down", e->mtu);
    console_printf("\n  %-44s %14s %14s\n", "", "frames", "bytes");
    console_printf("  %-44s %14llu %14llu\n", "received", (unsigned long long)c->received,
                   (unsigned long long)c->received_bytes);
    console_printf("  %-44s %14llu %14llu\n", "sent", (unsigned long long)c->sent,
                   (unsigned long long)c->sent_bytes);
    shell_counter("received with an error", c->bad);
    shell_counter("missed: no room in the NIC", c->missed);
    shell_counter("unsent: no free buffer", c->no_room);
}

static void print_neighbours(struct ip *ip)
{
    char address[IP4_TEXT], mac[MAC_TEXT];
    u64 now = time_now();

    for (unsigned i = 0; i < IP_NEIGHBOURS; i++) {
        const struct neighbour n = ip->neighbour[i];

        if (n.state == NEIGHBOUR_KNOWN)
            console_printf("neighbour  %-15s  %s  heard %llu s ago\n", ip4_text(address, n.address),
                           mac_text(mac, n.mac), (unsigned long long)((now - n.since) / SEC(1)));
        else if (n.state == NEIGHBOUR_ASKED)
            console_printf("neighbour  %-15s  does not answer\n", ip4_text(address, n.address));
    }
}

static enum err run_net(unsigned argc, char **argv, struct why *why)
{
    struct ip *ip = ip_host();
    char address[IP4_TEXT], mac[MAC_TEXT];

    (void)argc, (void)argv;
    if (!ether_host())
        return ip_host_missing(why);
    if (ip)
        shell_row("address", "%s/%u", ip4_text(address, ip->address), ip->prefix);
    else
        shell_row("address", "none: ferry.cfg has no `address`");
    if (ip && ip->conflicts)
        shell_row("conflict", "%s uses this address too; seen %llu times",
                  mac_text(mac, ip->conflict), (unsigned long long)ip->conflicts);
    print_nic(ether_host());
    if (!ip)
        return OK;
    shell_counter("UDP sent", ip->udp_sent);
    shell_counter("echoes answered", ip->echo_answered);
    shell_counter("packets taken", ip->dropped[IP_TAKEN]);
    for (unsigned d = IP_TAKEN + 1; d < IP_DROP_COUNT; d++)
        shell_counter(ip_drop_name(d), ip->dropped[d]);
    console_print("\n");
    print_neighbours(ip);
    for (unsigned i = 0; i < IP_PORTS; i++)
        if (ip->port[i].port)
            console_printf("UDP port   %-15u  %llu received\n", ip->port[i].port,
                           (unsigned long long)ip->port[i].received);
    return OK;
}
SHELL_COMMAND(
    net, .name = "net", .help = "the NIC, its addresses, and what came and went", .run = run_net,
    .more = "Packets that are dropped are counted by the reason; what never happened is left "
            "out.");

/* --- `ping` ---------------------------------------------------------------------------------------- */

struct result {
    u64 sent, received, least, most, sum; /* ns */
};

/* Waits until then, or until Ctrl-C, which returns true; or until the answer is there. */
static bool wait(const struct ip *ip, u64 end, bool for_answer)
{
    while (time_now() < end &&
           !(for_answer && __atomic_load_n(&ip->ping.answered, __ATOMIC_ACQUIRE)))
        if (console_read(MIN(MSEC(5), end - time_now())) == CTRL_C)
            return true;
    return false;
}

/* One echo; true if the user wants no more. */
static bool ping_once(struct ip *ip, ip4_t to, u16 sequence, struct result *r)
{
    u64 start = time_now(), took;
    char text[IP4_TEXT];
    bool stop;

    if (!ip_ping_send(ip, to, sequence, PING_DATA))
        r->sent++;
    stop = wait(ip, start + PING_WAIT, true);
    if (!ip->ping.answered) {
        console_printf("no answer from %s: sequence %u\n", ip4_text(text, to), sequence);
        return stop;
    }
    took = ip->ping.answered - start;
    r->received++;
    r->sum += took;
    r->least = MIN(r->least, took);
    r->most = MAX(r->most, took);
    console_printf("%u bytes from %s: sequence %u, TTL %u, %llu.%03llu ms\n", PING_DATA,
                   ip4_text(text, to), sequence, ip->ping.ttl, (unsigned long long)(took / MSEC(1)),
                   (unsigned long long)(took / USEC(1) % 1000));
    return stop;
}

static void print_result(const struct result *r)
{
    console_printf("%llu sent, %llu received, %llu %% lost", (unsigned long long)r->sent,
                   (unsigned long long)r->received,
                   (unsigned long long)(r->sent ? (r->sent - r->received) * 100 / r->sent : 0));
    if (r->received)
        console_printf("; round trip %llu us at least, %llu on average, %llu at most",
                       (unsigned long long)(r->least / USEC(1)),
                       (unsigned long long)(r->sum / r->received / USEC(1)),
                       (unsigned long long)(r->most / USEC(1)));
    console_print("\n");
}

static enum err run_ping(unsigned argc, char **argv, struct why *why)
{
    struct ip *ip = ip_host();
    struct result r = {.least = U64_MAX};
    u64 count = 4;
    ip4_t to;
    mac_t mac;
    enum err e;

    if (!ip)
        return ip_host_missing(why);
    if (!ip4_parse(argv[0], &to))
        return why_set(why, E_INVAL, "'%s' is no IPv4 address, as 192.0.2.2", argv[0]);
    if (argc > 1 && (!str_to_u64(argv[1], &count) || !count || count > PING_MAX))
        return why_set(why, E_RANGE, "'%s' is no number from 1 to %u", argv[1], PING_MAX);
    e = ip_resolve(ip, to, SEC(3), &mac, why);
    for (u64 i = 1; !e && i <= count; i++) {
        u64 next = time_now() + PING_PERIOD;

        if (ping_once(ip, to, (u16)i, &r) || (i < count && wait(ip, next, false)))
            break;
    }
    if (!e)
        print_result(&r);
    return e;
}
SHELL_COMMAND(
    ping, .name = "ping", .args = "ADDRESS [count]", .min = 1, .max = 2, .run = run_ping,
    .help = "send echo requests to a host, and time the answers",
    .complete = {shell_complete_nothing},
    .more = "Four, or as many as count says; Ctrl-C ends it. A host in this network only.");

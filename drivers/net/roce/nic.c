/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/nic.h"
#include "drivers/net/ip/ip.h"
#include "drivers/net/roce/wire.h"
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/shell.h"

/* An idle NIC is polled each ms, and an emulated host loses its CPU for some: sooner nothing is lost. */
#define PROBE_LEAST MSEC(4)

static struct {
    struct verbs_device *device;
    struct ether *ether;
    u8 *buffer; /* begun and not sent */
    struct ether_service service;
} nic;

struct verbs_device *roce_host(void)
{
    return nic.device;
}

enum err roce_host_missing(struct why *why)
{
    if (!ip_host())
        return ip_host_missing(why);
    return why_set(why, E_STATE, "soft-RoCE did not start; see `log`");
}

/* --- the port: the device's lock is held --------------------------------------------------------- */

static u8 *frame_begin(void *unused, u32 size)
{
    (void)unused, (void)size;
    if (!nic.buffer)
        nic.buffer = ether_take(nic.ether);
    return nic.buffer;
}

static void frame_send(void *unused, u32 size)
{
    u8 *buffer = nic.buffer;

    (void)unused;
    nic.buffer = NULL;
    ether_send(nic.ether, buffer, size);
}

static void kick(void *unused)
{
    (void)unused;
    ether_kick(nic.ether);
}

/* --- the NIC's thread ----------------------------------------------------------------------------- */

static void receive(void *unused, const struct udp_datagram *d)
{
    (void)unused;
    (void)roce_receive(nic.device, d->ip.frame, d->ip.size); /* it counts */
}

static bool service_poll(struct ether_service *unused)
{
    (void)unused;
    return roce_poll(nic.device);
}

static u64 service_deadline(struct ether_service *unused)
{
    (void)unused;
    return roce_deadline(nic.device);
}

static bool service_busy(struct ether_service *unused)
{
    (void)unused;
    return roce_is_busy(nic.device);
}

/* --- `rdma` ---------------------------------------------------------------------------------------- */

static void show(struct verbs_device *device)
{
    struct roce_counters c;

    roce_counters(device, &c);
    shell_row("device", "%s, RoCEv2 in software", device->name);
    console_print("\n");
    shell_counter("packets taken", c.dropped[ROCE_OK]);
    for (unsigned i = ROCE_OK + 1; i < ROCE_DROP_COUNT; i++)
        shell_counter(roce_drop_name(i), c.dropped[i]);
    for (unsigned i = 0; i < RC_COUNTERS; i++)
        shell_counter(rc_counter_name[i], c.rc[i]);
}

/* --- start-up -------------------------------------------------------------------------------------- */

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014). */
static u64 mix(u64 x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

u64 roce_random(void)
{
    static u64 state;
    u64 mac = 0;

    if (nic.ether)
        memcpy(&mac, nic.ether->mac.b, sizeof(nic.ether->mac.b));
    return mix(__atomic_add_fetch(&state, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED) ^
               mix(arch_tsc() ^ mix(arch_wall_clock_at_boot() ^ mac)));
}

static struct roce_port port_of(const struct ip *ip)
{
    struct roce_port port = {
        .name = "roce0",
        .ip = ip->address.v,
        .mtu = ip->ether->mtu,
        .frame_begin = frame_begin,
        .frame_send = frame_send,
        .kick = kick,
        .show = show,
        .now = time_now,
        .alloc = heap_alloc,
        .free = heap_free,
        .window = {.wait_least = PROBE_LEAST},
        .first_qpn = (u32)roce_random(),
        .first_mr = (u32)roce_random(),
    };

    memcpy(port.mac, ip->ether->mac.b, sizeof(port.mac));
    return port;
}

static void roce_start(const struct boot_info *boot)
{
    struct ip *ip = ip_host();
    struct roce_port port;
    struct why why;

    (void)boot;
    if (!ip)
        return;
    nic.ether = ip->ether;
    port = port_of(ip);
    if (roce_device_create(&port, &nic.device, &why)) {
        log_warn("soft-RoCE: %s", why.text);
        return;
    }
    nic.service = (struct ether_service){
        .poll = service_poll, .deadline = service_deadline, .busy = service_busy};
    if (udp_bind(ip, WIRE_UDP_PORT, receive, NULL)) {
        log_warn("soft-RoCE: UDP port %u is taken", WIRE_UDP_PORT);
        nic.device = NULL;
        return;
    }
    ether_add_service(nic.ether, &nic.service);
}
INIT_STEP(4, roce_start); /* behind net_start: steps of a level go by name */

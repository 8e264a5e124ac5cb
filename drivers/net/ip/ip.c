/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/ip/ip.h"

enum err ip_reachable(const struct ip *ip, ip4_t a, struct why *why)
{
    u32 mask = ip->prefix ? ~0u << (32 - ip->prefix) : 0;
    char text[IP4_TEXT], own[IP4_TEXT];

    ip4_text(text, a);
    if (a.v == ip->address.v)
        return why_set(why, E_RANGE, "%s is this host itself", text);
    if ((a.v ^ ip->address.v) & mask)
        return why_set(why, E_RANGE,
                       "%s is not in this host's network, %s/%u, and there is no gateway", text,
                       ip4_text(own, ip->address), ip->prefix);
    if (ip->prefix < 31 && (!(a.v & ~mask) || (a.v | mask) == ~0u))
        return why_set(why, E_RANGE, "%s is the network's own or broadcast address", text);
    return OK;
}

/* --- UDP ------------------------------------------------------------------------------------------- */

/* The lock is held. Port 0: a free place. */
static struct udp_port *port_find(struct ip *ip, u16 port)
{
    for (unsigned i = 0; i < IP_PORTS; i++)
        if (ip->port[i].port == port)
            return &ip->port[i];
    return NULL;
}

enum err udp_bind(struct ip *ip, u16 port, udp_handler *handler, void *ctx)
{
    struct udp_port *p;
    enum err e = OK;

    if (!port)
        return E_INVAL;
    lock_acquire(&ip->lock);
    p = port_find(ip, 0);
    if (port_find(ip, port))
        e = E_EXIST;
    else if (!p)
        e = E_NOMEM;
    else
        *p = (struct udp_port){.port = port, .handler = handler, .ctx = ctx};
    lock_release(&ip->lock);
    return e;
}

void udp_unbind(struct ip *ip, u16 port)
{
    struct udp_port *p;

    lock_acquire(&ip->lock);
    p = port ? port_find(ip, port) : NULL;
    if (p)
        p->handler = NULL;
    lock_release(&ip->lock);
    if (!p)
        return;
    while (__atomic_load_n(&p->running, __ATOMIC_ACQUIRE))
        thread_yield();
    lock_acquire(&ip->lock);
    *p = (struct udp_port){0};
    lock_release(&ip->lock);
}

static enum ip_drop receive_udp(struct ip *ip, const struct ip_packet *packet)
{
    struct udp_datagram d;
    enum ip_drop drop = udp_read(&d, packet);
    struct udp_port *p;
    udp_handler *handler = NULL;

    if (drop != IP_TAKEN)
        return drop;
    lock_acquire(&ip->lock);
    p = d.dest_port ? port_find(ip, d.dest_port) : NULL;
    if (p && p->handler) {
        handler = p->handler;
        p->running = 1;
        p->received++;
    }
    lock_release(&ip->lock);
    if (!handler)
        return DROP_UDP_PORT;
    handler(p->ctx, &d);
    __atomic_store_n(&p->running, 0, __ATOMIC_RELEASE);
    return IP_TAKEN;
}

static u16 take_id(struct ip *ip)
{
    return __atomic_fetch_add(&ip->next_id, 1, __ATOMIC_RELAXED);
}

enum err udp_send(struct ip *ip, ip4_t to, u16 from_port, u16 to_port, const void *data, u32 size)
{
    struct ip_route r = {.from_mac = ip->ether->mac, .to = to, .from = ip->address};
    u8 *frame;

    if (size > IP_MAX_DATA || ip_reachable(ip, to, NULL))
        return E_RANGE;
    frame = ether_take(ip->ether);
    if (!frame)
        return E_NOMEM;
    memcpy(frame + UDP_AT, data, size);
    arp_send_to(ip, to, frame, udp_write(frame, &r, take_id(ip), from_port, to_port, size));
    __atomic_fetch_add(&ip->udp_sent, 1, __ATOMIC_RELAXED);
    return OK;
}

/* --- ICMP ------------------------------------------------------------------------------------------ */

/* The answer goes where the question came from: that needs no ARP, and no table that a flood could fill. */
static enum ip_drop answer_echo(struct ip *ip, const struct ip_packet *p,
                                const struct icmp_message *m)
{
    struct ip_route r = {p->from, ip->ether->mac, p->source, ip->address};
    u8 *frame = ether_take(ip->ether);

    if (!frame || m->data_size > IP_MAX_DATA) {
        if (frame)
            ether_give_back(ip->ether, frame);
        return IP_TAKEN;
    }
    memcpy(frame + UDP_AT, p->frame + m->data_at, m->data_size);
    ether_send(
        ip->ether, frame,
        icmp_write(frame, &r, take_id(ip), ICMP_ECHO_REPLY, m->id, m->sequence, m->data_size));
    ip->echo_answered++;
    return IP_TAKEN;
}

static u8 pattern(u32 at)
{
    return (u8)('a' + at % 26);
}

static bool is_pattern(const u8 *data, u32 size)
{
    for (u32 i = 0; i < size; i++)
        if (data[i] != pattern(i))
            return false;
    return true;
}

static enum ip_drop receive_icmp(struct ip *ip, const struct ip_packet *p)
{
    struct icmp_message m;
    enum ip_drop drop = icmp_read(&m, p);

    if (drop != IP_TAKEN)
        return drop;
    if (m.type == ICMP_ECHO)
        return answer_echo(ip, p, &m);
    lock_acquire(&ip->lock);
    if (!ip->ping.waiting || ip->ping.id != m.id || ip->ping.sequence != m.sequence ||
        !is_pattern(p->frame + m.data_at, m.data_size)) {
        drop = DROP_ANSWER;
    } else {
        ip->ping.waiting = false;
        ip->ping.ttl = p->ttl;
        ip->ping.answered = time_now();
    }
    lock_release(&ip->lock);
    return drop;
}

enum err ip_ping_send(struct ip *ip, ip4_t to, u16 sequence, u32 data_size)
{
    struct ip_route r = {.from_mac = ip->ether->mac, .to = to, .from = ip->address};
    u8 *frame;
    u16 id;

    if (data_size > IP_MAX_DATA || ip_reachable(ip, to, NULL))
        return E_RANGE;
    frame = ether_take(ip->ether);
    if (!frame)
        return E_NOMEM;
    for (u32 i = 0; i < data_size; i++)
        frame[UDP_AT + i] = pattern(i);
    lock_acquire(&ip->lock);
    id = (u16)(time_now() >> 10); /* tells this echo from an earlier one */
    ip->ping = (struct ip_ping){.id = id, .sequence = sequence, .waiting = true};
    lock_release(&ip->lock);
    arp_send_to(ip, to, frame,
                icmp_write(frame, &r, take_id(ip), ICMP_ECHO, id, sequence, data_size));
    return OK;
}

/* --- the NIC's side -------------------------------------------------------------------------------- */

static enum ip_drop receive_ip(struct ip *ip, const u8 *frame, u32 size)
{
    struct ip_packet p;
    enum ip_drop drop = ip_packet_read(&p, frame, size);

    if (drop != IP_TAKEN)
        return drop;
    if (p.dest.v != ip->address.v)
        return DROP_NOT_OURS;
    if (p.source.v == ip->address.v)
        return DROP_SOURCE;
    if (p.protocol == IP_UDP)
        return receive_udp(ip, &p);
    return p.protocol == IP_ICMP ? receive_icmp(ip, &p) : DROP_PROTOCOL;
}

void ip_receive(struct ip *ip, const u8 *frame, u32 size)
{
    enum ip_drop drop = DROP_SHORT;
    u16 type = size >= ETHER_HEADER ? be16_get(((const struct ether_header *)frame)->type) : 0;

    if (type == TYPE_IPV4)
        drop = receive_ip(ip, frame, size);
    else if (type == TYPE_ARP)
        drop = arp_receive(ip, frame, size);
    else if (size >= ETHER_HEADER)
        drop = DROP_TYPE;
    ip->dropped[drop]++;
}

void ip_tick(struct ip *ip, u64 now)
{
    arp_tick(ip, now);
}

u64 ip_deadline(struct ip *ip)
{
    return arp_deadline(ip);
}

static bool service_poll(struct ether_service *s)
{
    struct ip *ip = CONTAINER_OF(s, struct ip, service);
    u64 now = time_now();

    if (now >= ip_deadline(ip))
        ip_tick(ip, now);
    return false;
}

static u64 service_deadline(struct ether_service *s)
{
    return ip_deadline(CONTAINER_OF(s, struct ip, service));
}

static void received(void *ctx, const u8 *frame, u32 size)
{
    ip_receive(ctx, frame, size);
}

void ip_start(struct ip *ip, struct ether *e, ip4_t address, u8 prefix)
{
    ip->ether = e;
    ip->address = address;
    ip->prefix = prefix;
    list_init(&ip->resolving);
    ip->announce_next = time_now();
    ip->service = (struct ether_service){.poll = service_poll, .deadline = service_deadline};
    e->receive_ctx = ip;
    e->receive = received;
    ether_add_service(e, &ip->service);
}

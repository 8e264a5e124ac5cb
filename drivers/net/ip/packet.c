/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/ip/packet.h"

static const char *const drop_name[IP_DROP_COUNT] = {
    [IP_TAKEN] = "taken",
    [DROP_SHORT] = "cut short",
    [DROP_TYPE] = "neither IPv4 nor ARP",
    [DROP_HEADER] = "wrong IPv4 header",
    [DROP_CHECKSUM] = "wrong IPv4 checksum",
    [DROP_FRAGMENT] = "fragments",
    [DROP_SOURCE] = "impossible source address",
    [DROP_NOT_OURS] = "to another address",
    [DROP_PROTOCOL] = "neither ICMP nor UDP",
    [DROP_ARP] = "wrong ARP",
    [DROP_ICMP_SUM] = "wrong ICMP checksum",
    [DROP_ICMP_TYPE] = "ICMP other than echo",
    [DROP_UDP_LENGTH] = "wrong UDP length",
    [DROP_UDP_SUM] = "wrong UDP checksum",
    [DROP_UDP_PORT] = "UDP to a closed port",
    [DROP_ANSWER] = "echo replies unasked",
    [DROP_NO_NEIGHBOUR] = "unsent: no neighbour",
};

const char *ip_drop_name(enum ip_drop d)
{
    return drop_name[d];
}

const char *ip4_text(char text[IP4_TEXT], ip4_t a)
{
    str_format(text, IP4_TEXT, "%u.%u.%u.%u", a.v >> 24, a.v >> 16 & 255, a.v >> 8 & 255,
               a.v & 255);
    return text;
}

bool ip4_parse(const char *text, ip4_t *address)
{
    u32 v = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned part = 0, digits = 0;

        for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
            part = part * 10 + (unsigned)(*text++ - '0');
        if (!digits || part > 255 || *text++ != (i < 3 ? '.' : '\0'))
            return false;
        v = v << 8 | part;
    }
    address->v = v;
    return true;
}

/* --- checksums (RFC 1071) -------------------------------------------------------------------------- */

static u32 sum_bytes(u32 sum, const u8 *data, u32 size)
{
    for (; size > 1; size -= 2, data += 2)
        sum += (u32)data[0] << 8 | data[1];
    return size ? sum + ((u32)data[0] << 8) : sum;
}

static u16 sum_fold(u32 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)~sum;
}

/* Of the pseudo header, the UDP header and the data. */
static u16 udp_sum(ip4_t from, ip4_t to, const u8 *udp, u32 size)
{
    u32 sum = (from.v >> 16) + (from.v & 0xffff) + (to.v >> 16) + (to.v & 0xffff) + IP_UDP + size;

    return sum_fold(sum_bytes(sum, udp, size));
}

/* --- reading ------------------------------------------------------------------------------------- */

static u16 frame_type(const u8 *frame)
{
    return be16_get(((const struct ether_header *)frame)->type);
}

/* RFC 1122, 3.2.1.3: no host has 0.x.x.x, 127.x.x.x, or an address of class D or E. */
static bool is_host(ip4_t a)
{
    return a.v >> 24 && a.v >> 24 != 127 && a.v >> 24 < 224;
}

enum ip_drop ip_packet_read(struct ip_packet *p, const u8 *frame, u32 size)
{
    const struct ip_header *h = (const struct ip_header *)(frame + IP_AT);
    u32 header, length;

    if (size < IP_AT + sizeof(*h))
        return DROP_SHORT;
    header = (h->version_ihl & 15u) * 4;
    length = be16_get(h->length);
    if (h->version_ihl >> 4 != 4 || header < sizeof(*h) || length < header)
        return DROP_HEADER;
    if (length > size - IP_AT)
        return DROP_SHORT;
    if (sum_fold(sum_bytes(0, (const u8 *)h, header)))
        return DROP_CHECKSUM;
    if (be16_get(h->fragment) & IP_OFFSET)
        return DROP_FRAGMENT;
    *p = (struct ip_packet){.frame = frame,
                            .size = IP_AT + length,
                            .body_at = IP_AT + header,
                            .body_size = length - header,
                            .source = {be32_get(h->source)},
                            .dest = {be32_get(h->dest)},
                            .from = ((const struct ether_header *)frame)->from,
                            .protocol = h->protocol,
                            .ttl = h->ttl};
    return is_host(p->source) ? IP_TAKEN : DROP_SOURCE;
}

enum ip_drop udp_read(struct udp_datagram *d, const struct ip_packet *p)
{
    const u8 *body = p->frame + p->body_at;
    const struct udp_header *h = (const struct udp_header *)body;
    u32 length;

    if (p->body_size < sizeof(*h))
        return DROP_SHORT;
    length = be16_get(h->length);
    if (length < sizeof(*h) || length > p->body_size)
        return DROP_UDP_LENGTH;
    if (be16_get(h->checksum) && udp_sum(p->source, p->dest, body, length))
        return DROP_UDP_SUM;
    *d = (struct udp_datagram){.ip = *p,
                               .udp_at = p->body_at,
                               .data_at = p->body_at + sizeof(*h),
                               .data_size = length - sizeof(*h),
                               .source_port = be16_get(h->source),
                               .dest_port = be16_get(h->dest)};
    return IP_TAKEN;
}

enum ip_drop icmp_read(struct icmp_message *m, const struct ip_packet *p)
{
    const u8 *body = p->frame + p->body_at;
    const struct icmp_header *h = (const struct icmp_header *)body;

    if (p->body_size < sizeof(*h))
        return DROP_SHORT;
    if (sum_fold(sum_bytes(0, body, p->body_size)))
        return DROP_ICMP_SUM;
    if ((h->type != ICMP_ECHO && h->type != ICMP_ECHO_REPLY) || h->code)
        return DROP_ICMP_TYPE;
    *m = (struct icmp_message){.type = h->type,
                               .id = be16_get(h->id),
                               .sequence = be16_get(h->sequence),
                               .data_at = p->body_at + sizeof(*h),
                               .data_size = p->body_size - sizeof(*h)};
    return IP_TAKEN;
}

/* A sender of 0.0.0.0 is a probe: RFC 5227, 2.1.1. */
enum ip_drop arp_read(struct arp_message *m, const u8 *frame, u32 size)
{
    const struct arp_header *h = (const struct arp_header *)(frame + ETHER_HEADER);

    if (size < ETHER_HEADER + sizeof(*h))
        return DROP_SHORT;
    m->operation = be16_get(h->operation);
    m->sender_mac = h->sender_mac;
    m->sender = (ip4_t){be32_get(h->sender)};
    m->target = (ip4_t){be32_get(h->target)};
    if (frame_type(frame) != TYPE_ARP || be16_get(h->hardware) != 1 ||
        be16_get(h->protocol) != TYPE_IPV4 || h->hardware_size != 6 || h->protocol_size != 4 ||
        (m->operation != ARP_REQUEST && m->operation != ARP_REPLY) || m->sender_mac.b[0] & 1)
        return DROP_ARP;
    return !m->sender.v || is_host(m->sender) ? IP_TAKEN : DROP_SOURCE;
}

/* --- writing ------------------------------------------------------------------------------------- */

static void write_ether(u8 *frame, const struct ip_route *r, u16 type)
{
    *(struct ether_header *)frame = (struct ether_header){r->to_mac, r->from_mac, be16(type)};
}

static u32 write_ip(u8 *frame, const struct ip_route *r, u16 id, u8 protocol, u32 body_size)
{
    struct ip_header *h = (struct ip_header *)(frame + IP_AT);

    write_ether(frame, r, TYPE_IPV4);
    *h = (struct ip_header){.version_ihl = 0x45,
                            .length = be16((u16)(sizeof(*h) + body_size)),
                            .id = be16(id),
                            .fragment = be16(IP_DF),
                            .ttl = 64,
                            .protocol = protocol,
                            .source = be32(r->from.v),
                            .dest = be32(r->to.v)};
    h->checksum = be16(sum_fold(sum_bytes(0, (const u8 *)h, sizeof(*h))));
    return BODY_AT + body_size;
}

u32 udp_write(u8 *frame, const struct ip_route *r, u16 id, u16 from_port, u16 to_port,
              u32 data_size)
{
    struct udp_header *h = (struct udp_header *)(frame + BODY_AT);
    u32 size = sizeof(*h) + data_size;
    u16 sum;

    *h = (struct udp_header){
        .source = be16(from_port), .dest = be16(to_port), .length = be16((u16)size)};
    sum = udp_sum(r->from, r->to, (const u8 *)h, size);
    h->checksum = be16(sum ? sum : 0xffff); /* 0 says that there is none */
    return write_ip(frame, r, id, IP_UDP, size);
}

u32 icmp_write(u8 *frame, const struct ip_route *r, u16 id, u8 type, u16 echo_id, u16 sequence,
               u32 data_size)
{
    struct icmp_header *h = (struct icmp_header *)(frame + BODY_AT);
    u32 size = sizeof(*h) + data_size;

    *h = (struct icmp_header){.type = type, .id = be16(echo_id), .sequence = be16(sequence)};
    h->checksum = be16(sum_fold(sum_bytes(0, (const u8 *)h, size)));
    return write_ip(frame, r, id, IP_ICMP, size);
}

u32 arp_write(u8 *frame, const struct ip_route *r, u16 operation, mac_t target_mac)
{
    struct arp_header *h = (struct arp_header *)(frame + ETHER_HEADER);

    write_ether(frame, r, TYPE_ARP);
    *h = (struct arp_header){.hardware = be16(1),
                             .protocol = be16(TYPE_IPV4),
                             .hardware_size = 6,
                             .protocol_size = 4,
                             .operation = be16(operation),
                             .sender_mac = r->from_mac,
                             .sender = be32(r->from.v),
                             .target_mac = target_mac,
                             .target = be32(r->to.v)};
    return ETHER_HEADER + sizeof(*h);
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/packet.h"

#define IP_VERSION_IHL   0x45
#define IP_DONT_FRAGMENT 0x4000
#define IP_FRAGMENTED    0x3fff /* MF, offset */
#define PORT_LOW         0xc000

/* What every packet begins with. */
struct head {
    struct wire_ether ether;
    struct wire_ipv4 ip;
    struct wire_udp udp;
    struct wire_bth bth;
};
ASSERT_SIZE(struct head, 54);

const char *roce_drop_name(enum roce_drop why)
{
    static const char *const names[ROCE_DROP_COUNT] = {
        [ROCE_OK] = "taken",
        [ROCE_DROP_SHORT] = "too short",
        [ROCE_DROP_NOT_ROCE] = "not RoCEv2 over IPv4",
        [ROCE_DROP_IP] = "bad IPv4 header",
        [ROCE_DROP_LENGTH] = "lengths disagree",
        [ROCE_DROP_OPCODE] = "unknown opcode",
        [ROCE_DROP_VERSION] = "unknown transport version",
        [ROCE_DROP_PKEY] = "other partition",
        [ROCE_DROP_PAYLOAD] = "bad payload size",
        [ROCE_DROP_ICRC] = "wrong ICRC",
        [ROCE_DROP_QPN] = "no such queue pair",
        [ROCE_DROP_PATH] = "not from the peer",
        [ROCE_DROP_STATE] = "queue pair not ready",
    };

    return (unsigned)why < ROCE_DROP_COUNT ? names[why] : "unknown reason";
}

/* RFC 1071, over a header without options. */
static u16 ip_checksum(const struct wire_ipv4 *ip)
{
    u16 words[sizeof(*ip) / 2];
    u32 sum = 0;

    __builtin_memcpy(words, ip, sizeof(words));
    for (unsigned i = 0; i < COUNT_OF(words); i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16) ~(sum + (sum >> 16));
}

/* --- parse -------------------------------------------------------------------------------------- */

static const u8 *take(const u8 **at, size_t size)
{
    const u8 *p = *at;

    *at += size;
    return p;
}

/* The extended headers; their bytes are there. */
static const u8 *parse_extended(struct roce_packet *p, const u8 *at)
{
    u16 flags = p->info->flags;

    if (flags & ROCE_RETH) {
        const struct wire_reth *reth = (const void *)take(&at, sizeof(*reth));

        p->va = be64_get(reth->va);
        p->key = be32_get(reth->key);
        p->length = be32_get(reth->length);
    }
    if (flags & ROCE_ATOMIC_ETH) {
        const struct wire_atomic *atomic = (const void *)take(&at, sizeof(*atomic));

        p->va = be64_get(atomic->va);
        p->key = be32_get(atomic->key);
        p->swap_add = be64_get(atomic->swap_add);
        p->compare = be64_get(atomic->compare);
    }
    if (flags & ROCE_AETH) {
        const struct wire_aeth *aeth = (const void *)take(&at, sizeof(*aeth));

        p->syndrome = aeth->syndrome;
        p->msn = be24_get(aeth->msn);
    }
    if (flags & ROCE_ATOMIC_ACK_ETH)
        p->original = be64_get(*(const be64_t *)take(&at, sizeof(be64_t)));
    if (flags & (ROCE_IMM | ROCE_IETH))
        p->imm = be32_get(*(const be32_t *)take(&at, sizeof(be32_t)));
    return at;
}

static enum roce_drop check_ip(const struct head *h, u32 size)
{
    if (be16_get(h->ether.type) != WIRE_ETHER_IPV4 || h->ip.version_ihl >> 4 != 4 ||
        h->ip.protocol != WIRE_IP_UDP)
        return ROCE_DROP_NOT_ROCE;
    if (h->ip.version_ihl != IP_VERSION_IHL || be16_get(h->ip.fragment) & IP_FRAGMENTED ||
        ip_checksum(&h->ip))
        return ROCE_DROP_IP;
    if (be16_get(h->udp.dst_port) != WIRE_UDP_PORT)
        return ROCE_DROP_NOT_ROCE;
    if (be16_get(h->ip.length) > size - sizeof(h->ether) ||
        be16_get(h->udp.length) != be16_get(h->ip.length) - sizeof(h->ip))
        return ROCE_DROP_LENGTH;
    return ROCE_OK;
}

static enum roce_drop check_bth(const struct wire_bth *bth)
{
    if (!roce_opcode(bth->opcode))
        return ROCE_DROP_OPCODE;
    if (BTH_VERSION(bth->flags))
        return ROCE_DROP_VERSION;
    if ((be16_get(bth->pkey) | 0x8000) != WIRE_PKEY)
        return ROCE_DROP_PKEY;
    return ROCE_OK;
}

/* covered: bytes from the IP header to the end of the pad. */
static enum roce_drop check_sizes(struct roce_packet *p, const struct head *h, u32 covered)
{
    u32 most = covered - (u32)(sizeof(*h) - sizeof(h->ether));
    u32 pad = BTH_PAD(h->bth.flags);

    if (most < p->info->headers + pad)
        return ROCE_DROP_SHORT;
    p->payload_size = most - p->info->headers - pad;
    if (p->payload_size > WIRE_MTU_MOST || (p->payload_size + pad) % 4 ||
        (p->payload_size && !(p->info->flags & ROCE_PAYLOAD)))
        return ROCE_DROP_PAYLOAD;
    return ROCE_OK;
}

static void parse_bth(struct roce_packet *p, const struct head *h)
{
    *p = (struct roce_packet){
        .info = roce_opcode(h->bth.opcode),
        .opcode = h->bth.opcode,
        .solicited = h->bth.flags & BTH_SOLICITED,
        .ack_request = h->bth.ack & BTH_ACK_REQUEST,
        .src_ip = be32_get(h->ip.src),
        .dst_ip = be32_get(h->ip.dst),
        .qpn = be24_get(h->bth.qpn),
        .psn = be24_get(h->bth.psn),
    };
}

static bool icrc_is_right(const struct icrc *icrc, const u8 *ip, u32 covered)
{
    u32 stored;

    __builtin_memcpy(&stored, ip + covered, sizeof(stored)); /* little-endian, as the CPU */
    return stored == icrc_packet(icrc, ip, covered);
}

enum roce_drop roce_packet_parse(struct roce_packet *p, const struct icrc *icrc, const u8 *frame,
                                 u32 size)
{
    const struct head *h = (const void *)frame;
    const u8 *ip = frame + sizeof(h->ether);
    enum roce_drop drop;
    u32 covered;

    if (size < sizeof(*h) + WIRE_ICRC)
        return ROCE_DROP_SHORT;
    if ((drop = check_ip(h, size)))
        return drop;
    if (be16_get(h->ip.length) < sizeof(*h) - sizeof(h->ether) + WIRE_ICRC)
        return ROCE_DROP_SHORT;
    covered = be16_get(h->ip.length) - (u32)WIRE_ICRC;
    if ((drop = check_bth(&h->bth)))
        return drop;
    parse_bth(p, h);
    if ((drop = check_sizes(p, h, covered)))
        return drop;
    if (!icrc_is_right(icrc, ip, covered))
        return ROCE_DROP_ICRC;
    p->payload = parse_extended(p, frame + sizeof(*h));
    return ROCE_OK;
}

/* --- build -------------------------------------------------------------------------------------- */

static u32 pad_of(const struct roce_packet *p)
{
    return -p->payload_size & 3u;
}

u32 roce_packet_size(const struct roce_packet *p)
{
    return (u32)sizeof(struct head) + p->info->headers + p->payload_size + pad_of(p) + WIRE_ICRC;
}

static u8 *put(u8 *at, const void *header, size_t size)
{
    memcpy(at, header, size);
    return at + size;
}

static u8 *build_extended(const struct roce_packet *p, u8 *at)
{
    u16 flags = p->info->flags;

    if (flags & ROCE_RETH)
        at = put(at, &(struct wire_reth){be64(p->va), be32(p->key), be32(p->length)},
                 sizeof(struct wire_reth));
    if (flags & ROCE_ATOMIC_ETH)
        at = put(
            at,
            &(struct wire_atomic){be64(p->va), be32(p->key), be64(p->swap_add), be64(p->compare)},
            sizeof(struct wire_atomic));
    if (flags & ROCE_AETH)
        at = put(at, &(struct wire_aeth){p->syndrome, be24(p->msn)}, sizeof(struct wire_aeth));
    if (flags & ROCE_ATOMIC_ACK_ETH)
        at = put(at, &(be64_t[]){be64(p->original)}, sizeof(be64_t));
    if (flags & (ROCE_IMM | ROCE_IETH))
        at = put(at, &(be32_t[]){be32(p->imm)}, sizeof(be32_t));
    return at;
}

static void build_ip(struct head *h, const struct roce_path *path, u32 size)
{
    u16 length = (u16)(size - sizeof(h->ether));
    u16 sum;

    __builtin_memcpy(h->ether.dst, path->dst_mac, 6);
    __builtin_memcpy(h->ether.src, path->src_mac, 6);
    h->ether.type = be16(WIRE_ETHER_IPV4);
    h->ip = (struct wire_ipv4){
        .version_ihl = IP_VERSION_IHL,
        .tos = (u8)(path->dscp << 2),
        .length = be16(length),
        .fragment = be16(IP_DONT_FRAGMENT),
        .ttl = path->ttl,
        .protocol = WIRE_IP_UDP,
        .src = be32(path->src_ip),
        .dst = be32(path->dst_ip),
    };
    sum = ip_checksum(&h->ip); /* its byte order is that of the sum's input */
    __builtin_memcpy(&h->ip.checksum, &sum, sizeof(sum));
    h->udp = (struct wire_udp){
        .src_port = be16(path->udp_port),
        .dst_port = be16(WIRE_UDP_PORT),
        .length = be16((u16)(length - sizeof(h->ip))),
    };
}

u8 *roce_packet_begin(const struct roce_packet *p, const struct roce_path *path, u8 *frame)
{
    struct head *h = (void *)frame;

    build_ip(h, path, roce_packet_size(p));
    h->bth = (struct wire_bth){
        .opcode = p->opcode,
        .flags = (u8)((p->solicited ? BTH_SOLICITED : 0) | BTH_MIGRATED | pad_of(p) << 4),
        .pkey = be16(WIRE_PKEY),
        .qpn = be24(p->qpn),
        .ack = p->ack_request ? BTH_ACK_REQUEST : 0,
        .psn = be24(p->psn),
    };
    return build_extended(p, frame + sizeof(*h));
}

void roce_packet_finish(const struct roce_packet *p, const struct icrc *icrc, u8 *frame)
{
    u32 end = roce_packet_size(p) - (u32)WIRE_ICRC, crc;

    memset(frame + end - pad_of(p), 0, pad_of(p));
    crc = icrc_packet(icrc, frame + sizeof(struct wire_ether), end - sizeof(struct wire_ether));
    __builtin_memcpy(frame + end, &crc, sizeof(crc));
}

u16 roce_flow_port(u32 qpn, u32 dest_qpn)
{
    u32 hash = (qpn * 0x9e3779b1u) ^ (dest_qpn * 0x85ebca6bu);

    return (u16)(PORT_LOW | hash >> 18);
}

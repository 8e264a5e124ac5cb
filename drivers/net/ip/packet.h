/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792) and UDP (RFC 768) over Ethernet: reading what came, and
 * writing what goes. Pure functions over bytes: everything that is read is checked first, and a packet that is
 * not taken has a reason, which is counted. Offsets and sizes are in bytes, from the Ethernet header on. */
#pragma once
#include "drivers/net/ether.h"

/* An IPv4 address, in host order: 10.0.0.1 is 0a000001h. */
typedef struct {
    u32 v;
} ip4_t;
#define IP4(a, b, c, d) ((ip4_t){(u32)(a) << 24 | (u32)(b) << 16 | (u32)(c) << 8 | (u32)(d)})
#define IP4_TEXT        16 /* of "255.255.255.255" with its end */
const char *ip4_text(char text[IP4_TEXT], ip4_t address);
/* Reads "10.0.0.1"; false where there is anything else. */
bool ip4_parse(const char *text, ip4_t *address);

enum ip_drop {
    IP_TAKEN,
    DROP_SHORT,        /* ends within a header, or before the length that it names */
    DROP_TYPE,         /* neither IPv4 nor ARP */
    DROP_HEADER,       /* not version 4, or a header length that cannot be */
    DROP_CHECKSUM,     /* of the IPv4 header */
    DROP_FRAGMENT,     /* fragments are not put together */
    DROP_SOURCE,       /* from an address that nobody can have, or from ours */
    DROP_NOT_OURS,     /* to another address */
    DROP_PROTOCOL,     /* neither ICMP nor UDP */
    DROP_ARP,          /* not about Ethernet and IPv4, or an operation that there is not */
    DROP_ICMP_SUM,     /* checksum */
    DROP_ICMP_TYPE,    /* not an echo */
    DROP_UDP_LENGTH,   /* its length is not that of the packet */
    DROP_UDP_SUM,      /* checksum */
    DROP_UDP_PORT,     /* nobody listens there */
    DROP_ANSWER,       /* an echo reply that nobody waits for */
    DROP_NO_NEIGHBOUR, /* to be sent, and nobody answered for that address */
    IP_DROP_COUNT
};
/* "to another address". */
const char *ip_drop_name(enum ip_drop d);

/* --- layouts ------------------------------------------------------------------------------------- */

#define TYPE_IPV4 0x0800
#define TYPE_ARP  0x0806

struct ip_header {
    u8 version_ihl;
    u8 tos;
    be16_t length, id, fragment; /* DF 4000h, MF 2000h, offset 1fffh */
    u8 ttl, protocol;
    be16_t checksum;
    be32_t source, dest;
};
ASSERT_SIZE(struct ip_header, 20);
#define IP_DF     0x4000
#define IP_OFFSET 0x3fff /* and MF */
#define IP_ICMP   1
#define IP_UDP    17

struct udp_header {
    be16_t source, dest, length, checksum;
};
ASSERT_SIZE(struct udp_header, 8);

struct icmp_header {
    u8 type, code;
    be16_t checksum, id, sequence; /* of an echo */
};
ASSERT_SIZE(struct icmp_header, 8);
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO       8

struct arp_header {
    be16_t hardware, protocol;
    u8 hardware_size, protocol_size;
    be16_t operation;
    mac_t sender_mac;
    be32_t sender;
    mac_t target_mac;
    be32_t target;
};
ASSERT_SIZE(struct arp_header, 28);
#define ARP_REQUEST 1
#define ARP_REPLY   2

#define IP_AT   ETHER_HEADER
#define BODY_AT (IP_AT + 20) /* in packets that are written here */
#define UDP_AT  (BODY_AT + 8)

/* --- reading ------------------------------------------------------------------------------------- */

/* The frame is only lent, and without what follows the packet. */
struct ip_packet {
    const u8 *frame;
    u32 size;
    u32 body_at, body_size; /* behind the IPv4 header */
    ip4_t source, dest;
    mac_t from;
    u8 protocol, ttl;
};
enum ip_drop ip_packet_read(struct ip_packet *p, const u8 *frame, u32 size) MUST_CHECK;

/* A datagram, with the whole frame: soft-RoCE covers its headers by a checksum of its own. */
struct udp_datagram {
    struct ip_packet ip;
    u32 udp_at, data_at, data_size;
    u16 source_port, dest_port;
};
enum ip_drop udp_read(struct udp_datagram *d, const struct ip_packet *p) MUST_CHECK;

struct icmp_message {
    u8 type;
    u16 id, sequence;
    u32 data_at, data_size;
};
enum ip_drop icmp_read(struct icmp_message *m, const struct ip_packet *p) MUST_CHECK;

struct arp_message {
    u16 operation;
    mac_t sender_mac;
    ip4_t sender, target;
};
enum ip_drop arp_read(struct arp_message *m, const u8 *frame, u32 size) MUST_CHECK;

/* --- writing ------------------------------------------------------------------------------------- */

struct ip_route {
    mac_t to_mac, from_mac;
    ip4_t to, from;
};
/* Each writes its headers around what is behind them already; returns the size of the frame. */
u32 udp_write(u8 *frame, const struct ip_route *r, u16 id, u16 from_port, u16 to_port,
              u32 data_size);
u32 icmp_write(u8 *frame, const struct ip_route *r, u16 id, u8 type, u16 echo_id, u16 sequence,
               u32 data_size);
u32 arp_write(u8 *frame, const struct ip_route *r, u16 operation, mac_t target_mac);

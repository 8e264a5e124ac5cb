/* SPDX-License-Identifier: BSD-2-Clause */
/* RoCEv2 on the wire: layouts only. IBTA volume 1, chapter 9 (transport headers) and annex A17 (RoCEv2:
 * UDP port 4791 over IPv4).
 *
 *     Ethernet 14 | IPv4 20 | UDP 8 | BTH 12 | extended headers | payload | pad 0-3 | ICRC 4
 *                                     \______ covered by the UDP length ______________/
 *
 * Extended headers in their order: RETH or AtomicETH or AETH; AtomicAckETH; ImmDt or IETH. */
#pragma once
#include "drivers/net/be.h"

#define WIRE_UDP_PORT   4791
#define WIRE_ETHER_IPV4 0x0800
#define WIRE_IP_UDP     17
#define WIRE_PKEY       0xffff
#define WIRE_PSN_MASK   0xffffffu
#define WIRE_QPN_MASK   0xffffffu

struct wire_ether {
    u8 dst[6], src[6];
    be16_t type;
};
ASSERT_SIZE(struct wire_ether, 14);

struct wire_ipv4 {
    u8 version_ihl; /* 0x45 */
    u8 tos;
    be16_t length; /* from here to the ICRC's end */
    be16_t id;
    be16_t fragment; /* DF 0x4000, MF 0x2000, offset 0x1fff */
    u8 ttl;
    u8 protocol;
    be16_t checksum;
    be32_t src, dst;
};
ASSERT_SIZE(struct wire_ipv4, 20);
ASSERT_OFFSET(struct wire_ipv4, checksum, 10);

struct wire_udp {
    be16_t src_port, dst_port;
    be16_t length;
    be16_t checksum; /* 0: none, as A17.4.5.2 allows */
};
ASSERT_SIZE(struct wire_udp, 8);

/* 9.2 Base transport header */
struct wire_bth {
    u8 opcode;
    u8 flags; /* SE 0x80, MigReq 0x40, PadCnt 0x30, TVer 0x0f */
    be16_t pkey;
    u8 reserved; /* FECN, BECN: not covered by the ICRC */
    be24_t qpn;
    u8 ack; /* AckReq 0x80 */
    be24_t psn;
};
ASSERT_SIZE(struct wire_bth, 12);
ASSERT_OFFSET(struct wire_bth, psn, 9);

#define BTH_SOLICITED      0x80
#define BTH_MIGRATED       0x40
#define BTH_PAD(flags)     (((flags) >> 4) & 3u)
#define BTH_VERSION(flags) ((flags)&0x0fu)
#define BTH_ACK_REQUEST    0x80

/* 9.3.3 RDMA extended transport header */
struct wire_reth {
    be64_t va;
    be32_t key;
    be32_t length;
};
ASSERT_SIZE(struct wire_reth, 16);

/* 9.3.4 Atomic extended transport header */
struct wire_atomic {
    be64_t va;
    be32_t key;
    be64_t swap_add;
    be64_t compare;
};
ASSERT_SIZE(struct wire_atomic, 28);

/* 9.3.5 Acknowledge extended transport header; 9.7.5.2.2 syndromes */
struct wire_aeth {
    u8 syndrome;
    be24_t msn;
};
ASSERT_SIZE(struct wire_aeth, 4);

#define AETH_KIND(syndrome)  ((syndrome)&0xe0u)
#define AETH_VALUE(syndrome) ((syndrome)&0x1fu)
#define AETH_ACK             0x1f /* without end-to-end credits */
#define AETH_RNR             0x20 /* | timer code */
#define AETH_NAK             0x60
#define AETH_NAK_SEQUENCE    0x60
#define AETH_NAK_INVALID     0x61
#define AETH_NAK_ACCESS      0x62
#define AETH_NAK_OPERATION   0x63

#define WIRE_HEADERS                                                                               \
    (sizeof(struct wire_ether) + sizeof(struct wire_ipv4) + sizeof(struct wire_udp))
#define WIRE_ICRC 4
/* The largest extended headers: AtomicETH. */
#define WIRE_EXTENDED_MOST 28
#define WIRE_MTU_MOST      4096
#define WIRE_FRAME_MOST                                                                            \
    (WIRE_HEADERS + sizeof(struct wire_bth) + WIRE_EXTENDED_MOST + WIRE_MTU_MOST + WIRE_ICRC)

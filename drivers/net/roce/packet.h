/* SPDX-License-Identifier: BSD-2-Clause */
/* One RoCEv2 packet: parsed from a frame, or built into one. Pure logic, nothing is kept.
 *
 * The parser is for frames of any content: what it returns points only into the frame, and every
 * length was checked. It fails with the reason, which callers count. */
#pragma once
#include "drivers/net/roce/icrc.h"
#include "drivers/net/roce/opcode.h"

/* Where a connection's packets go, and what they look like to switches. Addresses are numbers in host
 * order: 10.0.0.1 is 0x0a000001. */
struct roce_path {
    u8 src_mac[6], dst_mac[6];
    u32 src_ip, dst_ip;
    u16 udp_port; /* source port: 0xc000 to 0xffff, the same for all packets of a flow */
    u8 ttl;
    u8 dscp; /* 0 to 63 */
};

struct roce_packet {
    const struct roce_opcode_info *info;
    u8 opcode;
    u8 syndrome; /* AETH */
    bool ack_request, solicited;
    u32 src_ip, dst_ip; /* parsed only */
    u32 qpn, psn;
    u32 msn;      /* AETH */
    u32 key;      /* RETH, AtomicETH: rkey */
    u32 length;   /* RETH */
    u32 imm;      /* ImmDt as a number; IETH: the key */
    u64 va;       /* RETH, AtomicETH */
    u64 swap_add; /* AtomicETH */
    u64 compare;
    u64 original;      /* AtomicAckETH */
    const u8 *payload; /* parsed only */
    u32 payload_size;
};

enum roce_drop {
    ROCE_OK,
    ROCE_DROP_SHORT,    /* ends before its headers do */
    ROCE_DROP_NOT_ROCE, /* not IPv4, not UDP, not port 4791 */
    ROCE_DROP_IP,       /* IPv4 options, a fragment, or a wrong checksum */
    ROCE_DROP_LENGTH,   /* lengths disagree */
    ROCE_DROP_OPCODE,   /* not an opcode of RC */
    ROCE_DROP_VERSION,  /* transport version */
    ROCE_DROP_PKEY,     /* not the default partition */
    ROCE_DROP_PAYLOAD,  /* more than 4,096 bytes, or where there may be none */
    ROCE_DROP_ICRC,     /* wrong */
    ROCE_DROP_QPN,      /* no such queue pair */
    ROCE_DROP_PATH,     /* not from that queue pair's peer */
    ROCE_DROP_STATE,    /* the queue pair does not take packets in its state */
    ROCE_DROP_COUNT
};
/* "wrong ICRC". Never NULL. */
const char *roce_drop_name(enum roce_drop why);

/* A frame from its Ethernet header on; padding behind the IP packet is ignored. */
enum roce_drop roce_packet_parse(struct roce_packet *p, const struct icrc *icrc, const u8 *frame,
                                 u32 size) MUST_CHECK;

/* Bytes that the frame of a packet will have. */
u32 roce_packet_size(const struct roce_packet *p);
/* Writes all headers; returns where the payload goes, of payload_size bytes. Then finish. */
u8 *roce_packet_begin(const struct roce_packet *p, const struct roce_path *path, u8 *frame);
/* Writes the pad and the ICRC behind them. */
void roce_packet_finish(const struct roce_packet *p, const struct icrc *icrc, u8 *frame);

/* A source port for a flow, from the two queue pair numbers (as A17.4.5.1 recommends). */
u16 roce_flow_port(u32 qpn, u32 dest_qpn);

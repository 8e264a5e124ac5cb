/* SPDX-License-Identifier: BSD-2-Clause */
/* Any frame may come from the line: what the parser takes lies within the frame, keeps the sizes that the engine
 * relies on, and is built again as it came. */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/roce/packet.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Puts a header on that lets the fuzzer get as far as the BTH, and a right ICRC. */
static void repair(const struct icrc *icrc, u8 *frame, u32 size)
{
    struct roce_packet p = {.info = roce_opcode(RC_ACKNOWLEDGE), .opcode = RC_ACKNOWLEDGE};
    struct roce_path path = {.src_ip = 1, .dst_ip = 2, .udp_port = 0xc000, .ttl = 1};
    u8 head[WIRE_HEADERS + sizeof(struct wire_bth) + 8];
    u32 crc, sum = 0;

    roce_packet_begin(&p, &path, head);
    memcpy(frame, head, WIRE_HEADERS);
    frame[16] = (u8)((size - 14) >> 8);
    frame[17] = (u8)(size - 14);
    frame[38] = (u8)((size - 34) >> 8);
    frame[39] = (u8)(size - 34);
    frame[24] = frame[25] = 0;
    for (u32 i = 14; i < 34; i += 2)
        sum += (u32)frame[i] << 8 | frame[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    frame[24] = (u8)(sum >> 8);
    frame[25] = (u8)sum;
    crc = icrc_packet(icrc, frame + 14, size - 14 - 4);
    memcpy(frame + size - 4, &crc, sizeof(crc));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct icrc icrc;
    struct roce_packet p;
    u8 *frame;

    if (!icrc.update)
        icrc_init(&icrc);
    if (!size)
        return 0;
    frame = malloc(size); /* exactly: the sanitizer sees a byte too much */
    memcpy(frame, data, size);
    if (size >= 58 && data[0] & 1)
        repair(&icrc, frame, (u32)size);
    if (roce_packet_parse(&p, &icrc, frame, (u32)size) == ROCE_OK) {
        CHECK(p.info && p.payload_size <= WIRE_MTU_MOST);
        CHECK(p.payload >= frame && p.payload + p.payload_size + WIRE_ICRC <= frame + size);
        CHECK(p.qpn <= WIRE_QPN_MASK && p.psn <= WIRE_PSN_MASK && p.msn <= WIRE_PSN_MASK);
        CHECK(!p.payload_size || p.info->flags & ROCE_PAYLOAD);
        CHECK(roce_packet_size(&p) <= size);
    }
    free(frame);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/roce/icrc.h"
#include "drivers/net/roce/wire.h"

#define POLYNOMIAL  0xedb88320u /* of IEEE 802.3, bit-reversed */
#define AFTER_EIGHT 0xdebb20e3u /* the CRC after eight bytes of ff, which stand for an LRH */

void icrc_init(struct icrc *i)
{
    icrc_choose(i);
    for (u32 n = 0; n < 256; n++) {
        u32 c = n;

        for (unsigned bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? POLYNOMIAL : 0);
        i->table[0][n] = c;
    }
    for (u32 n = 0; n < 256; n++)
        for (unsigned s = 1; s < ICRC_SLICES; s++)
            i->table[s][n] = i->table[s - 1][n] >> 8 ^ i->table[0][i->table[s - 1][n] & 0xff];
}

/* Table s has the effect of a byte that s further bytes follow. */
static u32 eight(const u32 (*t)[256], u64 word)
{
    return t[7][word & 0xff] ^ t[6][word >> 8 & 0xff] ^ t[5][word >> 16 & 0xff] ^
           t[4][word >> 24 & 0xff] ^ t[3][word >> 32 & 0xff] ^ t[2][word >> 40 & 0xff] ^
           t[1][word >> 48 & 0xff] ^ t[0][word >> 56];
}

u32 icrc_update_portable(const struct icrc *i, u32 crc, const u8 *data, size_t size)
{
    u64 word[2];

    for (; size >= sizeof(word); data += sizeof(word), size -= sizeof(word)) {
        __builtin_memcpy(word, data, sizeof(word));
        crc = eight(i->table + 8, word[0] ^ crc) ^ eight(i->table, word[1]);
    }
    for (; size; data++, size--)
        crc = crc >> 8 ^ i->table[0][(crc ^ *data) & 0xff];
    return crc;
}

u32 icrc_packet(const struct icrc *i, const u8 *ip, size_t size)
{
    struct {
        struct wire_ipv4 ip;
        struct wire_udp udp;
        struct wire_bth bth;
    } head;
    u32 crc;

    __builtin_memcpy(&head, ip, sizeof(head));
    head.ip.tos = 0xff;
    head.ip.ttl = 0xff;
    head.ip.checksum = be16(0xffff);
    head.udp.checksum = be16(0xffff);
    head.bth.reserved = 0xff;
    crc = i->update(i, AFTER_EIGHT, (const u8 *)&head, sizeof(head));
    return ~i->update(i, crc, ip + sizeof(head), size - sizeof(head));
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/roce/packet.h"
#include "drivers/net/roce/psn.h"
#include "unit.h"

/* Made by scapy 2.5's contrib.roce: WRITE only with immediate, 5 bytes; and an ACK with DSCP 26, TTL 3. */
static const u8 write_vector[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45,
    0x00, 0x00, 0x48, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0xa3, 0x0a, 0x00, 0x00, 0x01,
    0x0a, 0x00, 0x00, 0x02, 0xc1, 0x23, 0x12, 0xb7, 0x00, 0x34, 0x00, 0x00, 0x0b, 0x70, 0xff,
    0xff, 0x00, 0x11, 0x22, 0x33, 0x80, 0xff, 0xff, 0xfe, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
    0xcd, 0xef, 0xca, 0xfe, 0x01, 0x42, 0x00, 0x00, 0x00, 0x05, 0xab, 0xcd, 0x12, 0x34, 0x66,
    0x65, 0x72, 0x72, 0x79, 0x00, 0x00, 0x00, 0xea, 0x53, 0xe7, 0x28,
};
static const u8 ack_vector[] = {
    0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x45, 0x68,
    0x00, 0x30, 0x00, 0x00, 0x40, 0x00, 0x03, 0x11, 0x63, 0x53, 0x0a, 0x00, 0x00, 0x01, 0x0a, 0x00,
    0x00, 0x02, 0xc1, 0x23, 0x12, 0xb7, 0x00, 0x1c, 0x00, 0x00, 0x11, 0x40, 0xff, 0xff, 0x00, 0x11,
    0x22, 0x33, 0x00, 0x00, 0x00, 0x05, 0x1f, 0x01, 0x02, 0x03, 0x42, 0xa3, 0x4d, 0x92,
};

static struct icrc icrc;
static const struct roce_path path = {
    .src_mac = {2, 0, 0, 0, 0, 1},
    .dst_mac = {2, 0, 0, 0, 0, 2},
    .src_ip = 0x0a000001,
    .dst_ip = 0x0a000002,
    .udp_port = 0xc123,
    .ttl = 64,
};

static int setup(void **state)
{
    (void)state;
    icrc_init(&icrc);
    return 0;
}

/* In memory of its own, so that the sanitizer sees a read beyond its end. */
static enum roce_drop parse(struct roce_packet *p, const u8 *frame, u32 size)
{
    static u8 *copy;

    free(copy);
    copy = malloc(size ? size : 1);
    memcpy(copy, frame, size);
    return roce_packet_parse(p, &icrc, copy, size);
}

static u32 build(const struct roce_packet *p, const void *payload, u8 *frame)
{
    memcpy(roce_packet_begin(p, &path, frame), payload, p->payload_size);
    roce_packet_finish(p, &icrc, frame);
    return roce_packet_size(p);
}

static void a_write_is_built_as_scapy_builds_it(void **state)
{
    struct roce_packet p = {
        .info = roce_opcode(RC_WRITE_ONLY_IMM),
        .opcode = RC_WRITE_ONLY_IMM,
        .qpn = 0x112233,
        .psn = 0xfffffe,
        .ack_request = true,
        .va = 0x0123456789abcdef,
        .key = 0xcafe0142,
        .length = 5,
        .imm = 0xabcd1234,
        .payload_size = 5,
    };
    u8 frame[sizeof(write_vector)];

    (void)state;
    assert_int_equal(build(&p, "ferry", frame), sizeof(write_vector));
    assert_memory_equal(frame, write_vector, sizeof(write_vector));
}

static void what_scapy_builds_is_parsed(void **state)
{
    struct roce_packet p;

    (void)state;
    assert_int_equal(parse(&p, write_vector, sizeof(write_vector)), ROCE_OK);
    assert_int_equal(p.opcode, RC_WRITE_ONLY_IMM);
    assert_int_equal(p.qpn, 0x112233);
    assert_int_equal(p.psn, 0xfffffe);
    assert_true(p.ack_request);
    assert_int_equal(p.va, 0x0123456789abcdef);
    assert_int_equal(p.key, 0xcafe0142);
    assert_int_equal(p.length, 5);
    assert_int_equal(p.imm, 0xabcd1234);
    assert_int_equal(p.payload_size, 5);
    assert_memory_equal(p.payload, "ferry", 5);
    assert_int_equal(p.src_ip, 0x0a000001);
    assert_int_equal(parse(&p, ack_vector, sizeof(ack_vector)), ROCE_OK);
    assert_int_equal(p.syndrome, AETH_ACK);
    assert_int_equal(p.msn, 0x010203);
    assert_int_equal(p.payload_size, 0);
}

static void what_routers_change_is_not_covered_by_the_icrc(void **state)
{
    static const u8 free_to_change[] = {40, 41, 46}; /* UDP checksum; FECN, BECN */
    u8 frame[sizeof(write_vector)];
    struct roce_packet p;

    (void)state;
    memcpy(frame, write_vector, sizeof(frame));
    frame[22]--; /* TTL, and with it the checksum, as RFC 1624 does it */
    frame[24]++;
    assert_int_equal(parse(&p, frame, sizeof(frame)), ROCE_OK);
    for (u32 i = 0; i < COUNT_OF(free_to_change); i++) {
        memcpy(frame, write_vector, sizeof(frame));
        frame[free_to_change[i]] ^= 0xff;
        assert_int_equal(parse(&p, frame, sizeof(frame)), ROCE_OK);
    }
}

static void a_change_of_any_other_bit_is_noticed(void **state)
{
    u8 frame[sizeof(write_vector)];
    struct roce_packet p;

    (void)state;
    for (u32 bit = 12 * 8; bit < sizeof(frame) * 8; bit++) {
        u32 byte = bit / 8;

        if (byte == 40 || byte == 41 || byte == 46)
            continue;
        memcpy(frame, write_vector, sizeof(frame));
        frame[byte] ^= (u8)(1 << bit % 8);
        assert_int_not_equal(parse(&p, frame, sizeof(frame)), ROCE_OK);
    }
}

static void a_frame_that_is_cut_anywhere_is_dropped(void **state)
{
    struct roce_packet p;

    (void)state;
    for (u32 size = 0; size < sizeof(write_vector); size++)
        assert_int_not_equal(parse(&p, write_vector, size), ROCE_OK);
}

static void padding_of_ethernet_is_ignored(void **state)
{
    u8 frame[sizeof(ack_vector) + 20] = {0};
    struct roce_packet p;

    (void)state;
    memcpy(frame, ack_vector, sizeof(ack_vector));
    assert_int_equal(parse(&p, frame, sizeof(frame)), ROCE_OK);
}

/* The header that says so, whatever comes behind it. */
static void each_reason_to_drop_has_its_name(void **state)
{
    static const struct {
        u32 byte;
        u8 value;
        enum roce_drop why;
    } cases[] = {
        {12, 0x86, ROCE_DROP_NOT_ROCE}, {23, 6, ROCE_DROP_NOT_ROCE},  {37, 0, ROCE_DROP_NOT_ROCE},
        {14, 0x46, ROCE_DROP_IP},       {20, 0x20, ROCE_DROP_IP},     {24, 0, ROCE_DROP_IP},
        {39, 0x33, ROCE_DROP_LENGTH},   {42, 0x15, ROCE_DROP_OPCODE}, {42, 0x64, ROCE_DROP_OPCODE},
        {43, 0x71, ROCE_DROP_VERSION},  {44, 0x12, ROCE_DROP_PKEY},   {42, 0x11, ROCE_DROP_PAYLOAD},
        {85, 0x29, ROCE_DROP_ICRC},
    };
    u8 frame[sizeof(write_vector)];
    struct roce_packet p;

    (void)state;
    for (u32 i = 0; i < COUNT_OF(cases); i++) {
        memcpy(frame, write_vector, sizeof(frame));
        frame[cases[i].byte] = cases[i].value;
        assert_string_equal(roce_drop_name(parse(&p, frame, sizeof(frame))),
                            roce_drop_name(cases[i].why));
    }
}

static void every_opcode_is_found_by_what_it_is(void **state)
{
    const u16 place = ROCE_STARTS | ROCE_ENDS | ROCE_IMM | ROCE_IETH;
    u32 known = 0;

    (void)state;
    for (u32 i = 0; i < 256; i++) {
        const struct roce_opcode_info *info = roce_opcode((u8)i);

        if (!info)
            continue;
        known++;
        assert_int_equal(roce_opcode_find(info->kind, info->flags & place), i);
    }
    assert_int_equal(known, 23);
}

static void every_opcode_comes_out_as_it_went_in(void **state)
{
    static u8 frame[WIRE_FRAME_MOST], payload[4096];

    (void)state;
    for (u8 i = 0; i < RC_OPCODES; i++) {
        struct roce_packet p = {.info = roce_opcode(i),
                                .opcode = i,
                                .qpn = 5,
                                .psn = 6,
                                .key = 7,
                                .va = 8,
                                .swap_add = 9,
                                .compare = 10,
                                .original = 11,
                                .syndrome = 12,
                                .msn = 13,
                                .imm = 14,
                                .length = 15};
        struct roce_packet q;

        if (!p.info)
            continue;
        p.payload_size = p.info->flags & ROCE_PAYLOAD ? 4093 : 0;
        assert_int_equal(parse(&q, frame, build(&p, payload, frame)), ROCE_OK);
        assert_int_equal(q.opcode, i);
        assert_int_equal(q.payload_size, p.payload_size);
        assert_int_equal(q.psn, 6);
        assert_int_equal(q.va, p.info->flags & (ROCE_RETH | ROCE_ATOMIC_ETH) ? 8 : 0);
        assert_int_equal(q.compare, p.info->flags & ROCE_ATOMIC_ETH ? 10 : 0);
        assert_int_equal(q.original, p.info->flags & ROCE_ATOMIC_ACK_ETH ? 11 : 0);
        assert_int_equal(q.msn, p.info->flags & ROCE_AETH ? 13 : 0);
        assert_int_equal(q.imm, p.info->flags & (ROCE_IMM | ROCE_IETH) ? 14 : 0);
    }
}

static void the_icrc_is_a_crc32_whatever_the_pieces(void **state)
{
    static const u8 text[] = "123456789";
    u8 long_text[300];
    u32 whole;

    (void)state;
    assert_int_equal(~icrc.update(&icrc, ~0u, text, 9), 0xcbf43926);
    for (u32 i = 0; i < sizeof(long_text); i++)
        long_text[i] = (u8)(i * i);
    whole = icrc.update(&icrc, ~0u, long_text, sizeof(long_text));
    for (u32 cut = 0; cut <= sizeof(long_text); cut++)
        assert_int_equal(icrc.update(&icrc, icrc.update(&icrc, ~0u, long_text, cut),
                                     long_text + cut, sizeof(long_text) - cut),
                         whole);
}

static u32 next_random(u32 *seed)
{
    return *seed = *seed * 1664525 + 1013904223;
}

static void multiplication_gives_the_same_crc_as_tables(void **state)
{
    u8 data[5000];
    u32 seed = 1;

    (void)state;
    if (icrc.update == icrc_update_portable)
        skip(); /* this CPU has no PCLMULQDQ */
    for (u32 i = 0; i < sizeof(data); i++)
        data[i] = (u8)(next_random(&seed) >> 24);
    for (u32 n = 0; n < 20000; n++) {
        u32 crc = next_random(&seed), at = (next_random(&seed) >> 8) % 64;
        u32 size = (next_random(&seed) >> 8) % (n % 2 ? 400 : sizeof(data) - 64);

        assert_int_equal(icrc.update(&icrc, crc, data + at, size),
                         icrc_update_portable(&icrc, crc, data + at, size));
    }
}

static void psns_are_compared_on_a_circle(void **state)
{
    (void)state;
    assert_int_equal(psn_add(0xffffff, 1), 0);
    assert_int_equal(psn_diff(0, 0xffffff), 1);
    assert_int_equal(psn_diff(0xffffff, 0), -1);
    assert_int_equal(psn_diff(0x7fffff, 0), 0x7fffff);
    assert_int_equal(psn_diff(0x800000, 0), -0x800000);
    assert_true(psn_within(2, 0xfffffe, 3));
    assert_false(psn_within(3, 0xfffffe, 3));
    assert_false(psn_within(0xfffffd, 0xfffffe, 3));
}

static void flows_have_ports_of_their_own_in_the_dynamic_range(void **state)
{
    (void)state;
    assert_true(roce_flow_port(0, 0) >= 0xc000);
    assert_true(roce_flow_port(0xffffff, 0xffffff) >= 0xc000);
    assert_int_not_equal(roce_flow_port(1, 2), roce_flow_port(2, 3));
    assert_int_equal(roce_flow_port(1, 2), roce_flow_port(1, 2));
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_write_is_built_as_scapy_builds_it),
        T(what_scapy_builds_is_parsed),
        T(what_routers_change_is_not_covered_by_the_icrc),
        T(a_change_of_any_other_bit_is_noticed),
        T(a_frame_that_is_cut_anywhere_is_dropped),
        T(padding_of_ethernet_is_ignored),
        T(each_reason_to_drop_has_its_name),
        T(every_opcode_is_found_by_what_it_is),
        T(every_opcode_comes_out_as_it_went_in),
        T(the_icrc_is_a_crc32_whatever_the_pieces),
        T(multiplication_gives_the_same_crc_as_tables),
        T(psns_are_compared_on_a_circle),
        T(flows_have_ports_of_their_own_in_the_dynamic_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

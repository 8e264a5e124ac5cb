/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4 over a NIC that remembers: two stacks, whose frames the test carries. */
#include "unit.h"
#include "fake/ether.h"
#include "fake/fake.h"
#include "drivers/net/ip/ip.h"

static const mac_t mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}};
static struct fake_ether nic_a, nic_b;
static struct ip a, b;
static unsigned carried_a, carried_b;
static struct udp_datagram last;
static u8 last_data[2048];
static unsigned handled;

static void on_datagram(void *ctx, const struct udp_datagram *d)
{
    assert_ptr_equal(ctx, &handled);
    last = *d;
    memcpy(last_data, d->ip.frame + d->data_at, d->data_size);
    handled++;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(9));
    thread_init();
    fake_ether_init(&nic_a, mac_a);
    fake_ether_init(&nic_b, mac_b);
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    ip_start(&a, &nic_a.ether, IP4(10, 0, 0, 1), 24);
    ip_start(&b, &nic_b.ether, IP4(10, 0, 0, 2), 24);
    carried_a = carried_b = handled = 0;
    return 0;
}

/* All frames of one NIC that were not carried yet. */
static void carry_from(struct fake_ether *from, unsigned *carried, struct ether *to)
{
    for (; *carried < from->sent_count; (*carried)++)
        ether_received(to, from->sent[*carried % FAKE_ETHER_SENT],
                       from->sent_size[*carried % FAKE_ETHER_SENT]);
}

static void carry(void)
{
    while (carried_a < nic_a.sent_count || carried_b < nic_b.sent_count) {
        carry_from(&nic_a, &carried_a, &nic_b.ether);
        carry_from(&nic_b, &carried_b, &nic_a.ether);
    }
}

static void tick(u64 ns)
{
    fake_advance(ns);
    ip_tick(&a, time_now());
    ip_tick(&b, time_now());
    carry();
}

static void a_datagram_waits_for_its_neighbour_and_arrives_whole(void **state)
{
    (void)state;
    assert_int_equal(udp_bind(&b, 4791, on_datagram, &handled), OK);
    assert_int_equal(udp_send(&a, b.address, 1111, 4791, "hello", 5), OK);
    assert_int_equal(fake_ether_taken(&nic_a), 1);
    carry();
    assert_int_equal(handled, 1);
    assert_int_equal(last.source_port, 1111);
    assert_int_equal(last.ip.source.v, a.address.v);
    assert_int_equal(last.ip.size, UDP_AT + 5); /* without the padding */
    assert_int_equal(last.udp_at, BODY_AT);
    assert_memory_equal(last_data, "hello", 5);
    assert_int_equal(fake_ether_taken(&nic_a), 0);
    assert_int_equal(udp_send(&a, b.address, 1, 4791, last_data, IP_MAX_DATA), OK);
    carry();
    assert_int_equal(last.data_size, IP_MAX_DATA);
    assert_int_equal(udp_send(&a, b.address, 1, 4791, last_data, IP_MAX_DATA + 1), E_RANGE);
}

static void a_port_has_one_listener_and_a_closed_one_is_counted(void **state)
{
    (void)state;
    assert_int_equal(udp_bind(&b, 7, on_datagram, &handled), OK);
    assert_int_equal(udp_bind(&b, 7, on_datagram, &handled), E_EXIST);
    udp_unbind(&b, 7);
    assert_int_equal(udp_send(&a, b.address, 1, 7, "x", 1), OK);
    carry();
    assert_int_equal(handled, 0);
    assert_int_equal(b.dropped[DROP_UDP_PORT], 1);
    for (u16 p = 1; p <= IP_PORTS; p++)
        assert_int_equal(udp_bind(&b, p, on_datagram, &handled), OK);
    assert_int_equal(udp_bind(&b, 99, on_datagram, &handled), E_NOMEM);
    assert_int_equal(udp_bind(&b, 0, on_datagram, &handled), E_INVAL);
}

static void an_echo_comes_back_and_only_the_one_that_was_asked_for(void **state)
{
    (void)state;
    assert_int_equal(ip_ping_send(&a, b.address, 5, 56), OK);
    carry();
    assert_true(a.ping.answered);
    assert_int_equal(b.echo_answered, 1);
    carried_b--; /* the answer once more */
    carry();
    assert_int_equal(a.dropped[DROP_ANSWER], 1);
}

static void a_neighbour_who_does_not_answer_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(udp_send(&a, IP4(10, 0, 0, 77), 1, 2, "x", 1), OK);
    for (unsigned i = 0; i < 10; i++)
        tick(ARP_PERIOD);
    assert_int_equal(a.dropped[DROP_NO_NEIGHBOUR], 1);
    assert_int_equal(fake_ether_taken(&nic_a), 0);
    assert_int_equal(a.held, 0);
}

static unsigned done_count;

static void on_done(struct ip_resolve *r)
{
    (void)r;
    done_count++;
}

static void resolving_ends_with_the_answer_or_with_its_time(void **state)
{
    struct ip_resolve yes = {
        .address = b.address, .deadline = time_now() + SEC(3), .done = on_done};
    struct ip_resolve no = yes, other = yes;

    (void)state;
    done_count = 0;
    no.address = IP4(10, 0, 0, 9);
    other.address = IP4(10, 0, 1, 9);
    assert_int_equal(ip_resolve_start(&a, &other), E_RANGE);
    assert_int_equal(ip_resolve_start(&a, &yes), OK);
    assert_int_equal(ip_resolve_start(&a, &no), OK);
    carry();
    assert_int_equal(done_count, 1);
    assert_int_equal(yes.result, OK);
    assert_true(mac_equal(yes.mac, mac_b));
    for (unsigned i = 0; i < 14; i++)
        tick(ARP_PERIOD);
    assert_int_equal(done_count, 1); /* it goes on asking while somebody wants to know */
    tick(SEC(1));
    assert_int_equal(done_count, 2);
    assert_int_equal(no.result, E_TIMEOUT);
    assert_int_equal(ip_resolve_start(&a, &yes), OK);
    assert_int_equal(done_count, 3); /* known: at once */
}

static void an_old_answer_is_asked_for_again_and_then_forgotten(void **state)
{
    mac_t mac;
    unsigned asked;

    (void)state;
    assert_false(ip_lookup(&a, b.address, &mac));
    carry();
    assert_true(ip_lookup(&a, b.address, &mac));
    fake_advance(NEIGHBOUR_FRESH + SEC(1));
    asked = nic_a.sent_count;
    assert_true(ip_lookup(&a, b.address, &mac));
    assert_int_equal(nic_a.sent_count, asked + 1);
    fake_advance(NEIGHBOUR_LIFE);
    assert_false(ip_lookup(&a, b.address, &mac));
}

static void any_number_of_neighbours_fits_the_least_used_gives_way(void **state)
{
    mac_t mac;

    (void)state;
    ip_lookup(&a, b.address, &mac);
    carry();
    for (u32 i = 3; i < 200; i++) {
        fake_advance(MSEC(1));
        assert_false(ip_lookup(&a, IP4(10, 0, 0, i), &mac));
        assert_true(i % 10 || ip_lookup(&a, b.address, &mac));
    }
    assert_true(ip_lookup(&a, b.address, &mac));
}

static void another_host_with_our_address_is_noticed_by_both(void **state)
{
    (void)state;
    b.address = a.address;
    tick(0); /* both announce themselves */
    assert_true(a.conflicts > 0 && b.conflicts > 0);
    assert_true(mac_equal(a.conflict, mac_b));
    assert_true(nic_a.sent_count + nic_b.sent_count < 8); /* and do not quarrel */
}

static void a_frame_with_any_byte_changed_is_taken_or_counted_and_never_misread(void **state)
{
    u8 frame[ETHER_HEADER + ETHER_MTU];
    struct ip_route r = {mac_b, mac_a, b.address, a.address};
    u64 before, seed = 1;
    u32 size;

    (void)state;
    assert_int_equal(udp_bind(&b, 9, on_datagram, &handled), OK);
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(frame + UDP_AT, "0123456789", 10);
        size = udp_write(frame, &r, 1, 8, 9, 10);
        frame[ETHER_HEADER - 2 + unit_random(&seed) % (size - ETHER_HEADER + 2)] ^=
            (u8)(1 << unit_random(&seed) % 8);
        before = b.dropped[IP_TAKEN];
        ip_receive(&b, frame, size);
        /* One wrong bit is always found, but in the type: that makes it something else. */
        assert_true(b.dropped[IP_TAKEN] == before);
    }
    assert_int_equal(handled, 0);
    for (u32 n = 0; n < size; n++) {
        size = udp_write(frame, &r, 1, 8, 9, 10);
        ip_receive(&b, frame, n);
    }
    assert_int_equal(handled, 0);
}

static void fragments_and_strange_sources_are_dropped(void **state)
{
    static const u32 sources[] = {0, 0x7f000001, 0xe0000001, 0xffffffff};
    u8 frame[128];
    struct ip_route r = {mac_b, mac_a, b.address, a.address};
    u32 size;

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(sources); i++) {
        r.from.v = sources[i];
        size = udp_write(frame, &r, 1, 8, 9, 0);
        ip_receive(&b, frame, size);
    }
    assert_int_equal(b.dropped[DROP_SOURCE], COUNT_OF(sources));
    r.from = b.address;
    ip_receive(&b, frame, udp_write(frame, &r, 1, 8, 9, 0));
    assert_int_equal(b.dropped[DROP_SOURCE], COUNT_OF(sources) + 1);
    r.from = a.address;
    r.to = IP4(10, 0, 0, 3);
    ip_receive(&b, frame, udp_write(frame, &r, 1, 8, 9, 0));
    assert_int_equal(b.dropped[DROP_NOT_OURS], 1);
}

static void an_address_is_read_as_people_write_it(void **state)
{
    ip4_t address;
    char text[IP4_TEXT];

    (void)state;
    assert_true(ip4_parse("192.0.2.17", &address));
    assert_string_equal(ip4_text(text, address), "192.0.2.17");
    assert_false(ip4_parse("192.0.2", &address));
    assert_false(ip4_parse("192.0.2.256", &address));
    assert_false(ip4_parse("192.0.2.1.", &address));
    assert_false(ip4_parse("192..2.1", &address));
    assert_false(ip4_parse("99999999999.0.0.1", &address));
}

static void where_nobody_can_be_nothing_is_sent(void **state)
{
    struct why why;

    (void)state;
    assert_int_equal(ip_reachable(&a, a.address, &why), E_RANGE);
    assert_string_equal(why.text, "10.0.0.1 is this host itself");
    assert_int_equal(ip_reachable(&a, IP4(10, 0, 0, 255), &why), E_RANGE);
    assert_int_equal(ip_reachable(&a, IP4(10, 0, 1, 2), &why), E_RANGE);
    assert_string_equal(
        why.text, "10.0.1.2 is not in this host's network, 10.0.0.1/24, and there is no gateway");
    assert_int_equal(ip_reachable(&a, b.address, &why), OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_datagram_waits_for_its_neighbour_and_arrives_whole),
        TEST(a_port_has_one_listener_and_a_closed_one_is_counted),
        TEST(an_echo_comes_back_and_only_the_one_that_was_asked_for),
        TEST(a_neighbour_who_does_not_answer_is_given_up),
        TEST(resolving_ends_with_the_answer_or_with_its_time),
        TEST(an_old_answer_is_asked_for_again_and_then_forgotten),
        TEST(any_number_of_neighbours_fits_the_least_used_gives_way),
        TEST(another_host_with_our_address_is_noticed_by_both),
        TEST(a_frame_with_any_byte_changed_is_taken_or_counted_and_never_misread),
        TEST(fragments_and_strange_sources_are_dropped),
        TEST(an_address_is_read_as_people_write_it),
        TEST(where_nobody_can_be_nothing_is_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Whoever is on the wire may send anything: a sequence of frames, each with its length in front, to a stack that
 * listens, answers and resolves. No frame is misread, no buffer is lost, and what is counted adds up. */
#include <stdlib.h>
#include "tests/unit/fake/ether.h"
#include "tests/unit/fake/fake.h"
#include "drivers/net/ip/ip.h"
#include "kernel/log.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static struct fake_ether nic;
static struct ip ip;
static u64 frames, sum;

static void on_datagram(void *ctx, const struct udp_datagram *d)
{
    (void)ctx;
    CHECK(d->data_at >= UDP_AT && d->data_at + d->data_size <= d->ip.size);
    CHECK(d->udp_at + 8 == d->data_at && d->dest_port == 4791);
    for (u32 i = 0; i < d->ip.size; i++)
        sum += d->ip.frame[i]; /* the sanitizer sees what is beyond */
}

static void on_done(struct ip_resolve *r)
{
    CHECK(r->result == OK || r->result == E_TIMEOUT);
}

static void begin(void)
{
    fake_reset();
    fake_ether_init(&nic, (mac_t){{2, 0, 0, 0, 0, 1}});
    memset(&ip, 0, sizeof(ip));
    ip_start(&ip, &nic.ether, IP4(10, 0, 0, 1), 24);
    CHECK(!udp_bind(&ip, 4791, on_datagram, NULL));
}

/* Makes checksums right in half of the frames, so that the fuzzer gets behind them. */
static void mend(u8 *frame, u32 size)
{
    struct ip_header *h = (struct ip_header *)(frame + IP_AT);
    u32 total = 0, header;

    if (size < BODY_AT || !(frame[0] & 1))
        return;
    header = (h->version_ihl & 15u) * 4;
    if (header > size - IP_AT)
        return;
    h->checksum = be16(0);
    for (u32 i = 0; i + 1 < header; i += 2)
        total += (u32)frame[IP_AT + i] << 8 | frame[IP_AT + i + 1];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    h->checksum = be16((u16)~total);
}

static void receive(const u8 *data, u32 size)
{
    u8 *frame = malloc(size ? size : 1); /* of its own: beyond it nothing may be read */

    memcpy(frame, data, size);
    mend(frame, size);
    ip_receive(&ip, frame, size);
    frames++;
    free(frame);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct ip_resolve r = {.address = IP4(10, 0, 0, 2), .deadline = SEC(2), .done = on_done};
    u64 counted = 0;

    log_set_console_level(LOG_ERROR);
    begin();
    frames = 0;
    CHECK(!ip_resolve_start(&ip, &r));
    CHECK(!ip_ping_send(&ip, IP4(10, 0, 0, 3), 1, 56));
    while (size) {
        u32 n = (u32)MIN(data[0] * 2u, size - 1);

        receive(data + 1, n);
        data += 1 + n;
        size -= 1 + n;
        fake_advance(MSEC(50));
        ip_tick(&ip, time_now());
    }
    for (unsigned d = 0; d < IP_DROP_COUNT; d++)
        counted += d == DROP_NO_NEIGHBOUR ? 0 : ip.dropped[d];
    CHECK(counted == frames);
    CHECK(fake_ether_taken(&nic) == ip.held);
    fake_advance(SEC(10));
    for (unsigned i = 0; i < 8; i++) {
        fake_advance(SEC(1));
        ip_tick(&ip, time_now());
    }
    CHECK(!ip.held && !fake_ether_taken(&nic));
    return 0;
}

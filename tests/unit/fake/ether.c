/* SPDX-License-Identifier: BSD-2-Clause */
#include "ether.h"

static struct fake_ether *fake_of(struct ether *e)
{
    return CONTAINER_OF(e, struct fake_ether, ether);
}

static u8 *take(struct ether *e)
{
    struct fake_ether *f = fake_of(e);

    for (unsigned i = 0; i < FAKE_ETHER_BUFFERS; i++)
        if (!f->taken[i]) {
            f->taken[i] = true;
            return f->buffer[i];
        }
    return NULL;
}

static void give_back(struct ether *e, u8 *buffer)
{
    struct fake_ether *f = fake_of(e);

    f->taken[(size_t)(buffer - f->buffer[0]) / sizeof(f->buffer[0])] = false;
}

static void send(struct ether *e, u8 *buffer, u32 size)
{
    struct fake_ether *f = fake_of(e);
    unsigned at = f->sent_count++ % FAKE_ETHER_SENT;

    memcpy(f->sent[at], buffer, size);
    f->sent_size[at] = size;
    give_back(e, buffer);
}

static bool link(struct ether *e)
{
    (void)e;
    return true;
}

static unsigned poll(struct ether *e, unsigned budget)
{
    (void)e, (void)budget;
    return 0;
}

static const struct ether_ops ops = {take, give_back, send, link, poll};

void fake_ether_init(struct fake_ether *f, mac_t mac)
{
    memset(f, 0, sizeof(*f));
    f->ether.name = "fake";
    f->ether.mac = mac;
    f->ether.mtu = ETHER_MTU;
    f->ether.ops = &ops;
}

unsigned fake_ether_taken(const struct fake_ether *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FAKE_ETHER_BUFFERS; i++)
        n += f->taken[i];
    return n;
}

const u8 *fake_ether_last(const struct fake_ether *f, u32 *size)
{
    unsigned at = (f->sent_count - 1) % FAKE_ETHER_SENT;

    *size = f->sent_size[at];
    return f->sent[at];
}

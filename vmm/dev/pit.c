/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/pit.h"
#include "vmm/dev/scale.h"
#include "kernel/string.h"

#define PORT_CONTROL     (PIT_PORT + 3)
#define SELECT_READ_BACK 3
#define ACCESS_LATCH     0
#define ACCESS_LOW       1
#define ACCESS_HIGH      2
#define ACCESS_BOTH      3

#define READ_BACK_NO_COUNT  0x20
#define READ_BACK_NO_STATUS 0x10

#define PORT61_GATE    0x01
#define PORT61_KEPT    0x0f
#define PORT61_REFRESH 0x10
#define PORT61_OUT2    0x20
#define REFRESH_NS     15085

void pit_init(struct pit *p)
{
    *p = (struct pit){0};
    for (unsigned i = 0; i < COUNT_OF(p->channel); i++) {
        p->channel[i].gate = i < 2;
        p->channel[i].access = ACCESS_BOTH;
    }
}

/* Modes whose counting a rising gate starts (data sheet, "Gate pin operations summary"). */
static bool gate_starts(u8 mode)
{
    return mode == 1 || mode == 2 || mode == 3 || mode == 5;
}

static bool gate_pauses(u8 mode)
{
    return mode == 0 || mode == 4;
}

static bool periodic(u8 mode)
{
    return mode == 2 || mode == 3;
}

/* Each CPU of the host has a TSC of its own, so a vCPU may come a moment before the time at which another one started the channel. */
static u64 counted_ns(const struct pit_channel *c, const struct vtime *now)
{
    return c->before_ns + (c->counting && now->ns > c->since_ns ? now->ns - c->since_ns : 0);
}

static u64 elapsed_ticks(const struct pit_channel *c, const struct vtime *now)
{
    return scale_down(counted_ns(c, now), NS_PER_SECOND, PIT_HZ);
}

static bool channel_out(const struct pit_channel *c, const struct vtime *now)
{
    u64 t;

    if (!c->started)
        return c->mode != 0;
    t = elapsed_ticks(c, now);
    switch (c->mode) {
    case 0:
    case 1: return t >= c->count;
    case 2: return t % c->count != c->count - 1;
    case 3: return t % c->count < (c->count + 1) / 2;
    default: return t != c->count;
    }
}

/* Square wave: it counts down by two from an even number, once for each half. */
static u32 square_count(u32 count, u32 phase)
{
    u32 high = (count + 1) / 2;

    return (count & ~1u) - 2 * (phase < high ? phase : phase - high);
}

static u16 to_bcd(u32 n)
{
    return (u16)((n / 1000 % 10) << 12 | (n / 100 % 10) << 8 | (n / 10 % 10) << 4 | n % 10);
}

static u32 from_bcd(u16 n)
{
    return (n >> 12) * 1000u + ((n >> 8) & 15u) * 100u + ((n >> 4) & 15u) * 10u + (n & 15u);
}

static u16 channel_count(const struct pit_channel *c, const struct vtime *now)
{
    u32 range = c->bcd ? 10000 : 65536;
    u32 value = c->count;
    u64 t;

    if (c->started) {
        t = elapsed_ticks(c, now);
        if (c->mode == 2)
            value = c->count - (u32)(t % c->count);
        else if (c->mode == 3)
            value = square_count(c->count, (u32)(t % c->count));
        else
            value = (u32)((c->count + range - t % range) % range);
    }
    return c->bcd ? to_bcd(value) : (u16)value;
}

static void channel_start(struct pit_channel *c, const struct vtime *now)
{
    c->since_ns = now->ns;
    c->before_ns = 0;
    c->edges = 0;
    c->started = 1;
    c->counting = gate_pauses(c->mode) ? c->gate : 1;
}

static void channel_stop(struct pit_channel *c)
{
    c->started = 0;
    c->counting = 0;
}

static void channel_load(struct pit_channel *c, u16 value, const struct vtime *now)
{
    u32 count = c->bcd ? from_bcd(value) : value;

    c->count = count ? count : c->bcd ? 10000 : 65536;
    if (gate_pauses(c->mode) || (periodic(c->mode) && c->gate))
        channel_start(c, now);
}

static void channel_write(struct pit_channel *c, u8 value, const struct vtime *now)
{
    if (c->access == ACCESS_LOW) {
        channel_load(c, value, now);
    } else if (c->access == ACCESS_HIGH) {
        channel_load(c, (u16)(value << 8), now);
    } else if (c->write_high) {
        c->write_high = 0;
        channel_load(c, (u16)(value << 8 | c->write_low), now);
    } else {
        c->write_high = 1;
        c->write_low = value;
        if (c->mode == 0) /* the first byte stops it, and OUT goes low */
            channel_stop(c);
    }
}

static void channel_latch_count(struct pit_channel *c, const struct vtime *now)
{
    if (c->latch_bytes)
        return;
    c->latch = channel_count(c, now);
    c->latch_bytes = c->access == ACCESS_BOTH ? 2 : 1;
}

static void channel_latch_status(struct pit_channel *c, const struct vtime *now)
{
    if (c->status_latched)
        return;
    c->status = (u8)((channel_out(c, now) ? 0x80 : 0) | (c->count ? 0 : 0x40) | c->access << 4 |
                     c->mode << 1 | c->bcd);
    c->status_latched = 1;
}

static u8 channel_read(struct pit_channel *c, const struct vtime *now)
{
    u16 count;
    bool high = c->access == ACCESS_HIGH;

    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    count = c->latch_bytes ? c->latch : channel_count(c, now);
    if (c->latch_bytes)
        c->latch_bytes--;
    if (c->access == ACCESS_BOTH) {
        high = c->read_high;
        c->read_high = !high;
    }
    return (u8)(high ? count >> 8 : count);
}

static void channel_set_mode(struct pit_channel *c, u8 control)
{
    u8 mode = (control >> 1) & 7;

    *c = (struct pit_channel){
        .gate = c->gate,
        .access = (control >> 4) & 3,
        .mode = mode > 5 ? mode - 4 : mode, /* 6 and 7 are 2 and 3 */
        .bcd = control & 1,
    };
}

static void channel_set_gate(struct pit_channel *c, bool gate, const struct vtime *now)
{
    bool rises = gate && !c->gate, falls = !gate && c->gate;

    c->gate = gate;
    if (rises && gate_starts(c->mode) && c->count) {
        channel_start(c, now);
    } else if (rises && gate_pauses(c->mode) && c->started) {
        c->since_ns = now->ns;
        c->counting = 1;
    } else if (falls && gate_pauses(c->mode) && c->counting) {
        c->before_ns = counted_ns(c, now);
        c->counting = 0;
    } else if (falls && periodic(c->mode)) {
        channel_stop(c); /* OUT goes high at once */
    }
}

static void read_back(struct pit *p, u8 command, const struct vtime *now)
{
    for (unsigned i = 0; i < COUNT_OF(p->channel); i++) {
        if (!(command & (2u << i)))
            continue;
        if (!(command & READ_BACK_NO_COUNT))
            channel_latch_count(&p->channel[i], now);
        if (!(command & READ_BACK_NO_STATUS))
            channel_latch_status(&p->channel[i], now);
    }
}

static void write_control(struct pit *p, u8 value, const struct vtime *now)
{
    unsigned select = value >> 6;

    if (select == SELECT_READ_BACK)
        read_back(p, value, now);
    else if (((value >> 4) & 3) == ACCESS_LATCH)
        channel_latch_count(&p->channel[select], now);
    else
        channel_set_mode(&p->channel[select], value);
}

static u8 read_port61(const struct pit *p, const struct vtime *now)
{
    return (u8)(p->port61 | (now->ns / REFRESH_NS & 1 ? PORT61_REFRESH : 0) |
                (channel_out(&p->channel[2], now) ? PORT61_OUT2 : 0));
}

u8 pit_in(struct pit *p, u16 port, const struct vtime *now)
{
    if (port == PIT_PORT_GATE)
        return read_port61(p, now);
    if (port == PORT_CONTROL)
        return 0xff; /* write only */
    return channel_read(&p->channel[(port - PIT_PORT) % 3], now);
}

void pit_out(struct pit *p, u16 port, u8 value, const struct vtime *now)
{
    if (port == PIT_PORT_GATE) {
        p->port61 = value & PORT61_KEPT;
        channel_set_gate(&p->channel[2], value & PORT61_GATE, now);
    } else if (port == PORT_CONTROL) {
        write_control(p, value, now);
    } else {
        channel_write(&p->channel[(port - PIT_PORT) % 3], value, now);
    }
}

bool pit_irq_level(const struct pit *p, const struct vtime *now)
{
    return channel_out(&p->channel[0], now);
}

/* The tick at which OUT rises for the n-th time (n from 1) after the start; 0: never. */
static u64 edge_tick(const struct pit_channel *c, u64 n)
{
    if (periodic(c->mode))
        return n * c->count;
    if (n > 1)
        return 0;
    return c->mode < 2 ? c->count : c->count + 1;
}

bool pit_tick(struct pit *p, const struct vtime *now)
{
    struct pit_channel *c = &p->channel[0];
    u64 next = edge_tick(c, c->edges + 1), t;

    if (!c->started || !next)
        return false;
    t = elapsed_ticks(c, now);
    if (t < next)
        return false;
    c->edges = periodic(c->mode) ? t / c->count : 1;
    return true;
}

u64 pit_next(const struct pit *p)
{
    const struct pit_channel *c = &p->channel[0];
    u64 tick = edge_tick(c, c->edges + 1), length;

    if (!c->counting || !tick)
        return VTIME_NEVER;
    length = scale_up(tick, PIT_HZ, NS_PER_SECOND);
    return add_saturated(c->since_ns, length - MIN(c->before_ns, length));
}

/* --- save and load -------------------------------------------------------------------------------- */

void pit_save(const struct pit *p, struct pit *saved, const struct vtime *now)
{
    *saved = *p;
    for (unsigned i = 0; i < COUNT_OF(p->channel); i++) {
        struct pit_channel *c = &saved->channel[i];

        c->before_ns = counted_ns(c, now);
        c->since_ns = 0;
    }
}

static bool channel_is_valid(const struct pit_channel *c)
{
    u8 flags = c->status_latched | c->bcd | c->gate | c->started | c->counting | c->read_high |
               c->write_high;

    return mem_is_zero(c->reserved, sizeof(c->reserved)) && !c->since_ns &&
           c->before_ns < BIT(62) && c->count <= 65536 && flags <= 1 && c->latch_bytes <= 2 &&
           c->mode <= 5 && c->access >= ACCESS_LOW && c->access <= ACCESS_BOTH &&
           (!c->started || c->count) && (!c->counting || c->started) &&
           c->edges <= BIT(54) / MAX(c->count, 1);
}

bool pit_is_valid(const struct pit *saved)
{
    for (unsigned i = 0; i < COUNT_OF(saved->channel); i++)
        if (!channel_is_valid(&saved->channel[i]))
            return false;
    return mem_is_zero(saved->reserved, sizeof(saved->reserved)) &&
           !(saved->port61 & (u8)~PORT61_KEPT);
}

void pit_load(struct pit *p, const struct pit *saved, const struct vtime *now)
{
    *p = *saved;
    for (unsigned i = 0; i < COUNT_OF(p->channel); i++)
        p->channel[i].since_ns = p->channel[i].counting ? now->ns : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Intel 82540EM, which QEMU and Bochs have, polled. Numbers in brackets are sections of Intel's "PCI/PCI-X
 * Family of Gigabit Ethernet Controllers Software Developer's Manual" (317453-006).
 *
 * Buffers are 2 KiB, two in a frame. Those for receiving stay in their descriptors; those for sending are on a
 * stack while they are free, and there are as many as descriptors less one, so that a buffer always finds one. */
#include "drivers/net/e1000.h"
#include "drivers/net/ether.h"
#include "drivers/pci.h"
#include "kernel/frames.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define RING        128 /* descriptors; a multiple of 8 (13.4.27) */
#define RING_ORDER  6   /* of RING buffers, in frames */
#define BUFFER      2048
#define RESET_LIMIT MSEC(10)
#define EERD_LIMIT  MSEC(10)

struct nic {
    struct ether ether;
    volatile u32 *regs;
    volatile struct e1000_rx *rx;
    volatile struct e1000_tx *tx;
    u8 *rx_buffers, *tx_buffers;
    u32 rx_next;          /* descriptor to look at */
    u32 tx_next, tx_done; /* descriptors: to fill, to look at */
    u8 *tx_of[RING];      /* the buffer in each descriptor that is under way */
    u8 *tx_free[RING];
    u32 tx_free_count;
};

static struct nic *nic_of(struct ether *e)
{
    return CONTAINER_OF(e, struct nic, ether);
}

static u32 reg_read(const struct nic *n, u32 reg)
{
    return e1000_read(n->regs, reg);
}

static void reg_write(struct nic *n, u32 reg, u32 value)
{
    e1000_write(n->regs, reg, value);
}

/* --- sending (3.3, 3.4) -------------------------------------------------------------------------- */

/* Takes back the buffers that have been sent. */
static void reclaim(struct nic *n)
{
    while (n->tx_done != n->tx_next && n->tx[n->tx_done].status & E1000_TX_DONE) {
        n->tx_free[n->tx_free_count++] = n->tx_of[n->tx_done];
        n->tx_of[n->tx_done] = NULL;
        n->tx_done = (n->tx_done + 1) % RING;
    }
}

static u8 *nic_take(struct ether *e)
{
    struct nic *n = nic_of(e);

    if (!n->tx_free_count)
        reclaim(n);
    return n->tx_free_count ? n->tx_free[--n->tx_free_count] : NULL;
}

static void nic_give_back(struct ether *e, u8 *buffer)
{
    struct nic *n = nic_of(e);

    n->tx_free[n->tx_free_count++] = buffer;
}

static void nic_send(struct ether *e, u8 *buffer, u32 size)
{
    struct nic *n = nic_of(e);
    volatile struct e1000_tx *d = &n->tx[n->tx_next];

    d->address = virt_to_phys(buffer).v;
    d->length = (u16)size;
    d->checksum_offset = 0;
    d->status = 0;
    d->command = E1000_TX_END | E1000_TX_FCS | E1000_TX_REPORT;
    n->tx_of[n->tx_next] = buffer;
    n->tx_next = (n->tx_next + 1) % RING;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    reg_write(n, E1000_TDT, n->tx_next);
}

/* --- receiving (3.2) ------------------------------------------------------------------------------ */

/* A frame that is whole and in one buffer; the NIC has dropped others already, or should have. */
static bool is_good(const volatile struct e1000_rx *d)
{
    return d->status & E1000_RX_END && !d->errors && d->length >= ETHER_HEADER &&
           d->length <= ETHER_HEADER + ETHER_MTU;
}

static unsigned nic_poll(struct ether *e, unsigned budget)
{
    struct nic *n = nic_of(e);
    unsigned count = 0;

    for (; count < budget && n->rx[n->rx_next].status & E1000_RX_DONE; count++) {
        volatile struct e1000_rx *d = &n->rx[n->rx_next];

        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (is_good(d))
            ether_received(e, n->rx_buffers + n->rx_next * BUFFER, d->length);
        else
            e->counters.bad++;
        d->status = 0;
        n->rx_next = (n->rx_next + 1) % RING;
    }
    if (!count)
        return 0;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    reg_write(n, E1000_RDT, (n->rx_next + RING - 1) % RING); /* the last to be filled (3.2.6) */
    e->counters.missed += reg_read(n, E1000_MPC);            /* reading clears it (13.7.4) */
    return count;
}

static bool nic_link(struct ether *e)
{
    return reg_read(nic_of(e), E1000_STATUS) & E1000_STATUS_LINK;
}

static const struct ether_ops ops = {.take = nic_take,
                                     .give_back = nic_give_back,
                                     .send = nic_send,
                                     .link = nic_link,
                                     .poll = nic_poll};

/* --- start ---------------------------------------------------------------------------------------- */

static bool wait_for(struct nic *n, u32 reg, u32 mask, u32 value, u64 limit)
{
    u64 end = time_now() + limit;

    while ((reg_read(n, reg) & mask) != value) {
        if (time_now() > end)
            return false;
        e1000_pause();
    }
    return true;
}

/* Firmware may have left it running, with rings in memory that is ours now (13.4.1). */
static enum err reset(struct nic *n, struct why *why)
{
    u64 settled = time_now() + USEC(20);

    reg_write(n, E1000_IMC, 0xffffffff);
    reg_write(n, E1000_RCTL, 0);
    reg_write(n, E1000_TCTL, 0);
    reg_write(n, E1000_CTRL, reg_read(n, E1000_CTRL) | E1000_CTRL_RESET);
    while (time_now() < settled) /* no register may be read for 1 us */
        e1000_pause();
    if (!wait_for(n, E1000_CTRL, E1000_CTRL_RESET, 0, RESET_LIMIT))
        return why_set(why, E_IO, "it does not come out of reset (CTRL.RST stays set for 10 ms)");
    reg_write(n, E1000_IMC, 0xffffffff);
    (void)reg_read(n, E1000_ICR);
    return OK;
}

/* The EEPROM's words 0 to 2 are the MAC (5.6.1); EERD reads one (13.4.4). */
static enum err read_mac(struct nic *n, struct why *why)
{
    for (u32 i = 0; i < 3; i++) {
        u32 word;

        reg_write(n, E1000_EERD, i << 8 | E1000_EERD_START);
        if (!wait_for(n, E1000_EERD, E1000_EERD_DONE, E1000_EERD_DONE, EERD_LIMIT))
            return why_set(why, E_IO,
                           "its EEPROM does not answer (EERD.DONE stays clear for 10 ms)");
        word = reg_read(n, E1000_EERD) >> 16;
        n->ether.mac.b[2 * i] = (u8)word;
        n->ether.mac.b[2 * i + 1] = (u8)(word >> 8);
    }
    if (n->ether.mac.b[0] & 1 || mac_equal(n->ether.mac, (mac_t){{0}}))
        return why_set(why, E_FORMAT, "its EEPROM has no valid MAC address");
    return OK;
}

static enum err alloc_rings(struct nic *n)
{
    hpa_t rings = frame_alloc(0, FRAME_KERNEL, 0);
    hpa_t rx = frame_alloc(RING_ORDER, FRAME_KERNEL, 0);
    hpa_t tx = frame_alloc(RING_ORDER, FRAME_KERNEL, 0);

    if (!rings.v || !rx.v || !tx.v) {
        hpa_t all[] = {rings, rx, tx};

        for (unsigned i = 0; i < COUNT_OF(all); i++)
            if (all[i].v)
                frame_put(all[i]);
        return E_NOMEM;
    }
    n->rx = phys_to_virt(rings);
    n->tx = (volatile struct e1000_tx *)(n->rx + RING);
    n->rx_buffers = phys_to_virt(rx);
    n->tx_buffers = phys_to_virt(tx);
    return OK;
}

static void free_rings(struct nic *n)
{
    frame_put(virt_to_phys((const void *)n->rx));
    frame_put(virt_to_phys(n->rx_buffers));
    frame_put(virt_to_phys(n->tx_buffers));
}

static void set_ring(struct nic *n, u32 base, const volatile void *ring)
{
    u64 address = virt_to_phys((const void *)ring).v;

    reg_write(n, base + E1000_RING_LOW, (u32)address);
    reg_write(n, base + E1000_RING_HIGH, (u32)(address >> 32));
    reg_write(n, base + E1000_RING_SIZE, RING * 16);
    reg_write(n, base + E1000_RING_HEAD, 0);
    reg_write(n, base + E1000_RING_TAIL, 0);
}

/* 14.4: own address and broadcasts, buffers of 2 KiB, no FCS. The tail is the last that the NIC may fill. */
static void start_receiving(struct nic *n)
{
    const u8 *m = n->ether.mac.b;

    reg_write(n, E1000_RAL, (u32)m[0] | (u32)m[1] << 8 | (u32)m[2] << 16 | (u32)m[3] << 24);
    reg_write(n, E1000_RAH, (u32)m[4] | (u32)m[5] << 8 | E1000_RAH_VALID);
    for (u32 i = 0; i < 128; i++)
        reg_write(n, E1000_MTA + 4 * i, 0);
    for (u32 i = 0; i < RING; i++)
        n->rx[i].address = virt_to_phys(n->rx_buffers + i * BUFFER).v;
    set_ring(n, E1000_RDBA, n->rx);
    reg_write(n, E1000_RCTL, E1000_RCTL_ON | E1000_RCTL_BROADCAST | E1000_RCTL_STRIP_FCS);
    reg_write(n, E1000_RDT, RING - 1);
}

/* 14.5, with the gaps between frames that it asks for. */
static void start_sending(struct nic *n)
{
    for (u32 i = 0; i < RING - 1; i++)
        n->tx_free[n->tx_free_count++] = n->tx_buffers + i * BUFFER;
    set_ring(n, E1000_TDBA, n->tx);
    reg_write(n, E1000_TIPG, 10 | 8 << 10 | 6 << 20);
    reg_write(n, E1000_TCTL, E1000_TCTL_ON | E1000_TCTL_PAD | E1000_TCTL_COLLISION);
}

static enum err bring_up(struct nic *n, struct why *why)
{
    enum err e = reset(n, why);

    if (!e)
        e = read_mac(n, why);
    if (e)
        return e;
    if (alloc_rings(n))
        return why_set(why, E_NOMEM, "no memory for its rings: 516 KiB are needed");
    reg_write(n, E1000_CTRL, reg_read(n, E1000_CTRL) | E1000_CTRL_LINK_UP);
    e = ether_register(&n->ether, why);
    if (e) {
        free_rings(n);
        return e;
    }
    start_receiving(n);
    start_sending(n);
    return OK;
}

enum err e1000_start(struct pci_device *d, struct why *why)
{
    struct nic *n = heap_alloc(sizeof(*n));
    enum err e;

    if (!n)
        return why_set(why, E_NOMEM, "no memory for its driver");
    n->ether.name = "e1000";
    n->ether.mtu = ETHER_MTU;
    n->ether.ops = &ops;
    pci_enable(d);
    n->regs = d->bar[0].size >= KIB(128) ? pci_map(d, 0) : NULL;
    if (!n->regs)
        e = why_set(why, E_IO, "firmware gave its registers no address (BAR 0): see `pci bars`");
    else
        e = bring_up(n, why);
    if (e)
        heap_free(n);
    return e;
}

static const struct pci_id ids[] = {{0x8086, 0x100e}, {0x8086, 0x100f}, {0, 0}};

PCI_DRIVER(e1000, .name = "e1000", .ids = ids, .start = e1000_start);

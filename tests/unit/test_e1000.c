/* SPDX-License-Identifier: BSD-2-Clause */
/* The e1000 driver against a card of registers and rings, as Intel's manual has them (317453-006). */
#include <string.h>
#include "unit.h"
#include "fake/fake.h"
#include "drivers/net/e1000.h"
#include "drivers/net/ether.h"
#include "drivers/pci.h"
#include "kernel/arch.h"
#include "kernel/timer.h"

#define RING     128
#define SENT     256
#define REG(reg) card.reg_file[(reg) / 4]

static struct card {
    u32 reg_file[0x8000 / 4];
    u16 eeprom[3];
    bool stuck_in_reset, dead_eeprom, slow_to_send;
    unsigned resets, reset_reads;
    u8 sent[SENT][1600];
    u32 sent_size[SENT], sent_count;
    u32 early_reads; /* of a register within 1 us of the reset */
    u64 reset_at;
} card;

static volatile u32 registers[1]; /* what the driver believes them to be at */

/* --- the card ---------------------------------------------------------------------------------------- */

static void reset_card(void)
{
    memset(card.reg_file, 0, sizeof(card.reg_file));
    REG(E1000_CTRL) = E1000_CTRL_RESET;
    REG(E1000_STATUS) = E1000_STATUS_LINK;
    card.resets++;
    card.reset_reads = 0;
    card.reset_at = time_now();
}

/* 3.4: the descriptors from head to tail. */
static void transmit(void)
{
    u64 base = (u64)REG(E1000_TDBA + E1000_RING_HIGH) << 32 | REG(E1000_TDBA);
    struct e1000_tx *ring = phys_to_virt(HPA(base));
    u32 head = REG(E1000_TDBA + E1000_RING_HEAD);

    if (head == REG(E1000_TDT))
        return;
    assert_true(REG(E1000_TCTL) & E1000_TCTL_ON);
    assert_int_equal(REG(E1000_TDBA + E1000_RING_SIZE), RING * 16);
    for (; head != REG(E1000_TDT); head = (head + 1) % RING) {
        struct e1000_tx *d = &ring[head];

        assert_int_equal(d->command, E1000_TX_END | E1000_TX_FCS | E1000_TX_REPORT);
        memcpy(card.sent[card.sent_count % SENT], phys_to_virt(HPA(d->address)), d->length);
        card.sent_size[card.sent_count++ % SENT] = d->length;
        d->status = E1000_TX_DONE;
    }
    REG(E1000_TDBA + E1000_RING_HEAD) = head;
}

u32 e1000_read(const volatile u32 *regs, u32 reg)
{
    u32 value = REG(reg);

    assert_ptr_equal(regs, registers);
    card.early_reads += card.resets && time_now() < card.reset_at + USEC(1);
    fake_advance(100);
    if (reg == E1000_CTRL && value & E1000_CTRL_RESET && !card.stuck_in_reset &&
        ++card.reset_reads == 3)
        REG(reg) &= ~E1000_CTRL_RESET;
    if (reg == E1000_MPC) /* 13.7.4: cleared by reading */
        REG(reg) = 0;
    return value;
}

void e1000_write(volatile u32 *regs, u32 reg, u32 value)
{
    assert_ptr_equal(regs, registers);
    REG(reg) = value;
    if (reg == E1000_CTRL && value & E1000_CTRL_RESET)
        reset_card();
    if (reg == E1000_EERD && value & E1000_EERD_START && !card.dead_eeprom)
        REG(reg) = (u32)card.eeprom[value >> 8 & 3] << 16 | E1000_EERD_DONE;
    if (reg == E1000_TDT && !card.slow_to_send)
        transmit();
}

void e1000_pause(void)
{
    fake_advance(100);
}

/* 3.2: into the descriptor at head, unless that is the tail. */
static bool card_receives(const void *frame, u16 size, u8 status, u8 errors)
{
    u64 base = (u64)REG(E1000_RDBA + E1000_RING_HIGH) << 32 | REG(E1000_RDBA);
    struct e1000_rx *ring = phys_to_virt(HPA(base));
    u32 head = REG(E1000_RDBA + E1000_RING_HEAD);

    assert_true(REG(E1000_RCTL) & E1000_RCTL_ON);
    if (head == REG(E1000_RDT)) {
        REG(E1000_MPC)++;
        return false;
    }
    assert_int_equal(ring[head].status, 0);
    memcpy(phys_to_virt(HPA(ring[head].address)), frame, MIN(size, 2048));
    ring[head].length = size;
    ring[head].errors = errors;
    ring[head].status = status;
    REG(E1000_RDBA + E1000_RING_HEAD) = (head + 1) % RING;
    return true;
}

/* --- what pci.c and ether.c would do ------------------------------------------------------------------- */

static struct ether *nic;
static u8 got[512][1600];
static u32 got_size[512], got_count;

void pci_enable(const struct pci_device *d)
{
    (void)d;
}

void *pci_map(const struct pci_device *d, unsigned bar)
{
    return bar == 0 && d->bar[0].address ? (void *)(uintptr_t)registers : NULL;
}

enum err ether_register(struct ether *e, struct why *why)
{
    (void)why;
    nic = e;
    return OK;
}

void ether_received(struct ether *e, const u8 *frame, u32 size)
{
    assert_ptr_equal(e, nic);
    memcpy(got[got_count % 512], frame, size);
    got_size[got_count++ % 512] = size;
}

static struct pci_device device = {.bar[0] = {.address = 0xfebc0000, .size = KIB(128)}};
static struct why why;

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_memory(MIB(8));
    memset(&card, 0, sizeof(card));
    card.eeprom[0] = 0x5452; /* 52:54:00:12:34:56 */
    card.eeprom[1] = 0x1200;
    card.eeprom[2] = 0x5634;
    nic = NULL;
    got_count = 0;
    return 0;
}

static void start(void)
{
    assert_int_equal(e1000_start(&device, &why), OK);
    assert_non_null(nic);
}

static void fill(u8 *frame, u32 size, u32 seed)
{
    for (u32 i = 0; i < size; i++)
        frame[i] = (u8)(seed * 31 + i);
}

/* --- tests --------------------------------------------------------------------------------------------- */

static void it_is_reset_and_set_up_as_the_manual_says(void **state)
{
    static const u8 mac[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};

    (void)state;
    start();
    assert_int_equal(card.resets, 1);
    assert_int_equal(card.early_reads, 0);
    assert_memory_equal(nic->mac.b, mac, 6);
    assert_int_equal(REG(E1000_RAL), 0x12005452);
    assert_int_equal(REG(E1000_RAH), 0x5634 | E1000_RAH_VALID);
    assert_int_equal(REG(E1000_RCTL), E1000_RCTL_ON | E1000_RCTL_BROADCAST | E1000_RCTL_STRIP_FCS);
    assert_int_equal(REG(E1000_RDBA + E1000_RING_SIZE), RING * 16);
    assert_int_equal(REG(E1000_RDT), RING - 1);
    assert_int_equal(REG(E1000_RDBA) % 16 + REG(E1000_TDBA) % 16, 0);
    assert_true(REG(E1000_CTRL) & E1000_CTRL_LINK_UP);
    assert_int_equal(REG(E1000_IMC), 0xffffffff);
    assert_true(nic->ops->link(nic));
}

static void what_is_sent_leaves_as_it_is_and_in_order(void **state)
{
    u8 frame[1514];

    (void)state;
    start();
    for (u32 i = 0; i < 400; i++) {
        u32 size = 60 + i * 3 % 1455;
        u8 *buffer = nic->ops->take(nic);

        assert_non_null(buffer);
        fill(buffer, size, i);
        nic->ops->send(nic, buffer, size);
        fill(frame, size, i);
        assert_int_equal(card.sent_count, i + 1);
        assert_int_equal(card.sent_size[i % SENT], size);
        assert_memory_equal(card.sent[i % SENT], frame, size);
    }
}

static void a_card_that_is_slow_takes_a_ring_and_no_more(void **state)
{
    u8 *buffer, *first = NULL;
    u32 count = 0;

    (void)state;
    start();
    card.slow_to_send = true;
    while ((buffer = nic->ops->take(nic))) {
        first = first ? first : buffer;
        fill(buffer, 60, count++);
        nic->ops->send(nic, buffer, 60);
    }
    assert_int_equal(count, RING - 1);
    assert_int_equal(card.sent_count, 0);
    card.slow_to_send = false;
    transmit();
    assert_int_equal(card.sent_count, RING - 1);
    for (u32 i = 0; i < RING - 1; i++) /* all come back */
        assert_non_null(nic->ops->take(nic));
    assert_null(nic->ops->take(nic));
    nic->ops->give_back(nic, first);
    assert_ptr_equal(nic->ops->take(nic), first);
}

static void what_comes_is_handed_up_in_order_over_the_end_of_the_ring(void **state)
{
    u8 frame[1514];

    (void)state;
    start();
    for (u32 i = 0; i < 500; i++) {
        u16 size = (u16)(14 + i * 7 % 1501);

        fill(frame, size, i);
        assert_true(card_receives(frame, size, E1000_RX_DONE | E1000_RX_END, 0));
        if (i % 5 == 4)
            assert_int_equal(nic->ops->poll(nic, 64), 5);
    }
    assert_int_equal(got_count, 500);
    for (u32 i = 0; i < 500; i++) {
        fill(frame, got_size[i], i);
        assert_int_equal(got_size[i], 14 + i * 7 % 1501);
        assert_memory_equal(got[i], frame, got_size[i]);
    }
    assert_int_equal(nic->ops->poll(nic, 64), 0);
    assert_int_equal(nic->counters.bad + nic->counters.missed, 0);
}

static void a_poll_takes_no_more_than_it_may(void **state)
{
    u8 frame[60] = {0};

    (void)state;
    start();
    for (u32 i = 0; i < 10; i++)
        card_receives(frame, 60, E1000_RX_DONE | E1000_RX_END, 0);
    assert_int_equal(nic->ops->poll(nic, 4), 4);
    assert_int_equal(nic->ops->poll(nic, 64), 6);
}

static void what_finds_no_room_is_counted_and_the_rest_goes_on(void **state)
{
    u8 frame[60] = {0};
    u32 taken = 0;

    (void)state;
    start();
    for (u32 i = 0; i < 200; i++)
        taken += card_receives(frame, 60, E1000_RX_DONE | E1000_RX_END, 0);
    assert_int_equal(taken, RING - 1);
    assert_int_equal(nic->ops->poll(nic, 1000), RING - 1);
    assert_int_equal(nic->counters.missed, 200 - taken);
    assert_true(card_receives(frame, 60, E1000_RX_DONE | E1000_RX_END, 0));
    assert_int_equal(nic->ops->poll(nic, 1000), 1);
}

static void what_is_not_a_whole_good_frame_is_dropped(void **state)
{
    static u8 frame[2048];

    (void)state;
    start();
    card_receives(frame, 60, E1000_RX_DONE | E1000_RX_END, 1);   /* CRC error */
    card_receives(frame, 2048, E1000_RX_DONE, 0);                /* goes on in the next buffer */
    card_receives(frame, 1515, E1000_RX_DONE | E1000_RX_END, 0); /* too long */
    card_receives(frame, 0xffff, E1000_RX_DONE | E1000_RX_END, 0);
    card_receives(frame, 13, E1000_RX_DONE | E1000_RX_END, 0); /* no header */
    card_receives(frame, 1514, E1000_RX_DONE | E1000_RX_END, 0);
    assert_int_equal(nic->ops->poll(nic, 64), 6);
    assert_int_equal(got_count, 1);
    assert_int_equal(nic->counters.bad, 5);
}

static void a_card_that_does_not_work_is_refused_with_the_reason(void **state)
{
    struct pci_device none = {0};

    (void)state;
    card.stuck_in_reset = true;
    assert_int_equal(e1000_start(&device, &why), E_IO);
    assert_non_null(strstr(why.text, "CTRL.RST"));
    card.stuck_in_reset = false;
    card.dead_eeprom = true;
    assert_int_equal(e1000_start(&device, &why), E_IO);
    assert_non_null(strstr(why.text, "EERD.DONE"));
    card.dead_eeprom = false;
    card.eeprom[0] |= 1; /* a multicast address */
    assert_int_equal(e1000_start(&device, &why), E_FORMAT);
    memset(card.eeprom, 0, sizeof(card.eeprom));
    assert_int_equal(e1000_start(&device, &why), E_FORMAT);
    assert_int_equal(e1000_start(&none, &why), E_IO);
    assert_non_null(strstr(why.text, "BAR 0"));
    assert_null(nic);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(it_is_reset_and_set_up_as_the_manual_says),
        T(what_is_sent_leaves_as_it_is_and_in_order),
        T(a_card_that_is_slow_takes_a_ring_and_no_more),
        T(what_comes_is_handed_up_in_order_over_the_end_of_the_ring),
        T(a_poll_takes_no_more_than_it_may),
        T(what_finds_no_room_is_counted_and_the_rest_goes_on),
        T(what_is_not_a_whole_good_frame_is_dropped),
        T(a_card_that_does_not_work_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

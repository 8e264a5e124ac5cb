/* SPDX-License-Identifier: BSD-2-Clause */
/* vmm/dev/uart.h, by what Linux's 8250 driver does to it. */
#include "tests/unit/unit.h"
#include "vmm/dev/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct uart u;
static u8 sent[64];
static unsigned sent_count;

static void put(void *context, u8 byte)
{
    (void)context;
    sent[sent_count++ % sizeof(sent)] = byte;
}

static const struct uart_sink sink = {put, NULL};

static u8 in(u16 reg)
{
    return uart_read(&u, reg);
}

static void out(u16 reg, u8 value)
{
    (void)uart_write(&u, reg, value, &sink);
}

static int setup(void **state)
{
    (void)state;
    uart_init(&u);
    sent_count = 0;
    return 0;
}

static void autoconfig_finds_a_16550a(void **state)
{
    (void)state;
    out(IER, 0);
    assert_int_equal(in(IER), 0);
    out(IER, 0x0f);
    assert_int_equal(in(IER), 0x0f);
    out(IER, 0xff);
    assert_int_equal(in(IER), 0x0f);
    out(IER, 0);
    out(MCR, 0x1a); /* loopback with RTS and OUT2 */
    assert_int_equal(in(MSR)&0xf0, 0x90);
    out(MCR, 0);
    out(LCR, 0xbf);
    out(FCR, 0);
    out(LCR, 0);
    out(FCR, 1);
    assert_int_equal(in(IIR) >> 6, 3);
    assert_int_equal(in(IIR)&0x20, 0); /* no 64-byte FIFO */
}

static void enabling_the_thr_interrupt_raises_it_every_time(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        out(IER, 2);
        assert_int_equal(in(IIR)&0x0f, 2);
        assert_int_equal(in(IIR)&0x0f, 1); /* the read took it */
        out(IER, 0);
    }
    out(IER, 2);
    assert_int_equal(in(LSR)&0x60, 0x60);
    assert_int_equal(in(IIR)&1, 0); /* no TX-enable bug */
}

static void a_sent_byte_reaches_the_sink_and_raises_thr_empty_anew(void **state)
{
    (void)state;
    out(MCR, 8);
    out(IER, 2);
    assert_int_equal(in(IIR)&0x0f, 2);
    assert_false(uart_irq(&u));
    out(DATA, 'x');
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0], 'x');
    assert_true(uart_irq(&u));
    assert_true(uart_write(&u, DATA, 'y', &sink)); /* not acknowledged: the line dips */
    assert_true(uart_irq(&u));
}

static void without_out2_there_is_no_interrupt(void **state)
{
    (void)state;
    out(IER, 1);
    assert_true(uart_receive(&u, 'a'));
    assert_false(uart_irq(&u));
    out(MCR, 8);
    assert_true(uart_irq(&u));
    out(MCR, 0x18);
    assert_false(uart_irq(&u));
}

static void the_fifo_takes_sixteen_bytes_in_order(void **state)
{
    (void)state;
    out(FCR, 0xc1);
    out(IER, 1);
    for (u8 i = 0; i < 13; i++)
        assert_true(uart_receive(&u, i));
    assert_int_equal(in(IIR), 0xcc); /* below the trigger level of 14: timed out */
    assert_true(uart_receive(&u, 13));
    assert_int_equal(in(IIR), 0xc4);
    assert_true(uart_receive(&u, 14));
    assert_true(uart_receive(&u, 15));
    assert_false(uart_receive(&u, 16));
    for (u8 i = 0; i < 16; i++) {
        assert_int_equal(in(LSR)&3, 1);
        assert_int_equal(in(DATA), i);
    }
    assert_int_equal(in(LSR)&3, 0);
    assert_int_equal(in(IIR), 0xc1);
    assert_int_equal(in(DATA), 0);
}

static void without_the_fifo_there_is_room_for_one(void **state)
{
    (void)state;
    assert_true(uart_receive(&u, 'a'));
    assert_false(uart_receive(&u, 'b'));
    assert_int_equal(in(DATA), 'a');
    assert_true(uart_receive(&u, 'b'));
}

static void clearing_the_fifo_drops_what_is_in_it(void **state)
{
    (void)state;
    out(FCR, 1);
    uart_receive(&u, 'a');
    out(FCR, 3);
    assert_int_equal(in(LSR)&1, 0);
    uart_receive(&u, 'a');
    out(FCR, 0);
    assert_int_equal(in(LSR)&1, 0);
}

static void loopback_feeds_sent_bytes_back_and_overruns(void **state)
{
    (void)state;
    out(FCR, 1);
    out(IER, 4);
    out(MCR, 0x10);
    for (u8 i = 0; i < 17; i++)
        out(DATA, i);
    assert_int_equal(sent_count, 0);
    assert_false(uart_receive(&u, 'x'));
    assert_int_equal(in(IIR)&0x0f, 6);
    assert_int_equal(in(LSR)&2, 2);
    assert_int_equal(in(LSR)&2, 0);
    assert_int_equal(in(DATA), 0);
    assert_int_equal(in(DATA), 1);
}

static void the_divisor_latch_hides_data_and_ier(void **state)
{
    (void)state;
    out(IER, 5);
    out(LCR, 0x83);
    out(DATA, 1);
    out(IER, 2);
    assert_int_equal(in(DATA), 1);
    assert_int_equal(in(IER), 2);
    assert_int_equal(sent_count, 0);
    out(LCR, 3);
    assert_int_equal(in(IER), 5);
    assert_int_equal(in(LCR), 3);
}

static void modem_deltas_interrupt_until_they_are_read(void **state)
{
    (void)state;
    out(IER, 8);
    out(MCR, 0x14); /* loopback: CTS, DSR and DCD fall, RI rises */
    assert_int_equal(in(IIR)&0x0f, 0);
    assert_int_equal(in(MSR), 0x4b);
    assert_int_equal(in(IIR)&0x0f, 1);
    out(MCR, 0x10); /* RI falls: trailing edge */
    assert_int_equal(in(MSR), 0x04);
}

static void random_accesses_keep_the_state_sane(void **state)
{
    u64 seed = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        u64 r = unit_random(&seed);

        if (r & 0x100)
            out((u16)(r >> 16) % 10, (u8)r);
        else
            (void)in((u16)(r >> 16) % 10);
        if (r & 0x200)
            (void)uart_receive(&u, (u8)r);
        (void)uart_irq(&u);
        assert_true(u.rx_count <= UART_FIFO_SIZE && u.rx_first < UART_FIFO_SIZE);
    }
}

#define T(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(autoconfig_finds_a_16550a),
        T(enabling_the_thr_interrupt_raises_it_every_time),
        T(a_sent_byte_reaches_the_sink_and_raises_thr_empty_anew),
        T(without_out2_there_is_no_interrupt),
        T(the_fifo_takes_sixteen_bytes_in_order),
        T(without_the_fifo_there_is_room_for_one),
        T(clearing_the_fifo_drops_what_is_in_it),
        T(loopback_feeds_sent_bytes_back_and_overruns),
        T(the_divisor_latch_hides_data_and_ier),
        T(modem_deltas_interrupt_until_they_are_read),
        T(random_accesses_keep_the_state_sane),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

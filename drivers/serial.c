/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's serial line: a 16550A at the port that ferry.cfg names, 8N1. Output waits for the line,
 * with a limit; input comes by interrupt, and by a slow poll in case the interrupt is not wired. While the console has no
 * room, input stays in the UART and RTS is off: a line with flow control loses nothing, and on another the UART says
 * that it was overrun. */
#include "kernel/arch.h"
#include "kernel/console.h"
#include "kernel/host.h"
#include "kernel/init.h"
#include "kernel/lock.h"
#include "kernel/log.h"
#include "kernel/timer.h"

/* Registers (PC16550D data sheet, table II). */
enum { REG_DATA = 0, REG_IER = 1, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_SCR = 7 };
#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_EMPTY   0x20
#define MCR_READY   0x0b /* DTR, RTS, and OUT2, which gates the interrupt */
#define MCR_RTS     0x02
#define SAY_AGAIN   SEC(10)
#define FIFO_SIZE   16
#define CLOCK       115200
#define WAIT_SPINS  200000

static u16 port;
static struct lock receive_lock;
static bool held_off; /* RTS is off */

static void put_wait(void)
{
    for (unsigned i = 0; i < WAIT_SPINS && !(arch_in8(port + REG_LSR) & LSR_EMPTY); i++)
        arch_relax();
}

static void serial_write(const char *text, size_t size)
{
    for (size_t at = 0; at < size; at++) {
        if (at % FIFO_SIZE == 0)
            put_wait();
        arch_out8(port + REG_DATA, (u8)text[at]);
    }
    put_wait();
}

static void hold_off(bool off)
{
    if (off == held_off)
        return;
    held_off = off;
    arch_out8(port + REG_MCR, off ? MCR_READY & ~MCR_RTS : MCR_READY);
}

/* The lock is held. */
static bool has_data(bool *overrun)
{
    u8 lsr = arch_in8(port + REG_LSR);

    *overrun |= lsr & LSR_OVERRUN;
    return lsr & LSR_DATA;
}

static void say_overrun(void)
{
    static u64 said;

    if (said && time_now() - said < SAY_AGAIN)
        return;
    said = time_now();
    log_warn("serial line: input came faster than it was read, and some is lost; flow control by "
             "RTS and CTS would prevent that");
}

/* The interrupt and the poll may come on two CPUs: bytes stay in order. */
static void serial_poll(void)
{
    bool overrun = false;

    lock_acquire(&receive_lock);
    for (unsigned i = 0; i < 256 && console_has_room() && has_data(&overrun); i++)
        console_receive(arch_in8(port + REG_DATA));
    hold_off(!console_has_room());
    lock_release(&receive_lock);
    if (overrun)
        say_overrun();
}

/* Where nothing decodes the port, all registers read as ones. */
static bool is_there(void)
{
    arch_out8(port + REG_SCR, 0x5a);
    if (arch_in8(port + REG_SCR) != 0x5a)
        return false;
    arch_out8(port + REG_SCR, 0xa5);
    return arch_in8(port + REG_SCR) == 0xa5;
}

static const struct console_driver driver = {"serial", serial_write};

static void serial_init(const struct boot_info *boot)
{
    u16 divisor = (u16)(CLOCK / host_config.console_baud);

    (void)boot;
    port = host_config.console_port;
    if (!is_there()) {
        log_error("there is no UART at port %x: `console` in ferry.cfg can name another, com1 to "
                  "com4",
                  port);
        return;
    }
    arch_out8(port + REG_IER, 0);
    arch_out8(port + REG_LCR, 0x80);
    arch_out8(port + REG_DATA, (u8)divisor);
    arch_out8(port + REG_IER, (u8)(divisor >> 8));
    arch_out8(port + REG_LCR, 0x03);
    arch_out8(port + REG_FCR, 0x07);
    arch_out8(port + REG_MCR, MCR_READY);
    console_attach(&driver);
    console_set_poll(serial_poll);
    if (arch_irq_connect(port & 0x100 ? 4 : 3, serial_poll))
        log_warn("serial line at %x: no interrupt; input is polled", port);
    else
        arch_out8(port + REG_IER, 1);
}
INIT_STEP(0, serial_init);

/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/uart.h"
#include "kernel/string.h"

/* Register numbers; 0 and 1 are the divisor latch while LCR.DLAB is set (PC16550D table II). */
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

#define IER_RX    0x01
#define IER_THR   0x02
#define IER_LINE  0x04
#define IER_MODEM 0x08

#define IIR_NONE    0x01
#define IIR_MODEM   0x00
#define IIR_THR     0x02
#define IIR_RX      0x04
#define IIR_LINE    0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE   0x01
#define FCR_CLEAR_RX 0x02
#define FCR_KEPT     0xc9

#define LCR_DLAB 0x80

#define MCR_DTR  0x01
#define MCR_RTS  0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_KEPT 0x1f

#define LSR_READY   0x01
#define LSR_OVERRUN 0x02
#define LSR_EMPTY   0x60 /* THRE and TEMT */

#define MSR_TERI 0x04
#define MSR_CTS  0x10
#define MSR_DSR  0x20
#define MSR_RI   0x40
#define MSR_DCD  0x80

void uart_init(struct uart *u)
{
    *u = (struct uart){.dll = 12};
}

/* The modem lines: a terminal that is always ready, or in loopback the outputs fed back. */
static u8 modem_lines(const struct uart *u)
{
    if (!(u->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (u8)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *u, u8 value)
{
    u8 before = modem_lines(u), changed;

    u->mcr = value & MCR_KEPT;
    changed = before ^ modem_lines(u);
    u->msr_deltas |= (u8)((changed & (u8)~MSR_RI) >> 4);
    if (changed & before & MSR_RI) /* only the trailing edge counts */
        u->msr_deltas |= MSR_TERI;
}

static u8 rx_room(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? UART_FIFO_SIZE : 1;
}

static bool rx_push(struct uart *u, u8 byte)
{
    if (u->rx_count >= rx_room(u))
        return false;
    u->rx[(u->rx_first + u->rx_count) % UART_FIFO_SIZE] = byte;
    u->rx_count++;
    return true;
}

static u8 rx_pop(struct uart *u)
{
    u8 byte = u->rx[u->rx_first % UART_FIFO_SIZE];

    if (!u->rx_count)
        return 0;
    u->rx_first = (u8)((u->rx_first + 1) % UART_FIFO_SIZE);
    u->rx_count--;
    return byte;
}

bool uart_receive(struct uart *u, u8 byte)
{
    return !(u->mcr & MCR_LOOP) && rx_push(u, byte);
}

/* The interrupt of the highest priority (PC16550D table III). A FIFO that stays below its trigger
 * level times out; no time passes between bytes here, so it has always timed out. */
static u8 iir_source(const struct uart *u)
{
    static const u8 trigger[4] = {1, 4, 8, 14};

    if ((u->ier & IER_LINE) && u->lsr_errors)
        return IIR_LINE;
    if ((u->ier & IER_RX) && u->rx_count)
        return !(u->fcr & FCR_ENABLE) || u->rx_count >= trigger[u->fcr >> 6] ? IIR_RX : IIR_TIMEOUT;
    if ((u->ier & IER_THR) && u->thr_empty)
        return IIR_THR;
    if ((u->ier & IER_MODEM) && u->msr_deltas)
        return IIR_MODEM;
    return IIR_NONE;
}

/* On a PC OUT2 connects the interrupt to the bus; loopback takes all outputs off. */
bool uart_irq(const struct uart *u)
{
    return (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2 && iir_source(u) != IIR_NONE;
}

static u8 read_iir(struct uart *u)
{
    u8 source = iir_source(u);

    if (source == IIR_THR)
        u->thr_empty = 0;
    return source | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static u8 read_lsr(struct uart *u)
{
    u8 lsr = (u8)(LSR_EMPTY | u->lsr_errors | (u->rx_count ? LSR_READY : 0));

    u->lsr_errors = 0;
    return lsr;
}

static u8 read_msr(struct uart *u)
{
    u8 msr = modem_lines(u) | u->msr_deltas;

    u->msr_deltas = 0;
    return msr;
}

u8 uart_read(struct uart *u, u16 reg)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA: return dlab ? u->dll : rx_pop(u);
    case REG_IER: return dlab ? u->dlm : u->ier;
    case REG_IIR_FCR: return read_iir(u);
    case REG_LCR: return u->lcr;
    case REG_MCR: return u->mcr;
    case REG_LSR: return read_lsr(u);
    case REG_MSR: return read_msr(u);
    case REG_SCR: return u->scr;
    default: return 0xff;
    }
}

/* The THR-empty interrupt goes away while the byte is in the THR: a new edge. */
static bool write_thr(struct uart *u, u8 value, const struct uart_sink *sink)
{
    bool dips = iir_source(u) == IIR_THR;

    u->thr_empty = 1;
    if (!(u->mcr & MCR_LOOP))
        sink->put(sink->context, value);
    else if (!rx_push(u, value))
        u->lsr_errors |= LSR_OVERRUN;
    return dips;
}

/* Enabling the THR interrupt while the THR is empty raises it; drivers test for that. */
static void write_ier(struct uart *u, u8 value)
{
    if (value & ~u->ier & IER_THR)
        u->thr_empty = 1;
    u->ier = value & 0x0f;
}

static void write_fcr(struct uart *u, u8 value)
{
    if (((value ^ u->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RX))
        u->rx_count = 0;
    u->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
}

bool uart_write(struct uart *u, u16 reg, u8 value, const struct uart_sink *sink)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA:
        if (!dlab)
            return write_thr(u, value, sink);
        u->dll = value;
        break;
    case REG_IER:
        if (dlab)
            u->dlm = value;
        else
            write_ier(u, value);
        break;
    case REG_IIR_FCR: write_fcr(u, value); break;
    case REG_LCR: u->lcr = value; break;
    case REG_MCR: write_mcr(u, value); break;
    case REG_SCR: u->scr = value; break;
    default: break; /* LSR and MSR are read only */
    }
    return false;
}

bool uart_is_valid(const struct uart *u)
{
    return mem_is_zero(u->reserved, sizeof(u->reserved)) && !(u->ier & 0xf0) &&
           !(u->mcr & (u8)~MCR_KEPT) && !(u->lsr_errors & (u8)~LSR_OVERRUN) &&
           !(u->msr_deltas & 0xf0) && u->thr_empty <= 1 && u->rx_first < UART_FIFO_SIZE &&
           u->rx_count <= rx_room(u) && (u->fcr & FCR_ENABLE ? !(u->fcr & (u8)~FCR_KEPT) : !u->fcr);
}

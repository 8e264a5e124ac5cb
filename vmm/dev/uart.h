/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550A serial port (National Semiconductor PC16550D). Pure logic: the caller holds its VM's
 * lock, and hands in what arrives from outside. Sending takes no time: the transmitter is empty
 * again when the byte has been given to the sink.
 *
 * struct uart is the whole state; save and load are a copy. */
#pragma once
#include "kernel/types.h"

#define UART_FIFO_SIZE 16
#define UART_PORTS     8

struct uart {
    u8 ier, fcr, lcr, mcr, scr;
    u8 dll, dlm;   /* divisor latch: kept, not used */
    u8 lsr_errors; /* LSR 4:1, until they are read */
    u8 msr_deltas; /* MSR 3:0, until they are read */
    u8 thr_empty;  /* the THR-empty interrupt is due (IIR read or THR write takes it back) */
    u8 rx_first, rx_count;
    u8 rx[UART_FIFO_SIZE];
    u8 reserved[4];
};
ASSERT_SIZE(struct uart, 32);

/* Where the guest's output goes. put must not call back into the device. */
struct uart_sink {
    void (*put)(void *context, u8 byte);
    void *context;
};

void uart_init(struct uart *u);
/* Registers 0 to 7; a higher one reads all ones and ignores writes. */
u8 uart_read(struct uart *u, u16 reg);
/* true: the interrupt line, if it is up now, was down for a moment. */
bool uart_write(struct uart *u, u16 reg, u8 value, const struct uart_sink *sink);
/* A byte from outside; false when there is no room: offer it again after the guest has read. */
bool uart_receive(struct uart *u, u8 byte);
/* Could the device be in that state? For one that comes from outside. */
bool uart_is_valid(const struct uart *u);
/* The level of the interrupt line. */
bool uart_irq(const struct uart *u);

/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space: a ConnectX-5 with one 32-bit BAR and MSI-X, which is all that QEMU's proxy device carries. */
#include "tools/hca/hca.h"

enum { COMMAND = 0x04, BAR0 = 0x10, CAP_POINTER = 0x34, MSIX_CAP = 0x40, MSIX_CONTROL = 0x42 };

static void put(struct hca *h, u32 offset, u32 value, u32 size)
{
    memcpy(h->config + offset, &value, size); /* little-endian, as the CPU */
}

void cfg_init(struct hca *h)
{
    memset(h->config, 0, sizeof(h->config));
    put(h, 0x00, 0x15b3, 2);
    put(h, 0x02, 0x1017, 2);
    put(h, 0x06, 0x0010, 2); /* a list of capabilities */
    put(h, 0x0a, 0x0200, 2); /* Ethernet controller */
    put(h, 0x2c, 0x15b3, 2);
    put(h, 0x2e, 0x0007, 2);
    put(h, CAP_POINTER, MSIX_CAP, 1);
    put(h, MSIX_CAP, 0x11, 1);
    put(h, MSIX_CONTROL, HCA_VECTORS - 1, 2);
    put(h, MSIX_CAP + 4, HCA_MSIX_TABLE, 4);
    put(h, MSIX_CAP + 8, HCA_MSIX_PBA, 4);
    h->bar = 0;
    h->msix = (struct msix){0};
}

u32 cfg_read(struct hca *h, u32 offset, u32 size)
{
    u32 value = 0;

    if (offset + size <= sizeof(h->config))
        memcpy(&value, h->config + offset, size);
    return value;
}

/* Which bits of each byte can be written. */
static u8 writable(u32 offset)
{
    switch (offset) {
    case COMMAND: return 0x47;     /* I/O, memory, bus master, parity */
    case COMMAND + 1: return 0x05; /* SERR, no INTx */
    case BAR0 + 3: return 0xff;    /* 16 MiB */
    case 0x3c: return 0xff;        /* interrupt line */
    case MSIX_CONTROL + 1: return 0xc0;
    default: return 0;
    }
}

void cfg_write(struct hca *h, u32 offset, u32 value, u32 size)
{
    u32 bar;
    u16 control;

    for (u32 i = 0; i < size && offset + i < sizeof(h->config); i++) {
        u8 mask = writable(offset + i);

        h->config[offset + i] =
            (u8)((h->config[offset + i] & ~mask) | ((value >> 8 * i & 0xff) & mask));
    }
    memcpy(&bar, h->config + BAR0, sizeof(bar));
    memcpy(&control, h->config + MSIX_CONTROL, sizeof(control));
    h->bar = bar;
    msix_control(h, control);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* MSI-X: the table is in BAR 0; QEMU's proxy device carries no messages, so they are written into the machine over its
 * qtest socket. */
#include <sys/socket.h>
#include "tools/hca/hca.h"

#define MASKED 1u

u32 msix_read(struct hca *h, u32 offset)
{
    if (offset >= HCA_MSIX_PBA)
        return offset == HCA_MSIX_PBA ? h->msix.pending : 0;
    offset -= HCA_MSIX_TABLE;
    return offset < sizeof(h->msix.table) ? h->msix.table[offset / 16][offset / 4 % 4] : 0;
}

void msix_write(struct hca *h, u32 offset, u32 value)
{
    offset -= HCA_MSIX_TABLE;
    if (offset < sizeof(h->msix.table))
        h->msix.table[offset / 16][offset / 4 % 4] = value;
}

void msix_control(struct hca *h, u16 control)
{
    h->msix.enabled = control & 0x8000;
    h->msix.masked = control & 0x4000;
}

void msix_raise(struct hca *h, u32 vector)
{
    h->msix.pending |= 1u << vector;
}

static void inject(struct hca *h, const u32 *entry)
{
    char line[64];
    int n = snprintf(line, sizeof(line), "writel 0x%llx 0x%x\n",
                     (unsigned long long)entry[1] << 32 | entry[0], entry[2]);

    if (h->qtest_fd >= 0 && send(h->qtest_fd, line, (size_t)n, MSG_NOSIGNAL) != n)
        hca_log(h, LOG_REFUSED, "an interrupt is lost: the qtest socket takes no more");
}

void msix_flush(struct hca *h)
{
    for (u32 v = 0; v < HCA_VECTORS && h->msix.enabled && !h->msix.masked; v++) {
        const u32 *entry = h->msix.table[v];

        if (!(h->msix.pending >> v & 1) || entry[3] & MASKED)
            continue;
        h->msix.pending &= ~(1u << v);
        inject(h, entry);
    }
}

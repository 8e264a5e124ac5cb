/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes to the port of the RDMA exchange is anybody's: it is refused with a sentence, or reads as it is written. */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/rdma/exchange.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct rdma_text t, again;
    char text[RDMA_TEXT];
    struct why why = {""};
    u32 length;

    if (rdma_text_read(&t, data, (u32)size, &why)) {
        if (!why.text[0])
            abort();
        return 0;
    }
    length = rdma_text_write(text, &t);
    if (length >= RDMA_TEXT || rdma_text_read(&again, text, length, &why))
        abort();
    if (again.word != t.word || again.id != t.id || memcmp(&again.end, &t.end, sizeof(t.end)))
        abort();
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes may stand where a driver's commands, queues and doorbells are: the model stays within its memory, answers or
 * ignores, and can be reset. */
#include <stdlib.h>
#include <string.h>
#include "tests/unit/fake/hca_card.h"

/* The input in pieces of a command each: its length, an opcode out of the table or any, and its bytes. */
static size_t command(const u8 *data, size_t size)
{
    static u8 in[8192];
    u32 length = 16 + (data[0] | (u32)data[1] << 8) % 1024;
    size_t part = MIN(size - 2, (size_t)length);

    memset(in, 0, length);
    memcpy(in, data + 2, part);
    if (data[2] < 0xa0) /* mostly opcodes that exist */
        in[0] = data[2] % 10;
    (void)card_command(in, length, NULL, data[3] & 1 ? 16 : 272);
    return part + 2;
}

static size_t doorbell(const u8 *data, size_t size)
{
    static const u32 at[] = {MLX_UAR_CQ_ARM, MLX_UAR_EQ_ARM, MLX_UAR_EQ_UPDATE, MLX_UAR_SQ};
    u64 value = 0;

    memcpy(&value, data + 1, MIN(size - 1, sizeof(value)));
    bar_write(&card.hca, HCA_FIRST_UAR * MLX_UAR_SIZE + at[data[0] & 3], value,
              data[0] & 4 ? 8 : 4);
    (void)hca_run(&card.hca);
    return MIN(size, 9);
}

static size_t raw_entry(const u8 *data, size_t size)
{
    size_t part = MIN(size - 1, MLX_CMD_ENTRY_SIZE);
    u8 *entry = card_at(CARD_CMDQ);

    memcpy(entry, data + 1, part);
    if (data[0] & 1)
        card_sign(entry);
    (void)card_ring();
    return part + 1;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u8 port_type = size & 1 ? MLX_PORT_ETHERNET : MLX_PORT_IB;

    if (!card.memory)
        card_init(port_type);
    card_reset(port_type);
    card_bring_up();
    (void)card_eq(card_uar(), ~0ull);
    while (size > 8) {
        u8 kind = *data++ & 7;
        size_t used = kind == 0 ? doorbell(data, size - 1)
                                : (kind == 1 ? raw_entry : command)(data, size - 1);

        data += used;
        size -= used + 1;
    }
    return 0;
}

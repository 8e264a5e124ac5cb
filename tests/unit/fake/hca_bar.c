/* SPDX-License-Identifier: BSD-2-Clause */
/* The mlx5 driver's registers, on the model of a card that lives in the test (hca_card.h): the card's turn comes with each
 * access, and whenever the driver waits. */
#include "drivers/net/mlx/mlx.h"
#include "fake.h"
#include "hca_card.h"

static u8 *registers;

/* The driver writes doorbells of work to its page without a function of its own: they are found there. */
static void forward_doorbells(void)
{
    for (u32 at = HCA_FIRST_UAR * MLX_UAR_SIZE + MLX_UAR_SQ; registers && at < HCA_BAR_UARS;
         at += at & MLX_UAR_BF_SIZE ? MLX_UAR_SIZE - MLX_UAR_BF_SIZE : MLX_UAR_BF_SIZE) {
        u64 *bell = (u64 *)(void *)(registers + at);

        if (*bell)
            bar_write(&card.hca, at, *bell, 8);
        *bell = 0;
    }
}

u32 mlx_reg_read(const u8 *bar, u32 offset)
{
    (void)bar;
    return __builtin_bswap32((u32)bar_read(&card.hca, offset, 4));
}

void mlx_reg_write(u8 *bar, u32 offset, u32 value)
{
    registers = bar;
    forward_doorbells();
    bar_write(&card.hca, offset, __builtin_bswap32(value), 4);
    card_run();
}

void mlx_relax(void)
{
    fake_advance(1000);
    forward_doorbells();
    card_run();
}

/* The mlx5 driver's registers, on the model of a card that lives in the test (hca_card.h): the card's turn comes with each
 * access, and whenever the driver waits. */
#include "drivers/net/mlx/mlx.h"
#include "fake.h"
#include "hca_card.h"

u32 mlx_reg_read(const u8 *bar, u32 offset)
{
    (void)bar;
    return __builtin_bswap32((u32)bar_read(&card.hca, offset, 4));
}

void mlx_reg_write(u8 *bar, u32 offset, u32 value)
{
    (void)bar;
    bar_write(&card.hca, offset, __builtin_bswap32(value), 4);
    card_run();
}

void mlx_relax(void)
{
    fake_advance(1000);
    card_run();
}

/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes may stand where a card writes events. Each is taken once, in its place, at most a lap in one look; the card hears
 * how far; and pages that it wants or gives back by the billion are not more than can be said. */
#include <stdlib.h>
#include <string.h>
#include "drivers/net/mlx/mlx.h"
#include "kernel/host.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define ENTRIES 256u

struct config host_config; /* the driver asks for the address */
static struct mlx m;
static u32 told, at;

u32 mlx_reg_read(const u8 *bar, u32 offset)
{
    (void)bar, (void)offset;
    return 0;
}

void mlx_reg_write(u8 *bar, u32 offset, u32 value)
{
    (void)bar;
    at = offset;
    told = value;
}

void mlx_relax(void)
{
}

static u64 events(void)
{
    u64 sum = 0;

    for (u32 i = 0; i < COUNT_OF(m.events); i++)
        sum += m.events[i];
    return sum;
}

/* Mostly one of this lap. */
static size_t write_eqe(const u8 *data, size_t size)
{
    u32 n = m.eq_consumer + (data[0] & 7);
    u8 *eqe = m.eq.p + n % ENTRIES * MLX_EQE_SIZE;
    size_t used = MIN(size - 2, (size_t)12);

    memcpy(eqe + 0x20, data + 2, used);
    mlx_set(eqe, eqe_event_type, data[0] & 8 ? MLX_EVENT_PAGE_REQUEST : data[1]);
    mlx_set(eqe, eqe_owner, data[0] & 16 ? data[1] & 1 : n / ENTRIES & 1);
    return used + 2;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    m = (struct mlx){.eqn = 3, .uar = 1};
    m.eq.p =
        aligned_alloc(64, ENTRIES * MLX_EQE_SIZE); /* exactly: the sanitizer sees a byte too much */
    memset(m.eq.p, 0, ENTRIES * MLX_EQE_SIZE);
    for (u32 i = 0; i < ENTRIES; i++)
        mlx_set(m.eq.p + i * MLX_EQE_SIZE, eqe_owner, 1);
    while (size >= 3) {
        size_t used = 1 + write_eqe(data + 1, size - 1);
        u64 before = events();
        u32 consumer = m.eq_consumer;

        if (data[0] & 1) {
            mlx_eq_poll(&m);
            CHECK(m.eq_consumer - consumer <= ENTRIES);
            CHECK(events() - before == m.eq_consumer - consumer);
            CHECK(m.eq_consumer == consumer || (at == MLX_UAR_SIZE + MLX_UAR_EQ_UPDATE &&
                                                told == (3u << 24 | (m.eq_consumer & 0xffffff))));
        }
        if (data[0] == 2)
            m.pages.wanted = 0;
        data += used;
        size -= MIN(used, size);
    }
    free(m.eq.p);
    return 0;
}

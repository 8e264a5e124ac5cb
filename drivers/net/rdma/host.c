/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/net/rdma/host.h"
#include "drivers/net/ether.h"
#include "drivers/net/mlx/mlx.h"
#include "drivers/net/roce/nic.h"
#include "kernel/init.h"
#include "kernel/log.h"

#define LINK_TIME SEC(3) /* that a link may take to come up */

struct verbs_device *rdma_host(void)
{
    struct verbs_device *device = mlx_host();

    return device ? device : roce_host();
}

enum err rdma_host_missing(struct why *why)
{
    return roce_host_missing(why);
}

static bool a_link_may_come(void)
{
    for (struct mlx *m = mlx_cards(); m; m = m->next)
        if (m->state == MLX_UP && m->ip && !m->link)
            return true;
    return false;
}

/* Who asks at start-up (the migration agent) asks once. */
static void rdma_start(const struct boot_info *boot)
{
    u64 end = time_now() + LINK_TIME;

    (void)boot;
    while (!mlx_host() && a_link_may_come() && time_now() < end)
        thread_sleep(MSEC(20));
    if (mlx_cards() && !ether_host())
        log_warn("%s: hosts find each other by UDP, and no NIC is there that carries it: the card "
                 "alone cannot",
                 mlx_cards()->name);
}
INIT_STEP(4, rdma_start); /* behind the NIC's */

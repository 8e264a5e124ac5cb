/* SPDX-License-Identifier: BSD-2-Clause */
/* What `rdma`, `rdma info` and `rdma reset` say of cards. */
#include "drivers/net/mlx/mlx.h"
#include "kernel/console.h"
#include "kernel/shell.h"

#define RESET_LIMIT SEC(200) /* longer than firmware may take for all of it */

static const struct {
    u8 event;
    const char *name;
} event_names[] = {
    {MLX_EVENT_CQ_ERR, "completion queues in error"},
    {MLX_EVENT_WQ_CATAS, "work queues in error"},
    {MLX_EVENT_INTERNAL_ERR, "internal errors"},
    {MLX_EVENT_PORT, "port changes"},
    {MLX_EVENT_PAGE_REQUEST, "page requests"},
    {MLX_EVENT_WQ_INVALID_REQ, "invalid requests of work queues"},
    {MLX_EVENT_WQ_ACCESS, "access errors of work queues"},
};

static void show_limits(const struct verbs_limits *l)
{
    shell_row("limits",
              "%u queue pairs of %u entries and %u SGEs, %u completion queues of %u, %u regions of "
              "%llu MiB, %u READs",
              l->max_qp, l->max_qp_wr, l->max_sge, l->max_cq, l->max_cqe, l->max_mr,
              (unsigned long long)(l->max_mr_size >> 20), l->max_rd_atomic);
}

void mlx_show(struct mlx *m)
{
    shell_row("device", "%s, %s at %02x:%02x.%u", m->name, mlx_model_name(m), m->pci->bus,
              m->pci->slot, m->pci->function);
    if (m->state != MLX_UP) {
        shell_row("state", "down: %s", m->failure.text);
    } else {
        shell_row("firmware", "%u.%u.%04u, board %s", m->fw[0], m->fw[1], m->fw[2], m->board);
        if (m->link)
            shell_row("link", "up, %u Gbit/s, MTU %u", m->speed, m->mtu);
        else
            shell_row("link", "down");
        if (!m->ip)
            shell_row("address", "none: ferry.cfg needs `address 192.0.2.1/24`");
        show_limits(&m->base.limits);
    }
    shell_row("objects", "%u queue pairs, %u completion queues, %u regions, %u domains",
              m->counts[MLX_KIND_QP], m->counts[MLX_KIND_CQ], m->counts[MLX_KIND_MKEY],
              m->counts[MLX_KIND_PD]);
    if (m->umr.qp)
        shell_row("keys", "%u made for UMR, %u of them free", m->umr.made, m->umr.spare);
    shell_row("pages", "%u of 4 KiB are firmware's", m->pages.count);
    console_print("\n");
    shell_counter("commands until the port was up", m->commands_up);
    shell_counter("commands", m->cmdq.sent);
    shell_counter("commands that failed", m->cmdq.failed);
    for (unsigned i = 0; i < COUNT_OF(event_names); i++)
        shell_counter(event_names[i].name, m->events[event_names[i].event]);
}

static void show_gid(const struct mlx *m)
{
    const u8 *mac = m->mac;

    if (m->state == MLX_UP && m->ip)
        shell_row("GID", "::ffff:%u.%u.%u.%u of RoCEv2, MAC %02x:%02x:%02x:%02x:%02x:%02x",
                  m->ip >> 24, m->ip >> 16 & 255, m->ip >> 8 & 255, m->ip & 255, mac[0], mac[1],
                  mac[2], mac[3], mac[4], mac[5]);
}

static enum err run_info(unsigned argc, char **argv, struct why *why)
{
    (void)argc, (void)argv;
    if (!mlx_cards())
        return why_set(why, E_NOENT, "this host has no card that Ferry drives; see `pci`");
    for (struct mlx *m = mlx_cards(); m; m = m->next) {
        show_gid(m);
        mlx_show(m);
    }
    return OK;
}
SHELL_COMMAND(rdma_info, .name = "rdma info", .run = run_info,
              .help = "the RDMA cards: firmware, link, limits, events",
              .more = "Also those that are down, and why. `rdma` shows the device that is used.");

static enum err reset(struct mlx *m, struct why *why)
{
    u64 start = time_now();

    if (!m->thread)
        return why_set(why, E_STATE, "%s has no thread", m->name);
    __atomic_store_n(&m->reset_wanted, true, __ATOMIC_RELEASE);
    thread_wake(m->thread);
    while (__atomic_load_n(&m->reset_wanted, __ATOMIC_ACQUIRE)) {
        if (time_now() - start > RESET_LIMIT)
            return why_set(why, E_TIMEOUT, "%s does not come back", m->name);
        thread_sleep(MSEC(5));
    }
    if (m->reset_why.text[0])
        return why_set(why, E_STATE, "%s", m->reset_why.text);
    console_printf("%s is up again, link %s\n", m->name, m->link ? "up" : "down");
    return OK;
}

static enum err run_reset(unsigned argc, char **argv, struct why *why)
{
    enum err e = OK;

    (void)argc, (void)argv;
    if (!mlx_cards())
        return why_set(why, E_NOENT, "this host has no card that Ferry drives; see `pci`");
    for (struct mlx *m = mlx_cards(); !e && m; m = m->next)
        e = reset(m, why);
    return e;
}
SHELL_COMMAND(rdma_reset, .name = "rdma reset", .run = run_reset,
              .help = "take the RDMA cards down and bring them up again",
              .more = "After a failure, or to begin anew; what is connected must be ended before.");

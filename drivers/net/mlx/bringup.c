/* SPDX-License-Identifier: BSD-2-Clause */
/* From a card in any state to an active port, and back: a table of steps, each with what undoes it (manual, initialization
 * and teardown; the order is that of Linux's mlx5_load_one). */
#include "drivers/net/mlx/mlx.h"
#include "kernel/heap.h"
#include "kernel/log.h"

#define DISABLE_LIMIT SEC(2)

/* --- silence ------------------------------------------------------------------------------------------------ */

static void write_interface(struct mlx *m, u32 interface)
{
    lock_acquire(&m->base.lock);
    mlx_reg_write(m->bar, mlx_offset(iseg_nic_interface), interface << mlx_low(iseg_nic_interface));
    lock_release(&m->base.lock);
}

/* A card that is disabled reads and writes no memory; one that does not say so in time loses its access to the bus. */
void mlx_silence(struct mlx *m)
{
    write_interface(m, MLX_NIC_DISABLED);
    if (mlx_await(m, iseg_nic_interface, MLX_NIC_DISABLED, DISABLE_LIMIT))
        return;
    log_warn("%s: it cannot be disabled: it is taken off the bus", m->name);
    pci_write(m->pci, PCI_COMMAND,
              pci_read(m->pci, PCI_COMMAND) & 0xffff & ~(u32)PCI_COMMAND_MASTER);
}

/* --- steps ----------------------------------------------------------------------------------------------------- */

/* Somebody has used it who is gone: a command queue is set that is not ours. */
static enum err quiet(struct mlx *m, struct why *why)
{
    bool used;

    if (!mlx_await(m, iseg_initializing, 0, SEC(120)))
        return why_set(why, E_TIMEOUT, "%s: its firmware does not start within 120 s", m->name);
    used = mlx_iseg(m, iseg_cmdq_phy_addr_31_12) || mlx_iseg(m, iseg_cmdq_phy_addr_63_32);
    if (used && mlx_iseg(m, iseg_nic_interface) != MLX_NIC_DISABLED) {
        log_debug("%s: somebody has used it: it is disabled first", m->name);
        mlx_silence(m);
        pci_enable(m->pci);
    }
    return OK;
}

static void disable(struct mlx *m)
{
    (void)!mlx_simple(m, MLX_DISABLE_HCA, 0, 0, NULL, NULL);
}

/* Firmware may think that it is enabled still: then it is ended as its user should have. */
static enum err enable(struct mlx *m, struct why *why)
{
    enum err e = mlx_simple(m, MLX_ENABLE_HCA, 0, 0, NULL, why);

    if (e != E_STATE)
        return e;
    (void)!mlx_simple(m, MLX_TEARDOWN_HCA, 0, MLX_TEARDOWN_FORCE, NULL, NULL);
    disable(m);
    return mlx_simple(m, MLX_ENABLE_HCA, 0, 0, NULL, why);
}

static enum err set_issi(struct mlx *m, struct why *why)
{
    u8 in[16] = {0}, out[112];
    enum err e;

    mlx_set(in, in_opcode, MLX_QUERY_ISSI);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    if (e == E_UNSUPPORTED || (!e && !(mlx_get(out, issi_supported_issi_dw0) & 2)))
        return why_set(why, E_UNSUPPORTED, "%s: its firmware is too old (ISSI 1 is needed)",
                       m->name);
    return e ? e : mlx_simple(m, MLX_SET_ISSI, 0, 1, NULL, why);
}

static enum err boot_pages(struct mlx *m, struct why *why)
{
    return mlx_pages_for(m, MLX_PAGES_BOOT, why);
}

static enum err endianness(struct mlx *m, struct why *why)
{
    u8 in[MLX_REG_DATA + 16] = {0}, out[MLX_REG_DATA + 16];

    mlx_set(in, in_opcode, MLX_ACCESS_REG);
    mlx_set(in, in_op_mod, MLX_REG_WRITE);
    mlx_set(in, access_reg_register_id, MLX_REG_HOST_ENDIANNESS);
    return mlx_command(m, in, sizeof(in), out, sizeof(out), why); /* zeros: little */
}

static enum err init_pages(struct mlx *m, struct why *why)
{
    return mlx_pages_for(m, MLX_PAGES_INIT, why);
}

static enum err init_hca(struct mlx *m, struct why *why)
{
    u8 in[32] = {0}, out[16];

    mlx_set(in, in_opcode, MLX_INIT_HCA);
    return mlx_command(m, in, sizeof(in), out, sizeof(out), why);
}

static void teardown(struct mlx *m)
{
    (void)!mlx_simple(m, MLX_TEARDOWN_HCA, 0, MLX_TEARDOWN_GRACEFUL, NULL, NULL);
}

static enum err adapter(struct mlx *m, struct why *why)
{
    u8 in[16] = {0}, out[272];
    enum err e;

    mlx_set(in, in_opcode, MLX_QUERY_ADAPTER);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    if (e)
        return e;
    memcpy(m->board, out + MLX_ADAPTER_PSID, MLX_ADAPTER_PSID_SIZE);
    for (u32 i = 0; i < MLX_ADAPTER_PSID_SIZE; i++)
        if (m->board[i] && (m->board[i] < ' ' || m->board[i] > '~'))
            m->board[i] = '?';
    m->fw[0] = (u16)mlx_iseg(m, iseg_fw_rev_major);
    m->fw[1] = (u16)mlx_iseg(m, iseg_fw_rev_minor);
    m->fw[2] = (u16)mlx_iseg(m, iseg_fw_rev_subminor);
    return OK;
}

static enum err alloc_uar(struct mlx *m, struct why *why)
{
    enum err e = mlx_simple(m, MLX_ALLOC_UAR, 0, 0, &m->uar, why);

    if (!e && (u64)(m->uar + 1) * MLX_UAR_SIZE > m->pci->bar[0].size) {
        (void)!mlx_simple(m, MLX_DEALLOC_UAR, 0, m->uar, NULL, NULL);
        return why_set(why, E_FORMAT, "%s: UAR 0x%x is behind the end of BAR 0", m->name, m->uar);
    }
    return e;
}

static void dealloc_uar(struct mlx *m)
{
    (void)!mlx_simple(m, MLX_DEALLOC_UAR, 0, m->uar, NULL, NULL);
}

static enum err special_contexts(struct mlx *m, struct why *why)
{
    u8 in[16] = {0}, out[32];
    enum err e;

    mlx_set(in, in_opcode, MLX_QUERY_SPECIAL_CONTEXTS);
    e = mlx_command(m, in, sizeof(in), out, sizeof(out), why);
    m->resd_lkey = e ? 0 : (u32)mlx_get(out, special_contexts_resd_lkey);
    return e;
}

static enum err alloc_pd(struct mlx *m, struct why *why)
{
    return mlx_simple(m, MLX_ALLOC_PD, 0, 0, &m->pd, why);
}

static void dealloc_pd(struct mlx *m)
{
    (void)!mlx_simple(m, MLX_DEALLOC_PD, 0, m->pd, NULL, NULL);
}

static const struct step {
    const char *name;
    enum err (*run)(struct mlx *m, struct why *why);
    void (*undo)(struct mlx *m); /* NULL: nothing to undo */
} steps[] = {
    {"quiet", quiet, NULL},
    {"command queue", mlx_cmdq_start, NULL},
    {"ENABLE_HCA", enable, disable},
    {"SET_ISSI", set_issi, NULL},
    {"boot pages", boot_pages, mlx_pages_take_all},
    {"HOST_ENDIANNESS", endianness, NULL},
    {"capabilities", mlx_caps_set, NULL},
    {"init pages", init_pages, NULL},
    {"INIT_HCA", init_hca, teardown},
    {"capabilities again", mlx_caps_read, NULL},
    {"QUERY_ADAPTER", adapter, NULL},
    {"ALLOC_UAR", alloc_uar, dealloc_uar},
    {"CREATE_EQ", mlx_eq_create, mlx_eq_destroy},
    {"QUERY_SPECIAL_CONTEXTS", special_contexts, NULL},
    {"ALLOC_PD", alloc_pd, dealloc_pd},
    {"port", mlx_port_enable, mlx_port_disable},
    {"SET_ROCE_ADDRESS", mlx_address_set, mlx_address_clear},
    {"link", mlx_port_look, NULL},
    {"objects", mlx_objects_begin, mlx_objects_destroy},
};

/* --- up and down ----------------------------------------------------------------------------------------------- */

/* When nothing of it is in the card any more, or the card is silent. */
static void release(struct mlx *m)
{
    lock_acquire(&m->base.lock);
    mlx_memory_give_back(&m->eq);
    m->silent = true;
    lock_release(&m->base.lock);
    mlx_umr_end(m);
    mlx_objects_end(m);
    mlx_pages_forget(m);
    mlx_cmdq_stop(m);
    heap_free(m->in);
    heap_free(m->out);
    m->in = m->out = NULL;
    m->steps = 0;
    m->link = false;
    m->state = MLX_DOWN;
}

void mlx_take_down(struct mlx *m)
{
    bool dead = m->state == MLX_DEAD;

    while (m->steps) {
        const struct step *s = &steps[--m->steps];

        if (s->undo && m->state != MLX_DEAD)
            s->undo(m);
    }
    /* Also after a clean end: whatever firmware keeps, it is not used any more. */
    if (dead || m->state == MLX_DEAD || m->pages.count || m->eq.p)
        mlx_silence(m);
    release(m);
}

/* Without UMR regions are made by a command each. */
static void by_work(struct mlx *m)
{
    struct why why;

    if (mlx_umr_begin(m, &why))
        log_warn("%s: each memory region takes a command", why.text);
}

enum err mlx_bring_up(struct mlx *m, struct why *why)
{
    u64 start = time_now();
    enum err e = OK;

    m->cmdq.sent = m->cmdq.failed = 0;
    m->broken_how = 0;
    m->in = heap_alloc(MLX_CTX + MLX_CAP_SIZE);
    m->out = heap_alloc(MLX_CTX + MLX_CAP_SIZE);
    if (!m->in || !m->out)
        e = why_set(why, E_NOMEM, "%s: no memory for its driver", m->name);
    while (!e && m->steps < COUNT_OF(steps)) {
        e = steps[m->steps].run(m, why);
        if (e)
            log_debug("%s: bring-up ends at step %u, %s", m->name, m->steps, steps[m->steps].name);
        else
            m->steps++;
    }
    if (e) {
        mlx_take_down(m);
        return e;
    }
    lock_acquire(&m->base.lock);
    if (m->state == MLX_DOWN)
        m->state = MLX_UP;
    m->failure.text[0] = '\0';
    mlx_device_limits(m);
    lock_release(&m->base.lock);
    m->commands_up = m->cmdq.sent;
    by_work(m);
    log_debug("%s: up after %llu commands and %llu ms", m->name, (unsigned long long)m->cmdq.sent,
              (unsigned long long)((time_now() - start) / MSEC(1)));
    return OK;
}
